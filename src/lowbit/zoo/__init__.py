# SPDX-License-Identifier: Apache-2.0
"""A model by name, file or function, with what it needs to be fed.

    from lowbit.zoo import load_model

    loaded = load_model("mobilenet_v2", inputs={"image": (128, 128, 3)}, classes=9, model_args={"alpha": "0.35"})
    loaded.model, loaded.preprocess        # a keras.Model, "-1..1"

The table of names (`names`, `default_preprocess`, `default_image_size`) is answered without importing keras: data must
be loaded with a model's preprocessing before the model exists. All other names import keras when first used.
"""

import importlib
from typing import TYPE_CHECKING

from lowbit.zoo.catalog import default_image_size, default_preprocess, names

if TYPE_CHECKING:
    from lowbit.zoo.build import build_model as build_model
    from lowbit.zoo.checks import check_classes as check_classes
    from lowbit.zoo.checks import check_finite as check_finite
    from lowbit.zoo.files import load_file as load_file
    from lowbit.zoo.files import save_model as save_model
    from lowbit.zoo.freeze import freeze_base as freeze_base
    from lowbit.zoo.load import LoadedModel as LoadedModel
    from lowbit.zoo.load import load_model as load_model

_MODULE_OF = {
    "LoadedModel": "lowbit.zoo.load",
    "build_model": "lowbit.zoo.build",
    "check_classes": "lowbit.zoo.checks",
    "check_finite": "lowbit.zoo.checks",
    "freeze_base": "lowbit.zoo.freeze",
    "load_file": "lowbit.zoo.files",
    "load_model": "lowbit.zoo.load",
    "save_model": "lowbit.zoo.files",
}

__all__ = [
    "LoadedModel",
    "build_model",
    "check_classes",
    "check_finite",
    "default_image_size",
    "default_preprocess",
    "freeze_base",
    "load_file",
    "load_model",
    "names",
    "save_model",
]


def __getattr__(name: str) -> object:
    """The names that need keras, imported when first asked for (PEP 562)."""
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'lowbit.zoo' has no attribute {name!r}; it offers {', '.join(__all__)}")
    return getattr(importlib.import_module(_MODULE_OF[name]), name)

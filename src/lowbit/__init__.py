# SPDX-License-Identifier: Apache-2.0
"""lowbit makes trained Keras 3 models small and fast enough for the edge, and shows what that costs.

    import lowbit
    sim = lowbit.quantize_model(model, "w8a8", calibration=batches)   # post-training; fit it and it is QAT
    lowbit.export(sim, "model.tflite")

Importing lowbit loads none of its rooms: importing keras loads a backend, so each name below is resolved when it is
first used. `keras.models.load_model` reads a saved simulation after `import lowbit`.
"""

import importlib
import sys
from types import ModuleType
from typing import TYPE_CHECKING

from lowbit._registration import register_with_keras

if TYPE_CHECKING:
    from lowbit.compare.evaluate import benchmark as benchmark
    from lowbit.compare.evaluate import evaluate as evaluate
    from lowbit.compare.run import compare as compare
    from lowbit.data import load_dataset as load_dataset
    from lowbit.export.write import export as export
    from lowbit.simulation import calibrate as calibrate
    from lowbit.simulation import quantize_model as quantize_model
    from lowbit.simulation import strip as strip
    from lowbit.simulation.coverage import coverage as coverage
    from lowbit.spec import Rule as Rule
    from lowbit.spec import Spec as Spec

__version__ = "0.1.0"

_ROOM_OF = {
    "Rule": "lowbit.spec",
    "Spec": "lowbit.spec",
    "benchmark": "lowbit.compare",
    "calibrate": "lowbit.simulation",
    "compare": "lowbit.compare",
    "coverage": "lowbit.simulation.coverage",
    "evaluate": "lowbit.compare",
    "export": "lowbit.export",
    "load_dataset": "lowbit.data",
    "quantize_model": "lowbit.simulation",
    "strip": "lowbit.simulation",
}

__all__ = ["__version__", *_ROOM_OF]


class _FrontDoor(ModuleType):
    """`compare` and `export` are rooms as well as functions: importing the room must not hide the function."""

    def __getattr__(self, name: str) -> object:
        """The front door's names, imported when first asked for; AttributeError for any other."""
        if name not in _ROOM_OF:
            raise AttributeError(f"module 'lowbit' has no attribute {name!r}; it offers {', '.join(sorted(_ROOM_OF))}")
        value = getattr(importlib.import_module(_ROOM_OF[name]), name)
        setattr(self, name, value)
        return value

    def __setattr__(self, name: str, value: object) -> None:
        if not (name in _ROOM_OF and isinstance(value, ModuleType)):
            super().__setattr__(name, value)

    def __dir__(self) -> list[str]:
        return sorted(__all__)


sys.modules[__name__].__class__ = _FrontDoor
register_with_keras()

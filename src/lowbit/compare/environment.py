# SPDX-License-Identifier: Apache-2.0
"""The circumstances of a run: code, libraries, machine."""

import os
import platform
from pathlib import Path
from typing import Any

from lowbit.engines import library_versions, source_sha256
from lowbit.runtime import cores
from lowbit.runtime.device import processor

PACKAGE = Path(__file__).resolve().parents[1]
LIBRARIES = (
    "numpy",
    "scipy",
    "pillow",
    "keras",
    "tensorflow",
    "ai-edge-litert",
    "litert-quantizer",
    "tensorflow-datasets",
    "jax",
    "torch",
)


def backend() -> str:
    """What the jobs' Keras runs on; TensorFlow where nothing is said."""
    return os.environ.get("KERAS_BACKEND") or "tensorflow"


def code_and_libraries() -> dict[str, Any]:
    """What every stored result depends on: another value makes every job run again."""
    return {
        "source": source_sha256(PACKAGE),
        "libraries": library_versions(LIBRARIES),
        "backend": backend(),
    }


def renderers() -> str:
    """Hash of the code that only draws; drawings depend on it, results do not."""
    return source_sha256(PACKAGE / "report", ())


def environment(threads: int) -> dict[str, Any]:
    """Machine and versions, for readers of the results."""
    libraries = {name: version for name, version in library_versions(LIBRARIES).items() if version is not None}
    return {
        "cpu": processor(),
        "cores": cores(),
        "threads": threads,
        "backend": backend(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "libraries": libraries,
    }


# SPDX-License-Identifier: Apache-2.0
"""Models in `.keras` and `.h5` files: read with Keras's safe mode on, written whole and without training state."""

import json
import os
import re
import shutil
import warnings
import zipfile
import zlib
from pathlib import Path
from typing import Any

import h5py
import keras

from lowbit.errors import FileFormatError, InputError, UnsupportedError
from lowbit.files import replacing, without_training_state
from lowbit.zoo.checks import check_finite

SUFFIXES = (".keras", ".h5")

# What Keras, zipfile and h5py raise for damaged or foreign contents.
_LOADING_ERRORS = (
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    OSError,
    RuntimeError,
    ImportError,
    EOFError,
    zipfile.BadZipFile,
    zlib.error,
)
# How Keras words it, in .keras and .h5 files, when a class is not registered or its module is gone.
_UNKNOWN_LAYER = re.compile(r"(?:Could not locate \w+|Could not deserialize class|Unknown \w+:) '([^']+)'")
_EPOCH = (1980, 1, 1, 0, 0, 0)
"""The earliest time a zip file can hold."""


def is_file_word(word: str) -> bool:
    """Whether `word` means a file rather than a name: by its suffix, or because it holds a path separator."""
    return Path(word).suffix.lower() in SUFFIXES or os.sep in word or Path(word).is_file()


def load_file(path: str | os.PathLike[str]) -> keras.Model:
    """The model of a `.keras` or `.h5` file, its weights checked to be finite. Safe mode stays on.

    A compiled loss is restored where it can be; where it needs code that is not at hand, a warning says so and the
    model comes uncompiled. Import the module that registers custom layers (`lowbit.simulation` for simulations) first.

    Raises:
        InputError: no such file, another suffix, NaN or infinite weights.
        FileFormatError: truncated, no model, unsafe to load (a Lambda layer), or of layers that are not known here.
    """
    path = Path(path)
    _check_place(path)
    try:
        model = keras.saving.load_model(path, safe_mode=True)
    except _LOADING_ERRORS as error:
        model = _load_uncompiled(path, error)
    if not isinstance(model, keras.Model):
        raise _not_a_model(path, f"a {type(model).__name__}")
    check_finite(model, str(path))
    return model


def _check_place(path: Path) -> None:
    if path.suffix.lower() not in SUFFIXES:
        raise InputError(
            received=str(path), expected="a .keras or .h5 file", mend="save the model with model.save('model.keras')"
        )
    if not path.is_file():
        raise InputError(received=f"{path}, which is no file", expected="a .keras or .h5 file", mend="check the path")
    is_container = zipfile.is_zipfile if path.suffix.lower() == ".keras" else h5py.is_hdf5
    if not is_container(path):
        kind = "zip archive" if path.suffix.lower() == ".keras" else "HDF5 file"
        raise FileFormatError(
            received=f"{path} of {path.stat().st_size} bytes, which is no {kind}",
            expected=f"a whole {path.suffix} file",
            mend="copy or save the model again",
        )


def _load_uncompiled(path: Path, first_error: Exception) -> keras.Model:
    """A second try without the compiled loss and metrics; a FileFormatError when the model itself is at fault."""
    try:
        model = keras.saving.load_model(path, safe_mode=True, compile=False)
    except _LOADING_ERRORS as error:
        raise _explained(path, error) from error
    warnings.warn(
        f"{path}: its compiled loss or metrics could not be restored ({_one_line(first_error)}); "
        "the loss is inferred from the model's outputs",
        stacklevel=3,
    )
    return model


def _explained(path: Path, error: Exception) -> FileFormatError:
    text = str(error)
    if "safe_mode" in text or "unsafe" in text.lower() or "enable_unsafe" in text:
        return FileFormatError(
            received=f"{path}, which needs unsafe deserialization: it runs Python code stored in it (a Lambda layer)",
            expected="a model of registered layers only; safe mode stays on",
            mend="replace the Lambda layer by a registered layer, or give the model as package.module:function",
        )
    unknown = _UNKNOWN_LAYER.search(text)
    if unknown is not None:
        return FileFormatError(
            received=f"{path}, with {unknown[1]!r}, which is not known here",
            expected="Keras's own layers, or those registered with keras.saving.register_keras_serializable",
            mend="give the model as package.module:function in a module that imports its layers",
        )
    if "No model config" in text or "model_config" in text or "config.json" in text:
        return _not_a_model(path, "weights only, or another kind of archive")
    return FileFormatError(
        received=f"{path}, which cannot be read: {_one_line(error)}",
        expected=f"a whole {path.suffix} file that Keras {keras.__version__} can load",
        mend="copy or save the model again",
    )


def _not_a_model(path: Path, found: str) -> FileFormatError:
    return FileFormatError(
        received=f"{path}: {found}", expected="a saved keras.Model", mend="save the whole model with model.save(...)"
    )


def _one_line(error: Exception, limit: int = 200) -> str:
    # Keras wraps the cause in pages of configuration.
    text = " ".join(str(error).rpartition("Exception encountered: ")[2].split())
    return f"{type(error).__name__}: {text[:limit]}{'…' if len(text) > limit else ''}"


def save_model(model: keras.Model, path: str | os.PathLike[str]) -> None:
    """Write a model, or a simulation, as it is needed for inference: no optimizer, metrics or compiled loss.

    The file is whole or not there, and equal models give equal bytes: times in a `.keras` archive are fixed.
    `model` keeps its training state.

    Raises:
        InputError: another suffix than `.keras` or `.h5`, or a place that cannot be written.
        UnsupportedError: a model that Keras cannot save in this format.
    """
    path = Path(path)
    if path.suffix.lower() not in SUFFIXES:
        raise InputError(received=str(path), expected="a name that ends in .keras or .h5", mend="rename the output")
    with replacing(path) as temporary, without_training_state(model):
        try:
            model.save(temporary, include_optimizer=False)
        except (NotImplementedError, TypeError) as error:
            raise UnsupportedError(
                received=f"model {model.name!r} to be saved as {path.suffix}: {_one_line(error)}",
                expected="a model whose layers can be saved so",
                mend="save it as .keras",
            ) from error
        if path.suffix.lower() == ".keras":
            _fix_times(temporary)


def _fix_times(path: Path) -> None:
    """Rewrite a `.keras` archive with the same members, but without the time it was saved at."""
    rewritten = path.with_name(path.name + ".fixed")
    try:
        with zipfile.ZipFile(path) as source, zipfile.ZipFile(rewritten, "w") as target:
            for name in source.namelist():
                content = source.read(name)
                if name == "metadata.json":
                    metadata: dict[str, Any] = json.loads(content)
                    content = json.dumps({**metadata, "date_saved": "1980-01-01@00:00:00"}).encode()
                target.writestr(zipfile.ZipInfo(name, _EPOCH), content)
        shutil.move(rewritten, path)
    finally:
        rewritten.unlink(missing_ok=True)

# SPDX-License-Identifier: Apache-2.0
"""All that a training needs to go on, in one file: variables, position, and what they belong to.

Keras's own `save_weights` leaves out the state of seed generators (dropout) and the metrics of an epoch begun, and
`BackupAndRestore` writes its position into a second file.
"""

import hashlib
import json
import re
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from lowbit.errors import FileFormatError, InputError
from lowbit.files import replacing
from lowbit.quantizers import kernels

_FORMAT = 3
_HEADER, _RANDOM = "header", "random"
_COUNTED = re.compile(r"(?<=seed_generator)_\d+(?=/)")


@dataclass(frozen=True, kw_only=True)
class Position:
    """Where a training stands.

    Attributes:
        epoch: the epoch under way, counted from 0.
        batches: batches of it that are trained.
        first_batch: SHA-256 of the epoch's first batch; empty where none is trained.
    """

    epoch: int
    batches: int
    first_batch: str = ""


@dataclass(frozen=True, kw_only=True)
class Backup:
    """A position and the values of all variables there: the model's and optimizer's, and its metrics'.

    `rate` is the learning rate that the training was compiled with, None for a schedule; `random` the state of the
    backend's own generator, empty where all randomness is in variables.
    """

    position: Position
    variables: Sequence[np.ndarray]
    metrics: Sequence[np.ndarray]
    rate: float | None
    random: np.ndarray

    def give_back(self, model: keras.Model) -> None:
        """Give `model` its variables back; the metrics are given back later, as an epoch begins by emptying them."""
        for variable, value in zip(variables_of(model), self.variables, strict=True):
            variable.assign(value)

    def give_back_randomness(self) -> None:
        """Let dropout go on as in the backup's training; the last thing before its next step."""
        if len(self.random):
            kernels.KERNELS.set_random_state(self.random)  # type: ignore[union-attr]


def variables_of(model: keras.Model) -> list[Any]:
    """Weights, ranges, states of seed generators, and the optimizer's; `model` is compiled."""
    return [*model.variables, *model.optimizer.variables]


def rate_of(model: keras.Model) -> float | None:
    """The optimizer's learning rate; None where a schedule makes it."""
    optimizer = getattr(model.optimizer, "inner_optimizer", model.optimizer)
    if isinstance(optimizer._learning_rate, keras.optimizers.schedules.LearningRateSchedule):
        return None
    return float(keras.ops.convert_to_numpy(optimizer.learning_rate))


def write(path: Path, model: keras.Model, position: Position, *, rate: float | None) -> None:
    """Write a backup, whole or not at all. Raises InputError where the place cannot be written."""
    values = [keras.ops.convert_to_numpy(variable) for variable in (*variables_of(model), *model.metrics_variables)]
    header = _identity(model) | {
        "format": _FORMAT,
        "epoch": position.epoch,
        "batches": position.batches,
        "first_batch": position.first_batch,
        "rate": rate,
    }
    arrays: dict[str, Any] = {_HEADER: np.array(json.dumps(header))}
    draws = getattr(kernels.KERNELS, "random_state", None)
    arrays[_RANDOM] = np.zeros(0, np.uint8) if draws is None else draws()
    arrays |= {f"{number}": value for number, value in enumerate(values)}
    with replacing(path) as temporary:
        np.savez(temporary, **arrays)


def read(path: Path, model: keras.Model) -> Backup:
    """The backup of a training of `model`.

    Raises:
        FileFormatError: the file is damaged, or of another version.
        InputError: it belongs to another model or another way of training it.
    """
    header, values, random = _read(path)
    count = len(variables_of(model))
    _require_same(header, _identity(model), path)
    return Backup(
        position=Position(epoch=header["epoch"], batches=header["batches"], first_batch=header["first_batch"]),
        variables=values[:count],
        metrics=values[count:],
        rate=header["rate"],
        random=random,
    )


def _read(path: Path) -> tuple[dict[str, Any], list[np.ndarray], np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as file:
            header = json.loads(str(file[_HEADER]))
            values = [file[f"{number}"] for number in range(len(set(file.files) - {_HEADER, _RANDOM}))]
            random = file[_RANDOM] if header.get("format") == _FORMAT else np.zeros(0, np.uint8)
    # RuntimeError: a flipped bit says that a member is encrypted; NotImplementedError: compressed in some other way
    except (OSError, EOFError, KeyError, ValueError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        raise FileFormatError(
            received=f"{path}, a damaged backup ({type(error).__name__})",
            expected="a backup as lowbit.qat.Resume writes it",
            mend="delete it, and training starts anew",
        ) from error
    if header.get("format") != _FORMAT:
        raise FileFormatError(
            received=f"{path}, a backup of format {header.get('format')}",
            expected=f"format {_FORMAT}",
            mend="delete it, and training starts anew",
        )
    return header, values, random


def _identity(model: keras.Model) -> dict[str, Any]:
    """What must be the same for a training to go on, in JSON's types."""
    return {
        "backend": keras.backend.backend(),
        "layers": [[layer.name, type(layer).__name__, _digest(layer)] for layer in model.layers],
        # Keras counts seed generators and optimizers through the process: "seed_generator_3", "adam_2".
        "variables": [f"{_COUNTED.sub('', variable.path)} {_form(variable)}" for variable in model.variables],
        "optimizer": [
            type(model.optimizer).__name__,
            *(f"{variable.path.partition('/')[2]} {_form(variable)}" for variable in model.optimizer.variables),
        ],
        "batches for each execution": model.steps_per_execution,
    }


def _form(variable: Any) -> str:
    return f"{tuple(variable.shape)} {keras.backend.standardize_dtype(variable.dtype)}"


def _digest(layer: keras.layers.Layer) -> str:
    text = json.dumps(keras.saving.serialize_keras_object(layer), sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def _require_same(saved: dict[str, Any], own: dict[str, Any], path: Path) -> None:
    for key, value in own.items():
        if saved.get(key) != value:
            raise InputError(
                received=f"the backup {path} of another training: {_difference(key, saved.get(key), value)}",
                expected="the model, optimizer and batches for each execution that the backup was made with",
                mend="choose another folder, or delete the backup and training starts anew",
            )


def _difference(key: str, saved: Any, own: Any) -> str:
    if not isinstance(own, list) or not isinstance(saved, list):
        return f"{own!r} {key}, {saved!r} in the backup"
    for ours, theirs in zip(own, saved, strict=False):
        if ours != theirs:
            is_setting = key == "layers" and ours[:2] == theirs[:2]
            if is_setting:
                return f"layer {ours[0]!r} ({ours[1]}) has other settings than in the backup"
            return f"{key}: {_words(ours)}, {_words(theirs)} in the backup"
    return f"{len(own)} {key}, {len(saved)} in the backup"


def _words(entry: Any) -> str:
    return f"{entry[1]} {entry[0]!r}" if isinstance(entry, list) else str(entry)

# SPDX-License-Identifier: Apache-2.0
"""A killed training goes on where it was, and ends with the bits it would have ended with."""

import hashlib
import itertools
import math
import os
import warnings
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np

from lowbit.errors import InputError
from lowbit.qat.backup import Backup, Position, rate_of, read, write
from lowbit.simulation.fitting import first_not_finite

_FILE = "resume.npz"


class Resume(keras.callbacks.Callback):
    """Backs a training up every `save_freq` batches; `fit` with the same folder goes on from the last backup.

        sim.fit(x, y, epochs=20, callbacks=[lowbit.qat.Resume("backup", save_freq=100)])

    Weights, ranges, optimizer, dropout's seeds and the epoch's metrics come back; the batches of the epoch that were
    trained already are read and passed over. So the data must come in an order that depends on nothing but the epoch,
    which is checked by the epoch's first batch. Arrays shuffled by Keras do after `keras.utils.set_random_seed`, and
    so does a `tf.data.Dataset` unless it is reshuffled each time. What other callbacks remember is not backed up. The
    learning rate is the one that the model is compiled with now; another one than before is told of.
    With TensorFlow the last bits are the same if the process runs the ops of a step one after another
    (TF_NUM_INTEROP_THREADS=1).

    Keras's `BackupAndRestore` goes on at the beginning of the epoch, with weights from its middle.

    Args:
        folder: holds the backup, which is deleted when training ends, with the folder if that was made for it.
        save_freq: batches between two backups, or "epoch".

    Raises:
        InputError: `save_freq` is neither; and when training begins, before the first step, for a folder that is a
            file, a backup of another model or of more epochs than asked for, data in another order, or an epoch that is
            shorter than what is trained of it.
        FileFormatError: when training begins, for a damaged backup.
    """

    def __init__(self, folder: str | os.PathLike[str], *, save_freq: int | str = "epoch") -> None:
        super().__init__()
        is_count = isinstance(save_freq, int) and not isinstance(save_freq, bool) and save_freq > 0
        if save_freq != "epoch" and not is_count:
            raise InputError(
                received=f"save_freq={save_freq!r}",
                expected="a number of batches from 1, or 'epoch'",
                mend="pass for example save_freq=100",
            )
        self.file = Path(folder) / _FILE
        self.save_freq = save_freq
        self._backup: Backup | None = None
        self._position = Position(epoch=0, batches=0)
        self._since_backup = 0
        self._passed = self._to_pass = 0
        self._end_passing: Callable[[], None] = lambda: None
        self._is_proven = True
        self._rate: float | None = None
        self._owns_folder = False

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self._since_backup = self._passed = self._to_pass = 0
        self._is_proven = True
        self._backup = None
        self._rate = rate_of(self.model)
        folder = self.file.parent
        self._owns_folder = not folder.exists() or self.file.exists()
        if folder.exists() and not folder.is_dir():
            raise InputError(
                received=f"folder {folder}, which is a file",
                expected="a folder, existing or new",
                mend="choose another one",
            )
        self._tell_of_half_written()
        if not self.file.exists():
            return
        self._backup = read(self.file, self.model)
        epoch = self._backup.position.epoch
        if epoch >= self.params["epochs"]:
            raise InputError(
                received=f"the backup {self.file} of epoch {epoch + 1}, and epochs={self.params['epochs']}",
                expected="as many epochs as the interrupted training had",
                mend="pass more epochs, or delete the backup and training starts anew",
            )
        self._backup.give_back(self.model)
        self._backup.give_back_randomness()
        self._keep_own_rate(self._backup)
        self.model._initial_epoch = epoch  # read by fit, as for BackupAndRestore

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self.model._initial_epoch = None  # Keras would begin the next fit there too
        backup, self._backup = self._backup, None
        self._position = Position(epoch=epoch, batches=0)
        if backup is None or not backup.position.batches:
            self._look_at_first_batch()
        else:
            self._position = backup.position
            self._to_pass = backup.position.batches
            self._pass_over(backup)

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        trained = batch + 1
        if trained <= self._position.batches:
            return  # passed over
        if not math.isfinite((logs or {}).get("loss", 0.0)):
            if not self._is_proven:  # the weights that gave this loss are those of the backup
                self.file.unlink(missing_ok=True)
            return  # nothing to go on from
        self._is_proven = True
        self._since_backup += trained - self._position.batches
        self._position = replace(self._position, batches=trained)
        if self.save_freq != "epoch" and self._since_backup >= int(self.save_freq):
            self._save()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if self._passed < self._to_pass:
            self._end_passing()
            raise InputError(
                received=f"an epoch of {self._passed} batches, of which the backup {self.file} has trained "
                f"{self._to_pass}",
                expected="the data, batch size and steps_per_epoch of the interrupted training",
                mend="pass them, or delete the backup and training starts anew",
            )
        self._passed = self._to_pass = 0
        if self.save_freq == "epoch":
            self._position = Position(epoch=epoch + 1, batches=0)
            self._save()

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        self.file.unlink(missing_ok=True)
        if self._owns_folder:
            with suppress(OSError):  # something else lies there
                self.file.parent.rmdir()

    def _save(self) -> None:
        self._since_backup = 0
        if first_not_finite(self.model) is None:
            write(self.file, self.model, self._position, rate=self._rate)
            self._is_proven = False  # a step that went too far shows in the loss of the next

    def _keep_own_rate(self, backup: Backup) -> None:
        """Go on at the rate that the model was compiled with, where that is another than in the backup's training."""
        if None in (self._rate, backup.rate) or self._rate == backup.rate:
            return
        optimizer = self.model.optimizer
        getattr(optimizer, "inner_optimizer", optimizer).learning_rate = self._rate
        warnings.warn(
            f"the backup {self.file} was made at learning rate {backup.rate:g}; training goes on at {self._rate:g}, as "
            "the model was compiled",
            stacklevel=2,
        )

    def _look_at_first_batch(self) -> None:
        """Note the epoch's first batch; Keras shows batches to nobody but its training function."""
        model = self.model  # asked for within a step, JAX's state would be set back to that of the step before

        def look(train: Any, *arguments: Any) -> Any:
            batches = _read(arguments[-1], model.steps_per_execution)
            self._position = replace(self._position, first_batch=_digest(batches[0]))
            given = batches if isinstance(arguments[-1], list) else iter(batches)
            return train(*arguments[:-1], given)

        _take_over(model, look, calls=1)

    def _pass_over(self, backup: Backup) -> None:
        """Read the batches that are trained already, without training them again."""
        model, position = self.model, backup.position
        given = _give_metrics(model, backup)

        def pass_over(train: Any, *arguments: Any) -> Any:
            nonlocal given
            batches = _read(arguments[-1], model.steps_per_execution)
            if not self._passed:
                _require_same_data(_digest(batches[0]), position, self.file)
            self._passed += len(batches)
            if self._passed >= position.batches:
                backup.give_back_randomness()
            if given is None:  # TensorFlow's metrics have no variables before the first batch
                model._symbolic_build(data_batch=batches[0])
                given = _give_metrics(model, backup)
            return (given, arguments[0]) if keras.backend.backend() == "jax" else given

        self._end_passing = _take_over(model, pass_over, calls=math.ceil(position.batches / model.steps_per_execution))

    def _tell_of_half_written(self) -> None:
        """A training killed while it wrote leaves the beginning of a backup beside the last whole one."""
        left = list(self.file.parent.glob(f".{self.file.stem}.*.tmp{self.file.suffix}"))
        if left:
            whole = "goes on from the backup before" if self.file.exists() else "starts anew, there is no other"
            warnings.warn(f"{left[0]} is a half-written backup and is deleted: training {whole}", stacklevel=2)
        for file in left:
            file.unlink()


def _take_over(model: keras.Model, function: Callable[..., Any], calls: int) -> Callable[[], None]:
    """Let `function(train function, *its arguments)` stand for the model's training function for so many calls; returns
    what ends that earlier.
    """
    train, left = model.train_function, calls

    def instead(*arguments: Any) -> Any:
        nonlocal left
        left -= 1
        try:
            return function(train, *arguments)
        except BaseException:
            left = 0
            raise
        finally:
            if not left:
                model.train_function = train

    def end() -> None:
        model.train_function = train

    model.train_function = instead
    return end


def _read(batches: Any, count: int) -> list[Any]:
    read = list(itertools.islice(batches, count))
    if not read:
        raise StopIteration  # as training functions end an epoch
    return read


def _give_metrics(model: keras.Model, backup: Backup) -> dict[str, Any] | None:
    """The logs of metrics that have their values back; None where they are not built yet."""
    variables = model.metrics_variables
    if len(variables) != len(backup.metrics):
        return None
    for variable, value in zip(variables, backup.metrics, strict=True):
        variable.assign(value)
    logs: dict[str, Any] = model.get_metrics_result()
    return logs


def _digest(batch: Any) -> str:
    """SHA-256 of all numbers of a batch, on all devices."""
    digest = hashlib.sha256()
    for leaf in keras.tree.flatten(batch):
        parts = getattr(leaf, "values", None)  # of several devices; a PyTorch tensor has a method of that name
        for part in parts if isinstance(parts, tuple | list) else [leaf]:
            array = keras.ops.convert_to_numpy(part) if keras.ops.is_tensor(part) else np.asarray(part)
            if array.dtype.kind != "O":  # a missing label or weight
                digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def _require_same_data(first_batch: str, position: Position, file: Path) -> None:
    if first_batch != position.first_batch:
        raise InputError(
            received=f"data whose epoch {position.epoch + 1} begins with another batch than in the backup {file}",
            expected="the data, batch size and order of the interrupted training",
            mend="call keras.utils.set_random_seed before fit, do not reshuffle a dataset each time, "
            "or delete the backup and training starts anew",
        )

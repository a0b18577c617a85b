# SPDX-License-Identifier: Apache-2.0
"""Fitting: the same function for float models, for the fair control, and for simulations."""

import math
import operator
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import keras
import numpy as np

from lowbit.errors import InputError
from lowbit.training.averaging import WeightAverage
from lowbit.training.batch_norm import BatchNorm, Reestimation, set_batch_norm
from lowbit.training.checks import BatchCheck, check_batches, check_settings
from lowbit.training.compiling import compiles_by_xla
from lowbit.training.distilling import Distillation
from lowbit.training.events import History, Reporter, TrainingEvent
from lowbit.training.feed import batch_size, labelled, targets
from lowbit.training.losses import Loss, accuracy, choose_loss, counts_right_answers, is_of_units, is_single_logit
from lowbit.training.predict import predict
from lowbit.training.stopping import EarlyStopping, weights_kept_on_failure

_REESTIMATION_BATCHES = 32


def fit(
    model: keras.Model,
    train: Iterable[Any],
    validation: Iterable[Any] | None,
    *,
    epochs: int,
    learning_rate: float | keras.optimizers.schedules.LearningRateSchedule,
    patience: int = 4,
    batch_norm: BatchNorm = "train",
    average_weights: bool = False,
    validated: keras.Model | None = None,
    seed: int = 0,
    loss: Loss | None = None,
    teacher: keras.Model | None = None,
    teacher_share: float = 0.5,
    callbacks: Sequence[keras.callbacks.Callback] | keras.callbacks.Callback = (),
    on_event: Callable[[TrainingEvent], Any] | None = None,
) -> History:
    """Train `model` in place with Adam; early stopping on validation, the weights of the best epoch restored.

    Same seed, data, machine and number of threads give bit-identical weights: Python's, NumPy's and the backend's
    random state are seeded, and batches arrive in order from one thread. With TensorFlow the process must also run the
    ops of a step one after another: start it with TF_NUM_INTEROP_THREADS=1, which costs nothing measurable (an op still
    uses all threads). Without it, three runs of eight steps of MobileNetV2 at 128 px gave three models that differ in
    last bits, with `enable_op_determinism` too; with it, one.

    XLA is off but on JAX: with TensorFlow, for the zoo's `small_cnn` on 2 cores, a step takes 5 ms without it and 11 ms
    with it, the first one 1.5 s and 3 s. Keras's own `model.fit` is not used: fed from an endless generator it
    validates on shifting parts of the split, because it reads ahead.

    A training that fails or is interrupted leaves the weights as they were. The model stays compiled for what it was
    trained with.

    Args:
        model: compiled or not; only its trainable layers are trained.
        train: re-iterable of (inputs, labels), inputs an array or a dict by input name, labels integers of shape
            (batch,), or for several outputs an array with a field for each; one iteration is one epoch.
        validation: likewise; None trains for all epochs.
        epochs: at most so many.
        learning_rate: a number, or a Keras schedule over steps.
        patience: epochs without a better validation before training stops: more right answers, or a lower loss where
            answers are not right or wrong.
        batch_norm: "train"; "freeze" keeps statistics and weights of every batch norm, for fine-tuning; "reestimate"
            trains and, after each epoch and before validation, measures statistics again for the weights as they are.
        average_weights: validate, stop by and end with the moving average of the weights instead of the weights of
            single steps (see `averaging`); for fine-tuning.
        validated: a model that shares the weights of `model`, and is validated in its place.
        teacher: a model whose answers are trained on beside the labels (see `distilling`): a forward pass more a step.
        teacher_share: of the loss that is against the teacher's answers, above 0 up to 1.
        loss: of (integer labels, outputs); else the model's compiled loss, else inferred (`infer_loss`).
        callbacks: Keras callbacks, for schedules. Progress bars are the caller's, drawn from `on_event`.

    Raises:
        InputError: settings out of range, batches without labels, that do not fit the model and its loss, that can be
            read only once, or none at all; nothing to train, no loss that fits, a teacher with other inputs or outputs,
            a loss that is NaN or infinite.
    """
    check_settings(model, epochs=epochs, learning_rate=learning_rate, patience=patience, seed=seed)
    check_batches("training", train, times=epochs + (batch_norm == "reestimate"))
    if validation is not None:
        check_batches("validation", validation, times=epochs)
    chosen_loss = choose_loss(model, loss)
    started_s = time.perf_counter()
    keras.utils.set_random_seed(seed)
    with set_batch_norm(model, batch_norm), weights_kept_on_failure(model):
        taught = None if teacher is None else Distillation(model, teacher, chosen_loss, teacher_share)
        optimizer = keras.optimizers.Adam(learning_rate)
        _compile(model, optimizer, chosen_loss, taught)
        run = _Run(
            model=model,
            validated=model if validated is None else validated,
            train=train,
            validation=validation,
            loss=chosen_loss,
            check=BatchCheck(model, chosen_loss),
            taught=taught,
            reestimation=Reestimation(model) if batch_norm == "reestimate" else None,
            average=WeightAverage(model.trainable_variables, operator.length_hint(train)) if average_weights else None,
            stopping=EarlyStopping(model, patience),
            reporter=Reporter(on_event, epochs, operator.length_hint(train)),
            callbacks=keras.callbacks.CallbackList(
                keras.tree.flatten(callbacks), model=model, epochs=epochs, verbose=0
            ),
        )
        run.callbacks.on_train_begin()
        for epoch in range(1, epochs + 1):
            if run.epoch(epoch) or model.stop_training:
                break
        run.finish()
        run.callbacks.on_train_end(run.history[-1])
        if taught is not None:
            _compile(model, optimizer, chosen_loss, None)  # for labels without a teacher's answers
    return History.of(run.history, run.stopping.best_epoch, time.perf_counter() - started_s)


@dataclass(kw_only=True)
class _Run:
    """One training, epoch by epoch; `history` grows by the logs of each."""

    model: keras.Model
    validated: keras.Model
    train: Iterable[Any]
    validation: Iterable[Any] | None
    loss: Loss
    check: BatchCheck
    taught: Distillation | None
    reestimation: Reestimation | None
    average: WeightAverage | None
    stopping: EarlyStopping
    reporter: Reporter
    callbacks: keras.callbacks.CallbackList
    history: list[dict[str, float]] = field(default_factory=list)

    def epoch(self, epoch: int) -> bool:
        """Train on every batch, then validate; whether training should stop."""
        self.reporter.epoch_start(epoch)
        self.callbacks.on_epoch_begin(epoch - 1)
        logs = self._train(epoch)
        with self.average.in_model() if self.average is not None else nullcontext():
            if self.reestimation is not None:
                self.reestimation.run(self.train, _REESTIMATION_BATCHES)
            if self.validation is not None:
                logs |= self._validate(epoch)
            stop = self.stopping.update(epoch, logs.get("val_loss"), logs.get("val_accuracy"))
        self.history.append(logs)
        self.callbacks.on_epoch_end(epoch - 1, logs)
        self.reporter.epoch_end(epoch, logs)
        return stop

    def finish(self) -> None:
        """Leave the best epoch's weights in the model; without validation, those at the end."""
        if self.average is not None:
            self.average.keep()
        self.stopping.restore()

    def _train(self, epoch: int) -> dict[str, float]:
        means = _Means()
        for step, (inputs, labels) in enumerate(labelled(self.model, self.train), start=1):
            self.check(inputs, labels, f"epoch {epoch}, batch {step}")
            self.callbacks.on_train_batch_begin(step - 1)
            wanted = targets(self.model, labels) if self.taught is None else self.taught.labels(inputs, labels)
            logs = self.model.train_on_batch(inputs, wanted, return_dict=True)
            self.callbacks.on_train_batch_end(step - 1, logs)  # first, as a simulation's check names a layer
            self._check_finite(float(logs["loss"]), f"epoch {epoch}, batch {step}")
            means.add(logs, batch_size(inputs))
            if self.average is not None:
                self.average.update()
            self.reporter.batch(epoch, step, means.values)
        if means.samples == 0:
            raise InputError(
                received="training data without a batch",
                expected="at least one batch",
                mend="pass data that is not empty",
            )
        return means.values()

    def _validate(self, epoch: int) -> dict[str, float]:
        outputs, labels = predict(self.validated, self._checked_validation())
        labels = np.asarray(labels)
        loss = sum(
            float(np.mean(keras.ops.convert_to_numpy(keras.losses.get(one)(wanted, given))))
            for one, wanted, given in zip(
                *map(keras.tree.flatten, (self.loss, targets(self.validated, labels), outputs)), strict=True
            )
        )
        self._check_finite(loss, f"validation after epoch {epoch}")
        if not counts_right_answers(self.loss):
            return {"val_loss": loss}
        return {"val_loss": loss, "val_accuracy": accuracy(outputs, labels, is_single_logit(self.loss))}

    def _checked_validation(self) -> Iterator[tuple[Any, np.ndarray]]:
        for number, (inputs, labels) in enumerate(labelled(self.model, self.validation or ()), start=1):
            self.check(inputs, labels, f"validation, batch {number}")
            yield inputs, labels

    def _check_finite(self, loss: float, where: str) -> None:
        if not math.isfinite(loss):
            rate = float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate))
            raise InputError(
                received=f"loss {loss} in {where}, at learning rate {rate:g}",
                expected="a finite loss",
                mend="pass a smaller learning rate (--lr, --qat-lr), or look for NaN and wrong labels in the data",
            )


class _Means:
    """Means of logged values over the samples seen."""

    def __init__(self) -> None:
        self.samples = 0
        self._sums: dict[str, float] = {}

    def add(self, logs: Mapping[str, Any], samples: int) -> None:
        self.samples += samples
        for name, value in logs.items():
            self._sums[name] = self._sums.get(name, 0.0) + float(value) * samples

    def values(self) -> dict[str, float]:
        return {name: total / self.samples for name, total in self._sums.items()}


def _compile(
    model: keras.Model, optimizer: keras.optimizers.Optimizer, loss: Loss, taught: Distillation | None
) -> None:
    right: Callable[..., Any] = keras.metrics.sparse_categorical_accuracy
    if is_of_units(loss):
        right = partial(keras.metrics.binary_accuracy, threshold=0.0 if is_single_logit(loss) else 0.5)
    metrics = []
    if counts_right_answers(loss):
        counted = right if taught is None else taught.of_labels(right)
        metrics.append(keras.metrics.MeanMetricWrapper(counted, name="accuracy"))
    model.compile(
        optimizer,
        loss if taught is None else taught.loss,
        metrics=metrics,
        jit_compile=compiles_by_xla(),
    )
    model.stop_training = False

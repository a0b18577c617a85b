# SPDX-License-Identifier: Apache-2.0
"""How the models are trained that recipes start from: float, control, QAT, QAT from scratch.

The control and QAT differ in one thing only, the quantizers: same function, data order, epochs, learning
rate, trainable layers and batch-norm handling. So what QAT gains over the control is due to quantizers, and
what both gain over the float model is due to training on.
"""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras

from lowbit.errors import InputError
from lowbit.qat import fit as fit_simulation
from lowbit.recipes.recipe import STAGES
from lowbit.simulation import quantize_model
from lowbit.spec import Rule
from lowbit.training import History, fit, infer_loss, unfreeze


@dataclass(frozen=True, kw_only=True)
class Training:
    """Settings of one training.

    Args:
        batch_norm: "train", "freeze" or "reestimate" (see `lowbit.training.fit`).
        ranges: of a simulation, "tracked" or "learned" (see `lowbit.quantize_model`).
        teacher_share: of the loss that is against the answers of the model to start from; None trains on labels alone.
    """

    epochs: int
    learning_rate: float
    patience: int = 4
    batch_norm: str = "reestimate"
    ranges: str = "tracked"
    teacher_share: float | None = None
    seed: int = 0

    def options(self) -> dict[str, Any]:
        """Arguments of `fit`."""
        return {name: value for name, value in vars(self).items() if name not in ("ranges", "teacher_share")}


@dataclass(frozen=True, kw_only=True)
class Batches:
    """What is trained on: re-iterables of `(inputs, labels)`, and batches to calibrate the first ranges on.

    `task` says what the labels are, `tasks` that of each output's where there are several, as of
    `lowbit.training.infer_loss`.
    """

    train: Any
    validation: Any
    calibration: Any = None
    task: str = "classification"
    tasks: Mapping[str, str] = field(default_factory=dict)


def train(
    stage: str,
    model: keras.Model,
    batches: Batches,
    settings: Training,
    on_event: Callable[[Any], None] | None = None,
    *,
    rules: Sequence[Rule] = (),
    input_shape: Any = None,
) -> tuple[keras.Model, History]:
    """The model of a stage and the history of its training; `model`, the one to start from, is never changed.

    Stage "float" trains the layers that are trainable in `model`, as the guide does; all other stages train every layer
    and end with averaged weights.
    `rules` are for single layers of a QAT stage's simulation, `input_shape` for sizes that are free in `model`.
    Raises InputError for an unknown stage, for rules in a stage without a simulation, and what `quantize_model` and
    `lowbit.training.fit` raise.
    """
    if stage not in STAGES:
        raise InputError(
            received=f"stage {stage!r}", expected=f"one of {', '.join(STAGES)}", mend="choose one of these"
        )
    if rules and not stage.startswith("qat-"):
        raise InputError(
            received=f"rules for stage {stage!r}", expected="a stage with quantizers", mend="leave the rules out"
        )
    is_compiled = getattr(model, "compiled", False) and model.loss is not None
    loss = model.loss if is_compiled else infer_loss(model, batches.task, batches.tasks)
    options = {**settings.options(), "loss": loss, "on_event": on_event}
    start = copy(model)
    if stage == "float":
        return start, fit(start, batches.train, batches.validation, **options)
    unfreeze(start)
    options["average_weights"] = True
    if settings.teacher_share is not None:
        options |= {"teacher": copy(model), "teacher_share": settings.teacher_share}
    if stage == "finetuned":
        return start, fit(start, batches.train, batches.validation, **options)
    spec = stage.removeprefix("qat-").removeprefix("scratch-")
    simulation = quantize_model(
        start, spec, rules=rules, calibration=batches.calibration, input_shape=input_shape, ranges=settings.ranges
    )
    return simulation, fit_simulation(simulation, batches.train, batches.validation, **options)


def copy(model: keras.Model) -> keras.Model:
    """The same model again: through a file, which keeps shared layers, names and custom layers alike."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "copy.keras"
        model.save(path)
        return keras.saving.load_model(path)

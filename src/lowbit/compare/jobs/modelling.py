# SPDX-License-Identifier: Apache-2.0
"""The model that is compared, and its trainings: float, control, QAT, QAT from scratch."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np

from lowbit.card import read_card, write_card
from lowbit.compare.dataset import open_data
from lowbit.compare.folder import INITIAL, model_path
from lowbit.compare.jobs.opening import feed, keras_card, open_model, start
from lowbit.compare.named_metrics import check_metrics
from lowbit.engines import JobContext
from lowbit.errors import InputError, UnsupportedError
from lowbit.functions import is_function_word
from lowbit.outputs import match, output_names
from lowbit.recipes.summary import summary_text
from lowbit.recipes.training import Batches, Training, train
from lowbit.simulation import Simulation
from lowbit.training import unfreeze
from lowbit.training.feed import by_output
from lowbit.zoo import check_classes, freeze_base, load_model, save_model
from lowbit.zoo.checks import check_class_count, check_inputs, check_numbers, check_outputs


def open_initial(
    context: JobContext,
    *,
    identity: Mapping[str, Any],
    inputs: Mapping[str, Any] | None,
    classes: int | None,
    seed: int,
    model: str,
    model_args: Mapping[str, str],
) -> dict[str, Any]:
    """Load or build the model and keep it as a file; returns what the other jobs must know about it.

    `identity` names the model and its settings, with hashes in the place of paths.
    """
    start(seed)
    shapes = None if inputs is None else {name: tuple(shape) for name, shape in inputs.items()}
    loaded = load_model(model, inputs=shapes, classes=classes, model_args=dict(model_args), seed=seed)
    if isinstance(loaded.model, Simulation):
        raise InputError(
            received=f"{model}, which is a simulation already",
            expected="a float model",
            mend="pass the model it was made of; to write the simulation as a file: lowbit export",
        )
    try:
        save_model(loaded.model, context.output(INITIAL))
    except UnsupportedError as error:  # of the user's model, so not a row but bad input
        raise InputError(received=error.received, expected=error.expected, mend=error.mend) from error
    return {
        "name": model.replace(":", ".") if is_function_word(model) else loaded.name,
        "trained": loaded.trained,
        "pretrained_base": loaded.has_pretrained_base,
        "class_names": None if loaded.class_names is None else list(loaded.class_names),
        "inputs": {tensor.name: list(tensor.shape[1:]) for tensor in loaded.model.inputs},
        "outputs": [list(tensor.shape[1:]) for tensor in loaded.model.outputs],
        "parameters": int(loaded.model.count_params()),
        "loss": _loss_config(loaded.model),
    }


def check_fit(
    context: JobContext,
    *,
    inputs: Mapping[str, Any],
    answers: Any,
    task: str,
    tasks: Mapping[str, str],
    metrics: Sequence[str],
    class_names_of_model: Sequence[str] | None,
    class_names_of_data: Sequence[str] | None,
    name: str,
    function: str | None,
) -> None:
    """Whether the data is what the model was made for; raises InputError when it is not.

    `answers` is the number of a sample's answers, by output where there are several, as `tasks`.
    """
    model = open_model(context.input(INITIAL), function)
    check_inputs(model, {name: tuple(shape) for name, shape in inputs.items()}, name)
    if tasks:
        check_outputs(model, tasks, answers)
    elif task == "regression":
        check_numbers(model, answers)
    else:
        check_class_count(model, answers)
        check_classes(model, class_names_of_model, class_names_of_data)
    units = [int(np.prod(tensor.shape[1:])) for tensor in model.outputs]
    if tasks:
        sizes = dict(zip(output_names(model), units, strict=True))
        check_metrics(metrics, tasks, {name: sizes[output] for name, output in match(tasks, sizes).items()})
    else:
        check_metrics(metrics, {"": task}, {"": units[0]})


def train_stage(
    context: JobContext,
    *,
    stage: str,
    source: str,
    settings: Mapping[str, Any],
    loss: Any,
    batch_size: int,
    calibration_samples: int,
    freeze: bool,
    input_shape: Mapping[str, Sequence[int]] | None,
    manifest: str,
    made_by: Mapping[str, Any],
    data: Mapping[str, Any],
    function: str | None,
) -> dict[str, Any]:
    """Train one stage and save its model; without settings the float model was trained elsewhere and is kept as is."""
    training = Training(**settings) if settings else None
    seed = training.seed if training else 0
    start(seed)
    dataset = open_data(data)
    model = open_model(context.input(source), function)
    value: dict[str, Any] = {}
    if training is not None:
        if loss is not None:
            model.compile(loss=_loss_of(loss))
        if stage == "float" and freeze:
            freeze_base(model)
        batches = Batches(
            train=feed(dataset.split("train").batches(batch_size, shuffle=True, seed=seed), model),
            validation=feed(dataset.split("validation").batches(batch_size), model),
            calibration=feed(dataset.calibration(calibration_samples, seed).batches(batch_size), model),
            task=dataset.task,
            tasks=dataset.tasks,
        )
        model, history = train(stage, model, batches, training, context.emit, input_shape=input_shape)
        value = {
            "trained_epochs": history.trained_epochs,
            "best_epoch": history.best_epoch,
            "logs": {name: list(values) for name, values in history.logs.items()},
        }
    unfreeze(model)  # whoever loads the file and trains on expects all layers to train
    path = context.output(model_path(stage))
    save_model(model, path)
    context.output(f"{model_path(stage)}.json")
    keras_card(path, model, recipe=path.stem, data=dataset, made_by=made_by)
    return {**value, "summary": summary_text(model)}


def refuse_scratch(context: JobContext, *, model: str) -> None:
    """Stands in for training from scratch where there is no untrained model: always raises UnsupportedError."""
    raise UnsupportedError(
        received=f"model {model!r}, which comes trained",
        expected="a zoo model: training from scratch starts at the zoo's initial weights",
        mend="leave this recipe out, or name a zoo model",
    )


def write_h5(context: JobContext, *, source: str, output: str, function: str | None) -> None:
    """The same model in the older format, with a card of its own."""
    start(0)
    path = context.output(output)
    save_model(open_model(context.input(source), function), path)
    card = read_card(context.input(source))
    context.output(f"{output}.json")
    if card is not None:
        write_card(path, card)


def _loss_config(model: keras.Model) -> Any:
    """The compiled loss as JSON, for a model that was trained elsewhere, in a list for several outputs; None lets it be
    inferred."""
    if not getattr(model, "compiled", False) or model.loss is None:
        return None
    loss = by_output(model, model.loss) if isinstance(model.loss, dict) else model.loss
    if len(model.outputs) > 1 and not isinstance(loss, str | keras.losses.Loss):
        each = [_config(one) for one in keras.tree.flatten(loss)]
        return None if None in each else each
    return _config(loss)


def _config(loss: Any) -> Any:
    if isinstance(loss, keras.losses.Loss):
        config: dict[str, Any] = keras.losses.serialize(loss)
        return config
    return loss if isinstance(loss, str) else None


def _loss_of(config: Any) -> Any:
    if isinstance(config, list):
        return [_loss_of(one) for one in config]
    return keras.losses.deserialize(config) if isinstance(config, dict) else config

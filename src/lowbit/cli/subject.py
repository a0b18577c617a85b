# SPDX-License-Identifier: Apache-2.0
"""A command's model and data, brought together. Loads keras: imported inside the commands that need it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lowbit import __version__, records
from lowbit.card import Card, read_card
from lowbit.cli import options
from lowbit.compare import Settings
from lowbit.compare.dataset import labelled_split
from lowbit.compare.jobs.opening import feed
from lowbit.compare.subject import data_arguments, data_arguments_of_file, is_from_file, sizes_of_data
from lowbit.data import Dataset, Split, check_place, load_dataset
from lowbit.errors import InputError
from lowbit.results import ParityResult
from lowbit.simulation import Simulation
from lowbit.zoo import LoadedModel, load_file, load_model
from lowbit.zoo.checks import check_class_count, check_classes, check_inputs

__all__ = [
    "Subject",
    "counts",
    "data_for_file",
    "feed",
    "labelled_split",
    "made_by",
    "open_simulation",
    "open_subject",
    "sizes",
    "split_of",
]


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A float model and, where given, the data that it takes; `told` is the card beside the model's file.

    `input_shape` holds the sizes to run it at, by input name, where its own are free; None where they are not.
    """

    loaded: LoadedModel
    dataset: Dataset | None
    told: Card | None
    input_shape: dict[str, tuple[int, ...]] | None = None

    @property
    def model(self) -> Any:
        return self.loaded.model

    @property
    def data(self) -> Dataset:
        """The data of a command that cannot do without; ValueError when there is none."""
        if self.dataset is None:
            raise ValueError(f"no data for {self.loaded.name!r}, though the command asks for it")
        return self.dataset


def open_subject(
    model: str,
    data: str | None,
    *,
    model_arg: Sequence[str] | None,
    preprocess: str | None,
    image_size: str | None,
    seed: int,
    input_shape: Any = None,
) -> Subject:
    """Load a float model and its data; `input_shape` is for a model whose sizes are free.

    Raises InputError when they do not belong together or cannot be used, and for a model that is a simulation.
    """
    settings = Settings(
        dataset=data or "none",
        model=model,
        preprocess=preprocess,
        image_size=options.image_size(image_size),
        seed=seed,
        model_args=options.model_args(model_arg),
    )
    if data is not None:
        check_place(data)
    from_file = is_from_file(model)
    dataset = None if data is None or from_file else load_dataset(**data_arguments(settings))
    loaded = load_model(
        model,
        inputs=None if dataset is None else dataset.inputs,
        classes=None if dataset is None else dataset.classes,
        model_args=settings.model_args,
        seed=seed,
    )
    if isinstance(loaded.model, Simulation):
        raise InputError(
            received=f"{model}, which is a simulation already",
            expected="a float model",
            mend="to write the simulation as a file: lowbit export",
        )
    if data is not None and from_file:
        given = _by_name(loaded.model, input_shape)
        told = {name: list(given.get(name, shape)) for name, shape in _shapes(loaded.model).items()}
        dataset = load_dataset(**data_arguments_of_file(settings, {"inputs": told}))
        _check(loaded.model, loaded.class_names, dataset, model)
    return Subject(
        loaded=loaded,
        dataset=dataset,
        told=read_card(model) if from_file else None,
        input_shape=sizes(loaded.model, None if dataset is None else dataset.inputs, input_shape),
    )


def sizes(model: Any, data: Mapping[str, Sequence[int]] | None, input_shape: Any) -> dict[str, tuple[int, ...]] | None:
    """What `quantize_model` takes as `input_shape`: what was asked for, else the data's own sizes where some are free.

    Args:
        data: shape of one sample by input name. A single input may differ in name.
        input_shape: as asked for, sizes or a dict of them by input name.

    Raises:
        InputError: sizes for an input that there is not, or other ones than the model's own.
    """
    given = _by_name(model, input_shape)
    return given or (None if data is None else sizes_of_data(_shapes(model), data))


def _by_name(model: Any, input_shape: Any) -> dict[str, tuple[int, ...]]:
    """The sizes that were asked for, by input name; raises InputError when the model's inputs do not take them."""
    if input_shape is None:
        return {}
    shapes = _shapes(model)
    is_named = isinstance(input_shape, Mapping)
    given = {name: tuple(shape) for name, shape in input_shape.items()} if is_named else {"": tuple(input_shape)}
    if not is_named and len(shapes) == 1:
        given = {next(iter(shapes)): given[""]}
    for name, shape in given.items():
        own = shapes.get(name)
        if own is None or len(own) != len(shape) or any(a not in (None, b) for a, b in zip(own, shape, strict=True)):
            words = ",".join(str(size) for size in shape)
            raise InputError(
                received=f"--input-shape {name}{'=' if name else ''}{words}",
                expected="sizes for inputs " + ", ".join(f"{known} {tuple(size)}" for known, size in shapes.items()),
                mend="give sizes in the place of None" if own else "name an input: --input-shape NAME=SIZES",
            )
    return given


def open_simulation(path: Path) -> Simulation:
    """A saved simulation; raises InputError for a float model, FileFormatError for a file that is none."""
    model = load_file(path)
    if not isinstance(model, Simulation):
        raise InputError(
            received=f"{path}, a float model",
            expected="a simulation",
            mend="make one with lowbit qat, or write the float model with lowbit quantize",
        )
    model.require_calibrated()
    return model


def data_for_file(
    path: Path, model: Any, data: str, *, preprocess: str | None, image_size: str | None, seed: int
) -> Dataset:
    """The data as the Keras model in `path` takes it, by its card or by options; raises InputError if it does not."""
    size = options.image_size(image_size)
    settings = Settings(dataset=data, model=str(path), preprocess=preprocess, image_size=size, seed=seed)
    dataset = load_dataset(**data_arguments_of_file(settings, {"inputs": _shapes(model)}))
    card = read_card(path)
    _check(model, None if card is None else card.class_names, dataset, str(path))
    return dataset


def _shapes(model: Any) -> dict[str, list[int | None]]:
    return {tensor.name: list(tensor.shape[1:]) for tensor in model.inputs}


def _check(model: Any, class_names: Sequence[str] | None, dataset: Dataset, source: str) -> None:
    check_inputs(model, dataset.inputs, source)
    if dataset.classes is not None and len(model.outputs) > 1:
        names = ", ".join(model.output_names)
        raise InputError(
            received=f"{source} with {len(model.outputs)} outputs: {names}",
            expected="labels for each output, in a .npz as y_train.<output name>, where data has labels",
            mend="name them so, or use Python: lowbit.export(model, 'model.tflite', spec='w8a8', calibration=...)",
        )
    if dataset.classes is not None:
        check_class_count(model, dataset.classes)
    check_classes(model, class_names, dataset.class_names)


def split_of(dataset: Dataset, name: str | None = None) -> Split:
    """The split of that name; without a name validation, or what training data there is."""
    if name is not None:
        return dataset.split(name)
    return dataset.split("train" if dataset.validation is None else "validation")


def counts(dataset: Dataset) -> str:
    """Sample counts of each split, in words."""
    return f"{dataset.name}: " + ", ".join(f"{count:,} {name}" for name, count in dataset.counts.items())


def made_by(command: str, parity: ParityResult | None = None, **settings: Any) -> dict[str, Any]:
    """How a file was made, for its card; of the parity the summary, not each tensor."""
    measured = None if parity is None else {**records.encode(parity), "per_tensor": []}
    return {"command": f"lowbit {command}", "lowbit": __version__, **settings, "parity": measured}

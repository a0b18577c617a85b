# SPDX-License-Identifier: Apache-2.0
"""The model and the data of a comparison, brought together: sizes, preprocessing, classes, and what identifies them."""

import importlib.util
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lowbit.card import read_card
from lowbit.compare.dataset import open_data
from lowbit.compare.folder import INITIAL
from lowbit.compare.preprocessing import holds_arrays, not_told, told_preprocessing
from lowbit.compare.settings import Settings
from lowbit.data import Dataset
from lowbit.engines import Job
from lowbit.errors import InputError
from lowbit.files import sha256
from lowbit.functions import is_function_word
from lowbit.zoo import default_image_size, default_preprocess
from lowbit.zoo.catalog import entry, is_name

MODELLING = "lowbit.compare.jobs.modelling"


def is_zoo_name(model: str) -> bool:
    """Whether MODEL means a zoo model, not a file or a function; InputError for what can be neither."""
    if is_function_word(model) or Path(model).is_file():
        return False
    if not is_name(model) and (Path(model).suffix.lower() in (".keras", ".h5") or os.sep in model):
        raise InputError(
            received=f"model {model!r}, which is no file", expected="a .keras or .h5 file", mend="check the path"
        )
    entry(model)
    return True


def is_from_file(model: str) -> bool:
    """Whether MODEL is a file, which itself says what data it takes."""
    return not is_function_word(model) and not is_zoo_name(model)


def data_arguments(settings: Settings) -> dict[str, Any]:
    """Arguments of `load_dataset` for a zoo model or a function: what was asked for, else what the zoo model wants."""
    model = settings.model
    side = default_image_size(model) if is_zoo_name(model) else None
    size = settings.image_size or (None if side is None else (side, side))
    return {
        "data": settings.dataset,
        "seed": settings.seed,
        "image_size": None if size is None else list(size),
        "preprocess": settings.preprocess or (default_preprocess(model) if is_zoo_name(model) else None),
        "channels": None if side is None else 3,
    }


def data_arguments_of_file(settings: Settings, info: Mapping[str, Any]) -> dict[str, Any]:
    """The same for a model from a file: its card tells, or the shape of its input and `--preprocess`.

    Raises InputError when nothing tells how images were preprocessed.
    """
    card = read_card(settings.model)
    size = None if settings.image_size is None else list(settings.image_size)
    told = told_preprocessing(
        settings.model, card, list(info["inputs"].values()), preprocess=settings.preprocess, image_size=size
    )
    if told.get("preprocess") is None and not holds_arrays(settings.dataset):
        raise not_told(settings.model, card)
    return {"data": settings.dataset, "seed": settings.seed, **told}


def sizes_of_data(
    own: Mapping[str, Sequence[int | None]], data: Mapping[str, Sequence[int | None]]
) -> dict[str, tuple[int, ...]] | None:
    """`input_shape` for `quantize_model`: the data's sizes, by the model's input names, where the model's own are free.

    None where all are fixed, and where the data does not tell them either. A single input may differ in name.

    >>> sizes_of_data({"image": (None, None, 1)}, {"x": (8, 8, 1)})
    {'image': (8, 8, 1)}
    """
    if not any(None in shape for shape in own.values()):
        return None
    known = {name: tuple(size for size in shape if size is not None) for name, shape in data.items()}
    if any(len(known[name]) < len(shape) for name, shape in data.items()):
        return None
    return dict(zip(own, known.values(), strict=True)) if len(own) == len(known) == 1 else known


def labelled(data: Mapping[str, Any]) -> Dataset:
    """The data set; InputError unless it has labelled training, validation and test samples."""
    dataset = open_data(data)
    for name in ("train", "validation", "test"):
        split = getattr(dataset, name)
        if split is None or split.labels is None:
            raise InputError(
                received=f"data {dataset.name!r} without {'labels' if split is not None else f'a {name} split'}",
                expected="labelled samples to train, validate and test on",
                mend="put the images into folders named after their classes; "
                "unlabelled images are enough for: lowbit quantize",
            )
    return dataset


def model_job(settings: Settings, dataset: Dataset | None) -> Job:
    """The job that opens the model; without a data set the model itself says what it takes."""
    return Job(
        name="model",
        function=f"{MODELLING}:open_initial",
        arguments={
            "identity": _identity(settings),
            "inputs": None if dataset is None else {name: list(shape) for name, shape in dataset.inputs.items()},
            "classes": None if dataset is None else dataset.classes,
            "seed": settings.seed,
        },
        places={"model": settings.model, "model_args": dict(settings.model_args)},
        outputs=(INITIAL,),
        essential=True,
    )


def fit_job(info: Mapping[str, Any], dataset: Dataset, function: str | None, settings: Settings) -> Job:
    """The job that checks whether data and model belong together."""
    return Job(
        name="check",
        function=f"{MODELLING}:check_fit",
        arguments={
            "inputs": {name: list(shape) for name, shape in dataset.inputs.items()},
            "answers": dataset.answers_by_output or dataset.answers,
            "task": dataset.task,
            "tasks": dataset.tasks,
            "metrics": list(settings.metrics),
            "class_names_of_model": info["class_names"],
            "class_names_of_data": None if dataset.class_names is None else list(dataset.class_names),
            "name": info["name"],
        },
        places={"function": function},
        needs=("model",),
        essential=True,
    )


def function_of(settings: Settings) -> str | None:
    """The user's function that builds the model, None for zoo models and files."""
    return settings.model if is_function_word(settings.model) else None


def _identity(settings: Settings) -> dict[str, Any]:
    """What the model is, whatever folder it lies in: its name, and the hash of every file it comes from."""
    arguments = {key: _content(value) or value for key, value in settings.model_args.items()}
    return {"model": _content(settings.model) or settings.model, "model_args": arguments}


def _content(word: str) -> str | None:
    """sha256 of the file that `word` names, or that holds the function it names; None for any other word."""
    path = Path(word)
    if is_function_word(word):
        try:
            found = importlib.util.find_spec(word.partition(":")[0])
        except (ImportError, ValueError):
            found = None
        local = Path(*word.partition(":")[0].split(".")).with_suffix(".py")
        path = Path(found.origin) if found is not None and found.origin else local
        return f"{word} {sha256(path)}" if path.is_file() else None
    return f"sha256 {sha256(path)}" if path.is_file() else None

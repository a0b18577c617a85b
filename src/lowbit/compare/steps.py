# SPDX-License-Identifier: Apache-2.0
"""The single steps of a comparison as jobs: train, write, evaluate, measure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lowbit.compare.folder import INITIAL, WORK, model_path, row_file, with_card
from lowbit.compare.settings import Settings
from lowbit.compare.verdict import REFERENCE
from lowbit.engines import Job
from lowbit.recipes import Recipe

JOBS = "lowbit.compare.jobs"
PARITY_SAMPLES = 32
MEASURED_FILES = f"{WORK}/measured.json"
PROFILES = f"{WORK}/profiles.json"


@dataclass(frozen=True, kw_only=True)
class Subject:
    """What is compared: what `open_initial` said of the model, and the data.

    opening  the job that opens the model; all others come after it
    data     arguments of `load_dataset`; a place, as `manifest` identifies the contents
    function the user's function that built the model, None for zoo models and files
    input_shape  the data's sizes by input name, for a model whose own are free; None for all others
    pictured  whether the samples are images, which can be shown
    """

    info: Mapping[str, Any]
    data: Mapping[str, Any]
    manifest: str
    opening: Job
    lowbit: str
    function: str | None = None
    input_shape: Mapping[str, Sequence[int]] | None = None
    pictured: bool = True

    @property
    def places(self) -> dict[str, Any]:
        return {"data": dict(self.data), "function": self.function}


def outputs_path(recipe: Recipe) -> str:
    return f"{WORK}/{recipe.name}.outputs.npz"


def measured_path(recipe: Recipe) -> str:
    return f"{WORK}/{recipe.name}.measured.json" if recipe.kind == "keras" else MEASURED_FILES


def measuring_job(recipe: Recipe) -> str:
    """The job that measures a row's latency."""
    return f"measure-{recipe.name}" if recipe.kind == "keras" else "measure-files"


def producer(recipe: Recipe) -> str:
    """The job that makes a row's file."""
    return f"train-{recipe.source}" if recipe.kind == "keras" else f"write-{recipe.name}"


def _source(recipe: Recipe) -> str:
    return model_path(str(recipe.source))


def training(stage: str, settings: Settings, subject: Subject) -> Job:
    name, info = f"train-{stage}", subject.info
    if stage == "qat-scratch-w8a8" and info["trained"]:
        return Job(name=name, function=f"{JOBS}.modelling:refuse_scratch", arguments={"model": info["name"]})
    first = stage in ("float", "qat-scratch-w8a8")
    how = _training_settings(stage, settings, info)
    return Job(
        name=name,
        function=f"{JOBS}.modelling:train_stage",
        needs=("model",) if first else ("train-float",),
        arguments={
            "stage": stage,
            "source": INITIAL if first else model_path("float"),
            "settings": how,
            "loss": info["loss"],
            "batch_size": settings.batch_size,
            "calibration_samples": settings.calibration_samples,
            "freeze": settings.freeze and info["pretrained_base"],
            "input_shape": subject.input_shape,
            "manifest": subject.manifest,
            "made_by": {"lowbit": subject.lowbit, "model": info["name"], "data": subject.manifest, "training": how},
        },
        places=subject.places,
        outputs=with_card(model_path(stage)),
        essential=stage == "float",
    )


def _training_settings(stage: str, settings: Settings, info: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of `recipes.training.Training`; none for a float model that comes trained.

    Moving statistics of batch norm follow too slowly for a short training (momentum 0.999 in MobileNets), so they are
    measured anew after each epoch (docs/decisions/0014); those of a frozen base stay as they are.
    """
    base, patience, seed = info["pretrained_base"], settings.patience, settings.seed
    common = {"batch_norm": "reestimate", "patience": patience, "seed": seed}
    if stage == "float":
        if info["trained"]:
            return {}
        return {"epochs": settings.epochs, "learning_rate": settings.lr, **common}
    if stage == "qat-scratch-w8a8":
        return {"epochs": settings.epochs, "learning_rate": settings.qat_lr if base else settings.lr, **common}
    return {"epochs": settings.tuning_epochs, "learning_rate": settings.qat_lr, **common}


def writing(recipe: Recipe, settings: Settings, subject: Subject) -> Job:
    made_by = {
        "lowbit": subject.lowbit,
        "model": subject.info["name"],
        "data": subject.manifest,
        "from": _source(recipe).rsplit("/", 1)[-1],
        "calibration_samples": settings.calibration_samples if recipe.needs_data else None,
        "seed": settings.seed,
    }
    return Job(
        name=f"write-{recipe.name}",
        function=f"{JOBS}.writing:write_file",
        needs=(f"train-{recipe.source}",),
        arguments={
            "recipe": recipe.name,
            "source": _source(recipe),
            "batch_size": settings.batch_size,
            "calibration_samples": settings.calibration_samples,
            "parity_samples": PARITY_SAMPLES,
            "seed": settings.seed,
            "input_shape": subject.input_shape,
            "manifest": subject.manifest,
            "made_by": made_by,
        },
        places=subject.places,
        outputs=with_card(row_file(recipe.name, recipe.kind)),
    )


def h5(recipe: Recipe, subject: Subject) -> Job:
    output = f"models/{recipe.name}.h5"
    return Job(
        name=f"h5-{recipe.name}",
        function=f"{JOBS}.modelling:write_h5",
        needs=(producer(recipe),),
        arguments={"source": _source(recipe), "output": output},
        places={"function": subject.function},
        outputs=with_card(output),
    )


def evaluating(recipe: Recipe, settings: Settings, subject: Subject) -> Job:
    keras = recipe.kind == "keras"
    return Job(
        name=f"evaluate-{recipe.name}",
        function=f"{JOBS}.evaluating:{'evaluate_keras' if keras else 'evaluate_file'}",
        needs=(producer(recipe),),
        arguments={
            "source": row_file(recipe.name, recipe.kind),
            "output": outputs_path(recipe),
            "metrics": list(settings.metrics),
            "manifest": subject.manifest,
        },
        places=subject.places if keras else {"data": dict(subject.data)},
        outputs=(outputs_path(recipe),),
    )


def measuring_files(made: Sequence[Recipe], settings: Settings) -> Job:
    """All files in turns; those that could not be written are not there."""
    written = [recipe for recipe in made if recipe.kind == "litert"]
    return Job(
        name="measure-files",
        function=f"{JOBS}.measuring:measure_files",
        wants=tuple(producer(recipe) for recipe in written),
        arguments={
            "sources": {recipe.name: row_file(recipe.name, recipe.kind) for recipe in written},
            "reference": REFERENCE,
            "output": MEASURED_FILES,
            "threads": settings.threads,
        },
        outputs=(MEASURED_FILES,),
    )


def measuring_keras(recipe: Recipe, settings: Settings, subject: Subject) -> Job:
    return Job(
        name=measuring_job(recipe),
        function=f"{JOBS}.measuring:measure_keras",
        needs=(producer(recipe),),
        arguments={
            "source": row_file(recipe.name, recipe.kind),
            "output": measured_path(recipe),
            "threads": settings.threads,
            "input_shape": subject.input_shape,
        },
        places={"function": subject.function},
        outputs=(measured_path(recipe),),
    )


def files(recipe: Recipe) -> dict[str, str]:
    return {
        "file": row_file(recipe.name, recipe.kind),
        "outputs": outputs_path(recipe),
    }


def samples(subject: Subject) -> Job:
    return Job(
        name="samples",
        function=f"{JOBS}.finishing:draw_samples",
        arguments={"manifest": subject.manifest, "output": "samples.png"},
        places={"data": dict(subject.data)},
        outputs=("samples.png",),
    )

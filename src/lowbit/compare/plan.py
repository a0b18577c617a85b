# SPDX-License-Identifier: Apache-2.0
"""From recipes to jobs: what must be trained, written, evaluated and measured, and in which order.

All training, then all writing and evaluating, then all measuring, so that nothing else runs beside a measurement.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from lowbit import recipes
from lowbit.compare.folder import INITIAL, RESULTS, WORK, model_path, row_file, with_card
from lowbit.compare.settings import Settings
from lowbit.compare.verdict import REFERENCE
from lowbit.engines import Job, JobResult
from lowbit.files import sha256
from lowbit.recipes import Recipe

JOBS = "lowbit.compare.jobs"
VERDICT = f"{WORK}/verdict.json"
PARITY_SAMPLES = 32

AUTO_CANDIDATES = ("float16", "weight-w8", "dynamic-w8", "ptq-w8a8", "ptq-w4a8")
"""What `auto-*` chooses among when no other file is asked for: what needs no training."""

CRITERIA = {"auto-size": "size", "auto-latency": "latency"}


@dataclass(frozen=True, kw_only=True)
class Subject:
    """What is compared: what `open_initial` said of the model, and the data.

    opening  the job that opens the model; all others come after it
    data     arguments of `load_dataset`; a place, as `manifest` identifies the contents
    function the user's function that built the model, None for zoo models and files
    """

    info: Mapping[str, Any]
    data: Mapping[str, Any]
    manifest: str
    opening: Job
    lowbit: str
    function: str | None = None

    @property
    def places(self) -> dict[str, Any]:
        return {"data": dict(self.data), "function": self.function}


@dataclass(kw_only=True)
class Plan:
    """Jobs in running order. `made` are all recipes with a file, asked for or needed by those that are."""

    asked: tuple[Recipe, ...]
    made: tuple[Recipe, ...]
    jobs: list[Job] = field(default_factory=list)

    extras: ClassVar[tuple[str, ...]] = ("samples", "models")  # jobs that no row depends on

    @property
    def candidates(self) -> tuple[Recipe, ...]:
        """Files that the verdict is about."""
        return tuple(recipe for recipe in self.made if recipe.kind == "litert" and recipe.name != REFERENCE)


def plan(asked: Sequence[Recipe], settings: Settings, subject: Subject) -> Plan:
    """The jobs for these recipes, and for those that they need."""
    made = _made(asked)
    result = Plan(asked=tuple(asked), made=made, jobs=[subject.opening])
    stages = {recipe.source for recipe in made if recipe.source is not None} | {"float"}
    result.jobs += [_training(stage, settings, subject) for stage in recipes.STAGES if stage in stages]
    result.jobs += [_writing(recipe, settings, subject) for recipe in made if recipe.kind == "litert"]
    result.jobs += [_h5(recipe, subject) for recipe in asked if recipe.kind == "keras"]
    result.jobs += [_evaluating(recipe, subject) for recipe in made]
    result.jobs += [_measuring(recipe, settings, subject) for recipe in made]
    if result.candidates:
        result.jobs += [_verdict(result, settings)]
        result.jobs += [_taking(recipe, result) for recipe in asked if recipe.automatic]
    result.jobs += [_samples(subject), _packing(result)]
    return result


def finishing_jobs(folder: Path, result: Plan, done: Mapping[str, JobResult]) -> list[Job]:
    """The jobs that draw what is in the results file."""
    told = {"results_sha256": sha256(folder / RESULTS), "source": RESULTS}
    summaries = {
        job.outputs[0]: done[job.name].value["summary"]
        for job in result.jobs
        if job.name.startswith(("train-", "write-")) and done[job.name].ok and done[job.name].value.get("summary")
    }
    return [
        Job(
            name="summary",
            function=f"{JOBS}.finishing:write_summary",
            arguments={"output": "summary.txt", "summaries": summaries},
            outputs=("summary.txt",),
        ),
        Job(
            name="tables",
            function=f"{JOBS}.finishing:write_tables",
            arguments=told,
            outputs=("table.md", "results.csv"),
        ),
        Job(
            name="tradeoff",
            function=f"{JOBS}.finishing:draw_tradeoff",
            arguments={**told, "output": "tradeoff.png"},
            outputs=("tradeoff.png",),
        ),
    ]


def _made(asked: Sequence[Recipe]) -> tuple[Recipe, ...]:
    """All recipes to be made, in the order of the registry: `float32`, the reference of all, is always among them."""
    names = {recipe.name for recipe in asked if not recipe.automatic}
    files = {recipe.name for recipe in asked if recipe.kind == "litert" and not recipe.automatic} - {REFERENCE}
    if any(recipe.automatic for recipe in asked) and not files:
        names |= set(AUTO_CANDIDATES)
    names.add(REFERENCE)
    return tuple(recipes.get(name) for name in recipes.names() if name in names)


def outputs_path(recipe: Recipe) -> str:
    return f"{WORK}/{recipe.name}.outputs.npz"


def measured_path(recipe: Recipe) -> str:
    return f"{WORK}/{recipe.name}.measured.json"


def producer(recipe: Recipe) -> str:
    """The job that makes a row's file."""
    return f"train-{recipe.source}" if recipe.kind == "keras" else f"write-{recipe.name}"


def _source(recipe: Recipe) -> str:
    return model_path(str(recipe.source))


def _training(stage: str, settings: Settings, subject: Subject) -> Job:
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
            "manifest": subject.manifest,
            "made_by": {"lowbit": subject.lowbit, "model": info["name"], "data": subject.manifest, "training": how},
        },
        places=subject.places,
        outputs=with_card(model_path(stage)),
        essential=stage == "float",
    )


def _training_settings(stage: str, settings: Settings, info: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of `recipes.training.Training`; none for a float model that comes trained.

    Statistics of a pretrained base move too slowly for a short training (momentum 0.999): where it is trained, they
    are estimated anew. The control and QAT freeze them, both alike.
    """
    base, patience, seed = info["pretrained_base"], settings.patience, settings.seed
    common = {"patience": patience, "seed": seed}
    if stage == "float":
        if info["trained"]:
            return {}
        moving = base and not settings.freeze
        return {
            "epochs": settings.epochs,
            "learning_rate": settings.lr,
            "batch_norm": "reestimate" if moving else "train",
            **common,
        }
    if stage == "qat-scratch-w8a8":
        return {
            "epochs": settings.epochs,
            "learning_rate": settings.qat_lr if base else settings.lr,
            "batch_norm": "reestimate" if base else "train",
            **common,
        }
    return {
        "epochs": settings.tuning_epochs,
        "learning_rate": settings.qat_lr,
        "batch_norm": "freeze",
        **common,
    }


def _writing(recipe: Recipe, settings: Settings, subject: Subject) -> Job:
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
            "manifest": subject.manifest,
            "made_by": made_by,
        },
        places=subject.places,
        outputs=with_card(row_file(recipe.name, recipe.kind)),
    )


def _h5(recipe: Recipe, subject: Subject) -> Job:
    output = f"models/{recipe.name}.h5"
    return Job(
        name=f"h5-{recipe.name}",
        function=f"{JOBS}.modelling:write_h5",
        needs=(producer(recipe),),
        arguments={"source": _source(recipe), "output": output},
        places={"function": subject.function},
        outputs=with_card(output),
    )


def _evaluating(recipe: Recipe, subject: Subject) -> Job:
    keras = recipe.kind == "keras"
    return Job(
        name=f"evaluate-{recipe.name}",
        function=f"{JOBS}.evaluating:{'evaluate_keras' if keras else 'evaluate_file'}",
        needs=(producer(recipe),),
        arguments={
            "source": row_file(recipe.name, recipe.kind),
            "output": outputs_path(recipe),
            "manifest": subject.manifest,
        },
        places=subject.places if keras else {"data": dict(subject.data)},
        outputs=(outputs_path(recipe),),
    )


def _measuring(recipe: Recipe, settings: Settings, subject: Subject) -> Job:
    keras = recipe.kind == "keras"
    return Job(
        name=f"measure-{recipe.name}",
        function=f"{JOBS}.measuring:{'measure_keras' if keras else 'measure_file'}",
        needs=(producer(recipe),),
        arguments={
            "source": row_file(recipe.name, recipe.kind),
            "output": measured_path(recipe),
            "threads": settings.threads,
        },
        places={"function": subject.function} if keras else {},
        outputs=(measured_path(recipe),),
    )


def _files(recipe: Recipe) -> dict[str, str]:
    return {
        "file": row_file(recipe.name, recipe.kind),
        "outputs": outputs_path(recipe),
        "measured": measured_path(recipe),
    }


def _verdict(result: Plan, settings: Settings) -> Job:
    chosen = (recipes.get(REFERENCE), *result.candidates)
    tried = [f"{step}-{recipe.name}" for recipe in chosen for step in ("write", "evaluate", "measure")]
    needed = (f"write-{REFERENCE}", f"evaluate-{REFERENCE}")
    return Job(
        name="verdict",
        function=f"{JOBS}.choosing:reach_verdict",
        needs=needed,
        wants=tuple(name for name in tried if name not in needed),
        arguments={
            "files": {recipe.name: _files(recipe) for recipe in chosen},
            "max_drop": settings.max_drop,
            "output": VERDICT,
        },
        outputs=(VERDICT,),
    )


def _taking(recipe: Recipe, result: Plan) -> Job:
    """The file of an `auto-*` recipe: a copy of the chosen one."""
    chosen = (recipes.get(REFERENCE), *result.candidates)
    return Job(
        name=f"write-{recipe.name}",
        function=f"{JOBS}.choosing:take_chosen",
        needs=("verdict",),
        wants=tuple(f"write-{candidate.name}" for candidate in chosen),
        arguments={
            "criterion": CRITERIA[recipe.name],
            "recipe": recipe.name,
            "verdict": VERDICT,
            "files": {candidate.name: _files(candidate) for candidate in chosen},
        },
        outputs=with_card(row_file(recipe.name, recipe.kind)),
    )


def _samples(subject: Subject) -> Job:
    return Job(
        name="samples",
        function=f"{JOBS}.finishing:draw_samples",
        arguments={"manifest": subject.manifest, "output": "samples.png"},
        places={"data": dict(subject.data)},
        outputs=("samples.png",),
    )


def _packing(result: Plan) -> Job:
    """One archive of every model that was asked for, in each of its formats, with cards."""
    names = {recipe.name for recipe in result.asked}
    sources = {job for recipe in result.asked for job in (producer(recipe), f"h5-{recipe.name}")}
    makers = [job for job in result.jobs if job.name in sources]
    files = [path for job in makers for path in job.outputs if Path(path).name.split(".", 1)[0] in names]
    return Job(
        name="models",
        function=f"{JOBS}.finishing:pack_models",
        wants=tuple(job.name for job in makers),
        arguments={"output": "models.zip", "files": files},
        outputs=("models.zip",),
    )

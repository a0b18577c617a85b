# SPDX-License-Identifier: Apache-2.0
"""From recipes to jobs: what must be trained, written, evaluated and measured, and in which order.

All training, then all writing and evaluating, then all measuring, so that nothing else runs beside a measurement.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from lowbit import recipes
from lowbit.compare import steps
from lowbit.compare.folder import DETAILS, REPORT, RESULTS, WORK, model_path, row_file, with_card
from lowbit.compare.settings import Settings
from lowbit.compare.verdict import REFERENCE
from lowbit.engines import Job, JobResult
from lowbit.files import sha256
from lowbit.recipes import Recipe

VERDICT = f"{WORK}/verdict.json"

AUTO_CANDIDATES = ("float16", "weight-w8", "dynamic-w8", "ptq-w8a8", "ptq-w4a8")
"""What `auto-*` chooses among when no other file is asked for: what needs no training."""

CRITERIA = {"auto-size": "size", "auto-latency": "latency"}


@dataclass(kw_only=True)
class Plan:
    """Jobs in running order. `made` are all recipes with a file, asked for or needed by those that are."""

    asked: tuple[Recipe, ...]
    made: tuple[Recipe, ...]
    jobs: list[Job] = field(default_factory=list)

    extras: ClassVar[tuple[str, ...]] = ("samples", "profile", "models")  # jobs that no row depends on

    @property
    def candidates(self) -> tuple[Recipe, ...]:
        """Files that the verdict is about."""
        return tuple(recipe for recipe in self.made if recipe.kind == "litert" and recipe.name != REFERENCE)


def plan(asked: Sequence[Recipe], settings: Settings, subject: steps.Subject) -> Plan:
    """The jobs for these recipes, and for those that they need."""
    made = _made(asked)
    result = Plan(asked=tuple(asked), made=made, jobs=[subject.opening])
    stages = {recipe.source for recipe in made if recipe.source is not None} | {"float"}
    result.jobs += [steps.training(stage, settings, subject) for stage in recipes.STAGES if stage in stages]
    result.jobs += [steps.writing(recipe, settings, subject) for recipe in made if recipe.kind == "litert"]
    result.jobs += [steps.h5(recipe, subject) for recipe in asked if recipe.kind == "keras"]
    result.jobs += [steps.evaluating(recipe, settings, subject) for recipe in made]
    result.jobs += [steps.measuring_keras(recipe, settings, subject) for recipe in made if recipe.kind == "keras"]
    result.jobs += [steps.measuring_files(made, settings)]
    if result.candidates:
        result.jobs += [_verdict(result, settings)]
        result.jobs += [_taking(recipe, result) for recipe in asked if recipe.automatic]
    result.jobs += [steps.samples(subject)] if subject.pictured else []
    result.jobs += [_profiling(result, settings), _packing(result)]
    return result


def finishing_jobs(folder: Path, result: Plan, done: Mapping[str, JobResult], subject: steps.Subject) -> list[Job]:
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
            function=f"{steps.JOBS}.finishing:write_summary",
            arguments={"output": "summary.txt", "summaries": summaries},
            outputs=("summary.txt",),
        ),
        Job(
            name="tables",
            function=f"{steps.JOBS}.finishing:write_tables",
            arguments=told,
            outputs=("table.md", "results.csv"),
        ),
        Job(
            name="tradeoff",
            function=f"{steps.JOBS}.finishing:draw_tradeoff",
            arguments={**told, "output": "tradeoff.png"},
            outputs=("tradeoff.png",),
        ),
        _detailing(result, done, subject, told),
        Job(
            name="report",
            function=f"{steps.JOBS}.finishing:write_report",
            needs=("details",),
            arguments={**told, "details": DETAILS, "output": REPORT},
            outputs=(REPORT,),
        ),
    ]


def _detailing(result: Plan, done: Mapping[str, JobResult], subject: steps.Subject, told: Mapping[str, str]) -> Job:
    made = [recipe for recipe in result.made if done[steps.producer(recipe)].ok and done[f"evaluate-{recipe.name}"].ok]
    trained = {
        Path(model_path(name.removeprefix("train-"))).stem: {key: one.value[key] for key in ("logs", "best_epoch")}
        for name, one in done.items()
        if name.startswith("train-") and one.ok and "logs" in one.value
    }
    kept = {recipe.name: (done[steps.producer(recipe)].value or {}).get("kept_float") for recipe in made}
    return Job(
        name="details",
        function=f"{steps.JOBS}.detailing:gather_details",
        arguments={
            **told,
            "training": trained,
            "kept_float": {name: layers for name, layers in kept.items() if layers},
            "answers": {recipe.name: steps.outputs_path(recipe) for recipe in made},
            "profiles": steps.PROFILES,
            "profiled": done["profile"].outputs.get(steps.PROFILES),
            "manifest": subject.manifest,
            "output": DETAILS,
        },
        places={"data": dict(subject.data)},
        outputs=(DETAILS,),
    )


def _made(asked: Sequence[Recipe]) -> tuple[Recipe, ...]:
    """All recipes to be made, in the order of the registry: `float32`, the reference of all, is always among them."""
    names = {recipe.name for recipe in asked if not recipe.automatic}
    files = {recipe.name for recipe in asked if recipe.kind == "litert" and not recipe.automatic} - {REFERENCE}
    if any(recipe.automatic for recipe in asked) and not files:
        names |= set(AUTO_CANDIDATES)
    names.add(REFERENCE)
    return tuple(recipes.get(name) for name in recipes.names() if name in names)


def _verdict(result: Plan, settings: Settings) -> Job:
    chosen = (recipes.get(REFERENCE), *result.candidates)
    tried = [f"{step}-{recipe.name}" for recipe in chosen for step in ("write", "evaluate")] + ["measure-files"]
    needed = (f"write-{REFERENCE}", f"evaluate-{REFERENCE}")
    return Job(
        name="verdict",
        function=f"{steps.JOBS}.choosing:reach_verdict",
        needs=needed,
        wants=tuple(name for name in tried if name not in needed),
        arguments={
            "files": {recipe.name: steps.files(recipe) for recipe in chosen},
            "measured": steps.MEASURED_FILES,
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
        function=f"{steps.JOBS}.choosing:take_chosen",
        needs=("verdict",),
        wants=tuple(f"write-{candidate.name}" for candidate in chosen),
        arguments={
            "criterion": CRITERIA[recipe.name],
            "recipe": recipe.name,
            "verdict": VERDICT,
            "files": {candidate.name: steps.files(candidate) for candidate in chosen},
        },
        outputs=with_card(row_file(recipe.name, recipe.kind)),
    )


def _profiling(result: Plan, settings: Settings) -> Job:
    """Where the time goes: of float32 and of the files that the verdict chose."""
    files = {recipe.name: row_file(recipe.name, recipe.kind) for recipe in result.made if recipe.kind == "litert"}
    return Job(
        name="profile",
        function=f"{steps.JOBS}.measuring:profile_files",
        wants=(*(("verdict",) if result.candidates else ()), *(f"write-{name}" for name in files)),
        arguments={
            "files": files,
            "reference": REFERENCE,
            "verdict": VERDICT,
            "output": steps.PROFILES,
            "threads": settings.threads,
        },
        outputs=(steps.PROFILES,),
    )


def _packing(result: Plan) -> Job:
    """One archive of every model that was asked for, in each of its formats, with cards."""
    names = {recipe.name for recipe in result.asked}
    sources = {job for recipe in result.asked for job in (steps.producer(recipe), f"h5-{recipe.name}")}
    makers = [job for job in result.jobs if job.name in sources]
    files = [path for job in makers for path in job.outputs if Path(path).name.split(".", 1)[0] in names]
    return Job(
        name="models",
        function=f"{steps.JOBS}.finishing:pack_models",
        wants=tuple(job.name for job in makers),
        arguments={"output": "models.zip", "files": files},
        outputs=("models.zip",),
    )

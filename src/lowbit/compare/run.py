# SPDX-License-Identifier: Apache-2.0
"""The main job: one model, one data set, many recipes -> one table."""

import contextlib
import dataclasses
import gc
import os
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lowbit import __version__, engines, records
from lowbit.compare import environment
from lowbit.compare.dataset import forget
from lowbit.compare.folder import RESULTS, clear, is_foreign, keep_only_if_begun, prepare, seed_folder
from lowbit.compare.naming import model_name
from lowbit.compare.plan import finishing_jobs, plan
from lowbit.compare.rows import RowMaker
from lowbit.compare.seeds import in_words, with_seeds
from lowbit.compare.settings import Settings
from lowbit.compare.several import MultiOutput, task_for
from lowbit.compare.steps import Subject
from lowbit.compare.subject import (
    data_arguments,
    data_arguments_of_file,
    fit_job,
    function_of,
    is_from_file,
    labelled,
    model_job,
    sizes_of_data,
)
from lowbit.data import Dataset
from lowbit.data.options import image_size_of
from lowbit.engines import Job, JobEvent, JobResult
from lowbit.errors import InputError
from lowbit.recipes import SETS, Recipe, resolve
from lowbit.results import Results, Row, Verdict


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """What `compare` returns: the results, and the folder that holds every file.

    `problems` are files beside the table that could not be made (a plot without matplotlib, say), with the reason.
    """

    results: Results
    folder: Path
    problems: Mapping[str, str] = dataclasses.field(default_factory=dict)

    @property
    def rows(self) -> tuple[Row, ...]:
        """One row for each recipe, in the order asked for."""
        return self.results.rows

    @property
    def ok(self) -> bool:
        """Whether no row failed; an unsupported one is no failure."""
        return all(row.status != "failed" for row in self.rows)

    def best(self, criterion: str = "size") -> str:
        """The recipe that the verdict chose for "size" or "latency"; InputError without a verdict or for others."""
        best = {} if self.results.verdict is None else self.results.verdict.best
        if criterion not in best:
            raise InputError(
                received=f"criterion {criterion!r}",
                expected=f"one of {', '.join(best)}" if best else "a run with a verdict",
                mend="choose one of these" if best else "compare at least one recipe that writes a quantized file",
            )
        return best[criterion]

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the results as JSON, schema 1."""
        self.results.save(path)


def compare(
    dataset: str = "digits",
    model: str = "small_cnn",
    *,
    recipes: str | Sequence[str] = "default",
    out: str | os.PathLike[str] | None = None,
    epochs: int = 20,
    qat_epochs: int | None = None,
    batch_size: int = 32,
    lr: float = 1e-3,
    qat_lr: float = 1e-3,
    patience: int = 4,
    freeze: bool = True,
    calibration_samples: int = 256,
    max_drop: float = 1.0,
    threads: int = 1,
    seed: int = 0,
    seeds: int = 1,
    image_size: int | tuple[int, int] | None = None,
    preprocess: str | None = None,
    model_args: Mapping[str, str] | None = None,
    metrics: Sequence[str] = (),
    engine: str = "local",
    fresh: bool = False,
    on_event: Callable[[JobEvent], None] | None = None,
    command: str | None = None,
) -> Comparison:
    """Train, quantize in every way asked for, write, run and measure; the options are those of the command line.

    A run that was interrupted resumes in its folder, a finished one is read back; `fresh` starts over. A recipe that
    fails is a row with its reason. `command` is what the results name as their origin.

    Raises InputError, before anything is written, for options, data or a model that cannot be used; later for a
    folder that is full.

    >>> comparison = compare("digits", "small_cnn", recipes="float32,ptq-w8a8")     # doctest: +SKIP
    >>> [(row.recipe, row.accuracy) for row in comparison.rows]                      # doctest: +SKIP
    """
    settings = Settings(
        dataset=os.fspath(dataset), model=os.fspath(model), epochs=epochs, qat_epochs=qat_epochs, batch_size=batch_size,
        lr=lr, qat_lr=qat_lr, patience=patience, freeze=freeze, calibration_samples=calibration_samples,
        max_drop=max_drop, threads=threads, seed=seed, seeds=seeds, preprocess=preprocess,
        image_size=image_size_of(image_size), model_args=dict(model_args or {}), metrics=tuple(metrics),
    )  # fmt: skip
    asked = resolve(recipes)
    forget()
    folder = settings.default_folder if out is None else Path(out)
    first = _Run(settings, folder, engine, on_event, fresh)
    if seeds == 1:
        return first.complete(asked, command)
    first.check()  # before hours of other seeds
    others = []
    for number in range(seed + 1, seed + seeds):
        again = dataclasses.replace(settings, seed=number, seeds=1)
        others.append(_Run(again, seed_folder(folder, number), engine, on_event, fresh).complete(asked, None).results)
    return first.complete(asked, command, others)


def check(
    dataset: str = "digits",
    model: str = "small_cnn",
    *,
    out: str | os.PathLike[str],
    recipes: str | Sequence[str] = "default",
    image_size: int | tuple[int, int] | None = None,
    engine: str = "local",
    fresh: bool = False,
    on_event: Callable[[JobEvent], None] | None = None,
    **settings: Any,
) -> None:
    """Raise what `compare` with these options would raise before it trains: model and data are opened in the folder."""
    resolve(recipes)
    asked = Settings(dataset=os.fspath(dataset), model=model, image_size=image_size_of(image_size), **settings)
    _Run(asked, Path(out), engine, on_event, fresh).check()


class _Run:
    """One run in its folder: what is compared, the jobs, the results."""

    def __init__(
        self, settings: Settings, folder: Path, engine: str, on_event: Callable[[JobEvent], None] | None, fresh: bool
    ) -> None:
        self.settings, self.folder = settings, folder
        self._engine, self._on_event, self._fresh = engines.get(engine), on_event, fresh
        self._may_replace = fresh
        self._circumstances = environment.code_and_libraries()

    def complete(
        self, asked: tuple[Recipe, ...], command: str | None, others: Sequence[Results] = ()
    ) -> Comparison:
        """Everything, from options to the finished folder; `others` are the results of other seeds."""
        dataset, subject = self.check()
        planned = plan(asked, self.settings, subject)
        done = self._jobs(planned.jobs)
        maker = RowMaker(self.folder, planned, done, seed=self.settings.seed)
        rows = with_seeds(maker.rows(), others)
        results = self._results(rows, dataset, subject, done, command or self._command(asked))
        results.save(self.folder / RESULTS)
        drawn = self._jobs(finishing_jobs(self.folder, planned, done, subject), drawing=environment.renderers())
        extras = {**{name: done[name] for name in planned.extras if name in done}, **drawn}
        problems = {name: extra.reason or extra.status for name, extra in extras.items() if not extra.ok}
        return Comparison(results=results, folder=self.folder, problems=problems)

    def check(self) -> tuple[Dataset, Subject]:
        """Open model and data in the folder; raises what is wrong with any of them."""
        dataset = None if is_from_file(self.settings.model) else labelled(data_arguments(self.settings))
        with keep_only_if_begun(self.folder):
            prepare(self.folder)
            self._is_foreign(dataset)  # before anything runs in it
            dataset, subject = self._subject(dataset)
            if self._is_foreign(dataset):
                clear(self.folder)
        return dataset, subject

    def _is_foreign(self, dataset: Dataset | None) -> bool:
        """Whether the folder holds another comparison; raises InputError when that may not be replaced."""
        name = None if dataset is None else dataset.name
        return is_foreign(
            self.folder,
            model=model_name(self.settings),
            dataset=name,
            backend=environment.backend(),
            fresh=self._may_replace,
        )

    def _subject(self, dataset: Dataset | None) -> tuple[Dataset, Subject]:
        """Open the model and bring it together with its data; raises what is wrong with either."""
        settings = self.settings
        opening = model_job(settings, dataset)
        info = self._jobs([opening])["model"].value
        if dataset is None:
            data = data_arguments_of_file(settings, info)
            dataset = labelled(data)
        else:
            data = data_arguments(settings)
        function = function_of(settings)
        self._jobs([opening, fit_job(info, dataset, function, settings)])
        manifest = dataset.manifest()
        return dataset, Subject(
            info=info, data=data, manifest=manifest, opening=opening, lowbit=__version__, function=function,
            input_shape=sizes_of_data(info["inputs"], dataset.inputs), pictured=bool(dataset.split("train").preview(1)),
        )  # fmt: skip

    def _jobs(self, jobs: Sequence[Job], **more_circumstances: str) -> dict[str, JobResult]:
        """Run jobs; raises the error of an essential one that fails."""
        try:
            done = self._engine(
                jobs,
                self.folder,
                circumstances={**self._circumstances, **more_circumstances},
                on_event=self._on_event,
                fresh=self._fresh,
            )
        finally:
            gc.unfreeze()  # what jobs have set aside (`jobs.opening.start`)
        self._fresh = False  # only once in a run
        return done

    def _results(
        self, rows: tuple[Row, ...], dataset: Dataset, subject: Subject, done: Mapping[str, JobResult], command: str
    ) -> Results:
        """The results; when they say what the stored ones say, they keep the stored ones' time."""
        verdict = done.get("verdict")
        told = None
        if verdict is not None and verdict.ok:
            told = records.decode(Verdict, verdict.value["verdict"], "verdict")
        task = task_for(dataset.task, dataset.tasks)
        results = Results(
            lowbit=__version__,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            command=command,
            seed=self.settings.seed,
            environment=environment.environment(self.settings.threads),
            dataset={
                "name": dataset.name,
                "counts": dataset.counts,
                "classes": dataset.classes,
                "class_names": None if dataset.class_names is None else list(dataset.class_names),
                "inputs": {name: list(shape) for name, shape in dataset.inputs.items()},
                "preprocessing": dataset.preprocessing,
                "manifest": subject.manifest,
            },
            model={
                "name": subject.info["name"],
                "parameters": subject.info["parameters"],
                "trained": "before this run" if subject.info["trained"] else "in this run",
                "arguments": dict(self.settings.model_args),
            },
            task=dataset.task,
            primary=task.primary,
            shown=(*(task.shown if isinstance(task, MultiOutput) else ()), *self.settings.metrics),
            verdict=in_words(told, rows, task.primary),
            rows=rows,
        )  # fmt: skip
        try:
            stored = Results.load(self.folder / RESULTS)
        except InputError:
            return results
        for report in stored.devices:
            with contextlib.suppress(InputError):  # its files are no longer this run's
                results = results.with_device(report)
        same = dataclasses.replace(results, created=stored.created)
        return same if same.to_json() == stored.to_json() else results

    def _command(self, asked: tuple[Recipe, ...]) -> str:
        """The command line that would do the same, options at their default left out."""
        words = ["lowbit", "compare"]
        for option in dataclasses.fields(Settings):
            value = getattr(self.settings, option.name)
            name = f"--{option.name.replace('_', '-')}"
            if option.name == "model_args":
                words += [word for key, item in value.items() for word in ("--model-arg", f"{key}={item}")]
            elif option.name == "metrics":
                words += [word for item in value for word in ("--metric", item)]
            elif option.name == "freeze":
                words += [] if value else ["--no-freeze"]
            elif option.name == "image_size":
                words += [] if value is None else [name, "x".join(map(str, dict.fromkeys(value)))]
            elif value != option.default:
                words += [name, str(value)]
        names = tuple(recipe.name for recipe in asked)
        if names != SETS["default"]:
            words += ["--recipes", next((word for word, known in SETS.items() if known == names), ",".join(names))]
        return shlex.join(words)

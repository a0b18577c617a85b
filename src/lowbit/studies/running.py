# SPDX-License-Identifier: Apache-2.0
"""Run a study: its comparisons, then its experiments, then its page. What was done before is not done again."""

import os
import shutil
import string
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lowbit import engines
from lowbit.compare import compare, environment
from lowbit.compare.folder import keep_only_if_begun, prepare
from lowbit.compare.run import check
from lowbit.data.options import image_size_of
from lowbit.engines import Job, JobEvent, JobResult
from lowbit.errors import InputError
from lowbit.files import write_text
from lowbit.results import Results
from lowbit.studies.deep_weeds import DEEP_WEEDS
from lowbit.studies.parts import EPOCHS, Asked, Study

STUDIES: Mapping[str, Study] = {DEEP_WEEDS.name: DEEP_WEEDS}
PAGE, EXPERIMENTS = "page", "experiments"
SEEDS = 3


@dataclass(frozen=True, kw_only=True)
class StudyResult:
    """`page` is the study as Markdown, with its pictures and `results.json` files beside it; `results` are those of
    the comparisons, by name, and `experiments` the figures of the experiments."""

    folder: Path
    page: Path
    results: Mapping[str, Results]
    experiments: Mapping[str, Any]

    @property
    def ok(self) -> bool:
        """Whether no row of any comparison failed."""
        return all(row.status != "failed" for results in self.results.values() for row in results.rows)


def study(
    name: str,
    *,
    dataset: str | None = None,
    weights: str = "imagenet",
    out: str | os.PathLike[str] | None = None,
    image_size: int | tuple[int, int] | None = None,
    seeds: int = SEEDS,
    epochs: int = EPOCHS,
    engine: str = "local",
    fresh: bool = False,
    on_event: Callable[[JobEvent], None] | None = None,
) -> StudyResult:
    """Make a study, in `runs/study-NAME` if no folder is named; interrupted, it goes on where it was.

    Args:
        dataset: a local copy of its data; else what the study itself names, through tfds.
        weights: "imagenet", or a folder of weight files as Keras names them.
        image_size: a side or (height, width) in pixels; else that of the study.
        seeds: of the comparison that has several.
        epochs: of each training, at most.

    Raises InputError for a study that there is not, missing weights, and what `lowbit.compare` raises.
    """
    if name not in STUDIES:
        known = ", ".join(STUDIES)
        raise InputError(received=f"study {name!r}", expected=f"one of {known}", mend="choose one of these")
    chosen = STUDIES[name]
    asked = Asked(
        dataset=chosen.default_dataset if dataset is None else dataset,
        weights=weights,
        image_size=image_size_of(image_size) or (chosen.image_size, chosen.image_size),
        seeds=seeds,
        epochs=epochs,
    )
    folder = Path(f"runs/study-{name}") if out is None else Path(out)
    parts = chosen.parts(asked)
    folders = {part.name: folder / part.name for part in parts}
    with keep_only_if_begun(folder):
        for place in (*folders.values(), folder / EXPERIMENTS, folder / PAGE):
            prepare(place)
        for part in parts:
            check(out=folders[part.name], engine=engine, fresh=fresh, on_event=on_event, **part.settings)
    results = {}
    for part in parts:
        made = compare(out=folders[part.name], engine=engine, fresh=fresh, on_event=on_event, **part.settings)
        results[part.name] = made.results
    figures = _experiments(chosen.experiments(asked, folders, results), folder, engine, fresh, on_event)
    template = string.Template(chosen.page.read_text(encoding="utf-8"))
    text = template.substitute(chosen.told(asked, results, figures))
    page = _written(chosen, folder, text, results, asked)
    return StudyResult(folder=folder, page=page, results=results, experiments=figures)


def _experiments(
    jobs: Sequence[Job], folder: Path, engine: str, fresh: bool, on_event: Callable[[JobEvent], None] | None
) -> dict[str, Any]:
    """The figures of the experiments by their names; raises the error of one that fails."""
    place = folder / EXPERIMENTS
    done: Mapping[str, JobResult] = engines.get(engine)(
        jobs, place, circumstances=environment.code_and_libraries(), on_event=on_event, fresh=fresh
    )
    return {name: result.value for name, result in done.items()}


def _written(study: Study, folder: Path, text: str, results: Mapping[str, Results], asked: Asked) -> Path:
    """Page, pictures and results in one folder that can be copied as it is: data and weights are told by their names,
    not by where they lie on this machine."""
    place = folder / PAGE
    beside = place / study.name
    beside.mkdir(parents=True, exist_ok=True)
    for target, source in study.pictures.items():
        if (folder / source).is_file():
            shutil.copyfile(folder / source, beside / target)
    for name, one in results.items():
        told = one.to_json()
        for known in (asked.dataset, asked.weights):
            told = told.replace(known.rstrip("/"), Path(known).name)
        write_text(beside / f"{name}.json", told)
    path = place / f"{study.name}.md"
    write_text(path, text)
    return path

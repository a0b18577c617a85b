# SPDX-License-Identifier: Apache-2.0
"""What a run folder holds for its reader: pictures, tables, a summary, one archive of all models.

The room `report` lies below `compare`, so its renderers are looked up by name; a run is complete without them.
"""

import importlib
import zipfile
from collections.abc import Mapping, Sequence
from typing import Any

from lowbit.compare.dataset import open_data
from lowbit.engines import JobContext
from lowbit.results import Details, Results

SAMPLES = 12
_EPOCH = (1980, 1, 1, 0, 0, 0)  # a zip file names a time for each member; the same models give the same bytes


def draw_samples(context: JobContext, *, output: str, manifest: str, data: Mapping[str, Any]) -> None:
    """Sample images of the training split with their class names, as in the guide."""
    dataset = open_data(data)
    images = dataset.split("train").preview(SAMPLES)
    names = dataset.class_names
    captioned = [(image, str(label) if names is None else names[label]) for image, label in images if label is not None]
    title = f"{dataset.name}: " + ", ".join(f"{count:,} {split}" for split, count in dataset.counts.items())
    _report().samples_picture(captioned, context.output(output), title=title)


def write_tables(context: JobContext, *, results_sha256: str, source: str) -> None:
    """The table as Markdown and CSV. `source` is the results file in the run folder, `results_sha256` its hash."""
    results = Results.load(context.folder / source)
    context.output("table.md").write_text(_report().markdown(results), encoding="utf-8")
    context.output("results.csv").write_text(_report().csv_text(results), encoding="utf-8")


def draw_tradeoff(context: JobContext, *, results_sha256: str, source: str, output: str) -> None:
    """Accuracy against size and latency."""
    _report().tradeoff_plot(Results.load(context.folder / source), context.output(output))


def write_report(context: JobContext, *, results_sha256: str, source: str, details: str, output: str) -> None:
    """The whole run as one page."""
    results, behind = Results.load(context.folder / source), Details.load(context.input(details))
    context.output(output).write_text(_report().html(results, behind), encoding="utf-8")


def write_summary(context: JobContext, *, output: str, summaries: Mapping[str, str]) -> None:
    """The layers of every Keras model and simulation, one after the other."""
    parts = [f"{title}\n{'=' * len(title)}\n{text.strip()}\n" for title, text in summaries.items()]
    context.output(output).write_text("\n\n".join(parts), encoding="utf-8")


def pack_models(context: JobContext, *, output: str, files: Sequence[str]) -> list[str]:
    """All model files and cards that were made, in one archive, as in the guide's last cell."""
    packed = [path for path in files if context.has(path)]
    with zipfile.ZipFile(context.output(output), "w", zipfile.ZIP_DEFLATED) as archive:
        for path in packed:
            member = zipfile.ZipInfo(path.removeprefix("models/"), _EPOCH)
            archive.writestr(member, context.input(path).read_bytes(), zipfile.ZIP_DEFLATED)
    return packed


def _report() -> Any:
    return importlib.import_module("lowbit.report")

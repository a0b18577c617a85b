# SPDX-License-Identifier: Apache-2.0
"""What was got: one row for each recipe, with spread, status and reasons; JSON of schema 1.

A figure that was not measured is `None`, and the row's `notes` say why: a row that leaves it open cannot be built.
"""

import dataclasses
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Self

from lowbit import records
from lowbit.errors import FileFormatError, InputError
from lowbit.files import sha256, write_text
from lowbit.results.checks import named, one_of, printable, reasoned, within
from lowbit.results.device import DeviceReport
from lowbit.results.figures import LatencyRatio, LatencyResult, Metric
from lowbit.results.parity import ParityResult

SCHEMA = 1
KINDS = ("keras", "litert")
STATUSES = ("ok", "unsupported", "failed")
MEASURED = (
    "metrics", "agreement_with_float", "mcnemar_p", "size_bytes", "compressed_bytes", "latency_ms", "latency_ratio",
    "peak_memory_bytes", "ops", "float_ops", "delegated_share", "parity", "trained_epochs",
)  # fmt: skip
"""Fields of a row that are figures: each is there, or its reason is in `notes` under the field's name."""
COUNTS = ("size_bytes", "compressed_bytes", "peak_memory_bytes", "ops", "float_ops", "trained_epochs")
SHARES = ("agreement_with_float", "mcnemar_p", "delegated_share")


@dataclass(frozen=True, kw_only=True)
class Row:
    """One recipe: what it is, how it ended, what was measured.

    `notes` gives for each unmeasured figure the reason (key: the field's name); other keys are remarks. A row that did
    not end `ok` carries its `reason` instead. `over_seeds` has each metric's value for every seed, where the run had
    several; `metrics` are those of the first. Raises InputError for an `ok` row with an unexplained None, and for a
    figure that nothing can measure.
    """

    DERIVED: ClassVar[tuple[str, ...]] = ("accuracy",)

    recipe: str
    label: str
    kind: str
    status: str
    guide_name: str | None = None
    reason: str | None = None
    metrics: Mapping[str, Metric] = field(default_factory=dict)
    over_seeds: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    agreement_with_float: float | None = None
    mcnemar_p: float | None = None
    size_bytes: int | None = None
    compressed_bytes: int | None = None
    weights: str | None = None
    activations: str | None = None
    quantization: str | None = None
    io: str | None = None
    latency_ms: LatencyResult | None = None
    latency_ratio: LatencyRatio | None = None
    peak_memory_bytes: int | None = None
    ops: int | None = None
    float_ops: int | None = None
    delegated_share: float | None = None
    parity: ParityResult | None = None
    trained_epochs: int | None = None
    rules: tuple[str, ...] = ()
    seed: int | None = None
    sha256: str | None = None
    file: str | None = None
    seconds: Mapping[str, float] = field(default_factory=dict)
    notes: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        one_of("kind", self.kind, KINDS)
        one_of("status", self.status, STATUSES)
        reasoned(f"row {self.recipe!r}", self.status, "ok", self.reason)
        unexplained = [name for name in MEASURED if not self.why_missing(name) and self._is_missing(name)]
        if unexplained:
            raise InputError(
                received=f"row {self.recipe!r} without {', '.join(unexplained)}",
                expected="each figure, or the reason why it was not measured",
                mend="pass notes={field name: reason}",
            )
        for name in COUNTS:
            within(f"{name} of row {self.recipe!r}", getattr(self, name), 0)
        for name in SHARES:
            within(f"{name} of row {self.recipe!r}", getattr(self, name), 0, 1)

    @property
    def accuracy(self) -> float | None:
        """Fraction 0..1, or None where the task has no accuracy or there are no labels."""
        return self.metrics["accuracy"].value if "accuracy" in self.metrics else None

    def why_missing(self, name: str) -> str | None:
        """The reason why the figure `name` was not measured; a row that is not ok gives its own."""
        return self.notes.get(name) or (self.reason if self.status != "ok" else None)

    def _is_missing(self, name: str) -> bool:
        value = getattr(self, name)
        return value is None or value == {}


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What to take, in words (`lines`, one sentence each) and by name.

    `best` maps a criterion ("size", "latency") to a recipe; `undecided` names recipes whose bound was too wide for the
    number of samples, so that the point estimate decided. `max_drop` is in percentage points. `at_most` is the 95 %
    bound of each candidate's drop on validation in `unit`, percentage points or percent of the reference's error; a
    gain is negative.
    """

    lines: tuple[str, ...]
    best: Mapping[str, str] = field(default_factory=dict)
    max_drop: float | None = None
    undecided: tuple[str, ...] = ()
    at_most: Mapping[str, float] = field(default_factory=dict)
    unit: str = "points"


@dataclass(frozen=True, kw_only=True)
class Results:
    """A whole run: its circumstances and its rows. `primary` names the metric that the verdict is about, `shown` those
    that the table shows beside it.

    `devices` are latencies of its files on other machines, which `with_device` joined. Raises InputError for no row,
    and for two of one recipe.
    """

    schema: int = SCHEMA
    lowbit: str
    created: str
    command: str
    seed: int
    environment: Mapping[str, Any]
    dataset: Mapping[str, Any]
    model: Mapping[str, Any]
    task: str = "classification"
    primary: str = "accuracy"
    shown: tuple[str, ...] = ()
    verdict: Verdict | None = None
    rows: tuple[Row, ...]
    devices: tuple[DeviceReport, ...] = ()

    def __post_init__(self) -> None:
        recipes = [row.recipe for row in self.rows]
        if not recipes or len(set(recipes)) < len(recipes):
            raise InputError(
                received=f"rows {', '.join(recipes) or 'none'}",
                expected="at least one row, each of another recipe",
                mend="run `lowbit compare` again",
            )
        for recipe in recipes:
            printable("recipe", recipe)
        counts = self.dataset.get("counts", {})
        if not isinstance(counts, Mapping) or not all(type(count) is int and count >= 0 for count in counts.values()):
            raise InputError(
                received=f"dataset counts {str(counts)[:60]}",
                expected="the number of samples of each split",
                mend="run `lowbit compare` again",
            )

    def with_device(self, report: DeviceReport) -> Self:
        """With latencies of another machine, in place of those of the same files that it gave before under its name.

        Raises InputError where none of its files is this run's.
        """
        known = {row.sha256 for row in self.rows if row.sha256 is not None}
        if not any(one.sha256 in known for one in report.files):
            raise InputError(
                received=f"latencies of {len(report.files)} files on {report.device.name!r}, none of them this run's",
                expected="files of this run, the same bytes",
                mend="copy the run's models/*.tflite to the device and measure those",
            )
        others = tuple(one for one in self.devices if one.device.name != report.device.name)
        measured = {(one.sha256, one.latency_ms.threads) for one in report.files}
        before = (one for same in self.devices if same.device == report.device for one in same.files)
        kept = tuple(one for one in before if (one.sha256, one.latency_ms.threads) not in measured)
        joined = dataclasses.replace(report, files=(*kept, *report.files))
        return dataclasses.replace(self, devices=(*others, joined))

    def lost_files(self, folder: str | os.PathLike[str]) -> tuple[str, ...]:
        """What is wrong with the files of the rows, a sentence each: gone from the run's folder, or other bytes."""
        told = []
        for row in self.rows:
            if row.file is None or row.sha256 is None:
                continue
            path = Path(folder) / row.file
            if not path.is_file():
                told.append(f"{row.file} of row {row.recipe} is not in the folder")
            elif sha256(path) != row.sha256:
                told.append(f"{row.file} is not the file that row {row.recipe} was measured on")
        return tuple(told)

    def row(self, recipe: str) -> Row:
        """The row of a recipe; raises InputError naming the recipes there are."""
        return named(recipe, {row.recipe: row for row in self.rows}, kind="recipe", of="a row of this run")

    def to_json(self) -> str:
        """Schema 1, indented, keys in the order of the fields; the same results give the same bytes."""
        return json.dumps(records.encode(self), indent=1, ensure_ascii=False, allow_nan=False) + "\n"

    @classmethod
    def from_json(cls, text: str, *, source: str = "results.json") -> Self:
        """Raises FileFormatError, naming `source`, for damaged JSON, another schema or a wrong field."""
        try:
            data = records.parse(text)
        except ValueError as error:
            raise _unreadable(source, f"no readable JSON ({error})") from error
        found = data.get("schema") if isinstance(data, dict) else None
        if found != SCHEMA:
            raise _unreadable(source, f"schema {found!r}")
        return records.decode(cls, data, source)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the JSON whole or not at all; raises InputError when the place cannot be written."""
        write_text(path, self.to_json())

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Raises FileFormatError for a missing, damaged or unknown file."""
        try:
            text = Path(path).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise _unreadable(str(path), str(error)) from error
        return cls.from_json(text, source=str(path))


def _unreadable(source: str, found: str) -> FileFormatError:
    return FileFormatError(
        received=f"{source}: {found}",
        expected=f"results of lowbit, schema {SCHEMA}",
        mend="run `lowbit compare` again, or read it with the lowbit version that wrote it",
    )

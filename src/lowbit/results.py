# SPDX-License-Identifier: Apache-2.0
"""What was got: one row for each recipe, with spread, status and reasons; JSON of schema 1.

A figure that was not measured is `None`, and the row's `notes` say why: a row that leaves it open cannot be built.
"""

import json
import math
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Self

from lowbit import records
from lowbit.errors import FileFormatError, InputError
from lowbit.files import write_text

SCHEMA = 1
KINDS = ("keras", "litert")
STATUSES = ("ok", "unsupported", "failed")
DIRECTIONS = ("higher", "lower")  # which values of a metric are better
MEASURED = (
    "metrics", "agreement_with_float", "mcnemar_p", "size_bytes", "compressed_bytes", "latency_ms", "peak_memory_bytes",
    "ops", "float_ops", "delegated_share", "parity", "trained_epochs",
)  # fmt: skip
"""Fields of a row that are figures: each is there, or its reason is in `notes` under the field's name."""


@dataclass(frozen=True, kw_only=True)
class Metric:
    """One figure over a data split. Accuracy is a fraction 0..1 with `correct` of `total` and a 95 % interval."""

    value: float
    ci95: tuple[float, float] | None = None
    direction: str = "higher"
    unit: str = "fraction"
    correct: int | None = None
    total: int | None = None

    def __post_init__(self) -> None:
        _one_of("direction", self.direction, DIRECTIONS)
        if not math.isfinite(self.value):
            raise InputError(
                received=f"metric value {self.value}",
                expected="a finite number",
                mend="leave the metric out, with a note",
            )


@dataclass(frozen=True, kw_only=True)
class LatencyResult:
    """Milliseconds of one invocation with one sample: median, 10th and 90th percentile over `runs`."""

    median: float
    p10: float
    p90: float
    runs: int
    threads: int


def milliseconds(value: float) -> str:
    """A latency in three digits that count.

    >>> milliseconds(24.123), milliseconds(0.5), milliseconds(0.006994), milliseconds(1234.5)
    ('24.1', '0.500', '0.00699', '1,234')
    """
    return f"{value:,.0f}" if value >= 100 else f"{value:#.3g}"


@dataclass(frozen=True, kw_only=True)
class TensorParity:
    """One activation tensor, the file against the simulation: shares 0..1 of `elements` over all samples.

    `distinct_codes` counts the codes in use: a range too wide makes equality cheap.
    """

    name: str
    op: str
    equal: float
    within_one: float
    distinct_codes: int
    elements: int


@dataclass(frozen=True, kw_only=True)
class ParityResult:
    """How far a file computes its simulation's integers (quantization.md, "Parity, defined").

    `output_max_codes` is the largest difference at the output, in codes; None when the output is not quantized.
    `missing` names tensors of the file that have no counterpart, each of which is a failure.
    """

    tensors: int
    top1_agreement: float | None
    output_max_codes: int | None
    worst_equal: float | None
    worst_within_one: float | None
    worst_tensor: str | None
    per_tensor: tuple[TensorParity, ...] = ()
    missing: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        per_tensor: Iterable[TensorParity],
        *,
        top1_agreement: float | None,
        output_max_codes: int | None,
        missing: Iterable[str] = (),
    ) -> Self:
        """Find the worst tensor: fewest equal codes, then fewest within one."""
        compared = tuple(per_tensor)
        worst = min(compared, key=lambda tensor: (tensor.equal, tensor.within_one), default=None)
        return cls(
            tensors=len(compared),
            top1_agreement=top1_agreement,
            output_max_codes=output_max_codes,
            worst_equal=None if worst is None else worst.equal,
            worst_within_one=None if worst is None else min(tensor.within_one for tensor in compared),
            worst_tensor=None if worst is None else worst.name,
            per_tensor=compared,
            missing=tuple(missing),
        )


@dataclass(frozen=True, kw_only=True)
class Row:
    """One recipe: what it is, how it ended, what was measured.

    `notes` gives for each unmeasured figure the reason (key: the field's name); other keys are remarks. A row that did
    not end `ok` carries its `reason` instead. Raises InputError for an `ok` row with an unexplained None.
    """

    DERIVED: ClassVar[tuple[str, ...]] = ("accuracy",)

    recipe: str
    label: str
    kind: str
    status: str
    guide_name: str | None = None
    reason: str | None = None
    metrics: Mapping[str, Metric] = field(default_factory=dict)
    agreement_with_float: float | None = None
    mcnemar_p: float | None = None
    size_bytes: int | None = None
    compressed_bytes: int | None = None
    weights: str | None = None
    activations: str | None = None
    quantization: str | None = None
    io: str | None = None
    latency_ms: LatencyResult | None = None
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
        _one_of("kind", self.kind, KINDS)
        _one_of("status", self.status, STATUSES)
        if self.status != "ok" and not self.reason:
            raise InputError(
                received=f"row {self.recipe!r}, {self.status} without a reason",
                expected="the reason in words",
                mend="pass reason=",
            )
        unexplained = [name for name in MEASURED if not self.why_missing(name) and self._is_missing(name)]
        if unexplained:
            raise InputError(
                received=f"row {self.recipe!r} without {', '.join(unexplained)}",
                expected="each figure, or the reason why it was not measured",
                mend="pass notes={field name: reason}",
            )

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
    number of images, so that the point estimate decided. `max_drop` is in percentage points.
    """

    lines: tuple[str, ...]
    best: Mapping[str, str] = field(default_factory=dict)
    max_drop: float | None = None
    undecided: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Results:
    """A whole run: its circumstances and its rows. `primary` names the metric that the verdict is about."""

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
    verdict: Verdict | None = None
    rows: tuple[Row, ...]

    def row(self, recipe: str) -> Row:
        """The row of a recipe; raises InputError naming the recipes there are."""
        for row in self.rows:
            if row.recipe == recipe:
                return row
        names = ", ".join(row.recipe for row in self.rows)
        raise InputError(
            received=f"recipe {recipe!r}", expected=f"a row of this run: {names}", mend="choose one of these"
        )

    def to_json(self) -> str:
        """Schema 1, indented, keys in the order of the fields; the same results give the same bytes."""
        return json.dumps(records.encode(self), indent=1, ensure_ascii=False, allow_nan=False) + "\n"

    @classmethod
    def from_json(cls, text: str, *, source: str = "results.json") -> Self:
        """Raises FileFormatError, naming `source`, for damaged JSON, another schema or a wrong field."""
        try:
            data = json.loads(text)
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


def _one_of(name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise InputError(
            received=f"{name}={value!r}", expected=f"one of {', '.join(known)}", mend=f"choose one as {name}"
        )


def _unreadable(source: str, found: str) -> FileFormatError:
    return FileFormatError(
        received=f"{source}: {found}",
        expected=f"results of lowbit, schema {SCHEMA}",
        mend="run `lowbit compare` again, or read it with the lowbit version that wrote it",
    )

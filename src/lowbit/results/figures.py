# SPDX-License-Identifier: Apache-2.0
"""Single figures with their spread, and how they are written for people."""

import math
from dataclasses import dataclass

from lowbit.errors import InputError
from lowbit.results.checks import one_of, within

DIRECTIONS = ("higher", "lower")  # which values of a metric are better
LEAST_SHORTENED = 10_000
LEAST_MS, MOST_MS = 1e-6, 1e12  # a nanosecond, and thirty years
UNITS = {"k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}


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
        one_of("direction", self.direction, DIRECTIONS)
        if not math.isfinite(self.value):
            raise InputError(
                received=f"metric value {self.value}",
                expected="a finite number",
                mend="leave the metric out, with a note",
            )
        if self.unit == "fraction":
            within("fraction", self.value, 0, 1)


@dataclass(frozen=True, kw_only=True)
class LatencyResult:
    """Milliseconds of one invocation with one sample: median, 10th and 90th percentile over `runs`."""

    median: float
    p10: float
    p90: float
    runs: int
    threads: int

    def __post_init__(self) -> None:
        for name in ("median", "p10", "p90"):
            within(f"latency {name}", getattr(self, name), LEAST_MS, MOST_MS)


@dataclass(frozen=True, kw_only=True)
class LatencyRatio:
    """Latency as a multiple of that of `reference`: the median over rounds in which both ran, one soon after the other.

    `ci95` is a bootstrap interval of that median (percentile method, Efron and Tibshirani 1993) over the rounds.
    """

    reference: str
    value: float
    ci95: tuple[float, float]
    rounds: int

    def __post_init__(self) -> None:
        if not self.value > 0:
            raise InputError(received=f"latency ratio {self.value}", expected="above 0", mend="measure it again")


def milliseconds(value: float) -> str:
    """A latency in three digits that count.

    >>> milliseconds(24.123), milliseconds(0.5), milliseconds(0.006994), milliseconds(1234.5)
    ('24.1', '0.500', '0.00699', '1,234')
    """
    return f"{value:,.0f}" if value >= 100 else f"{value:#.3g}"


def quantity(count: int) -> str:
    """A count in three digits that count, whole where it is small.

    >>> [quantity(count) for count in (0, 9_999, 10_000, 123_456, 999_999, 12_345_678, 4_100_000_000)]
    ['0', '9,999', '10.0 k', '123 k', '1.00 M', '12.3 M', '4.10 G']
    """
    if count < LEAST_SHORTENED:
        return f"{count:,}"
    for unit, size in UNITS.items():
        digits = f"{count / size:#.3g}".rstrip(".")
        if float(digits) < 1000:
            return f"{digits} {unit}"
    return f"{count:.2e}"


def percent(share: float | None) -> str:
    """A fraction 0..1 in per cent; only a whole is called 100, only nothing 0, and None is "n/a".

    >>> [percent(share) for share in (1, 0.99999, 0.5, 0.00001, 0, None)]
    ['100 %', '99.9 %', '50.0 %', '0.1 %', '0 %', 'n/a']
    """
    if share is None:
        return "n/a"
    if share in (0, 1):
        return f"{100 * share:.0f} %"
    return f"{min(max(100 * share, 0.1), 99.9):.1f} %"

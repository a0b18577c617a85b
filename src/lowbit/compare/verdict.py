# SPDX-License-Identifier: Apache-2.0
"""Which file to take: the smallest and the fastest within an allowed drop of accuracy against `float32`.

Chosen on the validation split only. A file qualifies when the upper 95 % bound of its paired drop is within the
limit, and does not when the lower bound is above it. Between the two the images are too few to tell: the point
estimate decides, and the verdict says so.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from lowbit.compare.tasks import Difference
from lowbit.results import LatencyRatio, LatencyResult, Verdict, milliseconds

REFERENCE = "float32"


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A file that may be chosen; `difference` is that of its answers to validation samples from the reference's."""

    recipe: str
    difference: Difference
    size_bytes: int
    latency_ms: LatencyResult | None
    latency_ratio: LatencyRatio | None = None


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """Whether a candidate qualifies, and whether the samples are enough to tell."""

    candidate: Candidate
    qualifies: bool
    decided: bool

    @property
    def drop(self) -> float:
        return self.candidate.difference.drop

    @property
    def upper(self) -> float:
        return self.candidate.difference.upper

    @property
    def unit(self) -> str:
        return self.candidate.difference.words

    @property
    def total(self) -> int:
        return self.candidate.difference.total

    @property
    def recipe(self) -> str:
        return self.candidate.recipe


def judge(candidate: Candidate, max_drop: float) -> Judgement:
    """Compare a candidate's drop with `max_drop`, in percentage points, or percent of the reference's error."""
    found = candidate.difference
    decided = found.upper <= max_drop or found.lower > max_drop
    return Judgement(candidate=candidate, qualifies=found.drop <= max_drop, decided=decided)


def smallest(judgements: Sequence[Judgement]) -> Judgement | None:
    """The smallest file that qualifies; of equal ones the one with the lesser drop, then the first."""
    qualified = [judgement for judgement in judgements if judgement.qualifies]
    return min(qualified, key=lambda j: (j.candidate.size_bytes, j.drop), default=None)


def fastest(judgements: Sequence[Judgement]) -> Judgement | None:
    """The fastest file that qualifies; the smallest of those within its noise.

    Within noise: the intervals of both ratios to the reference overlap. Without ratios, a median not above the fastest
    one's 90th percentile.
    """
    timed = [
        _Timed.of(j, latency)
        for j in judgements
        if j.qualifies and (latency := j.candidate.latency_ms) is not None
    ]
    if not timed:
        return None
    if any(one.in_ratio for one in timed):
        timed = [one for one in timed if one.in_ratio]
    best = min(timed, key=lambda one: one.value)
    return smallest([one.judgement for one in timed if one.least <= best.most])


@dataclass(frozen=True, kw_only=True)
class _Timed:
    """How long a file takes: from `least` to `most`, as a multiple of the reference or in milliseconds."""

    judgement: Judgement
    value: float
    least: float
    most: float
    in_ratio: bool

    @classmethod
    def of(cls, judgement: Judgement, latency: LatencyResult) -> Self:
        ratio = judgement.candidate.latency_ratio
        if ratio is not None:
            return cls(judgement=judgement, value=ratio.value, least=ratio.ci95[0], most=ratio.ci95[1], in_ratio=True)
        return cls(judgement=judgement, value=latency.median, least=latency.median, most=latency.p90, in_ratio=False)


def decide(
    candidates: Sequence[Candidate], max_drop: float, reference: Candidate | None = None
) -> tuple[Verdict, tuple[Judgement, ...]]:
    """The verdict over all candidates, and each one's judgement. None qualifies: `float32`, and it says so.

    `reference` is `float32` itself, which is no candidate: where it is faster or smaller than the choice, that is said.
    """
    judgements = tuple(judge(candidate, max_drop) for candidate in candidates)
    choices = {"size": smallest(judgements), "latency": fastest(judgements)}
    undecided = [j for j in judgements if not j.decided]
    limit = _limit(max_drop, candidates)
    lines = [_sentence(criterion, choice, limit, reference) for criterion, choice in choices.items()]
    if undecided:
        total = max(j.total for j in judgements)
        each = ", ".join(f"{j.recipe} ({change_words(j)})" for j in undecided)
        lines.append(f"Not decided with {samples(total)}, so the measured drop decided: {each}.")
    best = {criterion: choice.recipe if choice else REFERENCE for criterion, choice in choices.items()}
    names = tuple(j.recipe for j in undecided)
    return Verdict(
        lines=tuple(lines), best=best, max_drop=max_drop, undecided=names,
        at_most={j.recipe: j.upper for j in judgements}, unit=judgements[0].unit if judgements else "points",
    ), judgements  # fmt: skip


def change_words(judgement: Judgement) -> str:
    """The measured change on validation: `gains 8.33 points`, `loses 1.22 points`, `loses 0.40 %`."""
    return f"{'gains' if judgement.drop < 0 else 'loses'} {abs(judgement.drop):.2f} {judgement.unit}"


def samples(count: int) -> str:
    """A number of samples in words.

    >>> samples(1), samples(1751)
    ('1 sample', '1,751 samples')
    """
    return f"{count:,} sample{'' if count == 1 else 's'}"


def signed(points: float) -> str:
    """Points with their sign, which for less is a minus and no hyphen.

    >>> signed(2), signed(-1.25), signed(-0.01)
    ('+2.0', '−1.2', '+0.0')
    """
    return f"{points:+z.1f}".replace("-", "−")


def _limit(max_drop: float, candidates: Sequence[Candidate]) -> str:
    found = {one.difference.unit for one in candidates} or {"points"}
    points = f"{max_drop:g} point{'' if max_drop == 1 else 's'} of {REFERENCE}"
    words = {"%": f"{max_drop:g} % of {REFERENCE}'s error", "points": points}
    each = " for each output" if any(one.difference.output for one in candidates) else ""
    return f"within {' or '.join(words[unit] for unit in sorted(found))}{each}"


def _sentence(criterion: str, choice: Judgement | None, limit: str, reference: Candidate | None) -> str:
    word = {"size": "Smallest", "latency": "Fastest"}[criterion]
    if choice is None:
        return f"{word} {limit}: no file qualifies, so {REFERENCE} itself."
    figure = _figure(criterion, choice.candidate)
    upper = round(choice.upper, 1)
    sure = f"a gain of at least {-upper:.1f}" if upper < 0 else f"a drop of at most {abs(upper):.1f}"
    change = f"{signed(-choice.drop)} {choice.unit} on validation, {sure} with 95 % confidence"
    mark = "" if choice.decided else f"; not decided with {samples(choice.total)}"
    return f"{word} {limit}: {choice.recipe}, {figure} ({change}{mark}){_lead(criterion, choice.candidate, reference)}."


def _figure(criterion: str, candidate: Candidate) -> str:
    if criterion == "latency" and candidate.latency_ms is not None:
        return f"{milliseconds(candidate.latency_ms.median)} ms"
    return f"{candidate.size_bytes:,} bytes"


def _lead(criterion: str, choice: Candidate, reference: Candidate | None) -> str:
    """That the reference itself is faster or smaller, where figures as shown say so."""
    if reference is None or _figure(criterion, reference) == _figure(criterion, choice):
        return ""
    if criterion == "size":
        ahead, word = reference.size_bytes < choice.size_bytes, "smaller"
    elif reference.latency_ms is None or choice.latency_ms is None:
        return ""
    else:
        ahead, word = reference.latency_ms.median < choice.latency_ms.median, "faster"
    return f"; {reference.recipe} itself is {word}: {_figure(criterion, reference)}" if ahead else ""

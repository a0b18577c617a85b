# SPDX-License-Identifier: Apache-2.0
"""Who qualifies, who is chosen, and what is said, on made-up figures."""

import dataclasses

import pytest

from lowbit.compare.jobs.choosing import _remark
from lowbit.compare.statistics import drop_bounds
from lowbit.compare.tasks import Difference
from lowbit.compare.verdict import Candidate, decide, judge
from lowbit.results import LatencyRatio, LatencyResult


def candidate(
    recipe: str, *, lost: int = 0, gained: int = 0, total: int = 2000, size: int = 100, ms: float | None = 1.0,
    noise: float = 0.0,
) -> Candidate:  # fmt: skip
    latency = None if ms is None else LatencyResult(median=ms, p10=ms - noise, p90=ms + noise, runs=50, threads=1)
    lower, upper = (100 * bound for bound in drop_bounds(lost, gained, total))
    difference = Difference(
        drop=100 * (lost - gained) / total, lower=lower, upper=upper, unit="points", total=total, agreement=1.0, p=1.0
    )
    return Candidate(recipe=recipe, difference=difference, size_bytes=size, latency_ms=latency)


@pytest.mark.parametrize(
    ("lost", "gained", "total", "qualifies", "decided"),
    [
        (0, 0, 2000, True, True),  # upper bound 2.7055 / 2002.7 = 0.14 points
        (5, 5, 2000, True, True),
        (100, 10, 2000, False, True),  # 4.5 points lost, plainly
        (0, 0, 180, True, False),  # upper bound 2.7055 / 182.7 = 1.48 points: too few images
        (3, 0, 180, False, False),  # 1.67 points, may be less than 1 in truth
        (40, 0, 180, False, True),
        (0, 0, 268, True, True),  # the first size at which no loss at all is proof: 2.7055 / 270.7 < 1 %
    ],
)
def test_judging_one_point(lost: int, gained: int, total: int, qualifies: bool, decided: bool) -> None:
    judgement = judge(candidate("x", lost=lost, gained=gained, total=total), max_drop=1.0)
    assert (judgement.qualifies, judgement.decided) == (qualifies, decided)
    assert judgement.drop == pytest.approx(100 * (lost - gained) / total)


def test_the_smallest_and_the_fastest_that_qualify_are_chosen() -> None:
    verdict, judgements = decide(
        [
            candidate("tiny-but-wrong", lost=300, size=10, ms=0.1),
            candidate("small", size=20, ms=3.0),
            candidate("fast", size=90, ms=0.5),
        ],
        max_drop=1.0,
    )
    assert verdict.best == {"size": "small", "latency": "fast"}
    assert [j.qualifies for j in judgements] == [False, True, True]
    assert verdict.lines[0].startswith("Smallest within 1 point of float32: small, 20 bytes (+0.0 points on validation")
    assert verdict.lines[1].startswith("Fastest within 1 point of float32: fast, 0.500 ms")
    assert len(verdict.lines) == 2 and verdict.undecided == ()


def test_within_noise_the_smaller_is_taken() -> None:
    files = [candidate("fast", size=90, ms=0.50, noise=0.05), candidate("near", size=40, ms=0.54)]
    assert decide(files, 1.0)[0].best["latency"] == "near"
    files[1] = candidate("beyond", size=40, ms=0.56)
    assert decide(files, 1.0)[0].best["latency"] == "fast"


def test_ratios_come_before_milliseconds_and_their_intervals_are_the_noise() -> None:
    def turned(recipe: str, size: int, ms: float, value: float, low: float, high: float) -> Candidate:
        ratio = LatencyRatio(reference="float32", value=value, ci95=(low, high), rounds=20)
        return dataclasses.replace(candidate(recipe, size=size, ms=ms), latency_ratio=ratio)

    files = [turned("fast", 90, 0.9, 0.50, 0.48, 0.52), turned("near", 40, 0.5, 0.54, 0.51, 0.57)]
    assert decide(files, 1.0)[0].best["latency"] == "near"  # 0.51 is not above 0.52
    files[1] = turned("beyond", 40, 0.5, 0.55, 0.53, 0.57)
    assert decide(files, 1.0)[0].best["latency"] == "fast"  # though the machine's mood gave it more milliseconds


def test_of_equal_size_the_lesser_drop_is_taken() -> None:
    files = [candidate("a", lost=4), candidate("b", lost=2), candidate("c", lost=2)]
    assert decide(files, 1.0)[0].best["size"] == "b"


def test_files_without_latency_can_win_on_size_only() -> None:
    verdict, _ = decide([candidate("untimed", size=1, ms=None), candidate("timed", size=2)], 1.0)
    assert verdict.best == {"size": "untimed", "latency": "timed"}


@pytest.mark.parametrize("files", [[], [candidate("bad", lost=500)]])
def test_none_qualifies_means_float32_and_says_so(files: list[Candidate]) -> None:
    verdict, _ = decide(files, 0.5)
    assert verdict.best == {"size": "float32", "latency": "float32"}
    assert verdict.lines[0] == "Smallest within 0.5 points of float32: no file qualifies, so float32 itself."


def test_too_few_images_are_said() -> None:
    verdict, _ = decide([candidate("a", total=180), candidate("b", lost=3, total=180, size=1)], 1.0)
    assert verdict.best["size"] == "a" and verdict.undecided == ("a", "b")
    assert "not decided with 180 samples" in verdict.lines[0]
    assert (
        verdict.lines[2]
        == "Not decided with 180 samples, so the measured drop decided: a (loses 0.00 points), b (loses 1.67 points)."
    )


def test_a_faster_or_smaller_float32_is_said() -> None:
    lines = decide([candidate("a", size=50, ms=0.00699)], 1.0, candidate("float32", size=90, ms=0.006))[0].lines
    assert "a, 50 bytes (" in lines[0] and lines[0].endswith("confidence).")
    assert "a, 0.00699 ms (" in lines[1] and lines[1].endswith("; float32 itself is faster: 0.00600 ms.")
    lines = decide([candidate("a", size=91, ms=0.5)], 1.0, candidate("float32", size=90, ms=0.50001))[0].lines
    assert lines[0].endswith("; float32 itself is smaller: 90 bytes.") and "itself" not in lines[1]


@pytest.mark.parametrize(
    ("lost", "gained", "words"),
    [
        (0, 100, "qualifies: gains 5.00 points on validation, at least 4.26 (95 %)"),
        (5, 6, "qualifies: gains 0.05 points on validation, loses at most 0.25 (95 %)"),
        (100, 0, "does not qualify: loses 5.00 points on validation, at most 5.86 (95 %)"),
    ],
)
def test_changes_in_words(lost: int, gained: int, words: str) -> None:
    assert _remark(judge(candidate("x", lost=lost, gained=gained), 1.0)) == words


def test_a_loss_has_one_minus_sign() -> None:
    assert "(−0.5 points on validation" in decide([candidate("x", lost=10)], 2.0)[0].lines[0]


def test_a_bound_of_next_to_nothing_has_no_minus() -> None:
    found = candidate("x", gained=20)
    found = dataclasses.replace(found, difference=dataclasses.replace(found.difference, upper=-0.04))
    assert "a drop of at most 0.0 with" in decide([found], 1.0)[0].lines[0]


def test_a_sure_gain_is_called_a_gain() -> None:
    verdict, _ = decide([candidate("better", gained=100)], 1.0)
    assert (
        "better, 100 bytes (+5.0 points on validation, a gain of at least 4.3 with 95 % confidence)" in verdict.lines[0]
    )

# SPDX-License-Identifier: Apache-2.0
"""Numbers worked out by hand or published, and the properties that justify each method."""

import math

import numpy as np
import pytest

from lowbit.compare.statistics import drop_bounds, mcnemar_exact, paired, right, top1, wilson

Z95 = 1.6448536269514722  # one-sided 95 %


@pytest.mark.parametrize(
    ("correct", "total", "low", "high"),
    [
        (0, 10, 0.0, 0.2775),  # z^2 / (n + z^2) = 3.8415 / 13.8415
        (10, 10, 0.7225, 1.0),
        (5, 10, 0.2366, 0.7634),  # 1/2 +- z / (2 sqrt(n + z^2)) = 0.5 +- 1.96 / (2 * 3.7204)
        (95, 100, 0.8882, 0.9785),
        (81, 263, 0.2553, 0.3662),  # Newcombe (1998), table I, Wilson without continuity correction
        (15, 148, 0.0624, 0.1605),
    ],
)
def test_wilson(correct: int, total: int, low: float, high: float) -> None:
    assert wilson(correct, total) == pytest.approx((low, high), abs=6e-5)


@pytest.mark.parametrize(
    ("lost", "gained", "p"),
    [
        (0, 0, 1.0),
        (1, 0, 1.0),  # 2 * 1/2
        (5, 0, 2 / 2**5),
        (0, 5, 2 / 2**5),
        (2, 4, 2 * (1 + 6 + 15) / 2**6),
        (3, 3, 1.0),  # 2 * P(X <= 3) > 1 is cut
        (1, 9, 2 * (1 + 10) / 2**10),
    ],
)
def test_mcnemar_exact(lost: int, gained: int, p: float) -> None:
    assert mcnemar_exact(lost, gained) == pytest.approx(p, rel=1e-12)


@pytest.mark.parametrize("total", [10, 180, 899, 5000])
def test_drop_bound_without_any_difference_is_the_closed_form(total: int) -> None:
    """lost = gained = 0: n d = z sqrt(n d (1 - d)) gives d = z^2 / (n + z^2)."""
    expected = Z95**2 / (total + Z95**2)
    assert drop_bounds(0, 0, total) == pytest.approx((-expected, expected), abs=1e-9)


def test_drop_bound_when_images_are_only_lost_is_wilsons() -> None:
    """gained = 0: the score equation becomes Wilson's for the share of lost images, 90 % two-sided."""
    assert drop_bounds(7, 0, 100)[1] == pytest.approx(wilson(7, 100, confidence=0.9)[1], abs=1e-9)


@pytest.mark.parametrize(("lost", "gained", "total"), [(3, 1, 60), (12, 9, 180), (2, 8, 899), (40, 5, 100), (0, 3, 50)])
def test_drop_bound_solves_the_score_equation_with_the_likeliest_nuisance(lost: int, gained: int, total: int) -> None:
    """Independent of the closed form: the nuisance proportion is found by trying a fine grid."""
    lower, upper = drop_bounds(lost, gained, total)
    assert lower < (lost - gained) / total < upper

    def statistic(drop: float) -> float:
        q = np.linspace(max(0.0, -drop), (1 - drop) / 2, 400_001)[1:-1]
        rest = 1 - 2 * q - drop
        log_likelihood = lost * np.log(q + drop) + gained * np.log(q) + (total - lost - gained) * np.log(rest)
        best = q[np.argmax(log_likelihood)]
        return float((lost - gained - total * drop) / math.sqrt(total * (2 * best + drop * (1 - drop))))

    assert statistic(upper) == pytest.approx(-Z95, abs=2e-3)
    assert statistic(lower) == pytest.approx(Z95, abs=2e-3)


def test_drop_bounds_are_mirror_images_and_stay_within_one() -> None:
    assert drop_bounds(4, 9, 200)[0] == -drop_bounds(9, 4, 200)[1]
    assert drop_bounds(10, 0, 10)[1] == 1.0
    assert drop_bounds(0, 10, 10)[0] == -1.0


def test_drop_bound_covers_the_true_drop_as_often_as_it_says() -> None:
    """True drop 2 points (5 % lost, 3 % gained) on 400 images: the bound holds in 95 % of samples, within noise."""
    draws = np.random.default_rng(0).multinomial(400, [0.05, 0.03, 0.92], size=1000)
    covered = np.mean([drop_bounds(int(b), int(c), 400)[1] >= 0.02 for b, c, _ in draws])
    assert 0.93 <= covered <= 0.97


def test_right_and_paired() -> None:
    labels = np.array([0, 1, 1, 0])
    first = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4], [0.5, 0.5]])
    assert right(first, labels).tolist() == [True, True, False, True]
    assert top1(first).tolist() == [0, 1, 0, 0]
    assert paired(np.array([True, True, False]), np.array([False, True, True])) == (1, 1)

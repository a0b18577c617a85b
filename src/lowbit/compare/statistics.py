# SPDX-License-Identifier: Apache-2.0
"""How sure a figure is: intervals and tests for accuracies measured on a finite set of images."""

import math
from typing import Any

import numpy as np
from scipy.optimize import brentq
from scipy.special import bdtr, ndtri


def wilson(correct: int, total: int, confidence: float = 0.95) -> tuple[float, float]:
    """Two-sided interval of a proportion (Wilson 1927), fractions within 0..1; total >= 1.

    >>> [round(bound, 4) for bound in wilson(95, 100)]
    [0.8882, 0.9785]
    """
    z = float(ndtri(0.5 + confidence / 2))
    share, spread = correct / total, z * z / total
    middle = (share + spread / 2) / (1 + spread)
    half = z * math.sqrt(share * (1 - share) / total + spread / (4 * total)) / (1 + spread)
    return max(0.0, middle - half), min(1.0, middle + half)


def mcnemar_exact(lost: int, gained: int) -> float:
    """Two-sided p-value that two models err equally often, from the images on which only one is right.

    The exact binomial form of McNemar's test (1947): lost ~ Binomial(lost + gained, 1/2). 1.0 without any such image.

    >>> mcnemar_exact(lost=1, gained=9)  # 2 * (1 + 10) / 2**10
    0.021484375
    """
    if lost + gained == 0:
        return 1.0
    return min(1.0, 2 * float(bdtr(min(lost, gained), lost + gained, 0.5)))


def drop_bounds(lost: int, gained: int, total: int, confidence: float = 0.95) -> tuple[float, float]:
    """One-sided lower and upper bound of a paired accuracy drop, as fractions -1..1; total >= 1.

    lost    images that only the reference gets right
    gained  images that only the other model gets right

    Each bound alone holds with `confidence`. The score interval of Tango (1998), "Equivalence test and confidence
    interval for the difference in proportions for the paired-sample design": unlike the Wald interval it stays
    honest when few images or none differ.

    >>> [round(bound, 4) for bound in drop_bounds(lost=0, gained=0, total=100)]  # z^2 / (n + z^2)
    [-0.0263, 0.0263]
    """
    return -_upper_drop(gained, lost, total, confidence), _upper_drop(lost, gained, total, confidence)


def paired(reference: np.ndarray, other: np.ndarray) -> tuple[int, int]:
    """`(lost, gained)` of two boolean arrays that say, image by image, whether each model is right."""
    return int(np.sum(reference & ~other)), int(np.sum(~reference & other))


def right(outputs: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Whether the largest output is at the label: (N, classes) and (N,) give (N,) booleans."""
    return np.asarray(top1(outputs) == labels)


def top1(outputs: np.ndarray) -> Any:
    """Predicted class of each of N outputs; the first of equal ones."""
    return np.argmax(outputs, axis=-1)


def _upper_drop(lost: int, gained: int, total: int, confidence: float) -> float:
    """The drop at which the score statistic says: so large a drop would have shown more clearly."""
    z = float(ndtri(confidence))

    def score(drop: float) -> float:
        """Tango's statistic less its limit, with the nuisance proportion at its maximum likelihood given `drop`."""
        b = -lost - gained + (2 * total - lost + gained) * drop
        c = -gained * drop * (1 - drop)
        only_other = (math.sqrt(max(0.0, b * b - 8 * total * c)) - b) / (4 * total)
        variance = total * (2 * only_other + drop * (1 - drop))
        difference = lost - gained - total * drop
        return difference + z * math.sqrt(max(0.0, variance))

    above = (lost - gained) / total + 1e-9  # at the observed drop itself the variance may be 0, a root of no meaning
    return 1.0 if above >= 1.0 else float(brentq(score, above, 1.0, xtol=1e-12))

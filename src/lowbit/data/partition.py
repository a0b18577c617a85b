# SPDX-License-Identifier: Apache-2.0
"""Which sample goes into which split, when the data does not say."""

from collections.abc import Mapping, Sequence

import numpy as np

from lowbit.data.source import Array
from lowbit.errors import InputError

SPLITS = ("train", "validation", "test")
ALL = "all"  # the one part of a data set without splits
FRACTIONS = (0.8, 0.1, 0.1)


def plan(
    parts: Mapping[str, tuple[int, Array | None]], *, seed: int, fractions: Sequence[float] = FRACTIONS
) -> dict[str, tuple[str, Array]]:
    """The final splits, each as (part of the data it comes from, positions in that part).

    `parts` maps "all" or names of splits to (number of samples, labels or None). Labelled data in one part is
    divided 80 : 10 : 10; a missing validation split is a tenth of the training data; unlabelled data in one part is
    all training data (calibration needs no more). Given splits are never touched otherwise.
    """
    whole = {name: (name, np.arange(count)) for name, (count, _) in parts.items()}
    if set(parts) in ({ALL}, {"train"}):
        part, (count, labels) = next(iter(parts.items()))
        if labels is None:
            return {"train": (part, np.arange(count))}
        return {name: (part, indices) for name, indices in zip(SPLITS, partition(labels, fractions, seed))}
    labels = parts["train"][1] if "train" in parts else None
    if "validation" not in parts and labels is not None:
        train, validation = partition(labels, (0.9, 0.1), seed)
        whole |= {"train": ("train", train), "validation": ("train", validation)}
    return {name: whole[name] for name in SPLITS if name in whole}


def partition(labels: Array, fractions: Sequence[float], seed: int) -> list[Array]:
    """Disjoint positions, ascending, of about these fractions of the samples and of each class; none is empty.

    Labels that are no class indices are divided as if they were one class.

    Each class is shuffled and spread evenly over 0..1; the samples sorted by that place are cut at the fractions, so
    the totals are exact to rounding and each class is too. Raises InputError for fewer samples than splits.

    >>> [len(part) for part in partition(np.arange(1797) % 10, (0.4, 0.1, 0.5), seed=0)]
    [719, 179, 899]
    """
    count = len(labels)
    if count < len(fractions):
        raise InputError(
            received=f"{count} labelled samples",
            expected=f"at least {len(fractions)}, one for each split",
            mend="add data, or give the splits as train, validation and test",
        )
    if labels.ndim > 1 or labels.dtype.kind in "fV":
        labels = np.zeros(count, np.int64)
    order = np.random.default_rng(seed).permutation(count)
    place = np.empty(count)
    for label in np.unique(labels):
        members = order[labels[order] == label]
        place[members] = (np.arange(len(members)) + 0.5) / len(members)
    ranked = order[np.argsort(place[order], kind="stable")]
    ends = [0]
    for done, end in enumerate(np.rint(np.cumsum(fractions)[:-1] * count).astype(int).tolist(), start=1):
        ends.append(min(max(end, ends[-1] + 1), count - (len(fractions) - done)))
    ends.append(count)
    return [np.sort(ranked[start:end]) for start, end in zip(ends, ends[1:])]

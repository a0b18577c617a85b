# SPDX-License-Identifier: Apache-2.0
"""Stored answers of one model: `<split>_outputs` float32 and `<split>_labels`, by sample, in one `.npz`."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from lowbit.compare.several import task_of_labels
from lowbit.compare.tasks import Difference

SPLITS = ("validation", "test")


def save_outputs(path: Path, arrays: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> None:
    """Write answers and labels by split; the same arrays give the same bytes."""
    flat: dict[str, np.ndarray] = {}
    for split, (outputs, labels) in arrays.items():
        flat |= {f"{split}_outputs": outputs, f"{split}_labels": labels}
    with path.open("wb") as stream:
        np.savez(stream, **flat)  # type: ignore[arg-type]


def load_outputs(path: Path, split: str) -> tuple[np.ndarray, np.ndarray]:
    """(answers, labels) of one split."""
    with np.load(path) as stored:
        return stored[f"{split}_outputs"], stored[f"{split}_labels"]


def compare_outputs(reference: Path, other: Path, split: str) -> Difference:
    """How the answers of `other` differ from those of `reference`."""
    first, labels = load_outputs(reference, split)
    second, _ = load_outputs(other, split)
    return task_of_labels(labels).difference(first, second, labels)

# SPDX-License-Identifier: Apache-2.0
"""Stored outputs of one model: `<split>_outputs` (N, classes) float32 and `<split>_labels` (N,) in one `.npz`."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lowbit.compare.statistics import mcnemar_exact, paired, right, top1
from lowbit.errors import InputError, UnsupportedError

SPLITS = ("validation", "test")


def scores(outputs: Any) -> np.ndarray:
    """One score for each class, (N, classes) float32, of a classifier's outputs.

    A single unit decides between two classes: above 0.5, or above 0 where values outside 0..1 show logits.
    Raises UnsupportedError for several outputs, InputError for values that are not finite.
    """
    if isinstance(outputs, dict | list) or np.ndim(outputs) != 2:
        found = f"{len(outputs)} outputs" if isinstance(outputs, dict | list) else f"outputs of shape {outputs.shape}"
        raise UnsupportedError(
            received=f"a model with {found}",
            expected="one output with a score for each class",
            mend="evaluate such outputs with lowbit.runtime.predict and a metric of your own",
        )
    values = np.asarray(outputs, np.float32)
    broken = int(np.sum(~np.isfinite(values).all(axis=1)))
    if broken:
        raise InputError(
            received=f"NaN or infinite outputs for {broken} of {len(values)} samples",
            expected="finite outputs",
            mend="look for layers that overflow, and for NaN in the model's weights",
        )
    if values.shape[1] > 1:
        return values
    threshold = 0.0 if values.min() < 0 or values.max() > 1 else 0.5
    return np.concatenate([threshold - values, values - threshold], axis=1, dtype=np.float32)


def save_outputs(path: Path, arrays: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> None:
    """Write outputs and labels by split; the same arrays give the same bytes."""
    flat: dict[str, np.ndarray] = {}
    for split, (outputs, labels) in arrays.items():
        flat |= {f"{split}_outputs": outputs, f"{split}_labels": labels}
    with path.open("wb") as stream:
        np.savez(stream, **flat)  # type: ignore[arg-type]


def load_outputs(path: Path, split: str) -> tuple[np.ndarray, np.ndarray]:
    """(outputs, labels) of one split."""
    with np.load(path) as stored:
        return stored[f"{split}_outputs"], stored[f"{split}_labels"]


@dataclass(frozen=True, kw_only=True)
class Difference:
    """Two models on the same images, image by image. `agreement` is the share of equal answers."""

    lost: int
    gained: int
    total: int
    agreement: float
    p: float


def compare_outputs(reference: Path, other: Path, split: str) -> Difference:
    """How the answers of `other` differ from those of `reference`."""
    first, labels = load_outputs(reference, split)
    second, _ = load_outputs(other, split)
    lost, gained = paired(right(first, labels), right(second, labels))
    return Difference(
        lost=lost,
        gained=gained,
        total=len(labels),
        agreement=float(np.mean(top1(first) == top1(second))),
        p=mcnemar_exact(lost, gained),
    )

# SPDX-License-Identifier: Apache-2.0
"""What a model is asked for, and how two models' answers compare: classes, several labels at once, numbers."""

import math
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np
from scipy import stats

from lowbit.compare.statistics import drop_bounds, mcnemar_exact, paired, right, top1, wilson
from lowbit.errors import InputError, UnsupportedError
from lowbit.results import Metric

Array = np.ndarray
CONFIDENCE = 0.95


@dataclass(frozen=True, kw_only=True)
class Difference:
    """Two models on the same samples.

    `drop` is what the other loses against the reference, below 0 where it gains: percentage points of a share
    (`unit` "points"), or percent of the reference's error ("%"). `lower` and `upper` each hold alone with 95 %.
    `agreement` is the share of equal answers, None where answers are numbers. `p` is that both are equally good.
    `lost` and `gained` count samples that only one of them gets right, for classes. Of several outputs it is about the
    one with the worst bound, `output`.
    """

    drop: float
    lower: float
    upper: float
    unit: str
    total: int
    agreement: float | None
    p: float
    lost: int | None = None
    gained: int | None = None
    output: str | None = None

    @property
    def words(self) -> str:
        """The unit, and of which output: "points", "points of 'kind'"."""
        return self.unit if self.output is None else f"{self.unit} of {self.output!r}"


class Task(Protocol):
    """One kind of answers. `primary` names the metric that the verdict is about."""

    name: ClassVar[str]

    @property
    def primary(self) -> str: ...

    def answers(self, outputs: Any) -> Array:
        """Outputs as they are kept, float32; UnsupportedError for outputs of another kind."""

    def metrics(self, answers: Array, labels: Array) -> dict[str, Metric]:
        """All metrics, the primary first."""

    def difference(self, reference: Array, other: Array, labels: Array) -> Difference:
        """Of two models' answers to the same samples."""


class Classification:
    """One of several classes, or of two where there is one output."""

    name: ClassVar[str] = "classification"
    primary: ClassVar[str] = "accuracy"

    def answers(self, outputs: Any) -> Array:
        """One score for each class, (N, classes). A single unit decides between two classes: above 0.5, or above 0
        where values outside 0..1 show logits."""
        values = _finite(_one_output(outputs, axes=2))
        if values.shape[1] > 1:
            return values
        threshold = _threshold(values)
        return np.concatenate([threshold - values, values - threshold], axis=1, dtype=np.float32)

    def metrics(self, answers: Array, labels: Array) -> dict[str, Metric]:
        return {self.primary: _share(right(answers, labels))}

    def difference(self, reference: Array, other: Array, labels: Array) -> Difference:
        lost, gained = paired(right(reference, labels), right(other, labels))
        total = len(labels)
        lower, upper = (100 * bound for bound in drop_bounds(lost, gained, total))
        return Difference(
            drop=100 * (lost - gained) / total, lower=lower, upper=upper, unit="points", total=total,
            agreement=float(np.mean(top1(reference) == top1(other))), p=mcnemar_exact(lost, gained),
            lost=lost, gained=gained,
        )  # fmt: skip


class MultiLabel:
    """Classes that do not exclude each other: 0 or 1 for each. The primary metric is the share of right ones."""

    name: ClassVar[str] = "multi-label"
    primary: ClassVar[str] = "label_accuracy"

    def answers(self, outputs: Any) -> Array:
        """Above 0 is 1, (N, classes): probabilities are brought there, logits are there."""
        values = _finite(_one_output(outputs, axes=2))
        return np.asarray(values - _threshold(values), np.float32)

    def metrics(self, answers: Array, labels: Array) -> dict[str, Metric]:
        said, hit = answers > 0, (answers > 0) == (labels > 0)
        both = int(np.sum(said & (labels > 0)))
        return {
            self.primary: _mean(hit.mean(axis=1), direction="higher", unit="fraction"),
            "exact_match": _share(hit.all(axis=1)),
            "f1": Metric(value=2 * both / max(1, int(said.sum()) + int((labels > 0).sum()))),
        }

    def difference(self, reference: Array, other: Array, labels: Array) -> Difference:
        hits = [((answers > 0) == (labels > 0)).mean(axis=1) for answers in (reference, other)]
        drop, lower, upper, p = _paired_mean(100 * (hits[0] - hits[1]))
        same = ((reference > 0) == (other > 0)).all(axis=1)
        return Difference(
            drop=drop, lower=lower, upper=upper, unit="points", total=len(labels), agreement=float(same.mean()), p=p
        )


class Regression:
    """Numbers to estimate, one or several for each sample. The primary metric is the mean absolute error."""

    name: ClassVar[str] = "regression"
    primary: ClassVar[str] = "mae"

    def answers(self, outputs: Any) -> Array:
        values = _finite(_one_output(outputs, axes=None))
        return values.reshape(len(values), -1)

    def metrics(self, answers: Array, labels: Array) -> dict[str, Metric]:
        wanted = labels.reshape(len(labels), -1).astype(np.float64)
        errors = answers - wanted
        spread = float(((wanted - wanted.mean(axis=0)) ** 2).sum())
        found = {
            self.primary: _mean(np.abs(errors).mean(axis=1), direction="lower", unit=""),
            "rmse": Metric(value=math.sqrt(float((errors**2).mean())), direction="lower", unit=""),
        }
        if spread:  # labels that are all alike have no variance to explain
            found["r2"] = Metric(value=1 - float((errors**2).sum()) / spread, unit="")
        return found

    def difference(self, reference: Array, other: Array, labels: Array) -> Difference:
        wanted = labels.reshape(len(labels), -1)
        errors = [np.abs(answers - wanted).mean(axis=1) for answers in (reference, other)]
        scale = max(float(errors[0].mean()), float(np.finfo(np.float32).tiny))
        drop, lower, upper, p = _paired_mean(100 * (errors[1] - errors[0]) / scale)
        return Difference(drop=drop, lower=lower, upper=upper, unit="%", total=len(labels), agreement=None, p=p)


TASKS: dict[str, Task] = {task.name: task for task in (Classification(), MultiLabel(), Regression())}
"""Those of a single output; `several.MultiOutput` puts them together."""


def _one_output(outputs: Any, axes: int | None) -> Array:
    if isinstance(outputs, dict | list) or np.ndim(outputs) < 1 or (axes is not None and np.ndim(outputs) != axes):
        found = f"{len(outputs)} outputs" if isinstance(outputs, dict | list) else f"outputs of shape {outputs.shape}"
        raise UnsupportedError(
            received=f"a model with {found}",
            expected="one output with a score for each class",
            mend="evaluate such outputs with lowbit.runtime.predict and a metric of your own",
        )
    return np.asarray(outputs, np.float32)


def _finite(values: Array) -> Array:
    broken = int(np.sum(~np.isfinite(values.reshape(len(values), -1)).all(axis=1)))
    if broken:
        raise InputError(
            received=f"NaN or infinite outputs for {broken} of {len(values)} samples",
            expected="finite outputs",
            mend="look for layers that overflow, and for NaN in the model's weights",
        )
    return values


def _threshold(values: Array) -> float:
    """Between 0 and 1: of logits 0, of probabilities a half."""
    return 0.0 if values.min() < 0 or values.max() > 1 else 0.5


def _share(hits: Array) -> Metric:
    correct, total = int(hits.sum()), len(hits)
    return Metric(value=correct / total, ci95=wilson(correct, total), correct=correct, total=total)


def _mean(values: Array, *, direction: str, unit: str) -> Metric:
    """The mean with the interval of Student's t over samples; none for a single one."""
    mean, interval = float(values.mean()), None
    if len(values) > 1:
        half = float(stats.t.ppf(0.5 + CONFIDENCE / 2, len(values) - 1) * stats.sem(values))
        interval = (mean - half, mean + half)
    return Metric(value=mean, ci95=interval, direction=direction, unit=unit, total=len(values))


def _paired_mean(drops: Array) -> tuple[float, float, float, float]:
    """Mean of differences of pairs, its one-sided bounds (Student's t), and p of the two-sided test; of one pair, or
    of pairs that all differ alike, the bounds are the mean."""
    mean = float(drops.mean())
    error = float(stats.sem(drops)) if len(drops) > 1 else 0.0
    if not error:
        return mean, mean, mean, 1.0 if mean == 0 else 0.0
    half = float(stats.t.ppf(CONFIDENCE, len(drops) - 1)) * error
    p = 2 * float(stats.t.sf(abs(mean) / error, len(drops) - 1))
    return mean, mean - half, mean + half, p

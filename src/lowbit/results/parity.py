# SPDX-License-Identifier: Apache-2.0
"""How far a written file computes the integers of its simulation."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from lowbit.results.checks import within


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

    `top1_agreement` is that of the output that agrees least. `output_max_codes` is the largest difference at the
    output, in codes; None when the output is not quantized.
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

    def __post_init__(self) -> None:
        for name in ("top1_agreement", "worst_equal", "worst_within_one"):
            within(name, getattr(self, name), 0, 1)

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

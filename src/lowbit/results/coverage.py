# SPDX-License-Identifier: Apache-2.0
"""What of a model runs in integers: layer by layer as predicted, and in sum, predicted or read from a file."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, Self

from lowbit.errors import InputError
from lowbit.results.checks import named, one_of, reasoned

FATES = ("quantized", "kept float", "failed")


@dataclass(frozen=True, kw_only=True)
class Workload:
    """Products and weights of one inference of one sample, and what of them is in integers.

    `macs` counts multiply-accumulates: convolution: output elements x kernel size x input channels of a group;
    transposed convolution: input elements x kernel size x output channels; dense: output elements x input features;
    batch matmul: output elements x contracted size. Everything else counts 0: multiplications by constants, pooling,
    additions. `weights` counts stored parameters, biases included and batch norms folded away.

    Shares are fractions 0..1, None where there is nothing to have a share of.
    """

    DERIVED: ClassVar[tuple[str, ...]] = ("macs_integer_share", "weights_integer_share")

    macs: int
    integer_macs: int
    weights: int
    integer_weights: int

    def __post_init__(self) -> None:
        for part, whole in (("integer_macs", "macs"), ("integer_weights", "weights")):
            if not 0 <= getattr(self, part) <= getattr(self, whole):
                raise InputError(
                    received=f"{part}={getattr(self, part)} of {whole}={getattr(self, whole)}",
                    expected="a part of the whole",
                    mend=f"count in {part} only what {whole} counts too",
                )

    @classmethod
    def total(cls, parts: Iterable["Workload"]) -> Self:
        """The sum over parts of a model."""
        several = tuple(parts)
        return cls(
            macs=sum(part.macs for part in several),
            integer_macs=sum(part.integer_macs for part in several),
            weights=sum(part.weights for part in several),
            integer_weights=sum(part.integer_weights for part in several),
        )

    @classmethod
    def of(cls, macs: int, weights: int, *, integer: bool) -> Self:
        """One operation, whole in integers or whole in float.

        >>> Workload.of(72, 9, integer=True).macs_integer_share
        1.0
        """
        return cls(
            macs=macs, integer_macs=macs if integer else 0, weights=weights, integer_weights=weights if integer else 0
        )

    @property
    def macs_integer_share(self) -> float | None:
        return self.integer_macs / self.macs if self.macs else None

    @property
    def weights_integer_share(self) -> float | None:
        return self.integer_weights / self.weights if self.weights else None


@dataclass(frozen=True, kw_only=True)
class LayerCoverage:
    """One layer of the model. `reason` says why it is not quantized, "" where it is.

    `operation` is the op of the file that computes it, named after the first of the layers that run as this one op;
    `macs` and `weights` of the op stand at that layer, 0 at the others. `kind` is the layer's class, such as "Conv2D".
    `weight_bits` is None for a layer without weights in integers, `activation_bits` for one without any integers. A
    layer kept float that has bits is so in part: its product is in integers, its activation is not.
    """

    name: str
    kind: str
    fate: str
    operation: str
    reason: str = ""
    macs: int = 0
    weights: int = 0
    weight_bits: int | None = None
    activation_bits: int | None = None

    def __post_init__(self) -> None:
        one_of("fate", self.fate, FATES)
        reasoned(f"layer {self.name!r}", self.fate, "quantized", self.reason)


@dataclass(frozen=True, kw_only=True)
class Coverage:
    """Every layer's fate, in running order, and the share of work that will run in integers."""

    DERIVED: ClassVar[tuple[str, ...]] = (
        "quantized", "kept_float", "failed", "macs_integer_share", "weights_integer_share",
    )  # fmt: skip

    model: str
    spec: str
    total: Workload
    layers: tuple[LayerCoverage, ...]

    @property
    def quantized(self) -> int:
        """Number of layers that run in integers; with `kept_float` and `failed` it gives the number of layers."""
        return self._count("quantized")

    @property
    def kept_float(self) -> int:
        return self._count("kept float")

    @property
    def failed(self) -> int:
        return self._count("failed")

    @property
    def macs_integer_share(self) -> float | None:
        """Fraction 0..1 of multiply-accumulates in integers; None for a model without any."""
        return self.total.macs_integer_share

    @property
    def weights_integer_share(self) -> float | None:
        """Fraction 0..1 of weights and biases whose op computes in integers; None for a model without any."""
        return self.total.weights_integer_share

    def layer(self, name: str) -> LayerCoverage:
        """The layer of that name; raises InputError naming the layers there are."""
        return named(name, {layer.name: layer for layer in self.layers}, kind="layer", of="a layer of the model")

    def _count(self, fate: str) -> int:
        return sum(layer.fate == fate for layer in self.layers)

# SPDX-License-Identifier: Apache-2.0
"""What of a model will run in integers, known before any training and without data."""

from collections.abc import Iterable
from typing import Any

import keras

from lowbit.results import Coverage, LayerCoverage, Workload
from lowbit.simulation.fates import fates
from lowbit.simulation.model import Simulation
from lowbit.simulation.prepare import simulated
from lowbit.spec import Rule, Spec

NOTHING = Workload.total(())


def coverage(
    model: keras.Model, spec: Spec | str = "w8a8", *, rules: Iterable[Rule] = (), input_shape: Any = None
) -> Coverage:
    """Each layer's fate with its reason, and the share of products and weights in integers; see `Coverage`.

    Args:
        model: a float model, trained or not; it is not changed.
        spec: bits, such as "w8a8".
        rules: settings for single layers, as for `quantize_model`.
        input_shape: sizes in place of the model's free ones (None), as for `quantize_model`.

    Raises:
        UnsupportedError: the model cannot be flattened, or is a simulation already.
        InputError: weights that are not finite, free sizes without `input_shape`, an unknown spec, a rule that
            matches no layer.
    """
    spec = Spec.parse(spec)
    simulation, graph = simulated(model, spec, rules, input_shape)
    kinds = {node.path: type(node.operation).__name__ for node in graph.nodes}
    total, by_layer = _workloads(simulation)
    parts, layers = kept_in_part(simulation), []
    for fate in fates(simulation):
        work = by_layer.get(fate.layer, NOTHING)
        has_integers = fate.fate == "quantized" or fate.layer in parts
        weight_bits, activation_bits = _bits(simulation, fate.layer) if has_integers else (None, None)
        layers.append(
            LayerCoverage(
                name=fate.layer,
                kind=kinds[fate.layer],
                fate=fate.fate,
                operation=fate.operation,
                reason=parts.get(fate.layer, fate.reason),
                macs=work.macs,
                weights=work.weights,
                weight_bits=weight_bits,
                activation_bits=activation_bits,
            )
        )
    return Coverage(model=model.name, spec=spec.name, total=total, layers=tuple(layers))


def kept_float(simulation: Simulation) -> dict[str, str]:
    """Layers that no quantized kernel runs, or not all of, each with the reason."""
    parts = kept_in_part(simulation)
    return {fate.layer: parts.get(fate.layer, fate.reason) for fate in fates(simulation) if fate.fate == "kept float"}


def kept_in_part(simulation: Simulation) -> dict[str, str]:
    """Layers whose product is in integers though something of them is kept float, with the reason in these words."""
    in_integers = {
        member
        for operation in simulation.simulated_layers()
        for member in operation.members
        if operation.fate == "quantized" and operation.multiply_accumulates()
    }
    return {
        fate.layer: f"only in part: {fate.reason}; its product is in integers"
        for fate in fates(simulation)
        if fate.fate == "kept float" and fate.layer in in_integers
    }


def _bits(simulation: Simulation, layer: str) -> tuple[int | None, int | None]:
    """Bits of the weights, where it has any in integers, and of the output."""
    own = [one for one in simulation.simulated_layers() if layer in one.members and one.fate == "quantized"]
    weights = [bits for one in own if (bits := getattr(one, "weight_bits", None)) is not None]
    return next(iter(weights), None), own[-1].activation_bits if own else None


def _workloads(simulation: Simulation) -> tuple[Workload, dict[str, Workload]]:
    """All work, and by layer of the model: an operation's is its first layer's.

    An operation that stands for no layer belongs to the one before it, which it was written out from.
    """
    parts: dict[str, list[Workload]] = {}
    layer = ""
    for operation in simulation.simulated_layers():
        layer = operation.members[0] if operation.members else layer
        work = Workload.of(
            operation.multiply_accumulates(), operation.weight_count(), integer=operation.fate == "quantized"
        )
        parts.setdefault(layer, []).append(work)
    by_layer = {name: Workload.total(several) for name, several in parts.items()}
    return Workload.total(by_layer.values()), by_layer

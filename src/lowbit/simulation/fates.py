# SPDX-License-Identifier: Apache-2.0
"""What became of each layer of the model."""

from dataclasses import dataclass

from lowbit.simulation.model import Simulation


@dataclass(frozen=True, kw_only=True)
class Fate:
    """One layer of the model: "quantized" or "kept float", with the reason for the latter."""

    layer: str
    fate: str
    operation: str
    reason: str = ""
    weight_bits: int | None = None


def fates(simulation: Simulation) -> list[Fate]:
    """One entry for each layer of the model, in running order; a layer of which one part stays float is kept float."""
    found: dict[str, Fate] = {}
    for layer in simulation.simulated_layers():
        for member in layer.members:
            fate = Fate(
                layer=member,
                fate=layer.fate,
                operation=layer.name,
                reason=layer.reason,
                weight_bits=getattr(layer, "weight_bits", None),
            )
            known = found.get(member)
            if known is None or (known.fate == "quantized" and (fate.fate != known.fate or fate.weight_bits)):
                found[member] = fate
    return list(found.values())

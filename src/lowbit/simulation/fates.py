# SPDX-License-Identifier: Apache-2.0
"""What became of each layer of the model."""

from dataclasses import dataclass

from lowbit.simulation.model import Simulation
from lowbit.simulation.moving import MOVED


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
            if known is None or _tells_more(fate, known):
                found[member] = fate
    return list(found.values())


def _tells_more(fate: Fate, known: Fate) -> bool:
    """What stays float for a reason of its own before what is moved for it, that before integers."""
    if known.fate == "quantized":
        return fate.fate != known.fate or bool(fate.weight_bits)
    return known.reason == MOVED and fate.fate != "quantized" and fate.reason != MOVED

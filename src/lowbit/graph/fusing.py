# SPDX-License-Identifier: Apache-2.0
"""Which steps LiteRT runs as one op: convolution or product, then batch norm, then ReLU or ReLU6."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace

from lowbit.graph.primitives import PRIMITIVES
from lowbit.graph.steps import Step

WEIGHTED = ("conv2d", "depthwise", "transposed_conv", "dense")
JOINING = ("add", "subtract", "multiply", "batch_norm")
"""Their ops take in a ReLU or ReLU6 behind them."""

FUSED = {None: "relu", 6.0: "relu6"}


def fuse(steps: Sequence[Step], wanted: Iterable[int]) -> list[Step]:
    """Steps with batch norms and activations taken into the op before them; unused steps are left out.

    Steps that share weights with another are left as they are: each of their uses is an op of its own.
    """
    outputs = set(wanted)
    steps = merged(used_only(steps, outputs), outputs)
    consumers: dict[int, list[Step]] = {}
    for step in steps:
        for tensor in step.tensors:
            consumers.setdefault(tensor, []).append(step)
    shared = {owner for owner, count in Counter(step.owner for step in steps if step.owner).items() if count > 1}
    taken: set[int] = set()
    fused = []
    for step in steps:
        if step.output in taken:
            continue
        for absorb in (_batch_norm, _relu):
            follower = _only_consumer(step, consumers, outputs)
            if follower is None or step.owner in shared or follower.owner in shared:
                continue
            wider = absorb(step, follower)
            if wider is not None:
                taken.add(follower.output)
                step = wider
        fused.append(step)
    return fused


def used_only(steps: Sequence[Step], outputs: Iterable[int]) -> list[Step]:
    """Steps that the outputs depend on, in order."""
    needed, kept = set(outputs), []
    for step in reversed(steps):
        if step.output in needed:
            needed.update(step.tensors)
            kept.append(step)
    return kept[::-1]


def merged(steps: Sequence[Step], outputs: set[int]) -> list[Step]:
    """Steps without weights that compute the same from the same, made one, as the converter does."""
    kept: dict[object, Step] = {}
    stands_for: dict[int, int] = {}
    for step in steps:
        step = replace(step, inputs=tuple(stands_for.get(i, i) if isinstance(i, int) else i for i in step.inputs))
        is_plain = step.kind in PRIMITIVES and len(step.tensors) == len(step.inputs) and step.output not in outputs
        key = (step.kind, step.inputs, repr(step.settings)) if is_plain else step.output
        if key in kept:
            first = kept[key]
            stands_for[step.output] = first.output
            kept[key] = replace(first, members=tuple(dict.fromkeys((*first.members, *step.members))))
        else:
            kept[key] = step
    return list(kept.values())


def _only_consumer(step: Step, consumers: dict[int, list[Step]], kept: set[int]) -> Step | None:
    found = consumers.get(step.output, [])
    return found[0] if len(found) == 1 and step.output not in kept else None


def _batch_norm(step: Step, follower: Step) -> Step | None:
    if step.kind not in WEIGHTED or follower.kind != "batch_norm":
        return None
    members = (*step.members, *follower.members)
    return replace(step, batch_norm=follower, output=follower.output, members=members)


def _relu(step: Step, follower: Step) -> Step | None:
    maximum = follower.settings.get("maximum")
    if step.kind not in (*WEIGHTED, *JOINING) or follower.kind != "relu" or maximum not in FUSED:
        return None
    members = (*step.members, *(name for name in follower.members if name not in step.members))
    return replace(step, activation=FUSED[maximum], output=follower.output, members=members)

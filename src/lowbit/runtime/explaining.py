# SPDX-License-Identifier: Apache-2.0
"""What a profile means, in words: what runs outside XNNPACK and why, what that costs, what to change."""

from dataclasses import replace

from lowbit.results import OpTime, Profile, percent
from lowbit.runtime.macs import CONVERSIONS, WEIGHTED
from lowbit.runtime.schema import Graph, StoredOp

WORTH_TELLING = 0.02
SMALLEST_SCALE, LARGEST_SCALE = 2**-10, 2**8  # of an input of ADD and SUB, in scales of the output: XNNPACK's limits
_ADVICE = {
    "HARD_SWISH": "XNNPACK has none in int8, and each splits the file; lowbit writes it out in an ADD and two MULs",
    "SOFTMAX": "XNNPACK has no int8 softmax; end the model at its logits where the largest is all that is asked",
    "LOGISTIC": "a sigmoid; a hard sigmoid is an ADD, a clamp and a MUL, which XNNPACK has",
    "GELU": "XNNPACK has no int8 GELU: keep it float with a rule, or train with ReLU",
    "BATCH_MATMUL": "XNNPACK has no int8 product of two activations: keep attention float with a rule",
    "UNIDIRECTIONAL_SEQUENCE_LSTM": "recurrent layers run in LiteRT's own kernels, in any precision",
    "WHILE": "loops run in LiteRT's own kernels, in any precision",
}


def reasons(profile: Profile, graph: Graph) -> Profile:
    """The profile with its reasons."""
    outside = [kind for kind in profile.kinds if not kind.delegated]
    ops = sum(kind.count for kind in profile.kinds)
    inside = sum(kind.count for kind in profile.kinds if kind.delegated)
    partitions = f"{profile.partitions} partition{'' if profile.partitions == 1 else 's'}"
    lines = [f"XNNPACK runs {inside} of {ops} ops in {partitions}: {percent(profile.delegated_share)} of the time."]
    if outside:
        each = ", ".join(_kind_words(kind) for kind in outside[:4])
        lines.append(f"Outside it run {each}.")
    lines += [f"{kind.op}: {advice}." for kind in outside if (advice := _advice(kind, graph))]
    lines += _conversions(profile)
    lines += _hybrid(profile, graph)
    return replace(profile, reasons=tuple(lines))


def beside(profile: Profile, other: Profile, name: str) -> tuple[str, ...]:
    """Which kinds of op make the difference to another file of the same model."""
    ops = {kind.op for kind in (*profile.kinds, *other.kinds)}
    changes = sorted(((profile.time_ms(op) - other.time_ms(op), op) for op in ops), key=lambda one: -abs(one[0]))
    total = profile.whole_ms - other.whole_ms
    word = "slower" if total > 0 else "faster"
    lines = [f"{abs(total):.3g} ms {word} than {name}: {profile.whole_ms:.3g} against {other.whole_ms:.3g} ms."]
    told = [one for one in changes if abs(one[0]) >= WORTH_TELLING * other.whole_ms][:4]
    lines += [f"{op}: {profile.time_ms(op):.3g} ms here, {other.time_ms(op):.3g} ms there." for _, op in told]
    if total > 0 and told and profile.delegated_share > 1 - 2 * WORTH_TELLING:
        lines.append(
            "Nearly all of it runs in XNNPACK, so its integer kernels are slower than its float ones on this "
            "processor; measure on the processor that it is for: python -m lowbit.runtime FILE..."
        )
    return tuple(lines)


def _kind_words(kind: OpTime) -> str:
    return f"{kind.count} {kind.op} ({percent(kind.share)})"


def _advice(kind: OpTime, graph: Graph) -> str | None:
    if kind.share < WORTH_TELLING or kind.op in CONVERSIONS:
        return None
    operands = [graph.tensors[index] for op in graph.ops if op.name == kind.op for index in op.inputs]
    if any(tensor.dtype == "int16" for tensor in operands):
        return "XNNPACK has no kernels for 16-bit activations, LiteRT's own are many times slower: take 8 bits"
    if kind.op in ("ADD", "SUB") and (apart := sum(op.name == kind.op and _is_apart(graph, op) for op in graph.ops)):
        return (
            f"in {apart} of them an input's scale is less than 1/{1 / SMALLEST_SCALE:,.0f} of the output's, or "
            f"{LARGEST_SCALE} times it and more, which XNNPACK does not take: values that hardly move there, as in a "
            "model without trained weights or calibrated with data that is not its own"
        )
    return _ADVICE.get(kind.op)


def _is_apart(graph: Graph, op: StoredOp) -> bool:
    output = graph.tensors[op.outputs[0]].scale
    scales = [scale for index in op.inputs if (scale := graph.tensors[index].scale) is not None]
    return output is not None and any(not SMALLEST_SCALE <= scale / output < LARGEST_SCALE for scale in scales)


def _conversions(profile: Profile) -> list[str]:
    share = sum(kind.share for kind in profile.kinds if kind.op in CONVERSIONS)
    if share < WORTH_TELLING:
        return []
    return [
        f"QUANTIZE and DEQUANTIZE take {percent(share)}: those at the file's ends go with --io int8, where the caller "
        "has or takes codes; those inside stand where a float layer meets integers."
    ]


def _hybrid(profile: Profile, graph: Graph) -> list[str]:
    hybrid = {op.name for op in graph.ops if op.name in WEIGHTED and _is_hybrid(graph, op)}
    share = sum(kind.share for kind in profile.kinds if kind.op in hybrid)
    if share < WORTH_TELLING:
        return []
    return [
        f"{', '.join(sorted(hybrid))} with float activations and integer weights ({percent(share)}) quantize their "
        "input at every run: full int8 does it once, weight-w8 computes in float."
    ]


def _is_hybrid(graph: Graph, op: StoredOp) -> bool:
    operands = [graph.tensors[index] for index in op.inputs]
    has_codes = any(one.constant and one.quantized and one.dtype.startswith("int") for one in operands)
    return has_codes and graph.tensors[op.outputs[0]].dtype == "float32"

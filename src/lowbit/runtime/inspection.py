# SPDX-License-Identifier: Apache-2.0
"""What a `.tflite` file holds: ops, what of them is still float, dtypes, size, and what XNNPACK takes over."""

import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from lowbit.files import zipped_size
from lowbit.results import SizeParts, Workload
from lowbit.runtime.interpreter import Endpoint, Runner, read_content
from lowbit.runtime.macs import CONVERSIONS, FLOATS, WEIGHTED, is_integer, workload_of
from lowbit.runtime.schema import Graph, StoredOp, read_graphs
from lowbit.runtime.sizes import size_parts
from lowbit.runtime.tensors import Op, ops_of


@dataclass(frozen=True, kw_only=True)
class OpCount:
    """How often an op occurs, and in which arithmetic it computes.

    `hybrid_count`: float activations with integer weights (dynamic range), the sums are integers. Conversions of the
    file's inputs, outputs and constants compute nothing of the model: they are in `count` and nowhere else.
    """

    op: str
    count: int
    float_count: int
    hybrid_count: int
    int_count: int


@dataclass(frozen=True, kw_only=True)
class FileSummary:
    """`weights` counts stored parameters by dtype (biases included, shapes and axes not), `activations` tensors by
    dtype. `weights_dtype` and `activations_dtype` are what most parameters of weighted ops and most results of
    computing ops are in. `work` counts the multiply-accumulates of one invocation. `delegated_share` is the fraction
    of ops that XNNPACK runs, in `partitions` pieces; None with `delegated_reason` where that cannot be told. `size`
    tells what the bytes are.
    """

    ops: tuple[OpCount, ...]
    n_ops: int
    float_ops: int
    hybrid_ops: int
    weights: Mapping[str, int]
    activations: Mapping[str, int]
    weights_dtype: str
    activations_dtype: str
    parameters: int
    work: Workload
    tensors: int
    inputs: tuple[Endpoint, ...]
    outputs: tuple[Endpoint, ...]
    size_bytes: int
    compressed_bytes: int
    size: SizeParts
    delegated_share: float | None
    delegated_reason: str | None
    partitions: int | None


def inspect(path: str | os.PathLike[str]) -> FileSummary:
    """Read the file and open it; raises FileFormatError when it is unusable (`check_file` first, for a user's file)."""
    content = read_content(path)
    graphs = read_graphs(content, path)
    runner = Runner(content, source=path)
    kinds = [(op.name, _kind(graph, op)) for graph in graphs for op in graph.ops]
    counts = Counter(kinds)
    ops = tuple(
        OpCount(
            op=name,
            count=count,
            float_count=counts[name, "float"],
            hybrid_count=counts[name, "hybrid"],
            int_count=counts[name, "int"],
        )
        for name, count in Counter(name for name, _ in kinds).most_common()
    )
    weights, activations = _weights(graphs), _activations(graphs)
    delegated = delegated_ops(runner)
    return FileSummary(
        ops=ops,
        n_ops=len(kinds),
        float_ops=sum(op.float_count for op in ops),
        hybrid_ops=sum(op.hybrid_count for op in ops),
        weights=weights,
        activations=activations,
        weights_dtype=_most(_weights(graphs, of_ops=WEIGHTED) or weights),
        activations_dtype=_most(_results(graphs) or activations),
        parameters=sum(weights.values()),
        work=workload_of(graphs),
        tensors=sum(len(graph.tensors) for graph in graphs),
        inputs=runner.inputs,
        outputs=runner.outputs,
        size_bytes=len(content),
        compressed_bytes=zipped_size(path),
        size=size_parts(content, path),
        delegated_share=None if delegated is None else len(delegated.positions) / len(ops_of(runner)),
        delegated_reason="this LiteRT does not list delegated nodes in a known form" if delegated is None else None,
        partitions=None if delegated is None else delegated.partitions,
    )


def _kind(graph: Graph, op: StoredOp) -> str:
    """ "float", "hybrid", "int", or "conversion" at the file's edge or of a constant."""
    if op.name in CONVERSIONS and not is_integer(graph, op):
        of_constant = all(graph.tensors[index].constant for index in op.inputs)
        at_edge = op.inputs[0] in graph.inputs or op.outputs[0] in graph.outputs
        return "conversion" if of_constant or at_edge else "float"
    if is_integer(graph, op):
        return "int"
    integer_weights = any(graph.tensors[index].constant and graph.tensors[index].quantized for index in op.inputs)
    return "hybrid" if integer_weights and op.name in WEIGHTED else "float"


def _weights(graphs: tuple[Graph, ...], of_ops: tuple[str, ...] | None = None) -> dict[str, int]:
    """Stored parameters by dtype; with `of_ops` only the weights of those ops, looked up through DEQUANTIZE."""
    counts: Counter[str] = Counter()
    for graph in graphs:
        chosen = range(len(graph.tensors)) if of_ops is None else _weight_indices(graph, of_ops)
        for tensor in (graph.tensors[index] for index in chosen):
            if tensor.constant and (tensor.quantized or tensor.dtype in FLOATS):
                counts[tensor.dtype] += tensor.elements
    return dict(counts.most_common())


def _weight_indices(graph: Graph, of_ops: tuple[str, ...]) -> set[int]:
    stored = {op.outputs[0]: op.inputs[0] for op in graph.ops if op.name == "DEQUANTIZE"}
    operands = {index for op in graph.ops if op.name in of_ops for index in op.inputs[:2]}
    operands |= {op.inputs[2] for op in graph.ops if op.name == "TRANSPOSE_CONV" and len(op.inputs) > 2}
    return {stored.get(index, index) for index in operands}


def _activations(graphs: tuple[Graph, ...]) -> dict[str, int]:
    """Tensors by dtype that are computed or fed in."""
    used = [
        graph.tensors[index].dtype
        for graph in graphs
        for index in {*graph.inputs, *(index for op in graph.ops for index in op.outputs)}
    ]
    return dict(Counter(used).most_common())


def _results(graphs: tuple[Graph, ...]) -> dict[str, int]:
    """Dtypes of what ops compute, conversions left out."""
    made = [
        graph.tensors[index].dtype
        for graph in graphs
        for op in graph.ops
        if op.name not in CONVERSIONS
        for index in op.outputs
    ]
    return dict(Counter(made).most_common())


def _most(counts: Mapping[str, int]) -> str:
    return max(counts, key=lambda dtype: counts[dtype]) if counts else "none"


@dataclass(frozen=True, kw_only=True)
class Delegated:
    """Positions, in the order of the file, of the ops that XNNPACK runs: one group for each partition."""

    groups: tuple[frozenset[int], ...]

    @property
    def positions(self) -> frozenset[int]:
        return frozenset().union(*self.groups)

    @property
    def partitions(self) -> int:
        return len(self.groups)


def delegated_ops(runner: Runner) -> Delegated | None:
    """What the delegate took over; None where this LiteRT does not list its nodes in a known form.

    After allocation the interpreter lists the delegate's nodes behind the file's own. A partition holds what leads
    from its inputs to its outputs, so it is found by walking back from these to those.
    """
    ops = ops_of(runner)
    nodes = runner.interpreter._get_ops_details()
    partitions = [node for node in nodes[runner.nodes :] if node["op_name"] == "DELEGATE"]
    if len(nodes) - runner.nodes != len(partitions) or not ops:
        return None
    return Delegated(
        groups=tuple(
            frozenset(_between(ops, {int(i) for i in one["inputs"]}, {int(i) for i in one["outputs"]}))
            for one in partitions
        )
    )


def _between(ops: tuple[Op, ...], inputs: set[int], outputs: set[int]) -> set[int]:
    """Positions of the ops on the way from tensors `inputs` to tensors `outputs`."""
    makers = {index: position for position, op in enumerate(ops) for index in op.outputs}
    found: set[int] = set()
    waiting = list(outputs)
    while waiting:
        position = makers.get(waiting.pop())
        if position is not None and position not in found:
            found.add(position)
            waiting.extend(index for index in ops[position].inputs if index not in inputs)
    return found

# SPDX-License-Identifier: Apache-2.0
"""A file cut into parts that are files themselves: each partition that XNNPACK takes over, each op outside, any op."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lowbit.runtime import flatbuffer
from lowbit.runtime.inspection import delegated_ops
from lowbit.runtime.interpreter import Runner


@dataclass(frozen=True, kw_only=True)
class Piece:
    """Ops that run at a stretch, by their positions in the file; `key` is the same for pieces that do equal work.

    `idle`: all of them read constants only, so they are computed once, when the file is opened.
    """

    positions: tuple[int, ...]
    ops: tuple[str, ...]
    delegated: bool
    key: tuple[Any, ...]
    tensor: int  # the number of the last op's output, by which its layer is known
    idle: bool = False

    @property
    def op(self) -> str:
        """What a piece of one op computes; those before it only unpack what it reads."""
        return self.ops[-1]


class Pieces:
    """The parts of a file's main graph, in running order."""

    def __init__(self, content: bytes) -> None:
        self._model = flatbuffer.read(content)
        self._graph = self._model.subgraphs[0]
        delegated = delegated_ops(Runner(content))
        groups = () if delegated is None else delegated.groups
        taken = {position for group in groups for position in group}
        alone = [(position,) for position in range(len(self._graph.operators)) if position not in taken]
        found = [(tuple(sorted(group)), True) for group in groups] + [(positions, False) for positions in alone]
        self.pieces = tuple(self._piece(positions, is_taken) for positions, is_taken in sorted(found))

    def ops_of(self, piece: Piece) -> tuple[Piece, ...]:
        """Each op of a piece as a piece of its own, with the idle ones that it reads."""
        operators = self._graph.operators
        makers = {
            int(number): position
            for position in piece.positions
            if self._is_idle(operators[position])
            for number in operators[position].outputs
        }
        alone = []
        for position in piece.positions:
            reads = {makers[int(number)] for number in operators[position].inputs if int(number) in makers}
            alone.append(self._piece((*sorted(reads), position), piece.delegated))
        return tuple(alone)

    def content(self, piece: Piece) -> bytes:
        """A file that computes the piece alone: its inputs are what it reads, its outputs what others read of it."""
        model = copy.copy(self._model)
        model.subgraphs = [_copied(graph) for graph in self._model.subgraphs]
        graph = model.subgraphs[0]
        inside = [graph.operators[position] for position in piece.positions]
        outside = [op for position, op in enumerate(graph.operators) if position not in piece.positions]
        made, read = _numbers(inside, "outputs"), _numbers(inside, "inputs")
        wanted = _numbers(outside, "inputs") | {int(number) for number in graph.outputs}
        graph.operators = inside
        graph.inputs = _array(number for number in sorted(read - made) if self._is_fed(number))
        graph.outputs = _array(sorted(made & wanted) or sorted(made))
        model.signatureDefs = None
        flatbuffer.remove_unused(model)
        return flatbuffer.write(model)

    def _piece(self, positions: tuple[int, ...], delegated: bool) -> Piece:
        operators = [self._graph.operators[position] for position in positions]
        return Piece(
            positions=positions,
            ops=tuple(flatbuffer.op_name(self._model, operator) for operator in operators),
            delegated=delegated,
            key=tuple(self._key(operator) for operator in operators),
            tensor=int(operators[-1].outputs[0]),
            idle=all(self._is_idle(operator) for operator in operators),
        )

    def _is_idle(self, operator: Any) -> bool:
        read = [int(number) for number in operator.inputs if number >= 0]
        return bool(read) and not any(self._is_fed(number) for number in read)

    def _key(self, operator: Any) -> tuple[Any, ...]:
        tensors = [self._graph.tensors[int(number)] for number in [*operator.inputs, *operator.outputs] if number >= 0]
        options = operator.builtinOptions
        told = () if options is None else tuple(sorted((name, str(value)) for name, value in vars(options).items()))
        shapes = tuple((str(tensor.type), tuple(map(int, tensor.shape))) for tensor in tensors)
        return (flatbuffer.op_name(self._model, operator), shapes, told)

    def _is_fed(self, number: int) -> bool:
        """Whether a tensor comes from outside the piece: not one that the file holds, nor a state that an op keeps."""
        tensor = self._graph.tensors[number]
        data = self._model.buffers[tensor.buffer].data
        return (data is None or len(data) == 0) and not tensor.isVariable


def _copied(graph: Any) -> Any:
    """A subgraph whose tensors and ops may be renumbered."""
    made = copy.copy(graph)
    made.tensors = [copy.copy(tensor) for tensor in graph.tensors]
    made.operators = [copy.copy(operator) for operator in graph.operators]
    return made


def _numbers(operators: Sequence[Any], side: str) -> set[int]:
    return {int(number) for operator in operators for number in getattr(operator, side) if number >= 0}


def _array(numbers: Any) -> np.ndarray:
    return np.array(list(numbers), dtype="int32")

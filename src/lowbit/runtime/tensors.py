# SPDX-License-Identifier: Apache-2.0
"""Every tensor of a file as XNNPACK computes it, with its quantization: what parity compares."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lowbit.card import tensor_names
from lowbit.errors import InputError
from lowbit.runtime.feeding import Samples
from lowbit.runtime.interpreter import Endpoint, Runner, read_content


@dataclass(frozen=True, kw_only=True, eq=False)
class Tensor:
    """`values` are the raw ones: codes where the tensor is quantized.

    `scales` and `zero_points` have one entry for the whole tensor, one for each channel along `axis`, or none where
    it is not quantized. `op` made the tensor; None for inputs and constants. int4 comes unpacked, one code for each
    element, with dtype int8.
    """

    name: str
    index: int
    values: NDArray[Any]
    scales: NDArray[np.float32]
    zero_points: NDArray[np.int32]
    axis: int | None
    op: str | None
    constant: bool

    @property
    def quantized(self) -> bool:
        return len(self.scales) > 0

    @property
    def scale(self) -> float:
        """The one scale of the tensor; raises InputError where it has none or one for each channel."""
        return float(self._only(self.scales))

    @property
    def zero_point(self) -> int:
        """The one zero point of the tensor; raises InputError like `scale`."""
        return int(self._only(self.zero_points))

    def real(self) -> NDArray[np.float32]:
        """The values in float32, `(code - zero point) * scale` where the tensor is quantized."""
        if not self.quantized:
            return self.values.astype(np.float32)
        shape = [1] * self.values.ndim
        if self.axis is not None:
            shape[self.axis] = -1
        centred = self.values.astype(np.float32) - self.zero_points.reshape(shape).astype(np.float32)
        return centred * self.scales.reshape(shape)

    def _only(self, entries: NDArray[Any]) -> Any:
        if len(entries) != 1:
            raise InputError(
                received=f"tensor {self.name!r} with {len(entries)} scales",
                expected="one scale for the whole tensor",
                mend="use .scales, .zero_points and .axis",
            )
        return entries[0]


@dataclass(frozen=True, kw_only=True)
class Op:
    """One op of the main graph; tensors by index, -1 for an optional input left out."""

    name: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


class Tensors(Mapping[str, Tensor]):
    """All tensors after one invocation, by name (`found["conv"]`) and by index (`found.at(3)`), in index order.

    A name that two tensors share is refused; their indices tell them apart.
    """

    def __init__(self, tensors: list[Tensor], ops: tuple[Op, ...], inputs: tuple[int, ...], outputs: tuple[int, ...]):
        self._by_index = {tensor.index: tensor for tensor in tensors}
        self._by_name: dict[str, list[Tensor]] = {}
        for tensor in tensors:
            self._by_name.setdefault(tensor.name, []).append(tensor)
        self.ops, self.inputs, self.outputs = ops, inputs, outputs

    def at(self, index: int) -> Tensor:
        """Raises InputError for an index that the file does not have."""
        if index not in self._by_index:
            raise InputError(
                received=f"tensor index {index}", expected=f"one of {len(self._by_index)} tensors", mend="see .all()"
            )
        return self._by_index[index]

    def all(self) -> tuple[Tensor, ...]:
        return tuple(self._by_index.values())

    def activations(self) -> tuple[Tensor, ...]:
        """The tensors that depend on the input: the inputs, and what ops compute from them."""
        return tuple(tensor for tensor in self.all() if not tensor.constant)

    def __getitem__(self, name: str) -> Tensor:
        found = self._by_name[name]
        if len(found) > 1:
            raise InputError(
                received=f"tensor name {name!r}, carried by indices {[tensor.index for tensor in found]}",
                expected="a name that one tensor carries",
                mend="use .at(index)",
            )
        return found[0]

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_name)

    def __len__(self) -> int:
        return len(self._by_name)


class TensorReader:
    """Opens a file once to read all its tensors for many samples, computed by XNNPACK, as users run it.

    Tensors go by the names in the file's card where it has one that tells them. Preserving all tensors changes no
    output, and a file of static batch 1 resized to more samples gives the same bits.
    Raises FileFormatError for an unusable file, or a card for other contents.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._content, self._path = read_content(path), path
        self._names = tensor_names(path)
        self._runners: dict[int, Runner] = {}
        details = self._runner(1)
        self.inputs: tuple[Endpoint, ...] = details.inputs
        self.outputs: tuple[Endpoint, ...] = details.outputs
        self.ops = ops_of(details)

    def read(self, inputs: Mapping[str, NDArray[Any]] | NDArray[Any]) -> Tensors:
        """All tensors for these samples (real values, samples on the first axis), however many there are.

        Raises InputError for inputs that do not fit the file.
        """
        samples = Samples([inputs], self.inputs)
        first = next(iter(inputs.values())) if isinstance(inputs, Mapping) else inputs
        fed = samples.take(len(first))
        runner = self._runner(samples.taken)
        runner.feed(fed)
        runner.invoke()
        makers = {index: op.name for op in self.ops for index in op.outputs}
        constant = _constants(runner, self.ops)
        found = [_read(runner, details, makers, constant) for details in runner.interpreter.get_tensor_details()]
        return Tensors(
            [self._named(tensor) for tensor in found if tensor is not None],
            self.ops,
            tuple(end.index for end in self.inputs),
            tuple(end.index for end in self.outputs),
        )

    def _named(self, tensor: Tensor) -> Tensor:
        if self._names is None or tensor.index >= len(self._names):  # a scratch tensor of the interpreter
            return tensor
        return replace(tensor, name=self._names[tensor.index])

    def _runner(self, batch: int) -> Runner:
        if batch not in self._runners:
            self._runners[batch] = Runner(self._content, batch=batch, preserve=True, source=self._path)
        return self._runners[batch]


def tensors(path: str | os.PathLike[str], inputs: Mapping[str, NDArray[Any]] | NDArray[Any]) -> Tensors:
    """All tensors of the file for these samples; to read many, keep a `TensorReader`."""
    return TensorReader(path).read(inputs)


def ops_of(runner: Runner) -> tuple[Op, ...]:
    """The ops of the file in order, without those that delegates added."""
    return tuple(
        Op(
            name=str(node["op_name"]),
            inputs=tuple(int(index) for index in node["inputs"]),
            outputs=tuple(int(index) for index in node["outputs"]),
        )
        for node in runner.interpreter._get_ops_details()[: runner.nodes]
    )


def _constants(runner: Runner, ops: tuple[Op, ...]) -> set[int]:
    """Indices of the tensors that do not depend on an input: stored ones, and what ops make of stored ones."""
    varying = {end.index for end in runner.inputs}
    for op in ops:
        if varying.intersection(op.inputs):
            varying.update(op.outputs)
    return {int(item["index"]) for item in runner.interpreter.get_tensor_details()} - varying


def _read(runner: Runner, details: Mapping[str, Any], makers: Mapping[int, str], constant: set[int]) -> Tensor | None:
    """One tensor; None for what an op keeps to itself (scratch memory carries no name)."""
    if not details["name"]:
        return None
    index = int(details["index"])
    try:
        values = runner.interpreter.get_tensor(index)
    except ValueError:  # never filled: a constant that XNNPACK packed, for instance
        return None
    parameters = details["quantization_parameters"]
    scales = np.asarray(parameters["scales"], np.float32)
    return Tensor(
        name=str(details["name"]),
        index=index,
        values=values,
        scales=scales,
        zero_points=np.asarray(parameters["zero_points"], np.int32),
        axis=int(parameters["quantized_dimension"]) if len(scales) > 1 else None,
        op=makers.get(index),
        constant=index in constant,
    )

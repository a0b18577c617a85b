# SPDX-License-Identifier: Apache-2.0
"""Does the file compute the simulation's integers? Compared code by code, at every tensor."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from keras import ops, tree

from lowbit.errors import InputError
from lowbit.export import flatbuffer, integers
from lowbit.quantizers import recording
from lowbit.results import ParityResult, TensorParity
from lowbit.runtime import Runner, check_file
from lowbit.simulation import Simulation
from lowbit.simulation.calibrate import model_inputs

DEFAULT_SAMPLES = 64
_EDGES = ("QUANTIZE", "DEQUANTIZE")


class _Comparison:
    """Running counts of one tensor: elements, equal codes, codes within one, codes in use."""

    def __init__(self, op: str) -> None:
        self.op = op
        self.elements = self.equal = self.within_one = self.largest = 0
        self.codes: set[int] = set()

    def add(self, simulated: np.ndarray, written: np.ndarray) -> None:
        difference = np.abs(simulated.astype("int64").reshape(-1) - written.astype("int64").reshape(-1))
        self.elements += difference.size
        self.equal += int((difference == 0).sum())
        self.within_one += int((difference <= 1).sum())
        self.largest = max(self.largest, int(difference.max(initial=0)))
        self.codes.update(np.unique(written).tolist())

    def result(self, name: str) -> TensorParity:
        return TensorParity(
            name=name,
            op=self.op,
            equal=self.equal / self.elements,
            within_one=self.within_one / self.elements,
            distinct_codes=len(self.codes),
            elements=self.elements,
        )


def parity(
    simulation: Simulation, path: str | Path, batches: Iterable[Any], *, samples: int = DEFAULT_SAMPLES
) -> ParityResult:
    """Run both on up to `samples` samples and compare every quantized activation of the file.

    The file runs as users run it, with XNNPACK. A quantized tensor of the file that has no
    counterpart in the simulation is listed in `missing`.

    Raises:
        InputError: no samples, or data that does not fit the simulation.
        FileFormatError: the file cannot be opened.
    """
    check_file(path)
    content = Path(path).read_bytes()
    tensors, missing = _compared_tensors(content, simulation)
    comparisons = {name: _Comparison(op) for name, (_, op) in tensors.items()}
    runner = Runner(content, preserve=True, source=path)
    agreeing = seen = 0
    for number, batch in enumerate(batches):
        inputs = _first(model_inputs(simulation, batch, number), samples - seen)
        codes, answers = _simulate(simulation, inputs)
        named = inputs if isinstance(inputs, dict) else {simulation.inputs[0].name: inputs}
        for sample in range(len(answers)):
            output = runner({name: values[sample : sample + 1] for name, values in named.items()})
            for name, comparison in comparisons.items():
                simulated = codes[name].reshape(len(answers), -1)[sample]  # the batch may be merged with other axes
                comparison.add(simulated, runner.interpreter.get_tensor(tensors[name][0]))
            agreeing += int(np.argmax(answers[sample]) == np.argmax(next(iter(output.values()))[0]))
        seen += len(answers)
        if seen >= samples:
            break
    if not seen:
        raise InputError(received="no samples", expected="at least one batch to compare on", mend="pass data")
    outputs = [comparisons[name].largest for name in _output_names(simulation, comparisons)]
    return ParityResult.of(
        [comparison.result(name) for name, comparison in comparisons.items()],
        top1_agreement=agreeing / seen,
        output_max_codes=max(outputs, default=None),
        missing=missing,
    )


def _first(inputs: Any, count: int) -> Any:
    return {name: values[:count] for name, values in inputs.items()} if isinstance(inputs, dict) else inputs[:count]


def _simulate(simulation: Simulation, inputs: Any) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Codes of every tensor by name, and the (first) output, for one batch."""
    codes: dict[str, np.ndarray] = {}
    with recording(lambda name, values: codes.update({name: ops.convert_to_numpy(values)})):
        output = simulation(inputs, training=False)
    return codes | _edge_codes(simulation, codes), ops.convert_to_numpy(tree.flatten(output)[0])


def _edge_codes(simulation: Simulation, codes: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """A tensor between float and integers goes by the name of the float one."""
    return {name: codes[layer.tensor_name] for name, layer in simulation.edges().items()}


def _compared_tensors(content: bytes, simulation: Simulation) -> tuple[dict[str, tuple[int, str]], tuple[str, ...]]:
    """Every quantized activation: its index and the op that makes it, by our name; and those we do not know."""
    model = flatbuffer.read(content)
    graph = model.subgraphs[0]
    known = integers.tensor_quantizers(simulation)
    found: dict[str, tuple[int, str]] = {}
    missing = []
    makers = {int(op.outputs[0]): flatbuffer.op_name(model, op) for op in graph.operators}
    for number, tensor in enumerate(graph.tensors):
        is_activation = number in makers or number in graph.inputs
        if not is_activation or tensor.type not in (schema.TensorType.INT16, schema.TensorType.INT8):
            continue
        name = flatbuffer.text(tensor.name)
        own = name if name in known else name.removesuffix("_quantized")
        if own in known:
            found[own] = (number, makers.get(number, "INPUT"))
        else:
            missing.append(name)
    return found, tuple(missing)


def _output_names(simulation: Simulation, comparisons: dict[str, _Comparison]) -> list[str]:
    makers = {output: layer.tensor_name for layer, _, output in simulation.graph()}
    return [name for tensor in simulation.outputs if (name := makers[id(tensor)]) in comparisons]

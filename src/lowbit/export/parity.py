# SPDX-License-Identifier: Apache-2.0
"""Does the file compute the simulation's integers? Compared code by code, at every tensor."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from keras import ops, tree

from lowbit.card import card_path, tensor_names
from lowbit.errors import InputError, UnsupportedError
from lowbit.export import integers, outputs
from lowbit.export.answers import Answers
from lowbit.quantizers import recording
from lowbit.quantizers.on_jax import compiled_as_a_whole
from lowbit.results import ParityResult, TensorParity
from lowbit.runtime import Runner, check_file, flatbuffer
from lowbit.simulation import Simulation
from lowbit.simulation.calibrate import model_inputs

DEFAULT_SAMPLES = 64
_NEARLY_ALL = 0.9


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
            equal=self.equal / self.elements if self.elements else 1.0,
            within_one=self.within_one / self.elements if self.elements else 1.0,
            distinct_codes=len(self.codes),
            elements=self.elements,
        )


def parity(
    simulation: Simulation,
    path: str | Path,
    batches: Iterable[Any],
    *,
    samples: int = DEFAULT_SAMPLES,
    names: Sequence[str] | None = None,
) -> ParityResult:
    """Run both on up to `samples` samples and compare every quantized activation of the file.

    The file runs as users run it, with XNNPACK. A quantized tensor of the file that has no counterpart in the
    simulation is listed in `missing`. `names` are those of the file's tensors by number; None takes them from its card,
    or from the file where that has none. `top1_agreement` is that of the output that agrees least (`export.answers`).

    Raises:
        InputError: no batches, no samples, or data that does not fit the simulation.
        UnsupportedError: a model that computes across the batch axis.
        ExportError: an output, of the file or the simulation, that is not finite.
        FileFormatError: the file cannot be opened, or its card is for other contents.
    """
    require_batches(batches)
    check_file(path)
    content = Path(path).read_bytes()
    tensors, missing = tied_tensors(content, simulation, tensor_names(path) if names is None else names)
    _require_known(path, tensors, missing)
    comparisons = {name: _Comparison(op) for name, (_, op) in tensors.items()}
    runner = Runner(content, preserve=True, source=path)
    answers = _answers(simulation)
    forward, seen, is_apart = _forward(simulation), 0, False
    for number, batch in enumerate(batches):
        inputs = _first(model_inputs(simulation, batch, number), samples - seen)
        simulated = _Simulated.of(simulation, inputs, forward)
        if not is_apart and simulated.samples > 1:
            simulated.require_apart(_Simulated.of(simulation, _first(inputs, 1), forward))
            is_apart = True
        named = inputs if isinstance(inputs, dict) else {simulation.inputs[0].name: inputs}
        for sample in range(simulated.samples):
            written = runner({name: values[sample : sample + 1] for name, values in named.items()})
            for name, comparison in comparisons.items():
                codes = _of_sample(simulated.codes[name], sample, simulated.samples)
                comparison.add(codes, runner.interpreter.get_tensor(tensors[name][0]))
            ours = [_of_sample(values, sample, simulated.samples) for values in simulated.outputs.values()]
            answers.add(ours, list(written.values()))
        seen += simulated.samples
        if seen >= samples:
            break
    if not seen:
        raise InputError(received="no samples", expected="at least one batch to compare on", mend="pass data")
    largest = [comparisons[name].largest for name in _output_names(simulation, comparisons)]
    return ParityResult.of(
        [comparison.result(name) for name, comparison in comparisons.items()],
        top1_agreement=answers.agreement(),
        output_max_codes=max(largest, default=None),
        missing=missing,
    )


def _require_known(path: str | Path, tensors: Mapping[str, Any], missing: Sequence[str]) -> None:
    if missing and not tensors:
        raise InputError(
            received=f"{path}, of whose integer tensors ({', '.join(missing[:3])}, ...) none is the simulation's",
            expected=f"the file of this simulation, with its card {card_path(path).name} if it holds short names",
            mend="copy the card too, or export with keep_names (--keep-names)",
        )


def require_batches(batches: Any) -> None:
    """Raises InputError for what is no iterable of batches, one bare array or dict among it."""
    is_bare = isinstance(batches, Mapping) or hasattr(batches, "shape")
    if is_bare or not isinstance(batches, Iterable) or isinstance(batches, (str, bytes)):
        raise InputError(
            received=f"parity data {type(batches).__name__} {batches!r:.80}",
            expected="an iterable of batches",
            mend="pass [array], a list of arrays, or a loader",
        )


def _first(inputs: Any, count: int) -> Any:
    return {name: values[:count] for name, values in inputs.items()} if isinstance(inputs, dict) else inputs[:count]


_Forward = Callable[[Any], tuple[Any, dict[str, Any]]]
"""Inputs -> the simulation's answer and the codes of every tensor by name."""


def _forward(simulation: Simulation) -> _Forward:
    def passed(trainable: list[Any], others: list[Any], inputs: Any) -> tuple[Any, dict[str, Any]]:
        codes: dict[str, Any] = {}
        with recording(lambda name, values: codes.update({name: values})):
            answer, _ = simulation.stateless_call(trainable, others, inputs, training=False)
        return answer, codes

    compiled = compiled_as_a_whole(passed)

    def forward(inputs: Any) -> tuple[Any, dict[str, Any]]:
        trainable, others = simulation.trainable_variables, simulation.non_trainable_variables
        return compiled([one.value for one in trainable], [one.value for one in others], inputs)

    return forward


class _Simulated(NamedTuple):
    """Codes of every tensor and values of every output, by name, for one batch."""

    codes: dict[str, np.ndarray]
    outputs: dict[str, np.ndarray]
    samples: int

    @classmethod
    def of(cls, simulation: Simulation, inputs: Any, forward: _Forward) -> "_Simulated":
        answer, recorded = forward(inputs)
        codes = {name: ops.convert_to_numpy(values) for name, values in recorded.items()}
        values = [ops.convert_to_numpy(value) for value in tree.flatten(answer)]
        samples = len(next(iter(inputs.values())) if isinstance(inputs, dict) else inputs)
        named = dict(zip(outputs.names(simulation), values, strict=True))
        return cls(codes | _edge_codes(simulation, codes), named, samples)

    def require_apart(self, alone: "_Simulated") -> None:
        """Raises UnsupportedError where the first sample is another one `alone` than in this batch."""
        pairs = [*((name, self.codes[name], alone.codes[name]) for name in alone.codes)]
        pairs += [(name, self.outputs[name], alone.outputs[name]) for name in alone.outputs]
        for name, together, one in pairs:
            is_apart = together.size == one.size * self.samples
            if is_apart and _near(_of_sample(together, 0, self.samples), one):
                continue
            raise UnsupportedError(
                received=f"tensor {name!r}, which for a sample alone is not what it is in a batch of {self.samples}: "
                "the model computes across the batch axis",
                expected="samples that are computed one by one, as in a file of batch 1",
                mend="let it compute along the other axes: axis=-1 in place of axis=0",
            )


def _near(values: np.ndarray, others: np.ndarray) -> bool:
    """Nearly all within one code, or a hundredth of the largest value: float arithmetic may differ with the batch."""
    if values.size == 0 or values.dtype.kind == "b":
        return np.array_equal(values.reshape(-1), others.reshape(-1))
    values, others = (np.nan_to_num(one.reshape(-1).astype("float64")) for one in (values, others))
    limit = float(np.abs(values).max()) / 100
    if np.array_equal(values, np.rint(values)):
        limit = max(limit, 1.0)
    return float((np.abs(values - others) <= limit).mean()) > _NEARLY_ALL


def _of_sample(values: np.ndarray, sample: int, samples: int) -> np.ndarray:
    """One sample's part, also where the batch is merged with another axis."""
    return values.reshape(samples, *_shape_of_one(values, samples))[sample]


def _shape_of_one(values: np.ndarray, samples: int) -> tuple[int, ...]:
    """All but the last axis flattened; an axis that is the batch's alone counts as one value each."""
    if values.size % samples:
        return values.shape
    size = values.size // samples
    width = values.shape[-1] if values.ndim > 1 else 1
    return (size // width, width) if width and size % width == 0 else (min(size, 1), size)


def _answers(simulation: Simulation) -> Answers:
    made = {output: layer.tensor_quantizer() for layer, _, output in simulation.graph()}
    return Answers(outputs.names(simulation), [made[id(tensor)] for tensor in simulation.outputs])


def _edge_codes(simulation: Simulation, codes: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """A tensor between float and integers goes by the name of the float one."""
    return {name: codes[layer.tensor_name] for name, layer in simulation.edges().items()}


def tied_tensors(
    content: bytes, simulation: Simulation, names: Sequence[str] | None = None
) -> tuple[dict[str, tuple[int, str]], tuple[str, ...]]:
    """Every quantized activation: its index and the op that makes it, by our name; and those we do not know.

    `names` by number stand for those in the file.
    """
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
        name = flatbuffer.text(tensor.name) if names is None else names[number]
        own = name if name in known else name.removesuffix("_quantized")
        if own in known:
            found[own] = (number, makers.get(number, "INPUT"))
        else:
            missing.append(name)
    return found, tuple(missing)


def _output_names(simulation: Simulation, comparisons: dict[str, _Comparison]) -> list[str]:
    makers = {output: layer.tensor_name for layer, _, output in simulation.graph()}
    return [name for tensor in simulation.outputs if (name := makers[id(tensor)]) in comparisons]

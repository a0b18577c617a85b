# SPDX-License-Identifier: Apache-2.0
"""The public exporters: check what is asked, make the bytes, open them, put them in place."""

import hashlib
import os
import time
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
from ai_edge_litert import schema_py_generated as schema
from litert_quantizer import quantizer
from litert_quantizer.algorithm_manager import AlgorithmName
from litert_quantizer.qtyping import TFLOperationName

from lowbit.errors import ExportError, FileFormatError, InputError, UnsupportedError
from lowbit.export import content as contents
from lowbit.export import integers, limits, quietly, request
from lowbit.export.cards import write_names
from lowbit.export.parity import parity as measure_parity
from lowbit.export.parity import require_batches, tied_tensors
from lowbit.export.request import LEAST_AGREEMENT
from lowbit.export.slim import slim
from lowbit.files import replacing
from lowbit.results import ParityResult
from lowbit.runtime import check_file, flatbuffer
from lowbit.simulation import Simulation, float_form, quantize_model
from lowbit.spec import Spec

_SMALL = (schema.TensorType.FLOAT16, schema.TensorType.INT8, schema.TensorType.INT4)
LEAST_WITHIN_ONE = 0.5
"""Share of an 8-bit tensor's codes that must be within one of the simulation's, where answers are checked."""

_NEAR = 0.95
"""Share of a tensor's codes within one of the simulation's."""

FARTHEST_OF_16_BITS = 3277
"""Codes, a twentieth of the range, at an output: 16-bit operations are simulated near, not to the last code."""

VARIANTS = ("float32", "float16", "dynamic-w8", "weight-w8")
_OF_INTEGERS = ("dynamic-w8", "weight-w8")


@dataclass(frozen=True, kw_only=True)
class ExportResult:
    """A written file. `quantized_tensors` counts activations tied to a quantizer; `seconds` is the whole export.

    `tensor_names` names the file's tensors by their number, None where the file does; the card beside it has them too.
    """

    path: Path
    size_bytes: int
    sha256: str
    seconds: float
    quantized_tensors: int
    parity: ParityResult | None = None
    tensor_names: tuple[str, ...] | None = None


def export(
    model: keras.Model,
    path: str | Path,
    *,
    spec: Spec | str | None = None,
    calibration: Iterable[Any] | None = None,
    io: str = "float32",
    parity: Iterable[Any] | None = None,
    least_agreement: float | None = LEAST_AGREEMENT,
    input_shape: Any = None,
    keep_names: bool = False,
    python: str | os.PathLike[str] | None = None,
) -> ExportResult:
    """Write a `.tflite` with batch 1 and LiteRT's built-in operations only.

    Args:
        model: a calibrated or trained simulation, or a float model. A float model without `spec`
            gives a float32 file; with `spec` and `calibration`, an integer file.
        io: "float32", or "int8" for a file whose inputs and outputs are codes.
        parity: batches on which the file is compared with the simulation, tensor by tensor.
        least_agreement: share of top-1 answers, 0 to 1, on which both must agree on these batches, at every output
            (`export.answers`). No 8-bit tensor may mostly differ by more than one code either. None leaves both
            unchecked.
        input_shape: sizes in place of a float model's free ones (None), as for `quantize_model`.
        keep_names: leave long names of tensors in an integer file. Otherwise they are in its card (`PATH.json`), by
            which `parity` and `runtime.tensors` know them.
        python: the interpreter, with lowbit and TensorFlow, of a process that makes the file; None is this process, or
            where Keras runs on JAX or PyTorch a process of this interpreter.

    Raises:
        InputError: a path that does not end in .tflite, a simulation without ranges, `spec`, `calibration` or
            `input_shape` given for a simulation, `calibration` or `parity` for a float file, unknown `io`, a share
            outside 0 to 1, an interpreter that cannot be used, or classes that it cannot import.
        UnsupportedError: an output that is an input, or one tensor given as two outputs.
        ExportError: what was written is not what the simulation computes. No file is left then.
    """
    request.check(model, path, spec, io)
    request.check_share(least_agreement)
    request.check_shape(model, input_shape)
    request.check_use_of_data(model, spec, calibration=calibration, parity=parity)
    if parity is not None:
        require_batches(parity)
    started = time.perf_counter()
    if spec is not None:
        model = quantize_model(model, spec, calibration=calibration, input_shape=input_shape)
    if not isinstance(model, Simulation):
        return export_variant(model, path, "float32", input_shape=input_shape, python=python)
    model.require_calibrated()
    limits.require_finite(model)
    if io == "int8":
        request.check_codes(model)
    named = contents.made(model, io, python)
    limits.check_scales(named)
    _check_tied(named, model)
    content, names = (named, None) if keep_names else slim(named)
    batches = None if parity is None else list(parity)
    with replacing(path) as temporary:
        temporary.write_bytes(content)
        try:
            check_file(temporary)
        except FileFormatError as error:
            raise limits.named(named, error) from error
        result = None if batches is None else measure_parity(model, temporary, batches, names=names)
        if result is not None:
            _check_agreement(model, result, least_agreement)
    write_names(path, content, recipe=model.spec.name, tensors=names)
    tied = len(integers.tensor_quantizers(model)) - len(model.edges())
    return _result(path, content, started, tied, result, names)


def export_variant(
    model: keras.Model,
    path: str | Path,
    kind: str,
    *,
    input_shape: Any = None,
    keep_names: bool = False,
    python: str | os.PathLike[str] | None = None,
) -> ExportResult:
    """Write a file that needs no simulation: "float32", "float16", "dynamic-w8" or "weight-w8".

    A model that no simulation can be made of is converted as it is (`export.direct`), where Keras runs on TensorFlow.
    `keep_names`, for the last two kinds, and `python` as in `export`. Raises InputError for another kind, free sizes
    without `input_shape` or an interpreter that cannot be used, UnsupportedError for a simulation or a model that only
    TensorFlow could trace, and ExportError for operations that LiteRT has not built in.
    """
    if kind not in VARIANTS:
        raise InputError(received=f"kind={kind!r}", expected=f"one of {VARIANTS}", mend="choose one of them")
    request.check(model, path, None, "float32")
    started = time.perf_counter()
    content, names = _float_content(model, input_shape, python), None
    if kind != "float32":
        content = _without_simulation(content, kind)
    if kind in _OF_INTEGERS and not keep_names:
        content, names = slim(content)
    with replacing(path) as temporary:
        temporary.write_bytes(content)
        check_file(temporary)
    write_names(path, content, recipe=kind, tensors=names)
    return _result(path, content, started, 0, None, names)


def _float_content(model: keras.Model, input_shape: Any, python: str | os.PathLike[str] | None) -> bytes:
    """The float32 file: by way of the simulation's graph, which needs no tracing by TensorFlow of a known structure."""
    try:
        simulation = float_form(model, input_shape)
        return contents.made(simulation, contents.FLOAT, python)
    except UnsupportedError as refusal:
        if isinstance(model, Simulation) or any(variable.dtype == "float64" for variable in model.variables):
            raise
        return contents.traced(model, input_shape, refusal)


def _without_simulation(content: bytes, kind: str) -> bytes:
    """litert-quantizer's own forms with float activations; it takes the largest absolute weight as range."""
    worker = quantizer.Quantizer(content)
    everything = (".*", TFLOperationName.ALL_SUPPORTED)
    if kind == "dynamic-w8":
        worker.add_dynamic_config(*everything, num_bits=8)
    elif kind == "weight-w8":
        worker.add_weight_only_config(*everything, num_bits=8)
    else:
        worker.add_weight_only_config(*everything, num_bits=16, algorithm_key=AlgorithmName.FLOAT_CASTING)
    model = flatbuffer.read(quietly.quantized(worker))
    if not any(tensor.type in _SMALL for graph in model.subgraphs for tensor in graph.tensors):
        warnings.warn(
            f"the {kind} file is a float32 file: no weight could take that form, as none is large enough or all lie "
            "in branches and loops",
            stacklevel=3,
        )
    return flatbuffer.write(model)


def _check_tied(content: bytes, simulation: Simulation) -> None:
    _, unknown = tied_tensors(content, simulation)
    if unknown:
        raise ExportError(f"the file has integer tensors that no quantizer of the simulation stands for: {unknown[:5]}")


def _check_agreement(simulation: Simulation, parity: ParityResult, least: float | None) -> None:
    """Raise ExportError where file and simulation answer differently more often than is allowed, or are far apart."""
    if least is None:
        return
    _check_tensors(simulation, parity)
    if parity.top1_agreement is None or parity.top1_agreement >= least:
        return
    raise ExportError(
        f"file and simulation agree on {parity.top1_agreement:.1%} of answers, under {least:.4g} as least_agreement "
        f"(--least-agreement) asks; worst tensor {parity.worst_tensor!r}; no file was written: "
        "calibrate on data like that it runs on, keep layers without integer form out of the model, or ask for less"
    )


def _check_tensors(simulation: Simulation, parity: ParityResult) -> None:
    """Rounding differs by a code here and there; 8-bit integers that mostly differ by more are another computation."""
    quantizers = integers.tensor_quantizers(simulation)
    makers = {output: layer.tensor_name for layer, _, output in simulation.graph()}
    ends = [quantizers.get(makers.get(id(tensor), "")) for tensor in simulation.outputs]
    largest = parity.output_max_codes or 0
    if largest > FARTHEST_OF_16_BITS and all(end is None or end.bits == 16 for end in ends):
        near = next((one for one in parity.per_tensor if one.within_one < _NEAR), parity.per_tensor[-1])
        raise ExportError(
            f"a 16-bit output of the file is up to {largest} codes from the simulation's, {largest / 65534:.0%} of its "
            f"range; expected at most {FARTHEST_OF_16_BITS / 65534:.0%}; the first that is not near is {near.name!r} "
            f"({near.op}), whose 16-bit kernel is less exact than the simulation; no file was written: give the layer "
            "8-bit activations or keep it float with a rule, or pass least_agreement=None to have the file all the same"
        )
    compared = [tensor for tensor in parity.per_tensor if quantizers[tensor.name].bits == 8]
    worst = min(compared, key=lambda tensor: tensor.within_one, default=None)
    if worst is not None and worst.within_one < LEAST_WITHIN_ONE:
        raise ExportError(
            f"tensor {worst.name!r} ({worst.op}) of the file is within one code of the simulation's in "
            f"{worst.within_one:.1%} of its values; expected at least {LEAST_WITHIN_ONE:.0%}; no file was written: "
            "keep the layer that makes it float with a rule, or pass least_agreement=None to have the file all the same"
        )


def _result(
    path: str | Path,
    content: bytes,
    started: float,
    tied: int,
    parity: ParityResult | None,
    names: tuple[str, ...] | None,
) -> ExportResult:
    return ExportResult(
        path=Path(path),
        size_bytes=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        seconds=time.perf_counter() - started,
        quantized_tensors=tied,
        parity=parity,
        tensor_names=names,
    )

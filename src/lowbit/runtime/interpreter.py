# SPDX-License-Identifier: Apache-2.0
"""One LiteRT interpreter with XNNPACK, as users run it, and what goes in and out of it."""

import os
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from ai_edge_litert.interpreter import Interpreter as LiteRTInterpreter
from numpy.typing import NDArray

from lowbit.errors import FileFormatError, InputError
from lowbit.runtime.codes import to_codes, to_integers, to_real

MOST_THREADS = 1024  # LiteRT takes an int and starts as many; no machine has more cores


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """An input or output: `shape` with its batch axis; `scale` and `zero_point` are None where it is not quantized."""

    name: str
    index: int
    shape: tuple[int, ...]
    dtype: str
    scale: float | None = None
    zero_point: int | None = None


def read_content(path: str | os.PathLike[str]) -> bytes:
    """The bytes of a file that calls itself a `.tflite`; raises FileFormatError for a missing file or another kind."""
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise not_readable(path, error.strerror or str(error)) from error
    if content[4:8] != b"TFL3":
        raise not_readable(path, f"{len(content)} bytes without the mark TFL3 of this format")
    return content


def not_readable(path: str | os.PathLike[str], found: str) -> FileFormatError:
    """The error for a file that LiteRT cannot open or run."""
    return FileFormatError(
        received=f"{path}: {found}",
        expected="a whole .tflite file that this LiteRT runs",
        mend="export or download the file again",
    )


class Runner:
    """An interpreter with its tensors allocated for batches of `batch` samples; not to be shared between threads.

    `content` is kept by reference, so many runners share it. Raises FileFormatError when the file cannot be opened or
    prepared; a file from elsewhere goes through `check_file` first, as a damaged one can end the whole process.
    """

    def __init__(
        self,
        content: bytes,
        *,
        batch: int | None = None,
        threads: int = 1,
        preserve: bool = False,
        source: str | os.PathLike[str] = "file",
    ) -> None:
        try:
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", "Warning: Enabling `experimental_preserve_all_tensors`")
                self.interpreter = LiteRTInterpreter(
                    model_content=content, num_threads=threads, experimental_preserve_all_tensors=preserve
                )
            self.inputs, self.outputs = endpoints(self.interpreter)
            self.nodes = len(self.interpreter._get_ops_details())  # before delegates add theirs
            if batch is not None:
                for end in self.inputs:
                    self.interpreter.resize_tensor_input(end.index, (batch, *end.shape[1:]))
            self.interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise not_readable(source, str(error)) from error

    @classmethod
    def open(cls, path: str | os.PathLike[str], **settings: Any) -> Self:
        return cls(read_content(path), source=path, **settings)

    def feed(self, inputs: Mapping[str, NDArray[Any]]) -> None:
        """Set the inputs, by name; real values are quantized where the file takes codes."""
        for end in self.inputs:
            self.interpreter.set_tensor(end.index, _as_input(end, inputs[end.name]))

    def invoke(self) -> None:
        """Run once; raises InputError with LiteRT's own words when an op fails at run time."""
        try:
            self.interpreter.invoke()
        except RuntimeError as error:
            raise InputError(
                received=f"a failing op: {error}", expected="a file that runs to its end", mend="export the model again"
            ) from error

    def fetch(self) -> dict[str, NDArray[Any]]:
        """Copies of the outputs, by name; codes become real values where the output has a scale."""
        return {end.name: _as_output(end, self.interpreter.get_tensor(end.index)) for end in self.outputs}

    def __call__(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        self.feed(inputs)
        self.invoke()
        return self.fetch()


def endpoints(interpreter: LiteRTInterpreter) -> tuple[tuple[Endpoint, ...], tuple[Endpoint, ...]]:
    """Inputs and outputs, by the names of the signature where the file has one, else by tensor names."""
    signatures = interpreter._get_full_signature_list()
    names: dict[str, dict[str, int]] = next(iter(signatures.values()), {"inputs": {}, "outputs": {}})
    return (
        tuple(_endpoint(item, names["inputs"]) for item in interpreter.get_input_details()),
        tuple(_endpoint(item, names["outputs"]) for item in interpreter.get_output_details()),
    )


def _endpoint(details: Mapping[str, Any], names: Mapping[str, int]) -> Endpoint:
    index = int(details["index"])
    own_name = str(details["name"]).removeprefix("serving_default_").removesuffix(":0")
    scale, zero_point = details["quantization"]
    return Endpoint(
        name=next((name for name, where in names.items() if where == index), own_name),
        index=index,
        shape=tuple(int(size) for size in details["shape"]),
        dtype=np.dtype(details["dtype"]).name,
        scale=float(scale) if scale else None,
        zero_point=int(zero_point) if scale else None,
    )


def _as_input(end: Endpoint, values: NDArray[Any]) -> NDArray[Any]:
    dtype = np.dtype(end.dtype)
    if values.dtype == dtype or not np.issubdtype(dtype, np.integer):
        return np.ascontiguousarray(values, dtype)
    if end.scale is None or end.zero_point is None:
        return to_integers(values, dtype.type, end.name)
    return to_codes(values, end.scale, end.zero_point, dtype.type)


def _as_output(end: Endpoint, values: NDArray[Any]) -> NDArray[Any]:
    if end.scale is None or end.zero_point is None:
        return values
    return to_real(values, end.scale, end.zero_point)

# SPDX-License-Identifier: Apache-2.0
"""How a simulation computes an eager forward pass, where that is not training or inference."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from enum import Enum
from typing import Any


class Mode(Enum):
    """SIMULATE is what users see: fake quantization while training, exact integers in inference."""

    SIMULATE = "simulate"
    FLOAT = "float"
    OBSERVE = "observe"
    """Compute in float and let every quantizer record the range it sees (calibration)."""


_mode: ContextVar[Mode] = ContextVar("lowbit_forward_mode", default=Mode.SIMULATE)


def current_mode() -> Mode:
    return _mode.get()


@contextmanager
def forward_mode(mode: Mode) -> Iterator[None]:
    """Eager calls inside compute in `mode`; compiled functions traced earlier are not affected."""
    token = _mode.set(mode)
    try:
        yield
    finally:
        _mode.reset(token)


_xla: ContextVar[bool] = ContextVar("lowbit_xla", default=False)


def is_for_xla() -> bool:
    """Whether what is traced now will be compiled by XLA."""
    return _xla.get()


@contextmanager
def tracing_for_xla(compiled: bool) -> Iterator[None]:
    """Within, operations that XLA does not have are replaced by others."""
    token = _xla.set(compiled)
    try:
        yield
    finally:
        _xla.reset(token)


Recorder = Callable[[str, Any], None]
_recorder: ContextVar[Recorder | None] = ContextVar("lowbit_recorder", default=None)


def record(tensor_name: str, codes: Any) -> None:
    """Hand the codes of one tensor to whoever is recording this forward pass."""
    recorder = _recorder.get()
    if recorder is not None:
        recorder(tensor_name, codes)


@contextmanager
def recording(recorder: Recorder) -> Iterator[None]:
    """Within, inference, eager or traced, calls `recorder(tensor name, codes)` for every quantized tensor."""
    token = _recorder.set(recorder)
    try:
        yield
    finally:
        _recorder.reset(token)


_grids: ContextVar[dict[Any, Any] | None] = ContextVar("lowbit_grids", default=None)


@contextmanager
def ranges_stand_still(still: bool) -> Iterator[None]:
    """Within one forward pass of inference, what follows from a range is computed once for all who ask.

    Several layers ask for each tensor's scale, and tracing it anew for each is slow (docs/decisions/0019).
    """
    token = _grids.set({} if still else None)
    try:
        yield
    finally:
        _grids.reset(token)


def computed_once(key: Any, compute: Callable[[], Any]) -> Any:
    """What `compute` returns, or returned for this key earlier in a pass whose ranges stand still."""
    grids = _grids.get()
    if grids is None:
        return compute()
    if key not in grids:
        grids[key] = compute()
    return grids[key]

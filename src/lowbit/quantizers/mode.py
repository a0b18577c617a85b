# SPDX-License-Identifier: Apache-2.0
"""How a simulation computes an eager forward pass, where that is not training or inference."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from enum import Enum


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

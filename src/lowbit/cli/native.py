# SPDX-License-Identifier: Apache-2.0
"""Silence for the logs of native libraries. Only the command line may do this: it owns the process."""

import contextlib
import logging
import os
import sys
from collections.abc import Iterator

# With more, kernels of one training step finish in varying order: three runs of MobileNetV2 gave three models.
_REPEATABLE = {"TF_NUM_INTEROP_THREADS": "1"}
# TensorFlow leaves oneDNN out on CPUs without AVX-512, where a training step takes 1.6 times as long without it (0013).
_FAST = {"TF_ENABLE_ONEDNN_OPTS": "1"}
_QUIET = {"TF_CPP_MIN_LOG_LEVEL": "3", "GRPC_VERBOSITY": "ERROR", "TF_CPP_MAX_VLOG_LEVEL": "0"}


@contextlib.contextmanager
def hushed(*, loud: bool) -> Iterator[None]:
    """Drop what native code writes to the descriptors of stdout and stderr; `sys.stdout` and `sys.stderr` still work.

    With `loud` nothing is dropped. Set before tensorflow is imported, as it reads these once.
    """
    for name, value in (_REPEATABLE | _FAST).items():
        os.environ.setdefault(name, value)
    if loud:
        yield
        return
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    with contextlib.ExitStack() as undo:
        undo.callback(logging.disable, level)
        undo.enter_context(_without_descriptor("stdout", 1))
        undo.enter_context(_without_descriptor("stderr", 2))
        yield


@contextlib.contextmanager
def _without_descriptor(name: str, number: int) -> Iterator[None]:
    """Give Python's stream a descriptor of its own and point the well-known one nowhere.

    Does nothing where the stream is not on that descriptor: a test or a notebook has replaced it.
    """
    stream = getattr(sys, name)
    try:
        on_descriptor = stream.fileno() == number
    except (AttributeError, OSError, ValueError):
        on_descriptor = False
    if not on_descriptor:
        yield
        return
    stream.flush()
    kept = os.dup(number)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, number)
    os.close(nowhere)
    own = os.fdopen(kept, "w", buffering=1, encoding=stream.encoding, errors=stream.errors)
    setattr(sys, name, own)
    try:
        yield
    finally:
        setattr(sys, name, stream)
        os.dup2(own.fileno(), number)
        try:
            own.flush()
        except OSError:  # full or closed at the other end: what is left goes nowhere, or closing would fail too
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, own.fileno())
            os.close(nowhere)
        own.close()

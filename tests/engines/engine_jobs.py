# SPDX-License-Identifier: Apache-2.0
"""Jobs that leave a mark each time they really run, and jobs that end badly in every way."""

import errno
import os
import signal
from pathlib import Path
from typing import Any

from lowbit.engines import JobContext
from lowbit.errors import InputError, UnsupportedError


def _mark(log: str, word: str) -> None:
    with Path(log).open("a") as stream:
        stream.write(word + "\n")


def write(context: JobContext, *, log: str, path: str, text: str, inputs: list[str] | None = None) -> dict[str, Any]:
    """Write `text` and the contents of all inputs to `path`."""
    _mark(log, context.staging.name.rsplit("-", 1)[0])
    parts = [context.input(name).read_text() for name in inputs or []]
    context.emit({"read": len(parts)})
    context.output(path).write_text(text + "".join(parts))
    return {"characters": len(text)}


def die_half_way(context: JobContext, *, path: str, flag: str) -> None:
    """Write half of the output, then die as by `kill -9`; once `flag` exists, write all of it."""
    with context.output(path).open("w") as stream:
        stream.write("first half,")
        stream.flush()
        if not Path(flag).exists():
            Path(flag).touch()
            os.kill(os.getpid(), signal.SIGKILL)
        stream.write("second half")


def unsupported(context: JobContext) -> None:
    raise UnsupportedError(received="a loaded model", expected="a zoo name", mend="leave this recipe out")


def refuse(context: JobContext) -> None:
    raise InputError(received="epochs=0", expected="at least 1", mend="pass more")


def crash(context: JobContext) -> None:
    raise KeyError("no such\nlayer")


def interrupt(context: JobContext) -> None:
    raise KeyboardInterrupt


def disk_full(context: JobContext) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def forget_output(context: JobContext) -> None:
    return None


def value_not_json(context: JobContext) -> Any:
    return {"loss": float("nan")}


def read_undeclared(context: JobContext) -> None:
    context.input("secret.txt")

# SPDX-License-Identifier: Apache-2.0
"""One command at work: where its output goes, how loud it is, and which exit code its end has."""

import contextlib
import json
import os
import sys
import warnings
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO

import typer
from rich.console import Console, RenderableType

from lowbit.cli.native import hushed
from lowbit.errors import InputError, LowbitError

DONE = 0
ROW_FAILED = 1
WRONG_INPUT = 2

_OWN_PACKAGES = ("ai_edge_litert", "h5py", "keras", "litert_quantizer", "PIL", "scipy", "tensorflow")
# Names of files and layers are printed as they are: `a[bold].tflite` is no markup, `:smile:` no picture.
_PLAIN: dict[str, Any] = {"markup": False, "emoji": False, "highlight": False}
_OWN_CODE = str(Path(__file__).resolve().parents[1])


def print_error(text: str) -> None:
    """`error: …` in one line on stderr; nowhere when nothing can be written there."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        sys.stderr.write(f"error: {' '.join(text.split())}\n")
        sys.stderr.flush()


def error_line(error: Exception) -> str:
    """A LowbitError says itself how to mend it; any other error gets its kind and a way to learn more."""
    if isinstance(error, LowbitError):
        return str(error)
    if isinstance(error, OSError) and error.errno is not None:
        where = "no room for the output" if error.filename is None else error.filename
        return f"received {where}: {error.strerror}; expected a usable place; check path, space and permissions"
    if isinstance(error, ValueError) and str(error).startswith("Unable to import backend"):
        received = os.environ.get("KERAS_BACKEND")
        return f"received KERAS_BACKEND={received}; expected tensorflow, jax or torch; set it to one of these"
    if isinstance(error, ModuleNotFoundError) and error.name in _OWN_PACKAGES:
        return f"received no installed package {error.name!r}; expected all that lowbit needs; run: pip install lowbit"
    return f"unexpected {type(error).__name__}: {error}; run again with --debug to see where it comes from"


class Session:
    """Context of one command.

    Inside it stdout belongs to the result alone: whatever libraries print there goes to stderr, and what native code
    writes is dropped unless `verbose`. Errors end the process with one line on stderr, and with a traceback only
    when `debug`: code 2 for input that cannot be used, 1 for a result that could not be had. Ctrl-C ends it with 130
    and with what is kept then, `if_interrupted`.
    """

    def __init__(
        self, *, as_json: bool = False, verbose: bool = False, quiet: bool = False, debug: bool = False
    ) -> None:
        self.as_json, self.verbose, self.quiet, self.debug = as_json, verbose, quiet, debug
        self.exit_code = DONE
        self.if_interrupted = "nothing was kept"
        self._stdout: TextIO = sys.stdout
        self._open = contextlib.ExitStack()

    def __enter__(self) -> "Session":
        self._open.enter_context(hushed(loud=self.verbose or self.debug))
        self._stdout = sys.stdout
        self._open.enter_context(contextlib.redirect_stdout(sys.stderr))
        self._open.enter_context(warnings.catch_warnings())
        warnings.showwarning = self._show_warning
        self.err = Console(stderr=True, quiet=self.quiet, soft_wrap=True, **_PLAIN)
        self.out = Console(file=self._stdout, width=self._width(), **_PLAIN)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()
        if isinstance(error, Exception) and not isinstance(error, typer.Exit | typer.TyperException):
            if self.debug:
                sys.excepthook(type(error), error, trace)
            print_error(error_line(error))
            is_result = isinstance(error, LowbitError) and not isinstance(error, InputError)
            raise typer.Exit(ROW_FAILED if is_result else WRONG_INPUT)
        if isinstance(error, KeyboardInterrupt):
            self.note(f"interrupted: {self.if_interrupted}")
        if error is None and self.exit_code != DONE:
            raise typer.Exit(self.exit_code)

    def note(self, text: str) -> None:
        """A line for people, on stderr; not with -q."""
        self.err.print(text)

    def detail(self, text: str) -> None:
        """A line for the curious, on stderr; only with -v."""
        if self.verbose:
            self.note(text)

    def result(self, data: Any, *renderables: RenderableType) -> None:
        """The command's result on stdout: `data` as one JSON document with --json, else the renderables."""
        if self.as_json:
            self._stdout.write(json.dumps(data, indent=1, ensure_ascii=False, allow_nan=False) + "\n")
            self._stdout.flush()
            return
        for renderable in renderables:
            self.out.print(renderable)
        self._stdout.flush()  # a full disk is found here, where it becomes an error

    def _show_warning(self, message: Warning | str, category: type[Warning], filename: str, *_: Any, **__: Any) -> None:
        """lowbit's own warnings in one line; those of libraries only with -v."""
        own = issubclass(category, UserWarning) and os.path.abspath(filename).startswith(_OWN_CODE)
        if own or self.verbose:
            self.note(f"warning: {message}")

    def _width(self) -> int | None:
        """The terminal's, or enough for the whole table when the output is piped."""
        return None if self._stdout.isatty() or "COLUMNS" in os.environ else 160

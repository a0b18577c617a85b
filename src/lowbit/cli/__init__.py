# SPDX-License-Identifier: Apache-2.0
"""The command line. Rooms are imported inside commands, so that `lowbit --help` answers at once."""

import gc
import os
import sys


def main() -> None:
    """Entry point of the `lowbit` script; ends the process with the exit code of the command."""
    if sys.stderr is None:  # closed by the caller (`2>&-`)
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115 - for as long as the process lives
    from lowbit.cli.app import app  # not above: importing this package for one of its parts builds no commands
    from lowbit.cli.session import WRONG_INPUT, error_line, print_error

    if sys.stdout is None:
        print_error("received a closed stdout; expected a place for the result; leave >&- out")
        sys.exit(WRONG_INPUT)
    gc.set_threshold(50_000, 50, 100)  # tracing makes objects by the million (docs/decisions/0019)
    code: str | int | None = 0
    try:
        app(sys.argv[1:] or ["--help"], prog_name="lowbit")
    except SystemExit as end:
        code = end.code
    except OSError as error:  # what a command meets is answered in its session; this is help, or no place to write
        print_error(error_line(error))
        code = WRONG_INPUT
    sys.exit(_last_words() or code)


def _last_words() -> int:
    """Write out what is left; where that fails, the exit code for it, and nowhere as the place for the rest."""
    from lowbit.cli.session import WRONG_INPUT, error_line, print_error

    code = 0
    for stream, number in ((sys.stdout, 1), (sys.stderr, 2)):
        try:
            stream.flush()
        except OSError as error:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, number)
            os.close(nowhere)
            if number == 1 and not isinstance(error, BrokenPipeError):
                print_error(error_line(error))
                code = WRONG_INPUT
    return code

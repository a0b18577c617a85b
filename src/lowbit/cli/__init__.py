# SPDX-License-Identifier: Apache-2.0
"""The command line. Rooms are imported inside commands, so that `lowbit --help` answers at once."""

import sys


def main() -> None:
    """Entry point of the `lowbit` script; ends the process with the exit code of the command."""
    from lowbit.cli.app import app  # not above: importing this package for one of its parts builds no commands

    app(sys.argv[1:] or ["--help"], prog_name="lowbit")

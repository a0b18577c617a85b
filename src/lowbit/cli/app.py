# SPDX-License-Identifier: Apache-2.0
"""All commands under one name."""

import sys
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from lowbit import __version__
from lowbit.cli import comparing, coverage, listing, making, measuring, reporting, timing
from lowbit.cli.session import DONE, print_error


class OneLineErrors(TyperGroup):
    """Wrong usage is answered in one line on stderr, like every other error, instead of a page."""

    def main(self, *arguments: Any, **options: Any) -> Any:
        """Run and end the process: 0, or the code of the error."""
        try:
            code = super().main(*arguments, **(options | {"standalone_mode": False}))
        except typer.TyperException as error:
            context = getattr(error, "ctx", None)
            command = "lowbit" if context is None else context.command_path
            print_error(f"{error.format_message().strip().rstrip('.')}; see {command} --help")
            code = error.exit_code
        sys.exit(code if isinstance(code, int) else DONE)


app = typer.Typer(
    name="lowbit",
    cls=OneLineErrors,
    help="Make trained Keras 3 models small and fast enough for the edge, and see what that costs.",
    epilog="Begin with:  lowbit compare",
    no_args_is_help=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        sys.stdout.write(f"lowbit {__version__}\n")
        raise typer.Exit(DONE)


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None: ...


for group in (comparing, reporting, making, coverage, measuring, timing, listing):
    group.add_to(app)

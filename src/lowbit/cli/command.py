# SPDX-License-Identifier: Apache-2.0
"""How a function becomes a command: the options that every command has, and a session around it."""

import inspect
from collections.abc import Callable
from typing import Annotated, Any

import typer

from lowbit.cli.session import Session

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.", rich_help_panel="Output")]
Verbose = Annotated[
    bool, typer.Option("--verbose", "-v", help="Print each step, and the logs of libraries.", rich_help_panel="Output")
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print the result only.", rich_help_panel="Output")]
Debug = Annotated[bool, typer.Option("--debug", help="Print a traceback with an error.", rich_help_panel="Output")]

_COMMON = {"as_json": AsJson, "verbose": Verbose, "quiet": Quiet, "debug": Debug}


def add(app: typer.Typer, function: Callable[..., None], *, example: str) -> None:
    """Add `function(session, **options)` as the command of its name; `example` ends its help."""
    own = list(inspect.signature(function).parameters.values())[1:]
    common = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=False, annotation=annotation)
        for name, annotation in _COMMON.items()
    ]

    def run(**arguments: Any) -> None:
        with Session(**{name: arguments.pop(name) for name in _COMMON}) as session:
            function(session, **arguments)

    parameters = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in own] + common
    run.__doc__ = function.__doc__
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    setattr(run, "__signature__", inspect.Signature(parameters))  # noqa: B010 - functions do not declare it
    app.command(function.__name__, epilog=f"Example:  {example}")(run)


def given(context: typer.Context) -> dict[str, Any]:
    """The options of a command that were given, whatever their value."""
    sources = {name: context.get_parameter_source(name) for name in context.params}
    return {name: context.params[name] for name, source in sources.items() if source and source.name != "DEFAULT"}

# SPDX-License-Identifier: Apache-2.0
"""`lowbit recipes`: what there is to choose from."""

import typer
from rich.table import Table

from lowbit.cli import command
from lowbit.cli.session import Session


def add_to(app: typer.Typer) -> None:
    """Add this file's commands."""
    command.add(app, recipes, example="lowbit recipes --json")


def recipes(session: Session) -> None:
    """List the recipes: what each stores, what it needs, and the guide's name for it."""
    from lowbit import recipes as registry

    every = [registry.get(name) for name in registry.names()]
    sets = {
        recipe.name: [name for name, members in registry.SETS.items() if recipe.name in members] for recipe in every
    }
    data = [
        {
            **recipe.words,
            "needs_data": recipe.needs_data,
            "needs_training": recipe.needs_training,
            "sets": sets[recipe.name],
        }
        for recipe in every
    ]
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("recipe", "weights", "activations", "how", "needs", "sets", "guide's name"):
        table.add_column(heading, no_wrap=heading == "recipe")
    for recipe in every:
        needs = [word for word, needed in (("data", recipe.needs_data), ("training", recipe.needs_training)) if needed]
        shown = "guide" if recipe.guide_name else ("default" if "default" in sets[recipe.name] else "all")
        table.add_row(
            recipe.name,
            recipe.weights,
            recipe.activations,
            recipe.quantization,
            ", ".join(needs),
            shown,
            recipe.guide_name or "",
        )
    session.result({"recipes": data, "sets": {name: list(members) for name, members in registry.SETS.items()}}, table)

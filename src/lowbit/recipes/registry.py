# SPDX-License-Identifier: Apache-2.0
"""Recipes by name, and named sets of them."""

import difflib
from collections.abc import Sequence

from lowbit.errors import InputError
from lowbit.recipes.catalog import ALL
from lowbit.recipes.recipe import Recipe

_BY_NAME = {recipe.name: recipe for recipe in ALL}

_MORE_THAN_THE_GUIDE = (
    "keras-float32-finetuned",
    "float32-finetuned",
    "float16",
    "weight-w8",
    "ptq-w8a8",
    "ptq-finetuned-w8a8",
    "ptq-w8a16",
    "ptq-w4a8",
)

GUIDE = tuple(recipe.name for recipe in ALL if recipe.guide_name)
DEFAULT = tuple(name for name in _BY_NAME if name in (*GUIDE, *_MORE_THAN_THE_GUIDE))
SETS = {"guide": GUIDE, "default": DEFAULT, "all": tuple(_BY_NAME)}


def names() -> tuple[str, ...]:
    """Every recipe name, in the order of the table."""
    return tuple(_BY_NAME)


def get(name: str) -> Recipe:
    """The recipe of this name; InputError naming the closest for an unknown one."""
    if name not in _BY_NAME:
        close = difflib.get_close_matches(str(name), [*_BY_NAME, *SETS], n=1, cutoff=0.4)
        raise InputError(
            received=f"recipe {name!r}",
            expected=f"one of {', '.join(_BY_NAME)}, or a set: {', '.join(SETS)}",
            mend=f"did you mean {close[0]!r}?" if close else "run: lowbit recipes",
        )
    return _BY_NAME[name]


def resolve(recipes: str | Sequence[str]) -> tuple[Recipe, ...]:
    """The recipes of a set ("guide", "default", "all"), of a comma-separated list, or of a sequence of names.

    Each comes once, in the order given; lists may hold sets. Raises InputError for an unknown name or none at all.

    >>> [recipe.name for recipe in resolve("float32,ptq-w8a8")]
    ['float32', 'ptq-w8a8']
    """
    words = recipes.split(",") if isinstance(recipes, str) else list(recipes)
    wanted = [word.strip() for word in words if word.strip()]
    if not wanted:
        raise InputError(
            received=f"recipes={recipes!r}",
            expected="at least one recipe",
            mend=f"pass a set ({', '.join(SETS)}) or names, separated by commas",
        )
    found = [name for word in wanted for name in SETS.get(word, (word,))]
    return tuple(get(name) for name in dict.fromkeys(found))

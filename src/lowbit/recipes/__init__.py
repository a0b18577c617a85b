# SPDX-License-Identifier: Apache-2.0
"""Named techniques and their registry. Importing it loads no keras; writing a file does."""

from lowbit.recipes.recipe import STAGES, Made, Recipe, Request
from lowbit.recipes.registry import SETS, get, names, resolve

__all__ = ["SETS", "STAGES", "Made", "Recipe", "Request", "get", "names", "resolve"]

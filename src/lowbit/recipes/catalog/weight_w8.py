# SPDX-License-Identifier: Apache-2.0
"""Weights stored in 8 bits and widened before use; all arithmetic in float."""

from lowbit.recipes.recipe import Recipe

RECIPE = Recipe(
    name="weight-w8",
    label="LiteRT, int8 weights",
    kind="litert",
    source="float",
    weights="int8",
    activations="float32",
    quantization="weights only",
    maker="lowbit.recipes.making:variant",
)

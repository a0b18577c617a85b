# SPDX-License-Identifier: Apache-2.0
"""Weights stored in half precision and widened when the file is opened: half the size."""

from lowbit.recipes.recipe import Recipe

RECIPE = Recipe(
    name="float16",
    label="LiteRT, float16 weights",
    kind="litert",
    source="float",
    weights="float16",
    activations="float32",
    quantization="weights only",
    maker="lowbit.recipes.making:variant",
)

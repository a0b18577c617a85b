# SPDX-License-Identifier: Apache-2.0
"""The w4a8 simulation after quantization-aware fine-tuning, as a file."""

from lowbit.recipes.recipe import Recipe

RECIPE = Recipe(
    name="qat-w4a8",
    label="LiteRT, QAT w4a8",
    kind="litert",
    source="qat-w4a8",
    weights="int4",
    activations="int8",
    quantization="QAT",
    spec="w4a8",
    maker="lowbit.recipes.making:from_simulation",
)

# SPDX-License-Identifier: Apache-2.0
"""The w8a16 simulation after quantization-aware fine-tuning, as a file."""

from lowbit.recipes.recipe import Recipe

RECIPE = Recipe(
    name="qat-w8a16",
    label="LiteRT, QAT w8a16",
    kind="litert",
    source="qat-w8a16",
    weights="int8",
    activations="int16",
    quantization="QAT",
    spec="w8a16",
    maker="lowbit.recipes.making:from_simulation",
)

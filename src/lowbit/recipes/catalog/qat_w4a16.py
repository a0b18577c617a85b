# SPDX-License-Identifier: Apache-2.0
"""The w4a16 simulation after quantization-aware fine-tuning, as a file."""

from lowbit.recipes.recipe import Recipe

RECIPE = Recipe(
    name="qat-w4a16",
    label="LiteRT, QAT w4a16",
    kind="litert",
    source="qat-w4a16",
    weights="int4",
    activations="int16",
    quantization="QAT",
    spec="w4a16",
    maker="lowbit.recipes.making:from_simulation",
)

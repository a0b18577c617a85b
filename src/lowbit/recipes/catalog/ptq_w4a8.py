# SPDX-License-Identifier: Apache-2.0
"""Post-training quantization with calibration data. 4-bit weights halve the size again."""

from lowbit.recipes.recipe import Recipe

RECIPE = Recipe(
    name="ptq-w4a8",
    label="LiteRT, PTQ w4a8",
    kind="litert",
    source="float",
    weights="int4",
    activations="int8",
    quantization="PTQ static",
    spec="w4a8",
    maker="lowbit.recipes.making:ptq",
    needs_data=True,
)

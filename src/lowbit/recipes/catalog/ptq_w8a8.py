# SPDX-License-Identifier: Apache-2.0
"""All integers, ranges from calibration data, no training: the guide's announced next step."""

from lowbit.recipes.recipe import Recipe

RECIPE = Recipe(
    name="ptq-w8a8",
    label="LiteRT, PTQ w8a8",
    kind="litert",
    source="float",
    weights="int8",
    activations="int8",
    quantization="PTQ static",
    spec="w8a8",
    maker="lowbit.recipes.making:ptq",
    needs_data=True,
)

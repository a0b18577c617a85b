# SPDX-License-Identifier: Apache-2.0
"""Post-training quantization with calibration data. 16-bit activations cost speed and spare accuracy."""

from lowbit.recipes.recipe import Recipe

RECIPE = Recipe(
    name="ptq-w8a16",
    label="LiteRT, PTQ w8a16",
    kind="litert",
    source="float",
    weights="int8",
    activations="int16",
    quantization="PTQ static",
    spec="w8a16",
    maker="lowbit.recipes.making:ptq",
    needs_data=True,
)

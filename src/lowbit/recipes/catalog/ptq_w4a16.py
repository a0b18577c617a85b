# SPDX-License-Identifier: Apache-2.0
"""Post-training quantization with calibration data. 4-bit weights, 16-bit activations."""

from lowbit.recipes.recipe import Recipe

RECIPE = Recipe(
    name="ptq-w4a16",
    label="LiteRT, PTQ w4a16",
    kind="litert",
    source="float",
    weights="int4",
    activations="int16",
    quantization="PTQ static",
    spec="w4a16",
    maker="lowbit.recipes.making:ptq",
    needs_data=True,
)

# SPDX-License-Identifier: Apache-2.0
"""8-bit weights; activations are quantized anew at each call, with ranges seen then. TFLite's DEFAULT without data."""

from lowbit.recipes.recipe import Recipe

RECIPE = Recipe(
    name="dynamic-w8",
    label="LiteRT, dynamic range",
    kind="litert",
    source="float",
    weights="int8",
    activations="int8 (dynamic)",
    quantization="PTQ dynamic range",
    guide_name="normal_tflite_model_quantized",
    maker="lowbit.recipes.making:variant",
)

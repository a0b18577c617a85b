# SPDX-License-Identifier: Apache-2.0
"""The same model as a file for LiteRT, nothing quantized: the reference for every drop."""

from lowbit.recipes.recipe import Recipe

RECIPE = Recipe(
    name="float32",
    label="LiteRT, float",
    kind="litert",
    source="float",
    weights="float32",
    activations="float32",
    quantization="none",
    guide_name="normal_tflite_model",
    maker="lowbit.recipes.making:variant",
)

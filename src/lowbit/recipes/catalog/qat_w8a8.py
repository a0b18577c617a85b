# SPDX-License-Identifier: Apache-2.0
"""The w8a8 simulation after quantization-aware fine-tuning, as a file."""

from lowbit.recipes.recipe import Recipe

RECIPE = Recipe(
    name="qat-w8a8",
    label="LiteRT, QAT w8a8",
    kind="litert",
    source="qat-w8a8",
    weights="int8",
    activations="int8",
    quantization="QAT",
    guide_name="quantization_aware_tflite_model_finetune",
    spec="w8a8",
    maker="lowbit.recipes.making:from_simulation",
)

# SPDX-License-Identifier: Apache-2.0
"""The simulation trained with quantizers from the first step, as a file."""

from lowbit.recipes.recipe import Recipe

RECIPE = Recipe(
    name="qat-scratch-w8a8",
    label="LiteRT, QAT w8a8 from scratch",
    kind="litert",
    source="qat-scratch-w8a8",
    weights="int8",
    activations="int8",
    quantization="QAT from scratch",
    guide_name="quantization_aware_tflite_model_no_finetune",
    spec="w8a8",
    maker="lowbit.recipes.making:from_simulation",
)

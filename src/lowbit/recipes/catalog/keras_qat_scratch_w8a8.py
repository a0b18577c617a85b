# SPDX-License-Identifier: Apache-2.0
"""The simulation trained with quantizers from the first step, without float training before."""

from lowbit.recipes.recipe import Recipe

RECIPE = Recipe(
    name="keras-qat-scratch-w8a8",
    label="QAT model, from scratch",
    kind="keras",
    source="qat-scratch-w8a8",
    weights="int8 (simulated)",
    activations="int8 (simulated)",
    quantization="QAT from scratch",
    guide_name="quantization_aware_model_no_finetune",
    spec="w8a8",
)

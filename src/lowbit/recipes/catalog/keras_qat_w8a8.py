# SPDX-License-Identifier: Apache-2.0
"""The simulation after quantization-aware fine-tuning, run by Keras."""

from lowbit.recipes.recipe import Recipe

RECIPE = Recipe(
    name="keras-qat-w8a8",
    label="QAT model, fine-tuned",
    kind="keras",
    source="qat-w8a8",
    weights="int8 (simulated)",
    activations="int8 (simulated)",
    quantization="QAT",
    guide_name="quantization_aware_model_finetune",
    spec="w8a8",
)

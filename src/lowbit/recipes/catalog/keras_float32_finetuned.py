# SPDX-License-Identifier: Apache-2.0
"""The fair control of QAT: trained on in float, exactly as QAT trains, without quantizers."""

from lowbit.recipes.recipe import Recipe

RECIPE = Recipe(
    name="keras-float32-finetuned",
    label="Float model, fine-tuned (control)",
    kind="keras",
    source="finetuned",
    weights="float32",
    activations="float32",
    quantization="none",
)

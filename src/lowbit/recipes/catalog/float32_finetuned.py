# SPDX-License-Identifier: Apache-2.0
"""The control as a file: what more training alone brings."""

from lowbit.recipes.recipe import Recipe

RECIPE = Recipe(
    name="float32-finetuned",
    label="LiteRT, float, fine-tuned (control)",
    kind="litert",
    source="finetuned",
    weights="float32",
    activations="float32",
    quantization="none",
    maker="lowbit.recipes.making:variant",
)

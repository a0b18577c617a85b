# SPDX-License-Identifier: Apache-2.0
"""The smallest file of the run within the allowed drop: what OPTIMIZE_FOR_SIZE promised."""

from lowbit.recipes.recipe import Recipe

RECIPE = Recipe(
    name="auto-size",
    label="Chosen for size",
    kind="litert",
    source=None,
    weights="as chosen",
    activations="as chosen",
    quantization="chosen",
    guide_name="tflite_size_optimized_quant_model",
    needs_data=True,
)

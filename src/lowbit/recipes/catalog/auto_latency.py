# SPDX-License-Identifier: Apache-2.0
"""The fastest file of the run within the allowed drop: what OPTIMIZE_FOR_LATENCY promised."""

from lowbit.recipes.recipe import Recipe

RECIPE = Recipe(
    name="auto-latency",
    label="Chosen for latency",
    kind="litert",
    source=None,
    weights="as chosen",
    activations="as chosen",
    quantization="chosen",
    guide_name="tflite_latency_optimized_quant_model",
    needs_data=True,
)

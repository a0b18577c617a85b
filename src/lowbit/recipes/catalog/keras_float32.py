# SPDX-License-Identifier: Apache-2.0
"""The trained model itself, run by Keras: what everything else starts from."""

from lowbit.recipes.recipe import Recipe

RECIPE = Recipe(
    name="keras-float32",
    label="Float model",
    kind="keras",
    source="float",
    weights="float32",
    activations="float32",
    quantization="none",
    guide_name="model",
)

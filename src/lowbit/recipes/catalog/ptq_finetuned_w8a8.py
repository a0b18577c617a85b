# SPDX-License-Identifier: Apache-2.0
"""The control after post-training quantization: is QAT worth it, beside training on and quantizing then?"""

from lowbit.recipes.recipe import Recipe

RECIPE = Recipe(
    name="ptq-finetuned-w8a8",
    label="LiteRT, PTQ w8a8 of the fine-tuned control",
    kind="litert",
    source="finetuned",
    weights="int8",
    activations="int8",
    quantization="PTQ static",
    spec="w8a8",
    maker="lowbit.recipes.making:ptq",
    needs_data=True,
)

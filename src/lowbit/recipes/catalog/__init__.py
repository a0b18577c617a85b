# SPDX-License-Identifier: Apache-2.0
"""Every recipe, one small file each, in the order of the table. A new one is a new file and a line here."""

from lowbit.recipes.catalog import (
    auto_latency,
    auto_size,
    dynamic_w8,
    float16,
    float32,
    float32_finetuned,
    keras_float32,
    keras_float32_finetuned,
    keras_qat_scratch_w8a8,
    keras_qat_w8a8,
    ptq_finetuned_w8a8,
    ptq_w4a8,
    ptq_w4a16,
    ptq_w8a8,
    ptq_w8a16,
    qat_scratch_w8a8,
    qat_w4a8,
    qat_w4a16,
    qat_w8a8,
    qat_w8a16,
    weight_w8,
)
from lowbit.recipes.recipe import Recipe

ALL: tuple[Recipe, ...] = tuple(
    module.RECIPE
    for module in (
        keras_float32,
        keras_float32_finetuned,
        keras_qat_w8a8,
        keras_qat_scratch_w8a8,
        float32,
        float32_finetuned,
        float16,
        weight_w8,
        dynamic_w8,
        ptq_w8a8,
        ptq_w8a16,
        ptq_w4a8,
        ptq_w4a16,
        ptq_finetuned_w8a8,
        qat_w8a8,
        qat_w8a16,
        qat_w4a8,
        qat_w4a16,
        qat_scratch_w8a8,
        auto_size,
        auto_latency,
    )
)

# SPDX-License-Identifier: Apache-2.0
"""Dot-product attention (Vaswani et al. 2017, arXiv:1706.03762) as two BATCH_MATMUL and a SOFTMAX."""

import numpy as np

from lowbit.graph.flatten import Node
from lowbit.graph.lowering.activations import constant
from lowbit.graph.lowering.registry import operation
from lowbit.graph.steps import Builder, NoIntegerForm

ARGUMENTS = ("query", "key", "value", "bias", "mask", "scale")


@operation("DotProductAttention")
def _dot_product_attention(b: Builder, node: Node) -> int:
    """Query (batch, places, heads, size); key and value (batch, other places, heads, size)."""
    given = dict(zip(ARGUMENTS, node.args, strict=False)) | dict(node.kwargs)
    if given.get("mask") is not None or node.operation.is_causal:
        raise NoIntegerForm("attention under a mask: masked scores have no place on the grid of the others")
    if getattr(node.operation, "attn_logits_soft_cap", None) is not None:
        raise NoIntegerForm("attention with capped scores")
    query, key, value = (b.operand(given[name]) for name in ARGUMENTS[:3])
    if not all(isinstance(operand, int) for operand in (query, key, value)):
        raise NoIntegerForm("attention over constants")
    if b.shape(query)[2] != b.shape(key)[2]:
        raise NoIntegerForm("attention with fewer key heads than query heads")
    scale = given.get("scale")
    factor = float(scale) if scale is not None else 1 / np.sqrt(int(b.shape(query)[-1] or 1))
    by_head = [0, 2, 1, 3]
    scaled = b.primitive("multiply", query, constant(factor), name="scaled_query")
    scaled = b.primitive("transpose", scaled, name="query_heads", axes=by_head)
    keys = b.primitive("transpose", key, name="key_heads", axes=by_head)
    scores = b.primitive("matmul", scaled, keys, name="scores", transpose_y=True)
    if given.get("bias") is not None:
        scores = b.primitive("add", scores, b.operand(given["bias"]), name="biased")
    weights = b.primitive("softmax", scores, name="weights")
    values = b.primitive("transpose", value, name="value_heads", axes=by_head)
    mixed = b.primitive("matmul", weights, values, name="mixed")
    return b.primitive("transpose", mixed, axes=by_head)

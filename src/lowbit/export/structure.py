# SPDX-License-Identifier: Apache-2.0
"""What is known of a converted structure, and how its tensors are named; TensorFlow is not needed to read it."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, kw_only=True)
class Template:
    """`content` is a float file; `slots` maps a constant to (tensor index, element order in the file)."""

    content: bytes
    slots: Mapping[str, tuple[int, np.ndarray]]
    float_scopes: tuple[str, ...]
    """Names of output tensors of operations that stay float."""


def constant_name(layer_name: str, constant: str) -> str:
    return f"{layer_name}/{constant}"


def point_name(layer_name: str, suffix: str) -> str:
    return f"{layer_name}/{suffix}" if suffix else layer_name

# SPDX-License-Identifier: Apache-2.0
"""LiteRT files at work: predict, inspect, latency, memory, every tensor. Needs ai-edge-litert and NumPy, never Keras.

A file from elsewhere goes through `check_file` first: a damaged one can end the process that opens it.
"""

from lowbit.runtime.clean import Measured, benchmark, check_file, measure
from lowbit.runtime.inspection import Delegated, FileSummary, OpCount, delegated_ops, inspect
from lowbit.runtime.interpreter import Endpoint, Runner
from lowbit.runtime.macs import workload
from lowbit.runtime.predict import Prediction, cores, predict
from lowbit.runtime.sizes import SizeParts, size_parts
from lowbit.runtime.tensors import Op, Tensor, TensorReader, Tensors, tensors

__all__ = [
    "Delegated",
    "Endpoint",
    "FileSummary",
    "Measured",
    "Op",
    "OpCount",
    "Prediction",
    "Runner",
    "SizeParts",
    "Tensor",
    "TensorReader",
    "Tensors",
    "benchmark",
    "check_file",
    "cores",
    "delegated_ops",
    "inspect",
    "measure",
    "predict",
    "size_parts",
    "tensors",
    "workload",
]

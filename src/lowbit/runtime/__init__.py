# SPDX-License-Identifier: Apache-2.0
"""LiteRT files at work: predict, inspect, latency, memory, every tensor. Needs ai-edge-litert and NumPy, never Keras.

A file from elsewhere goes through `check_file` first: a damaged one can end the process that opens it.
"""

from lowbit.runtime.clean import check_file
from lowbit.runtime.explaining import beside
from lowbit.runtime.inspection import Delegated, FileSummary, OpCount, delegated_ops, inspect
from lowbit.runtime.interpreter import Endpoint, Runner
from lowbit.runtime.macs import workload
from lowbit.runtime.predict import Portion, Prediction, Stream, cores, predict
from lowbit.runtime.profile import profile
from lowbit.runtime.sizes import size_parts
from lowbit.runtime.tensors import Op, Tensor, TensorReader, Tensors, tensors
from lowbit.runtime.together import Measured, measure, measure_together

__all__ = [
    "Delegated",
    "Endpoint",
    "FileSummary",
    "Measured",
    "Op",
    "OpCount",
    "Portion",
    "Prediction",
    "Runner",
    "Stream",
    "Tensor",
    "TensorReader",
    "Tensors",
    "beside",
    "check_file",
    "cores",
    "delegated_ops",
    "inspect",
    "measure",
    "measure_together",
    "predict",
    "profile",
    "size_parts",
    "tensors",
    "workload",
]

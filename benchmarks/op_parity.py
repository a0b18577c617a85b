# SPDX-License-Identifier: Apache-2.0
"""The table of one-op parity: for each op of LiteRT, the kernel that runs it and the share of codes equal to ours.

Each case is one Keras layer or operation as a model with random weights, prepared, calibrated, written and compared at
every tensor. Cases come together by the op and the kernel that the runtime chose. `tests/quantizers` holds the rules
behind them to every code at many scales; this is the way users go.

Run: python benchmarks/op_parity.py [--samples 64] [--spec w8a8], on another backend with KERAS_BACKEND=jax or torch
(slower: a process on TensorFlow makes each file).
"""

import argparse
import os
import tempfile
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from keras import layers, ops

import lowbit
from lowbit.export.parity import parity
from lowbit.results import TensorParity
from lowbit.runtime import Runner, delegated_ops
from lowbit.runtime.tensors import ops_of
from lowbit.simulation.fates import fates
from rounds import machine

IMAGE, LINE, FLAT = (16, 16, 32), (64, 32), (512,)
CALIBRATION = 64
BATCH = 16

Case = tuple[Callable[..., Any], Sequence[tuple[int, ...]]]


def attention(x: Any) -> Any:
    return layers.MultiHeadAttention(4, 8)(x, x)


CASES: dict[str, Case] = {
    "Conv1D": (layers.Conv1D(16, 3), [LINE]),
    "Conv2D": (layers.Conv2D(16, 3, padding="same", activation="relu6"), [IMAGE]),
    "Conv2D, strided": (layers.Conv2D(16, 3, strides=2, padding="same"), [IMAGE]),
    "Conv2D, dilated": (layers.Conv2D(16, 3, dilation_rate=2), [IMAGE]),
    "Conv2D, groups": (layers.Conv2D(16, 3, groups=4), [IMAGE]),
    "Conv2DTranspose": (layers.Conv2DTranspose(8, 3, strides=2, padding="same"), [IMAGE]),
    "Conv2DTranspose, strides beyond the kernel": (layers.Conv2DTranspose(8, 2, strides=3, padding="same"), [IMAGE]),
    "DepthwiseConv2D": (layers.DepthwiseConv2D(3, padding="same"), [IMAGE]),
    "SeparableConv2D": (layers.SeparableConv2D(16, 3), [IMAGE]),
    "Dense": (layers.Dense(32, activation="relu"), [FLAT]),
    "Dense on a sequence": (layers.Dense(32), [LINE]),
    "EinsumDense": (layers.EinsumDense("abc,cd->abd", (None, 24), bias_axes="d"), [LINE]),
    "BatchNormalization": (layers.BatchNormalization(), [IMAGE]),
    "LayerNormalization": (layers.LayerNormalization(), [LINE]),
    "GroupNormalization": (layers.GroupNormalization(4), [IMAGE]),
    "UnitNormalization": (layers.UnitNormalization(), [LINE]),
    "Rescaling": (layers.Rescaling(1 / 127.5, offset=-1), [IMAGE]),
    "Resizing, bilinear": (layers.Resizing(24, 20), [IMAGE]),
    "Resizing, nearest": (layers.Resizing(24, 20, interpolation="nearest"), [IMAGE]),
    "UpSampling2D, bilinear": (layers.UpSampling2D(2, interpolation="bilinear"), [IMAGE]),
    "ZeroPadding2D": (layers.ZeroPadding2D(1), [IMAGE]),
    "Cropping2D": (layers.Cropping2D(2), [IMAGE]),
    "AveragePooling2D": (layers.AveragePooling2D(3, padding="same"), [IMAGE]),
    "MaxPooling2D": (layers.MaxPooling2D(2), [IMAGE]),
    "GlobalAveragePooling2D": (layers.GlobalAveragePooling2D(), [IMAGE]),
    "GlobalMaxPooling2D": (layers.GlobalMaxPooling2D(), [IMAGE]),
    "MultiHeadAttention": (attention, [LINE]),
    "Dot": (layers.Dot(axes=2), [LINE, LINE]),
    "Add": (layers.Add(), [IMAGE, IMAGE]),
    "Subtract": (layers.Subtract(), [IMAGE, IMAGE]),
    "Multiply": (layers.Multiply(), [IMAGE, IMAGE]),
    "Average": (layers.Average(), [IMAGE, IMAGE]),
    "Maximum": (layers.Maximum(), [IMAGE, IMAGE]),
    "Minimum": (layers.Minimum(), [IMAGE, IMAGE]),
    "Concatenate": (layers.Concatenate(), [IMAGE, IMAGE]),
    "Permute": (layers.Permute((2, 1, 3)), [IMAGE]),
    "Reshape": (layers.Reshape((64, 128)), [IMAGE]),
    "ReLU": (layers.ReLU(), [IMAGE]),
    "ReLU6": (layers.ReLU(6.0), [IMAGE]),
    "LeakyReLU": (layers.LeakyReLU(0.1), [IMAGE]),
    "PReLU": (layers.PReLU(shared_axes=[1, 2]), [IMAGE]),
    "Softmax": (layers.Softmax(), [LINE]),
    "sigmoid": (layers.Activation("sigmoid"), [IMAGE]),
    "tanh": (layers.Activation("tanh"), [IMAGE]),
    "gelu": (layers.Activation("gelu"), [IMAGE]),
    "silu": (layers.Activation("silu"), [IMAGE]),
    "hard_swish": (layers.Activation("hard_swish"), [IMAGE]),
    "hard_sigmoid": (layers.Activation("hard_sigmoid"), [IMAGE]),
    "ops.sqrt": (lambda x: ops.sqrt(ops.relu(x)), [IMAGE]),
    "ops.rsqrt": (lambda x: ops.rsqrt(ops.relu(x) + 0.5), [IMAGE]),
    "ops.square": (ops.square, [IMAGE]),
    "ops.sum": (lambda x: ops.sum(x, axis=-1), [LINE]),
    "ops.stack": (lambda pair: ops.stack(pair, axis=1), [LINE, LINE]),
    "ops.split": (lambda x: ops.split(x, 2, axis=-1)[0], [LINE]),
    "strided slice": (lambda x: x[:, ::2], [LINE]),
}


@dataclass
class Row:
    """All tensors that one op made in one kernel."""

    made_by: list[str] = field(default_factory=list)
    tensors: int = 0
    codes: int = 0
    equal: float = 0.0
    within_one: float = 0.0

    def add(self, case: str, tensor: TensorParity) -> None:
        if case not in self.made_by:
            self.made_by.append(case)
        self.tensors += 1
        self.codes += tensor.elements
        self.equal += tensor.equal * tensor.elements
        self.within_one += tensor.within_one * tensor.elements


def model_of(call: Callable[..., Any], shapes: Sequence[tuple[int, ...]]) -> keras.Model:
    """One call as a model; weights are random, those that must be positive are."""
    inputs = [keras.Input(shape) for shape in shapes]
    given = inputs[0] if len(inputs) == 1 else inputs
    model = keras.Model(given, call(given))
    generator = np.random.default_rng(3)
    for weight in model.weights:
        if weight.dtype == "float32":
            positive = weight.path.endswith(("variance", "gamma"))
            weight.assign(generator.uniform(0.5, 2, weight.shape) if positive else generator.normal(size=weight.shape))
    return model


def compared(case: Case, spec: str, samples: int) -> tuple[list[tuple[TensorParity, str]], list[str]]:
    """What parity found of each tensor with the kernel that made it; and what stayed float, with its reason."""
    model = model_of(*case)
    generator = np.random.default_rng(5)

    def drawn(count: int) -> list[Any]:
        arrays = [generator.normal(0, 2, (count, *tensor.shape[1:])).astype("float32") for tensor in model.inputs]
        starts = range(0, count, BATCH)
        if len(arrays) == 1:
            return [arrays[0][start : start + BATCH] for start in starts]
        return [{t.name: a[start : start + BATCH] for t, a in zip(model.inputs, arrays)} for start in starts]

    simulation = lowbit.quantize_model(model, spec)
    lowbit.calibrate(simulation, drawn(CALIBRATION))
    kept = [f"{fate.layer}: {fate.reason}" for fate in fates(simulation) if fate.fate != "quantized"]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "op.tflite"
        lowbit.export(simulation, file)
        found = parity(simulation, file, drawn(samples), samples=samples)
        if found.missing:
            raise RuntimeError(f"tensors without counterpart: {found.missing}")
        kernels = kernels_of(file)
    return [(tensor, kernels.get(tensor.op, "")) for tensor in found.per_tensor if tensor.op != "INPUT"], kept


def kernels_of(file: Path) -> dict[str, str]:
    """The kernel of each op name of the file; both where one runs some and the other the rest."""
    runner = Runner.open(file)
    delegated = delegated_ops(runner)
    kernels: dict[str, set[str]] = defaultdict(set)
    for position, op in enumerate(ops_of(runner)):
        kernels[op.name].add("XNNPACK" if delegated is not None and position in delegated.positions else "built-in")
    return {name: " and ".join(sorted(found)) for name, found in kernels.items()}


def share(value: float) -> str:
    """Per cent; only a whole is 100."""
    return "100" if value == 1 else f"{min(100 * value, 99.9999):.6g}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=64, help="random inputs compared in each case")
    parser.add_argument("--spec", default="w8a8")
    asked = parser.parse_args()
    rows: dict[tuple[str, str], Row] = defaultdict(Row)
    floats = []
    for name, case in CASES.items():
        tensors, kept = compared(case, asked.spec, asked.samples)
        for tensor, kernel in tensors:
            rows[tensor.op, kernel].add(name, tensor)
        floats += [f"{name}: {line}" for line in kept]
    print("| op | kernel | tensors | codes | equal % | within one % | of |")
    print("| :--- | :--- | ---: | ---: | ---: | ---: | :--- |")
    for (op, kernel), row in sorted(rows.items()):
        equal, within = share(row.equal / row.codes), share(row.within_one / row.codes)
        made_by = "every case" if len(row.made_by) == len(CASES) else "; ".join(row.made_by)
        print(f"| {op} | {kernel} | {row.tensors} | {row.codes:,} | {equal} | {within} | {made_by} |")
    print("\n".join(["", *(floats or ["nothing stayed float"]), f"{keras.backend.backend()}, {machine()}"]))


if __name__ == "__main__":
    main()

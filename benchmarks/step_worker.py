# SPDX-License-Identifier: Apache-2.0
"""One way to train MobileNetV2, in a process of its own; `training_step.py` tells it when to take steps.

Run by it: python benchmarks/step_worker.py TOOL ALPHA SIDE BATCH. Then, for each line on standard input: a number takes
so many steps and prints their seconds as JSON, "memory" prints the highest resident memory so far in bytes.
"""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

CLASSES = 9
Step = Callable[[np.ndarray, np.ndarray], float]


def keras_step(tool: str, alpha: float, side: int) -> Step:
    """`tool`: "float", "float-fused" (its batch norms are the simulation's) or "qat"."""
    import keras

    import lowbit
    from lowbit.quantizers.batch_norm import normalize

    class FusedBatchNormalization(keras.layers.BatchNormalization):
        def call(self, inputs: Any, training: bool = False, mask: Any = None) -> Any:
            return normalize(self, inputs, training=training)

    keras.utils.set_random_seed(0)
    model = keras.applications.MobileNetV2((side, side, 3), alpha=alpha, weights=None, classes=CLASSES)
    if tool == "float-fused":

        def fused(layer: Any) -> Any:
            is_norm = isinstance(layer, keras.layers.BatchNormalization)
            return (FusedBatchNormalization if is_norm else type(layer)).from_config(layer.get_config())

        model = keras.models.clone_model(model, clone_function=fused)
    if tool == "qat":
        images = np.random.default_rng(1).uniform(-1, 1, (8, side, side, 3)).astype("float32")
        model = lowbit.quantize_model(model, calibration=[images])
    model.compile(keras.optimizers.Adam(1e-4), "sparse_categorical_crossentropy")
    return lambda x, y: float(model.train_on_batch(x, y))


def tfmot_step(tool: str, alpha: float, side: int) -> Step:
    """In the environment of TFMOT: `tool` is "tfmot-float" or "tfmot-qat"."""
    import tensorflow_model_optimization as tfmot
    import tf_keras

    model = tf_keras.applications.MobileNetV2((side, side, 3), alpha=alpha, weights=None, classes=CLASSES)
    if tool == "tfmot-qat":
        model = tfmot.quantization.keras.quantize_model(model)
    model.compile(tf_keras.optimizers.Adam(1e-4), "sparse_categorical_crossentropy")
    return lambda x, y: float(model.train_on_batch(x, y))


def peak_bytes() -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * int(next(line for line in lines if line.startswith("VmHWM:")).split()[1])


def main() -> None:
    tool, alpha, side, batch = sys.argv[1], float(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
    step = (tfmot_step if tool.startswith("tfmot") else keras_step)(tool, alpha, side)
    generator = np.random.default_rng(0)
    images = generator.uniform(-1, 1, (batch, side, side, 3)).astype("float32")
    labels = generator.integers(0, CLASSES, batch)
    step(images, labels)  # traces and compiles
    print("ready", flush=True)
    for line in sys.stdin:
        if line.strip() == "memory":
            print(peak_bytes(), flush=True)
            continue
        took = []
        for _ in range(int(line)):
            started = time.perf_counter()
            step(images, labels)
            took.append(time.perf_counter() - started)
        print(json.dumps(took), flush=True)


if __name__ == "__main__":
    main()

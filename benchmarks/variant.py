# SPDX-License-Identifier: Apache-2.0
"""Time to write one more quantized variant of a model that was exported before, MobileNetV2 0.35 at 128 px.

Beside it: the first export, which holds the conversion, and with --converter TensorFlow's own converter doing int8.

Run: python benchmarks/variant.py [--rounds 5] [--converter]
"""

import argparse
import os
import tempfile
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np

from lowbit.export import export, export_variant
from lowbit.simulation import calibrate, quantize_model
from lowbit.zoo import load_model
from rounds import interleaved, machine, median_ratio, seconds, show

SIDE, ALPHA, CALIBRATION = 128, "0.35", 64


def with_converter(model: keras.Model, images: np.ndarray, folder: str) -> float:
    """Seconds for a full-integer file by TensorFlow's converter, calibration included (it cannot be separated)."""
    import tensorflow as tf

    def samples():
        return ([images[i : i + 1]] for i in range(len(images)))

    saved = str(Path(folder) / "saved_model")
    started = time.perf_counter()
    model.export(saved, verbose=False)
    converter = tf.lite.TFLiteConverter.from_saved_model(saved)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = samples
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.convert()
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--converter", action="store_true")
    asked = parser.parse_args()
    inputs = {"image": (SIDE, SIDE, 3)}
    loaded = load_model("mobilenet_v2", inputs=inputs, classes=9, model_args={"alpha": ALPHA, "weights": "none"})
    model = loaded.model
    images = np.random.default_rng(0).uniform(-1, 1, (CALIBRATION, SIDE, SIDE, 3)).astype("float32")
    with tempfile.TemporaryDirectory() as folder:
        out = str(Path(folder) / "out.tflite")
        first = seconds(lambda: export_variant(model, out, "float32"))

        def prepare(spec: str) -> tuple[keras.Model, float]:
            started = time.perf_counter()
            simulation = quantize_model(model, spec)
            calibrate(simulation, [images])
            return simulation, time.perf_counter() - started

        ready = {spec: prepare(spec) for spec in ("w8a8", "w4a8", "w8a16")}
        measures = {
            f"one more variant: {spec}": lambda simulation=simulation: seconds(lambda: export(simulation, out))
            for spec, (simulation, _) in ready.items()
        }
        measures["one more variant: dynamic-w8"] = lambda: seconds(lambda: export_variant(model, out, "dynamic-w8"))
        if asked.converter:
            measures["TensorFlow's converter, int8"] = lambda: with_converter(model, images, folder)
        found = interleaved(measures, asked.rounds)
    show("Once", {"first export, conversion included": [first]}, "s")
    show("Simulation and calibration", {spec: [took] for spec, (_, took) in ready.items()}, "s")
    show("Writing, opening the file included; limit 1 s", found, "s")
    if asked.converter:
        ratio = median_ratio(found["TensorFlow's converter, int8"], found["one more variant: w8a8"])
        print(f"  the converter takes {ratio:.0f} times as long as one more w8a8 variant")
    print(machine())


if __name__ == "__main__":
    main()

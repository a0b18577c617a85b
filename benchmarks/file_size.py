# SPDX-License-Identifier: Apache-2.0
"""How much of an int8 file is weights: MobileNetV2 0.35 and 1.0 and ResNet50, random weights, ImageNet's classes.

Before: equal vectors stored again and again and long names, as the exporter of the runtime's schema writes them. After:
what lowbit writes. Both must answer 100 inputs with the same bits, and parity must find tensors by their layers' names.

Run: python benchmarks/file_size.py
"""

import tempfile
from pathlib import Path

import flatbuffers
import keras
import numpy as np

import lowbit
from lowbit.export import parity
from lowbit.runtime import flatbuffer, predict, size_parts
from rounds import machine

GOALS = {"MobileNetV2 0.35": 10, "MobileNetV2 1.0": 3, "ResNet50": 3}  # percent above the floor, at most
SIZE = 64  # of the images: it changes no weight
MODELS = {
    "MobileNetV2 0.35": lambda: keras.applications.MobileNetV2((SIZE, SIZE, 3), alpha=0.35, weights=None),
    "MobileNetV2 1.0": lambda: keras.applications.MobileNetV2((SIZE, SIZE, 3), weights=None),
    "ResNet50": lambda: keras.applications.ResNet50(input_shape=(SIZE, SIZE, 3), weights=None),
}


def plainly(content: bytes) -> bytes:
    """The same file by the plain writer: each vector by itself."""
    builder = flatbuffers.Builder(1 << 20)
    builder.Finish(flatbuffer.read(content).Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


def main() -> None:
    print("| model | before | after | floor | above it % | goal % | same bits | tensors by layer | worst equal % |")
    print(f"|:---|{'---:|' * 8}")
    inputs = np.random.default_rng(0).uniform(-1, 1, (100, SIZE, SIZE, 3)).astype("float32")
    for name, build in MODELS.items():
        keras.utils.set_random_seed(0)
        simulation = lowbit.quantize_model(build(), calibration=[inputs[:16]])
        with tempfile.TemporaryDirectory() as folder:
            slim = lowbit.export(simulation, Path(folder) / "slim.tflite")
            named = lowbit.export(simulation, Path(folder) / "named.tflite", keep_names=True)
            before = Path(folder) / "before.tflite"
            before.write_bytes(plainly(named.path.read_bytes()))
            same = np.array_equal(*(predict(path, [inputs]).outputs for path in (before, slim.path)))
            found = parity(simulation, slim.path, [inputs[:4]], samples=4)
            parts = size_parts(slim.path.read_bytes(), slim.path)
            cells = [
                f"{before.stat().st_size:,}", f"{slim.size_bytes:,}", f"{parts.floor:,}",
                f"{100 * parts.above_floor:.1f}", str(GOALS[name]), "yes" if same else "NO", str(found.tensors),
                f"{100 * (found.worst_equal or 0):g}",
            ]  # fmt: skip
        print(f"| {name} | {' | '.join(cells)} |", flush=True)
    print(machine())


if __name__ == "__main__":
    main()

# SPDX-License-Identifier: Apache-2.0
"""Does a latency ratio repeat? MobileNetV2 1.0 at 224 px, int8 against float32, measured in several separate runs.

The milliseconds may move from run to run as the machine does; the ratio of two files measured in turns must not.

Run: python benchmarks/latency.py [--runs 5] [--pause 20]
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import keras
import numpy as np

import lowbit
from lowbit.runtime.device import measure_here
from rounds import machine

GOAL = 5.0  # percent from the smallest to the largest ratio, of their median


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--pause", type=float, default=20.0, help="seconds between runs")
    asked = parser.parse_args()
    keras.utils.set_random_seed(0)
    model = keras.applications.MobileNetV2((224, 224, 3), weights=None)
    images = np.random.default_rng(0).uniform(-1, 1, (8, 224, 224, 3)).astype("float32")
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / name for name in ("float32.tflite", "w8a8.tflite")]
        lowbit.export(model, paths[0])
        lowbit.export(model, paths[1], spec="w8a8", calibration=[images])
        print("| run | float32 ms | w8a8 ms | ratio | 95 % interval |\n|---:|---:|---:|---:|:---|")
        ratios = []
        for number in range(asked.runs):
            if number:
                time.sleep(asked.pause)
            first, second = measure_here(paths).files
            ratio = second.latency_ratio
            if ratio is None:
                raise RuntimeError("no ratio")
            ratios.append(ratio.value)
            low, high = ratio.ci95
            medians = f"{first.latency_ms.median:.2f} | {second.latency_ms.median:.2f}"
            print(f"| {number + 1} | {medians} | {ratio.value:.3f} | {low:.3f} to {high:.3f} |", flush=True)
    spread = 100 * (max(ratios) - min(ratios)) / statistics.median(ratios)
    print(f"\nspread of the ratio {spread:.1f} %, goal: under {GOAL:g} %")
    print(machine())


if __name__ == "__main__":
    main()

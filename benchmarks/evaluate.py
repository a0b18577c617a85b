# SPDX-License-Identifier: Apache-2.0
"""Rate at which a `.tflite` is evaluated, against cores x the one-thread rate of `invoke` and the guide's loop; and
the memory that it takes to evaluate a folder of images, a small one and one ten times its size.

MobileNetV2 0.35 at 128 px, int8. For the rate images are in memory, so decoding is not part of it. For memory
`lowbit evaluate` runs on folders that repeat the images of deepweeds-128, in the folder LOWBIT_TEST_DATA; left out
where that is not set.

Run: python benchmarks/evaluate.py [--rounds 7] [--samples 5000] [--images 5000,50000]
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle, islice
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from lowbit import runtime
from lowbit.export import export
from lowbit.zoo import load_model
from rounds import interleaved, machine, median_ratio, show

SIDE, ALPHA, BATCH = 128, "0.35", 64
GOAL = 0.9
MORE_MEMORY_GOAL = 50  # MB


def invoke_rate(path: Path, image: np.ndarray) -> float:
    """Calls of `invoke` in a second, one thread, nothing else in the loop."""
    interpreter = Interpreter(str(path), num_threads=1)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], image[None])
    interpreter.invoke()
    count, started = 0, time.perf_counter()
    while time.perf_counter() - started < 1.0:
        for _ in range(10):
            interpreter.invoke()
        count += 10
    return count / (time.perf_counter() - started)


def threads_rate(path: Path, image: np.ndarray, count: int) -> float:
    """The same of `count` threads together, each with an interpreter of its own."""
    with ThreadPoolExecutor(count) as pool:
        return sum(pool.map(invoke_rate, [path] * count, [image] * count))


def processes_rate(path: Path, count: int) -> float:
    """Calls of `invoke` in a second of `count` processes that do nothing else, together: what the cores can give."""
    code = f"import evaluate, numpy; print(evaluate.invoke_rate({str(path)!r}, numpy.zeros(({SIDE}, {SIDE}, 3), 'f4')))"
    words, here = [sys.executable, "-c", code], Path(__file__).parent
    started = [
        subprocess.Popen(words, cwd=here, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        for _ in range(count)
    ]
    return sum(float(process.communicate()[0]) for process in started)


def lowbit_rate(path: Path, images: np.ndarray, labels: np.ndarray) -> float:
    """Samples in a second through `lowbit.runtime.predict`, interpreters and trials included."""
    starts = range(0, len(images), BATCH)
    batches = [({"image": images[i : i + BATCH]}, labels[i : i + BATCH]) for i in starts]
    return runtime.predict(path, batches).per_second


def guide_rate(path: Path, images: np.ndarray, labels: np.ndarray) -> float:
    """Samples in a second in the guide's loop: one at a time, an interpreter as it comes."""
    interpreter = Interpreter(str(path))
    interpreter.allocate_tensors()
    source = interpreter.get_input_details()[0]["index"]
    target = interpreter.get_output_details()[0]["index"]
    right, started = 0, time.perf_counter()
    for image, label in zip(images, labels, strict=True):
        interpreter.set_tensor(source, np.expand_dims(image, axis=0).astype(np.float32))
        interpreter.invoke()
        right += int(np.argmax(interpreter.tensor(target)()[0]) == label)
    return len(images) / (time.perf_counter() - started)


def folder_of(count: int, source: Path, place: Path) -> Path:
    """A test split of `count` images in nine classes, the images of `source` over and over."""
    images = sorted(path.relative_to(source) for path in source.glob("*/*") if path.suffix in (".jpg", ".png"))
    for number, path in enumerate(islice(cycle(images), count)):
        copy = place / "test" / path.parent / f"{number}{path.suffix}"
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes((source / path).read_bytes())
    for split in ("train", "validation"):
        for path in {path.parent: path for path in images}.values():
            (place / split / path.parent).mkdir(parents=True, exist_ok=True)
            (place / split / path).write_bytes((source / path).read_bytes())
    return place


# A process begins with the highest memory of the one that started it, so it is started from a small one.
STARTED_FROM_A_SMALL_PROCESS = """
import json, resource, subprocess, sys
done = subprocess.run(sys.argv[1:], capture_output=True, text=True)
if done.returncode:
    sys.exit(done.stderr)
peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
print(json.dumps({**json.loads(done.stdout), "peak_kib": peak}))
"""


def evaluated(path: Path, folder: Path) -> tuple[float, float]:
    """Samples in a second and MB at its peak, of `lowbit evaluate` in a process of its own."""
    words = ["-m", "lowbit.cli", "evaluate", str(path), "--data", str(folder), "--preprocess=-1..1", "--json"]
    command = [sys.executable, "-c", STARTED_FROM_A_SMALL_PROCESS, sys.executable, *words]
    answer = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
    return answer["samples_per_second"], answer["peak_kib"] / 1024


def show_memory(path: Path, counts: list[int], place: Path) -> None:
    """A line for each number of images."""
    if not (data := os.environ.get("LOWBIT_TEST_DATA")):
        print("Memory is not measured: LOWBIT_TEST_DATA is not set.")
        return
    peaks = []
    print("\nlowbit evaluate on folders of images, decoding included")
    for count in counts:
        folder = folder_of(count, Path(data) / "deepweeds-128" / "train", place / str(count))
        rate, peak = evaluated(path, folder)
        peaks.append(peak)
        print(f"  {count:>7} images: {rate:.0f} samples/s, peak memory {peak:.0f} MB")
    print(f"  peak on {counts[-1]} above that on {counts[0]}: {peaks[-1] - peaks[0]:.0f} MB (goal {MORE_MEMORY_GOAL})")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--samples", type=int, default=5000)
    parser.add_argument("--images", default="5000,50000")
    asked = parser.parse_args()
    inputs = {"image": (SIDE, SIDE, 3)}
    loaded = load_model("mobilenet_v2", inputs=inputs, classes=9, model_args={"alpha": ALPHA, "weights": "none"})
    generator = np.random.default_rng(0)
    images = generator.uniform(-1, 1, (asked.samples, SIDE, SIDE, 3)).astype("float32")
    labels = generator.integers(0, 9, asked.samples)
    cores = runtime.cores()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.tflite"
        export(loaded.model, path, spec="w8a8", calibration=[images[:32]])
        found = interleaved(
            {
                "invoke alone, one thread": lambda: invoke_rate(path, images[0]),
                "invoke alone, a thread a core": lambda: threads_rate(path, images[0], cores),
                "invoke alone, a process a core": lambda: processes_rate(path, cores),
                "lowbit.runtime.predict, all cores": lambda: lowbit_rate(path, images, labels),
                "the guide's loop": lambda: guide_rate(path, images, labels),
            },
            asked.rounds,
        )
        show_memory(path, [int(word) for word in asked.images.split(",")], Path(folder))
    show(f"MobileNetV2 {ALPHA}, {SIDE} px, int8, {asked.samples} samples", found, "samples/s")
    alone, threads, processes, ours, guide = found.values()
    share = median_ratio(ours, alone) / cores
    print(f"  predict / ({cores} cores x invoke alone): {share:.2f} (goal {GOAL:g})")
    for name, rates in {"threads": threads, "processes": processes}.items():
        reached = median_ratio(rates, alone) / cores
        print(f"  {cores} {name} that only invoke reach {reached:.2f}; predict / that: {median_ratio(ours, rates):.2f}")
    print(f"  predict / the guide's loop: {median_ratio(ours, guide):.2f}")
    print(machine())


if __name__ == "__main__":
    main()

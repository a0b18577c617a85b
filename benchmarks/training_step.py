# SPDX-License-Identifier: Apache-2.0
"""Milliseconds of a training step and peak memory: MobileNetV2 in float and quantization-aware, each backend, TFMOT.

Every way to train is a process of its own that stays alive; in each round each takes a few steps, one process after
the other. The figure of a round is its fastest step; printed are median, smallest and largest over rounds, and ratios
within rounds.

Run: python benchmarks/training_step.py [--backends tensorflow,jax,torch] [--tfmot PYTHON] [--rounds 7] [--steps 5]
     python benchmarks/training_step.py --onednn
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from rounds import machine, median_ratio

HERE = Path(__file__).resolve().parent
BATCH = 32
MODELS = {"MobileNetV2 1.0, 128 px": (1.0, 128), "MobileNetV2 0.35, 96 px": (0.35, 96)}
GIB = 2**30
MOST_MEMORY = 1.5
STEP_GOALS: Mapping[str, Sequence[float]] = {"tensorflow": (0.7, 1.0), "jax": (1.25, 1.25), "torch": (1.35, 1.35)}
"""Most of a QAT step as a share of the float step, for the two models."""


class Way(NamedTuple):
    """A tool of `step_worker.py` and what it runs on."""

    tool: str
    backend: str
    python: str
    onednn: str = ""  # TF_ENABLE_ONEDNN_OPTS; empty as the environment has it

    def label(self) -> str:
        return self.tool if self.backend == "tf_keras" else f"{self.backend} {self.tool}"


class Worker:
    """A process that takes steps when told."""

    def __init__(self, way: Way, alpha: float, side: int) -> None:
        paths = [str(HERE.parent / "src"), os.environ.get("PYTHONPATH", "")]
        settings = {"TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONPATH": os.pathsep.join(path for path in paths if path)}
        settings |= {"TF_USE_LEGACY_KERAS": "1"} if way.backend == "tf_keras" else {"KERAS_BACKEND": way.backend}
        settings |= {"TF_ENABLE_ONEDNN_OPTS": way.onednn} if way.onednn else {}
        command = [way.python, str(HERE / "step_worker.py"), way.tool, str(alpha), str(side), str(BATCH)]
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, **settings},
            text=True,
        )

    def _line(self) -> str:
        line = self._process.stdout.readline() if self._process.stdout else ""
        if not line:
            raise SystemExit(f"{self._process.args}: ended; run it by hand to see why")
        return line

    def wait(self) -> None:
        """Until it is ready; what libraries print before that is passed over."""
        while self._line().strip() != "ready":
            pass

    def ask(self, words: str) -> str:
        if self._process.stdin:
            self._process.stdin.write(words + "\n")
            self._process.stdin.flush()
        return self._line()

    def fastest_ms(self, steps: int) -> float:
        return 1000 * min(json.loads(self.ask(str(steps))))

    def end(self) -> int:
        """Ends it; its peak memory in bytes."""
        peak = int(self.ask("memory"))
        self._process.communicate()
        return peak


Found = dict[Way, tuple[list[float], int]]


def measure(ways: Sequence[Way], alpha: float, side: int, rounds: int, steps: int) -> Found:
    """For each way the fastest step of each round in ms, and the peak memory in bytes."""
    workers = {}
    for way in ways:
        workers[way] = Worker(way, alpha, side)
        workers[way].wait()
        workers[way].fastest_ms(steps)  # memory and caches settle
    took: dict[Way, list[float]] = {way: [] for way in ways}
    for _ in range(rounds):
        for way, worker in workers.items():
            took[way].append(worker.fastest_ms(steps))
    return {way: (took[way], worker.end()) for way, worker in workers.items()}


def show(name: str, position: int, found: Found) -> None:
    print(f"\n{name}, batch {BATCH}: ms a step, median over rounds of the fastest step of each")
    floats = {way.backend: values for way, values in found.items() if way.tool in ("float", "tfmot-float")}
    for way, (took, peak) in found.items():
        base_took, base_peak = floats[way.backend]
        print(
            f"  {way.label():<24} {statistics.median(took):>8.0f}   {min(took):.0f} to {max(took):.0f}   "
            f"{median_ratio(took, base_took):.2f} x its float step   {peak / GIB:.2f} GiB, {peak / base_peak:.2f} x"
        )
    tfmot = next((took for way, (took, _) in found.items() if way.tool == "tfmot-qat"), None)
    for way, (took, peak) in found.items():
        if way.tool != "qat":
            continue
        base_took, base_peak = floats[way.backend]
        ratio, goal = median_ratio(took, base_took), STEP_GOALS[way.backend][position]
        print(f"  {way.backend}: QAT step {ratio:.2f} x float (goal {goal}: {met(ratio, goal)})", end="; ")
        memory = peak / base_peak
        print(f"memory {memory:.2f} x float (goal {MOST_MEMORY}: {met(memory, MOST_MEMORY)})", end="")
        if way.backend == "tensorflow" and tfmot is not None:
            ratio = median_ratio(took, tfmot)
            print(f"; {ratio:.2f} x TFMOT's QAT step (goal 1.0: {met(ratio, 1.0)})", end="")
        print()


def show_onednn(name: str, found: Found) -> None:
    """What oneDNN changes, in turns with the same steps without it."""
    took = {(way.tool, way.onednn): values for way, (values, _) in found.items()}
    print(f"\n{name}, batch {BATCH}, TensorFlow with oneDNN and without: ms a step")
    for tool in ("float", "qat"):
        off, on = took[tool, "0"], took[tool, "1"]
        print(
            f"  {tool:<6} without {statistics.median(off):.0f} ({min(off):.0f} to {max(off):.0f}), "
            f"with {statistics.median(on):.0f} ({min(on):.0f} to {max(on):.0f}): {median_ratio(on, off):.2f} x"
        )
    ratio = median_ratio(took["qat", "1"], took["float", "0"])
    print(f"  QAT step with it / float step without: {ratio:.2f}")


def met(value: float, goal: float) -> str:
    return "met" if value <= goal else "NOT met"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backends", default="tensorflow", help="names with commas")
    parser.add_argument("--tfmot", help="the Python of an environment with tensorflow-model-optimization and tf_keras")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--steps", type=int, default=5, help="in a round")
    parser.add_argument("--onednn", action="store_true", help="only TensorFlow, with oneDNN and without it")
    asked = parser.parse_args()
    if asked.onednn:
        for name, (alpha, side) in MODELS.items():
            ways = [Way(tool, "tensorflow", sys.executable, on) for on in ("0", "1") for tool in ("float", "qat")]
            show_onednn(name, measure(ways, alpha, side, asked.rounds, asked.steps))
        print(machine())
        return
    for position, (name, (alpha, side)) in enumerate(MODELS.items()):
        found: Found = {}
        for backend in asked.backends.split(","):
            tools = ("float", "float-fused", "qat") if backend == "tensorflow" else ("float", "qat")
            ways = [Way(tool, backend, sys.executable) for tool in tools]
            if backend == "tensorflow" and asked.tfmot:
                ways += [Way(tool, "tf_keras", asked.tfmot) for tool in ("tfmot-float", "tfmot-qat")]
            found |= measure(ways, alpha, side, asked.rounds, asked.steps)
        show(name, position, found)
    print(machine())


if __name__ == "__main__":
    main()

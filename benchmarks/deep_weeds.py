# SPDX-License-Identifier: Apache-2.0
"""What 8 and 4 bits cost in accuracy on DeepWeeds: MobileNetV2 at 128 px, several seeds, with lowbit's defaults.

The control is trained just as long and in the same way as the quantized models, without quantizers. Each seed is a run
of `lowbit.compare` in a folder of its own, which goes on where it was stopped.
Needs LOWBIT_TEST_DATA, the folder that holds deepweeds-128 and weights.

Run: python benchmarks/deep_weeds.py [--seeds 0,1,2] [--alpha 0.35] [--out runs/deep_weeds]
"""

import argparse
import os
import statistics
import sys
from pathlib import Path

import lowbit
from lowbit.results import Row
from rounds import machine

CONTROL = "float32-finetuned"
GOALS = {"qat-w8a8": 0.3, "qat-w4a8": 1.5}  # percentage points below the control, at most, in the mean of seeds
RECIPES = ("float32", CONTROL, "ptq-finetuned-w8a8", "qat-w8a8", "ptq-w4a8", "qat-w4a8")
CONTROL_GOAL = 72.0  # percent


def one_seed(seed: int, alpha: str, data: Path, out: Path) -> dict[str, Row]:
    """The rows of a run, by recipe; raises RuntimeError where one is not ok."""
    print(f"seed {seed} ...", file=sys.stderr, flush=True)
    found = lowbit.compare(
        data / "deepweeds-128",
        "mobilenet_v2",
        recipes=RECIPES,
        out=out / f"alpha-{alpha}-seed-{seed}",
        seed=seed,
        image_size=128,
        model_args={"alpha": alpha, "weights": str(data / "weights" / f"mobilenet_v2_{alpha}_224_no_top.h5")},
    )
    rows = {row.recipe: row for row in found.rows}
    if reasons := [f"{name}: {row.reason}" for name, row in rows.items() if row.status != "ok"]:
        raise RuntimeError("; ".join(reasons))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--alpha", default="0.35", choices=("0.35", "1.0"))
    parser.add_argument("--out", type=Path, default=Path("runs/deep_weeds"))
    asked = parser.parse_args()
    if not (place := os.environ.get("LOWBIT_TEST_DATA")):
        parser.error("set LOWBIT_TEST_DATA to the folder that holds deepweeds-128 and weights")
    seeds = [int(word) for word in asked.seeds.split(",")]
    runs = [one_seed(seed, asked.alpha, Path(place).resolve(), asked.out) for seed in seeds]
    print(f"| recipe | {' | '.join(f'seed {seed}' for seed in seeds)} | mean | below the control | epochs | size MB |")
    print(f"| :--- |{' ---: |' * (len(seeds) + 4)}")
    for name in RECIPES:
        percent = [100 * (run[name].accuracy or 0.0) for run in runs]
        below = [100 * (run[CONTROL].accuracy or 0.0) - value for run, value in zip(runs, percent, strict=True)]
        cells = [
            *(f"{value:.1f}" for value in percent),
            f"{statistics.mean(percent):.2f}",
            f"{statistics.mean(below):.2f} ({min(below):.1f} to {max(below):.1f})",
            " ".join(str(run[name].trained_epochs) for run in runs),
            f"{(runs[0][name].size_bytes or 0) / 1e6:.2f}",
        ]
        print(f"| {name} | {' | '.join(cells)} |")
    print(f"\nGoals: control at least {CONTROL_GOAL:g} %; below it at most", end=" ")
    print(", ".join(f"{goal:g} points for {name}" for name, goal in GOALS.items()))
    print(machine())


if __name__ == "__main__":
    main()

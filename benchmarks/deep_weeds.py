# SPDX-License-Identifier: Apache-2.0
"""What 8 and 4 bits cost in accuracy on DeepWeeds: MobileNetV2 at 128 px, several seeds, with lowbit's defaults.

The control is trained just as long and in the same way as the quantized models, without quantizers. It is one
`lowbit.compare` with seeds 0, 1, ..., which goes on where it was stopped; `lowbit report` on its folder tells more.
Needs LOWBIT_TEST_DATA, the folder that holds deepweeds-128 and weights.

Run: python benchmarks/deep_weeds.py [--seeds 3] [--alpha 0.35] [--out runs/deep_weeds]
"""

import argparse
import os
import statistics
from pathlib import Path

import lowbit
from lowbit.studies.deep_weeds import CONTROL, RECIPES
from rounds import machine

GOALS = {"qat-w8a8": 0.3, "qat-w4a8": 1.5}  # percentage points below the control, at most, in the mean of seeds
CONTROL_GOAL = 72.0  # percent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--alpha", default="0.35", choices=("0.35", "1.0"))
    parser.add_argument("--out", type=Path, default=Path("runs/deep_weeds"))
    asked = parser.parse_args()
    if not (place := os.environ.get("LOWBIT_TEST_DATA")):
        parser.error("set LOWBIT_TEST_DATA to the folder that holds deepweeds-128 and weights")
    data = Path(place).resolve()
    weights = data / "weights" / f"mobilenet_v2_{asked.alpha}_224_no_top.h5"
    found = lowbit.compare(
        str(data / "deepweeds-128"),
        "mobilenet_v2",
        recipes=RECIPES,
        out=asked.out / f"alpha-{asked.alpha}",
        seeds=asked.seeds,
        image_size=128,
        model_args={"alpha": asked.alpha, "weights": str(weights)},
    )
    rows = {row.recipe: row for row in found.rows}
    accuracy = {name: row.over_seeds.get("accuracy") or (row.accuracy,) for name, row in rows.items()}
    if missing := [f"{name}: {rows[name].reason}" for name in RECIPES if len(accuracy[name]) != asked.seeds]:
        parser.exit(1, f"not ok at every seed: {'; '.join(missing)}\n")
    columns = ["recipe", *(f"seed {seed}" for seed in range(asked.seeds)), "mean", "below the control", "size MB"]
    print(f"| {' | '.join(columns)} |")
    print(f"| :--- |{' ---: |' * (asked.seeds + 3)}")
    for name in RECIPES:
        percent = [100 * (value or 0.0) for value in accuracy[name]]
        below = [100 * (value or 0.0) - own for value, own in zip(accuracy[CONTROL], percent, strict=True)]
        cells = [
            *(f"{value:.1f}" for value in percent),
            f"{statistics.mean(percent):.2f}",
            f"{statistics.mean(below):.2f} ({min(below):.1f} to {max(below):.1f})",
            f"{(rows[name].size_bytes or 0) / 1e6:.2f}",
        ]
        print(f"| {name} | {' | '.join(cells)} |")
    for line in () if found.results.verdict is None else found.results.verdict.lines:
        print(f"\n{line}", end="")
    print(f"\n\nGoals: control at least {CONTROL_GOAL:g} %; below it at most", end=" ")
    print(", ".join(f"{goal:g} points for {name}" for name, goal in GOALS.items()))
    print(machine())


if __name__ == "__main__":
    main()

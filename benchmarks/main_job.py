# SPDX-License-Identifier: Apache-2.0
"""Wall time of the main job (`lowbit compare`, 17 rows on digits), of showing it again, and of `lowbit --help`.

Run: python benchmarks/main_job.py [--runs 3]
"""

import argparse
import json
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

from rounds import machine, seconds, show

LIMIT_SECONDS = {"compare, 17 rows": 180.0, "the same again": 10.0, "lowbit --help": 0.5}


def lowbit(*words: str) -> str:
    """stdout of a command; raises CalledProcessError when it fails."""
    done = subprocess.run([sys.executable, "-m", "lowbit.cli", *words], capture_output=True, text=True)
    if done.returncode:
        sys.stderr.write(done.stderr)
        done.check_returncode()
    return done.stdout


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3)
    runs = parser.parse_args().runs
    times: dict[str, list[float]] = {name: [] for name in LIMIT_SECONDS}
    for run in range(runs):
        with tempfile.TemporaryDirectory() as folder:
            out = str(Path(folder) / "run")
            words = ("compare", "--out", out, "--seed", str(run), "-q")
            times["compare, 17 rows"].append(seconds(partial(lowbit, *words)))
            times["the same again"].append(seconds(partial(lowbit, *words)))
            rows = json.loads((Path(out) / "results.json").read_text())["rows"]
            not_ok = [row["recipe"] for row in rows if row["status"] != "ok"]
            accuracy = next(row["accuracy"] for row in rows if row["recipe"] == "keras-float32")
            print(f"seed {run}: {len(rows)} rows, not ok: {not_ok or 'none'}, keras-float32 {accuracy:.2%}")
    times["lowbit --help"] = [seconds(lambda: lowbit("--help")) for _ in range(9)]
    show("Main job", times, "s")
    for name, limit in LIMIT_SECONDS.items():
        print(f"  limit for {name}: {limit:g} s")
    print(machine())


if __name__ == "__main__":
    main()

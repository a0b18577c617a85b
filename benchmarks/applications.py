# SPDX-License-Identifier: Apache-2.0
"""All 40 models of keras.applications: prepared, calibrated, trained a step, saved, loaded, written, compared.

Weights are random and inputs as small as the model allows. Each model runs in a process of its own, which is ended at a
limit of time or memory; what is done is kept in --out and not done again until lowbit's source changes.
With --trained: five models trained a little on DeepWeeds (in LOWBIT_TEST_DATA), compared on 128 test images.

Run: python benchmarks/applications.py [--models A,B] [--out runs/applications.json] [--fresh] [--trained]
"""

import argparse
import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rounds import machine

HERE = Path(__file__).resolve().parent
SOURCE = HERE.parent / "src" / "lowbit"
GIB = 2**30
POLL_SECONDS = 0.2
LONGEST_REASON = 600

# From the fewest weights to the most.
NAMES = (
    "MobileNetV3Small", "MobileNetV2", "MobileNet", "NASNetMobile", "EfficientNetB0", "MobileNetV3Large",
    "EfficientNetV2B0", "EfficientNetB1", "DenseNet121", "EfficientNetV2B1", "EfficientNetB2", "EfficientNetV2B2",
    "EfficientNetB3", "DenseNet169", "EfficientNetV2B3", "EfficientNetB4", "DenseNet201", "EfficientNetV2S", "Xception",
    "InceptionV3", "ResNet50V2", "ResNet50", "ConvNeXtTiny", "EfficientNetB5", "EfficientNetB6", "ResNet101V2",
    "ResNet101", "ConvNeXtSmall", "EfficientNetV2M", "InceptionResNetV2", "ResNet152V2", "ResNet152", "EfficientNetB7",
    "ConvNeXtBase", "NASNetLarge", "EfficientNetV2L", "VGG16", "VGG19", "ConvNeXtLarge", "ConvNeXtXLarge",
)  # fmt: skip
TRAINED = ("MobileNetV3Small", "MobileNetV2", "EfficientNetB0", "DenseNet121", "ResNet50")
STAGES = ("quantize_model", "calibrate", "fit", "save", "load", "export", "compare")

Record = dict[str, Any]


def run_one(name: str, *, limit_seconds: float, limit_gib: float, trained: Path | None = None) -> Record:
    """What `one_application.py` measured, with a `status`: ok, failed, too slow, or does not fit.

    Never raises for what happens in the process; `reason` and `stage` say why and how far it came.
    """
    with tempfile.TemporaryDirectory() as folder:
        path, log = Path(folder) / "record.json", Path(folder) / "log.txt"
        command = [sys.executable, str(HERE / "one_application.py"), name, str(path)]
        command += [] if trained is None else ["--trained", str(trained)]
        with log.open("wb") as output:
            process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, env=environment())
            ended = watched(process, limit_seconds, limit_gib)
        record: Record = json.loads(path.read_text()) if path.exists() else {"name": name, "stage": "start"}
        said = log.read_text(errors="replace")
    record |= {"limit_seconds": limit_seconds, "limit_gib": limit_gib}
    if ended is not None:
        return record | ended
    if process.returncode == 0:
        return record | {"status": "ok"}
    if process.returncode == -9 or "MemoryError" in said or "ResourceExhaustedError" in said:
        return record | {"status": "does not fit", "reason": "the system had no more memory"}
    return record | {"status": "failed", "reason": error_line(said) or f"exit code {process.returncode}"}


def error_line(said: str) -> str:
    """The last line that an exception begins with, and what follows it on that line."""
    errors = [line for line in said.splitlines() if re.match(r"[\w.]+(Error|Exception)\b", line)]
    return errors[-1][:LONGEST_REASON] if errors else said.strip()[-LONGEST_REASON:]


def watched(process: subprocess.Popen[bytes], limit_seconds: float, limit_gib: float) -> Record | None:
    """Wait for the process; end it at a limit, and say which."""
    started = time.monotonic()
    die_first(process.pid)
    while process.poll() is None:
        time.sleep(POLL_SECONDS)
        ended = None
        if resident_bytes(process.pid) > limit_gib * GIB:
            ended = {"status": "does not fit", "reason": f"does not fit {limit_gib:g} GiB"}
        elif time.monotonic() - started > limit_seconds:
            ended = {"status": "too slow", "reason": f"not done within {limit_seconds:g} s"}
        if ended is not None:
            process.kill()
            process.wait()
            return ended
    return None


def resident_bytes(pid: int) -> int:
    """Memory a process holds; 0 once it has ended, and where the kernel does not tell (macOS)."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError):
        return 0


def die_first(pid: int) -> None:
    """Should the machine run out of memory between two looks, the kernel ends this process, not another."""
    try:
        Path(f"/proc/{pid}/oom_score_adj").write_text("1000")
    except OSError:
        return


def environment() -> Mapping[str, str]:
    paths = [str(SOURCE.parent), str(HERE), os.environ.get("PYTHONPATH", "")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in paths if path), "TF_CPP_MIN_LOG_LEVEL": "3"}


def source_hash() -> str:
    """Of lowbit's source and of what is measured with it."""
    digest = hashlib.sha256()
    for path in (*sorted(SOURCE.rglob("*.py")), HERE / "one_application.py"):
        digest.update(path.relative_to(HERE.parent).as_posix().encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def is_done(known: Record | None, source: str, limits: Mapping[str, float]) -> bool:
    """Whether running it again would say the same: a model that met a limit may not meet a wider one."""
    if known is None or known.get("source") != source:
        return False
    at_limit = known["status"] in ("does not fit", "too slow")
    return not at_limit or all(known[limit] >= value for limit, value in limits.items())


def table(records: Sequence[Record]) -> list[str]:
    """Markdown, one row for each model: seconds of the stages, then what the file is."""
    columns = ["model", "px", *STAGES, "tensors", "worst %", "its op", "top-1 %", "MACs %", "weights %", "float ops",
               "kept float", "peak GiB", "status"]  # fmt: skip
    lines = [columns, [":---", *["---:"] * (len(columns) - 2), ":---"]]
    return ["| " + " | ".join(cells) + " |" for cells in (*lines, *map(row, records))]


def row(record: Record) -> list[str]:
    took, worst = record.get("seconds", {}), record.get("worst", {})
    status = record["status"]
    if status == "ok" and (record["missing"] or not record["reload_equal"]):
        status = f"missing {len(record['missing'])}, reload equal: {record['reload_equal']}"
    elif status != "ok":
        status = f"{status} in {record['stage']}: {record['reason'][:120]}"
    return [
        record["name"],
        str(record.get("side", "n/a")),
        *(f"{took[stage]:.1f}" if stage in took else "n/a" for stage in STAGES),
        str(record.get("tensors", "n/a")),
        share(worst.get("equal")),
        worst.get("op", "n/a"),
        share(record.get("top1")),
        share(record.get("macs_share")),
        share(record.get("weights_share")),
        str(sum(record["float_ops"].values())) if "float_ops" in record else "n/a",
        str(len(record["kept_float"])) if "kept_float" in record else "n/a",
        f"{record['peak_bytes'] / GIB:.1f}" if record.get("peak_bytes") else "n/a",
        status.replace("|", "/").replace("\n", " "),
    ]


def share(value: float | None) -> str:
    """Per cent; only a whole is 100."""
    if value is None:
        return "n/a"
    return "100" if value == 1 else f"{min(100 * value, 99.999):.5g}"


def trained_lines(records: Sequence[Record]) -> list[str]:
    """What only trained models tell: seconds to prepare against the goal, and accuracy before and after."""
    lines = []
    for record in (one for one in records if one["status"] == "ok"):
        goal = f", goal {record['prepare_limit']:g}" if record["prepare_limit"] else ""
        lines.append(
            f"{record['name']}: quantize_model {record['prepare_median']:.1f} s (median of 3{goal}); right answers "
            f"{record['float_accuracy']:.1%} in float, {record['accuracy']:.1%} as w8a8"
        )
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", help="names with commas; all by default")
    parser.add_argument("--out", type=Path, help="runs/applications.json, or runs/applications-trained.json")
    parser.add_argument("--fresh", action="store_true", help="measure again what is done")
    parser.add_argument("--trained", action="store_true")
    parser.add_argument("--minutes", type=float, default=30, help="limit for a model")
    parser.add_argument("--gib", type=float, default=24, help="limit of memory for a model")
    asked = parser.parse_args()
    known = TRAINED if asked.trained else NAMES
    names = asked.models.split(",") if asked.models else known
    if unknown := sorted(set(names) - set(NAMES)):
        parser.error(f"unknown models {', '.join(unknown)}; there are {', '.join(NAMES)}")
    data = os.environ.get("LOWBIT_TEST_DATA")
    if asked.trained and not data:
        parser.error("--trained needs LOWBIT_TEST_DATA, the folder that holds deepweeds-128")
    out = asked.out or Path("runs") / ("applications-trained.json" if asked.trained else "applications.json")
    done: dict[str, Record] = json.loads(out.read_text())["models"] if out.exists() and not asked.fresh else {}
    limits = {"limit_seconds": 60 * asked.minutes, "limit_gib": asked.gib}
    for name in sorted(names, key=NAMES.index):
        source = source_hash()
        if not is_done(done.get(name), source, limits):
            print(f"{name} ...", file=sys.stderr, flush=True)
            trained = Path(data).resolve() if asked.trained and data else None
            done[name] = run_one(name, **limits, trained=trained) | {"source": source}
            out.parent.mkdir(parents=True, exist_ok=True)
            part = out.with_name(f"{out.name}.part")
            part.write_text(json.dumps({"machine": machine(), "models": done}, indent=1))
            part.replace(out)
    records = [done[name] for name in NAMES if name in names]
    print("\n".join([*table(records), "", *(trained_lines(records) if asked.trained else ())]))
    print(machine())


if __name__ == "__main__":
    main()

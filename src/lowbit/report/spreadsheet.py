# SPDX-License-Identifier: Apache-2.0
"""Every stored figure as CSV, in the units of `results.json`; what was not measured is an empty cell."""

import csv
import io
import json
from collections.abc import Mapping
from typing import Any

from lowbit import records
from lowbit.results import Results, Row

_LEFT_OUT = ("per_tensor", "missing")  # long lists of parity: results.json has them


def csv_text(results: Results) -> str:
    """One line for each row; nested figures as `latency_ms.median`, `metrics.accuracy.value`, `notes.parity`, those of
    other machines as `devices.NAME.THREADS.median`."""
    rows = [_flat(records.encode(row)) | _devices(results, row) for row in results.rows]
    names = list(dict.fromkeys(name for row in rows for name in row))
    filled = {name for row in rows for name, value in row.items() if value is not None}
    parents = {name for name in names if any(other.startswith(f"{name}.") for other in filled)}
    shown = [name for name in names if name not in parents]
    out = io.StringIO()
    writer = csv.DictWriter(out, _by_field(shown), extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def _flat(data: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in data.items():
        if name in _LEFT_OUT:
            continue
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{name}.")
        else:
            flat[prefix + name] = json.dumps(value) if isinstance(value, list) else value
    return flat


def _devices(results: Results, row: Row) -> dict[str, float]:
    """The median in ms on each machine that was joined, for each number of threads."""
    return {
        f"devices.{report.device.name}.{one.latency_ms.threads}.median": one.latency_ms.median
        for report in results.devices
        for one in report.of(row.sha256)
    }


def _by_field(names: list[str]) -> list[str]:
    """Columns of one field side by side, though the first row may have lacked some of them."""
    fields = list(dict.fromkeys(name.split(".")[0] for name in names))
    return sorted(names, key=lambda name: fields.index(name.split(".")[0]))

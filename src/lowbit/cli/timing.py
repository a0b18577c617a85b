# SPDX-License-Identifier: Apache-2.0
"""`benchmark`: how long files take."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from lowbit.cli import command, options
from lowbit.cli.measuring import KERAS_FILES, MODEL_FILES
from lowbit.cli.session import Session
from lowbit.errors import InputError

FIGURES_WIDTH, RATIO_WIDTH = 55, 21  # columns of a terminal that the figures of the table take
LEAST_NAME_WIDTH = 20


def add_to(app: typer.Typer) -> None:
    """Add this file's command."""
    command.add(app, benchmark, example="lowbit benchmark runs/digits-small_cnn/models/*.tflite --threads 1")


def benchmark(
    session: Session,
    files: Annotated[
        list[str], typer.Argument(help=".tflite, .keras or .h5 files.", metavar="FILE...", show_default=False)
    ],
    threads: Annotated[str, typer.Option(help="Threads, or several numbers of them: 1,2,4.", metavar="N,...")] = "1",
    runs: Annotated[
        int | None, typer.Option(help="Timed runs; enough for a steady figure if not given.", show_default=False)
    ] = None,
    reference: Annotated[
        str | None,
        typer.Option(help="The .tflite that ratios are to; the first one if not given.", show_default=False),
    ] = None,
    device: Annotated[
        str | None, typer.Option(help="What to call this machine; its processor if not given.", show_default=False)
    ] = None,
) -> None:
    """Measure latency and peak memory, one sample at a time, in clean processes: .tflite files in turns.

    With --json it prints what lowbit report --add takes. Where nothing but NumPy and ai-edge-litert is installed:
    python -m lowbit.runtime FILE...
    """
    from lowbit import records
    from lowbit.results import DeviceReport
    from lowbit.runtime.device import device as this_device

    counts = options.thread_counts(threads)
    options.at_least_one(runs=runs)
    paths = [options.existing(file, *MODEL_FILES) for file in files]
    in_turns = [path for path in paths if path.suffix.lower() not in KERAS_FILES]
    base = _reference(reference, in_turns)
    rows = _files_in_turns(in_turns, counts, base, runs)
    for path in (path for path in paths if path not in in_turns):
        session.detail(f"measuring {path}")
        rows += [_keras_file(path, count, runs) for count in counts]
    rows.sort(key=lambda row: [str(path) for path in paths].index(row.file))
    report = DeviceReport(device=this_device(device), files=tuple(rows))
    session.result(records.encode(report), _latency_table(session, rows, base))


def _reference(word: str | None, files: Sequence[Path]) -> Path | None:
    if word is None:
        return files[0] if files else None
    if Path(word) not in files:
        raise InputError(
            received=f"--reference {word}",
            expected="one of the .tflite files that are measured",
            mend="add it to the files",
        )
    return Path(word)


def _files_in_turns(files: Sequence[Path], counts: Sequence[int], base: Path | None, runs: int | None) -> list[Any]:
    from lowbit.runtime.device import measure_here

    return list(measure_here(files, threads=counts, reference=base, runs=runs).files) if files else []


def _keras_file(path: Path, threads: int, runs: int | None) -> Any:
    from lowbit.compare.keras_latency import measure_keras_file
    from lowbit.files import sha256
    from lowbit.results import FileLatency

    found = measure_keras_file(path, threads=threads, runs=runs)
    return FileLatency(
        file=str(path), sha256=sha256(path), size_bytes=path.stat().st_size, latency_ms=found.latency,
        peak_memory_bytes=found.peak_memory_bytes,
    )  # fmt: skip


def _latency_table(session: Session, rows: Sequence[Any], base: Path | None) -> Table:
    from lowbit.results import milliseconds

    several = len({row.latency_ms.threads for row in rows}) > 1
    with_ratio = any(row.latency_ratio for row in rows)
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("file")
    headings = [*(["threads"] if several else []), "median ms", "p10", "p90", "runs"]
    headings += ["× the reference" if base is not None else ""] if with_ratio else []
    for heading in (*headings, "peak MB", "size MB"):
        table.add_column(heading, justify="right")
    width = session.out.width - FIGURES_WIDTH - (RATIO_WIDTH if with_ratio else 0)
    shown = _shown_names([Path(row.file) for row in rows], width)
    for row, name in zip(rows, shown, strict=True):
        latency = row.latency_ms
        table.add_row(
            name,
            *([str(latency.threads)] if several else []),
            *(milliseconds(value) for value in (latency.median, latency.p10, latency.p90)),
            str(latency.runs),
            *([_ratio_words(row.latency_ratio)] if with_ratio else []),
            f"{row.peak_memory_bytes / 1e6:.1f}",
            f"{row.size_bytes / 1e6:.3f}",
        )
    return table


def _ratio_words(ratio: Any) -> str:
    return "–" if ratio is None else f"{ratio.value:.2f} ({ratio.ci95[0]:.2f} to {ratio.ci95[1]:.2f})"


def _shown_names(paths: Sequence[Path], width: int) -> list[str]:
    """Whole paths where they fit, else file names where these differ; what is still too long loses its left.

    >>> _shown_names([Path("runs/the-first/a.tflite"), Path("runs/the-first/b.tflite")], 10)
    ['a.tflite', 'b.tflite']
    """
    names = [str(path) for path in paths]
    width = max(width, LEAST_NAME_WIDTH)
    if any(len(name) > width for name in names) and len({path.name for path in paths}) == len(paths):
        names = [path.name for path in paths]
    return [name if len(name) <= width else "…" + name[1 - width :] for name in names]

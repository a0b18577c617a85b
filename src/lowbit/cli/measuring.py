# SPDX-License-Identifier: Apache-2.0
"""`evaluate`, `inspect` and `parity`: what a written file is worth."""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from lowbit.cli import command, options
from lowbit.cli.session import ROW_FAILED, Session
from lowbit.errors import InputError

MODEL_FILES = (".tflite", ".keras", ".h5")
KERAS_FILES = (".keras", ".h5")
CODES = ("int2", "int4", "int8", "int16")  # types of quantized weights

WEAKEST = 3
MUCH_MORE = 0.05  # than the whole: parts of a file of microseconds

TFLite = Annotated[str, typer.Argument(help="A .tflite file.", metavar="FILE.tflite", show_default=False)]


def add_to(app: typer.Typer) -> None:
    """Add this file's commands."""
    command.add(app, evaluate, example="lowbit evaluate runs/digits-small_cnn/models/ptq-w8a8.tflite --data digits")
    command.add(app, inspect, example="lowbit inspect runs/digits-small_cnn/models/ptq-w8a8.tflite")
    command.add(
        app,
        parity,
        example="lowbit parity models/keras-qat-w8a8.keras models/qat-w8a8.tflite --data digits",
    )


def evaluate(
    session: Session,
    file: Annotated[str, typer.Argument(help="A .tflite, .keras or .h5 file.", metavar="FILE", show_default=False)],
    data: options.Data,
    split: Annotated[str, typer.Option(help="train, validation or test.")] = "test",
    threads: Annotated[
        int | None, typer.Option(help="Interpreters at work; all cores if not given.", show_default=False)
    ] = None,
    preprocess: options.Preprocess = None,
    image_size: options.ImageSize = None,
    metric: options.Metrics = None,
    seed: options.Seed = 0,
) -> None:
    """Measure a file's accuracy on a split of the data, with all cores; Ctrl-C shows what it has so far."""
    from lowbit import records
    from lowbit.cli.progress import ShownSamples
    from lowbit.compare import evaluate as evaluate_file

    path = options.existing(file, *MODEL_FILES)
    options.check_threads(threads)
    size = options.image_size(image_size)
    with ShownSamples(session) as progress:
        found = evaluate_file(
            path, data, split=split, threads=threads, preprocess=preprocess, image_size=size, seed=seed,
            metrics=metric or (), on_progress=progress.on_progress,
        )  # fmt: skip
    if found.is_partial:
        session.note(f"interrupted: these are the first {found.total:,} samples, {_unlike_others(found)}")
        session.exit_code = ROW_FAILED
    first_five = [] if found.top5 is None else [f"label among the five best answers {found.top5:.2%}"]
    session.result(
        {"file": file, "data": data, **records.encode(found)},
        *_metric_lines(found),
        ("" if found.correct is None else f"{found.correct} of ") + f"{found.total} {split} samples",
        *first_five,
        *([line] if (line := _weakest(found)) else []),
        f"{found.samples_per_second:,.0f} samples per second" + _threads(found.threads),
    )


def _unlike_others(found: Any) -> str:
    """What to think of some samples in place of all: a folder's come class by class."""
    seen = sum(share is not None for share in found.class_accuracy)
    if seen < len(found.class_accuracy):
        return f"all of {seen} of the {len(found.class_accuracy)} classes: nothing is said of the others"
    return "which need not be like the others"


def _metric_lines(found: Any) -> list[str]:
    lines = []
    for name, metric in found.metrics.items():
        value, end = (".2%", ".1%") if metric.unit == "fraction" else (".6g", ".4g")
        ends = [] if metric.ci95 is None else [f"{one:{end}}" for one in metric.ci95]
        interval = f", 95 % interval {' to '.join(ends)}" if ends else ""
        lines.append(f"{name.replace('_', ' ')} {metric.value:{value}}{interval}")
    return lines


def _weakest(found: Any) -> str | None:
    """The classes with the fewest right answers, where classes differ."""
    names = found.class_names or tuple(map(str, range(len(found.confusion))))
    known = [
        (share, name, sum(counts))
        for share, name, counts in zip(found.class_accuracy, names, found.confusion)
        if share is not None
    ]
    if len(known) < 2 or min(known)[0] == 1:
        return None
    weakest = sorted(known)[:WEAKEST]
    return "weakest classes: " + ", ".join(f"{name} {share:.1%} of {count}" for share, name, count in weakest)


def inspect(
    session: Session,
    file: TFLite,
    profile: Annotated[
        bool, typer.Option("--profile", help="Measure where its time goes, in half a minute or more.")
    ] = False,
    beside: Annotated[
        str | None,
        typer.Option(help="Another file to profile and compare with, the float32 one say.", show_default=False),
    ] = None,
    threads: options.Threads = 1,
) -> None:
    """Show what a file holds: ops, arithmetic, dtypes, size, what XNNPACK runs; with --profile where its time goes."""
    from lowbit import records, runtime
    from lowbit.results import percent, quantity

    path, other = options.existing(file, ".tflite"), None if beside is None else options.existing(beside, ".tflite")
    options.check_threads(threads)
    for one in (path, *([] if other is None else [other])):
        runtime.check_file(one)
    found = runtime.inspect(path)
    timed = _profiles(session, path, other, threads) if profile or other is not None else {}
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("op")
    for heading in ("count", "integer", "hybrid", "float"):
        table.add_column(heading, justify="right")
    for op in found.ops:
        table.add_row(op.op, *(str(count) for count in (op.count, op.int_count, op.hybrid_count, op.float_count)))
    work, macs = found.work, percent(found.work.macs_integer_share)
    loops = " (the body of a loop counted once)" if any(op.op == "WHILE" for op in found.ops) else ""
    share = found.delegated_reason if found.delegated_share is None else f"{found.delegated_share:.0%} of ops"
    lines = [
        f"{found.n_ops} ops, {found.float_ops} of them float; {found.parameters:,} parameters; {found.tensors} tensors",
        f"multiply-accumulates {quantity(work.macs)}, {macs} in integers; "
        f"weights {quantity(work.weights)}, {percent(work.weights_integer_share)} read by integer ops{loops}",
        f"weights {weights_words(found)}, activations {found.activations_dtype}; run by XNNPACK: {share}",
        f"{found.size_bytes:,} bytes, {found.compressed_bytes:,} zipped; {_size_words(found.size)}",
        *(f"input {_endpoint(end)}" for end in found.inputs),
        *(f"output {_endpoint(end)}" for end in found.outputs),
    ]
    shown = [part for name, one in timed.items() for part in ("", *_profile_parts(name, one))]
    compared = [] if other is None else list(runtime.beside(timed[str(path)], timed[str(other)], str(other)))
    told = {"profile": records.encode(timed[str(path)])} if timed else {}
    if compared:
        told |= {"beside": {"file": str(other), **records.encode(timed[str(other)])}, "compared": compared}
    session.result({"file": file, **records.encode(found), **told}, table, "", *lines, *shown, *compared)


def _profiles(session: Session, path: Path, other: Path | None, threads: int) -> dict[str, Any]:
    from lowbit import runtime

    found = {}
    for one in (path, *([] if other is None else [other])):
        session.detail(f"measuring {one}")
        found[str(one)] = runtime.profile(one, threads=threads)
    return found


def _profile_parts(name: str, found: Any) -> list[Any]:
    """The table of one profile and its words."""
    from lowbit.results import milliseconds, percent

    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("op", "run by"):
        table.add_column(heading)
    for heading in ("count", "time %", "ms"):
        table.add_column(heading, justify="right")
    for kind in found.kinds:
        where = "XNNPACK" if kind.delegated else "LiteRT"
        share = f"{100 * kind.share:.1f}"
        table.add_row(kind.op, where, str(kind.count), share, milliseconds(kind.share * found.whole_ms))
    slowest = ", ".join(f"{one.layer} ({one.op}, {percent(one.share)})" for one in found.slowest)
    starts = ", each timed as a file of its own" if found.unexplained < -MUCH_MORE else ""
    arena = "unknown: it has branches or loops" if found.arena_bytes is None else f"{found.arena_bytes:,} bytes"
    return [
        f"{name}: {milliseconds(found.whole_ms)} ms",
        table,
        f"parts add up to {1 - found.unexplained:.1%} of the whole{starts}; slowest {slowest}",
        f"arena for activations, as LiteRT's own kernels plan it: {arena}",
        *found.reasons,
    ]


def _size_words(size: Any) -> str:
    parts = {name: getattr(size, name) for name in ("constants", "scales", "zero_points", "names", "structure")}
    named = ", ".join(f"{name.replace('_', ' ')} {count:,}" for name, count in parts.items() if count)
    return f"{size.above_floor:.1%} above the floor of {size.floor:,} ({named})".replace("%", " %", 1)


def weights_words(found: Any) -> str:
    """What the weights of a file are in: each integer type with its share where several are, biases aside.

    >>> from types import SimpleNamespace as Summary
    >>> weights_words(Summary(weights_dtype="int4", weights={"int4": 61, "int8": 39, "int32": 8}))
    'int4 (61 %), int8 (39 %)'
    """
    counts = {dtype: count for dtype, count in found.weights.items() if dtype in CODES and count}
    if len(counts) < 2 or found.weights_dtype not in counts:
        return str(found.weights_dtype)
    total = sum(counts.values())
    ordered = sorted(counts, key=lambda dtype: -counts[dtype])
    return ", ".join(f"{dtype} ({_share(counts[dtype], total)})" for dtype in ordered)


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.0%}".replace("%", " %") if part * 100 >= whole else "under 1 %"


def _endpoint(end: Any) -> str:
    scale = "" if end.scale is None else f" scale {end.scale:.6g} zero point {end.zero_point}"
    return f"{end.name} {list(end.shape)} {end.dtype}{scale}"


def _threads(threads: int | None) -> str:
    return "" if threads is None else f" on {threads} thread{'s' if threads > 1 else ''}"


def parity(
    session: Session,
    simulation: Annotated[str, typer.Argument(help="A saved simulation.", metavar="SIM.keras", show_default=False)],
    file: TFLite,
    data: options.Data,
    split: Annotated[str, typer.Option(help="train, validation or test.")] = "validation",
    samples: Annotated[int, typer.Option(help="Samples to compare on.")] = 64,
    least_equal: Annotated[
        float, typer.Option(help="Share of equal codes that every tensor must reach, 0..1; else exit code 1.")
    ] = 1.0,
    preprocess: options.Preprocess = None,
    image_size: options.ImageSize = None,
    seed: options.Seed = 0,
) -> None:
    """Compare a file with its simulation, code by code, at every tensor."""
    path, simulated = options.existing(file, ".tflite"), options.existing(simulation, *KERAS_FILES)
    options.at_least_one(samples=samples)
    if not 0 <= least_equal <= 1:
        raise InputError(
            received=f"--least-equal {least_equal}", expected="a share from 0 to 1", mend="leave it out for 1"
        )
    from lowbit import records
    from lowbit.cli import subject
    from lowbit.export import parity as compare_codes

    model = subject.open_simulation(simulated)
    _check_same_inputs(path, model)
    dataset = subject.data_for_file(simulated, model, data, preprocess=preprocess, image_size=image_size, seed=seed)
    chosen = subject.split_of(dataset, split)
    samples = min(samples, len(chosen))
    batches = subject.feed(chosen.batches(32, limit=samples), model)
    found = compare_codes(model, path, batches, samples=samples)
    session.result(
        {"simulation": simulation, "file": file, "data": data, "samples": samples, **records.encode(found)},
        _parity_table(session, found) or "every tensor equal",
        *parity_lines(found),
    )
    if found.missing or found.worst_equal is None or found.worst_equal < least_equal:
        session.exit_code = ROW_FAILED


def parity_lines(found: Any) -> list[str]:
    """A `ParityResult` in words."""
    codes = sum(tensor.elements for tensor in found.per_tensor)
    equal = sum(tensor.equal * tensor.elements for tensor in found.per_tensor)
    lines = [f"{found.tensors} tensors, {codes:,} codes"]
    if codes:
        lines[0] += f": {equal / codes:.4%} equal; worst tensor {found.worst_tensor} {found.worst_equal:.4%}"
    if found.top1_agreement is not None:
        lines.append(f"same top-1 answer for {found.top1_agreement:.2%} of samples")
    return lines + [f"no counterpart in the simulation: {name}" for name in found.missing]


def _check_same_inputs(path: Path, model: Any) -> None:
    """Raises InputError for a file whose inputs are not those of the simulation."""
    from lowbit import runtime

    runtime.check_file(path)
    ours = {tensor.name: tuple(tensor.shape[1:]) for tensor in model.inputs}
    theirs = {end.name: end.shape[1:] for end in runtime.Runner.open(path).inputs}
    same = set(ours) == set(theirs) and all(
        len(ours[name]) == len(theirs[name])
        and all(own in (None, other) for own, other in zip(ours[name], theirs[name]))
        for name in ours
    )
    if not same:
        raise InputError(
            received=f"{path} with inputs {theirs}",
            expected=f"those of the simulation, {ours}",
            mend="pass the file that was written from this simulation: lowbit export",
        )


def _parity_table(session: Session, found: Any) -> Table | None:
    """The tensors that are not all equal, None when there is none; every tensor with -v."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("tensor", "op"):
        table.add_column(heading)
    for heading in ("equal", "within one", "codes in use"):
        table.add_column(heading, justify="right")
    for tensor in found.per_tensor:
        if session.verbose or tensor.equal < 1:
            shares = (f"{tensor.equal:.4%}", f"{tensor.within_one:.4%}")
            table.add_row(tensor.name, tensor.op, *shares, str(tensor.distinct_codes))
    return table if table.row_count or not found.per_tensor else None

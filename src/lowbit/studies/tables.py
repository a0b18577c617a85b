# SPDX-License-Identifier: Apache-2.0
"""Markdown of a study's page, from results."""

import shlex
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from lowbit.errors import InputError
from lowbit.results import Results, Row
from lowbit.studies.parts import EPOCHS, Asked

NOT_THERE = "–"


def recipes(results: Results, control: str) -> str:
    """Each recipe's accuracy, its difference to the control, size, latency and parity; over seeds where there are."""
    seeds = len(_row(results, control).over_seeds.get("accuracy", ())) or 1
    names = [f"seed {seed}" for seed in range(seeds)] + ["mean"] if seeds > 1 else ["accuracy %", "95 %"]
    head = ["recipe", *names, "control − recipe", "size MB", "× float32", "parity %"]
    lines = []
    for row in results.rows:
        if row.status != "ok":
            lines.append([row.recipe, row.reason or row.status, *[""] * (len(head) - 2)])
            continue
        own, other = _accuracies(row), _accuracies(_row(results, control))
        if seeds > 1:
            figures = [*(f"{value:.1f}" for value in own), f"{statistics.mean(own):.2f}"]
        else:
            figures = [f"{own[0]:.1f}", _interval(row.metrics["accuracy"].ci95)]
        below = [two - one for one, two in zip(own, other)]
        spread = f" ({min(below):.1f} to {max(below):.1f})" if len(below) > 1 else ""
        lines.append(
            [row.recipe, *figures, f"{statistics.mean(below):.2f}{spread}", _megabytes(row), _ratio(row), _parity(row)]
        )
    return _table(head, lines)


def against_published(results: Results, published: Mapping[str, tuple[float, float]]) -> str:
    """The guide's rows under their names there, beside what was published."""
    head = ["guide's name", "recipe", "accuracy %", "95 %", "guide", "size MB", "guide", "× float32"]
    lines = []
    for row in results.rows:
        accuracy, size = published.get(row.recipe, (None, None))
        name = row.guide_name or "(announced for its next part)"
        told = [NOT_THERE if accuracy is None else f"{accuracy:.2f}", NOT_THERE if size is None else f"{size:g}"]
        own = [row.reason or row.status, ""]
        if row.status == "ok":
            own = [f"{100 * (row.accuracy or 0):.1f}", _interval(row.metrics["accuracy"].ci95)]
        lines.append([f"`{name}`", row.recipe, *own, told[0], _megabytes(row), told[1], _ratio(row)])
    return _table(head, lines)


def steps(shares: Mapping[str, Mapping[str, Any]]) -> str:
    """One line for each state: accuracy with its interval."""
    lines = [
        [name, f"{100 * one['correct'] / one['total']:.1f}", _interval(one["ci95"])] for name, one in shares.items()
    ]
    return _table(["what", "accuracy %", "95 %"], lines)


def share(results: Results, recipe: str) -> dict[str, Any]:
    """Right answers of all of a row, with seed 0, and their interval."""
    metric = _row(results, recipe).metrics["accuracy"]
    return {"correct": metric.correct, "total": metric.total, "ci95": metric.ci95}


def verdict(results: Results) -> str:
    """The verdict's sentences as a list."""
    return "\n".join(f"- {line}" for line in (results.verdict.lines if results.verdict else ()))


def data(results: Results) -> str:
    """Name, samples in each split, classes."""
    told = results.dataset
    counts = ", ".join(f"{count:,} {name}" for name, count in told["counts"].items())
    return f"`{told['name']}` ({counts} images, {told['classes']} classes)"


def environment(results: Results) -> str:
    """Machine and libraries, one line each."""
    told = results.environment
    libraries = ", ".join(f"{name} {version}" for name, version in told["libraries"].items())
    machine = f"{told['cpu']}, {told['cores']} cores, {told['threads']} thread for latency, {told['system']}"
    return f"- {machine}\n- lowbit {results.lowbit}, {libraries}\n- made {results.created}"


def command(asked: Asked, study: str = "deep_weeds") -> str:
    """The command line that makes the page, with places as names that a reader fills in."""
    words = ["lowbit", "compare", "--study", study, "--seeds", str(asked.seeds)]
    words += ["--image-size", "x".join(map(str, dict.fromkeys(asked.image_size)))]
    words += [] if asked.epochs == EPOCHS else ["--epochs", str(asked.epochs)]
    if asked.dataset != study:
        words += ["--dataset", asked.dataset.rstrip("/").rsplit("/", 1)[-1]]
    if asked.weights != "imagenet":
        words += ["--model-arg", f"weights={asked.weights.rstrip('/').rsplit('/', 1)[-1]}"]
    return shlex.join(words)


def _row(results: Results, recipe: str) -> Row:
    for row in results.rows:
        if row.recipe == recipe and row.status == "ok":
            return row
    reasons = [row.reason for row in results.rows if row.recipe == recipe]
    raise InputError(
        received=f"a comparison in which {recipe} is not ok ({reasons[0] if reasons else 'not made'})",
        expected="all rows that the study tells of",
        mend="mend the cause and run the same command again",
    )


def _accuracies(row: Row) -> Sequence[float]:
    """In percent, of every seed."""
    return [100 * value for value in row.over_seeds.get("accuracy") or (row.accuracy or 0.0,)]


def _interval(ends: Sequence[float] | None) -> str:
    return NOT_THERE if ends is None else f"{100 * ends[0]:.1f} to {100 * ends[1]:.1f}"


def _megabytes(row: Row) -> str:
    return NOT_THERE if row.size_bytes is None else f"{row.size_bytes / 1e6:.2f}"


def _ratio(row: Row) -> str:
    return NOT_THERE if row.latency_ratio is None else f"{row.latency_ratio.value:.2f}"


def _parity(row: Row) -> str:
    equal = None if row.parity is None else row.parity.worst_equal
    return NOT_THERE if equal is None else f"{100 * equal:.4g}"


def _table(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """Numbers to the right, but for the first column."""
    rows = [head, [":---", *["---:"] * (len(head) - 1)], *lines]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)

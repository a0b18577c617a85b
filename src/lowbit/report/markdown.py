# SPDX-License-Identifier: Apache-2.0
"""The whole table in Markdown, with its footnotes, verdict and circumstances."""

from collections.abc import Iterator, Mapping
from typing import Any

from lowbit.report.columns import LEGEND, Cell, Footnotes, cells, columns
from lowbit.results import MEASURED, Results


def markdown(results: Results) -> str:
    """A document of its own: heading, table with all columns, reasons, verdict, circumstances."""
    footnotes = Footnotes()
    every = columns(results)
    rendered = [cells(column, results.rows, footnotes) for column in every]
    legend = [
        f"*{word}*: {meaning}."
        for word, meaning in LEGEND.items()
        if any(column.heading == word or column.heading.startswith(f"{word} ") for column in every)
    ]
    lines = [
        f"# {results.model.get('name', 'model')} on {results.dataset.get('name', 'data')}",
        "",
        _line([column.heading for column in every]),
        _line(["---:" if column.right else ":---" for column in every]),
        *(_line([_cell(cell) for cell in row]) for row in zip(*rendered, strict=True)),
        "",
        " ".join(["Bold: best of its column.", *legend]),
        *_list(f"{row.recipe}: {row.status}, {row.reason}" for row in results.rows if row.status != "ok"),
        *_list(footnotes.lines()),
        *_list(_remarks(results)),
    ]
    if results.verdict is not None:
        lines += ["", "## Verdict", *_list(results.verdict.lines)]
    circumstances = {
        "command": f"`{results.command}`",
        "seed": results.seed,
        "made": f"{results.created}, lowbit {results.lowbit}",
        "dataset": _words(results.dataset),
        "model": _words(results.model),
        "environment": _words(results.environment),
    }
    lines += ["", "## Circumstances", *_list(f"{name}: {value}" for name, value in circumstances.items())]
    return "\n".join(lines) + "\n"


def _remarks(results: Results) -> Iterator[str]:
    """Notes that are not the reason of a missing figure; those that rows share, once."""
    rows_by_note: dict[tuple[str, str], list[str]] = {}
    for row in results.rows:
        for name, text in row.notes.items():
            if name not in (*MEASURED, *row.metrics):
                rows_by_note.setdefault((name, text), []).append(row.recipe)
    for (name, text), recipes in rows_by_note.items():
        yield f"{', '.join(recipes)}: {name.replace('_', ' ')} {text}"


def _line(texts: list[str]) -> str:
    return "| " + " | ".join(text.replace("|", "\\|") for text in texts) + " |"


def _cell(cell: Cell) -> str:
    return f"**{cell.text}**" if cell.best else cell.text


def _list(items: Any) -> list[str]:
    texts = ["- " + " ".join(str(item).split()) for item in items]
    return ["", *texts] if texts else []


def _words(data: Mapping[str, Any]) -> str:
    """`name digits, classes 10, …`; nested values as `key (…)`."""
    parts = []
    for key, value in data.items():
        if isinstance(value, Mapping):
            parts.append(f"{key} ({_words(value)})")
        elif isinstance(value, list | tuple):
            parts.append(f"{key} {' '.join(map(str, value))}")
        else:
            parts.append(f"{key} {value}")
    return ", ".join(parts)

# SPDX-License-Identifier: Apache-2.0
"""`lowbit report`: a finished run once more, as table, page, Markdown, CSV and plots, and held to conditions."""

import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from lowbit.cli import command, options
from lowbit.cli.session import ROW_FAILED, Session
from lowbit.errors import FileFormatError, InputError

MAX_DROP = 1.0
Render = Callable[[], str]


def add_to(app: typer.Typer) -> None:
    """Add this file's command."""
    command.add(app, report, example="lowbit report runs/digits-small_cnn --markdown table.md --plots .")


def report(
    session: Session,
    run_dirs: Annotated[
        list[str],
        typer.Argument(
            help="The folder of a run, or its results.json; several with --html.",
            show_default=False,
            metavar="RUN_DIR...",
        ),
    ],
    html: Annotated[
        str | None,
        typer.Option(help="Write one page that needs nothing else; several runs side by side.", metavar="FILE"),
    ] = None,
    open_page: Annotated[bool, typer.Option("--open", help="Open that page in the browser.")] = False,
    markdown: Annotated[str | None, typer.Option(help="Write the table as Markdown.", metavar="FILE")] = None,
    csv: Annotated[str | None, typer.Option(help="Write the table as CSV.", metavar="FILE")] = None,
    add: Annotated[
        list[str] | None,
        typer.Option(help="Join what lowbit benchmark --json printed on another machine.", metavar="FILE"),
    ] = None,
    fail_if: Annotated[
        list[str] | None,
        typer.Option(help="Exit with 1 where it holds: 'accuracy_drop(ptq-w8a8) > 0.5'.", metavar="CONDITION"),
    ] = None,
    against: Annotated[
        str | None,
        typer.Option(help="An older run: its rows are old.RECIPE in conditions; without any, none may get worse."),
    ] = None,
    plots: Annotated[
        str | None, typer.Option(help="Write the plots, .png and .svg, into this folder.", metavar="DIR")
    ] = None,
) -> None:
    """Show a finished run again, as a table, Markdown, CSV and plots; hold it to conditions (exit code 1)."""
    from lowbit import report as renderers
    from lowbit.files import write_text

    run_dir, *more = run_dirs
    if more and html is None and not open_page:
        raise InputError(
            received=f"{len(run_dirs)} runs",
            expected="one, or several with --html",
            mend="add --html FILE to tell of them side by side, or --against OLD_RUN to hold one to another",
        )
    results = _load(run_dir)
    others = [(_load(other), _details(session, other)) for other in more]
    if add:
        results = _with_devices(results, add)
    page = None if html is None and not open_page else html if html is not None else _default_page(run_dir)
    as_markdown: Render = partial(renderers.markdown, results)
    as_csv: Render = partial(renderers.csv_text, results)

    def as_html(beside: Sequence[Any] = ()) -> str:
        return renderers.html(results, _details(session, run_dir), beside)

    wanted: list[tuple[str | None, Render]] = [
        (markdown, as_markdown), (csv, as_csv), (page, partial(as_html, others)),
    ]  # fmt: skip
    texts = [(options.output(word), render) for word, render in wanted if word is not None]
    if add:
        own: dict[str, Render] = {"table.md": as_markdown, "results.csv": as_csv, "report.html": as_html}
        texts += _told_anew(run_dir, own, [path for path, _ in texts])
    pictures = (
        [] if plots is None else [options.output(str(Path(plots) / f"tradeoff{kind}")) for kind in (".png", ".svg")]
    )
    _check_outputs([path for path, _ in texts] + pictures, run_dirs, results)
    gates = _gates(session, results, fail_if or [], against)
    made = {path: render() for path, render in texts}
    for picture in pictures:
        renderers.tradeoff_plot(results, picture)
    if add:
        results.save(_results_path(run_dir))
    for path, text in made.items():
        write_text(path, text)
    for path in (*pictures, *made):
        session.note(f"wrote {path}")
    if open_page and page is not None:
        typer.launch(Path(page).absolute().as_uri())
    for sentence in results.lost_files(run_dir) if Path(run_dir).is_dir() else ():
        session.note(f"warning: {sentence}; the command that made the run makes it again")
    show(session, results, None, gates)
    if any(gate.failed for gate in gates):
        session.exit_code = ROW_FAILED


def _told_anew(run_dir: str, own: Mapping[str, Render], besides: Sequence[Path]) -> list[tuple[Path, Render]]:
    """The files of a run folder that tell what was just joined to it."""
    if not Path(run_dir).is_dir():
        return []
    places = {Path(run_dir) / name: render for name, render in own.items()}
    written = {path.resolve() for path in besides}
    return [(path, render) for path, render in places.items() if path.is_file() and path.resolve() not in written]


def _check_outputs(outputs: Sequence[Path], run_dirs: Sequence[str], results: Any) -> None:
    """Raises InputError where an output is a file of a run or named twice."""
    places = [_results_path(run_dir).absolute().parent for run_dir in run_dirs]
    files = ["details.json", *(row.file for row in results.rows if row.file is not None)]
    kept = {_results_path(run_dir).resolve() for run_dir in run_dirs}
    kept |= {(place / file).resolve() for place in places for file in files}
    for path in outputs:
        if path.resolve() in kept:
            raise InputError(
                received=f"output {path}, which belongs to the run",
                expected="another file: what was measured would be lost",
                mend="choose another output path",
            )
    if len({path.resolve() for path in outputs}) < len(outputs):
        raise InputError(
            received=f"one output for several: {', '.join(map(str, outputs))}",
            expected="a file for each",
            mend="choose another output path",
        )


def _gates(session: Session, results: Any, conditions: list[str], against: str | None) -> list[Any]:
    """How the conditions ended; those of every older row where none is given."""
    from lowbit.report import check, regressions

    old = None if against is None else _load(against)
    if old is not None and old.dataset.get("manifest") != results.dataset.get("manifest"):
        session.note(f"warning: {against} was measured on other data, so metrics differ by that too")
    if old is not None and not conditions:
        gone = {row.recipe for row in old.rows if row.status == "ok"} - {row.recipe for row in results.rows}
        if gone:
            session.note(f"warning: {', '.join(sorted(gone))} of {against} is not in this run, so nothing holds it")
        return list(regressions(results, old, MAX_DROP))
    return [check(condition, results, old) for condition in conditions]


def _with_devices(results: Any, files: list[str]) -> Any:
    from lowbit.results import DeviceReport

    for file in files:
        results = results.with_device(DeviceReport.load(file))
    return results


def _results_path(run_dir: str) -> Path:
    path = Path(run_dir)
    return path / "results.json" if path.is_dir() else path


def _default_page(run_dir: str) -> str:
    return str(_results_path(run_dir).parent / "report.html")


def _details(session: Session, run_dir: str) -> Any:
    """What lies behind a run's figures; None, with a warning, where it cannot be read."""
    from lowbit.results import Details

    path = _results_path(run_dir).parent / "details.json"
    if not path.is_file():
        return None
    try:
        return Details.load(path)
    except FileFormatError as error:
        session.note(f"warning: the page tells less: {error}")
        return None


def _load(run_dir: str) -> Any:
    from lowbit.results import Results

    path = _results_path(run_dir)
    if not path.is_file():
        raise InputError(
            received=f"run folder {run_dir}, without results.json",
            expected="the folder of a finished run",
            mend="make one: lowbit compare --out DIR",
        )
    return Results.load(path)


def show(session: Session, results: Any, folder: Path | None, gates: Sequence[Any] = ()) -> None:
    from lowbit import records
    from lowbit.report import terminal_table

    counts = " · ".join(f"{count:,} {name}" for name, count in results.dataset.get("counts", {}).items())
    heading = f"{results.model.get('name')} on {results.dataset.get('name')}: {counts} samples"
    data = json.loads(results.to_json()) | ({"gates": records.encode(list(gates))} if gates else {})
    session.result(data, heading, "", terminal_table(results), *([""] if gates else []), *map(str, gates))
    if folder is not None:
        session.note(f"\nEverything lies in {folder}")

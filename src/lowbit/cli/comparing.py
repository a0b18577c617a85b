# SPDX-License-Identifier: Apache-2.0
"""`lowbit compare`, the main job, and `lowbit report`, its result once more."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from lowbit.cli import command, options
from lowbit.cli.progress import ShownProgress
from lowbit.cli.session import ROW_FAILED, Session
from lowbit.cli.studying import make_study
from lowbit.errors import FileFormatError, InputError

TRAINING, MEASURING, RUN = "Training", "Measuring", "Run"
MAX_DROP = 1.0


def add_to(app: typer.Typer) -> None:
    """Add this file's commands."""
    command.add(app, compare, example="lowbit compare --recipes guide --epochs 5 --out runs/first")
    command.add(app, report, example="lowbit report runs/digits-small_cnn --markdown table.md --plots .")


def compare(
    session: Session,
    dataset: Annotated[str, typer.Option(help=options.DATA_HELP, metavar="DATA")] = "digits",
    model: Annotated[str, typer.Option(help=options.MODEL_HELP, metavar="MODEL")] = "small_cnn",
    model_arg: options.ModelArgs = None,
    image_size: options.ImageSize = None,
    preprocess: options.Preprocess = None,
    recipes: Annotated[
        str, typer.Option(help="guide, default, all, or names separated by commas; see lowbit recipes.")
    ] = "default",
    epochs: Annotated[int, typer.Option(help="Most epochs of float training.", rich_help_panel=TRAINING)] = 20,
    qat_epochs: Annotated[
        int | None,
        typer.Option(
            help="Most epochs of QAT and of its float control; as --epochs if not given.",
            rich_help_panel=TRAINING,
            show_default=False,
        ),
    ] = None,
    batch_size: Annotated[int, typer.Option(help="Samples in a training step.", rich_help_panel=TRAINING)] = 32,
    lr: Annotated[float, typer.Option(help="Learning rate of float training.", rich_help_panel=TRAINING)] = 1e-3,
    qat_lr: Annotated[
        float, typer.Option(help="Learning rate of QAT and its control.", rich_help_panel=TRAINING)
    ] = 1e-3,
    patience: Annotated[
        int, typer.Option(help="Epochs without a better validation before it stops.", rich_help_panel=TRAINING)
    ] = 4,
    freeze: Annotated[
        bool, typer.Option(help="Keep a zoo model's pretrained base fixed in float training.", rich_help_panel=TRAINING)
    ] = True,
    calibration_samples: options.CalibrationSamples = 256,
    max_drop: Annotated[
        float, typer.Option(help="Percentage points of accuracy a chosen file may lose.", rich_help_panel=MEASURING)
    ] = 1.0,
    metric: options.Metrics = None,
    threads: options.Threads = 1,
    seed: options.Seed = 0,
    seeds: Annotated[
        int, typer.Option(help="Runs with seeds that count up; the table tells mean and spread.", rich_help_panel=RUN)
    ] = 1,
    out: Annotated[
        str | None,
        typer.Option(help="Run folder; runs/DATA-MODEL if not given.", rich_help_panel=RUN, show_default=False),
    ] = None,
    engine: Annotated[str, typer.Option(help="What runs the jobs.", rich_help_panel=RUN)] = "local",
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Forget earlier results of the folder.", rich_help_panel=RUN)
    ] = False,
    study: Annotated[
        str | None,
        typer.Option(
            help="Make a study instead, such as deep_weeds: comparisons, experiments, one page. Takes --dataset, "
            "--model-arg weights=FOLDER, --image-size, --seeds, --epochs, --out, --engine, --fresh.",
            rich_help_panel=RUN,
            show_default=False,
            metavar="NAME",
        ),
    ] = None,
) -> None:
    """Train, quantize in every way, write, run and measure: one table.

    A run that was interrupted resumes; a finished one is shown again in seconds. Exit code 1: a row failed.
    """
    if study is not None:
        make_study(session, study, options.model_args(model_arg), command.given(compare, locals()))
        return
    from lowbit.compare import compare as run_comparison

    with ShownProgress(session) as progress:
        comparison = run_comparison(
            dataset, model, recipes=recipes, out=out, epochs=epochs, qat_epochs=qat_epochs, batch_size=batch_size,
            lr=lr, qat_lr=qat_lr, patience=patience, freeze=freeze, calibration_samples=calibration_samples,
            max_drop=max_drop, threads=threads, seed=seed, seeds=seeds, preprocess=preprocess,
            image_size=options.image_size(image_size),
            model_args=options.model_args(model_arg), metrics=metric or (), engine=engine, fresh=fresh,
            on_event=progress.on_job,
        )  # fmt: skip
    for name, reason in comparison.problems.items():
        session.note(f"warning: {name} was not made: {reason}")
    _show(session, comparison.results, comparison.folder)
    session.exit_code = session.exit_code if comparison.ok else ROW_FAILED


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
        typer.Option(help="An older run: its rows are old.RECIPE in conditions; without any, none may lose accuracy."),
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
    if add:
        results = _with_devices(results, add)
        results.save(_results_path(run_dir))
    targets = {
        "markdown": None if markdown is None else options.output(markdown),
        "csv": None if csv is None else options.output(csv),
        "html": None if html is None and not open_page else options.output(html or _default_page(run_dir)),
    }
    pictures = (
        [] if plots is None else [options.output(str(Path(plots) / f"tradeoff{kind}")) for kind in (".png", ".svg")]
    )
    for picture in pictures:
        renderers.tradeoff_plot(results, picture)
    if targets["markdown"] is not None:
        write_text(targets["markdown"], renderers.markdown(results))
    if targets["csv"] is not None:
        write_text(targets["csv"], renderers.csv_text(results))
    if targets["html"] is not None:
        others = [(_load(other), _details(session, other)) for other in more]
        write_text(targets["html"], renderers.html(results, _details(session, run_dir), others))
    for path in (*pictures, *(path for path in targets.values() if path is not None)):
        session.note(f"wrote {path}")
    if open_page and targets["html"] is not None:
        typer.launch(targets["html"].absolute().as_uri())
    gates = _gates(results, fail_if or [], against)
    for sentence in results.lost_files(run_dir) if Path(run_dir).is_dir() else ():
        session.note(f"warning: {sentence}; the command that made the run makes it again")
    _show(session, results, None, gates)
    if any(gate.failed for gate in gates):
        session.exit_code = ROW_FAILED


def _gates(results: Any, conditions: list[str], against: str | None) -> list[Any]:
    """How the conditions ended; those of every older row where none is given."""
    from lowbit.report import check, regressions

    old = None if against is None else _load(against)
    if old is not None and not conditions:
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


def _show(session: Session, results: Any, folder: Path | None, gates: Sequence[Any] = ()) -> None:
    from lowbit import records
    from lowbit.report import terminal_table

    counts = " · ".join(f"{count:,} {name}" for name, count in results.dataset.get("counts", {}).items())
    heading = f"{results.model.get('name')} on {results.dataset.get('name')}: {counts} samples"
    data = json.loads(results.to_json()) | ({"gates": records.encode(list(gates))} if gates else {})
    session.result(data, heading, "", terminal_table(results), *([""] if gates else []), *map(str, gates))
    if folder is not None:
        session.note(f"\nEverything lies in {folder}")

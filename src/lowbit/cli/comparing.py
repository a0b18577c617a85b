# SPDX-License-Identifier: Apache-2.0
"""`lowbit compare`, the main job."""

from typing import Annotated

import typer

from lowbit.cli import command, options
from lowbit.cli.progress import ShownProgress
from lowbit.cli.reporting import show
from lowbit.cli.session import ROW_FAILED, Session
from lowbit.cli.studying import make_study

TRAINING, MEASURING, RUN = "Training", "Measuring", "Run"


def add_to(app: typer.Typer) -> None:
    """Add this file's command."""
    command.add(app, compare, example="lowbit compare --recipes guide --epochs 5 --out runs/first")


def compare(
    session: Session,
    context: typer.Context,
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
    session.if_interrupted = "what was finished is kept, and the same command goes on from there"
    if study is not None:
        make_study(session, study, options.model_args(model_arg), command.given(context))
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
    show(session, comparison.results, comparison.folder)
    session.exit_code = session.exit_code if comparison.ok else ROW_FAILED

# SPDX-License-Identifier: Apache-2.0
"""`quantize`, `qat` and `export`: from a Keras model to a file."""

from collections.abc import Sequence
from typing import Annotated, Any

import typer

from lowbit.cli import command, options
from lowbit.cli.progress import ShownProgress
from lowbit.cli.session import Session
from lowbit.errors import InputError
from lowbit.recipes.recipe import LEAST_AGREEMENT

PARITY_SAMPLES = 64
RANGES = ("tracked", "learned")
EPOCHS = 20
QAT_LEARNING_RATE = 1e-3

Out = Annotated[str, typer.Option("-o", "--out", help="The file to write.", show_default=False)]


def add_to(app: typer.Typer) -> None:
    """Add this file's commands."""
    command.add(app, quantize, example="lowbit quantize model.keras -o model.tflite --recipe ptq-w8a8 --data images/")
    command.add(app, qat, example="lowbit qat model.keras --data images/ -o sim.keras --epochs 10")
    command.add(app, export, example="lowbit export sim.keras -o model.tflite --io int8")


def quantize(
    session: Session,
    model: options.Model,
    out: Out,
    recipe: Annotated[str, typer.Option(help="Any recipe that needs no training; see lowbit recipes.")] = "ptq-w8a8",
    data: options.MaybeData = None,
    rules: options.Rules = None,
    io: options.Io = "float32",
    model_arg: options.ModelArgs = None,
    image_size: options.ImageSize = None,
    input_shape: options.InputShapes = None,
    preprocess: options.Preprocess = None,
    calibration_samples: options.CalibrationSamples = 256,
    least_agreement: options.LeastAgreement = LEAST_AGREEMENT,
    keep_names: options.KeepNames = False,
    python: options.Python = None,
    seed: options.Seed = 0,
) -> None:
    """Write a trained model as a .tflite file, by any recipe that needs no training."""
    from lowbit import recipes

    chosen, path = recipes.get(recipe), options.output(out, ".tflite")
    options.not_its_input(path, model)
    _refuse_training(chosen)
    given = options.rules(rules)
    chosen.check(has_data=data is not None, io=io, rules=given)
    options.at_least_one(calibration_samples=calibration_samples)
    options.share("least-agreement", least_agreement, example=0.98)
    shape = options.input_shape(input_shape)
    from lowbit.cli import subject
    from lowbit.export.cards import write_tflite_card

    taken = subject.open_subject(
        model, data, model_arg=model_arg, preprocess=preprocess, image_size=image_size, seed=seed, input_shape=shape
    )
    if not taken.loaded.trained:
        session.note(f"warning: the zoo model {model} is untrained: the file's answers mean nothing, its size does")
    calibration = parity = None
    if taken.dataset is not None:
        session.note(subject.counts(taken.dataset))
        calibration = subject.feed(taken.dataset.calibration(calibration_samples, seed).batches(32), taken.model)
        parity = subject.feed(subject.split_of(taken.dataset).batches(32, limit=PARITY_SAMPLES), taken.model)
    request = recipes.Request(
        model=taken.model, path=path, calibration=calibration, parity=parity, io=io, rules=given,
        input_shape=taken.input_shape, least_agreement=least_agreement, keep_names=keep_names, python=python,
    )  # fmt: skip
    made = chosen.make(request)
    told = {} if taken.told is None else taken.told.preprocessing
    inside = write_tflite_card(
        path,
        recipe=recipe,
        preprocessing=told if taken.dataset is None else taken.dataset.preprocessing,
        class_names=taken.loaded.class_names or (taken.dataset.class_names if taken.dataset is not None else None),
        made_by=subject.made_by(
            "quantize", made.parity, io=io, calibration_samples=calibration_samples, seed=seed, **_written(given)
        ),
        tensors=made.tensor_names,
    )
    _show_file(session, {"recipe": recipe, "io": io, "kept_float": dict(made.kept_float)}, made, inside)


def _refuse_training(chosen: Any) -> None:
    """Raises InputError for a recipe that takes more than a trained model."""
    if chosen.maker is None or chosen.needs_training:
        raise InputError(
            received=f"--recipe {chosen.name}, which needs training or other recipes",
            expected="a recipe that needs no training",
            mend=f"run: lowbit compare --recipes {chosen.name}, or lowbit qat and then lowbit export",
        )


def qat(
    session: Session,
    model: options.Model,
    data: options.Data,
    out: Out,
    spec: Annotated[str, typer.Option(help="Bits: w8a8, w4a8, w8a16 or w4a16.")] = "w8a8",
    rules: options.Rules = None,
    epochs: Annotated[int, typer.Option(help="Most epochs.")] = EPOCHS,
    batch_size: Annotated[int, typer.Option(help="Samples in a training step.")] = 32,
    lr: Annotated[float, typer.Option(help="Learning rate.")] = QAT_LEARNING_RATE,
    patience: Annotated[int, typer.Option(help="Epochs without a better validation before it stops.")] = 4,
    ranges: Annotated[str, typer.Option(help="How ranges move in training: tracked or learned.")] = "tracked",
    teacher_share: Annotated[
        float | None,
        typer.Option(
            help="Share of the loss that is against the float model's answers, above 0 to 1.", show_default=False
        ),
    ] = None,
    model_arg: options.ModelArgs = None,
    image_size: options.ImageSize = None,
    input_shape: options.InputShapes = None,
    preprocess: options.Preprocess = None,
    calibration_samples: options.CalibrationSamples = 256,
    seed: options.Seed = 0,
) -> None:
    """Train a trained model on, quantization-aware, and save the simulation for lowbit export."""
    from lowbit.compare import Settings
    from lowbit.spec import Spec

    path, bits = options.output(out, ".keras", ".h5"), Spec.parse(spec)
    options.one_of("ranges", ranges, RANGES)
    options.not_its_input(path, model)
    given, shape = options.rules(rules), options.input_shape(input_shape)
    Settings(
        dataset=data, model=model, epochs=epochs, batch_size=batch_size, lr=lr, patience=patience, seed=seed,
        calibration_samples=calibration_samples,
    )  # fmt: skip
    if teacher_share is not None:
        options.share("teacher-share", teacher_share, example=0.5, above=True)
    _refuse_zoo_name(model)
    from lowbit.cli import subject
    from lowbit.compare.jobs.opening import keras_card
    from lowbit.recipes.training import Batches, Training, train
    from lowbit.zoo import save_model

    taken = subject.open_subject(
        model, data, model_arg=model_arg, preprocess=preprocess, image_size=image_size, seed=seed, input_shape=shape
    )
    dataset = taken.data
    session.note(subject.counts(dataset))
    batches = Batches(
        train=subject.feed(
            subject.labelled_split(dataset, "train").batches(batch_size, shuffle=True, seed=seed), taken.model
        ),
        validation=subject.feed(subject.labelled_split(dataset, "validation").batches(batch_size), taken.model),
        calibration=subject.feed(dataset.calibration(calibration_samples, seed).batches(batch_size), taken.model),
        task=dataset.task,
        tasks=dataset.tasks,
    )
    training = Training(
        epochs=epochs, learning_rate=lr, patience=patience, seed=seed, ranges=ranges, teacher_share=teacher_share
    )
    with ShownProgress(session) as progress:
        simulation, history = train(
            f"qat-{bits.name}", taken.model, batches, training, progress.on_training,
            rules=given, input_shape=taken.input_shape,
        )  # fmt: skip
    save_model(simulation, path)
    made = subject.made_by(
        "qat", spec=bits.name, epochs=epochs, lr=lr, batch_size=batch_size, seed=seed, ranges=ranges,
        teacher_share=teacher_share, **_written(given),
    )  # fmt: skip
    keras_card(path, simulation, recipe=f"keras-qat-{bits.name}", data=dataset, made_by=made)
    best = {name: values[history.best_epoch - 1] for name, values in history.logs.items()}
    figures = ", ".join(f"{name} {value:.4f}" for name, value in best.items())
    session.result(
        {
            "file": str(path),
            "spec": bits.name,
            "trained_epochs": history.trained_epochs,
            "best_epoch": history.best_epoch,
            "best": best,
            "logs": {name: list(values) for name, values in history.logs.items()},
            "seconds": history.seconds,
        },
        f"wrote {path}: epoch {history.best_epoch} of {history.trained_epochs} kept, {figures}",
        f"next: lowbit export {path} -o {path.with_suffix('.tflite').name}",
    )


def _written(rules: Sequence[Any]) -> dict[str, Any]:
    """Rules as a card holds them; nothing where there are none."""
    return {"rules": [rule.to_dict() for rule in rules]} if rules else {}


def _refuse_zoo_name(model: str) -> None:
    from lowbit.compare.subject import is_zoo_name

    if is_zoo_name(model):
        raise InputError(
            received=f"the zoo model {model!r}, which is not trained",
            expected="a trained model: a .keras or .h5 file, or package.module:function",
            mend=f"train it first: lowbit compare --model {model} --recipes keras-float32",
        )


def export(
    session: Session,
    simulation: Annotated[
        str, typer.Argument(help="A simulation saved by lowbit qat.", metavar="SIM.keras", show_default=False)
    ],
    out: Out,
    io: options.Io = "float32",
    data: options.MaybeData = None,
    preprocess: options.Preprocess = None,
    image_size: options.ImageSize = None,
    least_agreement: options.LeastAgreement = LEAST_AGREEMENT,
    keep_names: options.KeepNames = False,
    python: options.Python = None,
    seed: options.Seed = 0,
) -> None:
    """Write a simulation as an integer .tflite file; with --data it is compared with the simulation, code by code."""
    source, path = options.existing(simulation, ".keras", ".h5"), options.output(out, ".tflite")
    options.not_its_input(path, simulation)
    if io not in ("float32", "int8"):
        raise InputError(received=f"--io {io}", expected="float32 or int8", mend="leave --io out for float32")
    options.share("least-agreement", least_agreement, example=0.98)
    from lowbit.card import read_card
    from lowbit.cli import subject
    from lowbit.export import export as export_simulation
    from lowbit.export.cards import write_tflite_card
    from lowbit.simulation.coverage import kept_float

    model, card = subject.open_simulation(source), read_card(source)
    if io == "int8" and model.spec.activations != 8:
        raise InputError(
            received=f"--io int8 for {source}, a simulation of {model.spec.name}",
            expected="8-bit activations for int8 inputs and outputs",
            mend="leave --io out",
        )
    batches = dataset = None
    if data is not None:
        dataset = subject.data_for_file(source, model, data, preprocess=preprocess, image_size=image_size, seed=seed)
        session.note(subject.counts(dataset))
        batches = subject.feed(subject.split_of(dataset).batches(32, limit=PARITY_SAMPLES), model)
    made = export_simulation(
        model, path, io=io, parity=batches, least_agreement=least_agreement, keep_names=keep_names, python=python
    )
    recipe = f"qat-{model.spec.name}" if card is None else card.recipe.removeprefix("keras-")
    preprocessing = {} if card is None else card.preprocessing
    inside = write_tflite_card(
        path,
        recipe=recipe,
        preprocessing=preprocessing if dataset is None else dataset.preprocessing,
        class_names=None if card is None else card.class_names,
        made_by=subject.made_by("export", made.parity, io=io, simulation=source.name),
        tensors=made.tensor_names,
    )
    _show_file(session, {"recipe": recipe, "io": io, "kept_float": kept_float(model)}, made, inside)


def _show_file(session: Session, head: dict[str, Any], made: Any, inside: Any) -> None:
    from lowbit import records
    from lowbit.cli.measuring import parity_lines, weights_words

    words = "parity not measured: no --data" if made.quantized_tensors else "no simulation to compare with"
    lines = [words] if made.parity is None else parity_lines(made.parity)
    lines += [f"kept in float: {layer}: {reason}" for layer, reason in head.get("kept_float", {}).items()]
    worst = None if made.parity is None else made.parity.worst_equal
    if worst is not None and worst < 1:
        share = min(worst, 0.999999)  # rounded up to 100 % it would deny itself
        session.note(
            f"warning: parity {share:.4%} at {made.parity.worst_tensor}: "
            "the file does not compute the simulation to the last code"
        )
    session.result(
        {
            "file": str(made.path),
            **head,
            "size_bytes": made.size_bytes,
            "compressed_bytes": inside.compressed_bytes,
            "sha256": made.sha256,
            "seconds": made.seconds,
            "quantized_tensors": made.quantized_tensors,
            "ops": inside.n_ops,
            "float_ops": inside.float_ops,
            "parity": records.encode(made.parity),
        },
        f"wrote {made.path}: {made.size_bytes:,} bytes ({inside.compressed_bytes:,} zipped) in {made.seconds:.1f} s",
        f"{inside.n_ops} ops, {inside.float_ops} of them float; weights {weights_words(inside)}",
        *lines,
    )

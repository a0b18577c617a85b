# SPDX-License-Identifier: Apache-2.0
"""`lowbit coverage`: what would be quantized, what stays float, and why."""

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Annotated, Any

import typer
from rich.table import Table

from lowbit.cli import command, options
from lowbit.cli.session import Session
from lowbit.errors import InputError

CLASSES = 1000  # of a zoo model without data, as published
MOST_SHOWN = 30  # layers; beyond, runs of quantized layers are one line each
LEAST_FOLDED = 4
LEAST_WIDTH_WITH_TYPES = 100  # columns of a terminal
PARTLY = "partly float"


def add_to(app: typer.Typer) -> None:
    """Add this file's command."""
    command.add(app, coverage, example="lowbit coverage model.keras --spec w4a8")


def coverage(
    session: Session,
    model: options.Model,
    spec: Annotated[str, typer.Option(help="Bits: w8a8, w4a8, w8a16 or w4a16.")] = "w8a8",
    rules: options.Rules = None,
    data: options.MaybeData = None,
    model_arg: options.ModelArgs = None,
    image_size: options.ImageSize = None,
    input_shape: options.InputShapes = None,
) -> None:
    """Show what would be quantized, what stays float, and why, before any training and without calibration."""
    from lowbit.spec import Spec

    bits, given, size = Spec.parse(spec), options.rules(rules), options.image_size(image_size)
    arguments, shape = options.model_args(model_arg), options.input_shape(input_shape)
    from lowbit import records
    from lowbit.cli.subject import sizes
    from lowbit.results import percent, quantity
    from lowbit.simulation.coverage import coverage as coverage_of

    opened, inputs = _opened(session, model, data, size, arguments)
    found = coverage_of(opened, bits, rules=given, input_shape=sizes(opened, inputs, shape))
    total = found.total
    lines = [
        f"{len(found.layers)} layers as {found.spec}{' with rules' if given else ''}: {found.quantized} quantized, "
        f"{found.kept_float} kept float{_in_part(found.layers)}, {found.failed} failed",
        f"multiply-accumulates {quantity(total.macs)}, {percent(total.macs_integer_share)} in integers",
        f"weights {quantity(total.weights)}, {percent(total.weights_integer_share)} in integers",
    ]
    is_folded = len(found.layers) > MOST_SHOWN and not session.verbose
    if is_folded:
        lines.append("runs of quantized layers are one line each, with their number; every layer: -v")
    session.result(
        {"source": model, **records.encode(found)}, _table(found.layers, is_folded, session.out.width), "", *lines
    )


def _opened(
    session: Session, model: str, data: str | None, size: tuple[int, int] | None, arguments: dict[str, str]
) -> tuple[Any, dict[str, tuple[int, ...]] | None]:
    """The Keras model, and the shape of each input that its data has.

    A zoo name without data gets images of its own size, and no weights: they change nothing.
    """
    from lowbit.compare.subject import is_from_file, is_zoo_name
    from lowbit.zoo import default_image_size, load_model

    if data is not None and is_from_file(model):
        raise InputError(
            received=f"--data {data} for the file {model}",
            expected="no data: a file knows its input and its classes",
            mend="leave --data out",
        )
    inputs = classes = None
    if data is not None:
        from lowbit.compare import Settings
        from lowbit.compare.subject import data_arguments
        from lowbit.data import load_dataset

        dataset = load_dataset(**data_arguments(Settings(dataset=data, model=model, image_size=size)))
        inputs, classes = dataset.inputs, dataset.classes
    elif is_zoo_name(model):
        side = default_image_size(model)
        size = size or (None if side is None else (side, side))
        if size is not None:
            inputs, classes = {"image": (*size, 3)}, CLASSES
            session.note(
                f"{model} for images of {size[0]} x {size[1]} pixels and {CLASSES:,} classes; --data for others"
            )
        if side is not None:
            arguments = {"weights": "none"} | arguments
    return load_model(model, inputs=inputs, classes=classes, model_args=arguments).model, inputs


def _in_part(layers: Sequence[Any]) -> str:
    count = sum(_fate(layer) == PARTLY for layer in layers)
    return f" ({count} of them in part)" if count else ""


def _fate(layer: Any) -> str:
    return PARTLY if layer.fate == "kept float" and layer.activation_bits else str(layer.fate)


def _bits(layers: Sequence[Any]) -> str:
    """The bits of one or several layers as a spec writes them, `a8` without weights, `w4|8a8` where they differ.

    >>> from types import SimpleNamespace as Layer
    >>> _bits([Layer(weight_bits=4, activation_bits=8), Layer(weight_bits=8, activation_bits=8)])
    'w4|8a8'
    """
    words = ""
    for letter, name in (("w", "weight_bits"), ("a", "activation_bits")):
        bits = sorted({value for layer in layers if (value := getattr(layer, name)) is not None})
        words += letter + "|".join(map(str, bits)) if bits else ""
    return words


def _table(layers: Sequence[Any], is_folded: bool, width: int) -> Table:
    """One row for each layer or folded run; without the layers' classes where the terminal is narrow."""
    from lowbit.results import quantity

    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("layer", overflow="fold")
    if width >= LEAST_WIDTH_WITH_TYPES:
        table.add_column("type", overflow="fold")
    table.add_column("fate", no_wrap=True)
    table.add_column("bits", no_wrap=True)
    table.add_column("reason", overflow="fold")
    for heading in ("MACs", "weights"):
        table.add_column(heading, justify="right", no_wrap=True)
    for name, kind, *words, macs, weights in _rows(layers, is_folded):
        kinds = [kind] if width >= LEAST_WIDTH_WITH_TYPES else []
        table.add_row(name, *kinds, *words, *(quantity(count) if count else "" for count in (macs, weights)))
    return table


def _rows(layers: Sequence[Any], is_folded: bool) -> Iterator[tuple[Any, ...]]:
    """Layer, type, fate, bits, reason, multiply-accumulates, weights; a layer that runs in another's op says so."""
    first_of: dict[str, str] = {}
    for is_quantized, members in groupby(layers, key=lambda layer: layer.fate == "quantized"):
        run = list(members)
        if is_folded and is_quantized and len(run) >= LEAST_FOLDED:
            macs, weights = sum(layer.macs for layer in run), sum(layer.weights for layer in run)
            yield f"{run[0].name} … {run[-1].name} ({len(run)})", "", "quantized", _bits(run), "", macs, weights
            continue
        for layer in run:
            first = first_of.setdefault(layer.operation, layer.name)
            reason = layer.reason or ("" if first == layer.name else f"in {first}")
            yield layer.name, layer.kind, _fate(layer), _bits([layer]), reason, layer.macs, layer.weights

# SPDX-License-Identifier: Apache-2.0
"""How files are written: three makers, which all recipes share. Loads keras and the exporter."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from lowbit.export import export, export_variant
from lowbit.recipes.recipe import Made, Recipe, Request
from lowbit.recipes.summary import summary_text
from lowbit.simulation import quantize_model
from lowbit.simulation.coverage import kept_float


def variant(recipe: Recipe, request: Request) -> Made:
    """Written without a simulation: float32, float16, dynamic-w8, weight-w8."""
    kind = recipe.name.removesuffix("-finetuned")
    written = export_variant(
        request.model,
        Path(request.path),
        kind,
        input_shape=request.input_shape,
        keep_names=request.keep_names,
        python=request.python,
    )
    return _made(written)


def ptq(recipe: Recipe, request: Request) -> Made:
    """A simulation that is calibrated and not trained."""
    simulation = quantize_model(
        request.model,
        str(recipe.spec),
        rules=request.rules,
        calibration=request.calibration,
        input_shape=request.input_shape,
    )
    return from_simulation(recipe, replace(request, input_shape=None), simulation)


def from_simulation(recipe: Recipe, request: Request, simulation: Any = None) -> Made:
    """Written from `request.model`, a trained simulation."""
    simulation = request.model if simulation is None else simulation
    written = export(
        simulation,
        Path(request.path),
        io=request.io,
        parity=request.parity,
        least_agreement=request.least_agreement,
        input_shape=request.input_shape,
        keep_names=request.keep_names,
        python=request.python,
    )
    return replace(_made(written), summary=summary_text(simulation), kept_float=kept_float(simulation))


def _made(written: Any) -> Made:
    return Made(
        path=Path(written.path),
        size_bytes=written.size_bytes,
        sha256=written.sha256,
        seconds=written.seconds,
        quantized_tensors=written.quantized_tensors,
        parity=written.parity,
        tensor_names=written.tensor_names,
    )

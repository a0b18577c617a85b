# SPDX-License-Identifier: Apache-2.0
"""The `.tflite` of a recipe, its card, and what is inside."""

from collections.abc import Mapping, Sequence
from typing import Any

from lowbit import recipes, records
from lowbit.compare.dataset import open_data
from lowbit.compare.folder import row_file
from lowbit.compare.jobs.opening import feed, open_model, start
from lowbit.engines import JobContext
from lowbit.export.cards import write_tflite_card
from lowbit.recipes import Request
from lowbit.simulation import Simulation


def write_file(
    context: JobContext,
    *,
    recipe: str,
    source: str,
    batch_size: int,
    calibration_samples: int,
    parity_samples: int,
    seed: int,
    input_shape: Mapping[str, Sequence[int]] | None,
    manifest: str,
    made_by: Mapping[str, Any],
    data: Mapping[str, Any],
    function: str | None,
) -> dict[str, Any]:
    """Write the file and look into it; parity is measured on validation images, which no training step saw."""
    start(seed)
    dataset = open_data(data)
    chosen = recipes.get(recipe)
    model = open_model(context.input(source), function)
    path = context.output(row_file(recipe, chosen.kind))
    calibration = dataset.calibration(calibration_samples, seed)
    request = Request(
        model=model,
        path=path,
        calibration=feed(calibration.batches(batch_size), model),
        parity=feed(dataset.split("validation").batches(batch_size, limit=parity_samples), model),
        input_shape=None if isinstance(model, Simulation) else input_shape,  # a simulation's sizes are fixed already
    )
    made = chosen.make(request)
    context.output(f"{row_file(recipe, chosen.kind)}.json")
    inside = write_tflite_card(
        path,
        recipe=recipe,
        preprocessing=dataset.preprocessing,
        class_names=dataset.class_names,
        made_by=made_by,
        tensors=made.tensor_names,
    )
    return {
        "parity": records.encode(made.parity),
        "quantized_tensors": made.quantized_tensors,
        "write_seconds": made.seconds,
        "summary": made.summary,
        "kept_float": dict(made.kept_float),
        "compressed_bytes": inside.compressed_bytes,
        "ops": inside.n_ops,
        "float_ops": inside.float_ops,
        "delegated_share": inside.delegated_share,
        "delegated_reason": inside.delegated_reason,
    }

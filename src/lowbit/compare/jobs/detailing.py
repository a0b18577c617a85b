# SPDX-License-Identifier: Apache-2.0
"""What stands behind the figures of a run: training, classes, answers that changed, bytes, time, float layers."""

import base64
import io
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image

from lowbit import records
from lowbit.compare.dataset import open_data
from lowbit.compare.outputs import load_outputs
from lowbit.compare.statistics import top1
from lowbit.compare.verdict import REFERENCE
from lowbit.data import Dataset
from lowbit.engines import JobContext
from lowbit.errors import LowbitError
from lowbit.results import ChangedSample, Changes, ClassAccuracy, Curve, Details, Profile, Results
from lowbit.runtime import size_parts

MOST_CHANGED = 12  # samples shown for each file
MOST_PICTURES = 60  # in all files together
PICTURE_SIDE = 128  # pixels, at most
SMALL_SIDE = 48  # pixels: such a picture is kept without loss
ORDER = ("lost", "gained", "other")


def gather_details(
    context: JobContext,
    *,
    results_sha256: str,
    source: str,
    output: str,
    training: Mapping[str, Mapping[str, Any]],
    kept_float: Mapping[str, Mapping[str, str]],
    answers: Mapping[str, str],
    profiles: str,
    profiled: str | None,
    manifest: str,
    data: Mapping[str, Any],
) -> None:
    """Write the details of the results in `source`.

    `answers` are the stored outputs by recipe, `training` the values of the training jobs by Keras model; `profiled` is
    the hash of the profiles, None where there are none.
    """
    results, dataset = Results.load(context.folder / source), open_data(data)
    rows = [row for row in results.rows if row.status == "ok"]
    notes: dict[str, str] = {}
    classes: ClassAccuracy | None = None
    changes: dict[str, Changes] = {}
    pictures: dict[str, str] = {}
    if results.task == "classification":
        given = {name: load_outputs(context.folder / path, "test") for name, path in answers.items()}
        names = _class_names(dataset, given)
        classes = _by_class(given, names)
        changes = _changes(given, names)
        pictures, reason = _pictures(dataset, changes)
        if reason:
            notes["pictures"] = reason
    else:
        notes["classes"] = notes["changes"] = f"told for one class out of several, not for {results.task}"
    Details(
        training={
            name: Curve(logs={log: tuple(values) for log, values in one["logs"].items()}, best_epoch=one["best_epoch"])
            for name, one in training.items()
        },
        classes=classes,
        changes=changes,
        pictures=pictures,
        sizes={
            row.recipe: size_parts((context.folder / row.file).read_bytes(), row.file)
            for row in rows
            if row.kind == "litert" and row.file is not None and "chosen" not in row.notes  # a copy of another's file
        },
        profiles={} if profiled is None else _profiles(context, profiles),
        kept_float=kept_float,
        attribution=dataset.attribution,
        notes=notes,
    ).save(context.output(output))


def _class_names(dataset: Dataset, given: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> tuple[str, ...]:
    if dataset.class_names is not None:
        return dataset.class_names
    return tuple(str(number) for number in range(max((outputs.shape[1] for outputs, _ in given.values()), default=0)))


def _by_class(given: Mapping[str, tuple[np.ndarray, np.ndarray]], names: Sequence[str]) -> ClassAccuracy | None:
    if not given:
        return None
    _, labels = next(iter(given.values()))
    count = len(names)
    return ClassAccuracy(
        names=tuple(names),
        total=tuple(np.bincount(labels, minlength=count).tolist()),
        correct={
            recipe: tuple(np.bincount(labels[top1(outputs) == labels], minlength=count).tolist())
            for recipe, (outputs, _) in given.items()
        },
    )


def _changes(given: Mapping[str, tuple[np.ndarray, np.ndarray]], names: Sequence[str]) -> dict[str, Changes]:
    """Of each file against float32; those samples are kept whose answer was lost, then gained, then others."""
    if REFERENCE not in given:
        return {}
    reference, labels = given[REFERENCE]
    before = top1(reference)
    found = {}
    for recipe, (outputs, _) in given.items():
        if recipe == REFERENCE:
            continue
        after = top1(outputs)
        changed = [
            ChangedSample(
                position=position,
                label=names[labels[position]],
                before=names[before[position]],
                after=names[after[position]],
            )
            for position in np.flatnonzero(before != after).tolist()
        ]
        counts = {kind: sum(one.change == kind for one in changed) for kind in ORDER}
        shown = sorted(changed, key=lambda one: ORDER.index(one.change))[:MOST_CHANGED]
        found[recipe] = Changes(**counts, samples=tuple(shown))
    return found


def _pictures(dataset: Dataset, changes: Mapping[str, Changes]) -> tuple[dict[str, str], str | None]:
    """Pictures of the samples that most files show, by position; and why there are none."""
    shown = [sample.position for one in changes.values() for sample in one.samples]
    wanted = sorted(dict.fromkeys(shown), key=lambda position: -shown.count(position))[:MOST_PICTURES]
    if not wanted:
        return {}, None
    try:
        images = dataset.split("test").pictures(wanted)
    except (LowbitError, OSError) as error:  # moved or damaged since: the report is complete without them
        return {}, str(error)
    if not images:
        return {}, "the samples are no images"
    return {str(position): _data_uri(pixels) for position, (pixels, _) in zip(wanted, images, strict=True)}, None


def _data_uri(pixels: np.ndarray) -> str:
    image = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)
    image.thumbnail((PICTURE_SIDE, PICTURE_SIDE))
    kind = "png" if max(image.size) <= SMALL_SIDE else "jpeg"
    stream = io.BytesIO()
    image.save(stream, kind, **({} if kind == "png" else {"quality": 80}))
    return f"data:image/{kind};base64,{base64.b64encode(stream.getvalue()).decode()}"


def _profiles(context: JobContext, path: str) -> dict[str, Profile]:
    stored = json.loads((context.folder / path).read_text(encoding="utf-8"))
    return {recipe: records.decode(Profile, profile, path) for recipe, profile in stored.items()}

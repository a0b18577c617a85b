# SPDX-License-Identifier: Apache-2.0
"""The verdict over the run's files, and the files that `auto-size` and `auto-latency` stand for."""

import dataclasses
import json
import shutil
from collections.abc import Mapping
from typing import Any, TypeVar

from lowbit import records
from lowbit.card import read_card, write_card
from lowbit.compare.outputs import compare_outputs
from lowbit.compare.verdict import REFERENCE, Candidate, Judgement, change_words, decide, samples, signed
from lowbit.engines import JobContext
from lowbit.results import LatencyRatio, LatencyResult

T = TypeVar("T")


def reach_verdict(
    context: JobContext,
    *,
    files: Mapping[str, Mapping[str, str]],
    measured: str,
    max_drop: float,
    output: str,
) -> dict[str, Any]:
    """Judge every file that was written and evaluated.

    `files` gives for each recipe the paths "file" and "outputs"; those of failed jobs are missing. `measured` is the
    path of what `measure_files` kept.
    """
    latencies = json.loads(context.input(measured).read_text(encoding="utf-8")) if context.has(measured) else {}
    reference = context.input(files[REFERENCE]["outputs"])
    candidates = []
    for recipe, paths in files.items():
        if not (context.has(paths["file"]) and context.has(paths["outputs"])):
            continue
        candidates.append(
            Candidate(
                recipe=recipe,
                difference=compare_outputs(reference, context.input(paths["outputs"]), "validation"),
                size_bytes=context.input(paths["file"]).stat().st_size,
                latency_ms=_figure(latencies, recipe, "latency", LatencyResult),
                latency_ratio=_figure(latencies, recipe, "ratio", LatencyRatio),
            )
        )
    float32 = next(candidate for candidate in candidates if candidate.recipe == REFERENCE)
    others = [candidate for candidate in candidates if candidate is not float32]
    verdict, judgements = decide(others, max_drop, float32)
    lines = (*verdict.lines, *_worth_of_qat(context, files))
    verdict = dataclasses.replace(verdict, lines=lines)
    value = {"verdict": records.encode(verdict), "judgements": {j.recipe: _remark(j) for j in judgements}}
    context.output(output).write_text(json.dumps(value), encoding="utf-8")
    return value


def take_chosen(
    context: JobContext, *, criterion: str, recipe: str, verdict: str, files: Mapping[str, Mapping[str, str]]
) -> dict[str, str]:
    """Copy the file that the verdict chose for "size" or "latency"; returns which one it is."""
    chosen = json.loads(context.input(verdict).read_text(encoding="utf-8"))["verdict"]["best"][criterion]
    source = context.input(files[chosen]["file"])
    target = context.output(f"models/{recipe}.tflite")
    shutil.copyfile(source, target)
    card = read_card(source)
    if card is not None:
        context.output(f"models/{recipe}.tflite.json")
        made_by = {**card.made_by, "chosen": chosen, "criterion": criterion}
        write_card(target, dataclasses.replace(card, recipe=recipe, made_by=made_by))
    return {"chosen": chosen}


def _worth_of_qat(context: JobContext, files: Mapping[str, Mapping[str, str]]) -> list[str]:
    """QAT against its fair control on the test split: the same training without quantizers, quantized afterwards."""
    qat, control = "qat-w8a8", "ptq-finetuned-w8a8"
    outputs = [files[recipe]["outputs"] for recipe in (qat, control) if recipe in files]
    if len(outputs) < 2 or not all(context.has(path) for path in outputs):
        return []
    difference = compare_outputs(context.input(outputs[1]), context.input(outputs[0]), "test")
    chance = "p < 0.001" if difference.p < 0.001 else f"p = {difference.p:.3f}"
    change = f"{signed(-difference.drop)} {difference.words} ({chance})"
    if difference.lost is None:
        return [f"Is QAT worth it? {qat} against {control} on {difference.total} test samples: {change}."]
    return [
        f"Is QAT worth it? {qat} answers {difference.gained} of {difference.total} test samples right that {control} "
        f"misses, and misses {difference.lost} that it gets right: {change}."
    ]


def _figure(latencies: Mapping[str, Any], recipe: str, name: str, kind: type[T]) -> T | None:
    """None for a file that was not measured, and for a figure that it has not."""
    found = latencies.get(recipe, {}).get(name)
    return None if found is None else records.decode(kind, found, recipe)


def _remark(judgement: Judgement) -> str:
    """The change of accuracy in words, for the row's notes."""
    verb = "qualifies" if judgement.qualifies else "does not qualify"
    sure = "" if judgement.decided else f", not decided with {samples(judgement.total)}"
    bound = f"at most {judgement.upper:.2f}"
    if judgement.drop < 0:
        bound = f"at least {-judgement.upper:.2f}" if judgement.upper < 0 else f"loses {bound}"
    return f"{verb}: {change_words(judgement)} on validation, {bound} (95 %){sure}"

# SPDX-License-Identifier: Apache-2.0
"""From the results of jobs to the rows of the table: every figure, or the reason why it is missing."""

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from lowbit import records
from lowbit.compare.folder import row_file
from lowbit.compare.outputs import compare_outputs
from lowbit.compare.plan import Plan
from lowbit.compare.steps import measuring_job, outputs_path, producer
from lowbit.compare.verdict import REFERENCE
from lowbit.engines import JobResult
from lowbit.files import zipped_size
from lowbit.recipes import Recipe
from lowbit.results import LatencyRatio, LatencyResult, Metric, ParityResult, Row

NOT_A_FILE = "a Keras model has no LiteRT ops"
IO = "float32"  # of every file that a comparison makes
KERAS_LATENCY = "predict_on_batch with one sample, Python's share included"


class RowMaker:
    """Makes the rows of one run from its folder, its plan and the results of its jobs."""

    def __init__(self, folder: Path, plan: Plan, results: Mapping[str, JobResult], *, seed: int) -> None:
        self.folder, self.plan, self.results, self.seed = folder, plan, results, seed
        verdict = results.get("verdict")
        self._remarks: Mapping[str, str] = verdict.value["judgements"] if verdict is not None and verdict.ok else {}

    def rows(self) -> tuple[Row, ...]:
        """One row for each recipe that was asked for, in that order."""
        made = {recipe.name: self._row(recipe) for recipe in self.plan.made}
        return tuple(
            self._chosen(recipe, made) if recipe.automatic else made[recipe.name] for recipe in self.plan.asked
        )

    def _row(self, recipe: Recipe) -> Row:
        steps = [self.results[producer(recipe)], self.results[f"evaluate-{recipe.name}"], self._measured(recipe)]
        failed = next((step for step in steps if not step.ok), None)
        if failed is not None:
            return self._unfinished(recipe, failed)
        made, evaluated, measured = steps
        path = self.folder / row_file(recipe.name, recipe.kind)
        inside = made.value if recipe.kind == "litert" else {}
        against, missing = self._against_reference(recipe)
        notes = self._notes(recipe, inside) | missing
        return Row(
            **recipe.words,
            io=IO,
            status="ok",
            metrics=_metrics(evaluated),
            **against,
            size_bytes=path.stat().st_size,
            compressed_bytes=inside.get("compressed_bytes") or zipped_size(path),
            latency_ms=records.decode(LatencyResult, measured.value["latency"], measured.name),
            latency_ratio=_ratio(measured),
            peak_memory_bytes=measured.value["peak_memory_bytes"],
            ops=inside.get("ops"),
            float_ops=inside.get("float_ops"),
            delegated_share=inside.get("delegated_share"),
            parity=_parity(inside),
            trained_epochs=self._training(recipe).get("trained_epochs"),
            seed=self.seed,
            sha256=made.outputs[row_file(recipe.name, recipe.kind)],
            file=row_file(recipe.name, recipe.kind),
            seconds=self._seconds(recipe),
            notes=notes,
        )

    def _measured(self, recipe: Recipe) -> JobResult:
        """Of a file what the job that measures all of them found for it."""
        result = self.results[measuring_job(recipe)]
        if recipe.kind == "keras" or not result.ok or recipe.name not in result.value:
            return result
        found = result.value[recipe.name]
        if "reason" in found:
            return JobResult(name=result.name, status="failed", reason=found["reason"])
        return replace(result, value=found, seconds=result.seconds / len(result.value))

    def _unfinished(self, recipe: Recipe, step: JobResult) -> Row:
        reason = step.reason or step.status
        if step.status == "unsupported":
            reason = re.sub(r"^needs [\w-]+: ", "", reason)
        return Row(**recipe.words, io=IO, status=step.status, reason=reason, seed=self.seed)

    def _chosen(self, recipe: Recipe, made: Mapping[str, Row]) -> Row:
        """The row of an `auto-*` recipe: the figures of the file it chose, which were measured on the same bytes."""
        taken = self.results[f"write-{recipe.name}"]
        if not taken.ok:
            return self._unfinished(recipe, taken)
        source = made[taken.value["chosen"]]
        if source.status != "ok":
            return self._unfinished(recipe, JobResult(name=source.recipe, status=source.status, reason=source.reason))
        others = ", ".join(candidate.name for candidate in self.plan.candidates)
        return replace(
            source,
            recipe=recipe.name,
            label=f"{recipe.label}: {source.recipe}",
            guide_name=recipe.guide_name,
            file=row_file(recipe.name, recipe.kind),
            sha256=taken.outputs[row_file(recipe.name, recipe.kind)],
            notes={**source.notes, "chosen": f"{source.recipe}, among {others}"},
        )

    def _training(self, recipe: Recipe) -> dict[str, Any]:
        return dict(self.results[f"train-{recipe.source}"].value or {})

    def _against_reference(self, recipe: Recipe) -> tuple[dict[str, Any], dict[str, str]]:
        """Agreement and McNemar's p on the test split, and why one is missing; none for the reference, or when it
        failed."""
        if recipe.name == REFERENCE or not self.results[f"evaluate-{REFERENCE}"].ok:
            return {}, {}
        reference = next(made for made in self.plan.made if made.name == REFERENCE)
        paths = (self.folder / outputs_path(reference), self.folder / outputs_path(recipe))
        difference = compare_outputs(*paths, "test")
        notes = {}
        if difference.agreement is None:
            notes["agreement_with_float"] = "numbers are near each other, not equal"
        if difference.lost is None:
            other = f"a paired t-test gives {difference.p:.3g}"
            notes["mcnemar_p"] = f"McNemar's test is of answers that are right or wrong; {other}"
        return {
            "agreement_with_float": difference.agreement,
            "mcnemar_p": None if difference.lost is None else difference.p,
        }, notes

    def _notes(self, recipe: Recipe, inside: Mapping[str, Any]) -> dict[str, str]:
        """The reason for each figure that this row cannot have, and remarks."""
        notes: dict[str, str] = {}
        if recipe.name == REFERENCE:
            notes |= dict.fromkeys(("agreement_with_float", "mcnemar_p"), "it is what the others are compared with")
            notes["latency_ratio"] = notes["mcnemar_p"]
        elif not self.results[f"evaluate-{REFERENCE}"].ok:
            notes |= dict.fromkeys(("agreement_with_float", "mcnemar_p"), f"{REFERENCE} failed")
        if recipe.kind == "keras":
            notes |= dict.fromkeys(("ops", "float_ops", "delegated_share"), NOT_A_FILE)
            notes["parity"] = "parity is measured on the file made from it" if recipe.spec else "nothing is quantized"
            notes |= {"latency": KERAS_LATENCY, "latency_ratio": "measured by itself, not in turns with the files"}
            h5 = self.results.get(f"h5-{recipe.name}")
            if h5 is not None and not h5.ok:
                notes["h5"] = h5.reason or h5.status
        else:
            if recipe.name != REFERENCE and _ratio(self._measured(recipe)) is None:
                notes["latency_ratio"] = f"{REFERENCE} was not measured"
            if inside.get("parity") is None:
                notes["parity"] = "not made from a simulation"
            if inside.get("delegated_share") is None:
                notes["delegated_share"] = inside.get("delegated_reason") or "not known"
        training = self._training(recipe)
        if training.get("trained_epochs") is None:
            notes["trained_epochs"] = "the model came trained"
        else:
            notes["best_epoch"] = f"{training['best_epoch']} of {training['trained_epochs']}"
        if recipe.name in self._remarks:
            notes["verdict"] = self._remarks[recipe.name]
        return notes

    def _seconds(self, recipe: Recipe) -> dict[str, float]:
        seconds = {"train": self.results[f"train-{recipe.source}"].seconds}
        if recipe.kind == "litert":
            seconds["write"] = self.results[producer(recipe)].seconds
        evaluated, measured = self.results[f"evaluate-{recipe.name}"], self._measured(recipe)
        return seconds | {"evaluate": evaluated.seconds, "measure": measured.seconds}


def _ratio(measured: JobResult) -> LatencyRatio | None:
    ratio = measured.value.get("ratio")
    return None if ratio is None else records.decode(LatencyRatio, ratio, measured.name)


def _metrics(evaluated: JobResult) -> dict[str, Metric]:
    """Those of the test split, then those of validation under names that say so."""
    found = {}
    for split, prefix in (("test", ""), ("validation", "validation_")):
        for name, metric in evaluated.value[split].items():
            found[f"{prefix}{name}"] = records.decode(Metric, metric, evaluated.name)
    return found


def _parity(inside: Mapping[str, Any]) -> ParityResult | None:
    parity = inside.get("parity")
    return None if parity is None else records.decode(ParityResult, parity, "parity")

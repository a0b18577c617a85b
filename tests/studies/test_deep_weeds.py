# SPDX-License-Identifier: Apache-2.0
"""The page of the DeepWeeds study from figures made by hand, and what its parts ask for."""

import dataclasses
import string
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lowbit.results import Metric, Results, Row
from lowbit.results.run import MEASURED
from lowbit.studies import deep_weeds, tables
from lowbit.studies.parts import Asked
from lowbit.studies.running import _written

ASKED = Asked(dataset="deep_weeds", weights="imagenet", image_size=(128, 128), seeds=2, epochs=20)


def row(recipe: str, *correct: int, **settings: Any) -> Row:
    metric = Metric(value=correct[0] / 1000, ci95=(correct[0] / 1000 - 0.01, correct[0] / 1000 + 0.01),
                    correct=correct[0], total=1000)  # fmt: skip
    over = {"accuracy": tuple(one / 1000 for one in correct)} if len(correct) > 1 else {}
    missing = {name: "not of interest" for name in MEASURED if name not in ("metrics", "size_bytes")}
    return Row(recipe=recipe, label=recipe, kind="litert", status="ok", metrics={"accuracy": metric}, over_seeds=over,
               size_bytes=2_000_000, seed=0, notes=missing, **settings)  # fmt: skip


def results(*rows: Row) -> Results:
    return Results(
        lowbit="0.1.0", created="2026-01-01T00:00:00+00:00", command="lowbit compare", seed=0,
        environment={"cpu": "a CPU", "cores": 2, "threads": 1, "system": "Linux", "libraries": {"keras": "3.15.1"}},
        dataset={"name": "deepweeds", "counts": {"train": 4000, "test": 1000}, "classes": 9},
        model={"name": "mobilenet_v2"}, task="classification", primary="accuracy", rows=rows,
    )  # fmt: skip


def share(correct: int) -> dict[str, Any]:
    return {"correct": correct, "total": 1000, "ci95": [0.1, 0.2]}


def test_every_name_of_the_page_is_told_and_no_other() -> None:
    ours = [row(recipe, 780, 760) for recipe in deep_weeds.RECIPES]
    one = [row(recipe, 800) for recipe in deep_weeds.RECIPES]
    found = {
        deep_weeds.SMALL: results(*ours), deep_weeds.LARGE: results(*one), deep_weeds.INPUTS: results(*one),
        deep_weeds.GUIDE: results(row("keras-float32", 812, guide_name="model"), row("ptq-w8a8", 800)),
    }  # fmt: skip
    scales = {f"{spec}-{name}": share(500) for spec in ("w8a8", "w8a16") for name in ("channel", "tensor")}
    figures = {
        "stale_statistics": {name: share(600) for name in ("before", "stale", "measured")},
        "stale_statistics_fast": {name: share(601) for name in ("before", "stale", "measured")},
        "one_scale": {"float": share(640), **scales},
        "one_scale_guide": {"float": share(640), **scales},
    }
    told = deep_weeds.told(ASKED, found, figures)
    template = string.Template(deep_weeds.DEEP_WEEDS.page.read_text())
    assert set(template.get_identifiers()) == set(told)
    page = template.substitute(told)
    assert "| `model` | keras-float32 | 81.2 | 80.2 to 82.2 | 81.27 | 2.00 | 12 | – |" in page
    assert "| `(announced for its next part)` | ptq-w8a8 | 80.0 | 79.0 to 81.0 | – | 2.00 | – | – |" in page
    assert "| all layers trained at 0.001, the same weights, statistics measured anew | 60.1 | 10.0 to 20.0 |" in page
    assert "lowbit compare --study deep_weeds --seeds 2 --image-size 128\n" in page


def test_differences_are_to_the_control_within_each_seed() -> None:
    text = tables.recipes(results(row("control", 780, 760), row("qat", 750, 770)), "control")
    assert text.splitlines()[-1] == "| qat | 75.0 | 77.0 | 76.00 | 1.00 (-1.0 to 3.0) | 2.00 | – | – |"


def test_a_row_that_failed_is_told_with_its_reason() -> None:
    failed = Row(recipe="qat", label="qat", kind="litert", status="failed", reason="no room", seed=0)
    text = tables.recipes(results(row("control", 780), failed), "control")
    assert text.splitlines()[-1].startswith("| qat | no room |")


@pytest.mark.parametrize("part", deep_weeds.parts(ASKED), ids=lambda part: part.name)
def test_parts_ask_for_what_the_page_says(part) -> None:
    settings = part.settings
    assert settings["model_args"]["alpha"] in part.name or part.name in ("guide", "divided-by-225")
    divided = part.name in ("guide", "divided-by-225")
    assert ("preprocess" in settings) == divided
    assert settings.get("seeds", 1) == (2 if part.name == "alpha-0.35" else 1)


def test_the_guides_preprocessing_is_its_own() -> None:
    assert deep_weeds.divided_by_225(np.array([0.0, 225.0, 255.0], np.float32)).tolist() == pytest.approx(
        [0, 1, 255 / 225]
    )


def test_results_beside_the_page_tell_names_and_no_places(tmp_path: Path) -> None:
    asked = dataclasses.replace(ASKED, dataset="/home/me/data/weeds-128/", weights="/home/me/weights")
    command = "lowbit compare --dataset /home/me/data/weeds-128 --model-arg weights=/home/me/weights/a.h5"
    found = dataclasses.replace(results(row("float32", 640)), command=command)
    _written(deep_weeds.DEEP_WEEDS, tmp_path, "the page", {"alpha-0.35": found}, asked)
    again = Results.load(tmp_path / "page" / "deep_weeds" / "alpha-0.35.json")
    assert again.command == "lowbit compare --dataset weeds-128 --model-arg weights=weights/a.h5"

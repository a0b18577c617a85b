# SPDX-License-Identifier: Apache-2.0
"""A small study on digits, with the experiments of the large one: made whole, resumed, its page filled."""

from pathlib import Path

import pytest

from lowbit.compare.folder import model_path
from lowbit.engines import Job
from lowbit.errors import InputError
from lowbit.files import sha256
from lowbit.studies import running, study
from lowbit.studies.parts import Asked, Part, Study

PAGE = "# $title\n\n$scales\n"


def parts(asked: Asked) -> list[Part]:
    settings = {"dataset": asked.dataset, "recipes": "float32,ptq-w8a8", "epochs": asked.epochs, "seeds": asked.seeds}
    return [Part(name="first", settings=settings)]


def experiments(asked, folders, results) -> list[Job]:
    model = folders["first"] / model_path("float")
    shared = {"seed": 0, "manifest": results["first"].dataset["manifest"], "model_sha256": sha256(model)}
    places = {"data": {"data": asked.dataset}, "model": str(model)}
    place = "lowbit.studies.experiments"
    return [
        Job(
            name="scales",
            function=f"{place}:one_scale",
            arguments={**shared, "specs": ["w8a8"]},
            places=places,
            essential=True,
        ),
        Job(
            name="stale",
            function=f"{place}:stale_statistics",
            arguments={**shared, "epochs": 2, "learning_rate": 1e-3},
            places=places,
            essential=True,
        ),
    ]


def told(asked, results, figures) -> dict[str, str]:
    return {"title": results["first"].dataset["name"], "scales": str(figures["scales"]["w8a8-tensor"]["correct"])}


@pytest.fixture
def small(tmp_path, monkeypatch) -> None:
    (tmp_path / "page.md").write_text(PAGE)
    chosen = Study(
        name="small",
        page=tmp_path / "page.md",
        parts=parts,
        experiments=experiments,
        told=told,
        pictures={"samples.png": "first/samples.png", "never.png": "first/never.png"},
        image_size=8,
        default_dataset="digits",
    )
    monkeypatch.setattr(running, "STUDIES", {"small": chosen})


def test_a_study_is_made_and_resumed(small, tmp_path) -> None:
    out, events = tmp_path / "out", []
    made = study("small", out=out, seeds=1, epochs=4)
    assert made.ok and made.page == out / "page" / "small.md"
    assert {path.name for path in (out / "page" / "small").iterdir()} == {"samples.png", "first.json"}
    scales, stale = made.experiments["scales"], made.experiments["stale"]
    assert set(scales) == {"float", "w8a8-channel", "w8a8-tensor"} and set(stale) == {"before", "stale", "measured"}
    assert all(one["total"] == 899 and one["correct"] > 700 for one in scales.values())
    assert scales["w8a8-tensor"]["size_bytes"] < scales["w8a8-channel"]["size_bytes"]  # fewer scales
    accuracy = made.results["first"].rows[0].accuracy
    assert scales["float"]["correct"] == stale["before"]["correct"] == round(899 * accuracy)
    assert made.page.read_text() == PAGE.replace("$title", "digits").replace(
        "$scales", str(scales["w8a8-tensor"]["correct"])
    )

    again = study("small", out=out, seeds=1, epochs=4, on_event=events.append)
    assert again.experiments == made.experiments
    assert {event.kind for event in events} == {"cached"}


def test_a_study_that_there_is_not() -> None:
    with pytest.raises(InputError, match="nothing.*deep_weeds"):
        study("nothing")


def test_weights_that_are_not_there(tmp_path) -> None:
    with pytest.raises(InputError, match="mobilenet_v2_0.35_224_no_top.h5"):
        study("deep_weeds", dataset="digits", weights=str(tmp_path), out=tmp_path / "out")
    assert not Path(tmp_path / "out").exists()

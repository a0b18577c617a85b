# SPDX-License-Identifier: Apache-2.0
"""Which jobs a set of recipes comes down to, in which order, with which settings."""

from typing import Any

import pytest

from lowbit import recipes
from lowbit.compare import Settings
from lowbit.compare.plan import AUTO_CANDIDATES, Plan, plan
from lowbit.compare.steps import Subject
from lowbit.engines import Job

INFO = {
    "name": "small_cnn", "trained": False, "pretrained_base": False, "class_names": None, "loss": None,
    "inputs": {"image": [8, 8, 1]}, "outputs": [[10]], "parameters": 1,
}  # fmt: skip


def planned(names: str, settings: Settings | None = None, **info: Any) -> Plan:
    subject = Subject(
        info={**INFO, **info},
        data={"data": "digits"},
        manifest="m",
        lowbit="0",
        opening=Job(name="model", function="x:y"),
    )
    return plan(recipes.resolve(names), settings or Settings(), subject)


def names(plan: Plan, prefix: str) -> list[str]:
    return [job.name.removeprefix(prefix) for job in plan.jobs if job.name.startswith(prefix)]


def job(plan: Plan, name: str) -> Job:
    return next(job for job in plan.jobs if job.name == name)


def test_the_default_run_has_one_job_for_each_step() -> None:
    result = planned("default")
    assert names(result, "train-") == ["float", "finetuned", "qat-w8a8", "qat-scratch-w8a8"]
    assert len(names(result, "write-")) == 13
    assert names(result, "measure-") == [
        "keras-float32", "keras-float32-finetuned", "keras-qat-w8a8", "keras-qat-scratch-w8a8", "files",
    ]  # fmt: skip
    assert names(result, "h5-") == [
        "keras-float32", "keras-float32-finetuned", "keras-qat-w8a8", "keras-qat-scratch-w8a8",
    ]  # fmt: skip
    assert len({path for job in result.jobs for path in job.outputs}) == sum(len(job.outputs) for job in result.jobs)


def test_everything_is_measured_after_all_training_and_evaluation() -> None:
    kinds = [job.name.split("-")[0] for job in planned("all").jobs]
    first = kinds.index("measure")
    assert not {"train", "evaluate", "h5"} & set(kinds[first:])


def test_float32_is_always_made_as_the_reference_and_is_a_row_only_when_asked_for() -> None:
    result = planned("ptq-w8a8")
    assert [recipe.name for recipe in result.made] == ["float32", "ptq-w8a8"]
    assert [recipe.name for recipe in result.asked] == ["ptq-w8a8"]


def test_auto_alone_makes_a_fixed_list_first_else_it_chooses_among_the_run() -> None:
    alone = planned("auto-size")
    assert [recipe.name for recipe in alone.candidates] == list(AUTO_CANDIDATES)
    among = planned("auto-size,ptq-w8a8,keras-float32")
    assert [recipe.name for recipe in among.candidates] == ["ptq-w8a8"]
    order = [job.name for job in among.jobs]
    assert order.index("verdict") < order.index("write-auto-size") < order.index("models")


def test_a_run_without_quantized_files_has_no_verdict() -> None:
    assert "verdict" not in [job.name for job in planned("keras-float32,float32").jobs]


def test_the_control_and_qat_train_alike() -> None:
    result = planned("default", Settings(qat_epochs=3, qat_lr=5e-5))
    control, qat = (job(result, f"train-{stage}").arguments["settings"] for stage in ("finetuned", "qat-w8a8"))
    assert control == qat
    assert control == {"epochs": 3, "learning_rate": 5e-5, "batch_norm": "reestimate", "patience": 4, "seed": 0}


@pytest.mark.parametrize("freeze", [True, False])
@pytest.mark.parametrize(
    ("stage", "base", "rate"),
    [
        ("float", False, 1e-3),
        ("float", True, 1e-3),
        ("qat-scratch-w8a8", False, 1e-3),
        ("qat-scratch-w8a8", True, 2e-4),
    ],
)
def test_first_trainings_have_their_learning_rate_and_measure_batch_norm_anew(
    stage: str, base: bool, rate: float, freeze: bool
) -> None:
    result = planned("default", Settings(freeze=freeze, qat_lr=2e-4), pretrained_base=base)
    training = job(result, f"train-{stage}").arguments["settings"]
    assert training == {"epochs": 20, "learning_rate": rate, "batch_norm": "reestimate", "patience": 4, "seed": 0}


def test_a_trained_model_is_not_trained_and_has_no_scratch() -> None:
    result = planned("default", trained=True)
    assert job(result, "train-float").arguments["settings"] == {}
    assert job(result, "train-qat-scratch-w8a8").function.endswith(":refuse_scratch")


def test_keys_hold_contents_and_settings_but_no_paths() -> None:
    for entry in planned("all").jobs:
        assert "data" not in entry.arguments and "function" not in entry.arguments
    float_job = job(planned("default"), "train-float")
    assert float_job.arguments["manifest"] == "m" and float_job.places["data"] == {"data": "digits"}

# SPDX-License-Identifier: Apache-2.0
from pathlib import Path

import pytest

from lowbit.compare import Settings
from lowbit.errors import InputError


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("epochs", 0, "epochs=0; expected a whole number from 1"),
        ("epochs", 1.5, "epochs=1.5"),
        ("epochs", True, "epochs=True"),
        ("qat_epochs", 0, "qat_epochs=0.*--qat-epochs"),
        ("batch_size", 0, "batch_size=0"),
        ("patience", -1, "patience=-1"),
        ("calibration_samples", 0, "calibration_samples=0.*--calibration-samples"),
        ("threads", 0, "threads=0"),
        ("threads", 5000, "threads=5000; expected a whole number from 1 up to 1024"),
        ("seed", -1, "seed=-1"),
        ("lr", 0.0, "lr=0.0; expected a number above 0 up to 10"),
        ("qat_lr", float("nan"), "qat_lr=nan"),
        ("max_drop", -0.1, "max_drop=-0.1; expected a number from 0 up to 50"),
        ("max_drop", 1000, "max_drop=1000"),
        ("max_drop", float("inf"), "max_drop=inf"),
        ("dataset", " ", "dataset=' '"),
        ("model", "", "model=''"),
    ],
)
def test_values_that_cannot_be_meant_are_refused(name: str, value: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Settings(**{name: value})  # type: ignore[arg-type]


def test_bounds_themselves_are_fine() -> None:
    Settings(max_drop=0, patience=0, epochs=1, lr=10)
    assert Settings(max_drop=50, epochs=3).tuning_epochs == 3
    assert Settings(epochs=3, qat_epochs=7).tuning_epochs == 7
    assert Settings(model_args={"alpha": 0.35}).model_args == {"alpha": "0.35"}  # type: ignore[dict-item]


@pytest.mark.parametrize(
    ("dataset", "model", "folder"),
    [
        ("digits", "small_cnn", "runs/digits-small_cnn"),
        ("../data/deepweeds-128/", "mobilenet_v2", "runs/deepweeds-128-mobilenet_v2"),
        ("d2.data:mine", "models/my net.keras", "runs/d2.data.mine-my-net"),
        ("deep_weeds:3.0.0", "mine:net", "runs/deep_weeds-3.0.0-mine.net"),
        ("weeds.npz", "..", "runs/weeds-data"),
    ],
)
def test_the_default_folder_is_named_after_data_and_model(dataset: str, model: str, folder: str) -> None:
    assert Settings(dataset=dataset, model=model).default_folder == Path(folder)

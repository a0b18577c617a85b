# SPDX-License-Identifier: Apache-2.0
from pathlib import Path

import pytest

from lowbit.training import unfreeze
from lowbit.zoo import build_model, freeze_base, load_file, save_model
from lowbit.zoo.freeze import has_base

PHOTOS = {"image": (32, 32, 3)}
ARGUMENTS = {"alpha": "0.35", "weights": "none"}


def test_freezing_leaves_the_head_and_unfreezing_all() -> None:
    model = build_model("mobilenet_v2", inputs=PHOTOS, classes=4, model_args=ARGUMENTS)
    everything = len(model.trainable_weights)
    assert freeze_base(model) == 154
    assert [weight.path for weight in model.trainable_weights] == [
        f"head_{layer}/{weight}" for layer in ("dense_1", "dense_2", "predictions") for weight in ("kernel", "bias")
    ]
    unfreeze(model)
    assert len(model.trainable_weights) == everything


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_the_base_is_known_after_loading(tmp_path: Path, suffix: str) -> None:
    model = build_model("mobilenet_v2", inputs=PHOTOS, classes=4, model_args=ARGUMENTS)
    freeze_base(model)
    save_model(model, tmp_path / f"model{suffix}")
    loaded = load_file(tmp_path / f"model{suffix}")
    assert len(loaded.trainable_weights) == 6
    unfreeze(loaded)
    assert len(loaded.trainable_weights) == 162
    assert freeze_base(loaded) == 154


def test_a_model_without_a_base_stays_trainable() -> None:
    model = build_model("small_cnn", inputs={"image": (8, 8, 1)}, classes=10)
    assert not has_base(model)
    assert freeze_base(model) == 0
    assert model.trainable_weights

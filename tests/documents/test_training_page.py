# SPDX-License-Identifier: Apache-2.0
"""docs/training.md: its Python runs in order and does what the page says."""

import re
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np
import pytest

from lowbit.training import batch_norms

PAGE = (Path(__file__).parents[2] / "docs" / "training.md").read_text()
BLOCKS = re.findall(r"^## (.*?)$.*?```python\n(.*?)```", PAGE, re.DOTALL | re.MULTILINE)
"""Title and Python of each section."""


class After(NamedTuple):
    """What a section left; `sim` may be compiled otherwise later, so how it was is noted."""

    sim: keras.Model
    trains_with_xla: bool
    inference_with_xla: bool


@pytest.fixture(scope="module")
def ran(digits, tmp_path_factory) -> dict[str, Any]:
    """The page's names after all its blocks ran; in `after`, by section, what each left in `sim`."""
    inputs, y = next(iter(digits.train.batches(len(digits.train))))
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1), name="image"),
            keras.layers.Conv2D(8, 3, strides=2, name="conv"),
            keras.layers.BatchNormalization(name="norm"),
            keras.layers.ReLU(name="relu"),
            keras.layers.Flatten(),
            keras.layers.Dense(10, activation="softmax", name="predictions"),
        ]
    )
    folder = tmp_path_factory.mktemp("page")
    names = {"model": model, "x": inputs["image"].astype("float32"), "y": y, "folder": folder, "after": {}}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for title, block in BLOCKS:
            exec(compile(block, "training.md", "exec"), names)
            names["after"][title] = After(names["sim"], names["sim"].trains_with_xla, names["sim"].jit_compile)
    return names


def test_every_section_has_a_block_that_runs(ran) -> None:
    assert list(ran["after"]) == re.findall(r"^## (.*)$", PAGE, re.MULTILINE)
    assert len(ran["after"]) == 9 and PAGE.count("```python") == 9


def test_the_backup_is_gone_when_training_ends(ran) -> None:
    assert not (ran["folder"] / "backup").exists()


def test_learned_ranges_moved_and_were_frozen(ran) -> None:
    quantizer = ran["after"]["Ranges"].sim.quantizers()["conv"]
    assert quantizer.is_learned and float(quantizer.tracking) == 0.0
    assert ran["after"]["Ranges"].sim.get_layer("conv").learned_scale() is not None


def test_frozen_statistics_are_those_measured_last(ran) -> None:
    (norm,), (measured,) = batch_norms(ran["after"]["Batch norm"].sim), ran["measured"]
    assert np.array_equal(norm.moving_mean.numpy(), measured) and np.abs(measured).max() > 0


def test_what_ranges_and_codes_did_is_drawn_and_written(ran) -> None:
    assert (ran["folder"] / "ranges.png").stat().st_size > 10_000
    assert list((ran["folder"] / "logs").glob("events.out.tfevents.*"))
    assert len(ran["report"].history) == 3


def test_what_devices_trained_is_the_file(ran) -> None:
    assert ran["written"].parity.worst_equal == 1.0


def test_half_precision_is_that_of_products_and_the_optimizers(ran) -> None:
    mixed = ran["after"]["Mixed precision"].sim
    assert mixed.get_layer("conv").product_dtype == "float16" and mixed.dtype_policy.name == "float32"
    assert type(mixed.optimizer).__name__ == "LossScaleOptimizer"


def test_inference_does_not_go_through_xla(ran) -> None:
    assert not any(after.inference_with_xla for after in ran["after"].values())
    with_xla = [title for title, after in ran["after"].items() if after.trains_with_xla]
    assert with_xla == ["XLA, and several steps in one call"]


def test_a_teachers_model_is_compiled_for_plain_labels_again(ran) -> None:
    loss, accuracy = ran["after"]["A teacher"].sim.evaluate(ran["x"], ran["y"], verbose=0)
    assert np.isfinite(loss) and accuracy > 0.1


def test_the_layer_is_named(ran) -> None:
    assert re.search(r"loss (nan|inf) and the (weight|range) '.*' of layer '.*' as the first", ran["told"])
    assert not all(np.isfinite(array).all() for array in ran["sim"].get_weights())

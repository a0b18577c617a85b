# SPDX-License-Identifier: Apache-2.0
"""What RangeReport notes, in memory and in files that TensorBoard's own reader reads, and its picture."""

import keras
import numpy as np
import pytest

from lowbit import qat
from lowbit.errors import InputError
from lowbit.report.movement import compose, movement_plot
from lowbit.simulation import quantize_model


@pytest.fixture(scope="module")
def reported(digits, digits_simulation_file, tmp_path_factory):
    simulation, folder = keras.models.load_model(digits_simulation_file), tmp_path_factory.mktemp("reported")
    x, y = next(iter(digits.train.batches(320)))
    report = qat.RangeReport(samples=x["image"][:64], log_dir=folder / "logs")
    simulation.compile(keras.optimizers.Adam(1e-2), "sparse_categorical_crossentropy")
    simulation.fit(x["image"], y, epochs=3, verbose=0, callbacks=[report, qat.RangeFreeze(2)])
    return simulation, report.history, folder


def test_ranges_move_until_they_are_frozen_and_codes_change(reported):
    simulation, history, _ = reported
    assert [one.epoch for one in history] == [0, 1, 2, 3]
    before, _, frozen, last = history
    moved = [name for name in before.ranges if before.ranges[name] != frozen.ranges[name]]
    assert len(moved) > len(before.ranges) / 2
    assert frozen.ranges == last.ranges
    quantizer = simulation.quantizers()["stem_conv"]
    assert last.ranges["stem_conv"] == (float(quantizer.minimum), float(quantizer.maximum))
    assert set(before.changed.values()) == {0.0}
    assert all(0 < share < 1 for share in history[1].changed.values())


def test_clipped_values_are_those_at_an_end_that_cuts():
    """Of eight inputs two are at the upper end and one at the lower; of their ReLU two, as its zeros are not cut off.

    The range -1..1.55 makes a step of 0.01.
    """
    inputs = keras.Input((8,), name="x")
    model = keras.Model(inputs, keras.layers.ReLU(name="relu")(inputs))
    x = np.array([[-1.0, -0.5, -0.5, 0.0, 0.2, 0.5, 1.55, 1.55]], "float32")
    simulation = quantize_model(model, calibration=[x])
    report = qat.RangeReport(samples=np.array([[-2.0, -0.5, -0.5, 0.0, 0.2, 0.5, 1.55, 9.0]], "float32"))
    report.set_model(simulation)
    report.on_train_begin()
    assert dict(report.history[0].clipped) == {"x_quantized": 3 / 8, "relu": 2 / 8}


def test_tensorboard_reads_what_was_written(reported):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    _, history, folder = reported
    events = EventAccumulator(str(folder / "logs"), size_guidance={"tensors": 0})
    events.Reload()
    name = "stem_conv"
    found = {tag: events.Tensors(tag) for tag in events.Tags()["tensors"]}
    highs = [(one.step, one.tensor_proto.float_val[0]) for one in found[f"range/{name}/high"]]
    assert highs == [(one.epoch, pytest.approx(one.ranges[name][1])) for one in history]
    assert {f"range/{name}/low", f"clipped/{name}", f"changed codes/{name}"} <= set(found)


@pytest.mark.parametrize("suffix", [".png", ".svg"])
def test_the_picture_is_written(reported, suffix):
    _, history, folder = reported
    movement_plot(history, folder / f"ranges{suffix}")
    assert (folder / f"ranges{suffix}").stat().st_size > 10_000


def test_the_panels_name_what_moved_most(reported):
    _, history, _ = reported
    ends, clipped, changed = compose(history)
    farthest = max(ends.values, key=lambda name: abs(ends.values[name][-1]))
    assert ends.named[0] == farthest and ends.values[farthest][0] == 0.0
    assert ends.epochs == (0, 1, 2, 3) and changed.epochs == (1, 2, 3)
    assert all(0 <= share <= 100 for shares in clipped.values.values() for share in shares)


def test_what_cannot_be_drawn_is_refused(reported, tmp_path):
    _, history, _ = reported
    with pytest.raises(InputError, match="received a history of 1 epochs"):
        movement_plot(history[:1], tmp_path / "ranges.png")
    with pytest.raises(InputError, match="expected a file ending in .png, .svg, .pdf"):
        movement_plot(history, tmp_path / "ranges.txt")


def test_samples_that_do_not_fit_are_refused_before_the_first_step(digits_simulation, digits):
    x, y = next(iter(digits.train.batches(32)))
    digits_simulation.compile("adam", "sparse_categorical_crossentropy")
    with pytest.raises(InputError, match=r"expected shape \(batch, 8, 8, 1\)"):
        digits_simulation.fit(x["image"], y, verbose=0, callbacks=[qat.RangeReport(samples=np.zeros((4, 9, 9, 1)))])

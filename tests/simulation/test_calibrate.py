# SPDX-License-Identifier: Apache-2.0
"""The forms that batches take, and data that cannot calibrate."""

import keras
import numpy as np
import pytest
from keras import layers, ops

import lowbit
from lowbit.errors import InputError
from lowbit.simulation.calibrate import model_inputs

RANDOM = np.random.default_rng(0)
IMAGE = RANDOM.normal(size=(4, 6, 6, 1)).astype("float32")
META = RANDOM.normal(size=(4, 3)).astype("float32")
LABELS = np.zeros(4, "int64")


def two_inputs(meta_shape: tuple[int, ...] = (3,)) -> keras.Model:
    image, meta = keras.Input((6, 6, 1), name="image"), keras.Input(meta_shape, name="meta")
    x = layers.Flatten(name="flat")(layers.Conv2D(2, 3, name="conv")(image))
    x = layers.Concatenate(name="join")([x, layers.Flatten(name="flat_meta")(meta)])
    return keras.Model([image, meta], layers.Dense(2, name="scores")(x))


def dataset():
    import tensorflow as tf

    return tf.data.Dataset.from_tensor_slices(((IMAGE, META), LABELS)).batch(2)


FORMS = {
    "list": [[IMAGE, META]],
    "tuple": [(IMAGE, META)],
    "tuple and labels": [((IMAGE, META), LABELS)],
    "list and labels": [([IMAGE, META], LABELS)],
    "list of lists": [[[IMAGE, META], LABELS]],
    "labels and sample weights": [((IMAGE, META), LABELS, np.ones(4))],
    "inputs alone in a tuple": [((IMAGE, META),)],
    "plain numbers": [(IMAGE.tolist(), META.tolist())],
    "dict and labels": [({"meta": META, "image": IMAGE}, LABELS)],
}


@pytest.mark.parametrize("form", FORMS)
def test_several_inputs_come_as_fit_takes_them(form: str) -> None:
    found = model_inputs(two_inputs(), FORMS[form][0])
    assert list(found) == ["image", "meta"]
    assert np.array_equal(found["image"], IMAGE) and np.array_equal(found["meta"], META)


def test_every_form_gives_the_same_ranges_and_parity(tmp_path) -> None:
    model = two_inputs()
    by_name = lowbit.quantize_model(model, calibration=[{"image": IMAGE, "meta": META}]).get_weights()
    for batches in ([(IMAGE, META)], dataset()):
        simulation = lowbit.quantize_model(model, calibration=batches)
        ranges = zip(simulation.get_weights(), by_name, strict=True)
        assert all(np.array_equal(ours, theirs) for ours, theirs in ranges if ours.shape)
    assert lowbit.export(simulation, tmp_path / "m.tflite", parity=dataset()).parity.worst_equal == 1.0


def test_two_inputs_of_one_shape_are_not_taken_for_labels() -> None:
    found = model_inputs(two_inputs((6, 6, 1)), (IMAGE, -IMAGE))
    assert np.array_equal(found["meta"], -IMAGE)
    found = model_inputs(two_inputs((6, 6, 1)), ((IMAGE, -IMAGE), IMAGE))
    assert np.array_equal(found["meta"], -IMAGE)


@pytest.mark.parametrize("batch", [IMAGE, (IMAGE,), (IMAGE, META, LABELS, LABELS)], ids=["array", "one", "four"])
def test_other_numbers_of_arrays_are_refused(batch) -> None:
    with pytest.raises(InputError, match=r"an array for each of the inputs image, meta; .*\(\(image, meta\), labels\)"):
        model_inputs(two_inputs(), batch)


def test_inputs_in_the_wrong_order_are_named() -> None:
    with pytest.raises(InputError, match=r"shape \(4, 3\) for input 'image' in batch 0"):
        model_inputs(two_inputs(), (META, IMAGE))
    with pytest.raises(InputError, match=r"shape \(4, 3\) for input 'image' in batch 0"):
        model_inputs(two_inputs(), ((META, IMAGE), LABELS))


def test_one_input_in_a_list_beside_labels() -> None:
    image = keras.Input((6, 6, 1), name="image")
    model = keras.Model(image, layers.Conv2D(2, 3, name="conv")(image))
    for batch in (IMAGE, [IMAGE], (IMAGE, LABELS), ([IMAGE], LABELS), ({"any": IMAGE}, LABELS)):
        assert np.array_equal(model_inputs(model, batch), IMAGE)


def one_input(inside) -> keras.Model:
    """Two layers with `inside` between them."""
    tensor = keras.Input((3,), name="numbers")
    x = layers.Dense(3, kernel_initializer="identity", name="first")(tensor)
    return keras.Model(tensor, layers.Dense(2, name="last")(inside(x)))


@pytest.mark.parametrize(
    ("inside", "wild", "words"),
    [
        (ops.sqrt, -META, "values from nan to nan in layer 'sqrt"),
        (ops.square, np.full_like(META, 3e38), "values from .* to inf in layer 'square"),
        (ops.abs, META / abs(META) * np.float32(3e38), "in layer '"),
    ],
    ids=["NaN", "infinite", "too wide"],
)
def test_ranges_that_are_not_finite_are_refused_and_the_old_ones_kept(inside, wild, words: str) -> None:
    tame = np.abs(META) + 1
    simulation = lowbit.quantize_model(one_input(inside), calibration=[tame])
    before = simulation.get_weights()
    with pytest.raises(InputError, match=words):
        lowbit.calibrate(simulation, [tame, wild])
    assert all(np.array_equal(ours, theirs) for ours, theirs in zip(simulation.get_weights(), before, strict=True))


def test_an_error_while_observing_keeps_the_ranges(monkeypatch) -> None:
    simulation = lowbit.quantize_model(one_input(ops.abs), calibration=[META])
    before = simulation.get_weights()
    monkeypatch.setattr(type(simulation), "call", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        lowbit.calibrate(simulation, [META])
    assert all(np.array_equal(ours, theirs) for ours, theirs in zip(simulation.get_weights(), before, strict=True))


def test_a_bare_array_is_to_be_wrapped() -> None:
    for array in (META, ops.convert_to_tensor(META)):
        with pytest.raises(InputError, match=r"one array of shape \(4, 3\) as calibration; .*wrap it in a list: \[x\]"):
            lowbit.quantize_model(one_input(ops.abs), calibration=array)


@pytest.mark.parametrize(
    "values", [META + 1j, [["1", "2", "3"]], np.array([["1", "2", "3"]]), META.astype("object")], ids=type
)
def test_what_is_no_real_number_is_refused(values) -> None:
    with pytest.raises(InputError, match=r"for input 'numbers' in batch 0; expected an array of float32; pass real"):
        model_inputs(one_input(ops.abs), [values])


@pytest.mark.parametrize("ids", [[[1.9, 2.0]], [[np.nan, 1.0]], [[2**40, 1]]], ids=["fraction", "NaN", "too large"])
def test_ids_are_whole_numbers_that_fit(ids) -> None:
    tensor = keras.Input((2,), dtype="int32", name="ids")
    model = keras.Model(tensor, layers.Embedding(4, 3)(tensor))
    assert model_inputs(model, np.array([[1.0, 2.0]])).dtype == "int32"
    with pytest.raises(InputError, match="for input 'ids' in batch 0; expected an array of int32; pass whole numbers"):
        model_inputs(model, np.array(ids))


def test_numbers_of_other_widths_are_taken() -> None:
    for kind in ("float16", "float64", "uint8", "bool"):
        assert model_inputs(one_input(ops.abs), META.astype(kind)).dtype == "float32"
    assert model_inputs(one_input(ops.abs), ops.cast(META, "bfloat16")).dtype == "float32"

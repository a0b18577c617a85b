# SPDX-License-Identifier: Apache-2.0
"""`.npz` files: their words, several inputs, and arrays that are refused."""

import re

import numpy as np
import pytest

from lowbit.data import load_dataset
from lowbit.data.array_words import words_of
from lowbit.errors import FileFormatError, InputError

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (20, 6, 8, 3), np.uint8)
FLOATS = RNG.random((20, 5)).astype(np.float32)
LABELS = np.arange(20) % 2


@pytest.fixture
def save(tmp_path):
    def save(**arrays):
        path = tmp_path / "set.npz"
        np.savez(path, **arrays)
        return path

    return save


def test_given_splits(save):
    data = load_dataset(
        save(x_train=IMAGES[:12], y_train=LABELS[:12], x_validation=IMAGES[12:15], y_validation=LABELS[12:15],
             x_test=IMAGES[15:], y_test=LABELS[15:])
    )  # fmt: skip
    assert data.name == "set"
    assert data.counts == {"train": 12, "validation": 3, "test": 5}
    assert data.class_names is None
    assert data.classes == 2
    [(inputs, labels)] = data.test.batches()
    assert np.array_equal(inputs["image"], IMAGES[15:].astype(np.float32) / np.float32(255))
    assert labels.tolist() == LABELS[15:].tolist()


def test_x_and_y_are_divided(save):
    data = load_dataset(save(x=IMAGES, y=LABELS[:, None]))
    assert data.counts == {"train": 16, "validation": 2, "test": 2}


def test_missing_validation_comes_from_train(save):
    data = load_dataset(save(x_train=IMAGES, y_train=LABELS, x_test=IMAGES[:4], y_test=LABELS[:4]))
    assert data.counts == {"train": 18, "validation": 2, "test": 4}


def test_unlabelled(save):
    data = load_dataset(save(x=FLOATS))
    assert data.counts == {"train": 20}
    assert data.train.labels is None


def test_several_inputs(save):
    data = load_dataset(save(**{"x.picture": IMAGES, "x.meta": FLOATS, "y": LABELS, "class_names": ["cat", "dog"]}))
    assert data.inputs == {"meta": (5,), "picture": (6, 8, 3)}
    assert data.class_names == ("cat", "dog")
    inputs, _ = next(iter(data.train.batches(4)))
    assert sorted(inputs) == ["meta", "picture"]
    assert inputs["picture"].max() <= 1
    assert inputs["meta"].dtype == np.float32


@pytest.mark.parametrize(
    "x, name, shape",
    [
        (IMAGES[..., 0], "image", (6, 8, 1)),  # uint8 without a channel axis
        (IMAGES.astype(np.int64), "image", (6, 8, 3)),
        (IMAGES / 255, "image", (6, 8, 3)),
        (FLOATS, "features", (5,)),
        (FLOATS[:, :, None], "features", (5, 1)),
        (np.arange(20), "features", ()),
    ],
)
def test_unnamed_input(save, x, name, shape):
    data = load_dataset(save(x=x, y=LABELS))
    assert data.inputs == {name: shape}
    assert next(iter(data.train.batches()))[0][name].max() <= 1 or name == "features"


def test_floating_point_images_stay_as_they_are(save):
    path = save(x=(IMAGES / 127.5 - 1), y=LABELS)
    data = load_dataset(path, preprocess="-1..1")
    assert data.preprocessing["preprocess"] == "-1..1"
    assert load_dataset(path).preprocessing["preprocess"] == "none"
    [(inputs, _)] = load_dataset(save(x=IMAGES / 127.5 - 1)).train.batches()
    assert np.array_equal(inputs["image"], (IMAGES / 127.5 - 1).astype(np.float32))


@pytest.mark.parametrize(
    "options, message",
    [
        ({"preprocess": "0..1"}, r"'image' with values 0..255 in floating point; expected values .* 0..1"),
        ({"image_size": 10}, r"'image' of shape \(6, 8, 3\) in floating point; expected image_size=\(10, 10\)"),
        ({"channels": 1}, r"expected image_size=None, channels=1 already"),
        ({"preprocess": "math:sqrt"}, r"preprocess='math:sqrt' for arrays of floating-point numbers"),
    ],
)
def test_floating_point_images_are_not_converted(save, options, message):
    with pytest.raises(InputError, match=message):
        load_dataset(save(x=IMAGES.astype(np.float32), y=LABELS), **options)


@pytest.mark.parametrize("shape, dtype", [((10, 12, 1), np.uint8), ((3, 4, 3), np.uint8)])
def test_integer_images_are_resized(save, shape, dtype):
    data = load_dataset(save(x=IMAGES.astype(dtype), y=LABELS), image_size=shape[:2], channels=shape[2])
    assert data.inputs == {"image": shape}
    assert next(iter(data.train.batches()))[0]["image"].shape[1:] == shape


def test_large_arrays_are_resized_batch_by_batch(save, monkeypatch):
    path = save(x=IMAGES, y=LABELS)
    kept = [batch[0]["image"] for batch in load_dataset(path, image_size=9).train.batches(4)]
    monkeypatch.setattr("lowbit.data.arrays.MEMORY_LIMIT_BYTES", 1000)
    read_again = [batch[0]["image"] for batch in load_dataset(path, image_size=9).train.batches(4)]
    assert np.array_equal(kept, read_again)


def test_channels_that_cannot_be_made(save):
    with pytest.raises(InputError, match="images of 2 channels where 3 are asked for"):
        load_dataset(save(x=IMAGES[..., :2], y=LABELS), channels=3)


NAN = FLOATS.copy()
NAN[3, 2] = np.nan
NAN[4] = np.inf

# name of the case: (arrays, what the message holds)
REFUSED = {
    "no array": ({}, "received no array in"),
    "y without x": ({"y": LABELS}, "received y in .*; expected x_train y_train"),
    "x without its y": ({"x_train": FLOATS, "x_test": FLOATS, "y_test": LABELS}, "received x_test, x_train, y_test in"),
    "both ways": ({"x": FLOATS, "x_test": FLOATS}, "received x, x_test in"),
    "named and unnamed": ({"x": FLOATS, "x.a": FLOATS}, "received x, x.a in"),
    "unknown word": ({"x_trian": FLOATS}, "array 'x_trian' in .*did you mean 'x_train'"),
    "NaN": ({"x": NAN, "y": LABELS}, "x.features with 6 NaN or infinite values; expected finite numbers"),
    "too large": ({"x": FLOATS.astype(float) * 1e300, "y": LABELS}, "NaN or infinite values"),
    "text": ({"x": np.array(["a", "b"]), "y": LABELS[:2]}, "x.features of type <U1, shape"),
    "no sample": ({"x": FLOATS[:0], "y": LABELS[:0]}, r"of shape \(0, 5\); expected at least one sample"),
    "lengths": ({"x": FLOATS, "y": LABELS[:7]}, "y with 7 labels for 20 samples"),
    "lengths of inputs": ({"x.a": FLOATS, "x.b": FLOATS[:3]}, "with samples {'a': 20, 'b': 3}"),
    "one-hot": ({"x": FLOATS, "y": np.eye(2)[LABELS]}, r"y of shape \(20, 2\), one-hot vectors; expected one class"),
    "labels on three axes": ({"x": FLOATS, "y": np.zeros((20, 2, 2))}, r"y of type float64, shape \(20, 2, 2\)"),
    "labels beyond 1 for each class": ({"x": FLOATS, "y": np.tile([0, 2], (20, 1))}, "0 or 1 for each class"),
    "labels that are no numbers": ({"x": FLOATS, "y": np.full(20, np.nan)}, "y with NaN or infinite values"),
    "negative labels": ({"x": FLOATS, "y": LABELS - 1}, "labels -1..0; expected class indices from 0;"),
    "more labels than names": (
        {"x": FLOATS, "y": LABELS + 1, "class_names": ["a", "b"]},
        "labels 1..2; expected class indices from 0 to 1, one for each class name",
    ),
    "class names twice": ({"x": FLOATS, "y": LABELS, "class_names": ["a", "a"]}, "class_names 'a, a'"),
    "shapes differ": (
        {"x_train": FLOATS, "y_train": LABELS, "x_test": FLOATS[:, :3], "y_test": LABELS},
        r"samples {'features': \(5,\)} in train but {'features': \(3,\)} in test",
    ),
    "kinds differ": (
        {"x_train": IMAGES, "y_train": LABELS, "x_test": IMAGES / 255, "y_test": LABELS},
        "integers in one split and in floating point in another",
    ),
    "not pixels": ({"x": IMAGES.astype(int) * 2, "y": LABELS}, r"images .*x.image with integers 0..510"),
    "too few": ({"x": FLOATS[:2], "y": LABELS[:2]}, "received 2 labelled samples; expected at least 3"),
}


@pytest.mark.parametrize("arrays, message", REFUSED.values(), ids=REFUSED)
def test_refused(save, arrays, message):
    with pytest.raises(InputError, match=message):
        load_dataset(save(**arrays))


def test_missing_file(tmp_path):
    with pytest.raises(InputError, match="none.npz, which is not a file"):
        load_dataset(tmp_path / "none.npz")


@pytest.mark.parametrize("damage", ["truncated", "random", "empty", "one array", "flipped", "locked"])
def test_damaged_file(save, damage):
    path = save(x=IMAGES, y=LABELS)
    content = bytearray(path.read_bytes())
    if damage == "one array":
        with path.open("wb") as file:
            np.save(file, IMAGES)
    else:
        flipped = bytearray(content)
        flipped[500] ^= 1
        locked = bytearray(content)
        locked[content.index(b"PK\x01\x02") + 8] |= 1  # the flag of an encrypted member
        damaged = {
            "truncated": content[:600],
            "random": b"\x07" * 99,
            "empty": b"",
            "flipped": flipped,
            "locked": locked,
        }
        path.write_bytes(damaged[damage])
    with pytest.raises(FileFormatError, match="set.npz, which cannot be read"):
        load_dataset(path)


def test_pickled_objects_are_not_read(save):
    path = save(x=np.array([{"code": "would run"}], object), y=LABELS[:1])
    with pytest.raises(FileFormatError, match="allow_pickle=False"):
        load_dataset(path)


@pytest.mark.parametrize(
    "value, words",
    [
        ({"x": 1, "y": 2}, ["x", "y"]),
        ((1, 2), ["x", "y"]),
        (({"a": 1, "b": 2}, 3), ["x.a", "x.b", "y"]),
        (((1, 2), (3, 4)), ["x_test", "x_train", "y_test", "y_train"]),
        ([(1, 2), (3, 4), (5, 6)], ["x_test", "x_train", "x_validation", "y_test", "y_train", "y_validation"]),
    ],
)
def test_what_functions_may_return(value, words):
    assert sorted(words_of("f", value)) == words


@pytest.mark.parametrize("value", [None, 3, (1,), (1, 2, 3), "ab"])
def test_what_functions_may_not_return(value):
    with pytest.raises(
        InputError, match=re.escape(f"received {type(value).__name__} from my:f; expected a lowbit Dat")
    ):
        words_of("my:f", value)

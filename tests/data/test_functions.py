# SPDX-License-Identifier: Apache-2.0
"""`package.module:function` as data and as preprocessing."""

import importlib
import linecache
import sys

import numpy as np
import pytest

from lowbit.data import load_dataset
from lowbit.errors import InputError

MODULE = """
import numpy as np
from lowbit.data import load_dataset

X = np.arange(20 * 4 * 4 * 3, dtype=np.uint8).reshape(20, 4, 4, 3)
Y = np.arange(20) % 2

def arrays(): return {"x": X, "y": Y, "class_names": ["even", "odd"]}
def pair(): return X, Y
def unlabelled(): return X, None
def keras_style(): return (X, Y), (X[:4], Y[:4])
def two_inputs(): return {"left": X, "right": X / 255}, Y
def dataset(): return load_dataset("digits", preprocess="-1..1")
def nothing(): return None
def ragged(): return [[1], [2, 3]], [0, 1]
def with_nan(): return np.full((20, 2), np.nan), Y
def mirrored(pixels): return pixels[:, :, ::-1] / 255
def flat(pixels): return pixels.reshape(len(pixels), -1)
def fewer(pixels): return pixels[:1]
def undefined(pixels): return pixels * np.nan
NUMBER = 7
"""


@pytest.fixture(autouse=True)
def module(tmp_path, monkeypatch):
    """A module `mydata` in the current folder, as a user at the command line has it."""
    (tmp_path / "mydata.py").write_text(MODULE)
    (tmp_path / "broken.py").write_text("import a_module_that_is_not_there")
    monkeypatch.chdir(tmp_path)
    before = list(sys.path)
    yield
    assert sys.path == before
    sys.modules.pop("mydata", None)


@pytest.mark.parametrize(
    "function, counts",
    [
        ("arrays", {"train": 16, "validation": 2, "test": 2}),
        ("pair", {"train": 16, "validation": 2, "test": 2}),
        ("unlabelled", {"train": 20}),
        ("keras_style", {"train": 18, "validation": 2, "test": 4}),
        ("two_inputs", {"train": 16, "validation": 2, "test": 2}),
        ("dataset", {"train": 719, "validation": 179, "test": 899}),
    ],
)
def test_data(function, counts):
    assert load_dataset(f"mydata:{function}").counts == counts


def test_names_and_classes():
    data = load_dataset("mydata:arrays")
    assert data.name == "mydata.arrays"
    assert data.class_names == ("even", "odd")
    assert load_dataset("mydata:two_inputs").inputs == {"left": (4, 4, 3), "right": (4, 4, 3)}


@pytest.mark.parametrize(
    "word, message",
    [
        ("mydata:nothing", "received NoneType from mydata:nothing"),
        ("mydata:ragged", "mydata:ragged: x"),
        ("mydata:with_nan", "mydata:with_nan: x.features with 40 NaN or infinite values"),
        ("mydata:array", "module 'mydata' has no function 'array'.*did you mean 'arrays'"),
        ("mydata:NUMBER", "has no function 'NUMBER'"),
        ("nodata:load", "No module named 'nodata'; expected a module 'nodata' that can be imported"),
        ("broken:load", "No module named 'a_module_that_is_not_there'"),
    ],
)
def test_refused(word, message):
    with pytest.raises(InputError, match=message):
        load_dataset(word)


def test_a_dataset_prepared_otherwise_is_refused():
    assert load_dataset("mydata:dataset", preprocess="-1..1", image_size=8).classes == 10
    with pytest.raises(InputError, match="prepared with preprocess=-1..1; expected preprocess=0..1"):
        load_dataset("mydata:dataset", preprocess="0..1")


def test_preprocessing_function():
    plain, mirrored = load_dataset("digits"), load_dataset("digits", preprocess="mydata:mirrored")
    [(expected, _)], [(made, _)] = plain.test.batches(1000), mirrored.test.batches(1000)
    assert np.array_equal(made["image"], expected["image"][:, :, ::-1])
    assert mirrored.preprocessing["preprocess"] == "mydata:mirrored"
    assert mirrored.manifest() != plain.manifest()


def test_manifest_notices_an_edit_of_the_function(tmp_path):
    before = load_dataset("digits", preprocess="mydata:mirrored").manifest()
    assert load_dataset("digits", preprocess="mydata:mirrored").manifest() == before
    (tmp_path / "mydata.py").write_text(MODULE.replace("/ 255", "/ 256"))
    sys.modules.pop("mydata")
    linecache.clearcache()
    importlib.invalidate_caches()
    assert load_dataset("digits", preprocess="mydata:mirrored").manifest() != before


def test_preprocessing_function_may_change_the_shape():
    assert load_dataset("digits", preprocess="mydata:flat").inputs == {"image": (64,)}


@pytest.mark.parametrize(
    "function, message",
    [
        ("fewer", r"float32 \(1, 8, 8, 1\) from mydata:fewer for a batch of shape \(4, 8, 8, 1\)"),
        ("undefined", "NaN or infinite values from mydata:undefined"),
        ("missing", "has no function 'missing'"),
    ],
)
def test_bad_preprocessing_function(function, message):
    with pytest.raises(InputError, match=message):
        next(iter(load_dataset("digits", preprocess=f"mydata:{function}").train.batches(4)))

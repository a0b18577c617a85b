# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from lowbit.errors import FileFormatError, InputError
from lowbit.runtime import Runner, cores, predict

KINDS = ("float32", "w8a8", "w8a8-io", "w4a8", "w8a16", "dynamic", "weight")


def one_by_one(path, images):
    runner = Runner.open(path)
    return np.concatenate([next(iter(runner({"image": images[i : i + 1]}).values())) for i in range(len(images))])


def in_batches(images, size, labels=None):
    return [
        (images[i : i + size] if labels is None else ({"image": images[i : i + size]}, labels[i : i + size]))
        for i in range(0, len(images), size)
    ]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("threads", "batch"), [(1, 1), (2, 4), (3, None)])
def test_any_threads_and_batch_give_the_bits_of_one_at_a_time(files, images, kind, threads, batch):
    found = predict(files[kind], in_batches(images, 16), threads=threads, batch=batch)
    np.testing.assert_array_equal(found.outputs, one_by_one(files[kind], images))
    assert found.outputs.dtype == np.float32
    assert (found.samples, found.threads) == (70, threads)
    assert found.per_second == pytest.approx(70 / found.seconds)


def test_a_small_net_gets_several_samples_in_one_call(files, images):
    assert predict(files["float32"], [np.tile(images, (4, 1, 1, 1))], threads=1).batch > 1


def test_a_file_that_computes_other_bits_in_batches_gets_one_at_a_time(files, images, monkeypatch):
    original = Runner.fetch

    def fetch(self):
        found = original(self)
        return {name: values + (len(values) > 1) for name, values in found.items()}

    monkeypatch.setattr(Runner, "fetch", fetch)
    found = predict(files["float32"], [images], threads=1)
    assert found.batch == 1
    assert np.allclose(found.outputs.sum(axis=1), 1)


def test_a_file_that_cannot_be_resized_gets_one_at_a_time(files, images, monkeypatch):
    original = Runner.__init__

    def refuse(self, content, *, batch=None, **settings):
        if batch is not None and batch > 1:
            raise FileFormatError(received="a resized file", expected="its own shape", mend="leave it")
        original(self, content, batch=batch, **settings)

    monkeypatch.setattr(Runner, "__init__", refuse)
    assert predict(files["float32"], [images], threads=2).batch == 1


def test_labels_and_order_survive_threads(files, images):
    labels = np.arange(70)
    found = predict(files["w8a8"], in_batches(images, 9, labels), threads=4)
    np.testing.assert_array_equal(found.labels, labels)


def test_batches_may_be_of_any_size_even_empty(files, images):
    batches = [images[:1], images[1:1], images[1:40], images[40:]]
    np.testing.assert_array_equal(
        predict(files["w8a8"], batches).outputs, predict(files["w8a8"], [images], batch=1).outputs
    )


def test_a_single_sample_is_enough(files, images):
    found = predict(files["w8a8"], [images[:1]])
    assert found.outputs.shape == (1, 5)
    assert found.labels is None


def test_codes_in_and_out_give_the_answers_of_float_in_and_out(files, images):
    """The same net: QUANTIZE and DEQUANTIZE done by us are the file's own."""
    np.testing.assert_array_equal(predict(files["w8a8-io"], [images]).outputs, predict(files["w8a8"], [images]).outputs)


@pytest.mark.parametrize(
    ("batches", "words"),
    [
        ([], "without a sample"),
        ([np.zeros((2, 8, 8, 3))], r"shape \(8, 8, 3\) for input 'image'"),
        ([{"left": np.zeros((2, 12, 12, 3)), "right": np.zeros((2, 12, 12, 3))}], r"inputs \['left', 'right'\]"),
        ([(np.zeros((2, 12, 12, 3)), [1, 2, 3])], "2 samples with 3 labels"),
    ],
)
def test_data_that_does_not_fit(files, batches, words):
    with pytest.raises(InputError, match=words):
        predict(files["float32"], batches)


@pytest.mark.parametrize("wrong", [{"threads": 0}, {"batch": 0}])
def test_numbers_below_one(files, images, wrong):
    with pytest.raises(InputError, match="1 or more"):
        predict(files["float32"], [images], **wrong)


def test_a_missing_file(tmp_path, images):
    with pytest.raises(FileFormatError, match="nothing.tflite: No such file"):
        predict(tmp_path / "nothing.tflite", [images])


def test_cores_are_those_this_process_may_use():
    assert cores() >= 1

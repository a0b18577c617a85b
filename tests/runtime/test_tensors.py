# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from lowbit.errors import InputError
from lowbit.runtime import TensorReader, predict, tensors


def made_by(found, op):
    return [tensor for tensor in found.all() if tensor.op == op]


def test_every_tensor_with_its_quantization(files, images):
    found = tensors(files["w8a8"], {"image": images[:1]})
    (convolved,) = made_by(found, "CONV_2D")
    assert convolved.values.dtype == np.int8
    assert convolved.scale > 0
    assert convolved.zero_point == -128  # behind a ReLU6
    assert convolved.axis is None
    assert found.at(convolved.index) is convolved
    assert found[convolved.name] is convolved
    assert {tensor.op for tensor in found.activations()} == {
        None, "QUANTIZE", "CONV_2D", "DEPTHWISE_CONV_2D", "ADD", "MEAN", "FULLY_CONNECTED", "SOFTMAX", "DEQUANTIZE",
    }  # fmt: skip


def test_weights_have_a_scale_for_each_channel(files, images):
    found = tensors(files["w8a8"], images[:1])
    weights = {len(tensor.values.shape): tensor for tensor in found.all() if tensor.constant and len(tensor.scales) > 1}
    depthwise = next(t for t in found.all() if t.values.shape == (1, 3, 3, 8) and t.constant)
    assert (depthwise.axis, len(depthwise.scales)) == (3, 8)
    dense = weights[2]
    assert (dense.axis, len(dense.scales)) == (0, 5)
    np.testing.assert_allclose(
        dense.real(), dense.values.astype("float32") * dense.scales[:, np.newaxis], rtol=0, atol=0
    )
    with pytest.raises(InputError, match="with 5 scales"):
        _ = dense.scale


def test_int4_weights_come_unpacked(files, images):
    found = tensors(files["w4a8"], images[:1])
    convolution = next(op for op in found.ops if op.name == "CONV_2D")
    weights = found.at(convolution.inputs[1])
    assert weights.values.shape == (8, 3, 3, 3)
    assert weights.values.min() >= -8
    assert weights.values.max() <= 7
    assert len(np.unique(weights.values)) > 8


def test_the_last_tensor_is_the_output_that_users_get(files, images):
    """Preserving all tensors changes no output."""
    found = tensors(files["w8a8"], images[:3])
    np.testing.assert_array_equal(
        found.at(found.outputs[0]).values, predict(files["w8a8"], [images[:3]], batch=1).outputs
    )


def test_a_reader_gives_the_same_bits_for_one_and_for_many(files, images):
    reader = TensorReader(files["w8a8"])
    many = reader.read(images[:6])
    for sample in range(6):
        one = reader.read({"image": images[sample : sample + 1]})
        for tensor in one.activations():
            np.testing.assert_array_equal(tensor.values[0], many.at(tensor.index).values[sample], err_msg=tensor.name)


def test_codes_follow_from_the_scales(files, images):
    found = tensors(files["w8a8"], images[:2])
    (quantized,) = made_by(found, "QUANTIZE")
    expected = np.clip(np.rint(images[:2] / np.float32(quantized.scale)) + quantized.zero_point, -128, 127)
    np.testing.assert_array_equal(quantized.values, expected)


def test_unknown_index_and_name(files, images):
    found = tensors(files["float32"], images[:1])
    with pytest.raises(InputError, match="tensor index 999"):
        found.at(999)
    assert "nothing" not in found
    assert len(found) == len(list(found))


def test_inputs_of_another_shape(files):
    with pytest.raises(InputError, match="shape"):
        tensors(files["float32"], np.zeros((1, 4, 4, 3), "float32"))

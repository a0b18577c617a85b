# SPDX-License-Identifier: Apache-2.0
"""Multiply-accumulates worked out by hand, for real files of one op each."""

import numpy as np
import pytest
import tensorflow as tf
from litert_quantizer import quantizer, recipe
from litert_quantizer.qtyping import TFLOperationName as Op

from lowbit.errors import FileFormatError
from lowbit.results import Workload
from lowbit.runtime import inspect, workload
from lowbit.runtime.macs import workload_of
from lowbit.runtime.schema import Graph, StoredOp, StoredTensor, read_graphs


def values(*shape):
    return tf.constant(np.random.default_rng(0).normal(size=shape), tf.float32)


def conv(x):
    return tf.nn.conv2d(x, values(3, 3, 4, 5), 2, "SAME") + values(5)


def grouped(x):
    return tf.nn.conv2d(x, values(3, 3, 2, 6), 1, "VALID") + values(6)


def depthwise(x):
    return tf.nn.depthwise_conv2d(x, values(3, 3, 4, 2), [1, 1, 1, 1], "SAME") + values(8)


def transposed(x):
    return tf.nn.conv2d_transpose(x, values(3, 3, 5, 4), [1, 12, 12, 5], 2, "SAME") + values(5)


def volume(x):
    return tf.nn.conv3d(x, values(2, 3, 3, 2, 5), [1, 1, 1, 1, 1], "VALID") + values(5)


def dense(x):
    return tf.matmul(x, values(7, 5)) + values(5)


def dense_of_rows(x):
    return tf.tensordot(x, values(7, 5), 1) + values(5)


def matmul(x, y):
    return tf.matmul(x, y)


def matmul_transposed(x, y):
    return tf.matmul(x, y, transpose_b=True)


def matmul_other_transposed(x, y):
    return tf.matmul(x, y, transpose_a=True)


def without_products(x):
    return tf.nn.max_pool2d(tf.nn.avg_pool2d(x * values(4) + 1.5, 2, 2, "SAME"), 2, 2, "SAME")


# function, shapes of its inputs, op of the file, multiply-accumulates, weights
BY_HAND = [
    (conv, [(1, 6, 6, 4)], "CONV_2D", 3 * 3 * 5 * (3 * 3 * 4), 3 * 3 * 4 * 5 + 5),
    (grouped, [(1, 6, 6, 4)], "CONV_2D", 4 * 4 * 6 * (3 * 3 * 2), 3 * 3 * 2 * 6 + 6),
    (depthwise, [(1, 6, 6, 4)], "DEPTHWISE_CONV_2D", 6 * 6 * 8 * (3 * 3), 3 * 3 * 8 + 8),
    (transposed, [(1, 6, 6, 4)], "TRANSPOSE_CONV", 6 * 6 * 4 * (3 * 3 * 5), 3 * 3 * 4 * 5 + 5),
    (volume, [(1, 4, 5, 5, 2)], "CONV_3D", 3 * 3 * 3 * 5 * (2 * 3 * 3 * 2), 2 * 3 * 3 * 2 * 5 + 5),
    (dense, [(1, 7)], "FULLY_CONNECTED", 5 * 7, 7 * 5 + 5),
    (dense_of_rows, [(1, 6, 7)], "FULLY_CONNECTED", 6 * 5 * 7, 7 * 5 + 5),
    (matmul, [(2, 3, 6, 7), (2, 3, 7, 5)], "BATCH_MATMUL", 2 * 3 * 6 * 5 * 7, 0),
    (matmul_transposed, [(2, 6, 7), (2, 5, 7)], "BATCH_MATMUL", 2 * 6 * 5 * 7, 0),
    (matmul_other_transposed, [(2, 7, 6), (2, 7, 5)], "BATCH_MATMUL", 2 * 6 * 5 * 7, 0),
    (without_products, [(1, 8, 8, 4)], "MAX_POOL_2D", 0, 4),  # 1.5 is a setting, not a weight
]
CASES = pytest.mark.parametrize(
    ("function", "shapes", "op", "macs", "weights"), BY_HAND, ids=[case[0].__name__ for case in BY_HAND]
)


def converted(function, shapes) -> bytes:
    """The float file of a function of tensors."""
    specs = [tf.TensorSpec(shape, tf.float32) for shape in shapes]
    concrete = tf.function(function, input_signature=specs).get_concrete_function()
    return tf.lite.TFLiteConverter.from_concrete_functions([concrete]).convert()


def quantized(content: bytes, how: str) -> bytes:
    """The same by litert-quantizer: "static" in integers throughout, else "dynamic" or "weight-only"."""
    if how != "static":
        recipes = {"dynamic": recipe.dynamic_wi8_afp32, "weight-only": recipe.weight_only_wi8_afp32}
        return bytes(quantizer.Quantizer(content, recipes[how]()).quantize(None).quantized_model)
    worker = quantizer.Quantizer(content)
    worker.add_static_config(".*", Op.ALL_SUPPORTED, activation_num_bits=8, weight_num_bits=8)
    tensors = read_graphs(content, "file")[0].tensors
    ranges = {tensor.name: {"min": np.float32(-8), "max": np.float32(8)} for tensor in tensors if not tensor.constant}
    return bytes(worker.quantize(ranges).quantized_model)


@CASES
def test_a_float_file(tmp_path, function, shapes, op, macs, weights):
    path = tmp_path / "float.tflite"
    path.write_bytes(converted(function, shapes))
    assert op in {found.op for found in inspect(path).ops}
    assert workload(path) == Workload(macs=macs, integer_macs=0, weights=weights, integer_weights=0)


@CASES
def test_an_integer_file(tmp_path, function, shapes, op, macs, weights):
    if op == "CONV_3D":
        pytest.skip("litert-quantizer has no integer form of CONV_3D")
    path = tmp_path / "integer.tflite"
    path.write_bytes(quantized(converted(function, shapes), "static"))
    assert inspect(path).float_ops == 0
    assert workload(path) == Workload(macs=macs, integer_macs=macs, weights=weights, integer_weights=weights)


@pytest.mark.parametrize("how", ["dynamic", "weight-only"])
@pytest.mark.parametrize("case", [case for case in BY_HAND if case[0] in (conv, dense)], ids=["conv", "dense"])
def test_float_activations_with_integer_weights_count_as_float(tmp_path, case, how):
    function, shapes, _, macs, weights = case
    path = tmp_path / "hybrid.tflite"
    path.write_bytes(quantized(converted(function, shapes), how))
    found = workload(path)
    assert {"dynamic": 1, "weight-only": 0}[how] == inspect(path).hybrid_ops
    assert (found.macs_integer_share, found.weights_integer_share) == (0, 0)


def looped(x):
    return tf.while_loop(lambda i, _: i < 3, lambda i, y: (i + 1, tf.matmul(y, values(7, 7))), [0, x])[1]


def test_the_body_of_a_loop_counts_once(tmp_path):
    path = tmp_path / "loop.tflite"
    path.write_bytes(converted(looped, [(1, 7)]))
    assert "WHILE" in {found.op for found in inspect(path).ops}
    assert workload(path) == Workload(macs=7 * 7, integer_macs=0, weights=7 * 7, integer_weights=0)


def tensor(*shape, dtype="float32", constant=False):
    return StoredTensor(name="", shape=shape, dtype=dtype, constant=constant, quantized=dtype == "int8")


def test_a_recurrent_op_by_the_shapes_of_its_weights():
    """5 steps of 3 features into 4 units: four gates, each with 3 x 4 and 4 x 4 products a step."""
    kernels = [tensor(4, 3, constant=True)] * 4 + [tensor(4, 4, constant=True)] * 4
    biases = [tensor(4, constant=True)] * 4
    tensors = (tensor(1, 5, 3), *kernels, *biases, tensor(1, 4), tensor(1, 4), tensor(1, 5, 4))
    op = StoredOp(name="UNIDIRECTIONAL_SEQUENCE_LSTM", inputs=tuple(range(15)), outputs=(15,))
    graph = Graph(tensors=tensors, ops=(op,), inputs=(0,), outputs=(15,))
    weights = 4 * (3 * 4 + 4 * 4 + 4)
    assert workload_of([graph]) == Workload(
        macs=5 * 4 * (3 * 4 + 4 * 4), integer_macs=0, weights=weights, integer_weights=0
    )


def test_a_float_op_in_an_integer_file_and_a_constant_that_two_ops_share():
    dense_op = {"name": "FULLY_CONNECTED", "inputs": (0, 1), "outputs": (2,)}
    graph = Graph(
        tensors=(
            tensor(1, 7, dtype="int8"),
            tensor(7, 7, dtype="int8", constant=True),
            tensor(1, 7, dtype="int8"),
            tensor(1, 7, dtype="int8"),
            tensor(1, 7),
            tensor(5, 7, constant=True),
            tensor(1, 5),
        ),
        ops=(
            StoredOp(**dense_op),
            StoredOp(**{**dense_op, "inputs": (2, 1), "outputs": (3,)}),
            StoredOp(name="DEQUANTIZE", inputs=(3,), outputs=(4,)),
            StoredOp(**{**dense_op, "inputs": (4, 5), "outputs": (6,)}),
        ),
        inputs=(0,),
        outputs=(6,),
    )
    assert workload_of([graph]) == Workload(macs=2 * 49 + 35, integer_macs=2 * 49, weights=49 + 35, integer_weights=49)


def test_a_float_constant_makes_no_float_op():
    operands = (tensor(1, 7, dtype="int8"), tensor(5, 7, constant=True), tensor(1, 5, dtype="int8"))
    op = StoredOp(name="FULLY_CONNECTED", inputs=(0, 1), outputs=(2,))
    graph = Graph(tensors=operands, ops=(op,), inputs=(0,), outputs=(2,))
    assert workload_of([graph]) == Workload.of(35, 35, integer=True)


def test_a_damaged_file(tmp_path):
    path = tmp_path / "half.tflite"
    path.write_bytes(converted(conv, [(1, 6, 6, 4)])[:200])
    with pytest.raises(FileFormatError, match="half.tflite"):
        workload(path)

# SPDX-License-Identifier: Apache-2.0
"""Each rule against the runtime: files of one op, all codes or all pairs of codes, many scales, not one code off."""

import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from compiling import compiled
from lowbit.quantizers import elementwise, elementwise_tables, integer
from quantizers.one_op import Grid, one_op, quantize_file

CODES = np.arange(-128, 128)
PAIRS = [pair.ravel() for pair in np.meshgrid(CODES, CODES, indexing="ij")]
ALL_PAIRS = [(1, 256, 256, 1)] * 2
ALL_CODES = [(1, 256)]


def numbers(values):
    return ops.convert_to_tensor(np.asarray(values, "float32"))


def compiled_once(rule, arity):
    """Traced once for all scales of a test."""
    if (rule, arity) not in _COMPILED:
        _COMPILED[rule, arity] = compiled(rule)
    return _COMPILED[rule, arity]


_COMPILED = {}


def rule_codes(rule, centred, scales, output, lowest=-128, highest=127):
    """The rule's clamped codes, the same eager and compiled; as two arrays in a list for ops on two tensors."""
    if len(centred) == 1:
        arguments = centred[0], numbers(scales[0]), numbers(output.scale), numbers(output.zero_point)
    else:
        arguments = centred, [numbers(s) for s in scales], numbers(output.scale), numbers(output.zero_point)
    eager = ops.convert_to_numpy(rule(*arguments))
    in_graph = ops.convert_to_numpy(compiled_once(rule, len(centred))(*arguments))
    assert np.array_equal(eager, in_graph)
    return np.clip(eager, lowest, highest)


def equal_codes(op, rule, inputs, output, data, *, builtin=False):
    file = op.quantized(inputs, [output])
    file = file.builtin() if builtin else file
    centred = [
        numbers(values.reshape(shape) - grid.zero_point)
        for values, shape, grid in zip(data, op.shapes, inputs, strict=True)
    ]
    expected = file.run(*data)[0]
    found = rule_codes(rule, centred, [grid.scale for grid in inputs], output)
    assert np.array_equal(found.reshape(expected.shape), expected), (inputs, output)
    return file


def scale(generator, low, high):
    return float(np.float32(2.0 ** generator.uniform(low, high)))


def zero_point(generator):
    return int(generator.choice([-128, 127, 0, generator.integers(-128, 128)]))


def pair_grids(generator, output_scale):
    inputs = [Grid(scale(generator, -12, -4), zero_point(generator))]
    inputs.append(Grid(float(np.float32(inputs[0].scale * scale(generator, -4, 4))), zero_point(generator)))
    step = output_scale(*(grid.scale for grid in inputs), generator)
    return inputs, Grid(float(np.float32(step)), int(generator.integers(-90, 90)))


def sum_scale(first, second, generator):
    return max(first, second) * scale(generator, -2, 4)


def product_scale(first, second, generator):
    return first * second * scale(generator, -2, 10)


def far_sum_scale(first, second, generator):
    """Where XNNPACK refuses: an operand finer than 2^-10 of the output's step."""
    return min(first, second) * scale(generator, 10.1, 11)


BINARY = {
    "MUL": (lambda a, b: a * b, elementwise.multiply, product_scale),
    "ADD": (lambda a, b: a + b, integer.add, sum_scale),
    "SUB": (lambda a, b: a - b, elementwise.subtract, sum_scale),
}


@pytest.mark.parametrize("name", BINARY)
def test_all_pairs_of_codes(name):
    function, rule, output_scale = BINARY[name]
    op, generator = one_op(function, ALL_PAIRS), np.random.default_rng(11)
    for _ in range(8):
        file = equal_codes(op, rule, *pair_grids(generator, output_scale), PAIRS)
        assert file.ops == file.delegated == [name]


@pytest.mark.parametrize("name", ["MUL", "ADD"])
def test_products_next_to_a_half(name):
    function, rule, _ = BINARY[name]
    op = one_op(function, ALL_PAIRS)
    for output in (0.25, 1.0, 2.0):
        equal_codes(op, rule, [Grid(0.5, 3), Grid(0.5, -128)], Grid(output, -7), PAIRS)


@pytest.mark.parametrize(
    ("exponent", "delegated"),
    [(-20, False), (-17.1, False), (-16.9, False), (-16.001, False), (-16, True), (-15.9, True), (7.999, True)],
)
def test_products_at_and_beyond_xnnpacks_range(exponent, delegated):
    op, generator = one_op(lambda a, b: a * b, ALL_PAIRS), np.random.default_rng(20)
    for points in ((-128, -128, -128), (127, -128, 127), (3, 127, 0)):
        first = 2.0**-7 if exponent == -16 else scale(generator, -9, 0)
        inputs = [Grid(first, points[0]), Grid(2.0**-5, points[1])]
        output = Grid(float(np.float32(first * 2.0 ** (-5 - exponent))), points[2])
        file = equal_codes(op, elementwise.multiply, inputs, output, PAIRS)
        assert bool(file.delegated) == delegated


def test_a_tensor_times_itself():
    op, generator = one_op(lambda x: x * x, ALL_CODES), np.random.default_rng(21)
    for exponents in [(-2, 9)] * 15 + [(-8, -7.5), (-20, -16.1)] * 2:
        grid = Grid(scale(generator, -9, 3), zero_point(generator))
        ratio = 1 / scale(generator, *exponents) if exponents[1] > 0 else scale(generator, *exponents)
        output = Grid(float(np.float32(grid.scale**2 / ratio)), zero_point(generator))
        file = op.quantized([grid], [output])
        assert (file.ops, file.delegated) == (["MUL"], [] if exponents[0] == -20 else ["MUL"])
        found = rule_codes(elementwise.square, [numbers(CODES - grid.zero_point)], [grid.scale], output)
        assert np.array_equal(found, file.run(CODES)[0].ravel()), (grid, output)


def test_a_square_is_rounded_other_than_a_product():
    # code -105 is -119 centred: 14161 x float32(s x s / so) = 112.49999, but float32(x x) x float32(1 / so) = 112.5
    grid, output = Grid(0.007460583467036486, 14), Grid(0.007006271742284298, -128)
    file = one_op(lambda x: x * x, ALL_CODES).quantized([grid], [output])
    centred, steps = numbers(CODES - grid.zero_point), numbers(grid.scale)
    found = rule_codes(elementwise.square, [centred], [grid.scale], output)
    product = elementwise.multiply([centred] * 2, [steps] * 2, numbers(output.scale), numbers(output.zero_point))
    assert np.array_equal(found, file.run(CODES)[0].ravel())
    assert (found[CODES == -105], ops.convert_to_numpy(product)[CODES == -105]) == (-15, -16)


@pytest.mark.parametrize("name", BINARY)
@pytest.mark.parametrize(
    "shapes",
    [
        [(1, 5, 3, 33), (1, 1, 1, 33)],
        [(1, 1, 1, 33), (1, 5, 3, 33)],
        [(4, 5, 3, 33), (4, 1, 1, 33)],
        [(1, 5, 3, 33), (1, 5, 3, 1)],
        [(1, 5, 3, 33), (1, 1, 1, 1)],
        [(1, 5, 1, 33), (1, 1, 3, 1)],
    ],
)
def test_broadcasting_changes_no_rule(name, shapes):
    function, rule, output_scale = BINARY[name]
    op, generator = one_op(function, shapes), np.random.default_rng(12)
    for _ in range(3):
        data = [generator.integers(-128, 128, shape) for shape in shapes]
        equal_codes(op, rule, *pair_grids(generator, output_scale), data)


@pytest.mark.parametrize("name", BINARY)
@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("shape", [(), (33,), (1, 1, 1, 33), (1, 5, 3, 33)])
def test_a_constant_operand_changes_no_rule(name, first, shape):
    function, rule, output_scale = BINARY[name]
    generator = np.random.default_rng(13)
    values = tf.constant(generator.normal(size=shape).astype("float32"))
    op = one_op(lambda x: function(*((values, x) if first else (x, values))), [(1, 5, 3, 33)])
    codes = generator.integers(-128, 128, (1, 5, 3, 33))
    for _ in range(3):
        step = float(np.abs(np.asarray(values)).max() / 127)
        grid = Grid(float(np.float32(step * scale(generator, -3, 3))), zero_point(generator))
        output = Grid(float(np.float32(output_scale(grid.scale, step, generator))), zero_point(generator))
        file = op.quantized([grid], [output])
        assert name in file.delegated
        (constant,) = file.constants.values()
        operands = [numbers(constant.codes - constant.zero_point[0]), numbers(codes - grid.zero_point)]
        scales = [constant.scale[0], grid.scale]
        if not first:
            operands, scales = operands[::-1], scales[::-1]
        expected = file.run(codes)[0]
        assert np.array_equal(rule_codes(rule, operands, scales, output), expected)


@pytest.mark.parametrize("sign", [1, -1])
def test_sums_out_of_xnnpacks_range_take_the_built_in_kernel(sign):
    op, generator = one_op(lambda a, b: a + b if sign > 0 else a - b, ALL_PAIRS), np.random.default_rng(14)

    def rule(centred, *rest):
        return elementwise.add_fixed_point([centred[0], sign * centred[1]], *rest)

    for output_scale in (far_sum_scale, sum_scale, sum_scale, sum_scale):
        inputs, output = pair_grids(generator, output_scale)
        if output_scale is far_sum_scale:
            inputs = [inputs[0], Grid(float(np.float32(inputs[0].scale * 64)), 5)]
            output = Grid(float(np.float32(inputs[0].scale * 1500)), -9)
            assert op.quantized(inputs, [output]).delegated == []
        equal_codes(op, rule, inputs, output, PAIRS, builtin=output_scale is sum_scale)


FREE = (-9.0, 0.0), (-5.0, 5.0)
UNARY = {
    "relu": (tf.nn.relu, elementwise.relu, "RELU", *FREE),
    "gelu": (
        lambda x: tf.nn.gelu(x, approximate=False),
        lambda *a: elementwise_tables.gelu(*a, approximate=False),
        "GELU",
        *FREE,
    ),
    "gelu by tanh": (
        lambda x: tf.nn.gelu(x, approximate=True),
        lambda *a: elementwise_tables.gelu(*a, approximate=True),
        "GELU",
        *FREE,
    ),
}


@pytest.mark.parametrize("name", UNARY)
def test_all_codes_of_a_function(name):
    function, rule, code, input_range, ratio = UNARY[name]
    op, generator = one_op(function, ALL_CODES), np.random.default_rng(16)
    for _ in range(15):
        grid = Grid(scale(generator, *input_range), int(generator.integers(-100, 100)))
        output = Grid(float(np.float32(grid.scale * scale(generator, *ratio))), zero_point(generator))
        file = op.quantized([grid], [output])
        found = rule_codes(rule, [numbers(CODES - grid.zero_point)], [grid.scale], output)
        assert np.array_equal(found, file.run(CODES)[0].ravel()), (grid, output)
        assert (file.ops, file.delegated) == ([code], [])


NEXT_TO_A_HALF = {
    "logistic": (tf.sigmoid, elementwise_tables.logistic),
    "rsqrt": (tf.math.rsqrt, elementwise_tables.rsqrt),
}


@pytest.mark.parametrize(
    ("name", "grid", "output"),
    [
        ("gelu", Grid(0.05242370814085007, 11), Grid(0.006128889974206686, -48)),  # divided by the scale: -49, not -48
        ("gelu", Grid(0.019804861396551132, -2), Grid(0.010633328929543495, -112)),  # 1 + rounded erf: 112, not 111
        ("gelu by tanh", Grid(0.008881879039108753, 127), Grid(0.00036521453876048326, 127)),  # float32 tanh: 8, not 9
        (
            "logistic",
            Grid(0.03407851606607437, 127),
            Grid(1 / 256, -128),
        ),  # zero point added afterwards: -127, not -128
        ("rsqrt", Grid(0.053589168936014175, -128), Grid(0.00975690595805645, -107)),  # float64 scales: -58, not -57
    ],
)
def test_results_next_to_a_half(name, grid, output):
    function, rule = NEXT_TO_A_HALF.get(name) or UNARY[name][:2]
    expected = one_op(function, ALL_CODES).quantized([grid], [output]).run(CODES)[0].ravel()
    found = rule_codes(rule, [numbers(CODES - grid.zero_point)], [grid.scale], output)
    assert np.array_equal(found, expected)


@pytest.mark.parametrize(
    ("function", "rule", "output"),
    [
        (tf.sigmoid, elementwise_tables.logistic, Grid(1 / 256, -128)),
        (tf.tanh, elementwise_tables.tanh, Grid(1 / 128, 0)),
    ],
)
def test_functions_of_a_fixed_output_grid(function, rule, output):
    op, generator = one_op(function, ALL_CODES), np.random.default_rng(17)
    for _ in range(15):
        grid = Grid(scale(generator, -9, 0), zero_point(generator))
        file = op.quantized([grid], [output])
        assert file.delegated == file.ops
        found = rule_codes(rule, [numbers(CODES - grid.zero_point)], [grid.scale], output)
        assert np.array_equal(found, file.run(CODES)[0].ravel()), grid


@pytest.mark.parametrize(
    ("function", "rule", "power"),
    [(tf.sqrt, elementwise_tables.sqrt, 0.5), (tf.math.rsqrt, elementwise_tables.rsqrt, -0.5)],
)
def test_roots(function, rule, power):
    op, generator = one_op(function, ALL_CODES), np.random.default_rng(18)
    for _ in range(15):
        grid = Grid(scale(generator, -9, 3), -128)
        output = Grid(float(np.float32(grid.scale**power * scale(generator, -7, -1))), zero_point(generator))
        found = rule_codes(rule, [numbers(CODES + 128)], [grid.scale], output)
        assert np.array_equal(found, op.quantized([grid], [output]).run(CODES)[0].ravel()), (grid, output)


def test_reciprocal_roots_where_the_kernels_iteration_ends_too_low():
    # With these scales rint(2^20 / sqrt(code)) would give another code than the kernel's number, one less.
    op = one_op(tf.math.rsqrt, ALL_CODES)
    for input_scale, output_scale in [
        (0.011209414340555668, 0.08730361610651016),  # code 2
        (7.717172622680664, 0.004802648909389973),  # code 8
        (0.28921031951904297, 0.001444134279154241),  # code 131
    ]:
        grid, output = Grid(input_scale, -128), Grid(output_scale, -100)
        found = rule_codes(elementwise_tables.rsqrt, [numbers(CODES + 128)], [grid.scale], output)
        assert np.array_equal(found, op.quantized([grid], [output]).run(CODES)[0].ravel())


@pytest.mark.parametrize(("bits", "output_bits", "ratio"), [(8, 16, (-6.0, 14.0)), (16, 8, (-14.0, 6.0))])
def test_quantize_between_8_and_16_bits(bits, output_bits, ratio):
    generator = np.random.default_rng(19)
    codes = np.arange(-(2 ** (bits - 1)), 2 ** (bits - 1))
    for _ in range(12):
        grid = Grid(scale(generator, -9, 0), zero_point(generator) if bits == 8 else 0, bits)
        step = float(np.float32(grid.scale / scale(generator, *ratio)))
        output = Grid(step, zero_point(generator) if output_bits == 8 else 0, output_bits)
        file = quantize_file(grid, output, codes.size)
        assert not file.delegated
        limit = 2 ** (output_bits - 1)
        rule = elementwise.rescale_fixed_point
        found = rule_codes(rule, [numbers(codes - grid.zero_point)], [grid.scale], output, -limit, limit - 1)
        assert np.array_equal(found, file.run(codes)[0].ravel()), (grid, output)

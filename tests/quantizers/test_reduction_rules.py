# SPDX-License-Identifier: Apache-2.0
"""Files of one reducing, contracting, pooling or resizing op, run by LiteRT, give the codes of our rules: all of them.

Every rule is run compiled, as `predict` does: no optimizer of the backend may change a code.
"""

import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from compiling import compiled
from lowbit.quantizers import elementwise_tables, integer, reductions, resizing
from quantizers.one_op import Grid, one_op

MEANS = {
    "global average pooling": ((1, 7, 9, 160), (1, 2), False),
    "its dimensions kept": ((1, 9, 11, 100), (1, 2), True),
    "layer normalization, rank 3": ((1, 200, 24), (2,), True),
    "layer normalization, rank 4": ((1, 8, 16, 41), (3,), True),
    "tokens of a sequence": ((1, 41, 120), (1,), False),
    "all but the batch": ((20, 6, 5, 8), (1, 2, 3), False),
    "group normalization, rank 5": ((1, 6, 5, 40, 6), (1, 2, 4), True),
    "group normalization, rank 4": ((1, 30, 40, 6), (1, 3), True),
}


def codes_near(generator, shape, grid: Grid, spread: float) -> np.ndarray:
    return np.clip(np.rint(generator.normal(grid.zero_point, spread, shape)), -128, 127).astype("int8")


def any_codes(generator, *shape) -> np.ndarray:
    return generator.integers(-128, 128, shape).astype("int8")


def any_grid(generator) -> Grid:
    return Grid(float(np.float32(np.exp(generator.uniform(-5, 0)))), int(generator.integers(-128, 128)))


def number(value):
    return ops.convert_to_tensor(np.asarray(value, "float32"))


def clamped(rule, *tensors) -> np.ndarray:
    """Codes of a compiled rule."""
    return np.clip(ops.convert_to_numpy(rule(*map(number, tensors))), -128, 127)


def centred(codes: np.ndarray, grid: Grid) -> np.ndarray:
    return codes.astype("float32") - grid.zero_point


def tied_ratios(count: int) -> list[float]:
    """Ratios of scales that put sums next to halves, where roundings differ, and some that do not."""
    powers = [2.0**-k for k in range(4)]
    return [power * part for power in powers for part in (1, 2 / count, 3 / count, 8 / count)] + [0.3, 0.77, 1.9]


@pytest.mark.parametrize(("shape", "axis", "keepdims"), MEANS.values(), ids=MEANS)
@pytest.mark.parametrize(("op", "rule"), [(tf.reduce_mean, reductions.mean), (tf.reduce_sum, reductions.total)])
def test_means_and_sums(op, rule, shape, axis, keepdims):
    generator = np.random.default_rng(0)
    file = one_op(lambda x: op(x, axis, keepdims=keepdims), [shape])
    base = file.quantized([Grid(0.1)], [Grid(0.1)])
    count = int(np.prod([shape[i] for i in axis]))

    @compiled
    def simulated(x, *grids):
        return rule(x, grids[:2], grids[2:], axis=axis, keepdims=keepdims)

    for ratio in tied_ratios(count):
        source, target = any_grid(generator), any_grid(generator)
        grown = count if op is tf.reduce_sum else 1
        target = target._replace(scale=float(np.float32(source.scale * ratio * grown)))
        run = base.with_grids({file.inputs[0]: source, file.outputs[0]: target})
        codes = codes_near(generator, shape, source, 6)
        numbers = [n for grid in (source, target) for n in grid[:2]]
        found = clamped(simulated, centred(codes, source), *numbers)
        assert np.array_equal(found, run.run(codes)[0]), (source, target)
    assert run.delegated == run.ops


PRODUCTS = {
    "rank 3": ((2, 40, 17), (2, 17, 60), False),
    "rank 3, transposed": ((2, 40, 17), (2, 60, 17), True),
    "rank 4": ((1, 2, 40, 64), (1, 2, 64, 30), False),
    "rank 4, transposed": ((1, 4, 40, 32), (1, 4, 40, 32), True),
    "sums beyond float32": ((1, 20, 600), (1, 600, 50), False),
    "many": ((2, 120, 17), (2, 17, 120), False),
    "few": ((2, 5, 3), (2, 5, 3), True),
    "other ranks": ((2, 60, 5), (5, 70), False),
}


@pytest.mark.parametrize("is_delegated", [False, True], ids=["built in", "XNNPACK"])
@pytest.mark.parametrize(("first", "second", "transposed"), PRODUCTS.values(), ids=PRODUCTS)
def test_products_of_two_computed_tensors(first, second, transposed, is_delegated):
    generator = np.random.default_rng(1)
    file = one_op(lambda a, b: tf.matmul(a, b, transpose_b=transposed), [first, second])
    base = file.quantized([Grid(0.1), Grid(0.1)], [Grid(0.1)])

    @compiled
    def simulated(a, b, *numbers):
        b = ops.swapaxes(b, -1, -2) if transposed else b
        return reductions.batch_matmul(a, b, numbers[:2], numbers[2:4], numbers[4])

    for _ in range(60):
        grids = [any_grid(generator), any_grid(generator)]
        grids[1] = grids[1]._replace(zero_point=0 if is_delegated else grids[1].zero_point or 1)
        spread = grids[0].scale * grids[1].scale * np.sqrt(first[-1]) * 100 * np.exp(generator.uniform(-1, 3))
        target = any_grid(generator)._replace(scale=float(np.float32(spread)))
        values = [any_codes(generator, *first), any_codes(generator, *second)]
        run = base.with_grids(dict(zip(file.inputs, grids, strict=True)) | {file.outputs[0]: target})
        numbers = (
            grids[0].scale,
            grids[1].scale,
            target.scale,
            *(float(grid.zero_point) for grid in (target, grids[1])),
        )
        found = clamped(simulated, *map(centred, values, grids), *numbers)
        assert np.array_equal(found, run.run(*values)[0]), (grids, target)
    assert run.delegated == (run.ops if is_delegated else [])


def _weights(*shape):
    return tf.constant(np.random.default_rng(3).normal(0, 0.1, shape), tf.float32)


def _hwio(weights):
    return np.transpose(weights, (1, 2, 3, 0))


def _grouped(x, weights):
    halves = zip(np.split(x, 2, axis=-1), np.split(weights, 2), strict=True)
    return tf.concat([tf.nn.conv2d(part, _hwio(w), 1, "SAME") for part, w in halves], -1)


def _depthwise(x, weights, dilation):
    return tf.nn.depthwise_conv2d(x, _hwio(weights), [1] * 4, "SAME", dilations=[dilation] * 2)


def _transposed(x, weights, strides, padding, size):
    return tf.nn.conv2d_transpose(x, np.transpose(weights, (1, 2, 0, 3)), (1, size, size, 20), strides, padding)


def _transposed_case(strides, padding, size):
    kernel = _weights(3, 3, 20, 5)
    return (
        lambda x: tf.nn.conv2d_transpose(x, kernel, (1, size, size, 20), strides, padding),
        lambda x, w: _transposed(x, w, strides, padding, size),
        (1, 8, 8, 5),
    )


WEIGHTED = {
    "dense, rank 3": (lambda x: tf.matmul(x, _weights(17, 60)), lambda x, w: x @ w.T, (1, 40, 17)),
    "dense, rank 4": (lambda x: tf.matmul(x, _weights(17, 60)), lambda x, w: x @ w.T, (1, 4, 10, 17)),
    "dilated": (
        lambda x: tf.nn.conv2d(x, _weights(3, 3, 7, 20), 1, "SAME", dilations=(2, 3)),
        lambda x, w: tf.nn.convolution(x, _hwio(w), 1, "SAME", dilations=(2, 3)),
        (1, 12, 13, 7),
    ),
    "grouped": (lambda x: tf.nn.conv2d(x, _weights(3, 3, 4, 16), 1, "SAME"), _grouped, (1, 12, 13, 8)),
    "depthwise, dilated": (
        lambda x: tf.nn.depthwise_conv2d(x, _weights(3, 3, 9, 1), [1] * 4, "SAME", dilations=[2, 2]),
        lambda x, w: _depthwise(x, w, 2),
        (1, 12, 13, 9),
    ),
    "transposed, stride 1, same": _transposed_case(1, "SAME", 8),
    "transposed, stride 2, same": _transposed_case(2, "SAME", 16),
    "transposed, stride 2, valid": _transposed_case(2, "VALID", 17),
    "in one dimension": (
        lambda x: tf.nn.conv1d(x, _weights(3, 5, 14), 1, "SAME"),
        lambda x, w: tf.nn.conv1d(x, np.transpose(w[:, 0], (1, 2, 0)), 1, "SAME"),
        (1, 33, 5),
    ),
}


@pytest.mark.parametrize("per_tensor", [False, True], ids=["per channel", "per tensor"])
@pytest.mark.parametrize(("function", "product", "shape"), WEIGHTED.values(), ids=WEIGHTED)
def test_whatever_has_constant_weights_is_one_product_and_one_requantization(function, product, shape, per_tensor):
    generator = np.random.default_rng(4)
    file = one_op(function, [shape])
    constants = [float(np.abs(v).max() / 127) for v in file.constants.values()]
    if not per_tensor:
        constants = [_channel_scales(v) for v in file.constants.values()]
    for _ in range(4):
        source, target = any_grid(generator), any_grid(generator)
        run = file.quantized([source], [target], constants=constants, others=target)
        constant = next(c for c in run.constants.values() if c.codes.ndim > 1)
        codes = any_codes(generator, *shape)
        accumulator = np.asarray(product(centred(codes, source), constant.codes.astype("float32")))
        multiplier = np.float32(source.scale) * constant.scale.astype("float32") / np.float32(target.scale)
        found = clamped(compiled(integer.requantize), accumulator, multiplier, target.zero_point)
        assert np.array_equal(found, run.run(codes)[0])
    assert run.delegated == run.ops
    assert not {"SPACE_TO_BATCH_ND", "SPLIT", "SQUEEZE", "EXPAND_DIMS"} & set(run.ops)


def _channel_scales(values: np.ndarray) -> np.ndarray:
    """One scale for each output channel: axis 3 of a depthwise kernel (1, rows, columns, channels), else axis 0."""
    kept = 3 if values.ndim == 4 and values.shape[0] == 1 else 0
    others = tuple(i for i in range(values.ndim) if i != kept)
    return np.maximum(np.abs(values).max(axis=others, keepdims=True), 1e-3) / 127


POOLS = [
    ((3, 3), (2, 2), "same"),
    ((2, 2), (2, 2), "valid"),
    ((3, 2), (1, 2), "same"),
    ((5, 5), (3, 3), "same"),
    ((12, 13), (1, 1), "valid"),
]


@pytest.mark.parametrize(("pool_size", "strides", "padding"), POOLS)
def test_average_pooling(pool_size, strides, padding):
    generator = np.random.default_rng(5)
    shape, grid = (1, 12, 13, 19), any_grid(generator)
    run = one_op(lambda x: tf.nn.avg_pool2d(x, pool_size, strides, padding.upper()), [shape]).quantized([grid], [grid])
    simulated = compiled(lambda x: reductions.average_pool(x, pool_size=pool_size, strides=strides, padding=padding))
    for spread in (4, 30, 200):
        codes = codes_near(generator, shape, Grid(1.0), spread)
        found = clamped(simulated, codes)
        assert np.array_equal(found, run.run(codes)[0])


def test_a_maximum_over_the_whole_window_is_a_global_maximum():
    generator = np.random.default_rng(6)
    run = one_op(lambda x: tf.nn.max_pool2d(x, (12, 13), 1, "VALID"), [(1, 12, 13, 19)]).quantized(
        [Grid(0.1, 3)], [Grid(0.1, 3)]
    )
    codes = any_codes(generator, 1, 12, 13, 19)
    assert np.array_equal(codes.max(axis=(1, 2), keepdims=True), run.run(codes)[0])


@pytest.mark.parametrize("shape", [(50, 10), (1, 40, 37), (1, 4, 64, 64), (20, 1000)])
def test_softmax(shape):
    generator = np.random.default_rng(7)
    file = one_op(tf.nn.softmax, [shape])
    base = file.quantized([Grid(0.1)], [Grid(1 / 256, -128)])
    simulated = compiled(reductions.softmax)
    for _ in range(20):
        grid = Grid(float(np.float32(np.exp(generator.uniform(-7, 0.5)))), int(generator.integers(-128, 128)))
        run = base.with_grids({file.inputs[0]: grid})
        for spread in (8, 40, 300):
            codes = codes_near(generator, shape, grid, spread)
            found = clamped(simulated, centred(codes, grid), grid.scale)
            assert np.array_equal(found, run.run(codes)[0]), grid


def test_softmax_adds_its_exponentials_one_after_the_other():
    # found by search: an exact sum gives another code
    text = "46 58 8 26 -5 -4 47 6 -41 20 31 46 1 51 -2 -12 55 24 -37 30 -14 27 4 13 -56 59 34 -50 29 33 45 32 "
    text += "-13 25 -52 -26 -5 -7 -39 -26 24 0 44 17 29 31 12 -32 58 -44 30 -51 -50 43 -24 -8 19 48 13 26 5 -50 25 26"
    codes, grid = np.array([text.split()], "int8"), Grid(0.021508142352104187)
    run = one_op(tf.nn.softmax, [codes.shape]).quantized([grid], [Grid(1 / 256, -128)])
    assert np.array_equal(clamped(compiled(reductions.softmax), codes, grid.scale), run.run(codes)[0])


@pytest.mark.parametrize(
    "rule",
    [lambda x: reductions.softmax(x, 0.1), lambda x: elementwise_tables.logistic(x, 0.1, 1 / 256, -128)],
    ids=["softmax", "logistic"],
)
def test_nan_finds_no_place_in_a_table(rule):
    codes = np.array([[1, 2, 3], [4, np.nan, 6]], "float32")
    found, sound = (np.asarray(ops.convert_to_numpy(compiled(rule)(part))) for part in (codes, codes[:1]))
    assert np.array_equal(found[0], sound[0]) and np.isnan(found[1, 1])


RESIZES = [((5, 7), (10, 14)), ((5, 7), (13, 9)), ((16, 6), (7, 1))]


@pytest.mark.parametrize(("before", "after"), RESIZES)
@pytest.mark.parametrize("align_corners", [False, True], ids=["", "align corners"])
@pytest.mark.parametrize("half_pixel_centers", [False, True], ids=["", "half-pixel centers"])
@pytest.mark.parametrize(
    ("op", "rule"),
    [
        (tf.raw_ops.ResizeBilinear, resizing.resize_bilinear),
        (tf.raw_ops.ResizeNearestNeighbor, resizing.resize_nearest),
    ],
    ids=["bilinear", "nearest"],
)
def test_resizing(op, rule, before, after, align_corners, half_pixel_centers):
    generator = np.random.default_rng(8)
    flags = {"align_corners": align_corners, "half_pixel_centers": half_pixel_centers}
    grid = any_grid(generator)
    run = one_op(lambda x: op(images=x, size=after, **flags), [(1, *before, 21)]).quantized([grid], [grid])
    codes = any_codes(generator, 1, *before, 21)
    assert np.array_equal(clamped(compiled(lambda x: rule(x, after, **flags)), codes), run.run(codes)[0])

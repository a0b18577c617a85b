# SPDX-License-Identifier: Apache-2.0
"""Layers with kernels: convolutions and products with a matrix, each as one of four operations of the runtime."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from keras import layers

from lowbit.errors import UnsupportedError
from lowbit.graph.flatten import Node
from lowbit.graph.lowering.activations import activate, activation_name
from lowbit.graph.lowering.moving import channels_last, reshape, static
from lowbit.graph.lowering.registry import layer
from lowbit.graph.steps import Builder, NoIntegerForm, Parameter


def finish(b: Builder, x: int, node: Node) -> int:
    """The layer's own activation, named after layer and function; one without integer form stays float by itself."""
    function = getattr(node.operation, "activation", None)
    word = activation_name(function)
    if word == "linear":
        return x
    try:
        with b.attempt():
            return activate(b, x, function, word)
    except NoIntegerForm as error:
        return b.kept_float(layers.Activation(function, name=node.name), (x,), b.shape(x), str(error), name=word)


def _configured(layer: Any) -> dict[str, Any]:
    """The layer's configuration without its activation."""
    try:
        return {**layer.get_config(), "activation": "linear"}
    except (TypeError, ValueError) as error:
        raise UnsupportedError(
            received=f"{layer.name!r} ({type(layer).__name__}): {str(error).splitlines()[0][:150]}",
            expected="a layer that says what it is in its get_config",
            mend="give it a named function (def act(x): ...) as activation, or a layer of its own behind it",
        ) from error


def _plain(node: Node, **changes: Any) -> Any:
    """Makes the layer anew without its activation, unbuilt."""
    config = {**_configured(node.operation), **changes}
    kind = type(node.operation)
    return lambda: kind.from_config(config)


def _weights(*variables: Any) -> list[Parameter]:
    return [Parameter(source=variable) for variable in variables if variable is not None]


_OVER_IMAGES = {
    layers.Conv2D: "conv2d",
    layers.DepthwiseConv2D: "depthwise",
    layers.Conv2DTranspose: "transposed_conv",
}


@layer(*_OVER_IMAGES)
def _conv_2d(b: Builder, node: Node) -> int:
    channels_last(node)
    conv, x, kind = node.operation, b.only_input(), _OVER_IMAGES[type(node.operation)]
    if kind == "transposed_conv" and any(step != 1 for step in conv.dilation_rate):
        raise NoIntegerForm("a dilated transposed convolution")
    static(b.shape(x)[-1:])
    made = conv.compute_output_shape(b.shape(x))
    return finish(b, b.weighted(kind, x, _plain(node), _weights(conv.kernel, conv.bias), made), node)


@layer(layers.Conv1D, layers.DepthwiseConv1D)
def _conv_1d(b: Builder, node: Node) -> int:
    """A convolution over an image of one row."""
    channels_last(node)
    conv, x = node.operation, b.only_input()
    length, channels = static(b.shape(x)[1:])
    made = conv.compute_output_shape(b.shape(x))
    padding = conv.padding
    if padding == "causal":
        before = conv.dilation_rate[0] * (conv.kernel_size[0] - 1)
        x, padding = b.primitive("pad", x, name="causal", widths=[[before, 0], [0, 0]]), "valid"
        length += before
    row = reshape(b, x, [1, length, channels], "row")
    kernel = Parameter(source=conv.kernel, shape=(1, *conv.kernel.shape))
    is_depthwise = isinstance(conv, layers.DepthwiseConv1D)
    config = _image_config(conv, padding)
    kind = layers.DepthwiseConv2D if is_depthwise else layers.Conv2D
    y = b.weighted(
        "depthwise" if is_depthwise else "conv2d",
        row,
        lambda: kind.from_config(config),
        [kernel, *_weights(conv.bias)],
        (None, 1, *made[1:]),
    )
    return finish(b, reshape(b, y, made[1:], "line"), node)


def _image_config(conv: Any, padding: str) -> dict[str, Any]:
    config = {**_configured(conv), "padding": padding, "strides": _equal(conv.strides)}
    for key in ("kernel_size", "dilation_rate"):
        config[key] = (1, *config[key])
    return config


def _equal(strides: tuple[int, ...]) -> tuple[int, ...]:
    """A row has one position to be at, so its step there is free. TensorFlow without oneDNN wants both alike."""
    return (*strides, *strides)


@layer(layers.SeparableConv1D, layers.SeparableConv2D)
def _separable(b: Builder, node: Node) -> int:
    channels_last(node)
    conv, x = node.operation, b.only_input()
    made = conv.compute_output_shape(b.shape(x))
    shape = b.shape(x)
    is_line = isinstance(conv, layers.SeparableConv1D)
    if conv.padding == "causal":
        raise NoIntegerForm("a causal separable convolution")
    if is_line:
        x = reshape(b, x, [1, *static(shape[1:])], "row")
    view = (lambda v: Parameter(source=v, shape=(1, *v.shape))) if is_line else (lambda v: Parameter(source=v))
    one = (lambda sizes: (1, *sizes)) if is_line else tuple
    depthwise = {
        "kernel_size": one(conv.kernel_size),
        "strides": _equal(conv.strides) if is_line else conv.strides,
        "padding": conv.padding,
        "depth_multiplier": conv.depth_multiplier,
        "dilation_rate": one(conv.dilation_rate),
        "use_bias": False,
        "depthwise_regularizer": conv.depthwise_regularizer,
        "name": f"{conv.name}_depthwise",
        "trainable": conv.trainable,
    }
    middle = (*((None, 1) if is_line else (None,)), *made[1:-1], int(shape[-1] or 0) * conv.depth_multiplier)
    x = b.weighted(
        "depthwise",
        x,
        lambda: layers.DepthwiseConv2D(**depthwise),
        [view(conv.depthwise_kernel)],
        middle,
        name="depthwise",
    )
    pointwise = {
        "filters": conv.filters,
        "kernel_size": (1, 1),
        "use_bias": conv.use_bias,
        "kernel_regularizer": conv.pointwise_regularizer,
        "name": conv.name,
        "trainable": conv.trainable,
    }
    weights = [view(conv.pointwise_kernel), *_weights(conv.bias)]
    y = b.weighted("conv2d", x, lambda: layers.Conv2D(**pointwise), weights, (*middle[:-1], made[-1]))
    return finish(b, reshape(b, y, made[1:], "line") if is_line else y, node)


@layer(layers.Dense)
def _dense(b: Builder, node: Node) -> int:
    dense, x = node.operation, b.only_input()
    shape = (*b.shape(x)[:-1], dense.units)
    return finish(b, b.weighted("dense", x, _plain(node), _weights(dense.kernel, dense.bias), shape), node)


@layer(layers.EinsumDense)
def _einsum_dense(b: Builder, node: Node) -> int:
    dense = node.operation
    settings = {
        "kernel_regularizer": dense.kernel_regularizer,
        "bias_regularizer": dense.bias_regularizer,
        "trainable": dense.trainable,
    }
    kernel, bias = Parameter(source=dense.kernel), None if dense.bias is None else Parameter(source=dense.bias)
    return finish(b, einsum_product(b, b.only_input(), dense.equation, kernel, bias, settings), node)


def einsum_product(
    b: Builder, x: int, equation: str, kernel: Parameter, bias: Parameter | None, settings: Mapping[str, Any]
) -> int:
    """A product with a matrix: the contracted axes are the input's last, the kernel's others the output's last.

    A bias that has no value for each unit is an ADD of its own.
    """
    kept, contracted, made = _einsum_axes(equation, len(b.shape(x)))
    letters, kernel_sizes = equation.replace("...", "").split("->")[0].split(",")[1], b.shape(kernel)
    order = [letters.index(letter) for letter in contracted]
    order += [axis for axis in range(len(letters)) if axis not in order]
    sizes = static([kernel_sizes[axis] for axis in order])
    features, outputs = int(np.prod(sizes[: len(contracted)])), sizes[len(contracted) :]
    units = int(np.prod(outputs))
    lead = static(b.shape(x)[1 : len(kept)])
    if len(contracted) > 1:
        x = reshape(b, x, [*lead, features], "flat")
    weights = [Parameter(source=kernel.source, axes=tuple(order), shape=(features, units))]
    is_by_unit = bias is not None and int(np.prod(static(b.shape(bias)))) == units
    if bias is not None and is_by_unit:
        weights.append(Parameter(source=bias.source, shape=(units,)))
    config = {"units": units, "use_bias": is_by_unit, "name": b.node.name, **settings}
    y = b.weighted("dense", x, lambda: layers.Dense(**config), weights, (None, *lead, units))
    y = reshape(b, y, [*lead, *outputs], "heads") if len(made) > len(kept) + 1 else y
    return y if bias is None or is_by_unit else b.primitive("add", y, bias, name="bias")


def _einsum_axes(equation: str, rank: int) -> tuple[str, str, str]:
    """Letters of the input that stay, of those summed over, and of the output; NoIntegerForm for other products."""
    if "..." in equation:
        letters = "".join(c for c in "ABCDEFGH" if c not in equation)
        inputs = equation.split(",")[0].replace("...", "")
        equation = equation.replace("...", letters[: rank - len(inputs)])
    operands, made = equation.split("->")
    taken, kernel = operands.split(",")
    contracted = "".join(letter for letter in taken if letter in kernel)
    kept = taken[: len(taken) - len(contracted)]
    new = "".join(letter for letter in kernel if letter not in contracted)
    if taken != kept + contracted or made != kept + new or set(contracted) & set(made):
        raise NoIntegerForm(f"the product {equation!r}")
    return kept, contracted, made


@layer(layers.Embedding)
def _embedding(b: Builder, node: Node) -> int:
    """GATHER of rows of a table of codes; the indices stay integers or whole floats."""
    embedding, x = node.operation, b.only_input()
    if b.shape(x) and x not in b.recorded.inputs:
        raise NoIntegerForm("an embedding of computed indices")
    shape = (*b.shape(x), embedding.output_dim)
    table = Parameter(source=embedding.embeddings)
    config = embedding.get_config()
    return b.weighted("embedding", x, lambda: layers.Embedding.from_config(config), [table], shape)

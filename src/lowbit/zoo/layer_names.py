# SPDX-License-Identifier: Apache-2.0
"""Names that do not depend on what was built before.

Keras numbers unnamed layers through a process: of the same model built twice, one has `zero_padding2d` and the other
`zero_padding2d_1`, so their files differ. Some models of `keras.applications` leave layers unnamed.
"""

import re
from collections import Counter
from typing import Any

import keras


def with_fixed_names(model: keras.Model) -> keras.Model:
    """`model`, or the same model rebuilt with its unnamed layers numbered from the first layer on.

    A functional model is expected. Weights are copied, shapes and trainable flags kept.
    """
    new = _fixed_names([(layer.name, type(layer).__name__) for layer in model.operations])
    if all(old == name for old, name in new.items()):
        return model
    renamed = type(model).from_config(_renamed(model.get_config(), new))
    renamed.set_weights(model.get_weights())
    return renamed


def _fixed_names(layers: list[tuple[str, str]]) -> dict[str, str]:
    """Old name -> new name, for each (name, class name) in order.

    >>> _fixed_names([("stem", "Conv2D"), ("conv2d_7", "Conv2D"), ("conv2d_8", "Conv2D")])
    {'stem': 'stem', 'conv2d_7': 'conv2d', 'conv2d_8': 'conv2d_1'}
    """
    numbers: Counter[str] = Counter()
    fixed = {}
    for name, class_name in layers:
        automatic = _snake_case(class_name)
        fixed[name] = name
        if re.fullmatch(rf"{automatic}(_\d+)?", name):
            fixed[name] = f"{automatic}_{numbers[automatic]}" if numbers[automatic] else automatic
            numbers[automatic] += 1
    return fixed


def _snake_case(class_name: str) -> str:
    """The name Keras gives an unnamed layer of this class, without its number.

    >>> _snake_case("ZeroPadding2D"), _snake_case("ReLU")
    ('zero_padding2d', 're_lu')
    """
    words = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", re.sub(r"\W+", "", class_name))
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", words).lower()


def _renamed(config: dict[str, Any], new: dict[str, str]) -> dict[str, Any]:
    """A functional model's configuration with its layers renamed, wherever they are referred to."""

    def reference(value: Any) -> Any:
        """Replaces names in `keras_history` (layer name, node index, tensor index), at any depth."""
        if isinstance(value, dict):
            return {
                key: [new[item[0]], *item[1:]] if key == "keras_history" else reference(item)
                for key, item in value.items()
            }
        if isinstance(value, list | tuple):
            return type(value)(reference(item) for item in value)
        return value

    def endpoint(value: Any) -> Any:
        """Replaces the name of `[layer name, node index, tensor index]`, or of each of several."""
        if isinstance(value[0], str):
            return [new[value[0]], *value[1:]]
        return [endpoint(item) for item in value]

    layers = [
        {
            **layer,
            "name": new[layer["name"]],
            "config": {**layer["config"], "name": new[layer["name"]]},
            "inbound_nodes": reference(layer["inbound_nodes"]),
        }
        for layer in config["layers"]
    ]
    return {
        **config,
        "layers": layers,
        "input_layers": endpoint(config["input_layers"]),
        "output_layers": endpoint(config["output_layers"]),
    }

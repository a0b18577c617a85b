# SPDX-License-Identifier: Apache-2.0
"""What a model's outputs are called, and which of them a name means."""

from collections.abc import Iterable, Mapping
from typing import Any

from lowbit.errors import InputError


def output_names(model: Any) -> list[str]:
    """Of a Keras model, in the order of `model.outputs`: the keys of a dict of outputs, else Keras's names."""
    structure = getattr(model, "_outputs_struct", None)
    return sorted(map(str, structure)) if isinstance(structure, Mapping) else list(model.output_names)


def named(values: Any, model: Any) -> Any:
    """What a Keras model of several outputs answers, by their names; the only output as it is."""
    return dict(zip(output_names(model), values, strict=True)) if isinstance(values, list | tuple) else values


def match(names: Iterable[str], outputs: Iterable[str]) -> dict[str, str]:
    """The output that each name means: the one of that name, else the only one that goes on from it with an underscore.

    A simulation and its file name an output after its layer and the layer's activation. Raises InputError unless each
    output has one name.

    >>> match(["kind", "age"], ["age", "kind_softmax"])
    {'kind': 'kind_softmax', 'age': 'age'}
    """
    wanted, left = list(names), list(outputs)
    found: dict[str, str] = {}
    for name in sorted(wanted, key=len, reverse=True):  # before a shorter one takes what belongs to it
        fitting = [name] if name in left else [output for output in left if output.startswith(f"{name}_")]
        if len(fitting) == 1:
            found[name] = fitting[0]
            left.remove(fitting[0])
    if left or len(found) < len(wanted):
        raise InputError(
            received=f"labels for the outputs {', '.join(wanted)}",
            expected=f"labels for the model's outputs {', '.join(outputs)}",
            mend="name them alike, in a .npz as y_train.<output name>",
        )
    return {name: found[name] for name in wanted}

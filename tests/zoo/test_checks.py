# SPDX-License-Identifier: Apache-2.0
from collections.abc import Callable

import keras
import pytest

from lowbit.errors import InputError
from lowbit.zoo import check_classes
from lowbit.zoo.checks import check_inputs

Build = Callable[[], keras.Model]
CATS = ("cat", "dog", "owl")


def one_output() -> keras.Model:
    x = keras.Input((4,), name="x")
    return keras.Model(x, keras.layers.Dense(1, activation="sigmoid")(x))


@pytest.mark.parametrize(("of_model", "of_data"), [(CATS, CATS), (None, CATS), (CATS, None), (None, None)])
def test_equal_or_unknown_classes_fit(
    tiny_model: Build, of_model: tuple[str, ...] | None, of_data: tuple[str, ...] | None
) -> None:
    check_classes(tiny_model(), of_model, of_data)


def test_a_single_output_fits_two_classes() -> None:
    check_classes(one_output(), None, ("cat", "dog"))


@pytest.mark.parametrize(
    ("of_data", "message"),
    [
        (("cat", "dog"), "received data of 2 classes for a model with 3 outputs; expected data of 3 classes"),
        (("cat", "owl", "dog"), "the same names in another order: class 1 is 'owl'; .* where class 1 is 'dog'"),
        (("cat", "dog", "cow"), "other names: class 2 is 'cow'; .* where class 2 is 'owl'"),
    ],
)
def test_other_classes_are_refused(tiny_model: Build, of_data: tuple[str, ...], message: str) -> None:
    with pytest.raises(InputError, match=message):
        check_classes(tiny_model(), CATS, of_data)


def test_several_outputs_are_refused() -> None:
    x = keras.Input((4,))
    model = keras.Model(x, [keras.layers.Dense(3)(x), keras.layers.Dense(3)(x)])
    with pytest.raises(InputError, match="received a model with 2 outputs; expected one output"):
        check_classes(model, None, CATS)


@pytest.mark.parametrize("inputs", [{"image": (4, 4, 1)}, {"another name": (4, 4, 1)}, {"image": (None, None, 1)}])
def test_a_single_input_fits_by_shape(tiny_model: Build, inputs: dict[str, tuple[int, ...]]) -> None:
    check_inputs(tiny_model(), inputs, "tiny.keras")


@pytest.mark.parametrize("inputs", [{"image": (8, 8, 1)}, {"image": (4, 4)}, {"a": (4, 4, 1), "b": (4, 4, 1)}])
def test_other_inputs_are_refused(tiny_model: Build, inputs: dict[str, tuple[int, ...]]) -> None:
    with pytest.raises(InputError, match=r"for tiny.keras; expected inputs image \(4, 4, 1\)"):
        check_inputs(tiny_model(), inputs, "tiny.keras")


def test_several_inputs_fit_by_name() -> None:
    left, right = keras.Input((4,), name="left"), keras.Input((2,), name="right")
    model = keras.Model([left, right], keras.layers.Concatenate()([left, right]))
    check_inputs(model, {"right": (2,), "left": (4,)}, "two.keras")
    with pytest.raises(InputError, match="expected inputs left .*, right "):
        check_inputs(model, {"right": (4,), "left": (2,)}, "two.keras")

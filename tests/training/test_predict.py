# SPDX-License-Identifier: Apache-2.0
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest

from lowbit.errors import InputError
from lowbit.training import predict

Make = Callable[..., Any]
DATA = np.random.default_rng(0).normal(size=(10, 3)).astype(np.float32)
LABELS = np.arange(10) % 3


def in_batches(*sizes: int) -> list[tuple[dict[str, np.ndarray], np.ndarray]]:
    edges = np.cumsum([0, *sizes])
    return [({"point": DATA[a:b]}, LABELS[a:b]) for a, b in zip(edges, edges[1:])]


@pytest.mark.parametrize("sizes", [(10,), (4, 4, 2), (2, 4, 4), (1, 9)])
def test_outputs_come_in_order_whatever_the_batches(model: keras.Model, sizes: tuple[int, ...]) -> None:
    outputs, labels = predict(model, in_batches(*sizes))
    assert outputs.shape == (10, 3)
    assert np.allclose(outputs, model.predict(DATA, verbose=0), atol=1e-6)
    assert np.array_equal(labels, LABELS)


def test_batches_without_labels_give_none(model: keras.Model) -> None:
    outputs, labels = predict(model, [DATA[:4], DATA[4:]])
    assert len(outputs) == 10
    assert labels is None
    assert predict(model, [(DATA, None)])[1] is None


def test_several_outputs_keep_their_structure(model: keras.Model) -> None:
    x = model.inputs[0]
    both = keras.Model(x, {"hidden": model.get_layer("hidden").output, "classes": model.outputs[0]})
    outputs, _ = predict(both, in_batches(6, 4))
    assert {name: array.shape for name, array in outputs.items()} == {"hidden": (10, 4), "classes": (10, 3)}


def test_the_models_xla_setting_is_kept_and_not_used(model: keras.Model) -> None:
    plain, _ = predict(model, in_batches(10))
    model.compile(jit_compile=True)
    outputs, _ = predict(model, in_batches(10))
    assert np.array_equal(outputs, plain)
    assert model.jit_compile is True


def test_no_batch_is_an_error(model: keras.Model) -> None:
    with pytest.raises(InputError, match="received no batch; expected at least one batch to predict"):
        predict(model, [])

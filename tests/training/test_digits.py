# SPDX-License-Identifier: Apache-2.0
import numpy as np

from lowbit.data import load_dataset
from lowbit.training import fit, predict
from lowbit.zoo import load_model


def test_small_cnn_learns_digits_to_95_percent() -> None:
    """719 training images, the main job's settings; 97.8 to 98.8 % with seeds 0 to 2."""
    data = load_dataset("digits")
    assert data.train is not None and data.validation is not None and data.test is not None
    model = load_model("small_cnn", inputs=data.inputs, classes=10).model
    train = data.train.batches(32, shuffle=True)
    fit(model, train, data.validation.batches(32), epochs=20, learning_rate=1e-3)
    outputs, labels = predict(model, data.test.batches(128))
    assert np.mean(outputs.argmax(axis=1) == labels) >= 0.95

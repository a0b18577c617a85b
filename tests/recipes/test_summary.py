# SPDX-License-Identifier: Apache-2.0
import keras
import numpy as np
import pytest

from lowbit.recipes.summary import summary_text


def test_figures_are_whole_in_a_narrow_terminal_and_the_optimizer_is_no_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    first = keras.Input((4,), name="a_very_long_name_of_an_input_that_takes_all_the_room")
    joined = keras.layers.Add(name="sum")([first, keras.layers.Dense(4, name="dense")(first)])
    model = keras.Model(first, keras.layers.BatchNormalization(name="norm")(joined), name="net")
    model.compile("adam", "mse")
    model.fit(np.zeros((4, 4)), np.zeros((4, 4)), verbose=0)
    lines = summary_text(model).splitlines()
    assert lines[0] == 'Model: "net"'
    assert lines[2].split() == ["Layer", "(type)", "Output", "shape", "Param", "#"]
    assert [line.split()[-1] for line in lines[4:8]] == ["0", "20", "0", "16"]
    assert lines[5].split()[:4] == ["dense", "(Dense)", "(None,", "4)"]
    assert lines[9:] == ["Total params: 36", "Trainable params: 28", "Non-trainable params: 8"]

# SPDX-License-Identifier: Apache-2.0
"""`--input-shape` for models whose sizes are free, from the words to the file; and `--least-agreement`."""

import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers

from lowbit.cli import options
from lowbit.cli.subject import sizes
from lowbit.errors import InputError
from lowbit.runtime import inspect

MODELS = """
import keras
from keras import layers


def free():
    image = x = keras.Input((None, None, 1), name="image")
    x = layers.Conv2D(4, 3, activation="relu", name="stem")(x)
    return keras.Model(image, layers.Dense(10, activation="softmax")(layers.GlobalAveragePooling2D()(x)))
"""
COMMANDS = {
    "quantize": ("-o", "q.tflite", "--recipe", "float32"),
    "qat": ("-o", "s.keras", "--data", "digits", "--epochs", "1"),
    "coverage": (),
}


@pytest.fixture
def free(lowbit, monkeypatch):
    """The command, in a folder with a model to name as `free_models:free`."""
    Path("free_models.py").write_text(MODELS)
    monkeypatch.syspath_prepend(str(Path.cwd()))
    yield lowbit
    sys.modules.pop("free_models", None)


@pytest.mark.parametrize(
    ("words", "shape"),
    [
        (None, None),
        (["224,224,3"], (224, 224, 3)),
        (["8"], (8,)),
        (["8, 16"], (8, 16)),
        (["left=32,3", "right=16"], {"left": (32, 3), "right": (16,)}),
        (["a=b=4"], {"a=b": (4,)}),
    ],
)
def test_words(words, shape) -> None:
    assert options.input_shape(words) == shape


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(
    "words",
    [("224x224x3",), ("",), ("8,",), ("0,8",), ("-1,8",), ("8.5",), ("=8",), ("x=",), ("٣",), ("8", "9"), ("x=8", "9"),
     ("x=8", "x=8")],
)  # fmt: skip
def test_bad_words(lowbit, command: str, words: tuple[str, ...]) -> None:
    given = [part for word in words for part in ("--input-shape", word)]
    lowbit(command, "m.keras", *COMMANDS[command], *given).refused(f"--input-shape {words[-1]}".strip(), "pass --input")


@pytest.mark.parametrize("command", ["quantize", "coverage"])
def test_free_sizes_are_asked_for_and_taken(free, command: str) -> None:
    words = (command, "free_models:free", *COMMANDS[command])
    refused = free(*words)
    assert refused.code == 2 and "free shape (None, None, 1)" in refused.err and "--input-shape" in refused.err
    assert free(*words, "--input-shape", "12,10,1").code == 0
    assert free(*words, "--input-shape", "image=12,10,1").code == 0
    if command == "quantize":
        assert inspect("q.tflite").inputs[0].shape == (1, 12, 10, 1)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("12,10,3", ("--input-shape image=12,10,3", "image (None, None, 1)", "in the place of None")),
        ("12,10", ("--input-shape image=12,10", "image (None, None, 1)")),
        ("picture=12,10,1", ("--input-shape picture=12,10,1", "name an input")),
    ],
)
@pytest.mark.parametrize("command", COMMANDS)
def test_sizes_that_the_model_does_not_take(free, command: str, words: str, said: tuple[str, ...]) -> None:
    answer = free(command, "free_models:free", *COMMANDS[command], "--input-shape", words)
    answer.refused(*said)


def test_a_variant_takes_the_sizes_of_the_data(free) -> None:
    answer = free("quantize", "free_models:free", *COMMANDS["quantize"], "--data", "digits")
    assert answer.code == 0, answer.err
    assert inspect("q.tflite").inputs[0].shape == (1, 8, 8, 1)


def test_a_file_with_free_sizes_takes_those_of_the_data(lowbit, tmp_path: Path) -> None:
    image = keras.Input((None, None, 1), name="image")
    body = layers.GlobalAveragePooling2D()(layers.Conv2D(4, 3)(image))
    keras.Model(image, layers.Dense(10)(body)).save(tmp_path / "free.keras")
    np.savez(tmp_path / "d.npz", x=np.zeros((20, 6, 5, 1), "float32"), y=np.arange(20) % 10)
    words = ("quantize", tmp_path / "free.keras", *COMMANDS["quantize"], "--data", tmp_path / "d.npz")
    answer = lowbit(*words)
    assert answer.code == 0, answer.err
    assert inspect("q.tflite").inputs[0].shape == (1, 6, 5, 1)


def model_of(**shapes: tuple[int | None, ...]) -> keras.Model:
    inputs = [keras.Input(shape, name=name) for name, shape in shapes.items()]
    return keras.Model(inputs, [layers.ReLU()(tensor) for tensor in inputs])


def test_sizes() -> None:
    one, two = model_of(image=(None, 3)), model_of(left=(None,), right=(4,))
    fixed = model_of(image=(5, 3))
    assert sizes(one, None, None) is None and sizes(fixed, {"x": (5, 3)}, None) is None
    assert sizes(one, {"x": (5, 3)}, None) == {"image": (5, 3)}
    assert sizes(one, {"x": (5, 3)}, (6, 3)) == {"image": (6, 3)}
    assert sizes(two, {"right": (4,), "left": (7,)}, None) == {"left": (7,), "right": (4,)}
    assert sizes(two, None, {"left": (7,)}) == {"left": (7,)}
    with pytest.raises(InputError, match=r"--input-shape 7; .*left \(None,\), right \(4,\); name an input"):
        sizes(two, None, (7,))


@pytest.mark.parametrize("share", ["1.5", "-0.1", "nan"])
@pytest.mark.parametrize("command", ["quantize", "export"])
def test_an_agreement_that_is_no_share(lowbit, command: str, share: str, digits_keras: Path) -> None:
    words = (command, digits_keras, "-o", "q.tflite", "--data", "digits", f"--least-agreement={share}")
    lowbit(*words).refused(f"--least-agreement {share}", "a share from 0 to 1")


def test_the_agreement_that_was_asked_for(lowbit, digits_keras: Path, monkeypatch) -> None:
    import dataclasses

    from lowbit.export import write

    original = write.measure_parity

    def measured(*arguments, **options):
        return dataclasses.replace(original(*arguments, **options), top1_agreement=0.9)

    monkeypatch.setattr(write, "measure_parity", measured)
    words = ("quantize", digits_keras, "-o", "q.tflite", "--data", "digits")
    refused = lowbit(*words)
    assert refused.code == 1 and "agree on 90.0% of answers" in refused.err and "--least-agreement" in refused.err
    assert lowbit(*words, "--least-agreement", "0.9").code == 0

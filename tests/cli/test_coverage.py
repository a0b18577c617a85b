# SPDX-License-Identifier: Apache-2.0
"""`lowbit coverage`: the table, the JSON, wrong input; and the shares that `lowbit inspect` measures."""

import subprocess
import sys
from pathlib import Path

import pytest

MODELS = """
import keras
from keras import layers


def small(inputs=None, classes=None, seed=0):
    image = x = keras.Input((8, 8, 3), name="image")
    x = layers.Conv2D(4, 3, name="stem")(x)
    x = layers.ReLU(name="relu")(x)
    return keras.Model(image, layers.Dense(2, name="scores")(layers.Flatten(name="flat")(x)))


def bent(inputs=None, classes=None, seed=0):
    image = keras.Input((8, 8, 3), name="image")
    x = layers.Conv2D(4, 3, activation="elu", name="stem")(image)
    return keras.Model(image, layers.Dense(2, name="scores")(layers.Flatten(name="flat")(x)))


def deep(inputs=None, classes=None, seed=0):
    image = x = keras.Input((8, 8, 3), name="image")
    for number in range(35):
        x = layers.Conv2D(4, 1, name=f"conv_{number}")(x)
    return keras.Model(image, x)
"""
STEM = 6 * 6 * 4 * (3 * 3 * 3)
SCORES = 144 * 2
KEEP_STEM = "- {match: stem, keep_float: true}\n"


@pytest.fixture
def models(lowbit, monkeypatch):
    """The command, in a folder with models to name as `coverage_models:small`."""
    Path("coverage_models.py").write_text(MODELS)
    monkeypatch.syspath_prepend(str(Path.cwd()))
    yield lowbit
    sys.modules.pop("coverage_models", None)


def test_table_and_totals(models) -> None:
    answer = models("coverage", "coverage_models:small")
    assert answer.code == 0, answer.err
    lines = [line.split() for line in answer.out.splitlines() if line]
    assert lines[0] == ["layer", "type", "fate", "bits", "reason", "MACs", "weights"]
    assert lines[1:5] == [
        ["stem", "Conv2D", "quantized", "w8a8", "3,888", "112"],
        ["relu", "ReLU", "quantized", "w8a8", "in", "stem"],
        ["flat", "Flatten", "quantized", "a8"],
        ["scores", "Dense", "quantized", "w8a8", "288", "290"],
    ]
    assert "4 layers as w8a8: 4 quantized, 0 kept float, 0 failed" in answer.out
    assert "multiply-accumulates 4,176, 100 % in integers" in answer.out
    assert "weights 402, 100 % in integers" in answer.out


def test_a_narrow_terminal_goes_without_types(models, monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    answer = models("coverage", "coverage_models:small")
    assert answer.out.splitlines()[0].split() == ["layer", "fate", "bits", "reason", "MACs", "weights"]
    assert max(map(len, answer.out.splitlines())) <= 80


def test_json(models) -> None:
    found = models("coverage", "coverage_models:small", "--spec", "w4a8", "--json").json
    assert (found["source"], found["spec"]) == ("coverage_models:small", "w4a8")
    assert [layer["name"] for layer in found["layers"]] == ["stem", "relu", "flat", "scores"]
    assert (found["quantized"], found["kept_float"], found["failed"]) == (4, 0, 0)
    assert found["total"]["macs"] == STEM + SCORES and found["macs_integer_share"] == 1.0


def test_rules(models) -> None:
    Path("rules.yaml").write_text(KEEP_STEM)
    answer = models("coverage", "coverage_models:small", "--rules", "rules.yaml", "--json")
    assert answer.code == 0, answer.err
    stem = answer.json["layers"][0]
    assert stem["fate"] == "kept float" and stem["reason"]
    assert answer.json["macs_integer_share"] == pytest.approx(SCORES / (STEM + SCORES))


def test_bits_of_each_layer_and_of_a_run(models) -> None:
    Path("rules.yaml").write_text("- {match: scores, weights: 8}\n- {match: stem, activations: 16}\n")
    words = ("coverage", "coverage_models:small", "--spec", "w4a8", "--rules", "rules.yaml")
    answer = models(*words)
    rows = {line.split()[0]: line.split()[3] for line in answer.out.splitlines()[1:5]}
    assert (rows["stem"], rows["scores"]) == ("w4a16", "w8a8")
    assert "4 layers as w4a8 with rules: 4 quantized" in answer.out
    stem = models(*words, "--json").json["layers"][0]
    assert (stem["weight_bits"], stem["activation_bits"]) == (4, 16)
    Path("rules.yaml").write_text("- {match: conv_3, weights: 4}\n")
    folded = models("coverage", "coverage_models:deep", "--rules", "rules.yaml").out.splitlines()[1]
    assert "quantized  w4|8a8" in folded


def test_a_layer_whose_activation_alone_is_float_is_so_in_part(models) -> None:
    answer = models("coverage", "coverage_models:bent")
    row = " ".join(answer.out.splitlines()[1].split())
    assert row.startswith("stem Conv2D partly float w8a8 only in part: activation 'elu' has no integer form; its prod")
    assert "2 quantized, 1 kept float (1 of them in part), 0 failed" in answer.out


def test_long_runs_of_quantized_layers_are_one_line_unless_verbose(models) -> None:
    short = models("coverage", "coverage_models:deep").out.splitlines()
    row = short[1].split()
    assert row[:3] == ["conv_0", "…", "conv_34"] and row[3] == "(35)"
    assert any(line.endswith("every layer: -v") for line in short)
    long = models("coverage", "coverage_models:deep", "-v").out
    assert all(f"conv_{number} " in long for number in range(35)) and "every layer" not in long


def test_a_zoo_name_needs_no_data_where_its_size_is_known(models) -> None:
    answer = models("coverage", "mobilenet_v2", "--model-arg", "alpha=0.35", "--image-size", "96", "--json")
    assert answer.code == 0 and "96 x 96 pixels and 1,000 classes" in answer.err
    assert 5e6 < answer.json["total"]["macs"] < 12e6
    assert models("coverage", "small_cnn", "--data", "digits").code == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("coverage",), ("MODEL",)),
        (("coverage", "missing.keras"), ("missing.keras", "check the path")),
        (("coverage", "mobilnet_v2"), ("mobilnet_v2", "did you mean 'mobilenet_v2'")),
        (("coverage", "coverage_models:small", "--spec", "w3a8"), ("weights=3",)),
        (("coverage", "coverage_models:small", "--rules", "none.yaml"), ("none.yaml",)),
        (("coverage", "small_cnn"), ("small_cnn", "without data")),
        (("coverage", "coverage_models:small", "--image-size", "big"), ("--image-size big",)),
    ],
)
def test_wrong_input(models, words: tuple[str, ...], said: tuple[str, ...]) -> None:
    models(*words).refused(*said)


def test_data_for_a_file_is_refused(lowbit, digits_keras) -> None:
    lowbit("coverage", digits_keras, "--data", "digits").refused("--data digits", "leave --data out")


def test_inspect_measures_what_coverage_says(lowbit, digits_keras, digits_tflite) -> None:
    predicted = lowbit("coverage", digits_keras, "--json").json["total"]
    assert lowbit("inspect", digits_tflite, "--json").json["work"] == predicted
    assert "multiply-accumulates 341 k, 100 % in integers; weights" in lowbit("inspect", digits_tflite).out


def test_help_says_how(lowbit) -> None:
    answer = lowbit("coverage", "--help")
    assert answer.code == 0 and "Example:  lowbit coverage" in answer.out and "coverage" in lowbit("--help").out


def test_asking_for_a_wrong_spec_loads_nothing_heavy() -> None:
    code = "import sys\nsys.argv = ['lowbit', 'coverage', 'x.keras', '--spec', 'w3a8']\nfrom lowbit.cli import main\n"
    tell = "try:\n    main()\nexcept SystemExit:\n    print('keras' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code + tell], capture_output=True, text=True, timeout=120)
    assert done.stdout == "False\n", done.stderr

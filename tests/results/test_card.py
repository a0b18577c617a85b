# SPDX-License-Identifier: Apache-2.0
import json

import pytest

from lowbit.card import Card, CardEndpoint, card_path, read_card, write_card
from lowbit.errors import FileFormatError, InputError
from lowbit.files import sha256

CARD = Card(
    recipe="ptq-w8a8",
    inputs=(CardEndpoint(name="image", shape=(128, 128, 3), dtype="int8", scale=1 / 128, zero_point=-1),),
    outputs=(CardEndpoint(name="scores", shape=(3,), dtype="float32"),),
    preprocessing={"preprocess": "-1..1", "resize": "bilinear", "image_size": [128, 128], "channels": 3},
    class_names=("lantana", "Änder", "0"),
    made_by={"lowbit": "0.1.0", "seed": 0},
)


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "ptq-w8a8.tflite"
    path.write_bytes(b"weights")
    return path


def test_there_and_back(model):
    written = write_card(model, CARD)
    assert read_card(model) == written
    assert written.class_names == CARD.class_names
    assert written.inputs == CARD.inputs
    assert written.sha256 == sha256(model)
    assert card_path(model).name == "ptq-w8a8.tflite.json"
    assert json.loads(card_path(model).read_text())["recipe"] == "ptq-w8a8"


def test_a_file_without_a_card(model):
    assert read_card(model) is None


def test_a_card_needs_its_file(tmp_path):
    with pytest.raises(InputError, match=r"none\.tflite"):
        write_card(tmp_path / "none.tflite", CARD)


def test_other_contents_are_noticed(model):
    write_card(model, CARD)
    model.write_bytes(b"Weights")
    with pytest.raises(FileFormatError, match=r"other contents than those of ptq-w8a8\.tflite"):
        read_card(model)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda text: text[:40], "no readable JSON"),
        (lambda text: text.replace('"schema": 1', '"schema": 7'), "schema 7"),
        (lambda text: text.replace('"recipe": "ptq-w8a8"', '"recipe": 3'), r"Card.recipe is '3'"),
        (lambda text: "[1]", "schema None"),
    ],
)
def test_damaged_cards(model, change, words):
    write_card(model, CARD)
    path = card_path(model)
    path.write_text(change(path.read_text(encoding="utf-8")), encoding="utf-8")
    with pytest.raises(FileFormatError, match=words):
        read_card(model)

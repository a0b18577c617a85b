# SPDX-License-Identifier: Apache-2.0
"""The fifteen architectures TFMOT was tried on, of which it takes six: none refused, in integers, code by code.

Each goes through benchmarks/one_application.py in a process of its own: half a minute to four for each, on 2 cores.
"""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

from applications import NAMES, run_one

TAKEN_BY_TFMOT = ("MobileNet", "MobileNetV2", "ResNet50", "VGG16", "InceptionV3", "Xception")
REFUSED_BY_TFMOT = (
    "MobileNetV3Small", "MobileNetV3Large", "NASNetMobile", "EfficientNetB0", "EfficientNetV2B0", "ResNet50V2",
    "DenseNet121", "InceptionResNetV2", "ConvNeXtTiny",
)  # fmt: skip
LEAST_MACS_SHARE = {"ConvNeXtTiny": 0.98}
OTHERWISE = 0.99


def test_the_list_is_what_keras_has() -> None:
    import keras

    assert set(NAMES) == {name for name in dir(keras.applications) if name[0].isupper()}
    assert len(NAMES) == len(set(NAMES)) == 40


@pytest.mark.slow
@pytest.mark.parametrize("name", [*TAKEN_BY_TFMOT, *REFUSED_BY_TFMOT])
def test_an_architecture_goes_all_the_way(name: str) -> None:
    record = run_one(name, limit_seconds=900, limit_gib=12)
    assert record["status"] == "ok", f"{record['status']} in {record['stage']}: {record.get('reason')}"
    assert record["float_difference"] <= max(1e-5, 10 * record["last_bit_difference"])
    assert record["reload_equal"]
    assert record["missing"] == []
    assert record["top1"] == 1.0
    assert record["worst"]["equal"] == 1.0, record["unequal_named"]
    assert record["macs_share"] >= LEAST_MACS_SHARE.get(name, OTHERWISE), record["kept_float"]

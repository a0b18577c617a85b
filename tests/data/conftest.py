# SPDX-License-Identifier: Apache-2.0
"""Small image folders made in place, and the real ones where the environment says they lie."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

MakeImage = Callable[..., Path]


@pytest.fixture
def make_image(tmp_path: Path) -> MakeImage:
    """`make_image("train/cat/1.png", size=(height, width), value=7)` writes a grey image below `tmp_path`."""

    def make(name: str, size: tuple[int, int] = (6, 8), value: int = 100, mode: str = "RGB") -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        grey = Image.fromarray(np.full(size, value, np.uint8))
        grey.convert(mode).save(path)
        return path

    return make


@pytest.fixture
def class_folders(make_image: MakeImage, tmp_path: Path) -> Path:
    """20 images of each of the classes `cat` (grey values 0..19) and `dog` (100..119), without split folders."""
    for index in range(20):
        make_image(f"pets/cat/{index:02}.png", value=index)
        make_image(f"pets/dog/{index:02}.png", value=100 + index)
    return tmp_path / "pets"


@pytest.fixture(scope="session")
def deepweeds() -> Path:
    """The folder of real images, 9 classes x (340 train, 100 validation, 150 test) of 128 x 128 pixels."""
    root = os.environ.get("LOWBIT_TEST_DATA")
    if not root:
        pytest.skip("LOWBIT_TEST_DATA is not set: no folder of real images (it holds deepweeds-128)")
    folder = Path(root) / "deepweeds-128"
    if not folder.is_dir():
        pytest.skip(f"LOWBIT_TEST_DATA={root} holds no deepweeds-128")
    return folder

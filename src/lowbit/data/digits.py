# SPDX-License-Identifier: Apache-2.0
"""The built-in data set: 1,797 real 8 x 8 greyscale images of handwritten digits.

Source and licence (CC BY 4.0): digits.LICENSE.txt beside this file.
"""

import io
from dataclasses import replace
from importlib.resources import files

import numpy as np

from lowbit.data.array_source import ArrayPart
from lowbit.data.arrays import from_arrays
from lowbit.data.dataset import Dataset
from lowbit.data.options import Options
from lowbit.data.partition import ALL

NAME = "digits"
FRACTIONS = (0.4, 0.1, 0.5)  # a test split large enough that half a point means something


def load_digits(options: Options) -> Dataset:
    """Digits 0 to 9, divided 719 : 179 : 899 by the seed, each class in proportion; shape (8, 8, 1).

    A stored value is the ink of a 4 x 4 block, 0..16; as a pixel it is 255/16 of that, which float32 holds exactly.
    """
    content = (files("lowbit.data") / "digits.npz").read_bytes()
    with np.load(io.BytesIO(content), allow_pickle=False) as stored:
        ink, labels = stored["images"], stored["labels"]
    pixels = (ink.astype(np.float32) * np.float32(255 / 16))[..., None]
    part = ArrayPart({"image": pixels}, labels.astype(np.int64))
    told = (files("lowbit.data") / "digits.LICENSE.txt").read_text(encoding="utf-8").partition("\n\n")[0]
    dataset = from_arrays(
        NAME,
        {ALL: part},
        options,
        class_names=tuple(str(digit) for digit in range(10)),
        pixels=frozenset({"image"}),
        fractions=FRACTIONS,
    )
    return replace(dataset, attribution=" ".join(told.split()))

# SPDX-License-Identifier: Apache-2.0
"""Data of every kind as one `Dataset`: train, validation, test, and calibration samples drawn from train.

>>> from lowbit.data import load_dataset
>>> digits = load_dataset("digits")
>>> inputs, labels = next(iter(digits.test.batches(4)))
>>> inputs["image"].shape, labels.shape
((4, 8, 8, 1), (4,))

NumPy and Pillow only; TensorFlow Datasets is imported when one of its names is asked for.
"""

from lowbit.data.batches import Batches, rename_inputs
from lowbit.data.dataset import Dataset
from lowbit.data.load import check_place, load_dataset
from lowbit.data.preprocessing import PREPROCESSES, RESIZES, Preprocessing
from lowbit.data.split import Split

__all__ = [
    "PREPROCESSES",
    "RESIZES",
    "Batches",
    "Dataset",
    "Preprocessing",
    "Split",
    "check_place",
    "load_dataset",
    "rename_inputs",
]

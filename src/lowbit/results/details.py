# SPDX-License-Identifier: Apache-2.0
"""What stands behind a run's figures, for those who look closer: JSON of schema 1 beside the results.

A part that there is not (no sample images, a task without classes) is empty, and `notes` say why.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

from lowbit import records
from lowbit.errors import InputError
from lowbit.files import write_text
from lowbit.results.checks import within
from lowbit.results.profile import Profile
from lowbit.results.sizes import SizeParts

DETAILS_SCHEMA = 1


@dataclass(frozen=True, kw_only=True)
class Curve:
    """A training: a value an epoch for each of "loss", "accuracy", "val_loss", "val_accuracy"; epochs count from 1."""

    logs: Mapping[str, tuple[float, ...]]
    best_epoch: int

    def __post_init__(self) -> None:
        within("best epoch", self.best_epoch, 1)


@dataclass(frozen=True, kw_only=True)
class ClassAccuracy:
    """Right answers of the test split by class, in label order: `correct` by recipe, of `total` samples."""

    names: tuple[str, ...]
    total: tuple[int, ...]
    correct: Mapping[str, tuple[int, ...]]

    def __post_init__(self) -> None:
        for recipe, correct in {"total": self.total, **self.correct}.items():
            if not len(correct) == len(self.names) > 0:
                raise InputError(
                    received=f"{len(correct)} figures of {recipe} for {len(self.names)} classes",
                    expected="one for each class, of one class at least",
                    mend="run `lowbit compare` again",
                )
            for own, of in zip(correct, self.total, strict=True):
                within(f"right answers of {recipe}", own, 0, of)


@dataclass(frozen=True, kw_only=True)
class ChangedSample:
    """A test sample, by its place in the split, that a file answers otherwise than float32 does; class names."""

    position: int
    label: str
    before: str
    after: str

    @property
    def change(self) -> str:
        """Whether the answer is now "lost", "gained", or "other": wrong before and after."""
        if self.before == self.label:
            return "lost"
        return "gained" if self.after == self.label else "other"


@dataclass(frozen=True, kw_only=True)
class Changes:
    """How many answers of a file were lost and gained against float32, or are otherwise wrong; and some of them."""

    lost: int
    gained: int
    other: int
    samples: tuple[ChangedSample, ...]


@dataclass(frozen=True, kw_only=True)
class Details:
    """
    training    curves by Keras model, "keras-float32"
    changes     by recipe
    pictures    of changed samples by their position in the test split, as data URIs
    sizes       by recipe, of files
    profiles    by recipe: float32, and the files that the verdict chose
    kept_float  by recipe, of simulations: layers that stay float with the reason
    attribution what the data's licence asks to be told with its pictures
    notes       reasons for parts that are empty, by name
    """

    schema: int = DETAILS_SCHEMA
    training: Mapping[str, Curve] = field(default_factory=dict)
    classes: ClassAccuracy | None = None
    changes: Mapping[str, Changes] = field(default_factory=dict)
    pictures: Mapping[str, str] = field(default_factory=dict)
    sizes: Mapping[str, SizeParts] = field(default_factory=dict)
    profiles: Mapping[str, Profile] = field(default_factory=dict)
    kept_float: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    attribution: str | None = None
    notes: Mapping[str, str] = field(default_factory=dict)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the JSON whole or not at all."""
        write_text(path, json.dumps(records.encode(self), indent=1, ensure_ascii=False, allow_nan=False) + "\n")

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Raises FileFormatError for a missing, damaged or unknown file."""
        return records.load(
            cls,
            path,
            schema=DETAILS_SCHEMA,
            expected=f"details of a run, schema {DETAILS_SCHEMA}",
            mend="run `lowbit compare` again; a report can do without them, but tells less",
        )

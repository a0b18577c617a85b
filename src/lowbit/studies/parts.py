# SPDX-License-Identifier: Apache-2.0
"""What a study is made of."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lowbit.engines import Job
from lowbit.results import Results

EPOCHS = 20
"""At most, of each training, where nothing else is asked; the guide's number."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What is asked of a study: the data, where pretrained weights lie, the sides of images, how many seeds.

    `weights` is "imagenet", "none", or a folder of the files that Keras publishes.
    """

    dataset: str
    weights: str
    image_size: tuple[int, int]
    seeds: int
    epochs: int


@dataclass(frozen=True, kw_only=True)
class Part:
    """One comparison of a study, in the folder `name`; `settings` are arguments of `lowbit.compare`."""

    name: str
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Study:
    """A study by its name.

    parts        the comparisons, in order
    experiments  jobs of their own, from the folders and results of the parts (by name); each gives JSON-able figures
    page         the page's template, with names as of `string.Template`
    told         texts for these names, from results of parts and figures of experiments
    pictures     file on the page -> file in the study's folder
    image_size   of the models as they are published
    """

    name: str
    page: Path
    parts: Callable[[Asked], Sequence[Part]]
    experiments: Callable[[Asked, Mapping[str, Path], Mapping[str, Results]], Sequence[Job]]
    told: Callable[[Asked, Mapping[str, Results], Mapping[str, Any]], Mapping[str, str]]
    pictures: Mapping[str, str]
    image_size: int
    default_dataset: str

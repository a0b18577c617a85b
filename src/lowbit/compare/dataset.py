# SPDX-License-Identifier: Apache-2.0
"""The run's data set, opened once for all jobs of a process, and its splits with labels."""

import functools
import json
from collections.abc import Mapping
from typing import Any

from lowbit.data import Dataset, Split, load_dataset
from lowbit.errors import InputError


def open_data(data: Mapping[str, Any]) -> Dataset:
    """The data set of `load_dataset(**data)`; the last ones are kept, as all jobs of a run use the same."""
    return _load(json.dumps(data, sort_keys=True))


def forget() -> None:
    """Open data anew next time: what lies there may have changed."""
    _load.cache_clear()


def labelled_split(dataset: Dataset, name: str) -> Split:
    """The split to train or to evaluate on; raises InputError when its samples have no labels."""
    split = dataset.split(name)
    if split.labels is None:
        raise InputError(
            received=f"data {dataset.name!r} without labels",
            expected="labelled samples",
            mend="put the images into folders named after their classes",
        )
    return split


@functools.lru_cache(maxsize=2)
def _load(text: str) -> Dataset:
    return load_dataset(**json.loads(text))

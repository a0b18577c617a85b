# SPDX-License-Identifier: Apache-2.0
"""The run's data set, opened once for all jobs of a process."""

import functools
import json
from collections.abc import Mapping
from typing import Any

from lowbit.data import Dataset, load_dataset


def open_data(data: Mapping[str, Any]) -> Dataset:
    """The data set of `load_dataset(**data)`; the last ones are kept, as all jobs of a run use the same."""
    return _load(json.dumps(data, sort_keys=True))


@functools.lru_cache(maxsize=2)
def _load(text: str) -> Dataset:
    return load_dataset(**json.loads(text))

# SPDX-License-Identifier: Apache-2.0
"""Any iterable of batches as samples for a file's inputs, checked, in order."""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lowbit.errors import InputError
from lowbit.runtime.interpreter import Endpoint

Inputs = dict[str, NDArray[Any]]


class Samples:
    """Draws samples from batches in portions of any size, and keeps their labels until they are asked for.

    A batch is `(inputs, labels)`, a dict of inputs or a single array; every array has the samples on its first axis.
    Inputs are matched by name; a single input fits a file's single input whatever it is called.
    """

    def __init__(self, batches: Iterable[Any], inputs: Sequence[Endpoint]) -> None:
        self._batches = iter(batches)
        self._ends = tuple(inputs)
        self._rest: Inputs = {}
        self._labels: deque[NDArray[Any]] = deque()
        self.taken = 0

    def labels(self, count: int) -> NDArray[Any] | None:
        """Labels of the next `count` samples, in the order in which they were drawn; None when there are none."""
        parts: list[NDArray[Any]] = []
        while count and self._labels:
            first = self._labels.popleft()
            parts.append(first[:count])
            if len(first) > count:
                self._labels.appendleft(first[count:])
            count -= len(parts[-1])
        return np.concatenate(parts) if parts else None

    def take(self, count: int) -> Inputs:
        """The next `count` samples, fewer at the end, an empty dict after it."""
        parts: list[Inputs] = []
        missing = count
        while missing and self._refill():
            part = {name: values[:missing] for name, values in self._rest.items()}
            self._rest = {name: values[missing:] for name, values in self._rest.items()}
            missing -= _length(part)
            parts.append(part)
        self.taken += count - missing
        if len(parts) <= 1:
            return parts[0] if parts else {}
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def portions(self, count: int) -> Iterator[Inputs]:
        """All that is left, in portions of `count` samples; the last may be smaller."""
        while portion := self.take(count):
            yield portion

    def _refill(self) -> bool:
        """Open batches until there is a sample; False when all are drawn."""
        while not self._rest or not _length(self._rest):
            batch = next(self._batches, None)
            if batch is None:
                return False
            self._rest = self._open(batch)
        return True

    def _open(self, batch: Any) -> Inputs:
        """One batch as a dict by the file's input names; its labels are set aside."""
        values, labels = batch if isinstance(batch, tuple | list) and len(batch) == 2 else (batch, None)
        given = {str(name): np.asarray(item) for name, item in values.items()} if isinstance(values, Mapping) else None
        if given is None:
            given = {"the only one": np.asarray(values)}
        names = [end.name for end in self._ends]
        if len(names) == len(given) == 1:
            given = {names[0]: next(iter(given.values()))}
        if set(given) != set(names):
            raise InputError(
                received=f"data with inputs {sorted(given)}",
                expected=f"the file's inputs {sorted(names)}",
                mend="name the arrays of the data after the file's inputs",
            )
        for end in self._ends:
            _check_shape(end, given[end.name], samples=_length(given))
        if labels is not None:
            self._labels.append(_checked_labels(np.asarray(labels), _length(given)))
        return given


def _length(inputs: Inputs) -> int:
    return len(next(iter(inputs.values())))


def _check_shape(end: Endpoint, values: NDArray[Any], samples: int) -> None:
    if values.shape[1:] != end.shape[1:] or len(values) != samples:
        raise InputError(
            received=f"samples of shape {values.shape[1:]} for input {end.name!r}",
            expected=f"shape {end.shape[1:]}, as many for each input",
            mend="prepare the data at the size that the file was made for (--image-size)",
        )


def _checked_labels(labels: NDArray[Any], samples: int) -> NDArray[Any]:
    if len(labels) != samples:
        raise InputError(
            received=f"a batch of {samples} samples with {len(labels)} labels",
            expected="one label for each sample",
            mend="mend the data",
        )
    return labels

# SPDX-License-Identifier: Apache-2.0
"""Epochs of batches, always as `(inputs by name, labels)`, and feeding them by a model's own input names."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from lowbit.data.source import Array
from lowbit.errors import InputError

Batch = tuple[dict[str, Array], Array | None]

_AHEAD = 3  # batches read in the background while one is being used


class Batches:
    """Batches of one split; each `iter()` is one epoch, `len()` is the number of batches.

    A batch is `(inputs, labels)`: float32 arrays of shape (batch, ...) by input name, and int64 labels of shape
    (batch,) or None. The last batch may be smaller. With `shuffle`, every iteration has another order that depends
    on `seed` and on how often this object was iterated before, so a fresh object repeats exactly.
    """

    def __init__(
        self,
        read: Callable[[Array], Batch],
        order: Array,
        *,
        input_names: Sequence[str],
        batch_size: int,
        shuffle: bool,
        seed: int,
        ahead: bool,
    ) -> None:
        if batch_size < 1:
            raise InputError(
                received=f"batch_size={batch_size}", expected="at least 1 sample", mend="pass batch_size=32"
            )
        if seed < 0:
            raise InputError(received=f"seed={seed}", expected="a seed of 0 or more", mend="pass seed=0")
        self.input_names = tuple(input_names)
        self.batch_size = batch_size
        self.samples = len(order)
        self._read, self._order = read, order
        self._shuffle, self._seed, self._ahead = shuffle, seed, ahead
        self._epochs = 0

    def __len__(self) -> int:
        return -(-self.samples // self.batch_size)

    def __iter__(self) -> Iterator[Batch]:
        order = self._order
        if self._shuffle:
            order = np.random.default_rng([self._seed, self._epochs]).permutation(order)
        self._epochs += 1
        chunks = [order[start : start + self.batch_size] for start in range(0, len(order), self.batch_size)]
        return _read_ahead(self._read, chunks) if self._ahead else map(self._read, chunks)


def _read_ahead(read: Callable[[Array], Batch], chunks: Sequence[Array]) -> Iterator[Batch]:
    """`map(read, chunks)` with a few of the next batches already being read in another thread."""
    pool = ThreadPoolExecutor(1, thread_name_prefix="lowbit-batches")
    try:
        waiting = deque(pool.submit(read, chunk) for chunk in chunks[:_AHEAD])
        for chunk in chunks[_AHEAD:]:
            yield waiting.popleft().result()
            waiting.append(pool.submit(read, chunk))
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)  # also when the reader stops early, or a sample is damaged


class Renamed:
    """Batches under other input names; iterates and counts as the batches it wraps."""

    def __init__(self, batches: Iterable[Any], names: Sequence[str]) -> None:
        self._batches = batches
        self.input_names = tuple(names)

    def __len__(self) -> int:
        return len(self._batches)  # type: ignore[arg-type]

    def __iter__(self) -> Iterator[Any]:
        for batch in self._batches:
            if isinstance(batch, tuple | list):
                yield _renamed(batch[0], self.input_names), *batch[1:]
            else:
                yield _renamed(batch, self.input_names)


def rename_inputs(batches: Iterable[Any], names: Sequence[str]) -> Renamed:
    """The same batches with inputs named as the model names its own.

    Equal sets of names stay as they are; one input to one name is renamed; a bare array becomes a dict of one.
    Anything else raises InputError listing both sides: at once for batches of lowbit, else at the first batch.

    >>> [batch] = rename_inputs([({"image": 1}, None)], ["input_layer"])
    >>> batch
    ({'input_layer': 1}, None)
    """
    given = getattr(batches, "input_names", None)
    if given is not None:
        _match(given, names)
    return Renamed(batches, names)


def _renamed(inputs: Any, names: Sequence[str]) -> dict[str, Any]:
    if not isinstance(inputs, Mapping):
        inputs = {"an unnamed array": inputs}
    return {name: inputs[given] for name, given in _match(list(inputs), names).items()}


def _match(given: Sequence[str], names: Sequence[str]) -> dict[str, str]:
    """Name in the data by name in the model."""
    if set(given) == set(names):
        return {name: name for name in names}
    if len(given) == len(names) == 1:
        return {names[0]: given[0]}
    raise InputError(
        received=f"data with inputs {', '.join(given)}",
        expected=f"the model's inputs {', '.join(names)}",
        mend="name the inputs alike, in a .npz as x_train.<input name>",
    )

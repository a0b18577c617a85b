# SPDX-License-Identifier: Apache-2.0
"""Some samples of a data set, ready to be read in batches."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from lowbit.data.batches import Batch, Batches
from lowbit.data.preprocessing import Preprocessing
from lowbit.data.source import Array, Source
from lowbit.errors import InputError


class Split:
    """Named samples with labels: `train`, `validation`, `test`, or a calibration set drawn from `train`.

    `labels` holds one label for each sample of `source` (class index, row of them, numbers, or a field of such for each
    output), or is None. `indices`
    chooses among the samples of `source`; None means all of them.
    """

    def __init__(
        self,
        name: str,
        source: Source,
        labels: Array | None,
        settings: Preprocessing,
        indices: Array | None = None,
    ) -> None:
        self.name = name
        self._source, self._settings = source, settings
        self._indices = np.arange(len(source)) if indices is None else indices
        self._labels = None if labels is None else np.asarray(labels)
        if self._labels is not None and self._labels.dtype.kind not in "fV":
            self._labels = self._labels.astype(np.int64)

    def __len__(self) -> int:
        """Number of samples."""
        return len(self._indices)

    def __repr__(self) -> str:
        return f"Split({self.name!r}, {len(self)} samples)"

    @property
    def labels(self) -> Array | None:
        """Label of every sample, in the order of `batches`; None when unlabelled. See `task_of` for its forms."""
        return None if self._labels is None else self._labels[self._indices]

    @property
    def inputs(self) -> dict[str, tuple[int, ...]]:
        """Shape of one preprocessed sample by input name."""
        if not self._settings.is_function:
            return self._source.shapes
        first, _ = self._read(self._indices[:1])  # only the caller's function knows what it returns
        return {name: values.shape[1:] for name, values in first.items()}

    def batches(
        self, batch_size: int = 32, *, shuffle: bool = False, seed: int = 0, limit: int | None = None
    ) -> Batches:
        """Batches of preprocessed samples; see `Batches`. `limit`: only that many samples, evenly spread.

        Raises InputError for a batch size or limit below 1; reading raises it when a sample is damaged.
        """
        return Batches(
            self._read,
            self._indices if limit is None else self._indices[self._spread(limit)],
            input_names=list(self._source.shapes),
            batch_size=batch_size,
            shuffle=shuffle,
            seed=seed,
            ahead=not self._source.in_memory,
        )

    def draw(self, name: str, samples: int, seed: int) -> "Split":
        """A random subset, all when there are not as many; a larger one contains the smaller of the same seed.

        Raises InputError for fewer than 1 sample.
        """
        _at_least_one("samples", samples)
        chosen = np.random.default_rng(seed).permutation(self._indices)[:samples]
        return Split(name, self._source, self._labels, self._settings, chosen)

    def preview(self, count: int) -> list[tuple[Array, Any]]:
        """Up to `count` images, evenly spread; see `pictures`."""
        return self.pictures(self._spread(count))

    def pictures(self, positions: Sequence[int] | Array) -> list[tuple[Array, Any]]:
        """The images at these positions before preprocessing: (uint8 height x width x channels, label).

        Empty when the data holds no images. Float images are stretched to 0..255 together.
        """
        chosen = self._indices[np.asarray(positions, np.int64)]
        raw = self._source.take(chosen)
        image = next((name for name in raw if name in self._source.pixels), None)
        image = image or next((name for name in raw if raw[name].ndim == 4 and raw[name].shape[-1] in (1, 3)), None)
        if image is None:
            return []
        values = raw[image].astype(np.float32)
        if image not in self._source.pixels:
            low, high = float(values.min()), float(values.max())
            values = (values - low) * (255 / max(high - low, 1e-12))
        pictures = np.rint(values).clip(0, 255).astype(np.uint8)
        labels: list[Any] = [None] * len(chosen) if self._labels is None else self._labels[chosen].tolist()
        return list(zip(pictures, labels))

    def check(self) -> None:
        """Decode what will be kept in memory, so that a damaged sample is found now. Raises InputError."""
        self._source.check()

    def fingerprints(self) -> list[str]:
        """One line for each sample: its content and label."""
        contents = self._source.fingerprints()
        labels = self.labels
        return [
            f"{contents[index]} {'-' if labels is None else labels[position]}"
            for position, index in enumerate(self._indices.tolist())
        ]

    def _read(self, indices: Array) -> Batch:
        raw = self._source.take(indices)
        pixels = self._source.pixels
        inputs = {
            name: self._settings.apply(values) if name in pixels else values.astype(np.float32)
            for name, values in raw.items()
        }
        return inputs, None if self._labels is None else self._labels[indices]

    def _spread(self, count: int) -> Array:
        """`count` positions evenly spread over the split, so that samples sorted by class are all represented."""
        _at_least_one("limit", count)
        count = min(count, len(self))
        return np.arange(count) * len(self) // count


def _at_least_one(name: str, value: int) -> None:
    if value < 1:
        raise InputError(received=f"{name}={value}", expected="at least 1 sample", mend=f"pass {name}=1 or more")

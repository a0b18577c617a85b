# SPDX-License-Identifier: Apache-2.0
"""Everything a comparison was asked for, checked before anything is touched."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from lowbit.errors import InputError
from lowbit.functions import is_function_word

MOST_SEEDS = 100
LARGEST_MAX_DROP = 50.0  # percentage points; a file that loses half of all answers is no candidate


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Options of one comparison; every one has the name and default of the command line.

    `seeds` is the number of runs, with seeds that count up from `seed`. Learning rates are Adam's, `max_drop` is in
    percentage points, `image_size` in pixels (height, width), `metrics` are Keras's, beside the task's own.
    Raises InputError for a value that cannot be meant.
    """

    dataset: str = "digits"
    model: str = "small_cnn"
    epochs: int = 20
    qat_epochs: int | None = None  # None: as many as `epochs`
    batch_size: int = 32
    lr: float = 1e-3
    qat_lr: float = 1e-3
    patience: int = 4
    freeze: bool = True
    calibration_samples: int = 256
    max_drop: float = 1.0
    threads: int = 1
    seed: int = 0
    seeds: int = 1
    image_size: tuple[int, int] | None = None
    preprocess: str | None = None
    model_args: Mapping[str, str] = field(default_factory=dict)
    metrics: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "model_args", {str(key): str(value) for key, value in self.model_args.items()})
        for name in ("dataset", "model"):
            if not isinstance(getattr(self, name), str) or not getattr(self, name).strip():
                raise _refused(name, getattr(self, name), f"the name of a {name}, a path, or package.module:function")
        object.__setattr__(self, "metrics", tuple(dict.fromkeys(self.metrics)))
        for name, least in (("epochs", 1), ("batch_size", 1), ("patience", 0), ("calibration_samples", 1)):
            self._whole(name, least)
        if self.qat_epochs is not None:
            self._whole("qat_epochs", 1)
        self._whole("threads", 1, 1024)
        self._whole("seed", 0, 2**32 - 1)
        self._whole("seeds", 1, MOST_SEEDS)
        for name in ("lr", "qat_lr"):
            self._within(name, 0, 10, above=True)
        self._within("max_drop", 0, LARGEST_MAX_DROP)

    @property
    def tuning_epochs(self) -> int:
        """Epochs of fine-tuning: of the control and of QAT alike."""
        return self.epochs if self.qat_epochs is None else self.qat_epochs

    @property
    def default_folder(self) -> Path:
        """`runs/<dataset>-<model>` in the current folder, in letters that every file system takes."""
        return Path("runs") / f"{_short(self.dataset)}-{_short(self.model)}"

    def _whole(self, name: str, least: int, most: int | None = None) -> None:
        value = getattr(self, name)
        good = isinstance(value, int) and not isinstance(value, bool) and value >= least
        if not good or (most is not None and value > most):
            upper = "" if most is None else f" up to {most}"
            raise _refused(name, value, f"a whole number from {least}{upper}")

    def _within(self, name: str, low: float, high: float, *, above: bool = False) -> None:
        value = getattr(self, name)
        good = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        if not good or not (low < value <= high or (value == low and not above)):
            raise _refused(name, value, f"a number {'above' if above else 'from'} {low:g} up to {high:g}")


def _refused(name: str, value: object, expected: str) -> InputError:
    return InputError(received=f"{name}={value!r}", expected=expected, mend=f"pass another --{name.replace('_', '-')}")


def _short(word: str) -> str:
    """`../data/deepweeds-128/` -> `deepweeds-128`; functions keep their module, as many are called `load`.

    >>> _short("models/my net.keras"), _short("mine.models:net")
    ('my-net', 'mine.models.net')
    """
    last = word.replace(":", ".") if is_function_word(word) else word.rstrip("/").rsplit("/", 1)[-1]
    stem = re.sub(r"\.(keras|h5|npz)$", "", last)
    return re.sub(r"[^\w.-]+", "-", stem).strip("-.") or "data"

# SPDX-License-Identifier: Apache-2.0
"""What a training reports while it runs, and what is left of it afterwards."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

_SECONDS_BETWEEN_BATCH_EVENTS = 0.1


@dataclass(frozen=True, kw_only=True)
class TrainingEvent:
    """Progress of a training.

    `epoch` and `step` count from 1; `step` is 0 at the start of an epoch. `logs` holds means since the start of the
    epoch ("loss", "accuracy", with "val_" at its end).
    """

    kind: Literal["epoch_start", "batch", "epoch_end"]
    epoch: int
    epochs: int
    step: int
    steps: int
    logs: Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class History:
    """A finished training; plain JSON data after `dataclasses.asdict`.

    Attributes:
        logs: one value per trained epoch for each of "loss", "accuracy", "val_loss", "val_accuracy".
        trained_epochs: epochs that were run.
        best_epoch: the epoch, from 1, whose weights the model holds.
        seconds: wall time.
    """

    logs: Mapping[str, tuple[float, ...]]
    trained_epochs: int
    best_epoch: int
    seconds: float

    @classmethod
    def of(cls, logs_by_epoch: list[dict[str, float]], best_epoch: int, seconds: float) -> "History":
        """Gather the logs of each epoch under their names."""
        names = logs_by_epoch[0]
        return cls(
            logs={name: tuple(logs[name] for logs in logs_by_epoch) for name in names},
            trained_epochs=len(logs_by_epoch),
            best_epoch=best_epoch,
            seconds=seconds,
        )


class Reporter:
    """Sends events of one training to `on_event`; those of batches at most ten times a second: they cost nothing."""

    def __init__(self, on_event: Callable[[TrainingEvent], Any] | None, epochs: int, steps: int) -> None:
        self._on_event, self._epochs, self._steps = on_event, epochs, steps
        self._last_s = 0.0

    def epoch_start(self, epoch: int) -> None:
        self._send("epoch_start", epoch, 0, {})

    def batch(self, epoch: int, step: int, means: Callable[[], Mapping[str, float]]) -> None:
        """`means` is called only when the event is sent."""
        now = time.monotonic()
        if self._on_event is not None and now - self._last_s >= _SECONDS_BETWEEN_BATCH_EVENTS:
            self._last_s = now
            self._send("batch", epoch, step, means())

    def epoch_end(self, epoch: int, logs: Mapping[str, float]) -> None:
        self._send("epoch_end", epoch, self._steps, logs)

    def _send(
        self, kind: Literal["epoch_start", "batch", "epoch_end"], epoch: int, step: int, logs: Mapping[str, float]
    ) -> None:
        if self._on_event is not None:
            self._on_event(
                TrainingEvent(kind=kind, epoch=epoch, epochs=self._epochs, step=step, steps=self._steps, logs=logs)
            )

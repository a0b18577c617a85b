# SPDX-License-Identifier: Apache-2.0
"""Progress of jobs and trainings, drawn on stderr: bars on a terminal, one line for each finished step elsewhere."""

from types import TracebackType
from typing import Any, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Column

from lowbit.cli.live_rows import LiveRows
from lowbit.cli.session import Session

TIME_WIDTH = 7  # characters of 0:00:00, which a narrow terminal leaves whole


class _Bars:
    """Context in which bars are drawn."""

    _live: Live

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()


def _live(session: Session, *renderables: RenderableType) -> Live:
    """Drawn over itself on a terminal, and gone when it ends; nothing elsewhere."""
    live = Live(Group(*renderables), console=session.err, transient=True, refresh_per_second=8)
    if session.quiet or not session.err.is_terminal:
        live = Live(console=Console(quiet=True), auto_refresh=False)
    return live


class ShownProgress(_Bars):
    """Context that is fed with events: `on_job` for those of a run, `on_training` for those of a training."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._draws = session.err.is_terminal and not session.quiet
        self._bars = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(table_column=Column(min_width=TIME_WIDTH)),
            TextColumn("left"),
            TimeRemainingColumn(table_column=Column(min_width=TIME_WIDTH)),
            TextColumn(
                "{task.fields[remark]}",
                style="dim",
                markup=False,
                table_column=Column(no_wrap=True, overflow="ellipsis"),
            ),
            console=session.err,
        )
        self._rows = LiveRows()
        self._live = _live(session, self._rows, self._bars)
        self._jobs: TaskID | None = None
        self._training: TaskID | None = None
        self._failure: str | None = None  # told with the next event: one that ends the command is its error anyway

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        super().__exit__(kind, error, trace)
        if error is None:
            self._tell_failure()

    def on_job(self, event: Any) -> None:
        """A `lowbit.engines.JobEvent`."""
        if event.kind == "progress":
            if hasattr(event.detail, "epochs"):
                self.on_training(event.detail, name=event.job)
            return
        self._end_training()
        self._tell_failure()
        self._rows.on_job(event)
        if self._jobs is None:
            self._jobs = self._bars.add_task("jobs", total=event.total, remark="")
        done = event.index - (event.kind == "started")
        remark = event.job if event.kind == "started" else ""
        self._bars.update(self._jobs, total=event.total, completed=done, remark=remark)
        if event.kind == "finished":
            self._tell(event)

    def _tell(self, event: Any) -> None:
        result = event.result
        if result.status == "failed":
            self._failure = f"[{event.index}/{event.total}] {event.job} failed: {result.reason}"
        elif self._session.verbose or not self._draws:
            remark = "" if result.ok else f" {result.status}: {result.reason}"
            self._session.note(f"[{event.index}/{event.total}] {event.job} {result.seconds:.1f} s{remark}")

    def _tell_failure(self) -> None:
        if self._failure is not None:
            self._session.note(self._failure)
            self._failure = None

    def on_training(self, event: Any, name: str = "training") -> None:
        """A `lowbit.training.TrainingEvent`: loss and accuracy so far, and the time left if no epoch is saved."""
        if self._training is None:
            self._training = self._bars.add_task(name, total=event.epochs * event.steps, remark="")
        steps = (event.epoch - 1) * event.steps + event.step
        figures = " ".join(f"{key} {value:.3f}" for key, value in event.logs.items())
        remark = f"epoch {event.epoch}/{event.epochs} {figures}"
        self._bars.update(self._training, total=event.epochs * event.steps, completed=steps, remark=remark)
        if event.kind == "epoch_end" and (self._session.verbose or not self._draws):
            self._session.note(f"{name}: {remark}")

    def _end_training(self) -> None:
        if self._training is not None:
            self._bars.remove_task(self._training)
            self._training = None


class ShownSamples(_Bars):
    """Context whose `on_progress` is called with samples done and in all: how many a second, and the time left."""

    def __init__(self, session: Session) -> None:
        self._bars = Progress(
            TextColumn("samples"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}", markup=False),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=session.err,
        )
        self._live = _live(session, self._bars)
        self._task = self._bars.add_task("samples", total=None, rate="")

    def on_progress(self, done: int, total: int) -> None:
        seconds = self._bars.tasks[0].elapsed or 0.0
        rate = f"{done / seconds:,.0f} a second" if seconds else ""
        self._bars.update(self._task, total=total, completed=done, rate=rate)

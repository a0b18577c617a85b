# SPDX-License-Identifier: Apache-2.0
"""What a job is, what it may touch while it runs, and what comes back."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Job:
    """One step of a run: a function by its dotted name, its arguments, and the files it writes.

    `function` is `"package.module:name"`. It is imported only when the job really runs, so that a finished run
    is recognised without loading what it was made with, and called as `function(context, **arguments, **places)`;
    what it returns, JSON-able, is for the caller. A job reads its arguments and the outputs of the jobs it names in
    `needs` and `wants`, nothing else: these make up its key.

    places     more arguments, which only say where to find what an argument identifies by its hash (a path, say):
               passed like arguments, left out of the key, so that moved data is still the same data
    needs      jobs that must have succeeded; else this one is not run and takes over their status
    wants      jobs that must have been tried; this one runs even when they failed
    outputs    files it writes, relative to the run folder
    essential  when it fails the run stops with its error, as nothing else would make sense
    """

    name: str
    function: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    places: Mapping[str, Any] = field(default_factory=dict)
    needs: tuple[str, ...] = ()
    wants: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    essential: bool = False


@dataclass(frozen=True, kw_only=True)
class JobResult:
    """How a job ended. `outputs` maps path to sha256, `error` is the exception of this very process, if any."""

    name: str
    status: str  # "ok", "unsupported" or "failed"
    reason: str | None = None
    value: Any = None
    seconds: float = 0.0
    cached: bool = False
    outputs: Mapping[str, str] = field(default_factory=dict)
    error: Exception | None = field(default=None, compare=False, repr=False)

    @property
    def ok(self) -> bool:
        return self.status == "ok"


@dataclass(frozen=True, kw_only=True)
class JobEvent:
    """Progress, for whoever draws it: `kind` is "started", "progress", "cached" or "finished".

    `index` counts from 1 to `total`. `detail` is what the job itself reported ("progress"), `result` how it ended.
    """

    kind: str
    job: str
    index: int
    total: int
    detail: Any = None
    result: JobResult | None = None


class JobContext:
    """What a running job is given: its own folder to write to, and the files of the jobs it depends on."""

    def __init__(
        self,
        *,
        folder: Path,
        staging: Path,
        inputs: Sequence[str],
        outputs: Sequence[str],
        emit: Callable[[Any], None] = lambda detail: None,
    ) -> None:
        self.folder, self.staging, self.emit = folder, staging, emit
        self._inputs, self._outputs = frozenset(inputs), frozenset(outputs)

    def has(self, path: str) -> bool:
        """Whether a job in `needs` or `wants` wrote this file; false when that job failed."""
        return path in self._inputs

    def input(self, path: str) -> Path:
        """The place of a file that a job in `needs` or `wants` wrote; ValueError for any other file."""
        if path not in self._inputs:
            raise ValueError(f"input {path!r} is not among the outputs of the needed jobs: {sorted(self._inputs)}")
        return self.folder / path

    def output(self, path: str) -> Path:
        """Where to write the declared output `path`: it is moved into the run folder when the job has ended."""
        if path not in self._outputs:
            raise ValueError(f"output {path!r} was not declared; declared are {sorted(self._outputs)}")
        place = self.staging / path
        place.parent.mkdir(parents=True, exist_ok=True)
        return place

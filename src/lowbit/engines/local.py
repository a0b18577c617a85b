# SPDX-License-Identifier: Apache-2.0
"""Run a graph of jobs in this process, one after the other, remembering what is already done.

A job's key is the hash of its function, its arguments, the bytes its needs and wants wrote, and the
circumstances (source, library versions). A result is reused when key and files still fit; so a killed run
resumes where it stopped, a changed argument re-runs its own job, and that job's dependents only run again
when it wrote other bytes than before.
"""

import errno
import importlib
import shutil
import tempfile
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from lowbit.engines.fingerprint import digest
from lowbit.engines.job import Job, JobContext, JobEvent, JobResult
from lowbit.engines.store import Store
from lowbit.errors import InputError, LowbitError, UnsupportedError

NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EROFS}
ROOM_TO_GO_ON_BYTES = 1 << 20  # with less than this free, a failed job is taken to have failed for lack of room


def run(
    jobs: Sequence[Job],
    folder: str | Path,
    *,
    circumstances: Any = None,
    on_event: Callable[[JobEvent], None] | None = None,
    fresh: bool = False,
) -> dict[str, JobResult]:
    """Run what is not done yet; returns the result of every job by name, in the order given.

    circumstances  JSON-able; a change makes every job run again
    fresh          forget all earlier results of this folder first

    A job that fails is a result, not an exception, and so are the jobs that need it; only an essential one stops the
    run with its error. Raises InputError when the folder is in use or has no room, ValueError when the graph is wrong.
    """
    _check(jobs)
    store = Store(Path(folder))
    tell = on_event or (lambda event: None)
    results: dict[str, JobResult] = {}
    with store.locked():
        if fresh:
            store.forget()
        for index, job in enumerate(jobs, start=1):

            def event(kind: str, job: Job = job, index: int = index, **more: Any) -> None:
                tell(JobEvent(kind=kind, job=job.name, index=index, total=len(jobs), **more))

            key = _key(job, results, circumstances)
            result = store.recall(job, key)
            if result is not None:
                event("cached", result=result)
            else:
                event("started")
                result = _blocked(job, results) or _run(job, key, store, results, event)
                event("finished", result=result)
            results[job.name] = result
            if job.essential and result.error is not None:
                raise result.error
    return results


def _check(jobs: Sequence[Job]) -> None:
    """Every name once, every dependency before its dependent, every file written by one job only."""
    known: set[str] = set()
    written: dict[str, str] = {}
    for job in jobs:
        if job.name in known:
            raise ValueError(f"two jobs are named {job.name!r}")
        missing = [name for name in (*job.needs, *job.wants) if name not in known]
        if missing:
            raise ValueError(f"job {job.name!r} depends on {missing}, not among the jobs before it: {sorted(known)}")
        for path in job.outputs:
            if path in written:
                raise ValueError(f"jobs {written[path]!r} and {job.name!r} both write {path!r}")
            written[path] = job.name
        known.add(job.name)


def _key(job: Job, results: Mapping[str, JobResult], circumstances: Any) -> str:
    def state(name: str) -> list[Any]:
        return [name, results[name].status, results[name].outputs]

    return digest(
        {
            "function": job.function,
            "arguments": job.arguments,
            "needs": [state(name) for name in job.needs],
            "wants": [state(name) for name in job.wants],
            "outputs": sorted(job.outputs),
            "circumstances": circumstances,
        }
    )


def _blocked(job: Job, results: Mapping[str, JobResult]) -> JobResult | None:
    """The result of a job that cannot run because a job it needs did not succeed."""
    for name in job.needs:
        need = results[name]
        if not need.ok:
            reason = need.reason or need.status
            if not reason.startswith("needs "):  # keep the first cause, not the chain
                reason = f"needs {name}: {reason}"
            return JobResult(name=job.name, status=need.status, reason=reason, error=need.error)
    return None


def _run(job: Job, key: str, store: Store, results: Mapping[str, JobResult], event: Callable[..., None]) -> JobResult:
    store.staging.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix=f"{job.name}-", dir=store.staging))
    context = JobContext(
        folder=store.folder,
        staging=staging,
        inputs=[path for name in (*job.needs, *job.wants) for path in results[name].outputs],
        outputs=job.outputs,
        emit=lambda detail: event("progress", detail=detail),
    )
    started = time.perf_counter()
    story = None
    try:
        value = _function(job.function)(context, **job.arguments, **job.places)
        digest(value)  # a value that is not JSON must fail this job, not the record of it
        hashes = store.take_in(staging, job.outputs)
        result = JobResult(name=job.name, status="ok", value=value, outputs=hashes)
    except UnsupportedError as error:
        result = JobResult(name=job.name, status="unsupported", reason=str(error), error=error)
    except LowbitError as error:
        result = JobResult(name=job.name, status="failed", reason=str(error), error=error)
    except Exception as error:  # noqa: BLE001 - the reason is said below
        # A job runs a user's model and several libraries, so any type may come: each is a crash, told apart from
        # `unsupported` above, with its traceback kept. It fails its own row; the other rows go on.
        story = traceback.format_exc()
        result = JobResult(name=job.name, status="failed", reason=_one_line(error), error=error)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    if result.status == "failed":
        _stop_without_room(store.folder, result.error)
    result = JobResult(**{**vars(result), "seconds": round(time.perf_counter() - started, 3)})
    store.remember(result, key, story)
    return result


def _function(dotted: str) -> Callable[..., Any]:
    module, _, name = dotted.partition(":")
    function: Callable[..., Any] = getattr(importlib.import_module(module), name)
    return function


def _one_line(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())


def _stop_without_room(folder: Path, error: Exception | None) -> None:
    """Raise InputError when a job failed for want of space or of the right to write: all later ones would too."""
    causes = (error, error.__cause__ if error is not None else None)
    full = any(isinstance(cause, OSError) and cause.errno in NO_ROOM for cause in causes)
    if not full and shutil.disk_usage(folder).free >= ROOM_TO_GO_ON_BYTES:
        return
    raise InputError(
        received=f"folder {folder}, where writing failed ({error})",
        expected="room and the right to write",
        mend="free some space or choose another folder, then run again: what is finished is kept",
    ) from error

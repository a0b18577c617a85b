# SPDX-License-Identifier: Apache-2.0
"""Run a graph of jobs, resumably. Knows jobs, files and keys; knows nothing of quantization."""

import difflib
from collections.abc import Callable

from lowbit.engines import local
from lowbit.engines.fingerprint import digest, library_versions, source_sha256
from lowbit.engines.job import Job, JobContext, JobEvent, JobResult
from lowbit.errors import InputError

ENGINES = {"local": local.run}


def get(name: str) -> Callable[..., dict[str, JobResult]]:
    """The `run` function of an engine by name; InputError names the closest for an unknown one."""
    if name not in ENGINES:
        close = difflib.get_close_matches(str(name), ENGINES, n=1) or list(ENGINES)
        raise InputError(
            received=f"engine {name!r}", expected=f"one of {', '.join(ENGINES)}", mend=f"did you mean {close[0]!r}?"
        )
    return ENGINES[name]


__all__ = [
    "Job",
    "JobContext",
    "JobEvent",
    "JobResult",
    "digest",
    "get",
    "library_versions",
    "source_sha256",
]

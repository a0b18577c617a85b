# SPDX-License-Identifier: Apache-2.0
"""The run folder: where each thing lies, and whether it can be written at all."""

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from lowbit.errors import InputError, LowbitError
from lowbit.results import Results

LEAST_FREE_BYTES = 32 << 20
"""Room that a run must find; a small one needs about 5 MiB, MobileNetV2 about 200 MiB."""

WORK = ".jobs/work"  # what jobs hand to each other and no user needs
INITIAL = f"{WORK}/initial.keras"
RESULTS = "results.json"
DETAILS = "details.json"
REPORT = "report.html"
DRAWN = (DETAILS, REPORT, "table.md", "results.csv", "summary.txt", "samples.png", "tradeoff.png", "models.zip")


def seed_folder(folder: Path, seed: int) -> Path:
    """Where the run of a further seed lies, with all that a run folder has."""
    return folder / "seeds" / str(seed)


def model_path(stage: str) -> str:
    """The Keras model of a training stage, relative to the run folder.

    >>> model_path("float"), model_path("qat-w8a8")
    ('models/keras-float32.keras', 'models/keras-qat-w8a8.keras')
    """
    names = {"float": "float32", "finetuned": "float32-finetuned"}
    return f"models/keras-{names.get(stage, stage)}.keras"


def row_file(recipe: str, kind: str) -> str:
    """The file of a row: `models/NAME.keras` or `models/NAME.tflite`."""
    return f"models/{recipe}.{'keras' if kind == 'keras' else 'tflite'}"


def with_card(path: str) -> tuple[str, str]:
    """A model file and its card."""
    return path, f"{path}.json"


def prepare(folder: Path) -> None:
    """Make the run folder; raises InputError when it is a file, cannot be written, or has no room."""
    if folder.exists() and not folder.is_dir():
        raise InputError(
            received=f"out={str(folder)!r}, which is a file",
            expected="a folder, existing or new",
            mend="choose another folder with --out",
        )
    probe = folder / f".lowbit-{os.getpid()}.probe"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.write_bytes(b"\0" * 4096)
    except OSError as error:
        raise InputError(
            received=f"out={str(folder)!r}: {error.strerror or error}",
            expected="a folder that can be written",
            mend="choose another folder with --out, or change its permissions",
        ) from error
    finally:
        _remove(probe)
    free = shutil.disk_usage(folder).free
    if free < LEAST_FREE_BYTES:
        raise InputError(
            received=f"out={str(folder)!r} with {free >> 20} MiB free",
            expected=f"at least {LEAST_FREE_BYTES >> 20} MiB",
            mend="free some space or choose another folder with --out",
        )


def is_foreign(folder: Path, *, model: str, dataset: str | None, backend: str, fresh: bool) -> bool:
    """Whether the folder holds results of another model, data set or backend of Keras, by name; None where it is not
    known yet.

    Raises InputError when it does and `fresh` does not allow to replace them.
    """
    try:
        stored = Results.load(folder / RESULTS)
    except LowbitError:
        return False  # nothing there, or nothing that can be read
    told = {
        "model": (stored.model.get("name"), model),
        "dataset": (stored.dataset.get("name"), dataset),
        "backend": (stored.environment.get("backend"), backend),
    }
    other = {word: old for word, (old, new) in told.items() if None not in (old, new) and old != new}
    if other and not fresh:
        raise InputError(
            received=f"out={str(folder)!r}, which holds results of "
            + " and ".join(f"{word} {name!r}" for word, name in other.items()),
            expected="an empty folder, or one with results of "
            + " and ".join(f"{word} {told[word][1]!r}" for word in other),
            mend="choose another --out, or replace what is there with --fresh",
        )
    return bool(other)


def clear(folder: Path) -> None:
    """Remove models and results of an earlier run, so that none is taken for one of the next."""
    shutil.rmtree(folder / "models", ignore_errors=True)
    for name in (RESULTS, *DRAWN):
        (folder / name).unlink(missing_ok=True)


@contextlib.contextmanager
def keep_only_if_begun(folder: Path) -> Iterator[None]:
    """Remove the folder, and parents made for it, when it was not there before and the block ends in an error:
    bad input leaves no trace."""
    new = [place for place in (folder, *folder.parents) if not place.exists()]
    try:
        yield
    except Exception:  # tidied up and raised again, whatever it is; an interruption keeps what a next run resumes from
        if new:
            shutil.rmtree(new[-1], ignore_errors=True)
        raise


def _remove(probe: Path) -> None:
    try:
        probe.unlink(missing_ok=True)
    except OSError:
        return  # the folder cannot be written: there is no probe either

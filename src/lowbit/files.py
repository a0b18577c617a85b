# SPDX-License-Identifier: Apache-2.0
"""Files that are either whole or not there: written beside their place, then renamed into it."""

import errno
import hashlib
import io
import os
import uuid
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from lowbit.errors import InputError


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary path beside `path`, with the same suffix; renamed to `path` when the block ends well.

    The folder is created. An error inside the block leaves `path` as it was and no temporary file behind.
    Raises InputError when the place cannot be written (read-only, full, a folder).

    >>> with replacing("model.keras") as temporary:    # doctest: +SKIP
    ...     model.save(temporary)
    """
    path = Path(path)
    if path.exists() and not path.is_file() and not path.is_dir():
        raise InputError(
            received=f"output {path}, a device or a pipe",
            expected="a file, which is replaced whole",
            mend="choose another output path",
        )
    temporary = path.with_name(f".{path.stem}.{uuid.uuid4().hex[:12]}.tmp{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        temporary.replace(path)
    except OSError as error:
        if not _is_about(error, temporary):
            raise
        raise InputError(
            received=f"{path}: {error.strerror or error}",
            expected="a place that can be written, with room left",
            mend="choose another output path, or free space and permissions there",
        ) from error
    finally:
        with suppress(OSError):  # gone already, or its folder never was one
            temporary.unlink()


@contextmanager
def without_training_state(model: Any) -> Iterator[None]:
    """Within, the Keras model is saved without optimizer, metrics and compiled loss; afterwards it has them again."""
    if not model.compiled:
        yield
        return
    optimizer = model.optimizer
    model.compiled, model.optimizer = False, None
    try:
        yield
    finally:
        model.compiled, model.optimizer = True, optimizer


def _is_about(error: OSError, temporary: Path) -> bool:
    """Whether the place is to blame, and not some other file that the block touched."""
    if error.filename is None:
        return error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)
    named = Path(os.fsdecode(error.filename))
    return named == temporary or named in temporary.parents


def write_bytes(path: str | os.PathLike[str], content: bytes) -> None:
    """Write `content` to `path`, whole or not at all; raises InputError when it cannot be written."""
    with replacing(path) as temporary:
        temporary.write_bytes(content)


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write `text` as UTF-8 with Unix line ends, whole or not at all; raises InputError like `write_bytes`."""
    write_bytes(path, text.encode("utf-8"))


def sha256(path: str | os.PathLike[str]) -> str:
    """Hexadecimal SHA-256 of the file's bytes."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def zipped_size(path: str | os.PathLike[str]) -> int:
    """Bytes of a zip archive holding only this file, deflated: what a download costs."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as opened:
        opened.writestr(zipfile.ZipInfo("model"), Path(path).read_bytes(), zipfile.ZIP_DEFLATED)
    return archive.getbuffer().nbytes

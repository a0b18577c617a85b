# SPDX-License-Identifier: Apache-2.0
"""A `.npz` file of arrays."""

import os
import zipfile
import zlib
from pathlib import Path

import numpy as np

from lowbit.data.array_words import from_words
from lowbit.data.dataset import Dataset
from lowbit.data.options import Options
from lowbit.data.source import Array
from lowbit.errors import FileFormatError, InputError

# RuntimeError: zipfile's word for an encrypted member; NotImplementedError: for a compression it does not know.
_UNREADABLE = (OSError, ValueError, EOFError, KeyError, RuntimeError, zipfile.BadZipFile, zlib.error)


def load_npz(path: Path, options: Options) -> Dataset:
    """The data set of a `.npz`; its words are those of `from_words`.

    Raises InputError for a missing file and unusable arrays, FileFormatError for a damaged one. Pickled Python
    objects are refused: reading them could run code.
    """
    if not os.path.isfile(path):
        raise InputError(received=f"{path}, which is not a file", expected="a .npz file", mend="check the path")
    return from_words(path.stem, str(path), _read(path), options)


def _read(path: Path) -> dict[str, Array]:
    try:
        stored = np.load(path, allow_pickle=False)
        if not isinstance(stored, np.lib.npyio.NpzFile):
            raise ValueError("it holds a single array without a name")
        with stored:
            return {word: stored[word] for word in stored.files}
    except _UNREADABLE as error:
        raise FileFormatError(
            received=f"{path}, which cannot be read ({error})",
            expected="a .npz of numeric arrays, as numpy.savez writes it",
            mend="write or copy it anew",
        ) from error

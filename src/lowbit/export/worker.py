# SPDX-License-Identifier: Apache-2.0
"""Makes the bytes of one file for another process: `python -m lowbit.export.worker FOLDER`, on TensorFlow.

The folder holds the saved simulation and what is asked (`lowbit.export.outside`); bytes and answer are put there.
"""

import json
import pickle
import sys
import warnings
from pathlib import Path
from typing import Any

import keras

import lowbit
from lowbit.errors import InputError, LowbitError
from lowbit.export import classes, content, outside


def main(folder: Path) -> None:
    """Any other error than lowbit's own ends the process with its traceback."""
    asked = json.loads((folder / outside.REQUEST).read_text())
    failure = None
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("ignore")
        warnings.simplefilter("always", UserWarning)
        try:
            (folder / outside.CONTENT).write_bytes(_content(folder / outside.SIMULATION, asked))
        except LowbitError as error:
            failure = error
    texts = [str(one.message) for one in told if one.category is UserWarning and _is_ours(one.filename)]
    answer = {"error": failure, "warnings": list(dict.fromkeys(texts))}
    (folder / outside.ANSWER).write_bytes(pickle.dumps(answer))


def _content(path: Path, asked: dict[str, Any]) -> bytes:
    if asked["version"] != lowbit.__version__:
        raise InputError(
            received=f"an interpreter with lowbit {lowbit.__version__}",
            expected=f"lowbit {asked['version']}, as here",
            mend=f"run: {sys.executable} -m pip install lowbit=={asked['version']}",
        )
    classes.import_all(tuple(place) for place in asked["classes"])
    # the file is the calling process's own model: code stored in it (a Lambda layer) runs there already
    return content.made_here(keras.saving.load_model(path, compile=False, safe_mode=False), asked["io"])


def _is_ours(filename: str) -> bool:
    return Path(lowbit.__file__).parent in Path(filename).parents


if __name__ == "__main__":
    main(Path(sys.argv[1]))

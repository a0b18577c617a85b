# SPDX-License-Identifier: Apache-2.0
"""The process that makes a file's bytes where Keras does not run on TensorFlow: started, asked, heard.

It is given the simulation as a saved model and this process's own modules, and runs `lowbit.export.worker`.
"""

import json
import os
import pickle
import re
import signal
import subprocess
import sys
import sysconfig
import tempfile
import warnings
from pathlib import Path

import lowbit
from lowbit.errors import ExportError, InputError
from lowbit.export import classes
from lowbit.files import without_training_state
from lowbit.simulation import Simulation

SIMULATION, REQUEST, CONTENT, ANSWER = "simulation.keras", "request.json", "model.tflite", "answer.pickle"
"""Files in the folder that both processes share; only this process and its own child write there."""

_MISSING = re.compile(r"No module named '?(\w+)")


def made(simulation: Simulation, io: str, python: str | os.PathLike[str] | None) -> bytes:
    """See `content.made`; `python` None is this interpreter. Warnings and errors of the process are raised here."""
    interpreter = str(sys.executable if python is None else python)
    with tempfile.TemporaryDirectory(prefix="lowbit-") as name:
        folder = Path(name)
        with without_training_state(simulation):
            simulation.save(folder / SIMULATION)
        asked = {"io": io, "classes": classes.needed(simulation), "version": lowbit.__version__}
        (folder / REQUEST).write_text(json.dumps(asked))
        done = _run(interpreter, folder)
        if not (folder / ANSWER).is_file():
            raise _no_answer(interpreter, done)
        answer = pickle.loads((folder / ANSWER).read_bytes())
        for text in answer["warnings"]:
            warnings.warn(text, stacklevel=5)
        if answer["error"] is not None:
            raise answer["error"]
        return (folder / CONTENT).read_bytes()


def _run(interpreter: str, folder: Path) -> "subprocess.CompletedProcess[str]":
    """-P: nothing of the current folder comes before the modules of this process."""
    command = [interpreter, "-P", "-m", "lowbit.export.worker", str(folder)]
    try:
        return subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", env=_environment()
        )
    except OSError as error:
        raise InputError(
            received=f"python={interpreter!r}, which cannot be started: {error.strerror}",
            expected="a Python interpreter with lowbit and TensorFlow",
            mend="pass the path of one, or leave python (--python) out for the one that runs this",
        ) from error


def _environment() -> dict[str, str]:
    """This environment on TensorFlow and the CPU: a GPU may be full with the data of this process.

    What is installed for this interpreter is left out of the path: another one has packages of its own.
    """
    paths = [path or os.getcwd() for path in sys.path]
    own = [path for path in dict.fromkeys(paths) if not _is_installed(Path(path))]
    hidden = {"KERAS_BACKEND": "tensorflow", "CUDA_VISIBLE_DEVICES": "-1", "PYTHONPATH": os.pathsep.join(own)}
    return {**os.environ, **hidden}


def _is_installed(path: Path) -> bool:
    roots = [Path(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib", "purelib", "platlib")]
    return path.suffix == ".zip" or any(root == path or root in path.parents for root in roots)


def _no_answer(interpreter: str, done: "subprocess.CompletedProcess[str]") -> Exception:
    """Why the process ended without an answer."""
    missing = _MISSING.search(done.stderr)
    if missing is not None:
        return InputError(
            received=f"python={interpreter!r}, which has no package {missing[1]!r}",
            expected="a Python interpreter with lowbit and TensorFlow, which makes the file",
            mend=f"run: {interpreter} -m pip install lowbit, or pass another one as python (--python)",
        )
    if done.returncode < 0:
        ended = signal.Signals(-done.returncode).name
        return ExportError(f"the process that makes the file was ended by {ended}; free memory, and try again")
    if not done.returncode:
        return InputError(
            received=f"python={interpreter!r}, which ended without an answer",
            expected="a Python interpreter with lowbit and TensorFlow",
            mend="pass the path of one, or leave python (--python) out",
        )
    lines = [line.strip() for line in done.stderr.splitlines() if line.strip()] or [f"exit code {done.returncode}"]
    last = lines[-1] if any(line.startswith("Traceback") for line in lines) else lines[0]
    return ExportError(
        f"the process that makes the file, {interpreter}, failed: {last[:300]}; layers that stay float must compute "
        "with keras.ops, as TensorFlow runs them there"
    )

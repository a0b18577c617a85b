# SPDX-License-Identifier: Apache-2.0
"""Options that several commands share, and how their words are read."""

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lowbit.errors import InputError

if TYPE_CHECKING:
    from lowbit.spec import Rule

MOST_THREADS = 1024

DATA_HELP = "digits, a folder of images, a .npz file, package.module:function, or a tfds name."
MODEL_HELP = "A .keras or .h5 file, package.module:function, or a zoo name such as small_cnn or mobilenet_v2."

Model = Annotated[str, typer.Argument(help=MODEL_HELP, metavar="MODEL", show_default=False)]
Data = Annotated[str, typer.Option("--data", help=DATA_HELP, metavar="DATA", show_default=False)]
MaybeData = Annotated[str | None, typer.Option("--data", help=DATA_HELP, metavar="DATA", show_default=False)]
ModelArgs = Annotated[
    list[str] | None,
    typer.Option("--model-arg", help="A setting of a zoo model, such as alpha=0.35; repeatable.", metavar="K=V"),
]
Metrics = Annotated[
    list[str] | None,
    typer.Option("--metric", help="A further metric, any of Keras by its name, such as AUC; repeatable."),
]
ImageSize = Annotated[
    str | None,
    typer.Option(help="Side of images in pixels, or height x width as 96x128.", metavar="N", show_default=False),
]
Preprocess = Annotated[
    str | None,
    typer.Option(
        help="-1..1, 0..1, 0..255, imagenet, none or module:function, for a model without a card.",
        metavar="P",
        show_default=False,
    ),
]
InputShapes = Annotated[
    list[str] | None,
    typer.Option(
        "--input-shape",
        help="Sizes without the batch, for a model whose own are free; NAME=SIZES for one of several inputs.",
        metavar="224,224,3",
        show_default=False,
    ),
]
LeastAgreement = Annotated[
    float,
    typer.Option(help="Share of answers on which file and simulation must agree on --data, or no file is left."),
]
CalibrationSamples = Annotated[int, typer.Option(help="Training samples that set the ranges of activations.")]
Rules = Annotated[
    str | None,
    typer.Option(help="Settings for single layers, in YAML.", metavar="FILE.yaml", show_default=False),
]
Seed = Annotated[int, typer.Option(help="Seed of splits, weights and shuffling.")]
Io = Annotated[str, typer.Option(help="Type of inputs and outputs: float32 or int8.")]
KeepNames = Annotated[
    bool, typer.Option("--keep-names", help="Leave the names of tensors in an integer file, which its card holds else.")
]
Python = Annotated[
    str | None,
    typer.Option(
        help="Interpreter with lowbit and TensorFlow that makes the file; this one if not given.", show_default=False
    ),
]
Threads = Annotated[int, typer.Option(help="Threads for measuring latency.")]


def image_size(word: str | None) -> tuple[int, int] | None:
    """(height, width) in pixels of `128` or `96x128`; raises InputError for any other word.

    >>> image_size("96x128")
    (96, 128)
    """
    if word is None:
        return None
    sides = word.lower().split("x")
    if not 1 <= len(sides) <= 2 or not all(_is_size(side) for side in sides):
        raise InputError(
            received=f"--image-size {word[:40]}",
            expected="a side of at least 2 pixels, or 96x128",
            mend="pass --image-size 128",
        )
    from lowbit.data.options import image_size_of

    return image_size_of((int(sides[0]), int(sides[-1])))


def input_shape(words: Sequence[str] | None) -> tuple[int, ...] | dict[str, tuple[int, ...]] | None:
    """Sizes of the input, or a dict of them by input name; raises InputError for words that are neither.

    >>> input_shape(["224,224,3"])
    (224, 224, 3)
    >>> input_shape(["left=32,3", "right=16,3"])
    {'left': (32, 3), 'right': (16, 3)}
    """
    shapes: dict[str, tuple[int, ...]] = {}
    for word in words or ():
        name, equals, sizes = word.rpartition("=")
        numbers = [size.strip() for size in sizes.split(",")]
        if (equals and not name) or not all(_is_size(number) for number in numbers):
            raise InputError(
                received=f"--input-shape {word}",
                expected="sizes of 1 and more, separated by commas and without the batch, or NAME=SIZES",
                mend="pass --input-shape 224,224,3",
            )
        if name in shapes or (shapes and "" in (name, *shapes)):
            raise InputError(
                received=f"--input-shape {word}, after another one",
                expected="one shape, or one for each input by its name",
                mend="pass --input-shape NAME=224,224,3 for each input",
            )
        shapes[name] = tuple(int(number) for number in numbers)
    return shapes.get("", shapes or None)


def _is_size(word: str) -> bool:
    return word.isascii() and word.isdigit() and 1 <= int(word) < 2**31


def share(name: str, number: float, *, example: float, above: bool = False) -> float:
    """`number`; raises InputError unless it lies between 0, or above it, and 1."""
    if not 0 <= number <= 1 or (above and number == 0):
        raise InputError(
            received=f"--{name} {number}",
            expected="a share above 0 up to 1" if above else "a share from 0 to 1",
            mend=f"pass --{name} {example}, or leave it out",
        )
    return number


def model_args(words: Sequence[str] | None) -> dict[str, str]:
    """`["alpha=0.35"]` -> `{"alpha": "0.35"}`; raises InputError for a word without `=`."""
    pairs = {}
    for word in words or ():
        name, equals, value = word.partition("=")
        if not equals or not name:
            raise InputError(received=f"--model-arg {word}", expected="NAME=VALUE", mend="pass --model-arg alpha=0.35")
        pairs[name] = value
    return pairs


def output(word: str, *suffixes: str) -> Path:
    """A place for a file to be written; raises InputError, before any work, when it cannot be one."""
    path = Path(word)
    if not word.strip():
        raise InputError(received="an empty output path", expected="a file", mend="name one")
    if word.endswith(("/", os.sep)):
        raise InputError(
            received=f"output {word}, which names a folder", expected="a file", mend="leave the slash at its end out"
        )
    if suffixes and path.suffix.lower() not in suffixes:
        raise InputError(
            received=f"output {word}", expected=f"a name ending in {' or '.join(suffixes)}", mend=f"add {suffixes[0]}"
        )
    folder = next(place for place in (path.absolute().parent, *path.absolute().parents) if place.exists())
    if path.is_dir() or not _is_writable(folder):
        raise InputError(
            received=f"output {word}, {'a folder' if path.is_dir() else f'where {folder} cannot be written to'}",
            expected="a file in a folder that can be written",
            mend="choose another output path",
        )
    return path


def _is_writable(folder: Path) -> bool:
    """Whether a file can be made there: root may write to /proc by its permissions, and cannot."""
    try:
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def existing(word: str, *suffixes: str) -> Path:
    """A file to be read; raises InputError when it is not there or ends otherwise."""
    path = Path(word)
    if suffixes and path.suffix.lower() not in suffixes:
        raise InputError(
            received=f"file {word}", expected=f"a file ending in {' or '.join(suffixes)}", mend="check the file name"
        )
    if not path.is_file():
        raise InputError(received=f"{word}, which is no file", expected="an existing file", mend="check the path")
    return path


def rules(word: str | None) -> tuple["Rule", ...]:
    """The rules of a YAML file, none without a file; raises InputError as `rules_from_yaml` does."""
    if word is None:
        return ()
    from lowbit.spec.rules_file import rules_from_yaml

    return rules_from_yaml(existing(word, ".yaml", ".yml"))


def not_its_input(path: Path, source: str) -> None:
    """Raises InputError when the file to be written is the one that is read, by whatever name or link."""
    if path.exists() and os.path.exists(source) and os.path.samefile(path, source):
        raise InputError(
            received=f"output {path}, which is the input {source}",
            expected="another file: the input would be lost",
            mend="choose another output path",
        )


def check_threads(threads: int | None) -> None:
    """Raises InputError for a number of threads that cannot be meant."""
    from lowbit.runtime.interpreter import MOST_THREADS

    at_least_one(threads=threads)
    if threads is not None and threads > MOST_THREADS:
        raise InputError(
            received=f"--threads {threads}", expected=f"1 to {MOST_THREADS}", mend="pass the number of cores"
        )


def thread_counts(word: str) -> list[int]:
    """Numbers of threads separated by commas; raises InputError for anything else.

    >>> thread_counts("1,4")
    [1, 4]
    """
    parts = [part.strip() for part in word.split(",")]
    if not all(part.isdigit() for part in parts):
        raise InputError(received=f"--threads {word}", expected="a number, or several: 1,2,4", mend="pass --threads 1")
    counts = list(dict.fromkeys(int(part) for part in parts))
    for count in counts:
        check_threads(count)
    return counts


def one_of(name: str, word: str, known: Sequence[str]) -> None:
    """Raises InputError for a word that is not known."""
    if word not in known:
        raise InputError(
            received=f"--{name} {word}", expected=f"one of {', '.join(known)}", mend=f"pass --{name} {known[0]}"
        )


def at_least_one(**numbers: int | None) -> None:
    """Raises InputError for the first number under 1."""
    for name, number in numbers.items():
        if number is not None and number < 1:
            option = name.replace("_", "-")
            raise InputError(received=f"--{option} {number}", expected="1 or more", mend=f"pass another --{option}")

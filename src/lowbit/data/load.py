# SPDX-License-Identifier: Apache-2.0
"""One word -> one data set."""

import os
import re
from collections.abc import Sequence
from pathlib import Path

from lowbit.data.array_words import from_words, words_of
from lowbit.data.dataset import Dataset
from lowbit.data.digits import NAME as DIGITS
from lowbit.data.digits import load_digits
from lowbit.data.folders import load_folder
from lowbit.data.npz import load_npz
from lowbit.data.options import Options, image_size_of
from lowbit.data.tfds_sets import load_tfds
from lowbit.errors import InputError
from lowbit.functions import is_function_word, resolve

_TFDS_WORD = re.compile(r"[a-z]\w*(/[\w.-]+)?(:\d+\.\d+\.\d+)?", re.IGNORECASE)


def load_dataset(
    data: str | os.PathLike[str],
    *,
    image_size: int | Sequence[int] | None = None,
    preprocess: str | None = None,
    resize: str = "bilinear",
    channels: int | None = None,
    seed: int = 0,
    tfds_dir: str | os.PathLike[str] | None = None,
    keep: bool = True,
) -> Dataset:
    """The data set that a word names. Tried in this order:

    * `digits`: built in, 1,797 images of 8 x 8
    * `folder/`: class folders with or without `train validation test` above them, or a flat folder of images
    * `file.npz`: `x_train y_train [x_validation y_validation] x_test y_test`, or `x y`; `x_train.<input name>`
    * `package.module:function`: returns such arrays, or a Dataset
    * any other name: a tfds image classification set such as `deep_weeds`

    `image_size`: a side or (height, width) in pixels; None keeps the size of the data. `preprocess`: `0..1` (when
    None), `-1..1`, `0..255`, `imagenet`, `none` or `module:function`; it acts on images (files, integers), while
    arrays of floating-point numbers are a model's input already. `resize`: nearest, bilinear, bicubic, lanczos, area.
    `channels`: 1 or 3; None means 3 for folders, else as the data has. `seed` divides data that comes without splits.
    `tfds_dir`: where tfds keeps its data. `keep`: decode all images that fit into memory (1 GiB) now, so that a
    damaged one is found before any work begins; False decodes them each time they are read, for one pass over data of
    any size.

    Raises InputError, with the file's name, for data that is missing or unusable; FileFormatError for damaged files;
    MissingExtraError for a tfds name without tfds installed.

    >>> load_dataset("digits").counts
    {'train': 719, 'validation': 179, 'test': 899}
    """
    options = Options(
        preprocess=preprocess,
        resize=resize,
        image_size=image_size_of(image_size),
        channels=channels,
        seed=seed,
        keep=keep,
        tfds_dir=tfds_dir,
    )
    word = os.fspath(data)
    path = Path(os.path.expanduser(word))
    if word == DIGITS:
        return load_digits(options)
    if not word.strip():
        raise InputError(received="an empty name", expected="a data set", mend="pass for example --dataset digits")
    if path.suffix.lower() == ".npz":
        return load_npz(path, options)
    if os.path.isdir(path):  # unlike Path.is_dir, False for a name too long to be a path
        return load_folder(path, options)
    if is_function_word(word):
        return _load_function(word, options)
    if os.path.exists(path) or not _TFDS_WORD.fullmatch(word):
        return load_folder(path, options)  # which says what is wrong with it
    return load_tfds(word, options)


def check_place(data: str) -> None:
    """Raises InputError for a word that can only be a file or folder, and is none; nothing is read."""
    path = Path(os.path.expanduser(data))
    may_be_a_name = data == DIGITS or is_function_word(data) or _TFDS_WORD.fullmatch(data) is not None
    if data.strip() and not may_be_a_name and not os.path.exists(path):
        raise InputError(
            received=f"{data}, which is not there",
            expected="a folder of images, a .npz file, or the name of a data set",
            mend="check the path",
        )


def _load_function(word: str, options: Options) -> Dataset:
    """What the user's function returns: a Dataset as it is, or arrays.

    Raises InputError when a Dataset is prepared in another way than asked for.
    """
    made = resolve(word)()
    if not isinstance(made, Dataset):
        return from_words(word.replace(":", "."), word, words_of(word, made), options)
    asked = options.settings(
        preprocess=made.settings.preprocess, image_size=made.settings.image_size, channels=made.settings.channels
    )
    differing = [key for key, value in asked.as_dict().items() if made.preprocessing[key] != value and key != "resize"]
    if differing:
        raise InputError(
            received=f"{word}, prepared with " + ", ".join(f"{key}={made.preprocessing[key]}" for key in differing),
            expected=", ".join(f"{key}={asked.as_dict()[key]}" for key in differing),
            mend="pass the same to load_dataset in that function",
        )
    return made

# SPDX-License-Identifier: Apache-2.0
"""A folder of images: class folders, with or without split folders above them, or a flat folder without labels."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from lowbit.data.classes_file import read_class_order
from lowbit.data.dataset import Dataset
from lowbit.data.decode import EncodedFile
from lowbit.data.images import ImagePart, from_images
from lowbit.data.options import Options
from lowbit.data.partition import ALL, SPLITS
from lowbit.errors import FileFormatError, InputError

SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm", ".pbm"}
)  # in small letters
_LICENCES = ("ATTRIBUTION", "ATTRIBUTION.txt", "ATTRIBUTION.md", "LICENSE", "LICENSE.txt", "LICENSE.md")
_LONGEST_ATTRIBUTION = 2000  # characters
_IGNORED = frozenset({"thumbs.db", "desktop.ini"})  # left behind by file managers; so are names with a dot in front


def load_folder(root: Path, options: Options) -> Dataset:
    """The data set of a folder.

        root/cat/1.jpg                 classes; divided 80 : 10 : 10
        root/train/cat/1.jpg           classes below train, validation, test (a missing validation: a tenth of train)
        root/1.jpg                     no classes: training data without labels, enough to calibrate

    Labels follow `classes.txt` in the root when there is one, else the sorted names of the class folders, and class
    folders are read to any depth. Raises InputError for a missing or empty folder, a class without an image, a file
    among the images that is none, and whatever `from_images` refuses.
    """
    if not os.path.isdir(root):
        raise InputError(
            received=f"{root}, which is {'not a folder' if os.path.exists(root) else 'not there'}",
            expected="a folder of images, a .npz file, or the name of a data set",
            mend="check the path",
        )
    folders = _subfolders(root)
    name = root.resolve().name or "root"
    if not folders:
        return from_images(name, {ALL: ImagePart(_flat(root), None)}, options, class_names=None)
    stray = next((path for path in _entries(root) if path.suffix.lower() in SUFFIXES), None)
    if stray is not None:
        raise InputError(
            received=f"image {stray} beside the folder {folders[0].name}",
            expected="images in class folders, or no folders at all",
            mend="move it into a class folder",
        )
    split_roots = _split_roots(root, folders)
    class_names = _class_names(root, split_roots)
    parts = {split: _labelled(root, folder, class_names) for split, folder in split_roots.items()}
    return replace(from_images(name, parts, options, class_names=class_names), attribution=_attribution(root))


def _attribution(root: Path) -> str | None:
    """The beginning of a licence or attribution that lies in the folder."""
    found = next((root / name for name in _LICENCES if (root / name).is_file()), None)
    if found is None:
        return None
    with found.open(encoding="utf-8", errors="replace") as stream:
        return " ".join(stream.read(_LONGEST_ATTRIBUTION).split()) or None


def _entries(folder: Path) -> Iterator[Path]:
    """What lies in the folder, sorted by name, without hidden files. One path at a time, as there may be a million."""
    try:
        found = sorted(os.listdir(folder))
    except OSError as error:
        raise InputError(
            received=f"folder {folder}, which cannot be read ({error.strerror})",
            expected="a readable folder",
            mend="correct its permissions",
        ) from error
    return (folder / name for name in found if not name.startswith(".") and name.lower() not in _IGNORED)


def _subfolders(folder: Path) -> list[Path]:
    return [path for path in _entries(folder) if path.is_dir()]


def _split_roots(root: Path, folders: Sequence[Path]) -> dict[str, Path]:
    """The folder that holds the class folders of each split; `{"all": root}` without split folders."""
    splits = {folder.name: folder for folder in folders if folder.name in SPLITS}
    if not splits:
        return {ALL: root}
    other = [folder.name for folder in folders if folder.name not in SPLITS]
    if other:
        raise InputError(
            received=f"folder {root} with {', '.join(splits)} beside {', '.join(other)}",
            expected=f"only split folders ({', '.join(SPLITS)}) or only class folders",
            mend="rename or move the other folders",
        )
    return {name: splits[name] for name in SPLITS if name in splits}


def _class_names(root: Path, split_roots: dict[str, Path]) -> tuple[str, ...]:
    """Names of the class folders in label order, the same in every split."""
    found = {folder: {path.name for path in _subfolders(folder)} for folder in split_roots.values()}
    names = set().union(*found.values())
    for folder, present in found.items():
        if names - present:
            raise InputError(
                received=f"folder {folder} without the class {', '.join(sorted(names - present))}",
                expected="the same class folders in every split, each with an image",
                mend="add images of that class, or remove it from the other splits",
            )
    if len(names) < 2:
        raise InputError(
            received=f"{root} with {len(names)} class folders",
            expected="at least two classes, or images without folders (no labels: calibration only)",
            mend="make one folder for each class",
        )
    order = read_class_order(root / "classes.txt", names)
    return tuple(sorted(names)) if order is None else order


def _labelled(root: Path, folder: Path, class_names: Sequence[str]) -> ImagePart:
    images: list[EncodedFile] = []
    labels: list[int] = []
    for label, class_name in enumerate(class_names):
        found = _images_below(root, folder / class_name)
        if not found:
            raise InputError(
                received=f"class folder {folder / class_name} without an image",
                expected="at least one image of each class",
                mend="add images or remove the folder",
            )
        images += found
        labels += [label] * len(found)
    return ImagePart(images, np.array(labels, np.int64))


def _images_below(root: Path, folder: Path) -> list[EncodedFile]:
    """All images below the folder in a fixed order; raises FileFormatError for a file that is none."""
    found: list[EncodedFile] = []
    for path in _entries(folder):
        if path.is_dir():
            found += _images_below(root, path)
        elif path.suffix.lower() in SUFFIXES:
            found.append(_encoded(root, path))
        else:
            raise FileFormatError(
                received=f"{path} among the images of a class",
                expected="a file that ends in " + ", ".join(sorted(SUFFIXES)),
                mend="remove or convert it",
            )
    return found


def _flat(root: Path) -> list[EncodedFile]:
    images = [_encoded(root, path) for path in _entries(root) if path.suffix.lower() in SUFFIXES]
    if not images:
        raise InputError(
            received=f"folder {root} without an image",
            expected="images (" + ", ".join(sorted(SUFFIXES)) + ") or class folders of images",
            mend="check the path",
        )
    return images


def _encoded(root: Path, path: Path) -> EncodedFile:
    if not path.is_file() and path.exists():  # reading a pipe or a device may never end
        raise InputError(
            received=f"{path}, which is no regular file", expected="images as files", mend="remove it or copy the image"
        )
    return EncodedFile(str(path), str(root))

# SPDX-License-Identifier: Apache-2.0
"""`classes.txt`: the order of the labels, when it is not the alphabetical order of the class folders."""

from collections.abc import Set
from pathlib import Path

from lowbit.errors import FileFormatError, InputError


def read_class_order(path: Path, folders: Set[str]) -> tuple[str, ...] | None:
    """Names of the class folders in label order, or None when there is no such file.

    One class on each line: `index,folder` or `index,folder,name for people`; indices count from 0, in any order;
    empty lines do not matter. Raises FileFormatError for another form, InputError when the folders are others.

        0,chinee_apple,Chinee apple
        1,lantana,Lantana
    """
    if not path.is_file():
        return None
    by_index: dict[int, str] = {}
    for number, line in enumerate(_lines(path), start=1):
        if not line.strip():
            continue
        index, _, rest = line.partition(",")
        folder = rest.partition(",")[0].strip()
        if not index.strip().isdecimal() or not folder or int(index) in by_index:
            raise FileFormatError(
                received=f"{path}, line {number}: {line.strip()!r}",
                expected="index,folder or index,folder,name with each index once",
                mend="correct the line, or remove the file to use the alphabetical order",
            )
        by_index[int(index)] = folder
    order = tuple(by_index[index] for index in sorted(by_index))
    if sorted(by_index) != list(range(len(order))):
        raise FileFormatError(
            received=f"{path} with the indices {sorted(by_index)}",
            expected=f"0 to {len(order) - 1} without a gap",
            mend="number the classes from 0",
        )
    if sorted(order) != sorted(folders):
        differing = sorted(set(order) ^ set(folders)) or sorted(order)
        raise InputError(
            received=f"{path} and class folders that differ in {', '.join(differing)}",
            expected="each class folder named once",
            mend="correct the file or the folders",
        )
    return order


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise FileFormatError(
            received=f"{path}, which cannot be read as text ({error})", expected="UTF-8 text", mend="save it as UTF-8"
        ) from error

# SPDX-License-Identifier: Apache-2.0
import os
import shutil
from collections import namedtuple
from pathlib import Path

import pytest

from lowbit.compare.folder import keep_only_if_begun, model_path, prepare, row_file, with_card
from lowbit.errors import InputError


def test_a_new_folder_is_made_and_left_clean(tmp_path: Path) -> None:
    prepare(tmp_path / "runs" / "one")
    assert list((tmp_path / "runs" / "one").iterdir()) == []


def test_a_file_in_its_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("mine")
    with pytest.raises(InputError, match="out', which is a file; expected a folder"):
        prepare(tmp_path / "out")
    with pytest.raises(InputError, match="Not a directory; expected a folder that can be written"):
        prepare(tmp_path / "out" / "run")
    assert (tmp_path / "out").read_text() == "mine"


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may write to read-only folders")
def test_a_read_only_folder_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(InputError, match="Permission denied.*change its permissions"):
            prepare(tmp_path / "out")
    finally:
        tmp_path.chmod(0o700)


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs a file system that even the superuser cannot write")
def test_a_file_system_that_cannot_be_written_is_refused() -> None:
    with pytest.raises(InputError, match="expected a folder that can be written"):
        prepare(Path("/proc/lowbit-run"))


def test_a_full_disk_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(100 << 20, 99 << 20, 1 << 20))
    with pytest.raises(InputError, match="with 1 MiB free; expected at least 32 MiB; free some space"):
        prepare(tmp_path / "out")


def test_bad_input_leaves_no_folder_behind_and_touches_no_old_one(tmp_path: Path) -> None:
    def fail(folder: Path) -> None:
        with pytest.raises(ValueError, match="bad"), keep_only_if_begun(folder):
            prepare(folder)
            (folder / "half").write_text("half")
            raise ValueError("bad")

    fail(tmp_path / "runs" / "new")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "results.json").write_text("{}")
    fail(tmp_path / "old")
    assert (tmp_path / "old" / "results.json").exists()


def test_where_things_lie() -> None:
    assert model_path("finetuned") == "models/keras-float32-finetuned.keras"
    assert model_path("qat-scratch-w8a8") == row_file("keras-qat-scratch-w8a8", "keras")
    assert with_card(row_file("ptq-w8a8", "litert")) == ("models/ptq-w8a8.tflite", "models/ptq-w8a8.tflite.json")

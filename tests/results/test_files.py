# SPDX-License-Identifier: Apache-2.0
import errno
import os

import pytest

from lowbit.errors import InputError
from lowbit.files import replacing, sha256, write_text, zipped_size


def test_the_folder_is_made_and_the_suffix_kept(tmp_path):
    path = tmp_path / "new" / "model.keras"
    with replacing(path) as temporary:
        assert temporary.suffix == ".keras"
        assert temporary.parent == path.parent
        temporary.write_text("whole")
        assert not path.exists()
    assert path.read_text() == "whole"
    assert os.listdir(path.parent) == ["model.keras"]


def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "a.txt"
    write_text(path, "old")
    with pytest.raises(ZeroDivisionError), replacing(path) as temporary:
        temporary.write_text("half")
        _ = 1 / 0
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_a_full_disk_is_said_in_one_line(tmp_path):
    with pytest.raises(InputError, match=r"a\.txt: No space left on device"), replacing(tmp_path / "a.txt"):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert os.listdir(tmp_path) == []


def test_a_place_that_is_no_folder(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="place that can be written"):
        write_text(tmp_path / "file" / "a.txt", "x")


def test_a_folder_in_the_way(tmp_path):
    with pytest.raises(InputError, match="place that can be written"):
        write_text(tmp_path, "x")


def test_other_files_errors_are_not_blamed_on_the_place(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"elsewhere\.txt"), replacing(tmp_path / "a.txt"):
        (tmp_path / "elsewhere.txt").read_text()


def test_sha256_of_nothing(tmp_path):
    (tmp_path / "empty").touch()
    assert sha256(tmp_path / "empty") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def test_zipped_size_tells_noise_from_zeros(tmp_path):
    (tmp_path / "zeros").write_bytes(bytes(10_000))
    (tmp_path / "noise").write_bytes(os.urandom(10_000))
    assert zipped_size(tmp_path / "zeros") < 300
    assert 10_000 < zipped_size(tmp_path / "noise") < 10_300


def test_a_device_is_not_replaced(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(InputError, match="pipe, a device or a pipe"):
        write_text(pipe, "text")
    assert pipe.is_fifo() and list(tmp_path.iterdir()) == [pipe]

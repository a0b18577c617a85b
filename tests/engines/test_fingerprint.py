# SPDX-License-Identifier: Apache-2.0
from pathlib import Path

import pytest

from lowbit.engines import digest, library_versions, source_sha256


def test_source_hash_covers_every_room_but_those_that_only_draw(tmp_path: Path) -> None:
    def package(name: str, **files: str) -> Path:
        for path, text in {"core/a.py": "1", "report/b.py": "2", "cli/c.py": "3", **files}.items():
            (tmp_path / name / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name / path).write_text(text)
        return tmp_path / name

    base = source_sha256(package("base"))
    assert source_sha256(package("same", **{"report/b.py": "changed", "cli/c.py": "changed"})) == base
    assert source_sha256(package("changed", **{"core/a.py": "changed"})) != base
    assert source_sha256(package("renamed", **{"core/z.py": "1"})) != base


def test_versions_name_what_is_missing() -> None:
    versions = library_versions(["numpy", "no-such-distribution"])
    assert versions["numpy"] and versions["no-such-distribution"] is None and versions["python"]


def test_digest_is_of_content_not_of_order() -> None:
    assert digest({"a": [1, 2], "b": None}) == digest({"b": None, "a": (1, 2)})
    assert digest({"a": 1}) != digest({"a": 1.5})
    with pytest.raises(TypeError, match="received an argument of type PosixPath"):
        digest({"a": Path()})

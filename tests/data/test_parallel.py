# SPDX-License-Identifier: Apache-2.0
import sys
import threading

import pytest

from lowbit.data.decode import EncodedFile
from lowbit.data.parallel import map_threads


def test_values_come_in_order_and_the_earliest_error_is_told():
    assert map_threads(lambda item: 2 * item, range(5000)) == list(range(0, 10_000, 2))

    def fails(item):
        if item in (1030, 4000):
            raise ValueError(item)
        return item

    with pytest.raises(ValueError, match="1030"):
        map_threads(fails, range(5000))


def test_few_items_wait_at_once(monkeypatch):
    monkeypatch.setattr("lowbit.data.parallel.cores", lambda: 2)
    begun, begun_meanwhile = [], []

    def first_waits(item):
        begun.append(item)
        if item == 0:
            threading.Event().wait(1)
            begun_meanwhile.append(len(begun))
        return item

    assert map_threads(first_waits, range(3000)) == list(range(3000))
    assert 1 < begun_meanwhile[0] <= 1024


def test_a_file_of_a_folder_takes_little_memory():
    """A million of them must fit: two strings, of which all share the second."""
    image = EncodedFile("/data/test/cat/1.jpg", "/data")
    assert image.name == "test/cat/1.jpg"
    assert sys.getsizeof(image) < 80 and not hasattr(image, "__dict__")

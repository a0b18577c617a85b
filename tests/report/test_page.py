# SPDX-License-Identifier: Apache-2.0
"""The page: what it says, and that it says it of any run. `test_page_in_chromium` looks at it in a browser."""

import builtins
import dataclasses
import json
import re
import sys
from html.parser import HTMLParser

import pytest

from lowbit.errors import FileFormatError, MissingExtraError
from lowbit.report import charts, html
from lowbit.report.page import ship
from lowbit.results import Details, OpTime, Profile, Verdict


class Reader(HTMLParser):
    """The text of a page outside its scripts and styles, and every tag with its attributes."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.texts, self._inside = [], [], None
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self._inside = tag if tag in ("script", "style") else None

    def handle_endtag(self, tag):
        self._inside = None

    def handle_data(self, data):
        if self._inside is None:
            self.texts.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.texts).split())


def chosen(results, **changes):
    """With a verdict for ptq-w8a8: 83,500 bytes against 31,100, 0.95 times float32's latency."""
    verdict = Verdict(lines=("Take <it>.",), best={"size": "ptq-w8a8"}, max_drop=1.0, at_most={"ptq-w8a8": 0.44})
    rows = tuple(
        dataclasses.replace(row, file=f"models/{row.recipe}.tflite" if row.status == "ok" else None)
        for row in results.rows
    )
    return dataclasses.replace(results, verdict=dataclasses.replace(verdict, **changes), rows=rows)


def test_the_verdict_in_one_sentence(results):
    told = ship(chosen(results))
    assert told == "Ship ptq-w8a8.tflite: 2.7 times smaller, 1.1 times faster, accuracy drop at most 0.4 points (95 %)."
    gain = ship(chosen(results, at_most={"ptq-w8a8": -0.2}, undecided=("ptq-w8a8",)))
    assert "accuracy gain at least 0.2 points (95 %). Few samples: the measured drop decided." in gain
    none = ship(chosen(results, best={"size": "float32"}))
    assert none == "Ship float32.tflite: no smaller file stays within 1 point of it."
    assert ship(dataclasses.replace(results, verdict=None)).startswith("No verdict")


def test_the_page_tells_everything_and_needs_nothing(results, details):
    page = html(chosen(results), details)
    read = Reader(page)
    for words in (
        "Ship ptq-w8a8.tflite", "Take <it>.", "97.5", "file did not load", "1 lost, 1 gained, 0 otherwise wrong",
        "雑草", "photographs by A & B, CC BY 4.0", "lambda <1>: no integer form", "stem <conv> (CONV_2D, 50.0 %)",
        "lowbit compare", "Outside it run 1 SOFTMAX.", "95.0 % of the whole",
    ):  # fmt: skip
        assert words in read.text, words
    assert not [attrs for _, attrs in read.tags if str(attrs.get("src", "")).startswith("http") or tag_link(attrs)]
    assert len(page.encode()) < 6_000_000
    ids = [attrs["id"] for _, attrs in read.tags if "id" in attrs]
    assert len(set(ids)) == len(ids)
    assert all(attrs.get("alt") for tag, attrs in read.tags if tag == "img")
    charts = [attrs for tag, attrs in read.tags if attrs.get("role") == "img"]
    assert len(charts) == 6 and all(attrs["aria-label"] for attrs in charts)


def tag_link(attrs):
    return "stylesheet" in str(attrs.get("rel", ""))


def test_markup_in_names_stays_text(results, details):
    page = html(chosen(results), details)
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    (figures,) = re.findall(r'id="figures">(.*?)</script>', page, re.DOTALL)
    classes = json.loads(figures)["run0-chart-classes"]["data"][0]
    assert classes["x"] == ["&lt;script&gt;alert(1)&lt;/script&gt;", "雑草", 'cat &amp; "dog"']
    assert classes["z"] == [[-8.0, 2.0, 0.0]]  # 90 of 100 for 98, 50 of 50 for 49, 49 for 49


@pytest.mark.parametrize("count", [0, 1, 200])
def test_runs_of_any_size(results, count):
    """0: no row that is ok."""
    ok = results.row("ptq-w8a8")
    rows = tuple(dataclasses.replace(ok, recipe=f"r{number}") for number in range(count))
    read = Reader(html(dataclasses.replace(results, rows=rows or results.rows[-1:], verdict=None)))
    bodies = [attrs for tag, attrs in read.tags if tag == "tr" and "data-recipe" in attrs]
    assert len(bodies) == max(count, 1)
    assert ("so there is nothing to draw" in read.text) == (count == 0)
    assert "No answers are stored beside this run" in read.text


def test_several_runs_side_by_side(results, details):
    other = dataclasses.replace(results, rows=results.rows[:3], model={"name": "other"})
    read = Reader(html(results, details, [(other, None)]))
    assert "Side by side" in read.text and "not in this run" in read.text
    headings = [attrs["id"] for tag, attrs in read.tags if tag == "h1"]
    assert headings == ["run0-title", "run1-title"]


def test_without_the_packages_the_pip_command_is_named(results, monkeypatch):
    real = builtins.__import__

    def refusing(name, *args, **kwargs):
        if name.startswith("plotly"):
            raise ImportError("gone", name="plotly")
        return real(name, *args, **kwargs)

    for name in [name for name in sys.modules if name.startswith("plotly")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(builtins, "__import__", refusing)
    with pytest.raises(MissingExtraError, match=r"pip install 'lowbit\[plots\]'"):
        html(results)


def test_details_come_back_and_damaged_ones_are_refused(details, tmp_path):
    details.save(tmp_path / "details.json")
    assert Details.load(tmp_path / "details.json") == details
    (tmp_path / "details.json").write_text('{"schema": 7}')
    with pytest.raises(FileFormatError, match="schema 7"):
        Details.load(tmp_path / "details.json")


def test_no_two_kinds_of_op_share_a_colour():
    kinds = [OpTime(op=f"OP_{number}", count=1, delegated=True, share=0.1 - number / 1000) for number in range(9)]
    told = Profile(
        whole_ms=1.0, partitions=1, delegated_share=0.9, kinds=tuple(kinds), slowest=(), arena_bytes=None, reasons=()
    )
    colours = [trace["marker"]["color"] for trace in charts.times({"float32": told}).figure["data"]]
    assert len(colours) == len(set(colours)) == 7  # six, and the others

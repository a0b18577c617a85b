# SPDX-License-Identifier: Apache-2.0
import builtins
import dataclasses
import sys

import numpy as np
import pytest
from PIL import Image

from lowbit.errors import InputError, MissingExtraError
from lowbit.report import tradeoff_plot
from lowbit.report.labels import Box, place
from lowbit.report.plot import FLOAT, PTQ, QAT, compose, family, front


@pytest.mark.parametrize("suffix", ["png", "svg"])
def test_the_plot_is_written_and_repeats(results, tmp_path, suffix):
    paths = [tmp_path / f"{name}.{suffix}" for name in "ab"]
    for path in paths:
        tradeoff_plot(results, path)
    assert paths[0].stat().st_size > 10_000
    if suffix == "png":
        assert paths[0].read_bytes() == paths[1].read_bytes()
        assert np.asarray(Image.open(paths[0]).convert("L")).std() > 5


def test_what_is_drawn(results):
    picture = compose(results)
    size, latency = picture.panels
    labels = {point.label: point for point in size.points}
    assert set(labels) == {"keras-float32", "float32", "ptq-w8a8", "qat-w8a8", "ptq-w4a8 (11.0, off the scale)"}
    collapsed = labels["ptq-w4a8 (11.0, off the scale)"]
    assert collapsed.clipped
    assert picture.limits[0] < collapsed.y < picture.limits[1]
    assert labels["keras-float32"].hollow
    assert [family(row) for row in results.rows[:4]] == [FLOAT, FLOAT, PTQ, QAT]
    assert picture.limits[0] < 90 and picture.limits[1] > 99  # the float row's interval is in sight
    assert picture.allowed == 1.0
    assert size.front == ((31.1, 98.5),)
    assert [round(y, 1) for _, y in latency.front] == [98.0, 98.5]


def test_a_chosen_file_is_drawn_once_as_what_it_is(results):
    copy = dataclasses.replace(results.rows[3], recipe="auto-size", notes={"chosen": "qat-w8a8, among ptq-w8a8"})
    labels = {p.label: p for p in compose(dataclasses.replace(results, rows=(*results.rows, copy))).panels[0].points}
    assert labels["qat-w8a8\nauto-size"].family == QAT and "auto-size" not in labels
    alone = compose(dataclasses.replace(results, rows=(results.rows[1], copy))).panels[0].points
    assert [(point.label, point.family) for point in alone] == [("float32", FLOAT), ("auto-size", QAT)]


def test_front_when_less_is_better():
    assert front([(1, 5.0), (2, 6.0), (3, 4.0)], higher=False) == ((1, 5.0), (3, 4.0))


def test_labels_stay_inside_and_cover_nothing():
    generator = np.random.default_rng(0)
    points = [(float(x), float(y)) for x, y in generator.normal((200, 150), (60, 40), (17, 2))]
    sizes = [(90.0, 11.0)] * 17
    frame = Box(0, 0, 430, 330)
    boxes = place(points, sizes, frame)
    for number, box in enumerate(boxes):
        assert box.inside(frame)
        assert all(box.overlap(other) == 0 for other in boxes[:number])
        assert not any(box.x0 < x < box.x1 and box.y0 < y < box.y1 for x, y in points)


def test_labels_of_points_on_one_spot_do_not_cover_each_other():
    boxes = place([(50.0, 50.0)] * 4, [(40.0, 10.0)] * 4, Box(0, 0, 200, 100))
    assert all(one.overlap(two) == 0 for one in boxes for two in boxes if one is not two)


def test_another_ending(results, tmp_path):
    with pytest.raises(InputError, match=r"plot\.xyz.*\.png"):
        tradeoff_plot(results, tmp_path / "plot.xyz")


def test_nothing_to_draw(results, tmp_path):
    with pytest.raises(InputError, match="no row with accuracy"):
        tradeoff_plot(dataclasses.replace(results, rows=results.rows[-1:]), tmp_path / "plot.png")
    assert not list(tmp_path.iterdir())


def test_without_matplotlib_the_pip_command_is_named(results, tmp_path, monkeypatch):
    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name.startswith("matplotlib"):
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.delitem(sys.modules, "lowbit.report.drawing", raising=False)
    monkeypatch.delattr("lowbit.report.drawing", raising=False)
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingExtraError, match=r"pip install 'lowbit\[plots\]'"):
        tradeoff_plot(results, tmp_path / "plot.png")

# SPDX-License-Identifier: Apache-2.0
"""The page in a real browser without a window: Debian's Chromium, driven by Playwright."""

import dataclasses
import os
import shutil

import pytest
from playwright.sync_api import sync_playwright

from lowbit.report import html

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium: apt-get install chromium, or set CHROMIUM")
OWN = ("file:", "data:", "blob:")
DESKTOP, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}


@pytest.fixture(scope="module")
def browser():
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture
def opened(browser, results, details, tmp_path):
    """Opens the page; every message, error and request beside the file itself ends up in `.trouble`."""
    contexts = []

    def at(size=DESKTOP, scheme="light", run=results, behind=details, others=()):
        (tmp_path / "page.html").write_text(html(run, behind, others), encoding="utf-8")
        context = browser.new_context(viewport=size, color_scheme=scheme)
        contexts.append(context)
        page, trouble = context.new_page(), []
        page.on("console", lambda message: trouble.append(message.text))
        page.on("pageerror", lambda error: trouble.append(str(error)))
        page.on("request", lambda one: trouble.extend(() if one.url.startswith(OWN) else (one.url,)))
        page.on("dialog", lambda dialog: (trouble.append(dialog.message), dialog.dismiss()))
        page.goto((tmp_path / "page.html").as_uri())
        page.wait_for_function("document.querySelectorAll('.main-svg').length > 0 || !document.querySelector('.plot')")
        page.trouble = trouble
        return page

    yield at
    for context in contexts:
        context.close()


def recipes(page):
    return page.locator("table.sortable tbody tr:visible").evaluate_all("rows => rows.map(row => row.dataset.recipe)")


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_shows_all_without_network_or_errors(opened, size, scheme):
    page = opened(size, scheme)
    assert page.trouble == []
    assert page.locator(".plot .main-svg").count() >= 6
    assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]  # only tables scroll sideways
    heights = page.locator(".plot").evaluate_all(
        "plots => plots.map(plot => plot.querySelector('.draglayer rect, .nsewdrag').getBoundingClientRect().height)"
    )
    assert min(heights) > 60  # none has collapsed


def test_on_a_phone_legends_are_whole(opened, details):
    curve = next(iter(details.training.values()))
    several = {f"keras-qat-number-{number}": curve for number in range(4)}
    page = opened(PHONE, behind=dataclasses.replace(details, training=several))
    bars = page.locator(".legend .scrollbar").evaluate_all("bars => bars.map(bar => Number(bar.getAttribute('width')))")
    assert len(bars) >= 4 and not any(bars)
    assert page.locator(".heatmaplayer text").count() == 0  # its figures would be too small to read


def test_headings_sort(opened):
    page = opened()
    size = page.get_by_role("button", name="size kB")
    size.click()
    heading = page.locator("th", has=size)
    assert heading.get_attribute("aria-sort") == "ascending"
    assert recipes(page) == ["ptq-w4a8", "ptq-w8a8", "qat-w8a8", "float32", "keras-float32", "ptq-w8a16"]
    size.click()
    assert recipes(page)[0] == "keras-float32" and recipes(page)[-1] == "ptq-w8a16"  # it failed: last both ways
    page.get_by_role("button", name="change pp").press("Enter")  # by keyboard; minus signs are numbers
    assert recipes(page)[0] == "ptq-w4a8"
    assert heading.get_attribute("aria-sort") is None


def test_it_filters(opened):
    page = opened()
    page.get_by_role("searchbox").fill("QAT")
    assert recipes(page) == ["qat-w8a8"]
    assert page.locator(".count").inner_text() == "1 of 6 rows"
    page.get_by_role("searchbox").fill("")
    button = page.get_by_role("button", name="post-training quantization")
    button.click()
    assert button.get_attribute("aria-pressed") == "false"
    assert "ptq-w8a8" not in recipes(page) and "qat-w8a8" in recipes(page)


def test_points_tell_their_figures(opened):
    page = opened()
    point = page.locator("#run0-chart-tradeoff-size .scatterlayer .point").last
    point.scroll_into_view_if_needed()
    box = point.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2, steps=4)
    page.wait_for_selector(".hoverlayer .hovertext")
    assert "31,100 bytes" in page.locator("#run0-chart-tradeoff-size .hoverlayer").text_content()


def test_a_keyboard_reaches_everything(opened):
    page = opened()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    reached = set()
    for _ in range(80):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.tagName + '.' + document.activeElement.className"))
    assert {"BUTTON.", "INPUT.filter", "BUTTON.family", "DIV.scroll", "SUMMARY.", "PRE.command"} <= reached


def test_dark_and_light_change_charts_too(opened):
    page = opened()
    ink = "getComputedStyle(document.querySelector('#run0-chart-sizes .xtick text')).fill"
    before = page.evaluate(ink)
    page.get_by_role("button", name="Dark").click()
    assert page.get_by_role("button", name="Dark").get_attribute("aria-pressed") == "true"
    assert (before, page.evaluate(ink)) == ("rgb(22, 24, 29)", "rgb(236, 238, 242)")


def test_names_are_shown_as_they_are(opened):
    page = opened()
    page.locator("summary", has_text="1 lost, 1 gained").click()
    assert "<script>alert(1)</script> → 雑草" in page.locator(".samples").inner_text()
    axis = page.locator("#run0-chart-classes .xtick text").all_text_contents()
    assert [text.strip() for text in axis] == ["<script>alert(1)</script>", "雑草", 'cat & "dog"']
    assert page.trouble == []


def test_on_paper_everything_is_open_and_fits(opened):
    page = opened()
    content = page.pdf(format="A4")
    assert content.startswith(b"%PDF") and len(content) > 20_000
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.locator("details:not([open])").count() == 0
    assert page.evaluate("document.documentElement.dataset.theme") == "light"
    assert max(page.locator(".plot .main-svg").evaluate_all("all => all.map(one => one.clientWidth)")) <= 680
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.locator("details[open]").count() == 0


def test_a_run_without_details_and_one_that_failed(opened, results):
    page = opened(run=dataclasses.replace(results, rows=results.rows[-1:], verdict=None), behind=None)
    assert page.trouble == [] and "nothing to draw" in page.locator("main").inner_text()
    page = opened(behind=None, others=[(dataclasses.replace(results, rows=results.rows[:2]), None)])
    assert page.trouble == [] and page.locator("h1").count() == 2

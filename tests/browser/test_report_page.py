"""The page of runs in a real browser: drawn, heard, and asking nothing of a network."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("websockets")
pytest.importorskip("vl_convert")

from tests.browser.chromium import Chromium, Page
from tests.report.run_maker import make_clips, make_run
from tinyse.report.runs_page import runs_page

DRAWN = "document.documentElement.dataset.drawn == 'yes'"
WIDTHS = """[...document.querySelectorAll(".drawing svg")].map(
  drawing => Math.round(drawing.getBoundingClientRect().width))"""
MARKS = """[...document.querySelectorAll(".drawing svg")].map(drawing => drawing
  .querySelectorAll(".mark-symbol path, .mark-rect path, .mark-line path").length)"""


@pytest.fixture(scope="module")
def file(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    for name, sparsity, loss in (("dense", 0.0, 0.01), ("half", 0.5, 0.05), ("most", 0.9, 0.4)):
        make_run(folder / "runs" / name, sparsity, loss)
    clips = make_clips(folder / "clips", {"a": 3, "b": 12, "c": 7})
    (folder / "page.html").write_text(runs_page([folder / "runs"], clips), "utf-8")
    return folder / "page.html"


@pytest.fixture(scope="module")
def browser(tmp_path_factory) -> Chromium:
    with Chromium.start(tmp_path_factory.mktemp("chromium") / "profile") as found:
        yield found


@pytest.fixture(params=[390, 1200], ids=["phone", "desktop"])
def page(request, browser, file) -> Page:
    page = browser.open(file.as_uri(), width=request.param)
    page.wait_for(DRAWN)
    yield page
    assert page.errors == []
    own = (file.as_uri(), "about:blank", "data:", "blob:")
    assert {url for url in page.fetched if not url.startswith(own)} == set()


def test_every_chart_is_drawn_within_the_window(page, request) -> None:
    window = page.evaluate("innerWidth")
    widths = page.evaluate(WIDTHS)
    charts = page.evaluate("document.querySelectorAll('.drawing').length")
    assert len(widths) == charts >= 5
    assert all(200 < width <= window for width in widths)
    assert all(page.evaluate(MARKS))
    assert page.evaluate("document.documentElement.scrollWidth") <= window
    kept = Path(request.config.rootpath) / "out" / "screenshots"
    page.screenshot(kept / f"report_{request.node.callspec.id}.png")


def test_the_players_play_one_at_a_time_and_go_on_at_the_same_moment(page) -> None:
    assert page.evaluate("document.querySelectorAll('.example audio').length") == 9
    press = "document.querySelectorAll('.example button')[{}].click()"
    heard = "document.querySelectorAll('.example audio')[{}].currentTime > {}"
    page.evaluate(press.format(0))
    page.wait_for(heard.format(0, 0.1))
    page.evaluate(press.format(1))
    page.wait_for(heard.format(1, 0.1))
    assert page.evaluate("document.querySelectorAll('.example audio')[0].paused")


def test_a_number_says_how_it_was_measured(page) -> None:
    page.evaluate("document.querySelector('[data-how]').dispatchEvent(new Event('focus'))")
    assert not page.evaluate("document.getElementById('how').hidden")
    assert len(page.evaluate("document.getElementById('how').textContent")) > 20

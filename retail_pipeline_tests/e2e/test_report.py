"""The report in a real browser, at the widths of a phone and a desktop, and on paper."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from retail_pipeline.report.page import page as report_page
from retail_pipeline_tests.report.support import shop

PHONE, DESKTOP = 390, 1280
# A4 less the margins of the style sheet, at 96 pixels an inch
PAPER_WIDTH, PAPER_HEIGHT = 688, 1016

# where every figure and every text in it stands, in pixels of the screen
MEASURE = """
() => [...document.querySelectorAll('figure')].map(figure => {
  const svg = figure.querySelector('svg'), box = svg.getBoundingClientRect();
  const scale = box.width / svg.viewBox.baseVal.width;
  return {
    name: figure.id, label: svg.getAttribute('aria-label') || '', left: box.left, right: box.right,
    width: box.width, height: figure.getBoundingClientRect().height,
    breaks: getComputedStyle(figure).breakInside,
    letters: Math.min(...[...svg.querySelectorAll('text')].map(
      text => parseFloat(getComputedStyle(text).fontSize) * scale)),
    cut: [...svg.querySelectorAll('text')].filter(text => {
      const at = text.getBoundingClientRect();
      return at.left < box.left - 2 || at.right > box.right + 2 || at.top < box.top - 2
        || at.bottom > box.bottom + 2;
    }).map(text => text.textContent),
  };
})
"""


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("report") / "index.html"
    file.write_text(report_page(shop()), encoding="utf-8")
    return file


@pytest.fixture(scope="module")
def opened(browser: Browser, report: Path) -> Iterator[Page]:
    """The page opened from disk; whatever it asks for beside itself fails the test."""
    context = browser.new_context(viewport={"width": PHONE, "height": 844})
    page = context.new_page()
    asked: list[str] = []
    complaints: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: complaints.append(message.text))
    page.goto(report.as_uri())
    fold(page, opened=True)
    yield page
    context.close()
    assert asked == [report.as_uri()]
    assert not complaints


def fold(page: Page, opened: bool) -> None:
    page.evaluate(f"document.querySelectorAll('details').forEach(one => one.open = {str(opened).lower()})")


def measured(page: Page, width: int) -> list[dict[str, Any]]:
    page.set_viewport_size({"width": width, "height": 900})
    found: list[dict[str, Any]] = page.evaluate(MEASURE)
    return found


@pytest.mark.parametrize("width", [PHONE, DESKTOP])
def test_nothing_is_wider_than_the_screen(opened: Page, width: int):
    assert measured(opened, width)
    assert opened.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("width", [PHONE, DESKTOP])
def test_every_figure_can_be_seen_read_and_heard(opened: Page, width: int):
    figures = measured(opened, width)
    assert len(figures) == 18
    for figure in figures:
        assert len(figure["label"]) > 40, figure
        assert figure["width"] > 300, figure
        assert figure["height"] > 80, figure
        assert figure["left"] >= 0, figure
        assert figure["right"] <= width, figure
        assert figure["letters"] >= 7.5, figure
        assert not figure["cut"], figure


def test_the_five_answers_are_on_the_screen(opened: Page):
    measured(opened, PHONE)
    valuable, changes, lists = (opened.locator(f"#{section}") for section in ("valuable", "changes", "lists"))
    expect(valuable.get_by_text("10 customers, 10 % of all, bring 50 % of revenue")).to_be_visible()
    expect(valuable.get_by_text("30 customers, 30 % of all, last bought 90 days ago")).to_be_visible()
    expect(valuable.get_by_text("Thank them in person.")).to_be_visible()
    expect(changes.get_by_text("11 customers changed segment")).to_be_visible()
    expect(lists.get_by_text("campaign=delight/").first).to_be_visible()


def test_the_contents_lead_to_every_section(opened: Page):
    measured(opened, DESKTOP)
    for link in opened.locator("nav a").all():
        link.click()
        target = opened.locator(opened.evaluate("location.hash"))
        expect(target).to_be_in_viewport()


def test_no_figure_is_cut_on_paper(opened: Page):
    opened.emulate_media(media="print")
    try:
        for figure in measured(opened, PAPER_WIDTH):
            if not figure["width"]:  # folded away
                continue
            assert figure["breaks"] == "avoid", figure
            assert figure["height"] < PAPER_HEIGHT, figure
            assert not figure["cut"], figure
        expect(opened.locator("nav")).to_be_hidden()
    finally:
        opened.emulate_media(media="screen")


def test_the_page_is_short_on_a_phone_and_on_paper(opened: Page):
    measured(opened, PHONE)
    fold(opened, opened=False)
    try:
        assert opened.evaluate("document.documentElement.scrollHeight") <= 15 * 844
        assert len(re.findall(rb"/Type\s*/Page\b", opened.pdf(format="A4"))) <= 8
    finally:
        fold(opened, opened=True)


def test_at_night_the_page_is_dark_and_its_text_light(opened: Page):
    colours = "() => ['backgroundColor', 'color'].map(name => getComputedStyle(document.body)[name])"
    light = opened.evaluate(colours)
    opened.emulate_media(color_scheme="dark")
    try:
        dark = opened.evaluate(colours)
    finally:
        opened.emulate_media(color_scheme="light")
    brightness = [sum(map(int, re.findall(r"\d+", colour)[:3])) for colour in (*light, *dark)]
    assert brightness[0] > 600 > 200 > brightness[1]
    assert brightness[2] < 200 < 600 < brightness[3]

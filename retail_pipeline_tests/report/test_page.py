"""The page holds the answers, harms nobody, and has something to say when there is little to say."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from html.parser import HTMLParser
from typing import Any

import pandas as pd
import pytest

from retail_pipeline.report.data import ReportData
from retail_pipeline.report.formats import MINUS, NBSP
from retail_pipeline.report.page import page
from retail_pipeline_tests.report.support import (
    BEHAVIOUR,
    CUSTOMERS,
    QUALITY,
    Segment,
    campaign,
    key_figures,
    products,
    profiles,
    shop,
    tables,
)

VOID = {"meta", "br", "wbr"}


class Reader(HTMLParser):
    """What a browser would show, and whether every element that opens is closed."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.links: list[str] = []
        self.ids: list[str] = []
        self.text = ""
        self.feed(html)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.text += " " if tag in ("dd", "li", "p", "td") else ""
        found = dict(attrs)
        self.links += [str(found[name]) for name in ("href", "src", "xlink:href") if name in found]
        self.ids += [str(found["id"])] if "id" in found else []
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.text += data.replace(NBSP, " ")

    @property
    def words(self) -> str:
        """The text with single blanks."""
        return " ".join(self.text.split())


@pytest.fixture(scope="module")
def full() -> str:
    return page(shop())


def test_a_reader_who_saw_no_code_finds_the_answers(full: str) -> None:
    words = Reader(full).words
    # who are the most valuable customers, how many, and what share of revenue do they bring
    assert "DELIGHT 10 customers, 10 % of all, bring 50 % of revenue" in words
    # who is slipping away
    assert "RE-ENGAGE 30 customers, 30 % of all, last bought 90 days ago on average" in words
    # what changed since last month
    assert "15 customers joined 85 on 8 February 2021, 100 now." in words
    assert "The largest flows NURTURE to RE-ENGAGE (8) and NURTURE to DELIGHT (3)." in words
    # what to do for each group, and where its list is
    path = "lake/campaign_lists/snapshot_date=2021-03-10/campaign=delight/part-0.parquet"
    assert (
        f"What to do Thank them in person. List 10 customers, 1 of them control (do not contact): {path}"
        in words
    )
    assert f"pd.read_parquet('{path}')" in words
    assert "What to do Write to them." in words


def test_the_title_says_shop_day_and_currency(full: str) -> None:
    assert "<title>Fjord &amp; Sons: customers on 2021-03-10</title>" in full
    words = Reader(full).words
    assert "Fjord & Sons Customers on 10 March 2021 Wednesday · amounts in EUR" in words
    assert "orders and spend of the last 730 days" in words


def test_the_page_is_small_needs_nothing_but_itself_and_names_nobody(full: str) -> None:
    assert page(shop()) == full
    reader = Reader(full)
    assert len(full.encode()) < 3_000_000
    assert not {"script", "link", "iframe", "object", "img"} & set(reader.tags)
    assert all(link.startswith("#") for link in reader.links)
    assert {link[1:] for link in reader.links} <= set(reader.ids)
    assert not re.search(r"@import|url\(", full)
    assert not [customer for customer in CUSTOMERS if customer in full]


def test_texts_from_data_are_harmless() -> None:
    evil = "<script>alert(1)</script>"
    segments = {evil: BEHAVIOUR["DELIGHT"], "\"><img src=x onerror='x'>": BEHAVIOUR["RE-ENGAGE"]}
    profile = profiles("behaviour", segments)
    profile["top_countries"] = pd.Series([[evil, evil]] * 2)
    html = page(
        shop(
            {"segment_profiles": profile, "product_rankings": products(evil)},
            shop=evil,
            currency=evil,
            strategies={"behaviour": {evil: evil}},
            lists=[replace(campaign("x", evil, 3, 1), campaign=evil, offer=evil, path=f"{evil}\"'/x")],
            model_notes={"behaviour": evil},
            quality=replace(QUALITY, warnings=[evil], refused={evil: 1}),
        )
    )
    assert not {"script", "img"} & set(Reader(html).tags)
    assert evil in Reader(html).text


def bare(changed: Mapping[str, pd.DataFrame] | None = None, **changes: Any) -> ReportData:
    """The shop with profiles and key figures alone: the first day has no more."""
    first = {"segment_profiles": profiles("behaviour", BEHAVIOUR), "key_figures": key_figures()}
    changed = {**first, **(changed or {})}
    return shop(changed, [name for name in tables() if name not in changed], **changes)


def behaviour(**segments: Segment) -> dict[str, pd.DataFrame]:
    return {"segment_profiles": profiles("behaviour", segments)}


NOBODY = {"segment_profiles": profiles("behaviour", BEHAVIOUR).head(0), "key_figures": key_figures().head(0)}


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (bare(), "There is no snapshot of 30 days ago to compare with."),
        (bare(), "There are no cohorts yet"),
        (bare(), "Nothing was sold in the window."),
        (bare(behaviour(RETAIN=(1, 20.0, 0.0, 1.0, 20.0))), "RETAIN 1 customer, 100 % of all, brings 100 %"),
        (bare(NOBODY, lists=[]), "Nobody has bought anything up to 10 March 2021."),
        (
            bare(lists=[], quality=replace(QUALITY, held_days=[date(2021, 3, 9)])),
            "No lists were made. Held (see data quality): 9 March 2021.",
        ),
        (bare(lists=[campaign("win_back", "Lapsed", 0, 0)]), "No lists were made for this day."),
        (bare(behaviour(Lapsed=(9, 0.0, 900.0, 0.0, float("nan")))), "Nobody bought in the window"),
        (bare(behaviour(DELIGHT=(2, -5.0, 5.0, 1.0, 3.0))), f"{MINUS}€5 each"),
        (bare(strategies={}, quality=replace(QUALITY, last_delivered=None)), "Delivered 3 1,200"),
    ],
    ids=[
        "first day", "no cohorts", "nothing sold", "one customer", "empty shop", "held", "nobody on a list",
        "all lapsed", "refunds only", "nothing delivered, no strategies",
    ],
)  # fmt: skip
def test_what_is_missing_is_said_in_words(data: ReportData, said: str) -> None:
    reader = Reader(page(data))
    assert said in reader.words
    assert {link[1:] for link in reader.links} <= set(reader.ids)
    assert not re.search(r"\b(nan|None|NaT|inf)\b", reader.words)

"""What ``sources try`` says of a file beforehand is what its days then hold, to the last digit."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from pathlib import Path
from shutil import copy
from typing import Any

import dagster as dg
import pytest

import retail_pipeline
from retail_pipeline.defs.resources import Pipeline
from retail_pipeline.ingest.reading import session
from retail_pipeline.ingest.till_figures import of_days
from retail_pipeline.ingest.trial import Preview, preview
from retail_pipeline.planning.reconciliation import REFUSED, Till
from retail_pipeline.settings import load_settings
from retail_pipeline_tests.defs.support import land, make_days

HEADER = "bon,sku,text,qty,price,total,at,who,cur"
MESSY = [
    "1,a,first,3,10,30,2024-02-01 09:00,17,EUR",
    "1,a,first,3,10,30,2024-02-01 09:00,17,EUR",  # scanned twice
    "1,b,,2,5,8.5,2024-02-02 00:05,17,EUR",  # after midnight, and 1.50 off
    "2,post,,1,4.9,4.9,2024-02-02 10:00,,EUR",
    "2,coupon,,1,-5,-5,2024-02-02 10:00,,EUR",
    "2, b ,,1,5,5,2024-02-02 10:00,  ,EUR",
    "C3,b,,-1,5,-5,2024-02-02 11:00,18,EUR",
    "C3,b,,1,5,5,2024-02-02 11:00,18,EUR",  # a cancellation that gives money
    "4,b,,1,0,0,2024-02-02 12:00,18,EUR",
    "5,c,,2,0.005,0.01,2024-02-02 12:00,18,EUR",
    "A6,d,,1,-7,-7,2024-02-03 12:00,,EUR",  # for two rules
    ",d,,1,7,7,2024-02-03 12:00,19,EUR",
    "7,d,,many,7,7,2024-02-03 12:00,19,EUR",
    "8,d,,0.125,0.0333,0.0042,2024-02-03 12:00,19,EUR",
]
TILL: dict[str, Any] = {
    "source_system": "till",
    "currency": "EUR",
    "columns": {
        "invoice_id": "bon", "product_id": "sku", "description": "text", "quantity": "qty",
        "unit_price": "price", "amount": "total", "sold_at": "at", "customer_id": "who", "currency": "cur",
    },
    "cleaning": {
        "adjustment_pattern": "^(POST|COUPON)$", "cancellation_pattern": "^C", "bad_debt_pattern": "^A",
        "negative_price": "keep",
    },
}  # fmt: skip
SHOP: dict[str, Any] = {"sources": {"till": TILL}, "currency": "EUR"}
STRICT = {"cleaning": {"duplicates": "drop", "anonymous": "refuse", "minimum_price": "0.01"}}
LOOSE = {"cleaning": {"zero_price": "keep", "tidy_text": False}, "time_zone": "Asia/Tokyo"}


def opened(root: Path, **more: Any) -> Pipeline:
    (root / "landing").mkdir()
    given = {"checks": {"max_unreadable_share": 0.5}, "last_day": "2025-12-31"} | more
    return Pipeline(load_settings(landing=root / "landing", lake=root / "lake", **given))


def tried(pipeline: Pipeline, folder: Path, file: Path) -> Preview:
    settings = pipeline.settings
    folder.mkdir()
    with session(folder, settings.reading) as reader:
        return preview(reader, file, file.name, 3, settings.cleaning, settings.checks)


def made(pipeline: Pipeline, instance: dg.DagsterInstance) -> Till:
    """What the days hold once the one file in landing is landed and its days are made."""
    assert land(pipeline, instance).success
    days = sorted(pipeline.state().raw)
    make_days(pipeline, instance, [days[0], days[-1]])
    with pipeline.engine() as engine:
        there = pipeline.state()["transactions"]
        return of_days(engine, pipeline.lake, {day: there[day] for day in days})


@pytest.mark.parametrize("more", [{}, STRICT, LOOSE], ids=["default", "strict", "loose"])
def test_a_messy_file_comes_to_what_was_said(
    tmp_path: Path, instance: dg.DagsterInstance, more: Mapping[str, Any]
):
    pipeline = opened(tmp_path, **SHOP, **more)
    file = pipeline.settings.landing / "a.csv"
    file.write_text("\n".join([HEADER, *MESSY, ""]))
    seen = tried(pipeline, tmp_path / "try", file)
    assert seen.till.in_all.of(REFUSED).lines
    assert seen.till.in_all.of("below_price").lines == 1
    assert seen.rows == seen.unreadable + seen.till.in_all.of(REFUSED).lines + seen.till.in_all.lines
    assert seen.till == made(pipeline, instance)
    state = pipeline.state()
    assert {day for day in state["transactions"] if state.is_held(day)} == {
        finding.first_day for finding in seen.findings
    }


def test_an_order_over_midnight_is_one_and_who_comes_twice_is_one(
    tmp_path: Path, instance: dg.DagsterInstance
):
    pipeline = opened(tmp_path, **SHOP)
    file = pipeline.settings.landing / "a.csv"
    lines = [
        "1,a,,1,1,1,2024-02-01 23:59,17,EUR",
        "1,a,,1,1,1,2024-02-02 00:01,17,EUR",
        "2,a,,1,1,1,2024-02-02 12:00,17,EUR",
        "3,a,,1,1,1,2024-02-02 12:00,,EUR",
    ]
    file.write_text("\n".join([HEADER, *lines, ""]))
    seen = tried(pipeline, tmp_path / "try", file).till
    assert (seen.in_all.orders, seen.in_all.customers) == (3, 1)
    assert [(f.orders, f.customers) for f in seen.by_day.values()] == [(1, 1), (2, 1)]
    assert made(pipeline, instance) == seen


def test_a_day_that_checks_will_hold_is_named_beforehand(tmp_path: Path, instance: dg.DagsterInstance):
    pipeline = opened(tmp_path, **SHOP)
    file = pipeline.settings.landing / "a.csv"
    lines = [
        "1,a,,1,1,1,2024-02-01 10:00,17,EUR",
        "2,a,,1,1,1,2024-02-02 10:00,17,USD",
        "3,a,,1,1,1,2024-02-02 10:00,17,EUR",
        "4,a,,1,0,0,2024-02-03 10:00,17,EUR",
    ]
    file.write_text("\n".join([HEADER, *lines, ""]))
    seen = tried(pipeline, tmp_path / "try", file)
    assert {(f.states, f.first_day.day, f.days, f.rows) for f in seen.findings} == {
        ("at most 90% of the day's rows are refused", 3, 1, 1),
        ("currency is EUR", 2, 1, 1),
    }
    assert made(pipeline, instance) == seen.till
    assert pipeline.state().held_days(date.min, date.max) == [date(2024, 2, 2), date(2024, 2, 3)]


def test_a_day_far_before_the_rest_is_said_to_wait_and_does(tmp_path: Path, instance: dg.DagsterInstance):
    pipeline = opened(tmp_path, **SHOP)
    file = pipeline.settings.landing / "a.csv"
    days = ["2012-02-01", *["2024-02-01"] * 3, *["2024-02-02"] * 3]
    file.write_text("\n".join([HEADER, *(f"{n},a,,1,1,1,{day},17,EUR" for n, day in enumerate(days)), ""]))
    seen = tried(pipeline, tmp_path / "try", file)
    assert [(f.first_day, f.rows) for f in seen.findings] == [(date(2012, 2, 1), 1)]
    assert "begins 2024-02-01" in seen.findings[0].states
    land(pipeline, instance)
    assert sorted(pipeline.state().raw) == [date(2024, 2, 1), date(2024, 2, 2)]


@pytest.mark.parametrize("sample", ["shopify_orders.csv", "sap_export.csv"])
def test_the_samples_come_to_what_was_said(tmp_path: Path, instance: dg.DagsterInstance, sample: str):
    pipeline = opened(tmp_path)
    file = Path(retail_pipeline.__file__).parent / "samples" / sample
    seen = tried(pipeline, tmp_path / "try", file)
    copy(file, pipeline.settings.landing / sample)
    assert seen.till.by_day
    assert made(pipeline, instance) == seen.till


def test_days_of_a_real_shop_come_to_what_was_said(
    tmp_path: Path, instance: dg.DagsterInstance, uci_dir: Path
):
    pipeline = opened(tmp_path)
    texts = [path.read_text() for path in sorted(uci_dir.glob("2010-12-0*.csv"))]
    file = pipeline.settings.landing / "uci.csv"
    file.write_text("".join([texts[0], *(text.partition("\n")[2] for text in texts[1:])]))
    seen = tried(pipeline, tmp_path / "try", file)
    assert len(seen.till.by_day) == 8
    assert seen.till == made(pipeline, instance)

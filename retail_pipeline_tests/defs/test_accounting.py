"""Every row that was read is accounted for, and what days came to is printed as a shop's books have it."""

from __future__ import annotations

from collections import Counter
from datetime import date, timedelta
from decimal import Decimal
from io import StringIO
from pathlib import Path

import dagster as dg
import pytest
from rich.console import Console

from retail_pipeline.cli import status as show
from retail_pipeline.defs.resources import Pipeline
from retail_pipeline.lake.records import record
from retail_pipeline.planning.accounting import Account, account, places
from retail_pipeline.planning.decisions import FileDecision
from retail_pipeline_tests.defs.support import land, make_days, open_pipeline
from retail_pipeline_tests.shop import FIRST, PROFILE, Line, deliver, sales, span, write

DAYS = span(FIRST, 3)


def rows_of(days: list[date]) -> int:
    return sum(len(sales(day)) for day in days)


def line(day: date, **given: str) -> Line:
    return {
        "order": "9001", "product": "P1", "units": "1", "price": "2.00", "at": f"{day} 10:00:00",
        "customer": "70001", "currency": "EUR",
    } | given  # fmt: skip


def accounted(pipeline: Pipeline) -> Account:
    state = pipeline.state(tuple(pipeline.listing().files))
    found, placed = account(state), places(state, date.max)
    assert found.unaccounted == 0
    assert sum(files for files, _ in placed.values()) == len(state.landed)
    assert sum(rows for _, rows in placed.values()) == sum(
        m.counts["rows_read"] for m in state.landed.values()
    )
    return found


def some(found: Account) -> dict[str, int]:
    return {name: rows for name, rows in found.became.items() if rows}


def test_rows_are_followed_from_landing_to_where_they_count(pipeline: Pipeline, instance: dg.DagsterInstance):
    landing, rows = pipeline.settings.landing, rows_of(DAYS)
    deliver(landing, DAYS)
    # one line that a rule refuses among enough others, and a file of which half cannot be read
    write(landing / "late.csv", [line(DAYS[0], price="0"), line(DAYS[0])])
    write(landing / "odd.csv", [line(DAYS[1]), line(DAYS[1], units="many")])
    land(pipeline, instance)
    assert some(accounted(pipeline)) == {"still to clean": rows + 2, "waiting in quarantine": 2}
    make_days(pipeline, instance, DAYS)
    assert some(accounted(pipeline)) == {
        "transactions": rows + 1,
        "refused": 1,
        "waiting in quarantine": 2,
    }
    assert accounted(pipeline).says == (
        f"files 5, rows read {rows + 4}: transactions {rows + 1}, refused 1, unreadable 0, "
        "waiting in quarantine 2"
    )


def test_the_report_says_where_each_file_and_row_lies_as_of_its_day(
    pipeline: Pipeline, instance: dg.DagsterInstance
):
    landing, rows = pipeline.settings.landing, [len(sales(day)) for day in DAYS]
    write(landing / "first.csv", [*sales(DAYS[0]), line(DAYS[0], price="0")])
    write(landing / "next.csv", [*sales(DAYS[1]), line(DAYS[2], currency="USD")])
    write(landing / "twice.csv", sales(DAYS[1]))
    land(pipeline, instance)
    make_days(pipeline, instance, DAYS)
    state = pipeline.state()
    first = {"used": (1, rows[0]), "refused": (0, 1)}
    assert places(state, DAYS[0]) == first
    waiting = {"in quarantine": (1, rows[1])}
    assert places(state, DAYS[1]) == first | waiting | {
        "used": (2, rows[0] + rows[1]), "of later days": (0, 1)
    }  # fmt: skip
    assert places(state, DAYS[2]) == first | waiting | {
        "used": (2, rows[0] + rows[1]), "on held days": (0, 1)
    }  # fmt: skip


def test_a_file_that_somebody_accepts_is_read_and_its_rest_unreadable(
    pipeline: Pipeline, instance: dg.DagsterInstance
):
    write(pipeline.settings.landing / "odd.csv", [line(DAYS[1]), line(DAYS[1], units="many")])
    land(pipeline, instance)
    (source_id,) = pipeline.state().landed
    decision = FileDecision(source_id=source_id, verdict="accept", why="one was a test", by="anna")
    record(pipeline.lake, decision)
    make_days(pipeline, instance, [DAYS[1]])
    assert some(accounted(pipeline)) == {"transactions": 1, "unreadable": 1}


def test_rows_whose_place_a_later_file_took_on_some_days_are_set_aside(
    tmp_path: Path, instance: dg.DagsterInstance
):
    (tmp_path / "landing").mkdir()
    pipeline = open_pipeline(
        tmp_path, sources={"corner_shop": {**PROFILE, "replaces": "same_days"}}, arrival={"settle_seconds": 0}
    )
    write(pipeline.settings.landing / "two_days.csv", [*sales(DAYS[0]), *sales(DAYS[1])])
    land(pipeline, instance)
    write(pipeline.settings.landing / "corrected.csv", [line(DAYS[1])])
    land(pipeline, instance)
    make_days(pipeline, instance, DAYS)
    assert some(accounted(pipeline)) == {
        "transactions": rows_of(DAYS[:1]) + 1,
        "set aside": rows_of(DAYS[1:2]),
    }


def test_a_held_day_is_named_with_its_money_and_is_not_among_the_figures(
    pipeline: Pipeline, instance: dg.DagsterInstance
):
    deliver(pipeline.settings.landing, DAYS[:1])
    write(pipeline.settings.landing / "dollars.csv", [line(DAYS[1], currency="USD", price="1234.5")])
    land(pipeline, instance)
    make_days(pipeline, instance, DAYS[:2])
    assert some(accounted(pipeline)) == {"transactions": rows_of(DAYS[:1]), "on held days": 1}
    printed = till_of(pipeline)
    assert printed[-1] == f"figures without {DAYS[1]}, which is held: 1 line, 1,234.50 EUR"
    assert [row.split()[0] for row in printed[1:-1]] == [str(DAYS[0])]


def till_of(pipeline: Pipeline) -> list[str]:
    text = StringIO()
    state = pipeline.state(tuple(pipeline.listing().files))
    show.print_till(Console(file=text, width=200), pipeline, state)
    return text.getvalue().splitlines()


@pytest.mark.parametrize("most", [10**6, 10])
def test_the_last_days_the_last_month_and_all_days_are_shown(
    pipeline: Pipeline, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch, most: int
):
    monkeypatch.setattr(show, "MOST_ROWS", most)
    days = [FIRST, *span(FIRST + timedelta(30), 9)]
    deliver(pipeline.settings.landing, days)
    land(pipeline, instance)
    for first, last in ((FIRST, FIRST), (days[1], days[-1])):
        make_days(pipeline, instance, span(first, (last - first).days + 1))
    printed = till_of(pipeline)
    assert [row[:12].strip() for row in printed[1:]] == [
        *map(str, days[-7:]),
        "last 30 days",
        "all 10 days",
    ]
    lines = [each for day in days for each in sales(day)]
    sold = sum((Decimal(each["units"]) * Decimal(each["price"]) for each in lines), Decimal(0))
    orders = Counter(each["order"] for each in lines if not each["units"].startswith("-"))
    customers = {each["customer"] for each in lines if not each["units"].startswith("-")}
    counts = [f"{len(orders):,}", f"{len(customers):,}"] if most > 10 else ["-", "-"]
    every = printed[-1].split()
    assert every[:5] == ["all", "10", "days", f"{len(lines)}", counts[0]]
    assert [every[5], every[8]] == [counts[1], f"{sold:,.2f}"]


def test_rows_of_disputed_days_wait_and_those_of_others_count(
    pipeline: Pipeline, instance: dg.DagsterInstance
):
    write(pipeline.settings.landing / "a.csv", sales(DAYS[0]))
    land(pipeline, instance)
    write(pipeline.settings.landing / "b.csv", [*sales(DAYS[0])[:-1], *sales(DAYS[1])])
    land(pipeline, instance)
    make_days(pipeline, instance, DAYS[:2])
    assert some(accounted(pipeline)) == {
        "transactions": rows_of(DAYS[:2]),
        "waiting in quarantine": rows_of(DAYS[:1]) - 1,
    }

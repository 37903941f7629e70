"""Late, missing and odd deliveries in Dagster: what is held, what is said, and how it heals."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from retail_pipeline.definitions import build_defs
from retail_pipeline.defs.assets.freshness import deadline, look_at_yesterday
from retail_pipeline.defs.jobs import DELIVERIES, YESTERDAY
from retail_pipeline.defs.report_data import quality
from retail_pipeline.defs.resources import Pipeline
from retail_pipeline.defs.run_plan import Outcome, bring_up_to_date, look
from retail_pipeline.lake.records import record
from retail_pipeline.planning.decisions import DayRelease
from retail_pipeline.planning.pieces import Goal
from retail_pipeline.planning.readiness import Delivered
from retail_pipeline.planning.state import State
from retail_pipeline_tests.defs.support import evaluations, land, make_days, open_pipeline, said, statuses
from retail_pipeline_tests.shop import FIRST, PROFILE, Line, deliver, sales, span, write

HISTORY = span(FIRST, 21)
DUE = HISTORY[-1] + timedelta(1)
NEXT = DUE + timedelta(1)
WEB = PROFILE | {
    "source_system": "web",
    "columns": {**PROFILE["columns"], "product_id": "article"},  # type: ignore[dict-item]
}
RED, AMBER = dg.AssetCheckSeverity.ERROR, dg.AssetCheckSeverity.WARN


def open_shop(root: Path, **more: Any) -> Pipeline:
    """Two sources, one cheap segmentation, one list."""
    chosen = {
        "sources": {"corner_shop": PROFILE, "web": WEB},
        "segmentations": {"rfm_grid": {}},
        "campaigns": {"all": {"segmentation": "rfm_grid", "segments": ["Champions"], "offer": "tea"}},
        "model_timing": "same_snapshot",
        "readiness": {"minimum_history": 3},
    }
    return open_pipeline(root, **(chosen | more))


def deliver_till(landing: Path, *days: date) -> None:
    write(landing / f"till-{days[0]}.csv", [line for day in days for line in sales(day)])


def deliver_web(landing: Path, *days: date) -> None:
    lines = [{**line, "order": f"w{line['order']}"} for day in days for line in sales(day)]
    _write_web(landing / f"web-{days[0]}.csv", lines)


def _write_web(path: Path, lines: Iterable[Line]) -> None:
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow([*(name if name != "product" else "article" for name in sales(FIRST)[0])])
        writer.writerows(line.values() for line in lines)


@pytest.fixture(scope="module")
def three_weeks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake of three weeks of two sources, both every day."""
    root = tmp_path_factory.mktemp("three_weeks")
    (root / "landing").mkdir()
    deliver_till(root / "landing", *HISTORY)
    deliver_web(root / "landing", *HISTORY)
    pipeline = open_shop(root)
    with dg.DagsterInstance.ephemeral() as instance:
        assert land(pipeline, instance).success
        assert make_days(pipeline, instance, HISTORY).success
    return root


@pytest.fixture
def shop(three_weeks: Path, tmp_path: Path) -> Pipeline:
    """The same lake, for one test."""
    shutil.copytree(three_weeks, tmp_path / "shop")
    return open_shop(tmp_path / "shop")


def bring(pipeline: Pipeline, instance: dg.DagsterInstance, through: date) -> tuple[Outcome, State]:
    """Bring the lake up to date; there is nothing left to do then, whatever is held."""
    outcome = bring_up_to_date(pipeline, instance, lambda: through)
    assert not look(pipeline, Goal(through))
    return outcome, pipeline.state()


def times_asked(instance: dg.DagsterInstance) -> int:
    """How often ``yesterday_is_there`` was evaluated, or meant to be."""
    key = dg.AssetCheckKey(dg.AssetKey(DELIVERIES), YESTERDAY)
    return len(instance.event_log_storage.get_asset_check_execution_history(key, limit=9))


def completeness(instance: dg.DagsterInstance, day: date) -> dg.AssetCheckEvaluation:
    return evaluations(instance, "transactions", "deliveries_are_complete")[str(day)]


def test_an_awaited_day_gets_its_snapshot_but_no_lists_until_it_comes(
    shop: Pipeline, instance: dg.DagsterInstance
):
    early, late = (datetime(NEXT.year, NEXT.month, NEXT.day, hour, tzinfo=UTC) for hour in (7, 8))
    outcome, state = bring(shop, instance, DUE)
    assert outcome.failures == []
    assert DUE in state["rfm_features"]
    assert not state["campaign_lists"].get(DUE)
    check = completeness(instance, DUE)
    assert (check.passed, check.severity) == (False, AMBER)
    assert check.description == (
        "the Monday's delivery of corner_shop and web has not come, nor any of a later day"
    )
    held = evaluations(instance, "campaign_lists", "no_recent_day_is_held")[str(DUE)]
    assert (held.passed, held.severity) == (False, AMBER)
    before, after = look_at_yesterday(shop, early), look_at_yesterday(shop, late)
    assert (before.passed, before.severity) == (False, AMBER)
    assert (after.passed, after.severity, after.description) == (False, RED, check.description)

    deliver_till(shop.settings.landing, DUE)
    deliver_web(shop.settings.landing, DUE)
    outcome, state = bring(shop, instance, DUE)
    assert outcome.failures == []
    assert list(state["campaign_lists"][DUE]) == ["all"]
    assert completeness(instance, DUE).passed
    assert evaluations(instance, "campaign_lists", "no_recent_day_is_held")[str(DUE)].passed
    assert look_at_yesterday(shop, late).passed
    assert times_asked(instance) == 0


def test_half_a_day_is_held_by_name_and_heals_and_a_closed_day_is_amber(
    shop: Pipeline, instance: dg.DagsterInstance
):
    closed, half, whole = DUE, NEXT, NEXT + timedelta(1)
    deliver_till(shop.settings.landing, half, whole)
    deliver_web(shop.settings.landing, whole)
    outcome, state = bring(shop, instance, whole)
    said = "\n".join(outcome.failures)
    assert f"{half}: held: web delivered nothing, as it does on Tuesdays, though others did. Mend" in said
    assert f"{whole}: no lists: {half} held or not made" in said
    assert state.held_days(FIRST, whole) == [half]
    assert half not in state["customer_days"]
    shown = statuses(shop, instance, "transactions", [closed, half, whole])
    assert shown == {closed: "MATERIALIZED", half: "FAILED", whole: "MATERIALIZED"}
    check = completeness(instance, half)
    assert (check.passed, check.severity) == (False, RED)
    assert {name: value.value for name, value in check.metadata.items()} == {
        "lines of corner_shop": len(sales(half))
    }
    check = completeness(instance, closed)
    assert (check.passed, check.severity) == (False, AMBER)
    assert "a day on which the shop was closed" in str(check.description)
    assert statuses(shop, instance, "customer_days", [closed]) == {closed: "MATERIALIZED"}

    deliver_web(shop.settings.landing, half)
    outcome, state = bring(shop, instance, whole)
    assert outcome.failures == []
    assert list(state["campaign_lists"][whole]) == ["all"]
    assert completeness(instance, half).passed
    assert statuses(shop, instance, "customer_days", [half]) == {half: "MATERIALIZED"}


def test_what_a_source_should_deliver_can_be_set_and_released(
    pipeline: Pipeline, instance: dg.DagsterInstance
):
    root = pipeline.settings.lake.parent
    deliver_till(root / "landing", FIRST, FIRST + timedelta(1))
    strict = {**PROFILE, "delivers": {"lines": [900, 1000], "by": "09:15"}}
    expecting = open_shop(root, sources={"corner_shop": strict})
    assert deadline(expecting.settings) == time(9, 15)
    assert expecting.recipe == open_shop(root, sources={"corner_shop": PROFILE}).recipe  # reads no file anew
    assert land(expecting, instance).success
    closes = max(line["at"] for line in sales(FIRST))
    minute = 60 * int(closes[11:13]) + int(closes[14:16])
    came = Delivered(FIRST, "corner_shop", len(sales(FIRST)), None, minute)
    assert expecting.state().delivered[FIRST] == (came,)
    assert not make_days(expecting, instance, [FIRST]).success
    worth = sum(Decimal(line["units"]) * Decimal(line["price"]) for line in sales(FIRST))
    (made,) = expecting.state().delivered[FIRST]
    assert made == came._replace(value=int(worth), kept=len(sales(FIRST)), shape=made.shape)
    says = f"corner_shop delivered {len(sales(FIRST))} lines, where 900 to 1,000 are set"
    assert completeness(instance, FIRST).description == says
    content = expecting.state()["transactions"][FIRST].content
    record(expecting.lake, DayRelease(day=FIRST, content=content, why="a quiet day", by="ana"))
    assert make_days(expecting, instance, [FIRST]).success


def test_yesterday_is_looked_at_by_a_job_of_its_own_and_by_no_run_over_other_days(
    pipeline: Pipeline, instance: dg.DagsterInstance
):
    endless = open_shop(pipeline.settings.lake.parent, last_day=None)
    deliver_till(endless.settings.landing, FIRST)
    assert land(endless, instance).success
    assert make_days(endless, instance, [FIRST]).success
    assert times_asked(instance) == 0
    result = (
        build_defs(endless.settings).resolve_job_def("yesterday_job").execute_in_process(instance=instance)
    )
    (check,) = result.get_asset_check_evaluations()
    assert times_asked(instance) == 1
    assert (check.check_name, check.passed, check.partition) == ("yesterday_is_there", False, None)
    assert check.description == (
        f"nothing was delivered of any day after {FIRST}; if that is all there is, set last_day"
    )


def test_what_the_cleaning_refuses_says_nothing_of_a_days_value_and_what_it_keeps_does(
    pipeline: Pipeline, instance: dg.DagsterInstance
):
    root = pipeline.settings.lake.parent
    source = {**PROFILE, "delivers": {"value": [0, 100_000]}, "cleaning": {"bad_debt_pattern": "^A"}}
    shop = open_shop(root, sources={"corner_shop": source})
    written_off = {**sales(FIRST)[0], "order": "A1", "units": "1", "price": "999999.00"}
    write(root / "landing" / "a.csv", [*sales(FIRST), written_off])
    day = FIRST + timedelta(1)
    write(root / "landing" / "b.csv", [*sales(day), {**written_off, "order": "1", "at": f"{day} 10:00:00"}])
    assert land(shop, instance).success
    assert "b.csv" not in said(make_days(shop, instance, [FIRST, day]))
    assert shop.state().held_days(FIRST, day) == [day]
    assert "delivered lines worth 1,0" in shop.state().why_held(day)


def test_the_rows_of_the_report_add_up(pipeline: Pipeline, instance: dg.DagsterInstance):
    landing, days = pipeline.settings.landing, span(FIRST, 4)
    deliver(landing, days[:3])
    write(landing / "cut.csv", [{**sales(days[3])[0], "units": "?"}, *sales(days[3])[1:]])
    write(landing / "dollars.csv", sales(days[3], "USD"))
    land(pipeline, instance)
    write(landing / "twice.csv", [*sales(days[0]), *sales(days[1]), {**sales(days[2])[0], "order": "new"}])
    write(landing / "free.csv", [{**sales(days[2])[0], "order": "free", "price": "0"}])
    land(pipeline, instance)
    make_days(pipeline, instance, days)
    found = quality(pipeline.state(), days[3])
    lines = [len(sales(day)) for day in days]
    assert found.places == {
        "used": (5, sum(lines[:3]) + 1),
        "on held days": (1, lines[3]),
        "in quarantine": (1, lines[0] + lines[1] + lines[3]),
        "refused": (0, 1),
    }
    assert (found.files, found.rows_read) == tuple(map(sum, zip(*found.places.values(), strict=True)))

"""Days in Dagster: good ones stay done, a held one is kept from everything that would rest on it."""

from __future__ import annotations

from datetime import timedelta

import dagster as dg
import pyarrow.parquet as pq
import pytest

from retail_pipeline.core.decisions import DayRelease
from retail_pipeline.core.schema import TABLES
from retail_pipeline.defs.pipeline import Pipeline
from retail_pipeline.lake.partitions import read_partition
from retail_pipeline.lake.state import write_release
from retail_pipeline_tests.defs.support import (
    evaluations,
    land,
    make_days,
    make_snapshots,
    open_pipeline,
    said,
    statuses,
)
from retail_pipeline_tests.shop import FIRST, deliver, sales, span, write

DAYS = span(FIRST, 12)
BAD = DAYS[2]
LIST = dg.AssetKey("campaign_lists")


@pytest.fixture
def delivered(pipeline: Pipeline, instance: dg.DagsterInstance) -> Pipeline:
    """Twelve days have landed; one of them is in dollars where the shop's currency is the euro."""
    deliver(pipeline.settings.landing, DAYS)
    deliver(pipeline.settings.landing, [BAD], currency="USD")
    assert land(pipeline, instance).success
    return pipeline


def test_a_range_makes_its_own_days_and_no_others(delivered: Pipeline, instance: dg.DagsterInstance) -> None:
    assert make_days(delivered, instance, DAYS[4:7]).success
    for table in ("transactions", "customer_days"):
        assert set(statuses(delivered, instance, table, DAYS).items()) == {
            (day, "MATERIALIZED") for day in DAYS[4:7]
        }
    assert sorted(delivered.state().transactions) == DAYS[4:7]
    for check in ("no_row_is_lost", "transactions_are_valid"):
        made = evaluations(instance, "transactions", check)
        assert set(made) == {str(day) for day in DAYS[4:7]}
        assert all(evaluation.passed for evaluation in made.values())


def test_a_day_without_deliveries_is_a_day_of_no_rows(
    delivered: Pipeline, instance: dg.DagsterInstance
) -> None:
    quiet = DAYS[-1] + timedelta(days=1)
    assert make_days(delivered, instance, [quiet]).success
    assert delivered.state().transactions[quiet].rows == 0
    assert statuses(delivered, instance, "customer_days", [quiet]) == {quiet: "MATERIALIZED"}


def test_a_bad_day_fails_by_name_and_the_good_days_of_its_run_stay_done(
    delivered: Pipeline, instance: dg.DagsterInstance
) -> None:
    result = make_days(delivered, instance, DAYS)
    assert not result.success
    rows = len(sales(BAD))
    assert said(result) == (
        f"1 day could not be made; the others are done.\n{BAD}: held: {rows} rows against «currency is EUR»."
        f" Mend the source and deliver again, or accept it with `retail-pipeline days release {BAD} --why …`"
    )
    expected = {day: "FAILED" if day == BAD else "MATERIALIZED" for day in DAYS}
    assert statuses(delivered, instance, "transactions", DAYS) == expected
    assert statuses(delivered, instance, "customer_days", DAYS) == expected
    state = delivered.state()
    assert state.held_days(DAYS[0], DAYS[-1]) == [BAD]
    assert BAD not in state.customer_days

    checks = evaluations(instance, "transactions", "transactions_are_valid")
    assert [day for day, check in checks.items() if not check.passed] == [str(BAD)]
    red = checks[str(BAD)]
    assert red.severity is dg.AssetCheckSeverity.ERROR
    assert red.description == f"not so for {rows} rows: currency is EUR"
    shown = str(red.metadata["failures"].value)
    assert f"**currency is EUR**: {rows} rows do not (expect_column_values_to_be_in_set)" in shown
    assert shown.count("| USD |") == 5
    assert evaluations(instance, "transactions", "no_row_is_lost")[str(BAD)].passed


def test_a_held_day_blocks_the_lists_of_seven_days_in_other_runs_too_and_then_warns(
    delivered: Pipeline, instance: dg.DagsterInstance
) -> None:
    make_days(delivered, instance, DAYS)
    again = open_pipeline(delivered.settings.lake.parent)
    result = make_snapshots(again, instance, DAYS[2:11])
    assert f"{BAD}: no lists: {BAD} held or not made" in said(result)
    assert statuses(again, instance, "campaign_lists", DAYS) == {
        day: "FAILED" if day < BAD + timedelta(days=7) else "MATERIALIZED" for day in DAYS[2:11]
    }
    assert set(statuses(again, instance, "segment_assignments", DAYS[2:11]).values()) == {"MATERIALIZED"}
    checks = evaluations(instance, "campaign_lists", "no_recent_day_is_held")
    last_blocked, first_free = (checks[str(BAD + timedelta(days=n))] for n in (6, 7))
    assert last_blocked.severity is dg.AssetCheckSeverity.ERROR
    assert last_blocked.metadata["held or not made in the last 7 days"].value == 1
    assert not first_free.passed
    assert first_free.severity is dg.AssetCheckSeverity.WARN
    assert first_free.metadata["held before"].value == 1
    assert str(BAD) in str(first_free.metadata["failures"].value)


def test_a_released_day_counts_until_other_rows_come(
    delivered: Pipeline, instance: dg.DagsterInstance
) -> None:
    make_days(delivered, instance, DAYS)
    content = delivered.state().transactions[BAD].content
    write_release(delivered.lake, DayRelease(day=BAD, content=content, why="our Geneva till", by="ana"))
    assert not delivered.state().is_held(BAD)
    assert make_days(delivered, instance, [BAD]).success
    assert statuses(delivered, instance, "customer_days", [BAD]) == {BAD: "MATERIALIZED"}
    assert make_snapshots(delivered, instance, [BAD]).success

    more = [line | {"order": f"again-{line['order']}"} for line in sales(BAD, "USD")]
    write(delivered.settings.landing / "again.csv", more)
    assert land(delivered, instance).success
    assert f"{BAD}: held" in said(make_days(delivered, instance, [BAD]))
    assert BAD not in delivered.state().customer_days
    assert statuses(delivered, instance, "transactions", [BAD]) == {BAD: "FAILED"}


def test_a_corrected_day_is_no_longer_held(delivered: Pipeline, instance: dg.DagsterInstance) -> None:
    make_days(delivered, instance, DAYS)
    elsewhere = open_pipeline(delivered.settings.lake.parent, currency="USD")
    assert "«currency is USD»" in said(make_days(elsewhere, instance, DAYS))
    assert BAD not in elsewhere.state().held_days(DAYS[0], DAYS[-1])
    assert statuses(elsewhere, instance, "transactions", [BAD]) == {BAD: "MATERIALIZED"}


def test_a_damaged_raw_file_fails_its_own_day_by_name(
    delivered: Pipeline, instance: dg.DagsterInstance
) -> None:
    good = [day for day in DAYS if day > BAD]
    hit = good[4]
    (raw,) = (delivered.lake.root / "raw_transactions" / f"date={hit}").glob("*.parquet")
    raw.write_bytes(raw.read_bytes()[:-20])
    result = make_days(delivered, instance, good)
    assert said(result).splitlines()[0] == "1 day could not be made; the others are done."
    assert said(result).splitlines()[1].startswith(f"{hit}: ")
    assert str(raw) in said(result)
    expected = {day: "FAILED" if day == hit else "MATERIALIZED" for day in good}
    assert statuses(delivered, instance, "transactions", good) == expected
    assert hit not in delivered.state().transactions


def test_many_anonymous_sales_are_amber_and_hold_nothing(
    pipeline: Pipeline, instance: dg.DagsterInstance
) -> None:
    write(pipeline.settings.landing / "a.csv", [line | {"customer": ""} for line in sales(FIRST)])
    land(pipeline, instance)
    assert make_days(pipeline, instance, [FIRST]).success
    amber = evaluations(instance, "transactions", "transactions_are_valid")[str(FIRST)]
    assert not amber.passed
    assert amber.severity is dg.AssetCheckSeverity.WARN
    assert "at most 90% of the day's lines are anonymous" in str(amber.description)
    assert pipeline.state().customer_days[FIRST].rows == 0


def test_raw_rows_are_transactions_or_rejected_with_their_reasons_counted(
    pipeline: Pipeline, instance: dg.DagsterInstance
) -> None:
    free = [line | {"price": "0"} for line in sales(FIRST)[:3]]
    write(pipeline.settings.landing / "a.csv", [*sales(FIRST), *free])
    land(pipeline, instance)
    assert make_days(pipeline, instance, [FIRST]).success
    day = {"date": str(FIRST)}
    clean, refused = (
        read_partition(pipeline.lake, TABLES[table], day) for table in ("transactions", "rejected_rows")
    )
    (raw,) = (pipeline.lake.root / "raw_transactions" / f"date={FIRST}").glob("*.parquet")
    assert pq.ParquetFile(raw).metadata.num_rows == len(clean) + len(refused) == len(sales(FIRST)) + 3
    figures = evaluations(instance, "transactions", "no_row_is_lost")[str(FIRST)].metadata
    assert {name: value.value for name, value in figures.items()} == {
        "raw": len(clean) + 3,
        "transactions": len(clean),
        "rejected": 3,
        "zero_price": 3,
    }

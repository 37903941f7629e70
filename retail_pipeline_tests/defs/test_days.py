"""Days in Dagster: good ones stay done, a held one is kept from everything that would rest on it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path

import dagster as dg
import pyarrow.parquet as pq
import pytest

from retail_pipeline.cli.status import without_profile
from retail_pipeline.defs.assets import days
from retail_pipeline.defs.resources import Pipeline
from retail_pipeline.lake.partitions import read_partition
from retail_pipeline.lake.records import record
from retail_pipeline.lake.slices import rises
from retail_pipeline.planning.decisions import DayRelease
from retail_pipeline.planning.inputs import read_by_no_profile
from retail_pipeline.planning.plan import plan
from retail_pipeline.tables import TABLES
from retail_pipeline_tests.command import tree
from retail_pipeline_tests.defs.support import (
    evaluations,
    land,
    make_days,
    make_snapshots,
    open_pipeline,
    said,
    statuses,
)
from retail_pipeline_tests.shop import FIRST, PROFILE, deliver, sales, span, write

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


def test_a_range_makes_its_own_days_and_no_others(delivered: Pipeline, instance: dg.DagsterInstance):
    assert make_days(delivered, instance, DAYS[4:7]).success
    for table in ("transactions", "customer_days"):
        assert set(statuses(delivered, instance, table, DAYS).items()) == {
            (day, "MATERIALIZED") for day in DAYS[4:7]
        }
    assert sorted(delivered.state()["transactions"]) == DAYS[4:7]
    for check in ("no_row_is_lost", "transactions_are_valid"):
        made = evaluations(instance, "transactions", check)
        assert set(made) == {str(day) for day in DAYS[4:7]}
        assert all(evaluation.passed for evaluation in made.values())


@pytest.mark.parametrize("invoice_days", [0, 2, 31])
def test_an_invoice_over_days_counts_once_however_the_days_come_in_batches(
    tmp_path: Path, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch, invoice_days: int
):
    def made(name: str, *runs: Sequence[date]) -> dict[str, bytes]:
        pipeline = open_pipeline(tmp_path / name, features={"invoice_days": invoice_days})
        for day in DAYS[:6]:
            lines = [{**line, "order": f"open-{line['customer']}"} for line in sales(day)]
            write(pipeline.settings.landing / f"{day}.csv", lines)
        assert land(pipeline, instance).success
        for days_of_run in runs:
            assert make_days(pipeline, instance, days_of_run).success
        return {p: c for p, c in tree(pipeline.lake.root).items() if p.startswith("customer_days")}

    at_once = made("at once", DAYS[:6])
    assert made("in two runs", DAYS[:4], DAYS[4:6]) == at_once
    monkeypatch.setattr(days, "BATCH_DAYS", 1)
    assert made("day by day", DAYS[:6]) == at_once


def test_a_bad_day_fails_by_name_and_the_good_days_of_its_run_stay_done(
    delivered: Pipeline, instance: dg.DagsterInstance
):
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
    assert BAD not in state["customer_days"]

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
):
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


def test_a_released_day_counts_until_other_rows_come(delivered: Pipeline, instance: dg.DagsterInstance):
    make_days(delivered, instance, DAYS)
    content = delivered.state()["transactions"][BAD].content
    record(delivered.lake, DayRelease(day=BAD, content=content, why="our Geneva till", by="ana"))
    assert not delivered.state().is_held(BAD)
    assert make_days(delivered, instance, [BAD]).success
    assert statuses(delivered, instance, "customer_days", [BAD]) == {BAD: "MATERIALIZED"}
    assert make_snapshots(delivered, instance, [BAD]).success

    more = [line | {"order": f"again-{line['order']}"} for line in sales(BAD, "USD")]
    write(delivered.settings.landing / "again.csv", more)
    assert land(delivered, instance).success
    assert f"{BAD}: held" in said(make_days(delivered, instance, [BAD]))
    assert BAD not in delivered.state()["customer_days"]
    assert statuses(delivered, instance, "transactions", [BAD]) == {BAD: "FAILED"}


def test_a_damaged_raw_file_fails_its_own_day_by_name(delivered: Pipeline, instance: dg.DagsterInstance):
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
    assert hit not in delivered.state()["transactions"]


def test_many_anonymous_sales_are_amber_and_hold_nothing(pipeline: Pipeline, instance: dg.DagsterInstance):
    write(pipeline.settings.landing / "a.csv", [line | {"customer": ""} for line in sales(FIRST)])
    land(pipeline, instance)
    assert make_days(pipeline, instance, [FIRST]).success
    amber = evaluations(instance, "transactions", "transactions_are_valid")[str(FIRST)]
    assert not amber.passed
    assert amber.severity is dg.AssetCheckSeverity.WARN
    assert "at most 90% of the day's lines are anonymous" in str(amber.description)
    assert pipeline.state()["customer_days"][FIRST].rows == 0


def test_raw_rows_are_transactions_or_rejected_with_their_reasons_counted(
    pipeline: Pipeline, instance: dg.DagsterInstance
):
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


CASH = {**PROFILE, "files": "cash_*", "cleaning": {"adjustment_pattern": "^P0$"}}
SHOP = {**PROFILE, "files": "shop_*", "cleaning": {"product_pattern": "^P[012]$", "minimum_price": 5}}


def two_profiles(root: Path, **profiles: object) -> Pipeline:
    """Two ways to read one shop's files, each with rules of its own; one file each for the first day."""
    (root / "landing").mkdir(exist_ok=True)
    pipeline = open_pipeline(root, sources=profiles)
    for name, units in (("cash", "3"), ("shop", "4")):
        lines = [line | {"units": units} for line in sales(FIRST)]
        cheap = {**lines[0], "product": "P0", "price": "1.00"}
        write(pipeline.settings.landing / f"{name}_1.csv", [*lines, cheap])
    return pipeline


def kinds(pipeline: Pipeline) -> dict[str, set[tuple[str, str]]]:
    """What became of the products P0 of each file, told apart by their units; a day's rows lie in order."""
    found: dict[str, set[tuple[str, str]]] = {"3.000": set(), "4.000": set()}
    for table, said_by in (("transactions", "line_kind"), ("rejected_rows", "reasons")):
        rows = read_partition(pipeline.lake, TABLES[table], {"date": str(FIRST)})
        assert rises(rows, TABLES[table].key)
        for row in rows.to_pylist():
            if row["product_id"] == "P0":
                found[str(row["quantity"])].add((table, str(row[said_by])))
    return found


def test_the_rules_of_the_profile_that_read_a_file_judge_it_and_no_others(
    tmp_path: Path, instance: dg.DagsterInstance
):
    pipeline = two_profiles(tmp_path, cash=CASH, shop=SHOP, unused={**PROFILE, "files": "never_*"})
    assert land(pipeline, instance).success
    make_days(pipeline, instance, [FIRST])
    assert kinds(pipeline) == {
        "3.000": {("transactions", "adjustment")},
        "4.000": {("transactions", "sale"), ("rejected_rows", "['minimum_price']")},
    }


def test_a_changed_rule_makes_the_days_that_its_profile_read_and_those_alone(
    tmp_path: Path, instance: dg.DagsterInstance
):
    pipeline = two_profiles(tmp_path, cash=CASH, shop=SHOP)
    (pipeline.settings.landing / "cash_1.csv").unlink()
    land(pipeline, instance)
    make_days(pipeline, instance, [FIRST])

    def stale(**profiles: object) -> tuple[date, ...]:
        again = two_profiles(tmp_path, **profiles)
        return plan(again.state(), again.recipe, FIRST).days

    other = {"cleaning": {"minimum_price": 2}}
    assert stale(cash=CASH | other, shop=SHOP) == ()
    assert stale(cash=CASH, shop=SHOP | other) == (FIRST,)


def test_a_renamed_profile_reads_its_files_again_and_a_removed_one_is_missed(
    tmp_path: Path, instance: dg.DagsterInstance
):
    pipeline = two_profiles(tmp_path, cash=CASH, shop=SHOP)
    land(pipeline, instance)
    make_days(pipeline, instance, [FIRST])
    before = kinds(pipeline)

    renamed = two_profiles(tmp_path, till=CASH, shop=SHOP)
    seen = tuple(renamed.listing().files)
    assert [file.path for file in plan(renamed.state(seen), renamed.recipe, FIRST).files] == ["cash_1.csv"]
    assert land(renamed, instance).success
    assert {m.read_by for m in renamed.state().landed.values()} == {"till", "shop"}
    make_days(renamed, instance, [FIRST])
    assert kinds(renamed) == before

    removed = two_profiles(tmp_path, shop=SHOP)
    (removed.settings.landing / "cash_1.csv").unlink()
    gone = read_by_no_profile(removed.state(), removed.recipe)
    assert [manifest.arrival.path for manifest in gone.values()] == ["cash_1.csv"]
    assert any(
        "till is gone from the settings" in line for line in without_profile(removed.state(), removed.recipe)
    )
    make_days(removed, instance, [FIRST])
    assert kinds(removed)["3.000"] == {("transactions", "sale")}

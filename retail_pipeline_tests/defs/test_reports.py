"""The report in Dagster: which days it is made for, what it compares, and what keeps it from being made."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from retail_pipeline.definitions import build_defs
from retail_pipeline.defs.assets.reports import SUMS, make_tables, sums
from retail_pipeline.defs.events import Log
from retail_pipeline.defs.jobs import REPORT_TABLES
from retail_pipeline.defs.requests import range_tags
from retail_pipeline.defs.resources import Pipeline
from retail_pipeline.defs.run_plan import QUIET, bring_up_to_date
from retail_pipeline.defs.runner import Run
from retail_pipeline.lake.models import read_own_model
from retail_pipeline.lake.partitions import read_partition, remove_partition
from retail_pipeline.planning.manifests import Manifest
from retail_pipeline.planning.pieces import REPORTS, SNAPSHOTS, Goal, next_pieces
from retail_pipeline.planning.plan import plan
from retail_pipeline.segmentation import to_sql
from retail_pipeline.settings import Features
from retail_pipeline.tables import TABLES
from retail_pipeline_tests.command import tree
from retail_pipeline_tests.defs.support import (
    land,
    make_days,
    make_snapshots,
    open_pipeline,
    run,
    said,
    statuses,
)
from retail_pipeline_tests.shop import CUSTOMERS, FIRST, deliver, sales, span, write

DAYS = span(FIRST, 33)
SECOND, LAST, DAY_BEFORE, MONTH_BEFORE = DAYS[1], DAYS[-1], DAYS[-2], DAYS[-31]


@dataclass(frozen=True)
class Shop:
    """A shop of 33 days with the second month's models, the last day's snapshot, and what made its report."""

    pipeline: Pipeline
    instance: dg.DagsterInstance
    made: dg.ExecuteInProcessResult | None = None

    def report(
        self, first: date, last: date, *tables: str, every_day: bool = False
    ) -> dg.ExecuteInProcessResult:
        """Make the report, or some of its tables, over a range."""
        return (
            build_defs(self.pipeline.settings)
            .resolve_job_def("report_job")
            .execute_in_process(
                run_config={**QUIET, "ops": {"reports": {"config": {"every_day": every_day}}}},
                instance=self.instance,
                tags=range_tags(str(first), str(last)),
                asset_selection=[dg.AssetKey(table) for table in tables] or None,
                raise_on_error=False,
            )
        )

    def assign(self, first: date, last: date) -> None:
        """Make the features and segments of a range of days."""
        tables = ("rfm_features", "segment_assignments")
        assert run(self.pipeline, self.instance, "daily_job", first, last, tables).success

    def rows(self, table: str, **keys: object) -> list[dict[str, Any]]:
        """The rows of a partition."""
        partition = {key: str(value) for key, value in keys.items()}
        found: list[dict[str, Any]] = read_partition(self.pipeline.lake, TABLES[table], partition).to_pylist()
        return found

    def made_days(self, table: str) -> set[date]:
        """The days for which a table of the report is shown as made."""
        return set(statuses(self.pipeline, self.instance, table, DAYS))

    def tables(self, day: date) -> dict[str, bytes]:
        """The report's tables of a day as bytes."""
        return {
            f"{table}/{path}": content
            for table in REPORT_TABLES
            for path, content in tree(
                self.pipeline.lake.partition(table, {"snapshot_date": str(day)})
            ).items()
        }


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    root: Path = tmp_path_factory.mktemp("shop")
    pipeline = open_pipeline(
        root, segmentations={"behaviour": {"guards": None}, "spend_tiers": {"guards": None}}
    )
    deliver(pipeline.settings.landing, DAYS)
    with dg.DagsterInstance.ephemeral() as instance:
        assert land(pipeline, instance).success
        assert make_days(pipeline, instance, DAYS).success
        assert run(pipeline, instance, "monthly_model_job", "2024-02-01", "2024-02-01").success
        assert make_snapshots(pipeline, instance, [LAST]).success
        made = Shop(pipeline, instance).report(DAY_BEFORE, LAST)
        assert made.success
        yield Shop(pipeline, instance, made)


def weekdays(trends: Sequence[Mapping[str, Any]]) -> dict[int, int]:
    """The invoices by weekday that sales_trends counts."""
    return {r["position"]: r["invoices"] for r in trends if r["dimension"] == "weekday" and r["invoices"]}


def invoices(days: Sequence[date]) -> dict[int, int]:
    """The same, as delivered."""
    return Counter(day.isoweekday() for day in days for _ in {line["order"] for line in sales(day)})


def test_a_range_makes_the_report_of_its_last_day(shop: Shop) -> None:
    assert shop.made
    evaluated = [
        (e.asset_key.to_user_string(), e.check_name, e.partition, e.passed)
        for e in shop.made.get_asset_check_evaluations()
    ]
    assert evaluated == [(table, f"{table}_are_valid", str(LAST), True) for table in REPORT_TABLES]
    for table in REPORT_TABLES:
        assert shop.made_days(table) == {LAST}
        rows = shop.rows(table, snapshot_date=LAST)
        assert rows, table
        (event,) = [
            e for e in shop.made.get_asset_materialization_events() if e.asset_key == dg.AssetKey(table)
        ]
        metadata = event.materialization.metadata
        assert metadata["dagster/partition_row_count"].value == len(rows)
        assert str(metadata["path"].value).endswith(f"{table}/snapshot_date={LAST}")


def test_the_tables_agree_with_the_snapshot(shop: Shop) -> None:
    figures = {row["figure"]: row["value"] for row in shop.rows("key_figures", snapshot_date=LAST)}
    assert figures["active_customers"] == len(CUSTOMERS)
    for name in shop.pipeline.settings.segmentations:
        assigned = shop.rows("segment_assignments", snapshot_date=LAST, segmentation=name)
        profiles = shop.rows("segment_profiles", snapshot_date=LAST)
        assert {r["segment"]: r["customers"] for r in profiles if r["segmentation"] == name} == Counter(
            row["segment"] for row in assigned
        )
        revenue = sum(row["revenue"] for row in profiles if row["segmentation"] == name)
        assert float(revenue) == pytest.approx(figures["customer_revenue"])
    months = [row["month"] for row in shop.rows("cohort_retention", snapshot_date=LAST)]
    assert months == ["2024-01", "2024-02"]


def test_trends_count_the_feature_window_and_cohorts_all_history(shop: Shop) -> None:
    pipeline = Pipeline(shop.pipeline.settings.model_copy(update={"features": Features(window_days=10)}))
    with pipeline.engine() as engine:
        run = Run(pipeline, engine, Log(dg.build_asset_context(), pipeline), (), pipeline.state())
        made = make_tables(run, LAST, ["sales_trends", "cohort_retention"])
    assert weekdays(made["sales_trends"].to_pylist()) == invoices(DAYS[-10:])
    assert made["cohort_retention"].to_pylist() == shop.rows("cohort_retention", snapshot_date=LAST)


def test_moves_are_those_between_the_snapshots_of_the_days_compared_made_or_not(shop: Shop) -> None:
    before = shop.tables(LAST)
    shop.assign(MONTH_BEFORE, MONTH_BEFORE)
    shop.assign(DAY_BEFORE, DAY_BEFORE)
    assert shop.report(LAST, LAST, "segment_migration").success
    assert shop.tables(LAST) == before
    own = partial(read_own_model, shop.pipeline.lake, MONTH_BEFORE)
    moves = shop.rows("segment_migration", snapshot_date=LAST)
    features = read_partition(shop.pipeline.lake, TABLES["rfm_features"], {"snapshot_date": str(LAST)})
    for name in shop.pipeline.settings.segmentations:
        for compared_with, earlier in (("previous_day", DAY_BEFORE), ("30_days_before", MONTH_BEFORE)):
            then, now = (
                {
                    row["customer_id"]: row["segment"]
                    for row in shop.rows("segment_assignments", snapshot_date=day, segmentation=name)
                }
                for day in (earlier, LAST)
            )
            of_pair = [r for r in moves if (r["segmentation"], r["compared_with"]) == (name, compared_with)]
            assert {row["compared_day"] for row in of_pair} == {earlier}
            assert {(r["from_segment"], r["to_segment"]): r["customers"] for r in of_pair} == Counter(
                (then.get(customer, "New"), segment) for customer, segment in now.items()
            )
            left = []
            if earlier == MONTH_BEFORE:  # fitted on itself; the day before has the model of today
                with shop.pipeline.engine() as engine:
                    still = engine.run(to_sql(own(name)), {"rfm_features": features}).to_pylist()
                left = [
                    r for r in still if then.get(r["customer_id"]) == r["segment"] != now[r["customer_id"]]
                ]
            assert sum(row["by_model"] for row in of_pair) == len(left)
    assert any(row["by_model"] for row in moves)


def test_every_day_is_made_on_request_and_the_first_has_nothing_to_compare_with(shop: Shop) -> None:
    shop.assign(FIRST, SECOND)
    tables = ("segment_migration", "cohort_retention", "sales_trends")
    assert shop.report(FIRST, SECOND, *tables, every_day=True).success
    assert {FIRST, SECOND} <= shop.made_days("segment_migration")
    assert shop.made_days("segment_profiles") == {LAST}
    assert shop.rows("segment_migration", snapshot_date=FIRST) == []
    compared = {row["compared_with"] for row in shop.rows("segment_migration", snapshot_date=SECOND)}
    assert compared == {"previous_day"}
    assert {row["rate"] for row in shop.rows("cohort_retention", snapshot_date=FIRST)} == {1.0}
    assert weekdays(shop.rows("sales_trends", snapshot_date=SECOND)) == invoices([FIRST, SECOND])


def test_a_day_without_a_snapshot_fails_by_name(shop: Shop) -> None:
    day = LAST - timedelta(days=3)
    result = shop.report(day, day)
    assert f"{day}: its rfm_features are not made: select rfm_features too" in said(result)


def test_a_damaged_file_fails_the_day_and_leaves_the_report_that_was_there(shop: Shop) -> None:
    before = shop.tables(LAST)
    with damaged(shop.pipeline.lake.data("product_days", {"date": str(DAY_BEFORE)})):
        result = shop.report(LAST, LAST)
    assert f"{LAST}: " in said(result)
    assert "retail-pipeline check" in said(result)
    assert shop.tables(LAST) == before


# what it adds up over days


@contextmanager
def damaged(*paths: Path) -> Iterator[None]:
    """Files cut short for a while: who reads one fails."""
    whole = {path: path.read_bytes() for path in paths}
    for path, content in whole.items():
        path.write_bytes(content[:100])
    try:
        yield
    finally:
        for path, content in whole.items():
            path.write_bytes(content)


def sums_of(shop: Shop) -> dict[str, bytes]:
    return {
        f"{table.name}/{path}": content
        for table in SUMS
        for path, content in tree(shop.pipeline.lake.root / table.name).items()
    }


def test_a_report_whose_days_are_summed_reads_no_transactions(shop: Shop) -> None:
    lake = shop.pipeline.lake
    before, kept = shop.tables(LAST), sums_of(shop)
    assert {path.split("/")[1] for path in kept} == {f"date={day}" for day in DAYS}
    with damaged(*(lake.data("transactions", {"date": str(day)}) for day in DAYS)):
        assert shop.report(LAST, LAST).success
    assert (shop.tables(LAST), sums_of(shop)) == (before, kept)


def test_sums_that_are_missing_or_of_other_rows_are_made_again_alone(shop: Shop) -> None:
    lake, before, kept = shop.pipeline.lake, shop.tables(LAST), sums_of(shop)
    remove_partition(lake, "sales_hours", {"date": str(SECOND)})
    stale = lake.partition("product_days", {"date": str(MONTH_BEFORE)}) / "_manifest.json"
    transactions = Manifest.model_validate_json(stale.read_text()).inputs["transactions"]
    stale.write_text(stale.read_text().replace(transactions, "other rows"))
    lake.data("product_days", {"date": str(MONTH_BEFORE)}).write_bytes(b"of other rows")
    # what is right is not looked at: an invoice of the days after may have begun on these, and is no other
    touched = {SECOND, MONTH_BEFORE, *DAYS[: DAYS.index(MONTH_BEFORE)]}
    with damaged(*(lake.data("transactions", {"date": str(day)}) for day in DAYS if day not in touched)):
        assert shop.report(LAST, LAST).success
    assert (shop.tables(LAST), sums_of(shop)) == (before, kept)


def test_a_late_row_changes_the_sums_of_its_day(tmp_path: Path) -> None:
    days = span(FIRST, 4)
    pipeline = open_pipeline(tmp_path, segmentations={"rfm_grid": {}}, report={"each_run": True})
    deliver(pipeline.settings.landing, days)
    with dg.DagsterInstance.ephemeral() as instance:
        shop = Shop(pipeline, instance)
        assert not bring_up_to_date(pipeline, instance, lambda: days[-1]).failures
        before = shop.rows("sales_trends", snapshot_date=days[-1])
        late = [{**sales(days[1])[0], "order": "late", "price": "1000"}]
        write(pipeline.settings.landing / "late.csv", late)
        assert not bring_up_to_date(pipeline, instance, lambda: days[-1]).failures
        after = shop.rows("sales_trends", snapshot_date=days[-1])
        assert not plan(pipeline.state(tuple(pipeline.listing().files)), pipeline.recipe, days[-1])
        assert weekdays(after)[days[1].isoweekday()] == weekdays(before)[days[1].isoweekday()] + 1
        # of a day that is held nobody reads sums that no longer count
        state = pipeline.state()
        usable = {day: made for day, made in state["customer_days"].items() if day != days[1]}
        with pipeline.engine() as engine:
            log = Log(dg.build_asset_context(), pipeline)
            run = Run(pipeline, engine, log, (), state.having(customer_days=usable))
            for table in SUMS:
                sums(run, table, list(usable))
    assert {path.split("/")[1] for path in sums_of(shop)} == {f"date={day}" for day in usable}


def test_lists_never_wait_for_the_report(shop: Shop) -> None:
    graph = build_defs(shop.pipeline.settings).resolve_asset_graph()
    before = graph.get_ancestor_asset_keys(dg.AssetKey("campaign_lists"))
    reports = {dg.AssetKey(name) for name, table in TABLES.items() if table.layer == "reports"}
    assert before
    assert not before & reports
    state, recipe = shop.pipeline.state(), replace(shop.pipeline.recipe, report_each_run=True)
    unlisted, unreported = state.having(report={}, campaign_lists={}), state.having(report={})
    (lists,) = next_pieces(unlisted, recipe, Goal(LAST))
    assert lists.layer == SNAPSHOTS
    assert [piece.layer for piece in next_pieces(unreported, recipe, Goal(LAST), [lists])] == [REPORTS]

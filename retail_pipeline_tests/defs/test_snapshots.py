"""Snapshots and models in Dagster: segments, lists, and what keeps them from being made."""

from __future__ import annotations

import os
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import dagster as dg
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from retail_pipeline.defs.resources import Pipeline
from retail_pipeline.lake.partitions import read_partition, write_partition
from retail_pipeline.tables import TABLES
from retail_pipeline_tests.defs.support import (
    evaluations,
    land,
    make_days,
    make_snapshots,
    open_pipeline,
    run,
    said,
    statuses,
)
from retail_pipeline_tests.shop import CUSTOMERS, FIRST, deliver, span

DAYS = span(FIRST, 6)
LAST = DAYS[-1]


@pytest.fixture
def made(pipeline: Pipeline, instance: dg.DagsterInstance) -> Pipeline:
    """Six days are there up to customer_days."""
    deliver(pipeline.settings.landing, DAYS)
    assert land(pipeline, instance).success
    assert make_days(pipeline, instance, DAYS).success
    return pipeline


def listed(pipeline: Pipeline, day: date) -> set[str]:
    """Every customer on any list of a day."""
    found: set[str] = set()
    for name in pipeline.state()["campaign_lists"].get(day, {}):
        keys = {"snapshot_date": str(day), "campaign": name}
        found |= set(read_partition(pipeline.lake, TABLES["campaign_lists"], keys)["customer_id"].to_pylist())
    return found


def with_suppression(pipeline: Pipeline, ids: str | None, max_age_days: int = 7) -> Pipeline:
    """The same lake with a suppression file, written unless ``ids`` is None."""
    path = pipeline.settings.lake.parent / "objected.csv"
    if ids is not None:
        path.write_text(ids)
    return open_pipeline(path.parent, suppression={"path": str(path), "max_age_days": max_age_days})


def test_everyone_who_bought_has_a_segment_and_a_place_on_one_default_list(
    made: Pipeline, instance: dg.DagsterInstance
) -> None:
    assert make_snapshots(made, instance, [LAST]).success
    for table in ("rfm_features", "segment_assignments", "campaign_lists"):
        assert statuses(made, instance, table, DAYS) == {LAST: "MATERIALIZED"}
    assert listed(made, LAST) == set(CUSTOMERS)
    for table, check in (
        ("rfm_features", "rfm_features_are_valid"),
        ("segment_assignments", "segment_assignments_are_valid"),
        ("campaign_lists", "campaign_lists_are_valid"),
        ("campaign_lists", "no_recent_day_is_held"),
    ):
        assert {day: found.passed for day, found in evaluations(instance, table, check).items()} == {
            str(LAST): True
        }


def test_customers_who_objected_are_on_no_list(made: Pipeline, instance: dg.DagsterInstance) -> None:
    objected = CUSTOMERS[2:5]
    pipeline = with_suppression(made, "\n".join(["customer_id", *objected, "", objected[0]]))
    assert make_snapshots(pipeline, instance, [LAST]).success
    assert listed(pipeline, LAST) == set(CUSTOMERS) - set(objected)


@pytest.mark.parametrize(
    ("ids", "changed_before", "message"),
    [
        (None, 0, "cannot be read"),
        ("customer_id\n70001\n", 8, "more than 7 days before"),
    ],
)
def test_a_suppression_file_that_cannot_be_trusted_blocks_the_lists_and_nothing_else(
    made: Pipeline, instance: dg.DagsterInstance, ids: str | None, changed_before: int, message: str
) -> None:
    assert make_snapshots(made, instance, [LAST]).success
    assert listed(made, LAST)
    pipeline = with_suppression(made, ids)
    assert pipeline.settings.suppression
    path = pipeline.settings.suppression.path
    if ids is not None:
        changed = datetime(LAST.year, LAST.month, LAST.day, 12, tzinfo=UTC) - timedelta(days=changed_before)
        os.utime(path, (changed.timestamp(), changed.timestamp()))
    result = make_snapshots(pipeline, instance, [LAST])
    assert f"{LAST}: no lists: the suppression file {path}" in said(result)
    assert message in said(result)
    assert listed(pipeline, LAST) == set()  # those of before are taken away
    assert statuses(pipeline, instance, "campaign_lists", [LAST]) == {LAST: "FAILED"}
    assert statuses(pipeline, instance, "segment_assignments", [LAST]) == {LAST: "MATERIALIZED"}


def test_a_campaign_or_segmentation_that_is_switched_off_leaves_nothing_behind(
    made: Pipeline, instance: dg.DagsterInstance
) -> None:
    make_snapshots(made, instance, [LAST])
    off = {"campaigns": {"retain": None}, "segmentations": {"behaviour": {}}}
    fewer = open_pipeline(made.settings.lake.parent, **off)
    make_snapshots(fewer, instance, [LAST])
    left = {path.name for path in made.lake.root.glob(f"*/snapshot_date={LAST}/*=*")}
    lists = {f"campaign={name}" for name in fewer.settings.campaigns_in_force}
    assert left == {*lists, "segmentation=behaviour"}
    assert "campaign=retain" not in lists


@pytest.mark.parametrize("table", ["segment_assignments", "campaign_lists"])
def test_a_table_selected_without_what_it_is_made_from_fails_by_name(
    made: Pipeline, instance: dg.DagsterInstance, table: str
) -> None:
    lacking = {"segment_assignments": "rfm_features", "campaign_lists": "segment_assignments"}[table]
    result = run(made, instance, "daily_job", DAYS[0], DAYS[1], [table])
    assert said(result).splitlines()[1:] == [
        f"{day}: its {lacking} are not made: select {lacking} too" for day in DAYS[:2]
    ]


def test_a_snapshot_knows_nothing_of_later_days(made: Pipeline, instance: dg.DagsterInstance) -> None:
    early = DAYS[2]
    make_snapshots(made, instance, [early])
    keys = {"snapshot_date": str(early)}
    content = made.lake.data("rfm_features", keys).read_bytes()
    last_sold = pc.max(read_partition(made.lake, TABLES["rfm_features"], keys)["last_sold_at"]).as_py()
    assert last_sold.date() <= early
    deliver(made.settings.landing, span(LAST + timedelta(days=1), 2))
    land(made, instance)
    make_days(made, instance, span(LAST + timedelta(days=1), 2))
    make_snapshots(made, instance, [early])
    assert made.lake.data("rfm_features", keys).read_bytes() == content


def test_history_that_cannot_be_holds_the_snapshot_with_masked_customers(
    made: Pipeline, instance: dg.DagsterInstance
) -> None:
    hit = DAYS[1]
    keys = {"date": str(hit)}
    before = made.state()["customer_days"][hit]
    rows = read_partition(made.lake, TABLES["customer_days"], keys)
    later = pa.array([datetime.fromisoformat("2024-03-01T12:00")] * len(rows), pa.timestamp("us"))
    spoilt = rows.set_column(rows.column_names.index("last_sold_at"), "last_sold_at", later)
    write_partition(made.lake, TABLES["customer_days"], keys, spoilt, before.inputs)

    result = make_snapshots(made, instance, [DAYS[0], DAYS[1]])
    assert said(result).splitlines()[1].startswith(f"{hit}: {len(rows)} rows against «recency_days")
    assert statuses(made, instance, "rfm_features", DAYS[:2]) == {DAYS[0]: "MATERIALIZED", hit: "FAILED"}
    assert hit not in made.state()["rfm_features"]
    red = evaluations(instance, "rfm_features", "rfm_features_are_valid")[str(hit)]
    shown = str(red.metadata["failures"].value)
    assert f"{len(rows)} rows do not" in shown
    assert r"| 70\*\*\* |" in shown
    everything = "\n".join(
        f"{entry.user_message} {entry.dagster_event}" for entry in instance.all_logs(result.run_id)
    )
    assert not [customer for customer in CUSTOMERS if customer in everything]


# the models


def test_a_months_model_is_trained_on_the_days_before_it_and_used_in_it(
    pipeline: Pipeline, instance: dg.DagsterInstance
) -> None:
    days = span(date(2024, 1, 29), 6)
    deliver(pipeline.settings.landing, days)
    land(pipeline, instance)
    make_days(pipeline, instance, days)
    in_february = days[-1]
    refused = make_snapshots(pipeline, instance, [in_february])
    assert f"{in_february}: no model is in force in 2024-02: run monthly_model_job for 2024-02" in said(
        refused
    )

    assert run(pipeline, instance, "monthly_model_job", "2024-02-01", "2024-02-01").success
    assert instance.get_materialized_partitions(dg.AssetKey("segmentation_models")) == {"2024-02-01"}
    folder = pipeline.lake.partition("segmentation_models", {"month": "2024-02"})
    assert {path.name for path in folder.iterdir()} == {"behaviour.json", "rfm_grid.json", "_manifest.json"}
    close = date(2024, 1, 31)
    assert set(pipeline.state()["segment_assignments"][close]) == {"behaviour", "rfm_grid"}

    assert make_snapshots(pipeline, instance, [in_february]).success
    keys = {"snapshot_date": str(in_february), "segmentation": "behaviour"}
    rows = read_partition(pipeline.lake, TABLES["segment_assignments"], keys)
    assert set(rows["model_month"].to_pylist()) == {"2024-02"}
    before = read_partition(
        pipeline.lake, TABLES["segment_assignments"], keys | {"snapshot_date": str(close)}
    )
    assert set(before["model_month"].to_pylist()) == {"bootstrap"}
    previous = dict(zip(before["customer_id"].to_pylist(), before["segment"].to_pylist(), strict=True))
    assert rows["previous_segment"].to_pylist() == [previous.get(c.as_py()) for c in rows["customer_id"]]


def test_a_month_whose_close_cannot_be_made_fails_by_name_and_the_others_are_done(
    pipeline: Pipeline, instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    days = span(date(2024, 1, 30), 33)
    deliver(pipeline.settings.landing, days)
    land(pipeline, instance)
    make_days(pipeline, instance, days)
    damaged = pipeline.lake.data("customer_days", {"date": "2024-02-10"})
    damaged.write_bytes(damaged.read_bytes()[:-9])
    result = run(pipeline, instance, "monthly_model_job", "2024-02-01", "2024-03-01")
    first, second = said(result).splitlines()
    assert first == "1 month could not be made; the others are done."
    assert second.startswith("2024-03: its month close 2024-02-29: ")
    assert str(damaged) in second
    assert instance.get_materialized_partitions(dg.AssetKey("segmentation_models")) == {"2024-02-01"}

"""Late data in Dagster: what is restated, what is flagged, and lists that were handed over."""

from __future__ import annotations

import shutil
from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from retail_pipeline.defs.resources import Pipeline
from retail_pipeline.defs.run_plan import bring_up_to_date
from retail_pipeline.lake.partitions import read_partition
from retail_pipeline.lake.records import record
from retail_pipeline.lake.state import RELEASED_FILE
from retail_pipeline.planning.decisions import ListRelease
from retail_pipeline.tables import TABLES
from retail_pipeline_tests.command import touched, tree
from retail_pipeline_tests.defs.support import land, make_days, make_snapshots, open_pipeline
from retail_pipeline_tests.shop import FIRST, deliver, sales, span, write

DAYS = span(FIRST, 6)
LAST = DAYS[-1]
LISTS = ("campaign_lists", "restated_lists")


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Landing and lake of six days with their snapshots, segments and lists."""
    root = tmp_path_factory.mktemp("shop")
    pipeline = open_pipeline(root)
    deliver(pipeline.settings.landing, DAYS)
    with dg.DagsterInstance.ephemeral() as instance:
        assert land(pipeline, instance).success
        assert make_days(pipeline, instance, DAYS).success
        assert make_snapshots(pipeline, instance, DAYS).success
    return root


@pytest.fixture
def made(shop: Path, tmp_path: Path) -> Pipeline:
    """The shop, for one test."""
    shutil.copytree(shop, tmp_path / "shop")
    return open_pipeline(tmp_path / "shop")


def under(pipeline: Pipeline, **settings: Any) -> Pipeline:
    """The same lake under other settings."""
    return open_pipeline(pipeline.settings.lake.parent, **settings)


def deliver_late(pipeline: Pipeline) -> None:
    """More lines of the third day: one customer's large order."""
    lines = [{**line, "order": "late", "customer": "70003", "units": "900"} for line in sales(DAYS[2])[:1]]
    write(pipeline.settings.landing / "late.csv", lines)


def lists_of(pipeline: Pipeline, table: str, day: date, campaign: str) -> list[dict[str, Any]]:
    keys = {"snapshot_date": str(day), "campaign": campaign}
    rows: list[dict[str, Any]] = read_partition(pipeline.lake, TABLES[table], keys).to_pylist()
    return rows


def hand_over(pipeline: Pipeline, day: date, campaign: str) -> None:
    content = pipeline.state()["campaign_lists"][day][campaign].content
    release = ListRelease(day=day, campaign=campaign, content=content, why="mailing", by="anna")
    record(pipeline.lake, release)


def list_files(pipeline: Pipeline) -> dict[str, bytes]:
    """Every file of the lists and of the restated ones, by its path."""
    found = tree(pipeline.lake.root)
    return {path: content for path, content in found.items() if path.startswith(LISTS)}


def is_up_to_date(instance: dg.DagsterInstance) -> dg.AssetCheckEvaluation:
    key = dg.AssetCheckKey(dg.AssetKey("rfm_features"), "is_up_to_date")
    (record,) = instance.event_log_storage.get_asset_check_execution_history(key, limit=1)
    assert record.event
    assert record.event.dagster_event
    return record.event.dagster_event.asset_check_evaluation_data


def test_a_late_file_restates_the_last_days_and_flags_the_others_until_they_are_made_anew(
    made: Pipeline, instance: dg.DagsterInstance
) -> None:
    policy = under(made, restate=1)
    deliver_late(policy)
    land(policy, instance)
    make_days(policy, instance, DAYS[2:3])
    assert is_up_to_date(instance).metadata["stale snapshots"].value == 4
    before = tree(made.lake.root)
    assert not bring_up_to_date(policy, instance, lambda: LAST).failures
    after = tree(made.lake.root)
    changed = {path.split("/")[1] for path, content in after.items() if before.get(path) != content}
    snapshots = {name for name in changed if name.startswith("snapshot_date")}
    assert snapshots == {f"snapshot_date={day}" for day in DAYS[4:]}
    flagged = is_up_to_date(instance)
    assert (flagged.passed, flagged.severity) == (False, dg.AssetCheckSeverity.WARN)
    shown = {name: value.value for name, value in flagged.metadata.items()}
    assert shown["stale snapshots"] == 2
    assert (shown["first"], shown["last"]) == (str(DAYS[2]), str(DAYS[3]))

    assert not bring_up_to_date(under(made, restate="everything"), instance, lambda: LAST).failures
    assert is_up_to_date(instance).passed


def test_a_released_list_stays_as_it_is_and_the_restated_one_goes_beside_it_with_the_difference(
    made: Pipeline, instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    campaigns = sorted(made.state()["campaign_lists"][LAST])
    hand_over(made, LAST, campaigns[0])
    for campaign in campaigns[1:]:
        keys = {"snapshot_date": str(LAST), "campaign": campaign}
        (made.lake.partition("campaign_lists", keys) / RELEASED_FILE).touch()
    before = {campaign: lists_of(made, "campaign_lists", LAST, campaign) for campaign in campaigns}
    bytes_before = list_files(made)
    deliver_late(made)
    assert not bring_up_to_date(made, instance, lambda: LAST).failures

    shutil.copytree(made.settings.landing, tmp_path / "fresh" / "landing")
    fresh = open_pipeline(tmp_path / "fresh")
    assert not bring_up_to_date(fresh, instance, lambda: LAST).failures
    state = made.state()
    differ = set()
    for campaign in campaigns:
        now = lists_of(fresh, "campaign_lists", LAST, campaign)
        assert lists_of(made, "campaign_lists", LAST, campaign) == before[campaign]
        if campaign in state["restated_lists"][LAST]:
            differ.add(campaign)
            assert _changes(lists_of(made, "restated_lists", LAST, campaign)) == _expected(
                before[campaign], now
            )
        else:
            assert [{**row, "reason": ""} for row in now] == [
                {**row, "reason": ""} for row in before[campaign]
            ]
    assert differ
    after = list_files(made)
    released = {path for path in bytes_before if f"snapshot_date={LAST}" in path and "manifest" not in path}
    assert all(after[path] == bytes_before[path] for path in released)
    assert list_files(fresh).keys() - bytes_before.keys() == set()

    times = touched(made.lake.root)
    assert not bring_up_to_date(made, instance, lambda: LAST).runs
    assert touched(made.lake.root) == times


def _changes(restated: list[dict[str, Any]]) -> dict[str, tuple[Any, ...]]:
    columns = ("change", "arm", "rank", "offer", "released_arm", "released_rank")
    return {row["customer_id"]: tuple(row[column] for column in columns) for row in restated}


def _expected(before: list[dict[str, Any]], now: list[dict[str, Any]]) -> dict[str, tuple[Any, ...]]:
    def facts(rows: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
        return {row["customer_id"]: {**row, "reason": ""} for row in rows}

    then, today = facts(before), facts(now)
    found: dict[str, tuple[Any, ...]] = {}
    for customer in then.keys() | today.keys():
        old, new = then.get(customer), today.get(customer)
        change = "added" if not old else "removed" if not new else "same" if old == new else "changed"
        mine = (new["arm"], new["rank"], new["offer"]) if new else (None, None, None)
        found[customer] = (change, *mine, *((old["arm"], old["rank"]) if old else (None, None)))
    return found


def test_the_restated_list_goes_away_when_the_list_is_again_what_was_handed_over(
    made: Pipeline, instance: dg.DagsterInstance
) -> None:
    before = list_files(made)
    hand_over(made, LAST, "retain")
    campaign = made.settings.campaigns_in_force["retain"].model_dump(mode="json")
    dearer = under(made, campaigns={"retain": {**campaign, "offer": "dearer"}})
    assert make_snapshots(dearer, instance, [LAST]).success
    restated = dearer.state()["restated_lists"][LAST]["retain"]
    assert restated.counts["changed"] == restated.rows > 0
    asked = dg.AssetRecordsFilter(dg.AssetKey("campaign_lists"), asset_partitions=[str(LAST)])
    (record,) = instance.fetch_materializations(asked, limit=1).records
    assert record.asset_materialization
    shown = str(record.asset_materialization.metadata["lists"].value)
    assert f"| released; restated beside it: +0 -0 changed {restated.rows} |" in shown
    assert make_snapshots(made, instance, [LAST]).success
    assert list_files(made) == before


def test_a_marker_that_comes_while_a_run_is_under_way_is_in_time_until_the_list_is_written(
    made: Pipeline, instance: dg.DagsterInstance
) -> None:
    (before, keys) = list_files(made), {"snapshot_date": str(LAST), "campaign": "retain"}
    marker = made.lake.partition("campaign_lists", keys) / RELEASED_FILE
    settings = under(made, campaign_salt="other", restate=0).settings
    pipeline = Pipeline(
        settings, on_made=lambda table, _: marker.touch() if table == "rfm_features" else None
    )
    assert not bring_up_to_date(pipeline, instance, lambda: LAST).failures
    path = f"campaign_lists/snapshot_date={LAST}/campaign=retain/part-0.parquet"
    assert list_files(made)[path] == before[path]


def test_a_released_list_outlives_its_campaign_and_a_held_day_without_a_restated_one(
    made: Pipeline, instance: dg.DagsterInstance
) -> None:
    hand_over(made, LAST, "retain")
    folder = f"campaign_lists/snapshot_date={LAST}/campaign="
    before = list_files(made)
    without = under(made, campaigns={"retain": None})
    assert make_snapshots(without, instance, [LAST]).success
    assert list_files(made) == before
    write(made.settings.landing / "pounds.csv", sales(LAST, "GBP"))
    assert bring_up_to_date(under(made, restate=0), instance, lambda: LAST).failures
    after = list_files(made)
    assert {path for path in after if path.startswith(folder)} == {
        f"{folder}retain/{name}" for name in ("part-0.parquet", "_manifest.json")
    }
    assert all(after[path] == before[path] for path in after)

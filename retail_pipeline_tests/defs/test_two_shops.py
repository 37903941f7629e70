"""Two shops on one Dagster instance: two code locations, of which neither sees what is the other's."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from io import StringIO
from pathlib import Path

import dagster as dg
import pytest
from rich.console import Console

from retail_pipeline.cli.status import print_status, status_of
from retail_pipeline.definitions import build_defs
from retail_pipeline.defs.alerts import standing
from retail_pipeline.defs.instance import namesakes
from retail_pipeline.defs.resources import Pipeline
from retail_pipeline.defs.run_plan import bring_up_to_date
from retail_pipeline.defs.sensors import wait
from retail_pipeline.planning.alerts import messages
from retail_pipeline_tests.defs.support import open_pipeline
from retail_pipeline_tests.defs.test_sensors import LANDS, MAKES, execute, named, tick
from retail_pipeline_tests.shop import deliver, span

DAYS = span(date(2024, 2, 1), 3)
SHOP = {"segmentations": {"spend_tiers": {}}, "default_campaigns": "spend_tiers"}


@pytest.fixture
def shops(tmp_path: Path) -> tuple[Pipeline, Pipeline]:
    """The shops north and south, to which the same days are delivered."""
    opened = [open_pipeline(tmp_path / name, code_location=name, **SHOP) for name in ("north", "south")]
    for pipeline in opened:
        deliver(pipeline.settings.landing, DAYS)
    return opened[0], opened[1]


def keys(pipeline: Pipeline) -> set[dg.AssetKey]:
    return set(build_defs(pipeline.settings).get_repository_def().asset_graph.get_all_asset_keys())


def test_a_shop_of_its_own_name_has_keys_and_partitions_of_its_own(
    shops: tuple[Pipeline, Pipeline], pipeline: Pipeline
):
    north, south = map(keys, shops)
    assert not north & south
    assert {key.path[0] for key in north} == {"north"}
    assert {dg.AssetKey(key.path[1:]) for key in north} == keys(pipeline), "a single shop's have no prefix"
    assert shops[0].source_files != shops[1].source_files
    assert pipeline.source_files == "source_files"


def test_what_one_shop_does_the_other_neither_shows_nor_waits_for(
    shops: tuple[Pipeline, Pipeline], instance: dg.DagsterInstance
):
    north, south = shops
    made = bring_up_to_date(north, instance, lambda: DAYS[-1])
    assert not made.failures
    events = {key for key in instance.all_asset_keys() if instance.get_latest_materialization_event(key)}
    assert {key.path[0] for key in events} == {"north"}
    assert len(instance.get_dynamic_partitions(north.source_files)) == len(DAYS)
    assert not instance.get_dynamic_partitions(south.source_files)
    labels = {run.tags[".dagster/repository"] for run in instance.get_runs()}
    assert labels == {"__repository__@north"}, "the UI shows a command's runs at the shop's jobs"
    # the same files are work of its own for the other, whatever the first did, does and failed at
    job = build_defs(north.settings).resolve_job_def("landing_job")
    instance.create_run_for_job(job, tags=north.tags, status=dg.DagsterRunStatus.STARTED)
    assert "under way" in wait(instance, north)
    requests = tick(south, instance, LANDS).run_requests
    assert named(requests) == [("landing_job", f"{DAYS[0]}.csv", f"{DAYS[-1]}.csv")]
    assert all(result.success for result in execute(south, instance, requests))
    requests = tick(south, instance, MAKES).run_requests
    assert named(requests) == [("daily_job", str(DAYS[0]), str(DAYS[-1]))]
    assert {key.path[0] for request in requests for key in request.asset_selection} == {"south"}


def test_a_failure_of_one_shop_is_told_as_its_own(
    shops: tuple[Pipeline, Pipeline], instance: dg.DagsterInstance
):
    north, south = shops
    (north.settings.landing / "stock.csv").write_text("shelf,count\nA,1\n")
    for _ in range(2):
        execute(north, instance, tick(north, instance, LANDS).run_requests or ())
    now = datetime.combine(DAYS[-1] + timedelta(1), datetime.min.time(), north.settings.zone)
    assert standing(south, instance, now, busy=False).problems == []
    (problem,) = [p for p in standing(north, instance, now, busy=False).problems if p.kind == "file_refused"]
    (message,) = messages([problem], "http://ui", north.settings.shop)
    assert message.title == "north: A file could not be read"
    assert "http://ui/assets/north/raw_transactions?view=partitions" in message.body


def test_shops_that_both_forget_their_names_are_told_by_run_status_and_alerts(
    tmp_path: Path, instance: dg.DagsterInstance
):
    one, two = (open_pipeline(tmp_path / name, **SHOP) for name in ("one", "two"))
    heard: list[str] = []
    for pipeline in (one, two):
        deliver(pipeline.settings.landing, DAYS[:1])
        bring_up_to_date(pipeline, instance, lambda: DAYS[0], on_wait=heard.append)
    (said,) = [line for line in heard if "asset keys" in line]
    assert said.startswith(f"the lake {one.lake.root} has the same asset keys")
    assert "`code_location`" in said
    shown = StringIO()
    print_status(Console(file=shown, width=1000), two, status_of(two, instance, lambda: DAYS[0], []))
    assert f"shared {said}" in shown.getvalue()
    now = datetime.combine(DAYS[0], datetime.min.time(), two.settings.zone)
    assert [problem.what for problem in standing(two, instance, now, busy=False).problems] == [said]
    assert not namesakes(instance, open_pipeline(tmp_path / "two", code_location="two", **SHOP))
    one.lake.root.rename(tmp_path / "elsewhere")
    assert not namesakes(instance, two), "it was moved"

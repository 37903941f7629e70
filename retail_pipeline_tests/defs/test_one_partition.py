"""A run of one partition has real results: what comes next in it is made, or held back by a red check."""

from collections.abc import Sequence
from datetime import date
from typing import Any

import dagster as dg
import pyarrow.compute as pc
import pytest

from retail_pipeline.definitions import build_defs
from retail_pipeline.defs.jobs import DAY_TABLES, REPORT_TABLES, SNAPSHOT_TABLES
from retail_pipeline.defs.partitions import days
from retail_pipeline.defs.requests import range_tags
from retail_pipeline.defs.resources import Pipeline
from retail_pipeline.defs.run_plan import QUIET
from retail_pipeline.lake.partitions import read_partition
from retail_pipeline.lake.records import record
from retail_pipeline.planning.decisions import DayRelease
from retail_pipeline.tables import TABLES
from retail_pipeline_tests.defs.support import Result, evaluations, land, make_days, open_pipeline
from retail_pipeline_tests.shop import FIRST, deliver, span

DAYS = span(FIRST, 4)
DAILY = (*DAY_TABLES, *SNAPSHOT_TABLES)


@pytest.fixture
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
    """A shop to which four days were delivered."""
    opened = open_pipeline(
        tmp_path_factory.mktemp("shop"),
        segmentations={"spend_tiers": {}},
        default_campaigns="spend_tiers",
        report={"url": "https://reports.example/shop/"},
        owners=["crm@example.com", "team:data"],
    )
    deliver(opened.settings.landing, DAYS)
    return opened


def materialize(
    pipeline: Pipeline,
    instance: dg.DagsterInstance,
    day: date | tuple[date, date],
    tables: Sequence[str],
    sent: list[str],
) -> Result:
    """What the UI's *Materialize* launches for tables of a day, another team's ``mailing`` among ours."""
    settings = pipeline.settings
    partitions = days(settings.first_day, settings.last_day, settings.time_zone)

    @dg.asset(
        deps=["campaign_lists"], partitions_def=partitions, backfill_policy=dg.BackfillPolicy.single_run()
    )
    def mailing(context: dg.AssetExecutionContext) -> None:
        sent.append(" to ".join(context.partition_keys))

    both = dg.Definitions.merge(build_defs(settings), dg.Definitions(assets=[mailing]))
    return both.resolve_implicit_global_asset_job_def().execute_in_process(
        instance=instance,
        tags=range_tags(*map(str, day if isinstance(day, tuple) else (day, day))),
        asset_selection=[dg.AssetKey(table) for table in tables],
        run_config=QUIET,
        raise_on_error=False,
    )


def test_lists_their_report_and_what_another_team_makes_of_them_are_made_in_one_run(
    pipeline: Pipeline, instance: dg.DagsterInstance
):
    assert land(pipeline, instance).success
    assert make_days(pipeline, instance, DAYS).success
    sent: list[str] = []
    tables = (*SNAPSHOT_TABLES, *REPORT_TABLES, "report", "mailing")
    made = materialize(pipeline, instance, DAYS[-1], tables, sent)
    assert made.success
    assert not [event for event in made.all_events if event.event_type_value == "STEP_SKIPPED"]
    assert DAYS[-1] in pipeline.state()["report"]
    assert sent == [str(DAYS[-1])]
    for table in tables:
        assert instance.get_materialized_partitions(dg.AssetKey(table)) == {str(DAYS[-1])}
    checks = evaluations(instance, "campaign_lists", "campaign_lists_are_valid")
    assert {day: check.passed for day, check in checks.items()} == {str(DAYS[-1]): True}

    # what the UI plots by day, and where the page is served
    def shown(table: str) -> dict[str, Any]:
        event = instance.get_latest_materialization_event(dg.AssetKey(table))
        assert event
        assert event.asset_materialization
        return {name: value.value for name, value in event.asset_materialization.metadata.items()}

    state, features = pipeline.state(), shown("rfm_features")
    assert features["customers"] + features["lapsed"] == state["rfm_features"][DAYS[-1]].rows
    sizes = state["segment_assignments"][DAYS[-1]]["spend_tiers"].counts
    assert {f"spend_tiers: {name}": n for name, n in sizes.items()}.items() <= shown(
        "segment_assignments"
    ).items()
    with_link = shown("report")
    assert with_link["link"] == f"https://reports.example/shop/snapshot_date={DAYS[-1]}/index.html"
    lines = read_partition(pipeline.lake, TABLES["transactions"], {"date": str(DAYS[-1])})
    assert shown("transactions")["revenue"] == int(pc.sum(lines["amount"]).as_py())
    assert shown("customer_days")["customers"] == state["customer_days"][DAYS[-1]].rows


def test_of_a_range_what_comes_after_is_made_when_every_partition_is(
    pipeline: Pipeline, instance: dg.DagsterInstance
):
    assert land(pipeline, instance).success
    sent: list[str] = []
    assert materialize(pipeline, instance, (DAYS[0], DAYS[1]), (*DAILY, "mailing"), sent).success
    assert sent == [f"{DAYS[0]} to {DAYS[1]}"]
    deliver(pipeline.settings.landing / "abroad", [DAYS[1]], currency="USD")
    assert land(pipeline, instance).success
    assert not materialize(pipeline, instance, (DAYS[0], DAYS[1]), (*DAILY, "mailing"), sent).success
    assert len(sent) == 1, "nobody works with half of a range"


def test_a_red_check_holds_back_what_comes_after_it_until_somebody_releases_the_day(
    pipeline: Pipeline, instance: dg.DagsterInstance
):
    held, sent = DAYS[0], list[str]()
    deliver(pipeline.settings.landing / "abroad", [held], currency="USD")
    assert land(pipeline, instance).success
    made = materialize(pipeline, instance, held, (*DAILY, "mailing"), sent)
    assert not made.success
    assert not sent
    check = evaluations(instance, "transactions", "transactions_are_valid")[str(held)]
    assert (check.passed, check.severity, check.blocking) == (False, dg.AssetCheckSeverity.ERROR, True)
    content = pipeline.state()["transactions"][held].content
    record(pipeline.lake, DayRelease(day=held, content=content, why="ours", by="ana"))
    assert materialize(pipeline, instance, held, (*DAILY, "mailing"), sent).success
    assert sent == [str(held)]
    check = evaluations(instance, "transactions", "transactions_are_valid")[str(held)]
    assert (check.passed, check.severity) == (False, dg.AssetCheckSeverity.WARN), "it holds nothing back now"

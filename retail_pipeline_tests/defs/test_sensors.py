"""The sensor, tick by tick, its requests run for real in between."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from retail_pipeline.core.planner import State
from retail_pipeline.definitions import build_defs
from retail_pipeline.defs.driver import QUIET
from retail_pipeline.defs.pipeline import Pipeline
from retail_pipeline.defs.requests import MOST_ATTEMPTS
from retail_pipeline.defs.sensors import look
from retail_pipeline_tests.defs.support import Result, open_pipeline, statuses
from retail_pipeline_tests.shop import FIRST, deliver, sales, span, write

DAYS = span(FIRST, 6)


def tick(pipeline: Pipeline, instance: dg.DagsterInstance) -> Any:
    """One tick, as the daemon makes it: the partitions that it asks for are added."""
    repository = build_defs(pipeline.settings).get_repository_def()
    sensor = repository.get_sensor_def("new_files_sensor")
    with dg.build_sensor_context(
        instance=instance, resources={"pipeline": pipeline}, repository_def=repository
    ) as context:
        outcome = sensor.evaluate_tick(context)
    for asked in outcome.dynamic_partitions_requests or ():
        instance.add_dynamic_partitions(asked.partitions_def_name, asked.partition_keys)
    return outcome


def execute(
    pipeline: Pipeline, instance: dg.DagsterInstance, requests: Sequence[dg.RunRequest]
) -> list[Result]:
    """Run what a tick requested."""
    return [
        build_defs(pipeline.settings)
        .resolve_job_def(str(request.job_name))
        .execute_in_process(
            run_config=QUIET,
            instance=instance,
            tags=dict(request.tags),
            asset_selection=list(request.asset_selection or ()) or None,
            raise_on_error=False,
        )
        for request in requests
    ]


def until_quiet(pipeline: Pipeline, instance: dg.DagsterInstance) -> list[tuple[str, str, str]]:
    """Tick and run until a tick asks for nothing: the job and range of each run, in order."""
    made: list[tuple[str, str, str]] = []
    for _ in range(20):
        requests = tick(pipeline, instance).run_requests
        if not requests:
            return made
        execute(pipeline, instance, requests)
        made += [
            (
                str(request.job_name),
                request.tags["dagster/asset_partition_range_start"],
                request.tags["dagster/asset_partition_range_end"],
            )
            for request in requests
        ]
    pytest.fail(f"the sensor does not come to rest: {made}")


def test_new_files_land_then_their_days_are_made_then_the_last_snapshot_then_it_rests(
    pipeline: Pipeline, instance: dg.DagsterInstance
) -> None:
    deliver(pipeline.settings.landing, DAYS)
    first = tick(pipeline, instance)
    (asked,) = first.dynamic_partitions_requests
    assert [key.split("@")[0] for key in asked.partition_keys] == [f"{day}.csv" for day in DAYS]
    assert [request.job_name for request in first.run_requests] == ["landing_job"]
    assert all(result.success for result in execute(pipeline, instance, first.run_requests))

    second = tick(pipeline, instance)
    assert not second.dynamic_partitions_requests
    assert [request.job_name for request in second.run_requests] == ["daily_job"]
    assert [key.to_user_string() for key in second.run_requests[0].asset_selection] == [
        "transactions",
        "customer_days",
    ]
    assert all(result.success for result in execute(pipeline, instance, second.run_requests))
    assert statuses(pipeline, instance, "customer_days", DAYS) == dict.fromkeys(DAYS, "MATERIALIZED")

    third = tick(pipeline, instance)
    (request,) = third.run_requests
    assert request.tags["dagster/asset_partition_range_start"] == str(DAYS[-1])
    assert all(result.success for result in execute(pipeline, instance, third.run_requests))
    assert pipeline.state().lists[DAYS[-1]]

    fourth = tick(pipeline, instance)
    assert not fourth.run_requests
    assert fourth.skip_message == (
        f"all 6 files in {pipeline.settings.landing} have landed and their days are made"
    )


def test_the_last_snapshots_report_comes_last(tmp_path: Path, instance: dg.DagsterInstance) -> None:
    pipeline = open_pipeline(tmp_path, report={"each_run": True})
    deliver(pipeline.settings.landing, DAYS)
    made = until_quiet(pipeline, instance)
    assert [job for job, *_ in made] == ["landing_job", "daily_job", "daily_job", "report_job"]
    assert made[-1] == ("report_job", str(DAYS[-1]), str(DAYS[-1]))
    page = pipeline.lake.partition("report", {"snapshot_date": str(DAYS[-1])}) / "index.html"
    assert "Key takeaways" in page.read_text(encoding="utf-8")


def test_a_late_file_makes_the_days_it_touches_again_and_no_others(
    pipeline: Pipeline, instance: dg.DagsterInstance
) -> None:
    deliver(pipeline.settings.landing, DAYS)
    until_quiet(pipeline, instance)
    late = [line | {"order": f"late-{line['order']}"} for day in (DAYS[1], DAYS[4]) for line in sales(day)]
    write(pipeline.settings.landing / "late.csv", late)
    assert [made for made in until_quiet(pipeline, instance) if made[0] == "daily_job"] == [
        ("daily_job", str(DAYS[1]), str(DAYS[1])),
        ("daily_job", str(DAYS[4]), str(DAYS[4])),
        ("daily_job", str(DAYS[-1]), str(DAYS[-1])),
    ]


def test_days_without_deliveries_and_month_models_are_made_once_too(
    pipeline: Pipeline, instance: dg.DagsterInstance
) -> None:
    days = span(date(2024, 1, 25), 10)
    deliver(pipeline.settings.landing, [day for day in days if day.weekday() != 6])
    assert [made for made in until_quiet(pipeline, instance) if made[0] != "landing_job"] == [
        ("daily_job", str(days[0]), str(days[-1])),
        ("monthly_model_job", "2024-02-01", "2024-02-01"),
        ("daily_job", str(days[-1]), str(days[-1])),
    ]


def test_work_under_way_is_not_requested_again(pipeline: Pipeline, instance: dg.DagsterInstance) -> None:
    deliver(pipeline.settings.landing, DAYS)
    (request,) = tick(pipeline, instance).run_requests
    job = build_defs(pipeline.settings).resolve_job_def("landing_job")
    under_way = instance.create_run_for_job(job, tags=dict(request.tags), status=dg.DagsterRunStatus.STARTED)
    again = tick(pipeline, instance)
    assert not again.run_requests
    assert again.skip_message.startswith("6 files wait: their runs are under way")
    instance.report_run_failed(under_way)
    (retry,) = tick(pipeline, instance).run_requests
    assert retry.run_key != request.run_key
    assert retry.run_key.removesuffix("-2") == request.run_key.removesuffix("-1")


def test_a_file_that_cannot_land_is_given_up_after_some_attempts_and_the_others_go_on(
    pipeline: Pipeline, instance: dg.DagsterInstance
) -> None:
    deliver(pipeline.settings.landing, DAYS)
    (pipeline.settings.landing / "stock.csv").write_text("shelf,count\nA,1\n")
    made = until_quiet(pipeline, instance)
    alone = [span for span in made if span[1].startswith("stock.csv")]
    assert len(alone) == MOST_ATTEMPTS
    assert made[-2] == ("daily_job", str(DAYS[0]), str(DAYS[-1]))
    assert tick(pipeline, instance).skip_message.startswith(
        f"1 files wait: their runs are under way, or failed {MOST_ATTEMPTS} times"
    )
    # mended, it is other work: it lands at once
    write(pipeline.settings.landing / "stock.csv", [sales(DAYS[0])[0] | {"order": "x"}])
    assert until_quiet(pipeline, instance)[0][0] == "landing_job"


def test_a_decision_about_a_model_is_other_work_with_attempts_of_its_own(
    pipeline: Pipeline, instance: dg.DagsterInstance
) -> None:
    days = span(date(2024, 1, 29), 5)
    deliver(pipeline.settings.landing, days)
    until_quiet(pipeline, instance)
    state = pipeline.state()

    def work(changed: State) -> set[str]:
        outcome = look(instance, pipeline, changed, days[-1])
        assert isinstance(outcome, dg.SensorResult)
        return {str(request.run_key) for request in outcome.run_requests or ()}

    once, again = (work(replace(state, model_decisions={"2024-02": said})) for said in ("promote", "reject"))
    assert once.isdisjoint(again)
    assert all(key.endswith("-1") for key in once | again)
    other = state.models["2024-02"].model_copy(update={"content": "another model"})
    decided = replace(state, models={"2024-02": other})
    assert all(key.endswith("-1") for key in work(decided))


def test_a_held_day_is_not_tried_again_and_again(pipeline: Pipeline, instance: dg.DagsterInstance) -> None:
    deliver(pipeline.settings.landing, DAYS)
    deliver(pipeline.settings.landing, [DAYS[3]], currency="USD")
    assert until_quiet(pipeline, instance)[1:] == [
        ("daily_job", str(DAYS[0]), str(DAYS[-1])),
        ("daily_job", str(DAYS[-1]), str(DAYS[-1])),
    ]
    assert statuses(pipeline, instance, "transactions", DAYS)[DAYS[3]] == "FAILED"


def test_it_skips_while_another_process_writes_to_the_lake(
    pipeline: Pipeline, instance: dg.DagsterInstance
) -> None:
    deliver(pipeline.settings.landing, DAYS)
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD_LOCK, str(pipeline.settings.lake)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert holder.stdin
    assert holder.stdout
    with holder:
        assert holder.stdout.readline() == b"held\n"
        outcome = tick(pipeline, instance)
        holder.stdin.close()
    assert not outcome.run_requests
    assert outcome.skip_message == (
        f"another run is writing to {pipeline.settings.lake}; looking again at the next tick"
    )
    assert tick(pipeline, instance).run_requests


HOLD_LOCK = """
import sys
from pathlib import Path
from retail_pipeline.lake.lock import writing
from retail_pipeline.lake.partitions import Lake
with writing(Lake(Path(sys.argv[1]))):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_missing_landing_folder_is_said_in_the_tick(
    pipeline: Pipeline, instance: dg.DagsterInstance
) -> None:
    pipeline.settings.landing.rmdir()
    outcome = tick(pipeline, instance)
    assert not outcome.run_requests
    assert outcome.skip_message.startswith(
        f"the landing folder {pipeline.settings.landing} cannot be read (No such file or directory)"
    )


def test_other_settings_are_other_work(pipeline: Pipeline, instance: dg.DagsterInstance) -> None:
    deliver(pipeline.settings.landing, DAYS)
    until_quiet(pipeline, instance)
    root = pipeline.settings.lake.parent
    stricter = open_pipeline(root, cleaning={"minimum_price": "2.00"})
    assert until_quiet(stricter, instance) == [("daily_job", str(DAYS[0]), str(DAYS[-1]))]

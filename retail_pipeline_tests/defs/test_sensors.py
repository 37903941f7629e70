"""The sensors that land and make, tick by tick; what they ask for is run for real where it matters."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from retail_pipeline.definitions import build_defs
from retail_pipeline.defs import requests as wanted
from retail_pipeline.defs import schedules as schedules_module
from retail_pipeline.defs.alerts import standing
from retail_pipeline.defs.requests import INTERRUPTED, MOST_ATTEMPTS, MOST_IDLE_RUNS, MOST_INTERRUPTIONS
from retail_pipeline.defs.resources import Pipeline
from retail_pipeline.defs.run_plan import QUIET
from retail_pipeline.defs.schedules import last_due
from retail_pipeline.defs.sensors import MANY_FILES, look_at_days, look_at_files
from retail_pipeline.lake.records import record
from retail_pipeline.planning.decisions import DayRelease
from retail_pipeline.planning.state import State
from retail_pipeline.settings import load_settings
from retail_pipeline_tests.defs.support import Result, land, make_days, open_pipeline
from retail_pipeline_tests.shop import deliver, sales, settings_file, span, write

# over the end of a month, and on the fourth day the shop is closed
DAYS = span(date(2024, 1, 29), 6)
OPEN = [day for day in DAYS if day != DAYS[3]]
LAST = str(DAYS[-1])
SETTINGS = {
    "arrival": {"complete_when": "renamed"},
    "segmentations": {"spend_tiers": {}},
    "default_campaigns": "spend_tiers",
}
LANDS, MAKES = "new_files_sensor", "stale_days_sensor"
Made = list[tuple[str, str, str]]


def tick(pipeline: Pipeline, instance: dg.DagsterInstance, name: str) -> Any:
    """One tick, as the daemon makes it: the partitions that it asks for are added."""
    repository = build_defs(pipeline.settings).get_repository_def()
    sensor = repository.get_sensor_def(name)
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


def named(requests: Sequence[dg.RunRequest] | None) -> Made:
    """The job and range of each request."""
    ends = ("dagster/asset_partition_range_start", "dagster/asset_partition_range_end")

    def end(request: dg.RunRequest, tag: str) -> str:
        return request.tags.get(tag, request.tags.get("dagster/partition", "")).split("@")[0]

    return [
        (str(request.job_name), end(request, ends[0]), end(request, ends[1])) for request in requests or ()
    ]


def asked(pipeline: Pipeline, instance: dg.DagsterInstance, name: str) -> Made:
    """What a tick asks for."""
    return named(tick(pipeline, instance, name).run_requests)


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Made]:
    """A lake that the sensors made until they came to rest, and what they asked for, in order."""
    root = tmp_path_factory.mktemp("begun")
    pipeline, made = open_pipeline(root, **SETTINGS), Made()
    deliver(pipeline.settings.landing, OPEN)
    with dg.DagsterInstance.ephemeral() as instance:
        for _ in range(10):
            requests = [
                r for name in (LANDS, MAKES) for r in tick(pipeline, instance, name).run_requests or ()
            ]
            assert all(result.success for result in execute(pipeline, instance, requests))
            made += named(requests)
            if not requests:
                return root, made
    pytest.fail(f"the sensors do not come to rest: {made}")


@pytest.fixture
def finished(begun: tuple[Path, Made], tmp_path: Path) -> Pipeline:
    """A pipeline of one's own, whose lake is up to date."""
    shutil.copytree(begun[0], tmp_path, dirs_exist_ok=True)
    return open_pipeline(tmp_path, **SETTINGS)


@pytest.fixture
def pipeline(tmp_path: Path) -> Pipeline:
    """The small shop's pipeline, with nothing delivered yet."""
    (tmp_path / "landing").mkdir()
    return open_pipeline(tmp_path, **SETTINGS)


def test_new_files_land_then_their_days_are_made_then_models_then_the_last_snapshot_then_it_rests(
    begun: tuple[Path, Made], finished: Pipeline, instance: dg.DagsterInstance
):
    assert begun[1] == [
        ("landing_job", f"{OPEN[0]}.csv", f"{OPEN[-1]}.csv"),
        ("daily_job", str(DAYS[0]), LAST),
        ("monthly_model_job", "2024-02-01", "2024-02-01"),
        ("daily_job", LAST, LAST),
    ]
    assert DAYS[3] in finished.state()["customer_days"], "a day without deliveries is a day, too"
    assert tick(finished, instance, LANDS).skip_message == (
        f"5 files have landed from {finished.settings.landing}"
    )
    assert tick(finished, instance, MAKES).skip_message == f"everything is made through {LAST}"


@pytest.mark.parametrize(
    ("schedule", "now", "partition"),
    [
        ("daily_schedule", datetime(2024, 2, 4, 6, tzinfo=UTC), LAST),
        ("monthly_model_schedule", datetime(2024, 2, 2, 5, tzinfo=UTC), "2024-02-01"),
    ],
)
def test_a_schedule_asks_for_what_the_plan_wants_and_for_nothing_when_it_is_made(
    schedule: str,
    now: datetime,
    partition: str,
    finished: Pipeline,
    instance: dg.DagsterInstance,
    monkeypatch: pytest.MonkeyPatch,
):
    def tick_at(pipeline: Pipeline) -> tuple[list[str | None], str]:
        repository = build_defs(pipeline.settings).get_repository_def()
        with dg.build_schedule_context(
            instance=instance, scheduled_execution_time=now, repository_def=repository
        ) as context:
            outcome = repository.get_schedule_def(schedule).evaluate_tick(context)
        return [one.partition_key for one in outcome.run_requests or ()], outcome.skip_message or ""

    assert tick_at(finished) == ([], f"{partition} is made from all that was delivered")
    changed = open_pipeline(finished.lake.root.parent, cleaning={"minimum_price": "2.00"}, **SETTINGS)
    assert tick_at(changed) == ([partition], "")
    monkeypatch.setattr(schedules_module, "outdated", lambda settings: "the file has changed")
    assert tick_at(finished) == ([partition], ""), "a plan under settings that have changed is not trusted"


def test_the_models_schedule_waits_for_the_last_day_of_the_month_before_and_says_so(
    pipeline: Pipeline, instance: dg.DagsterInstance
):
    deliver(pipeline.settings.landing, DAYS[:2])  # 29 and 30 January
    land(pipeline, instance)
    repository = build_defs(pipeline.settings).get_repository_def()

    def tick_of_second() -> Any:
        when = datetime(2024, 2, 2, 5, tzinfo=UTC)
        with dg.build_schedule_context(
            instance=instance, scheduled_execution_time=when, repository_def=repository
        ) as context:
            return repository.get_schedule_def("monthly_model_schedule").evaluate_tick(context)

    assert tick_of_second().skip_message == (
        "the delivery of 2024-01-31 may still come; then stale_days_sensor asks for the models of 2024-02"
    )
    deliver(pipeline.settings.landing, DAYS[2:3])
    land(pipeline, instance)
    assert "2024-02 rest on days that are held or not made: 2024-01-29" in tick_of_second().skip_message
    make_days(pipeline, instance, DAYS[:3])
    assert [request.partition_key for request in tick_of_second().run_requests] == ["2024-02-01"]


def test_the_first_tick_on_nothing_says_so(pipeline: Pipeline, instance: dg.DagsterInstance):
    assert tick(pipeline, instance, LANDS).skip_message == (
        f"no file has landed yet from {pipeline.settings.landing}"
    )
    assert tick(pipeline, instance, MAKES).skip_message == "nothing has landed yet"
    pipeline.settings.landing.rmdir()
    assert tick(pipeline, instance, LANDS).skip_message.startswith(
        f"the landing folder {pipeline.settings.landing} cannot be read (No such file or directory)"
    )


def test_the_last_snapshots_report_comes_last(finished: Pipeline, instance: dg.DagsterInstance):
    drawing = open_pipeline(finished.lake.root.parent, report={"each_run": True}, **SETTINGS)
    assert asked(drawing, instance, MAKES) == [("report_job", LAST, LAST)]


def test_a_late_file_makes_the_days_it_touches_again_and_no_others(
    finished: Pipeline, instance: dg.DagsterInstance
):
    late = [line | {"order": f"late-{line['order']}"} for day in (DAYS[1], DAYS[4]) for line in sales(day)]
    write(finished.settings.landing / "late.csv", late)
    (landing,) = execute(finished, instance, tick(finished, instance, LANDS).run_requests)
    assert landing.success
    assert asked(finished, instance, MAKES) == [
        ("daily_job", str(DAYS[1]), str(DAYS[1])),
        ("daily_job", str(DAYS[4]), str(DAYS[4])),
    ]


def test_both_wait_while_a_run_is_under_way_and_say_so(
    pipeline: Pipeline, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
):
    deliver(pipeline.settings.landing, OPEN)
    (request,) = tick(pipeline, instance, LANDS).run_requests
    job = build_defs(pipeline.settings).resolve_job_def("landing_job")
    under_way = instance.create_run_for_job(job, tags=dict(request.tags), status=dg.DagsterRunStatus.STARTED)
    for name in (LANDS, MAKES):
        again = tick(pipeline, instance, name)
        assert not again.run_requests
        assert again.skip_message == "runs are under way (1 of landing_job); looking again at the next tick"
    instance.report_run_failed(under_way)
    with monkeypatch.context() as patched:
        patched.setattr("retail_pipeline.defs.sensors.is_held", lambda lake: True)
        said = f"another run is writing to {pipeline.settings.lake}; looking again at the next tick"
        assert tick(pipeline, instance, LANDS).skip_message == said
    (retry,) = tick(pipeline, instance, LANDS).run_requests
    assert retry.run_key.removesuffix("-2") == request.run_key.removesuffix("-1")


def failing(error: Callable[[], Exception]) -> dg.JobDefinition:
    @dg.op
    def fails() -> None:
        raise error()

    @dg.job(name="landing_job")
    def job() -> None:
        fails()

    return job


def look_later(pipeline: Pipeline, instance: dg.DagsterInstance, **later: float) -> Any:
    """A tick over files at a later time of day; the runs so far ended just now."""
    state = pipeline.state(tuple(pipeline.listing().files))
    now = datetime.now(pipeline.settings.zone) + timedelta(**later)
    outcome = look_at_files(instance, pipeline, state, 0, now)
    stands = {problem.kind for problem in standing(pipeline, instance, now, busy=False).problems}
    return outcome, stands & {"work_failing", "work_failed"}


def test_what_may_pass_is_tried_for_a_day_after_pauses_that_grow_to_an_hour(
    pipeline: Pipeline, instance: dg.DagsterInstance
):
    deliver(pipeline.settings.landing, DAYS[:1])
    job = failing(lambda: OSError(28, "No space left on device"))
    (request,) = tick(pipeline, instance, LANDS).run_requests
    keys, pauses = {request.run_key}, [0, 1, 2, 4, 8, 16, 32, *[60] * (MOST_ATTEMPTS - 8)]
    for failures, pause in enumerate(pauses, start=1):
        job.execute_in_process(instance=instance, tags=dict(request.tags), raise_on_error=False)
        if pause:
            early, stands = look_later(pipeline, instance, minutes=pause, seconds=-10)
            assert "failed and is tried again: the disk is full: make room" in early.skip_message
            assert stands == ({"work_failing"} if failures >= 3 else set())
        (request,) = look_later(pipeline, instance, minutes=pause, seconds=10)[0].run_requests
        keys.add(request.run_key)
    job.execute_in_process(instance=instance, tags=dict(request.tags), raise_on_error=False)
    spent, stands = look_later(pipeline, instance, days=30)
    assert "failed and is not tried again until its input changes: the disk is full" in spent.skip_message
    assert stands == {"work_failed"}
    assert len(keys) == MOST_ATTEMPTS
    assert 20 < sum(pauses) / 60 < 28
    write(pipeline.settings.landing / f"{DAYS[0]}.csv", [sales(DAYS[0])[0] | {"order": "mended"}])
    assert tick(pipeline, instance, LANDS).run_requests


def test_bad_input_is_tried_once_until_it_changes(pipeline: Pipeline, instance: dg.DagsterInstance):
    deliver(pipeline.settings.landing, DAYS[:1])
    (request,) = tick(pipeline, instance, LANDS).run_requests
    job = failing(lambda: dg.Failure("the file is torn", allow_retries=False))
    job.execute_in_process(instance=instance, tags=dict(request.tags), raise_on_error=False)
    spent, stands = look_later(pipeline, instance, days=30)
    assert f"landing_job {DAYS[0]}.csv@" in spent.skip_message
    assert "failed and is not tried again until its input changes: the file is torn" in spent.skip_message
    assert stands == {"work_failed"}
    write(pipeline.settings.landing / f"{DAYS[0]}.csv", [sales(DAYS[0])[0] | {"order": "mended"}])
    assert tick(pipeline, instance, LANDS).run_requests


def test_a_run_that_went_down_with_what_launched_it_is_no_attempt(
    pipeline: Pipeline, instance: dg.DagsterInstance
):
    """Whatever the number of restarts, but for a file that brings the whole machine down each time."""
    deliver(pipeline.settings.landing, DAYS[:1])
    job, restarts = build_defs(pipeline.settings).resolve_job_def("landing_job"), 0
    while requests := tick(pipeline, instance, LANDS).run_requests:
        run = instance.create_run_for_job(
            job, tags=dict(requests[0].tags), status=dg.DagsterRunStatus.STARTED
        )
        instance.add_run_tags(run.run_id, {INTERRUPTED: run.run_id})
        instance.report_run_failed(run)
        restarts += 1
    assert restarts == MOST_INTERRUPTIONS


def test_work_that_succeeds_and_is_still_due_is_done_again_but_not_for_ever(
    pipeline: Pipeline, instance: dg.DagsterInstance
):
    deliver(pipeline.settings.landing, DAYS[:1])
    job = build_defs(pipeline.settings).resolve_job_def("landing_job")
    for _ in range(MOST_IDLE_RUNS):
        (request,) = tick(pipeline, instance, LANDS).run_requests
        instance.create_run_for_job(job, tags=dict(request.tags), status=dg.DagsterRunStatus.SUCCESS)
    assert "ran 3 times in a row without an error and is still due" in (
        tick(pipeline, instance, LANDS).skip_message
    )
    # another run of the job in between: a delivery that goes to and fro
    instance.create_run_for_job(job, status=dg.DagsterRunStatus.SUCCESS, tags=pipeline.tags)
    assert tick(pipeline, instance, LANDS).run_requests


def test_a_file_that_cannot_be_read_is_tried_once_and_mended_it_lands(
    finished: Pipeline, instance: dg.DagsterInstance
):
    (finished.settings.landing / "stock.csv").write_text("shelf,count\nA,1\n")
    (landing,) = execute(finished, instance, tick(finished, instance, LANDS).run_requests)
    assert not landing.success
    assert tick(finished, instance, LANDS).skip_message == (
        f"5 files have landed from {finished.settings.landing}; "
        "1 in quarantine (`retail-pipeline quarantine list`)"
    )
    write(finished.settings.landing / "stock.csv", [sales(DAYS[0])[0] | {"order": "x"}])
    (failed,) = (key for key in instance.get_dynamic_partitions(finished.source_files) if "stock.csv@" in key)
    requests = tick(finished, instance, LANDS).run_requests
    assert named(requests) == [("landing_job", "stock.csv", "stock.csv")]
    (landing,) = execute(finished, instance, requests)
    assert landing.success
    tick(finished, instance, LANDS)
    left = instance.get_dynamic_partitions(finished.source_files)
    assert len(left) == 1, "the UI shows nothing as failed"
    assert failed not in left


def test_a_day_that_cannot_be_made_keeps_the_rest_from_nothing(
    finished: Pipeline, instance: dg.DagsterInstance
):
    bad = DAYS[4]
    (torn,) = finished.lake.partition("raw_transactions", {"date": str(bad)}).glob("*.parquet")
    torn.write_bytes(b"torn")
    for table in ("transactions", "customer_days"):
        shutil.rmtree(finished.lake.partition(table, {"date": str(bad)}))
    requests = tick(finished, instance, MAKES).run_requests
    # an order of the next day may have begun on it: that day is made without it
    after = str(DAYS[5])
    assert named(requests) == [("daily_job", str(bad), str(bad)), ("daily_job", after, after)]
    execute(finished, instance, requests)
    requests = tick(finished, instance, MAKES).run_requests
    assert named(requests) == [("daily_job", LAST, LAST)]
    execute(finished, instance, requests)
    said = tick(finished, instance, MAKES).skip_message
    assert said.count("failed and is not tried again") == 1, "the last snapshot is as right as it can be"
    assert said.startswith(f"daily_job {bad} failed and is not tried again until its input changes: 1 day ")


def test_a_held_day_is_not_tried_again_until_it_is_released(finished: Pipeline, instance: dg.DagsterInstance):
    held = (DAYS[2], DAYS[2])
    deliver(finished.settings.landing / "abroad", held[:1], currency="USD")
    execute(finished, instance, tick(finished, instance, LANDS).run_requests)
    requests = tick(finished, instance, MAKES).run_requests
    assert named(requests) == [("daily_job", *map(str, held))]
    execute(finished, instance, requests)
    state = finished.state()
    assert state.is_held(held[0])
    assert ("daily_job", *map(str, held)) not in asked(finished, instance, MAKES)
    content = state["transactions"][held[0]].content
    record(finished.lake, DayRelease(day=held[0], content=content, why="ours", by="ana"))
    # and the days after it, whose orders may have begun on it
    assert asked(finished, instance, MAKES) == [("daily_job", str(held[0]), str(DAYS[5]))]


def work(instance: dg.DagsterInstance, pipeline: Pipeline, state: State) -> list[dg.RunRequest]:
    """What would be asked for if this were the state, on the morning after the last day."""
    now = datetime.combine(DAYS[-1] + timedelta(1), time(3), pipeline.settings.zone)
    outcome = look_at_days(instance, pipeline, state, now)
    return list(outcome.run_requests or ()) if isinstance(outcome, dg.SensorResult) else []


def test_a_decision_about_a_model_is_other_work_with_attempts_of_its_own(
    finished: Pipeline, instance: dg.DagsterInstance
):
    state = finished.state()
    once, again = (
        {request.run_key for request in work(instance, finished, replace(state, model_decisions=said))}
        for said in ({"2024-02": "promote"}, {"2024-02": "reject"})
    )
    assert once
    assert again
    assert once.isdisjoint(again)
    other = state["segmentation_models"]["2024-02"].model_copy(update={"content": "another model"})
    assert work(instance, finished, state.having(segmentation_models={"2024-02": other}))


def test_stale_snapshots_are_made_some_at_a_time_the_newest_first(
    finished: Pipeline, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
):
    state, newest = finished.state(), DAYS[-1]
    stale = replace(state, suppression="objections came").having(
        rfm_features={**dict.fromkeys(DAYS, state["rfm_features"][newest]), **state["rfm_features"]},
        segment_assignments={
            **dict.fromkeys(DAYS, state["segment_assignments"][newest]),
            **state["segment_assignments"],
        },
        campaign_lists=dict.fromkeys(DAYS, state["campaign_lists"][newest]),
    )
    assert named(work(instance, finished, stale)) == [
        ("daily_job", str(DAYS[3]), LAST),
        ("daily_job", str(DAYS[0]), str(DAYS[2])),
    ]
    monkeypatch.setitem(wanted.MOST, "snapshots", 4)
    assert named(work(instance, finished, stale)) == [("daily_job", str(DAYS[3]), LAST)]


def test_other_settings_are_other_work(finished: Pipeline, instance: dg.DagsterInstance):
    stricter = open_pipeline(finished.lake.root.parent, cleaning={"minimum_price": "2.00"}, **SETTINGS)
    assert asked(stricter, instance, LANDS) == []
    assert asked(stricter, instance, MAKES) == [
        ("daily_job", str(DAYS[0]), str(DAYS[2])),
        ("daily_job", str(DAYS[4]), LAST),
    ]


def test_a_changed_settings_file_stops_what_was_loaded_before_until_it_is_loaded_anew(
    tmp_path: Path, instance: dg.DagsterInstance
):
    file, places = tmp_path / "shop.yaml", {"landing": "landing", "lake": "lake"}
    loaded = Pipeline(load_settings(settings_file(file, **places, **SETTINGS)))
    deliver(loaded.settings.landing, DAYS[:1])
    assert asked(loaded, instance, LANDS)
    settings_file(file, **places, **SETTINGS, features={"window_days": 365})
    for name in (LANDS, MAKES):
        outcome = tick(loaded, instance, name)
        assert not outcome.run_requests
        assert outcome.skip_message.startswith(f"{file} has changed since this code location was loaded: ")
    assert asked(Pipeline(load_settings(file)), instance, LANDS)


def test_what_was_asked_for_under_other_settings_makes_nothing_and_says_why(
    finished: Pipeline, instance: dg.DagsterInstance
):
    """A code server may hold the settings that it was started with; runs read the file anew."""
    old = open_pipeline(finished.lake.root.parent, features={"window_days": 365}, **SETTINGS)
    requests = tick(old, instance, MAKES).run_requests
    assert requests
    before = finished.state()
    assert not any(result.success for result in execute(finished, instance, requests))
    assert finished.state() == before
    again = tick(old, instance, MAKES)
    assert not again.run_requests, "once is enough"
    assert "the settings have changed since this run was requested" in again.skip_message
    assert tick(finished, instance, MAKES).skip_message == f"everything is made through {LAST}"


def test_many_files_land_some_at_a_time_and_their_days_wait_for_all_of_them(
    finished: Pipeline, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
):
    names = [f"{number:03}.csv" for number in range(MANY_FILES)]
    for name in names:
        write(finished.settings.landing / name, [sales(DAYS[0])[0] | {"order": name}])
    monkeypatch.setattr("retail_pipeline.defs.sensors.MOST_FILES", 40)
    assert asked(finished, instance, LANDS) == [("landing_job", names[0], names[39])]
    assert tick(finished, instance, MAKES).skip_message == (
        f"{MANY_FILES} files wait to be landed first: their days are made together"
    )


@pytest.mark.parametrize(
    ("now", "last"),
    [
        ("2024-02-10T06:30", "2024-02-08"),  # the schedule is at work
        ("2024-02-10T07:00", "2024-02-09"),  # it should be done: an empty day is made, too
        ("2024-02-08T12:00", "2024-02-07"),  # a day that is not over has no partition
        ("2024-06-10T12:00", "2024-02-08"),  # nothing was delivered for months
    ],
)
def test_days_are_made_as_far_as_deliveries_reach_and_from_seven_as_far_as_yesterday(now: str, last: str):
    settings = load_settings(landing="landing", lake="lake")
    assert last_due(settings, date(2024, 2, 8), datetime.fromisoformat(now)) == date.fromisoformat(last)


def test_all_are_on_and_how_often_they_look_is_a_setting(tmp_path: Path):
    settings = open_pipeline(tmp_path, sensors={"every_seconds": 2}).settings
    found = build_defs(settings).get_repository_def().sensor_defs
    assert {sensor.name for sensor in found} == {LANDS, MAKES, "failure_alert_sensor"}
    assert {sensor.minimum_interval_seconds for sensor in found} == {2}
    assert {sensor.default_status for sensor in found} == {dg.DefaultSensorStatus.RUNNING}

"""The schedules: yesterday is the business's yesterday, whatever UTC and the clocks say."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pytest

from retail_pipeline.definitions import build_defs
from retail_pipeline.settings import load_settings
from retail_pipeline_tests.shop import PROFILE


def tick(
    schedule: str, when: datetime, zone: str = "Europe/London", last_day: str | None = "2011-12-31"
) -> tuple[list[str | None], str | None]:
    """Evaluate a schedule: the partitions it requests, or why it skips."""
    settings = load_settings(
        landing=Path("landing"), lake=Path("lake"), first_day="2010-12-01", last_day=last_day, time_zone=zone
    )
    repository = build_defs(settings).get_repository_def()
    found = repository.get_schedule_def(schedule)
    assert found.execution_timezone == zone
    assert found.default_status is dg.DefaultScheduleStatus.RUNNING
    with (
        dg.DagsterInstance.ephemeral() as instance,
        dg.build_schedule_context(
            instance=instance, scheduled_execution_time=when, repository_def=repository
        ) as context,
    ):
        outcome = found.evaluate_tick(context)
    return [request.partition_key for request in outcome.run_requests or ()], outcome.skip_message


@pytest.mark.parametrize(
    ("zone", "utc", "yesterday"),
    [
        ("Europe/London", "2011-02-02T06:00", "2011-02-01"),
        ("Europe/London", "2011-03-27T05:00", "2011-03-26"),  # clocks went forward that night
        ("Europe/London", "2011-10-30T06:00", "2011-10-29"),  # and back
        ("America/New_York", "2011-03-13T10:00", "2011-03-12"),
        ("Asia/Dhaka", "2011-06-02T00:00", "2011-06-01"),  # 6 o'clock there is midnight UTC
        ("Asia/Yangon", "2011-06-01T23:30", "2011-06-01"),
        ("Asia/Karachi", "2011-06-02T01:00", "2011-06-01"),
        ("Pacific/Auckland", "2011-06-01T18:00", "2011-06-01"),
        ("Pacific/Honolulu", "2011-06-02T16:00", "2011-06-01"),
    ],
)
def test_every_morning_asks_for_the_business_yesterday(zone: str, utc: str, yesterday: str) -> None:
    when = datetime.fromisoformat(utc).replace(tzinfo=UTC)
    assert tick("daily_schedule", when, zone) == ([yesterday], None)


def test_a_month_that_has_begun_asks_for_its_models() -> None:
    when = datetime(2011, 5, 31, 23, tzinfo=UTC)  # 5 o'clock on 1 June in Dhaka
    assert tick("monthly_model_schedule", when, "Asia/Dhaka") == (["2011-06-01"], None)


def test_a_months_models_come_when_the_month_before_is_delivered_and_before_its_first_day() -> None:
    repository = build_defs(load_settings()).get_repository_def()
    assert repository.get_schedule_def("monthly_model_schedule").cron_schedule == "0 5 2 * *"
    assert repository.get_schedule_def("daily_schedule").cron_schedule == "0 6 * * *"


@pytest.mark.parametrize("last_day", ["2011-12-31", None])
def test_before_the_first_day_there_is_nothing_to_do(last_day: str | None) -> None:
    first = datetime(2010, 12, 1, 6, tzinfo=UTC)
    for schedule in ("daily_schedule", "monthly_model_schedule"):
        asked, why = tick(schedule, first, last_day=last_day)
        assert not asked
        assert "is outside first_day and last_day of the settings: nothing to do" in str(why)
    assert tick("daily_schedule", datetime(2010, 12, 2, 6, tzinfo=UTC), last_day=last_day)[0] == [
        "2010-12-01"
    ]


def test_after_the_last_day_there_is_nothing_to_do() -> None:
    assert tick("daily_schedule", datetime(2012, 1, 1, 6, tzinfo=UTC))[0] == ["2011-12-31"]
    assert tick("daily_schedule", datetime(2012, 1, 2, 6, tzinfo=UTC))[0] == []
    assert tick("monthly_model_schedule", datetime(2011, 12, 1, 5, tzinfo=UTC))[0] == ["2011-12-01"]
    assert tick("monthly_model_schedule", datetime(2012, 1, 1, 5, tzinfo=UTC))[0] == []


def test_yesterdays_partition_exists_when_there_is_no_last_day() -> None:
    assert tick("daily_schedule", datetime(2026, 1, 2, 6, tzinfo=UTC), last_day=None)[0] == ["2026-01-01"]


def test_sensor_and_schedules_run_without_being_switched_on() -> None:
    repository = build_defs(load_settings()).get_repository_def()
    assert {s.default_status for s in repository.sensor_defs} == {dg.DefaultSensorStatus.RUNNING}
    assert {s.default_status for s in repository.schedule_defs} == {dg.DefaultScheduleStatus.RUNNING}
    assert {s.name for s in repository.schedule_defs} == {
        "daily_schedule",
        "monthly_model_schedule",
        "yesterday_schedule",
    }


@pytest.mark.parametrize(
    ("due", "cron"),
    [
        ((None, None), "0 8 * * *"),
        (("05:15", None), "45 5 * * *"),
        (("05:15", "9:40"), "10 10 * * *"),
        (("23:45", None), "59 23 * * *"),
    ],
)
def test_yesterday_is_looked_at_half_an_hour_after_the_last_source_is_due(
    due: tuple[str | None, str | None], cron: str
) -> None:
    sources = {
        f"till_{n}": {**PROFILE, "source_system": f"till_{n}", "delivers": {"by": by}}
        for n, by in enumerate(due)
    }
    settings = load_settings(time_zone="Asia/Dhaka", sources=sources)
    found = build_defs(settings).get_repository_def().get_schedule_def("yesterday_schedule")
    assert (found.cron_schedule, found.execution_timezone) == (cron, "Asia/Dhaka")
    assert found.job_name == "yesterday_job"

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
        ("Asia/Dhaka", "2011-06-02T00:00", "2011-06-01"),  # 6 o'clock there is midnight UTC
        ("Pacific/Auckland", "2011-06-01T18:00", "2011-06-01"),
        ("Pacific/Honolulu", "2011-06-02T16:00", "2011-06-01"),
    ],
)
def test_every_morning_asks_for_the_business_yesterday(zone: str, utc: str, yesterday: str):
    when = datetime.fromisoformat(utc).replace(tzinfo=UTC)
    assert tick("daily_schedule", when, zone) == ([yesterday], None)


@pytest.mark.parametrize("last_day", ["2011-12-31", None])
@pytest.mark.parametrize(
    ("schedule", "when", "partition"),
    [
        ("daily_schedule", "2010-12-01T06:00", None),  # yesterday is before the first day
        ("daily_schedule", "2010-12-02T06:00", "2010-12-01"),
        ("daily_schedule", "2012-01-01T06:00", "2011-12-31"),
        ("daily_schedule", "2012-01-02T06:00", "2012-01-01"),  # after the last
        ("monthly_model_schedule", "2010-12-01T05:00", None),
        ("monthly_model_schedule", "2011-12-01T05:00", "2011-12-01"),
        ("monthly_model_schedule", "2012-01-01T05:00", "2012-01-01"),
    ],
)
def test_days_and_months_are_asked_for_within_the_first_and_the_last_day(
    schedule: str, when: str, partition: str | None, last_day: str | None
):
    asked, why = tick(schedule, datetime.fromisoformat(when).replace(tzinfo=UTC), last_day=last_day)
    if partition and (last_day is None or partition <= last_day):
        assert asked == [partition]
    else:
        assert not asked
        assert "is outside first_day and last_day of the settings: nothing to do" in str(why)


def test_they_run_without_being_switched_on_models_once_the_month_before_was_delivered():
    found = build_defs(load_settings()).get_repository_def().schedule_defs
    assert {schedule.default_status for schedule in found} == {dg.DefaultScheduleStatus.RUNNING}
    assert {schedule.name: schedule.cron_schedule for schedule in found} == {
        "daily_schedule": "0 6 * * *",
        "monthly_model_schedule": "0 5 2 * *",
        "yesterday_schedule": "0 8 * * *",
        "damage_schedule": "0 3 * * *",
    }


@pytest.mark.parametrize(
    ("due", "cron"),
    [
        (("05:15", None), "45 5 * * *"),
        (("05:15", "9:40"), "10 10 * * *"),
        (("23:45", None), "59 23 * * *"),
    ],
)
def test_yesterday_is_looked_at_half_an_hour_after_the_last_source_is_due(
    due: tuple[str | None, str | None], cron: str
):
    sources = {
        f"till_{n}": {**PROFILE, "source_system": f"till_{n}", "delivers": {"by": by}}
        for n, by in enumerate(due)
    }
    settings = load_settings(time_zone="Asia/Dhaka", sources=sources)
    found = build_defs(settings).get_repository_def().get_schedule_def("yesterday_schedule")
    assert (found.cron_schedule, found.execution_timezone) == (cron, "Asia/Dhaka")
    assert found.job_name == "yesterday_job"

"""How the assets are partitioned, and how partitions of one depend on those of another."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta

import dagster as dg

from retail_pipeline.tables.table import EVERY_FILE, MONTH_BEFORE, MONTH_IN_FORCE, SAME, UP_TO, Over

MAPPINGS: Mapping[Over, dg.PartitionMapping | None] = {
    SAME: None,
    EVERY_FILE: dg.AllPartitionMapping(),
    # a snapshot rests on every day up to its own
    UP_TO: dg.TimeWindowPartitionMapping(start_offset=-36500, allow_nonexistent_upstream_partitions=True),
    # a month's models rest on the days of the month before
    MONTH_BEFORE: dg.TimeWindowPartitionMapping(
        start_offset=-1, end_offset=-1, allow_nonexistent_upstream_partitions=True
    ),
    # a day's segments use the model in force in its month; the first month has none
    MONTH_IN_FORCE: dg.TimeWindowPartitionMapping(allow_nonexistent_upstream_partitions=True),
}


def days(first_day: date, last_day: date | None, zone: str) -> dg.DailyPartitionsDefinition:
    """One partition a business day, from the first to the last; without a last, to yesterday."""
    end = str(last_day + timedelta(days=1)) if last_day else None
    return dg.DailyPartitionsDefinition(start_date=str(first_day), end_date=end, timezone=zone)


def months(first_day: date, last_day: date | None, zone: str) -> dg.MonthlyPartitionsDefinition:
    """One partition a month in force.

    From the month after the first day's to the last day's, at most the present one.
    """
    start = _next_month(first_day)
    end = str(max(_next_month(last_day), _next_month(start))) if last_day else None
    return dg.MonthlyPartitionsDefinition(start_date=str(start), end_date=end, timezone=zone, end_offset=1)


def _next_month(day: date) -> date:
    return (day.replace(day=1) + timedelta(days=31)).replace(day=1)

"""The schedules: yesterday every morning, the models on the first of the month, in the business time zone.

Belongs here: when. Does not belong here: what (``jobs.py``).
"""

from datetime import datetime, timedelta

import dagster as dg

from retail_pipeline.defs.jobs import daily_job, monthly_model_job
from retail_pipeline.settings import Settings


def schedules(settings: Settings) -> list[dg.ScheduleDefinition]:
    """daily_schedule and monthly_model_schedule, both on by default."""

    @dg.schedule(
        job=daily_job,
        cron_schedule="0 6 * * *",
        execution_timezone=settings.time_zone,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Every morning at 6: yesterday's tables, segments and lists.",
    )
    def daily_schedule(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        yesterday = _local(context, settings).date() - timedelta(days=1)
        if yesterday < settings.first_day or (settings.last_day and yesterday > settings.last_day):
            return dg.SkipReason(
                f"{yesterday} is outside first_day and last_day of the settings: nothing to do"
            )
        return dg.RunRequest(run_key=f"{yesterday}", partition_key=f"{yesterday}")

    @dg.schedule(
        job=monthly_model_job,
        cron_schedule="0 5 1 * *",
        execution_timezone=settings.time_zone,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="On the first of the month at 5, before the day's run: the month's models.",
    )
    def monthly_model_schedule(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        first = _local(context, settings).date().replace(day=1)
        if first <= settings.first_day or (settings.last_day and first > settings.last_day):
            return dg.SkipReason(
                f"{first:%Y-%m} is outside first_day and last_day of the settings: nothing to do"
            )
        return dg.RunRequest(run_key=f"{first}", partition_key=f"{first}")

    return [daily_schedule, monthly_model_schedule]


def _local(context: dg.ScheduleEvaluationContext, settings: Settings) -> datetime:
    return context.scheduled_execution_time.astimezone(settings.zone)

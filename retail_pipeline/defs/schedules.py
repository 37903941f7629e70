"""The schedules, in the business time zone.

Yesterday every morning, and whether it is there; the models on the second of the month; each night a look at
every file of the lake.
"""

from collections.abc import Callable
from datetime import date, datetime, timedelta

import dagster as dg

from retail_pipeline.defs.assets.freshness import deadline
from retail_pipeline.defs.jobs import DAILY, DAMAGE, LOOKS, MODELS
from retail_pipeline.defs.resources import Pipeline
from retail_pipeline.planning.calendar import close_before, month_of
from retail_pipeline.planning.inputs import lacks_last_day, why_not_fitted
from retail_pipeline.planning.pieces import last_day
from retail_pipeline.planning.plan import Work, plan
from retail_pipeline.planning.state import State
from retail_pipeline.settings import Settings, outdated

DAILY_HOUR = 6
# for what came at the last minute to be made before somebody is called
TIME_TO_MAKE = timedelta(minutes=30)


def schedules(pipeline: Pipeline) -> list[dg.ScheduleDefinition]:
    """daily_schedule, monthly_model_schedule, yesterday_schedule and damage_schedule, all on by default."""
    settings = pipeline.settings

    def ask(
        day: date,
        earliest: date,
        is_due: Callable[[Work], bool],
        awaits: Callable[[State], str] = lambda _: "",
    ) -> dg.RunRequest | dg.SkipReason:
        """A partition by its first day, unless it ``awaits`` something, or the plan knows that it is made.

        What is made under settings that have changed since is not known to be right.
        """
        if not earliest <= day <= (settings.last_day or day):
            return dg.SkipReason(f"{day} is outside first_day and last_day of the settings: nothing to do")
        state = pipeline.state()
        known = state.first_day and state.first_day <= day and not outdated(settings)
        if known and not is_due(plan(state, pipeline.recipe, day)):
            return dg.SkipReason(f"{day} is made from all that was delivered")
        if known and (why := awaits(state)):
            return dg.SkipReason(why)
        return dg.RunRequest(run_key=f"{day}", partition_key=f"{day}")

    @dg.schedule(
        job_name=DAILY,
        cron_schedule=f"0 {DAILY_HOUR} * * *",
        execution_timezone=settings.time_zone,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description=f"Every morning at {DAILY_HOUR}: yesterday's tables, segments and lists.",
    )
    def daily_schedule(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        yesterday = _local(context, settings).date() - timedelta(days=1)
        return ask(yesterday, settings.first_day, lambda work: yesterday in work.snapshots)

    @dg.schedule(
        job_name=MODELS,
        cron_schedule="0 5 2 * *",
        execution_timezone=settings.time_zone,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="On the second of the month at 5, before its first day is made: the month's models, "
        "unless the last day of the month before is still to come or held.",
    )
    def monthly_model_schedule(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        first = _local(context, settings).date().replace(day=1)
        month = month_of(first)

        def awaits(state: State) -> str:
            if lacks_last_day(state, month):
                return (
                    f"the delivery of {close_before(month)} may still come; then stale_days_sensor asks for "
                    f"the models of {month}"
                )
            return why_not_fitted(state, month)

        return ask(first, settings.first_day + timedelta(days=1), lambda w: month in w.months, awaits)

    look = datetime.combine(settings.first_day, deadline(settings))
    at = min(look + TIME_TO_MAKE, look.replace(hour=23, minute=59))

    @dg.schedule(
        job_name=LOOKS,
        cron_schedule=f"{at.minute} {at.hour} * * *",
        execution_timezone=settings.time_zone,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Half an hour after the sources' deadline: whether yesterday is there.",
    )
    def yesterday_schedule(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
        return dg.RunRequest(run_key=f"{_local(context, settings).date()}")

    @dg.schedule(
        job_name=DAMAGE,
        cron_schedule="0 3 * * *",
        execution_timezone=settings.time_zone,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Every night at 3: whether every file of the lake is what its manifest says.",
    )
    def damage_schedule(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
        return dg.RunRequest(run_key=f"{_local(context, settings).date()}")

    return [daily_schedule, monthly_model_schedule, yesterday_schedule, damage_schedule]


def last_due(settings: Settings, delivered: date | None, now: datetime) -> date:
    """The day to make last: the last delivered, or yesterday once its schedule should have made it.

    ``now`` is in the business time zone.
    """
    yesterday = settings.yesterday(now.date())
    is_due = now.hour > DAILY_HOUR and yesterday == now.date() - timedelta(days=1)
    return last_day(delivered, yesterday, is_due)


def _local(context: dg.ScheduleEvaluationContext, settings: Settings) -> datetime:
    return context.scheduled_execution_time.astimezone(settings.zone)

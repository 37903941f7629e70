"""The sensor that lands new files, then requests what rests on them, layer after layer.

Belongs here: looking, and requesting what the planner says. Does not belong here: a cursor; what must run
follows from what is there.
"""

from datetime import date, datetime

import dagster as dg

from retail_pipeline.core.planner import (
    State,
    close_before,
    month_of,
    plan,
    ranges,
    report_inputs,
    transactions_inputs,
)
from retail_pipeline.defs.jobs import (
    DAY_TABLES,
    SNAPSHOT_TABLES,
    daily_job,
    landing_job,
    monthly_model_job,
    report_job,
)
from retail_pipeline.defs.partitions import FILES, SOURCE_FILES
from retail_pipeline.defs.pipeline import Pipeline
from retail_pipeline.defs.requests import MOST_ATTEMPTS, file_ranges, request
from retail_pipeline.engine.listing import LandingError, list_files
from retail_pipeline.lake.lock import is_held

MOST_FILES = 500


def sensors(pipeline: Pipeline) -> list[dg.SensorDefinition]:
    """new_files_sensor, on by default."""

    @dg.sensor(
        jobs=[landing_job, daily_job, monthly_model_job, report_job],
        minimum_interval_seconds=30,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Lands new files; then requests their days, the models, the last snapshot, its report.",
    )
    def new_files_sensor(
        context: dg.SensorEvaluationContext, pipeline: dg.ResourceParam[Pipeline]
    ) -> dg.SensorResult | dg.SkipReason:
        if is_held(pipeline.lake):
            return dg.SkipReason(
                f"another run is writing to {pipeline.lake.root}; looking again at the next tick"
            )
        try:
            seen = tuple(list_files(pipeline.settings.landing).files)
        except LandingError as error:
            return dg.SkipReason(str(error))
        today = datetime.now(pipeline.settings.zone).date()
        return look(context.instance, pipeline, pipeline.state(seen), pipeline.settings.yesterday(today))

    return [new_files_sensor]


def look(
    instance: dg.DagsterInstance, pipeline: Pipeline, state: State, yesterday: date
) -> dg.SensorResult | dg.SkipReason:
    """Request the landing of new files; then their days, the models, the last snapshot, its report."""
    # a day that is not over has no partition yet
    last = min(state.last_day or yesterday, yesterday)
    work = plan(state, pipeline.recipe, last)
    if work.files:
        wanted = [file.partition_key for file in work.files[:MOST_FILES]]
        known = list(instance.get_dynamic_partitions(SOURCE_FILES))
        fresh = [key for key in wanted if key not in set(known)]
        landing = [
            request(instance, landing_job.name, first, last, sorted(wanted))
            for first, last in file_ranges(wanted, known + fresh)
        ]
        if runs := [run for run in landing if run]:
            add = [FILES.build_add_request(fresh)] if fresh else []
            return dg.SensorResult(run_requests=runs, dynamic_partitions_requests=add)
    days = [day for day in work.days if day >= pipeline.settings.first_day]
    made_from = {day: transactions_inputs(state, pipeline.recipe, day) for day in days}
    requests = [
        request(
            instance,
            daily_job.name,
            str(first),
            str(last),
            [made_from[day] for day in days if first <= day <= last],
            DAY_TABLES,
        )
        for first, last in ranges(days)
    ]
    if runs := [run for run in requests if run]:
        return dg.SensorResult(run_requests=runs)
    if not days and (months := [f"{month}-01" for month in work.months]):
        recipe = pipeline.recipe
        made_of: list[object] = [state.history_fingerprint(close_before(work.months[-1])), recipe.features]
        # a person's word makes it other work, which has attempts of its own
        made_of += [dict(recipe.segmentations), recipe.gates, recipe.late_data]
        made_of += [dict(state.model_decisions), dict(state.retrained)]
        if training := request(instance, monthly_model_job.name, months[0], months[-1], made_of):
            return dg.SensorResult(run_requests=[training])
    if work.snapshots and not days and not work.months:
        recipe = pipeline.recipe
        made_of = [state.history_fingerprint(last), state.suppression, recipe.features]
        made_of += [dict(recipe.segmentations), dict(recipe.campaigns)]
        made_of += [model.content if (model := state.models.get(month_of(last))) else ""]
        if snapshot := request(instance, daily_job.name, str(last), str(last), made_of, SNAPSHOT_TABLES):
            return dg.SensorResult(run_requests=[snapshot])
    if work.reports and not (days or work.months or work.snapshots):
        made_of = [report_inputs(state, pipeline.recipe, last)]
        if report := request(instance, report_job.name, str(last), str(last), made_of):
            return dg.SensorResult(run_requests=[report])
    if work:
        parts = {
            part: len(getattr(work, part)) for part in ("files", "days", "months", "snapshots", "reports")
        }
        waiting = ", ".join(f"{count:,} {part}" for part, count in parts.items() if count)
        return dg.SkipReason(
            f"{waiting} wait: their runs are under way, or failed {MOST_ATTEMPTS} times "
            "(`retail-pipeline status` says why)"
        )
    return dg.SkipReason(
        f"all {len(state.seen)} files in {pipeline.settings.landing} have landed and their days are made"
    )

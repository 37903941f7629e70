"""The sensors: new files land, what is stale is made again, and people are told of problems."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import dagster as dg

from retail_pipeline.defs.alerts import AlertError, standing, targets, tell
from retail_pipeline.defs.instance import owner_of, runs_under_way
from retail_pipeline.defs.jobs import DAILY, LANDING, MODELS, REPORTS
from retail_pipeline.defs.requests import MOST_FILES, Asked, ask_for_days, ask_for_files, forget_mended
from retail_pipeline.defs.resources import Pipeline
from retail_pipeline.defs.schedules import last_due
from retail_pipeline.ingest.listing import LandingError
from retail_pipeline.lake.instance_owner import refuse_stranger
from retail_pipeline.lake.lock import is_held
from retail_pipeline.lake.partitions import LakeError
from retail_pipeline.planning.alerts import FailedWork
from retail_pipeline.planning.plan import files_to_land
from retail_pipeline.planning.state import State
from retail_pipeline.settings import ALERT_URLS, outdated

# of hashing new files; a tick that takes longer than 60 s is killed
MOST_SECONDS = 30
# where a file comes every minute a few always wait: they must not keep days from being made
MANY_FILES = 50


def sensors(pipeline: Pipeline, jobs: Mapping[str, Any]) -> list[dg.SensorDefinition]:
    """new_files_sensor, stale_days_sensor and failure_alert_sensor, all on by default."""
    how: dict[str, Any] = {
        "minimum_interval_seconds": pipeline.settings.sensors.every_seconds,
        "default_status": dg.DefaultSensorStatus.RUNNING,
    }

    @dg.sensor(job=jobs[LANDING], description="Lands new files.", **how)
    def new_files_sensor(
        context: dg.SensorEvaluationContext, pipeline: dg.ResourceParam[Pipeline]
    ) -> dg.SensorResult | dg.SkipReason:
        if why := wait(context.instance, pipeline):
            return dg.SkipReason(why)
        try:
            listing = pipeline.listing(MOST_SECONDS)
        except LandingError as error:
            return dg.SkipReason(str(error))
        state = pipeline.state(tuple(listing.files))
        now = datetime.now(pipeline.settings.zone)
        return look_at_files(context.instance, pipeline, state, len(listing.waiting), now)

    @dg.sensor(
        jobs=[jobs[DAILY], jobs[MODELS], jobs[REPORTS]],
        description="Makes what deliveries, settings and decisions have made stale: days, the models that "
        "rest on them, snapshots with segments and lists, the last one's report.",
        **how,
    )
    def stale_days_sensor(
        context: dg.SensorEvaluationContext, pipeline: dg.ResourceParam[Pipeline]
    ) -> dg.SensorResult | dg.SkipReason:
        if why := wait(context.instance, pipeline):
            return dg.SkipReason(why)
        try:
            seen = tuple(pipeline.listing(MOST_SECONDS).files)
        except LandingError:
            seen = ()  # what has landed is there all the same
        now = datetime.now(pipeline.settings.zone)
        return look_at_days(context.instance, pipeline, pipeline.state(seen), now)

    @dg.sensor(description="Tells people of problems, each once: where to stands in the environment.", **how)
    def failure_alert_sensor(
        context: dg.SensorEvaluationContext, pipeline: dg.ResourceParam[Pipeline]
    ) -> dg.SkipReason:
        return dg.SkipReason(alert(context.instance, pipeline, datetime.now(pipeline.settings.zone)))

    return [new_files_sensor, stale_days_sensor, failure_alert_sensor]


def wait(instance: dg.DagsterInstance, pipeline: Pipeline) -> str:
    """Why a tick should request nothing: old settings, another's lake, a run under way; empty when it may."""
    if why := outdated(pipeline.settings):
        return why
    try:
        refuse_stranger(pipeline.lake, owner_of(instance))
    except LakeError as error:
        return str(error)
    if runs := Counter(run.job_name for run in runs_under_way(instance, pipeline)):
        named = ", ".join(f"{count:,} of {job}" for job, count in sorted(runs.items()))
        return f"runs are under way ({named}); looking again at the next tick"
    if is_held(pipeline.lake):
        return f"another run is writing to {pipeline.lake.root}; looking again at the next tick"
    return ""


def look_at_files(
    instance: dg.DagsterInstance, pipeline: Pipeline, state: State, unsettled: int, now: datetime
) -> dg.SensorResult | dg.SkipReason:
    waiting = files_to_land(state, pipeline.recipe)
    asked = Asked()
    if waiting:
        known = dict.fromkeys(instance.get_dynamic_partitions(pipeline.source_files))
        fresh = [key for file in waiting if (key := file.partition_key) not in known][:MOST_FILES]
        asked = ask_for_files(instance, pipeline, state, waiting, [*known, *fresh], now)
        if asked.requests:
            add = [dg.AddDynamicPartitionsRequest(pipeline.source_files, fresh)] if fresh else []
            return dg.SensorResult(run_requests=asked.requests, dynamic_partitions_requests=add)
    elif not unsettled:
        forget_mended(instance, pipeline, state)
    done = f"{len(state.landed):,} files have landed" if state.landed else "no file has landed yet"
    said = [f"{unsettled:,} files are still being written, or not looked at yet"] if unsettled else []
    if state.quarantined:
        said.append(f"{len(state.quarantined):,} in quarantine (`retail-pipeline quarantine list`)")
    said += _failed(asked.failed)
    return dg.SkipReason("; ".join([f"{done} from {pipeline.settings.landing}", *said]))


def look_at_days(
    instance: dg.DagsterInstance, pipeline: Pipeline, state: State, now: datetime
) -> dg.SensorResult | dg.SkipReason:
    """Request the next of what is stale, layer after layer; ``now`` is in the business time zone."""
    waiting = files_to_land(state, pipeline.recipe)
    if len(waiting) >= MANY_FILES:
        return dg.SkipReason(f"{len(waiting):,} files wait to be landed first: their days are made together")
    if state.first_day is None:
        return dg.SkipReason("nothing has landed yet")
    last = last_due(pipeline.settings, state.last_day, now)
    asked = ask_for_days(instance, pipeline, state, last, now)
    if asked.requests:
        return dg.SensorResult(run_requests=asked.requests)
    return dg.SkipReason("; ".join(_failed(asked.failed)) or f"everything is made through {last}")


def _failed(failed: Sequence[FailedWork]) -> list[str]:
    said = [
        f"{one.named} failed and is {'' if one.pauses else 'not '}tried again"
        f"{'' if one.pauses else ' until its input changes'}: {one.why}"
        for one in failed[:3]
    ]
    return [*said, f"and {len(failed) - 3:,} more"] if len(failed) > 3 else said


def alert(instance: dg.DagsterInstance, pipeline: Pipeline, now: datetime) -> str:
    """Tell of the problems not told yet; say what was done. ``now`` is in the business time zone."""
    try:
        refuse_stranger(pipeline.lake, owner_of(instance))
        to = targets(pipeline.settings)
    except (LakeError, AlertError) as error:
        return str(error)
    busy = bool(runs_under_way(instance, pipeline)) or is_held(pipeline.lake)
    stands = standing(pipeline, instance, now, busy)
    count = f"{len(stands.problems):,} problems stand" if stands.problems else "no problem stands"
    if not to:
        return f"{count} (`retail-pipeline alerts list`); nobody is told: {ALERT_URLS} is not set"
    return "; ".join([count, *tell(pipeline, stands, to)])

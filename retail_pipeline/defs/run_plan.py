"""What ``retail-pipeline run`` does: the plan as Dagster runs in this process, layer after layer."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import TypeAlias
from uuid import uuid4

import dagster as dg

from retail_pipeline.definitions import build_defs
from retail_pipeline.defs.instance import owner_of, process_tag
from retail_pipeline.defs.jobs import (
    DAILY,
    DAY_TABLES,
    LANDING,
    MODELS,
    REPORTS,
)
from retail_pipeline.defs.requests import file_ranges, range_tags
from retail_pipeline.defs.resources import Pipeline
from retail_pipeline.defs.work_requests import forget_mended
from retail_pipeline.ingest.listing import LandingError, list_settled
from retail_pipeline.lake.instance_owner import claim
from retail_pipeline.lake.lock import writing
from retail_pipeline.lake.partitions import LakeError, prepare
from retail_pipeline.planning.calendar import ranges
from retail_pipeline.planning.plan import (
    Work,
    day_ranges,
    plan,
    plan_range,
    snapshot_ranges,
    spans_with_tables,
)

# errors whose message says what to do; others are bugs and show their traceback
SAID_BY_THEMSELVES = {LakeError.__name__, LandingError.__name__}
OnLayer: TypeAlias = Callable[[str, int], None]
OnWait: TypeAlias = Callable[[str], None]
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


@dataclass
class Outcome:
    """What a run did: the Dagster runs by layer, the days it made, and what went wrong in the words of the
    failed ones.
    """

    runs: list[str] = field(default_factory=list)
    days: tuple[date, ...] = ()
    failures: list[str] = field(default_factory=list)


def look(pipeline: Pipeline, through: date, given_up: Collection[date] = ()) -> Work:
    """What must run so that the lake is right through a day, without the days that are given up."""
    return plan(pipeline.state(tuple(pipeline.listing().files)), pipeline.recipe, through, given_up)


def bring_up_to_date(
    pipeline: Pipeline,
    instance: dg.DagsterInstance,
    through: Callable[[], date],
    on_layer: OnLayer = lambda layer, partitions: None,
    on_wait: OnWait = lambda message: None,
) -> Outcome:
    """Land what is new, then make days, months, snapshots, the last day's report, planning before each.

    ``through`` is asked after landing, when it is known what was delivered; ``on_layer`` is told each layer
    with its number of partitions. One bad partition does not keep the others from being made.
    """
    outcome = Outcome()
    with writing(pipeline.lake, on_wait):
        prepare(pipeline.lake)
        claim(pipeline.lake, owner_of(instance))
        execute = _executor(pipeline, instance, outcome)
        _land(pipeline, instance, execute, on_layer, on_wait)
        last = through()
        made = _make_days(pipeline, execute, on_layer, lambda made: look(pipeline, last, made).days)
        outcome.days = tuple(sorted(made))
        if months := look(pipeline, last).months:
            on_layer("months", len(months))
            execute(MODELS, [(f"{months[0]}-01", f"{months[-1]}-01")])
        if snapshots := look(pipeline, last).snapshots:
            on_layer("snapshots", len(snapshots))
            for start, end, tables in snapshot_ranges(pipeline.state(), snapshots, last):
                execute(DAILY, _texts([(start, end)]), tables)
        work = look(pipeline, last)
        # without the day's segments there is nothing to report, and the failed run has said why
        if work.reports and last not in work.snapshots:
            on_layer("reports", len(work.reports))
            execute(REPORTS, _texts(ranges(work.reports)))
    return outcome


def look_at_range(
    pipeline: Pipeline, first: date, last: date, table: str, again: bool, given_up: Collection[date] = ()
) -> Work:
    """What must run so that a table is right on every day of a range."""
    state = pipeline.state(tuple(pipeline.listing().files))
    return plan_range(state, pipeline.recipe, first, last, table, again, given_up)


def backfill(
    pipeline: Pipeline,
    instance: dg.DagsterInstance,
    first: date,
    last: date,
    table: str,
    again: bool = False,
    on_plan: Callable[[Work], None] = lambda work: None,
    on_layer: OnLayer = lambda layer, partitions: None,
    on_wait: OnWait = lambda message: None,
) -> Outcome:
    """Land what is new, then make a table, and what it is made from, for every day of a range.

    One run a contiguous range and layer: days, months, snapshots. What is up to date is left alone, unless
    ``again``; one bad day keeps no other from being made. ``on_plan`` is told what there is to do when the
    files have landed.
    """
    outcome = Outcome()
    with writing(pipeline.lake, on_wait):
        prepare(pipeline.lake)
        claim(pipeline.lake, owner_of(instance))
        execute = _executor(pipeline, instance, outcome)
        _land(pipeline, instance, execute, on_layer, on_wait)
        work = look_at_range(pipeline, first, last, table, again)
        on_plan(work)
        last_table = table if table in DAY_TABLES else DAY_TABLES[-1]
        days = _make_days(
            pipeline,
            execute,
            on_layer,
            lambda made: look_at_range(pipeline, first, last, table, again, made).days if made else work.days,
            last_table,
            again,
        )
        if months := look_at_range(pipeline, first, last, table, again, days).months:
            on_layer("months", len(months))
            execute(MODELS, [(f"{months[0]}-01", f"{months[-1]}-01")])
        if snapshots := look_at_range(pipeline, first, last, table, again, days).snapshots:
            on_layer("snapshots", len(snapshots))
            state, recipe = pipeline.state(), pipeline.recipe
            for start, end, tables in spans_with_tables(state, recipe, snapshots, table, again):
                execute(DAILY, _texts([(start, end)]), tables)
    return outcome


def _make_days(
    pipeline: Pipeline,
    execute: Callable[..., None],
    on_layer: OnLayer,
    stale: Callable[[Collection[date]], Sequence[date]],
    table: str = DAY_TABLES[-1],
    again: bool = False,
) -> Collection[date]:
    """Make the stale days, then those that have become so by that, each once; return them.

    ``stale`` says which are, but for those given. In a day that became one because of an earlier day an
    invoice may have gone on that began there.
    """
    made: set[date] = set()
    while days := stale(made):
        spans = day_ranges(pipeline.state(), pipeline.recipe, days, table, again and not made)
        sums_alone = all(tables == DAY_TABLES[1:] for _, _, tables in spans)
        on_layer("customer_days" if sums_alone else "days", len(days))
        for first, last, tables in spans:
            execute(DAILY, _texts([(first, last)]), tables)
        made |= {*days}
    return made


def _land(
    pipeline: Pipeline,
    instance: dg.DagsterInstance,
    execute: Callable[..., None],
    on_layer: OnLayer,
    on_wait: OnWait,
) -> None:
    list_settled(pipeline.settings.landing, pipeline.settings.arrival, pipeline.lake, on_wait)
    if files := look(pipeline, pipeline.settings.first_day).files:
        on_layer("files", len(files))
        keys = [file.partition_key for file in files]
        instance.add_dynamic_partitions(pipeline.source_files, keys)
        execute(LANDING, file_ranges(keys, instance.get_dynamic_partitions(pipeline.source_files)))
        forget_mended(instance, pipeline, pipeline.state(tuple(pipeline.listing().files)))


def make_report(
    pipeline: Pipeline, instance: dg.DagsterInstance, day: date, on_wait: Callable[[str], None]
) -> list[str]:
    """Make a day's report, whose segments are made; what went wrong, in words."""
    outcome = Outcome()
    with writing(pipeline.lake, on_wait):
        claim(pipeline.lake, owner_of(instance))
        _executor(pipeline, instance, outcome)(REPORTS, _texts([(day, day)]))
    return outcome.failures


def _texts(days: Sequence[tuple[date, date]]) -> list[tuple[str, str]]:
    return [(str(first), str(last)) for first, last in days]


def _executor(pipeline: Pipeline, instance: dg.DagsterInstance, outcome: Outcome) -> Callable[..., None]:
    defs = build_defs(pipeline.settings, {"pipeline": pipeline})
    # so that the UI shows the runs on the pages of their jobs
    shown = {".dagster/repository": f"__repository__@{pipeline.settings.code_location}"}

    def execute(job: str, spans: Sequence[tuple[str, str]], assets: Sequence[str] = ()) -> None:
        for first, last in spans:
            run_id = str(uuid4())
            result = defs.resolve_job_def(job).execute_in_process(
                run_config=QUIET,
                instance=instance,
                run_id=run_id,
                tags={**range_tags(first, last), **process_tag(run_id), **pipeline.tags, **shown},
                asset_selection=[*map(pipeline.key, assets)] or None,
                raise_on_error=False,
            )
            outcome.runs.append(result.run_id)
            outcome.failures += [_said(event) for event in result.get_step_failure_events()]

    return execute


def _said(event: dg.DagsterEvent) -> str:
    data = event.step_failure_data
    if data.user_failure_data and data.user_failure_data.description:
        return data.user_failure_data.description
    error = data.error
    while error and error.cause:
        error = error.cause
    if error and error.cls_name in SAID_BY_THEMSELVES:
        return error.message.partition(": ")[2].strip()
    return data.error_display_string

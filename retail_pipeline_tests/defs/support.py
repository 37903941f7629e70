"""What the tests of the Dagster layer share: running jobs for real, and reading back what Dagster knows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg

from retail_pipeline.definitions import build_defs
from retail_pipeline.defs.jobs import DAY_TABLES, SNAPSHOT_TABLES
from retail_pipeline.defs.requests import file_ranges, range_tags
from retail_pipeline.defs.resources import Pipeline
from retail_pipeline.defs.run_plan import QUIET
from retail_pipeline.planning.plan import files_to_land
from retail_pipeline.settings import load_settings
from retail_pipeline_tests.shop import settings_of

Result = dg.ExecuteInProcessResult


def open_pipeline(root: Path, **more: Any) -> Pipeline:
    """The small shop's pipeline, with landing and lake under ``root``."""
    return Pipeline(load_settings(landing=root / "landing", lake=root / "lake", **settings_of(**more)))


def run(
    pipeline: Pipeline,
    instance: dg.DagsterInstance,
    job: str,
    first: object,
    last: object,
    assets: Sequence[str] = (),
) -> Result:
    return (
        build_defs(pipeline.settings)
        .resolve_job_def(job)
        .execute_in_process(
            run_config=QUIET,
            instance=instance,
            tags=range_tags(str(first), str(last)),
            asset_selection=[dg.AssetKey(asset) for asset in assets] or None,
            raise_on_error=False,
        )
    )


def land(pipeline: Pipeline, instance: dg.DagsterInstance) -> Result:
    """Land every file in landing that has not landed yet, in one run."""
    state = pipeline.state(tuple(pipeline.listing().files))
    keys = [file.partition_key for file in files_to_land(state, pipeline.recipe)]
    instance.add_dynamic_partitions(pipeline.source_files, keys)
    ((first, last),) = file_ranges(keys, instance.get_dynamic_partitions(pipeline.source_files))
    return run(pipeline, instance, "landing_job", first, last)


def make_days(pipeline: Pipeline, instance: dg.DagsterInstance, days: Sequence[date]) -> Result:
    return run(pipeline, instance, "daily_job", days[0], days[-1], DAY_TABLES)


def make_snapshots(pipeline: Pipeline, instance: dg.DagsterInstance, days: Sequence[date]) -> Result:
    return run(pipeline, instance, "daily_job", days[0], days[-1], SNAPSHOT_TABLES)


def said(result: Result) -> str:
    """What a failed run says: the description of its one failed step."""
    (event,) = result.get_step_failure_events()
    failure = event.step_failure_data.user_failure_data
    assert failure, event.step_failure_data.error_display_string
    return failure.description or ""


def statuses(
    pipeline: Pipeline, instance: dg.DagsterInstance, table: str, days: Iterable[date]
) -> dict[date, str]:
    """Each day's status in the UI: MATERIALIZED, FAILED, or absent."""
    partitions = build_defs(pipeline.settings).resolve_assets_def(table).partitions_def
    assert partitions
    found = instance.get_status_by_partition(dg.AssetKey(table), [str(day) for day in days], partitions)
    return {date.fromisoformat(key): status.name for key, status in (found or {}).items() if status}


def evaluations(instance: dg.DagsterInstance, table: str, check: str) -> dict[str, dg.AssetCheckEvaluation]:
    """The last evaluation of a check for each partition."""
    records = instance.event_log_storage.get_asset_check_execution_history(
        dg.AssetCheckKey(dg.AssetKey(table), check), limit=10_000
    )
    found: dict[str, dg.AssetCheckEvaluation] = {}
    for record in records:
        assert record.event
        assert record.event.dagster_event
        evaluation = record.event.dagster_event.asset_check_evaluation_data
        assert evaluation.partition
        found.setdefault(evaluation.partition, evaluation)
    return found

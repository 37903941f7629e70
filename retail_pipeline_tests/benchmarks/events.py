"""What one Dagster event costs on SQLite, with Dagster's own connections and with connections kept open.

``python -m retail_pipeline_tests.benchmarks.events``.
"""

import tempfile
import time
import warnings
from contextlib import nullcontext

import dagster as dg

from retail_pipeline.defs.instance import connections_kept_open

DAYS = 300


def seconds(instance: dg.DagsterInstance) -> float:
    """The seconds that a run of one asset over DAYS partitions takes, with one check a day."""
    days = dg.DailyPartitionsDefinition("2020-01-01", end_date="2022-01-01")
    keys = days.get_partition_keys()[:DAYS]

    @dg.multi_asset(
        specs=[dg.AssetSpec("table", partitions_def=days, skippable=True)],
        check_specs=[dg.AssetCheckSpec("holds", asset="table", partitions_def=days)],
        can_subset=True,
        backfill_policy=dg.BackfillPolicy.single_run(),
    )
    def make(context: dg.AssetExecutionContext):
        for day in context.partition_keys:
            context.log_event(dg.AssetMaterialization("table", partition=day))
            context.log_event(
                dg.AssetCheckEvaluation(dg.AssetKey("table"), "holds", passed=True, partition=day)
            )
        yield from ()

    job = dg.Definitions(assets=[make], jobs=[dg.define_asset_job("job")]).resolve_job_def("job")
    tags = {"dagster/asset_partition_range_start": keys[0], "dagster/asset_partition_range_end": keys[-1]}
    quiet = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
    began = time.perf_counter()
    result = job.execute_in_process(instance=instance, tags=tags, run_config=quiet)
    assert result.success
    return time.perf_counter() - began


def main() -> None:
    """Measure both in turn and print milliseconds an event and the ratio."""
    warnings.simplefilter("ignore", dg.PreviewWarning)
    events = 3 * DAYS  # planned, made, checked
    for number in range(1, 4):
        cost = {}
        for kept in (False, True):
            with (
                tempfile.TemporaryDirectory() as home,
                dg.DagsterInstance.local_temp(home) as instance,
                connections_kept_open(instance.event_log_storage) if kept else nullcontext(),
            ):
                cost[kept] = 1000 * seconds(instance) / events
        print(
            f"round {number}: {cost[False]:.1f} ms an event, {cost[True]:.1f} ms with connections kept open, "
            f"ratio {cost[False] / cost[True]:.1f}"
        )


if __name__ == "__main__":
    main()

"""The event storage that dagster.yaml names: Dagster's own events in its own files, none lost."""

import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest

from retail_pipeline import event_storage
from retail_pipeline.event_storage import MOST_OPEN, OpenSqliteEventLogStorage

OURS = {
    "event_log_storage": {
        "module": "retail_pipeline.event_storage",
        "class": "OpenSqliteEventLogStorage",
    }
}
DAYS, RUNS = dg.DailyPartitionsDefinition("2024-01-01", end_date="2024-01-31"), 4
WRITES = """
import sys
import dagster as dg
from retail_pipeline_tests.test_event_storage import OURS, RUNS, make
with dg.DagsterInstance.local_temp(sys.argv[1], OURS) as instance:
    print("open", flush=True)
    sys.stdin.readline()
    for _ in range(RUNS):
        make(instance, sys.argv[2])
"""


def make(instance: dg.DagsterInstance, name: str, days: int = 30) -> None:
    """Materialize some partitions of an asset in one run, each with its check."""

    @dg.multi_asset(
        specs=[dg.AssetSpec(name, partitions_def=DAYS, skippable=True)],
        check_specs=[dg.AssetCheckSpec("holds", asset=name, partitions_def=DAYS)],
        can_subset=True,
        backfill_policy=dg.BackfillPolicy.single_run(),
    )
    def table(context: dg.AssetExecutionContext):
        for day in context.partition_keys:
            context.log_event(dg.AssetMaterialization(name, partition=day))
            context.log_event(dg.AssetCheckEvaluation(dg.AssetKey(name), "holds", passed=True, partition=day))
        yield from ()

    keys = DAYS.get_partition_keys()[:days]
    tags = {"dagster/asset_partition_range_start": keys[0], "dagster/asset_partition_range_end": keys[-1]}
    quiet = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
    job = dg.Definitions(assets=[table]).resolve_implicit_global_asset_job_def()
    assert job.execute_in_process(instance=instance, tags=tags, run_config=quiet).success


def events(instance: dg.DagsterInstance) -> dict[str, tuple[int, int, int]]:
    """Of each asset: materializations in the index and in the runs' own files, and evaluations."""
    found = {}
    for key in instance.all_asset_keys():
        name = key.to_user_string()
        check = dg.AssetCheckKey(key, "holds")
        of_runs = [
            entry
            for run in instance.get_runs()
            for entry in instance.all_logs(run.run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION)
            if entry.dagster_event and entry.dagster_event.asset_key == key
        ]
        found[name] = (
            len(instance.fetch_materializations(key, limit=10_000).records),
            len(of_runs),
            len(instance.event_log_storage.get_asset_check_execution_history(check, limit=10_000)),
        )
    return found


def test_two_processes_that_write_at_once_lose_nothing_and_dagsters_own_reads_it(tmp_path: Path):
    with dg.DagsterInstance.local_temp(str(tmp_path), OURS):
        pass  # the home's tables are made by one process
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITES, str(tmp_path), name],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        for name in ("one", "two")
    ]  # fmt: skip
    for writer in writers:
        assert writer.stdout
        assert writer.stdout.readline() == "open\n"
    for writer in writers:
        assert writer.stdin
        writer.stdin.write("\n")
        writer.stdin.flush()
    assert [writer.wait(300) for writer in writers] == [0, 0]
    due = dict.fromkeys(("one", "two"), (30 * RUNS,) * 3)
    for storage in (None, OURS):
        with dg.DagsterInstance.local_temp(str(tmp_path), storage) as instance:
            assert isinstance(instance.event_log_storage, OpenSqliteEventLogStorage) == bool(storage)
            assert events(instance) == due
            assert {run.status for run in instance.get_runs()} == {dg.DagsterRunStatus.SUCCESS}


def test_under_another_dagster_it_does_as_dagsters_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A new version fails here: look whether its storage still has these two connections, then say so."""
    assert event_storage.IS_KNOWN
    monkeypatch.setattr(event_storage, "IS_KNOWN", False)
    monkeypatch.setattr(OpenSqliteEventLogStorage, "_kept_open", None)
    with dg.DagsterInstance.local_temp(str(tmp_path), OURS) as instance:
        make(instance, "one")
        assert events(instance) == {"one": (30, 30, 30)}


def test_few_databases_are_open_and_a_wiped_one_is_made_anew(tmp_path: Path):
    runs = MOST_OPEN + 3
    with dg.DagsterInstance.local_temp(str(tmp_path), OURS) as instance:
        for _ in range(runs):
            make(instance, "one", days=2)
        assert events(instance)["one"] == (2 * runs,) * 3
        opened = {path.resolve() for path in Path("/proc/self/fd").iterdir() if path.exists()}
        # each with its log and the index of that
        assert len([path for path in opened if ".db" in path.name]) <= 3 * MOST_OPEN
        instance.wipe()
        make(instance, "one")
        assert events(instance) == {"one": (30, 30, 30)}

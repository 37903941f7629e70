"""The instance that the command opens, whose lake it may write to, and runs whose process died."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import StringIO
from multiprocessing.connection import Connection
from pathlib import Path

import dagster as dg
import psutil
import pytest
from rich.console import Console

from retail_pipeline.cli.status import print_status, status_of
from retail_pipeline.definitions import build_defs
from retail_pipeline.defs.instance import (
    PROCESS,
    SECONDS_TO_FIRST_STEP,
    dagster_home,
    open_instance,
    owner_of,
    process_tag,
    report_dead_runs,
    runs_under_way,
)
from retail_pipeline.defs.requests import INTERRUPTED
from retail_pipeline.defs.resources import Pipeline
from retail_pipeline.defs.run_plan import bring_up_to_date
from retail_pipeline.defs.sensors import wait
from retail_pipeline.event_storage import OpenSqliteEventLogStorage
from retail_pipeline.lake.instance_owner import adopt, read_owner
from retail_pipeline.lake.lock import is_held, writing
from retail_pipeline.lake.partitions import LakeError
from retail_pipeline_tests.defs.support import open_pipeline, run
from retail_pipeline_tests.shop import FIRST


@contextmanager
def opened(pipeline: Pipeline, home: str, patched: pytest.MonkeyPatch) -> Iterator[dg.DagsterInstance]:
    """The lasting instance in a home of that name beside the lake."""
    patched.setenv("DAGSTER_HOME", str(pipeline.lake.root.parent / home))
    with open_instance(pipeline.settings) as instance:
        yield instance


def test_the_instance_lies_beside_the_lake_unless_dagster_home_says_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    settings = open_pipeline(tmp_path).settings
    assert dagster_home(settings) == tmp_path / "dagster_home"
    with open_instance(settings) as instance:
        assert not instance.telemetry_enabled
        assert instance.run_monitoring_enabled, "a run that never comes to its first step is ended"
        assert instance.root_directory == str(tmp_path / "dagster_home")
        assert isinstance(instance.event_log_storage, OpenSqliteEventLogStorage)
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "elsewhere"))
    assert dagster_home(settings) == tmp_path / "elsewhere"
    own = "telemetry: {enabled: true}\n"
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "dagster.yaml").write_text(own)
    with open_instance(settings) as instance:
        assert instance.telemetry_enabled
    assert (tmp_path / "elsewhere" / "dagster.yaml").read_text() == own, "one's own is left alone"


def touch(pipeline: Pipeline, instance: dg.DagsterInstance) -> str:
    """Launch a run that lands a file which is not there; what its step ended with, once the lake was its."""
    key = "none@0123456789abcdef"
    instance.add_dynamic_partitions("source_files", [key])
    (event,) = run(pipeline, instance, "landing_job", key, key).get_step_failure_events()
    return str(event.step_failure_data.error_display_string)


# whose lake it is


def test_a_second_instance_is_refused_until_the_lake_is_handed_over(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
):
    with opened(pipeline, "one", monkeypatch) as one:
        assert not wait(one, pipeline)
        bring_up_to_date(pipeline, one, lambda: FIRST)
        first = read_owner(pipeline.lake)
    with opened(pipeline, "one", monkeypatch) as again:
        assert owner_of(again) == first
    with opened(pipeline, "two", monkeypatch) as two:
        with pytest.raises(LakeError, match="belongs to the Dagster instance") as refused:
            bring_up_to_date(pipeline, two, lambda: FIRST)
        for word in ("/one on ", "/two on ", str(pipeline.lake.root), "`retail-pipeline lake adopt`"):
            assert word in str(refused.value)
        assert wait(two, pipeline) == str(refused.value), "its sensors ask for nothing"
        assert "belongs to the Dagster instance" in touch(pipeline, two), "nor does what it launches run"
        second = owner_of(two)
        assert second
        adopt(pipeline.lake, second)
        bring_up_to_date(pipeline, two, lambda: FIRST)
    with opened(pipeline, "one", monkeypatch) as one:
        assert "/two on " in wait(one, pipeline)


def test_an_instance_that_will_not_last_neither_takes_a_lake_nor_is_refused(
    pipeline: Pipeline, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
):
    assert "is no longer in landing" in touch(pipeline, instance)
    assert read_owner(pipeline.lake) is None
    with opened(pipeline, "one", monkeypatch) as one:
        bring_up_to_date(pipeline, one, lambda: FIRST)
    assert not wait(instance, pipeline)
    assert "is no longer in landing" in touch(pipeline, instance)


# runs whose process died


def name_of(process: psutil.Process, run_id: str) -> str:
    """What a run's tag says when that process runs it."""
    of_run, host, boot, _, launcher = process_tag(run_id)[PROCESS].split("/")
    return "/".join((of_run, host, boot, f"{process.pid}:{process.create_time():.0f}", launcher))


def begun(
    instance: dg.DagsterInstance,
    pipeline: Pipeline,
    process: str | None,
    status: dg.DagsterRunStatus = dg.DagsterRunStatus.STARTED,
) -> str:
    """A run that a process is at; ``RUN`` in the tag stands for its id."""
    job = build_defs(pipeline.settings).resolve_job_def("landing_job")
    made = instance.create_run_for_job(job, status=status, tags=pipeline.tags)
    if process:
        instance.add_run_tags(made.run_id, {PROCESS: process.replace("RUN", made.run_id)})
    return made.run_id


def test_runs_of_dead_processes_are_reported_and_those_of_living_or_unknown_ones_left(
    pipeline: Pipeline, instance: dg.DagsterInstance
):
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        gone = name_of(psutil.Process(other.pid), "RUN")
        mine = name_of(psutil.Process(), "RUN")
        of_run, host, boot, me, launcher = mine.split("/")
        dead, canceling = (
            begun(instance, pipeline, gone, status)
            for status in (dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING)
        )
        reused = begun(instance, pipeline, "/".join((of_run, host, boot, f"{os.getpid()}:12345", launcher)))
        before_the_boot = begun(instance, pipeline, "/".join((of_run, host, "another-boot", me, launcher)))
        left = [
            begun(instance, pipeline, mine),
            begun(instance, pipeline, None),
            begun(instance, pipeline, "/".join((of_run, "another-host", boot, "1:1", "1:1"))),
            # Dagster copies tags to a run that repeats another
            begun(instance, pipeline, gone.replace("RUN", "the-run-it-repeats")),
        ]
        assert set(report_dead_runs(instance, pipeline)) == {reused, before_the_boot}
        other.kill()
        # its parent has not asked after it yet: it is a zombie
        os.waitid(os.P_PID, other.pid, os.WEXITED | os.WNOWAIT)
        assert set(report_dead_runs(instance, pipeline)) == {dead, canceling}
    found = {made.run_id: made.status.name for made in instance.get_runs()}
    assert {found[one] for one in (dead, reused, before_the_boot)} == {"FAILURE"}
    assert found[canceling] == "CANCELED"
    tagged = {made.run_id for made in instance.get_runs() if made.tags.get(INTERRUPTED) == made.run_id}
    assert tagged == {before_the_boot}, "what had launched the others is alive: they were killed alone"
    assert {found[one] for one in left} == {"STARTED"}
    assert {made.run_id for made in runs_under_way(instance, pipeline)} == set(left)


def test_a_run_whose_process_died_before_its_first_step_is_reported_in_time(
    pipeline: Pipeline, instance: dg.DagsterInstance
):
    untold = begun(instance, pipeline, None, dg.DagsterRunStatus.STARTING)
    told = begun(instance, pipeline, name_of(psutil.Process(), "RUN"), dg.DagsterRunStatus.STARTING)
    for run_id in (untold, told):
        made = instance.get_run_by_id(run_id)
        assert made
        event = dg.DagsterEvent(dg.DagsterEventType.RUN_START.value, made.job_name)
        instance.report_dagster_event(event, run_id)
    assert report_dead_runs(instance, pipeline) == []
    assert report_dead_runs(instance, pipeline, time.time() + SECONDS_TO_FIRST_STEP + 1) == [untold]


WAITS = """
import sys
from pathlib import Path
import dagster as dg
from retail_pipeline_tests.defs.support import open_pipeline
from retail_pipeline_tests.defs.test_instance import touch
root = Path(sys.argv[1])
with dg.DagsterInstance.from_config(str(root / "home")) as instance:
    touch(open_pipeline(root), instance)
"""


def test_a_run_that_is_killed_while_it_waits_frees_its_place_and_the_lake(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
):
    with opened(pipeline, "home", monkeypatch) as instance:
        with (
            writing(pipeline.lake),
            subprocess.Popen([sys.executable, "-c", WAITS, str(pipeline.lake.root.parent)]) as waiting,
        ):
            while not any(PROCESS in made.tags for made in instance.get_runs()):
                with suppress(subprocess.TimeoutExpired):
                    pytest.fail(f"it did not wait but ended with {waiting.wait(0.1)}")
            waiting.kill()
        (killed,) = instance.get_runs()
        assert killed.status == dg.DagsterRunStatus.STARTED
        assert not is_held(pipeline.lake)
        assert not wait(instance, pipeline), "the look itself reports the dead run"
        (killed,) = instance.get_runs()
        assert killed.status == dg.DagsterRunStatus.FAILURE


def _tell_tag(to: Connection) -> None:
    to.send(process_tag("run", of_parent=True)[PROCESS])


def test_under_the_multiprocess_executor_a_run_is_known_by_the_process_that_outlives_its_steps():
    here, there = multiprocessing.Pipe()
    step = multiprocessing.get_context("fork").Process(target=_tell_tag, args=(there,))
    step.start()
    assert here.recv() == name_of(psutil.Process(), "run")
    step.join()


# runs of others


def test_another_teams_run_of_the_same_job_name_is_not_ours(
    pipeline: Pipeline, instance: dg.DagsterInstance, tmp_path: Path
):
    """Nor is that of another shop on the instance: neither waited for, nor reported dead."""

    @dg.job
    def daily_job() -> None:
        pass

    other = open_pipeline(tmp_path / "other")
    theirs = instance.create_run_for_job(daily_job, status=dg.DagsterRunStatus.STARTED)
    of_other_shop = begun(instance, other, None)
    for run_id in (theirs.run_id, of_other_shop):
        instance.report_dagster_event(
            dg.DagsterEvent(dg.DagsterEventType.RUN_START.value, "daily_job"), run_id
        )
    later = time.time() + SECONDS_TO_FIRST_STEP + 1
    assert report_dead_runs(instance, pipeline, later) == []
    assert not runs_under_way(instance, pipeline)
    assert not wait(instance, pipeline)
    assert report_dead_runs(instance, other, later) == [of_other_shop]
    found = {made.run_id: made.status.name for made in instance.get_runs()}
    assert found == {theirs.run_id: "STARTED", of_other_shop: "FAILURE"}
    instance.report_run_failed(theirs)
    said = StringIO()
    status = status_of(pipeline, instance, lambda: FIRST, [])
    print_status(Console(file=said, width=200), pipeline, status)
    assert status.is_well
    assert "failed" not in said.getvalue()


def test_every_run_carries_the_tag_of_its_lake_whoever_launched_it(
    pipeline: Pipeline, instance: dg.DagsterInstance
):
    """And of its process, before it waits; what the UI launches for selected tables is of no job of ours."""
    touch(pipeline, instance)
    (made,) = instance.get_runs()
    assert made.tags[PROCESS] == name_of(psutil.Process(), made.run_id)
    whole = build_defs(pipeline.settings).resolve_implicit_global_asset_job_def()
    for job, key in ((whole, "rfm_features"), (whole, "report")):
        job.execute_in_process(
            instance=instance,
            partition_key=str(FIRST),
            asset_selection=[dg.AssetKey(key)],
            raise_on_error=False,
        )
    assert [pipeline.tags.items() <= made.tags.items() for made in instance.get_runs()] == [True] * 3

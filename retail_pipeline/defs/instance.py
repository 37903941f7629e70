"""The Dagster instance: opening it for the command, whose lake it writes to, and runs whose process died."""

from __future__ import annotations

import multiprocessing
import os
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib import resources
from pathlib import Path
from typing import Any, Literal

import dagster as dg
import psutil
import yaml
from filelock import FileLock

from retail_pipeline.defs.events import Log
from retail_pipeline.defs.jobs import MAKE_NOTHING
from retail_pipeline.defs.requests import INTERRUPTED, SHAPED_BY
from retail_pipeline.defs.resources import LAKE, SHOP, Pipeline
from retail_pipeline.lake.instance_owner import Owner, claim
from retail_pipeline.lake.lock import writing
from retail_pipeline.lake.partitions import LakeError
from retail_pipeline.settings import Settings

SECONDS_OF_DOUBT = 2
# from the start of a run to its first step, which says which process it is
SECONDS_TO_FIRST_STEP = 300
PROCESS = ".dagster/retail_pipeline_process"  # the UI hides tags that begin so
# what the command prints is for its terminal; the processes that would copy it print their end at Ctrl-C
OF_COMMAND = "of_command.yaml"
_PRINTS_HERE = {
    "compute_logs": {
        "module": "dagster._core.storage.noop_compute_log_manager",
        "class": "NoOpComputeLogManager",
    }
}
_BEGUN = [
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


def dagster_home(settings: Settings) -> Path:
    """The folder of the Dagster instance: DAGSTER_HOME, else ``dagster_home`` beside the lake."""
    named = os.environ.get("DAGSTER_HOME")
    return Path(named) if named else settings.lake.resolve().parent / "dagster_home"


@contextmanager
def open_instance(settings: Settings) -> Iterator[dg.DagsterInstance]:
    """Open the instance, making its home with the development dagster.yaml when there is none.

    Runs whose process died are reported failed, and the slots they held are freed.

    Raises:
        LakeError: the home cannot be made.
    """
    home = dagster_home(settings).resolve()
    with ExitStack() as stack:
        try:
            home.mkdir(parents=True, exist_ok=True)
            # two processes that open a new home at once would both make its tables, and one would fail
            with FileLock(home / ".opening.lock"):
                if not (home / "dagster.yaml").exists():
                    packaged = resources.files("retail_pipeline") / "dagster.yaml"
                    (home / "dagster.yaml").write_bytes(packaged.read_bytes())
                given = yaml.safe_load((home / "dagster.yaml").read_text(encoding="utf-8")) or {}
                (home / OF_COMMAND).write_text(yaml.safe_dump(given | _PRINTS_HERE), encoding="utf-8")
                instance = stack.enter_context(dg.DagsterInstance.from_config(str(home), OF_COMMAND))
        except OSError as error:
            raise LakeError(
                f"{home}, the folder of the Dagster instance for the lake {settings.lake}, cannot be written "
                f"({error.strerror}): name another lake with --lake, or another folder with DAGSTER_HOME"
            ) from error
        report_dead_runs(instance, Pipeline(settings))
        yield instance


def owner_of(instance: dg.DagsterInstance) -> Owner | None:
    """What tells this instance from others, on whichever host; None for one that will not last."""
    if instance.is_ephemeral:
        return None
    storage: Any = instance.run_storage  # SQLite or Postgres: the database holds the id
    where = f"{instance.root_directory} on {socket.gethostname()}"
    return Owner(instance=storage.get_run_storage_id(), where=where)


@contextmanager
def writing_step(context: dg.AssetExecutionContext, pipeline: Pipeline) -> Iterator[Log]:
    """Hold the lake's lock for a step; yields where to record what it makes.

    Its run is tagged with the process that runs it, so that a run that was killed, be it while it waits, is
    found; and the lake must be this instance's.

    Raises:
        LakeError: the lake belongs to another instance, or cannot be written.
        dagster.Failure: the run was requested under other settings.
    """
    run_id, tags = context.run.run_id, {**pipeline.tags, SHOP: pipeline.settings.code_location}
    if not context.run.tags.get(PROCESS, "").startswith(run_id):
        tags |= process_tag(run_id, of_parent=pipeline.settings.executor == "multiprocess")
    context.instance.add_run_tags(run_id, tags)
    with writing(pipeline.lake, context.log.info):
        claim(pipeline.lake, owner_of(context.instance))
        if context.run.tags.get(SHAPED_BY, pipeline.shaped_by) != pipeline.shaped_by:
            raise dg.Failure(
                "the settings have changed since this run was requested, so that it would make other tables: "
                "the daemon asks anew once its code location is reloaded",
                allow_retries=False,
            )
        log = Log(context, pipeline, context.partition_keys)
        try:
            yield log
        except BaseException:
            log.break_off()
            raise


def process_tag(run_id: str, *, of_parent: bool = False) -> dict[str, str]:
    """The tag that says which process runs a run: this one, or the one that started it for a step.

    By host and boot, then pid and start time (seconds) of the process and of the one that launched it: no
    later ones can be taken for them. By the run's id, since Dagster copies tags to a run that repeats one.
    """
    parent = multiprocessing.parent_process() if of_parent else None
    process = psutil.Process(parent.pid if parent else None)
    launcher = process.parent()
    named = (run_id, socket.gethostname(), _boot(), _name(process), _name(launcher) if launcher else "")
    return {PROCESS: "/".join(named)}


def _name(process: psutil.Process) -> str:
    return f"{process.pid}:{process.create_time():.0f}"


def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""  # not Linux: pid and start time must do


def namesakes(instance: dg.DagsterInstance, pipeline: Pipeline) -> str:
    """Says which other lake has the same asset keys on the instance; empty when none has.

    One whose folder is gone from the machine on which its last run was has been moved or removed.
    """
    lakes = {lake for _, found in instance.get_run_tags([LAKE]) for lake in found}
    for lake in sorted(lakes - {*pipeline.tags.values()}):
        tags = {LAKE: lake, SHOP: pipeline.settings.code_location}
        for run in instance.get_runs(dg.RunsFilter(tags=tags), limit=1):
            host = run.tags.get(PROCESS, "/").split("/")[1]
            if Path(lake).exists() or host != socket.gethostname():
                return (
                    f"the lake {lake} has the same asset keys and partitions on this Dagster instance as "
                    f"{pipeline.lake.root}: the UI shows one's runs, files and checks for the other's. "
                    "Give each shop a `code_location` of its own in its settings, or a DAGSTER_HOME"
                )
    return ""


def _fate(record: dg.RunRecord, now: float) -> Literal["unknown", "alive", "killed", "interrupted"]:
    """What became of a run's process; interrupted: what had launched it went down, too."""
    run = record.dagster_run
    named = run.tags.get(PROCESS, "").split("/")
    if len(named) != 5 or named[0] != run.run_id:
        waits = now - (record.start_time or now)
        return "killed" if run.job_name not in MAKE_NOTHING and waits > SECONDS_TO_FIRST_STEP else "unknown"
    host, boot, process, launcher = named[1:]
    if host != socket.gethostname():
        return "unknown"
    if boot != _boot():
        return "interrupted"
    if _is_alive(process):
        return "alive"
    return "interrupted" if launcher and not _is_alive(launcher) else "killed"


def _is_alive(name: str) -> bool:
    pid, started = name.split(":")
    try:
        process = psutil.Process(int(pid))
        # killed, and its parent has not asked after it yet
        if process.status() == psutil.STATUS_ZOMBIE:
            return False
        # a clock that is set right moves the start times of running processes a little
        return abs(process.create_time() - int(started)) < SECONDS_OF_DOUBT
    except psutil.NoSuchProcess:
        return False


def runs_under_way(instance: dg.DagsterInstance, pipeline: Pipeline) -> list[dg.DagsterRun]:
    """The runs that wait or write to the lake, once those whose process is gone are reported."""
    report_dead_runs(instance, pipeline)
    statuses = [dg.DagsterRunStatus.QUEUED, *_BEGUN]
    runs = instance.get_runs(dg.RunsFilter(statuses=statuses, tags=pipeline.tags))
    return [run for run in runs if run.job_name not in MAKE_NOTHING]


def report_dead_runs(instance: dg.DagsterInstance, pipeline: Pipeline, now: float | None = None) -> list[str]:
    """Report the lake's runs as failed when their process is gone, and free what they held; return their ids.

    So, too, when they began long ago (``now`` in seconds since 1970) and never came to their first step,
    which would have said whose they are.
    """
    dead = []
    for record in instance.get_run_records(dg.RunsFilter(statuses=_BEGUN, tags=pipeline.tags)):
        run = record.dagster_run
        if (fate := _fate(record, time.time() if now is None else now)) not in ("killed", "interrupted"):
            continue
        if fate == "interrupted":
            instance.add_run_tags(run.run_id, {INTERRUPTED: run.run_id})
        if run.status == dg.DagsterRunStatus.CANCELING:
            instance.report_run_canceled(run, "the process that ran it is gone")
        else:
            instance.report_run_failed(
                run, "the process that ran it was killed; run it again, good partitions stay"
            )
        instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)
        dead.append(run.run_id)
    return dead

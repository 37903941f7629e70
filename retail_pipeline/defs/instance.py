"""The Dagster instance that the command shares with the UI: opening it, and cleaning up after dead processes.

Belongs here: DAGSTER_HOME and run states. Does not belong here: what runs (``driver.py``).
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from importlib import resources
from pathlib import Path
from threading import RLock
from typing import Any

import dagster as dg
import psutil
from filelock import FileLock
from sqlalchemy import create_engine, event
from sqlalchemy.engine import Engine
from sqlalchemy.pool import StaticPool

from retail_pipeline.lake.partitions import LakeError
from retail_pipeline.settings import Settings

SECONDS_TO_WAIT = 60  # for the UI's own writes
SECONDS_OF_DOUBT = 2
PROCESS = ".dagster/retail_pipeline_process"  # the UI hides tags that begin so


def dagster_home(settings: Settings) -> Path:
    """The folder of the Dagster instance: DAGSTER_HOME, else ``dagster_home`` beside the lake."""
    named = os.environ.get("DAGSTER_HOME")
    return Path(named) if named else settings.lake.resolve().parent / "dagster_home"


@contextmanager
def open_instance(settings: Settings) -> Iterator[dg.DagsterInstance]:
    """Open the instance, making its home with the development dagster.yaml when there is none.

    Runs of this command whose process died are reported failed, and the slots they held are freed.

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
                    with resources.as_file(resources.files("retail_pipeline") / "dagster.yaml") as packaged:
                        shutil.copyfile(packaged, home / "dagster.yaml")
                instance = stack.enter_context(dg.DagsterInstance.from_config(str(home)))
        except OSError as error:
            raise LakeError(
                f"{home}, the folder of the Dagster instance for the lake {settings.lake}, cannot be written "
                f"({error.strerror}): name another lake with --lake, or another folder with DAGSTER_HOME"
            ) from error
        stack.enter_context(connections_kept_open(instance.event_log_storage))
        report_dead_runs(instance)
        yield instance


@contextmanager
def connections_kept_open(storage: Any) -> Iterator[None]:
    """Let SQLite event storage reuse one connection a database for as long as this process writes events.

    Dagster opens an engine two or three times an event, so that SQLAlchemy compiles every statement anew and
    the disk is waited for each time: some 9 ms an event instead of 2, most of a run's time over a year of
    days (benchmarks/events.py). With ``synchronous = normal`` the write-ahead log survives kill -9; a power
    cut loses at most the last events, never the file, and the lake does not depend on them. Other storages
    have a pool of their own.
    """
    if type(storage).__name__ != "SqliteEventLogStorage":
        yield
        return
    engines: dict[str, Engine] = {}
    turns = RLock()

    def kept_open(opened_by_dagster: Callable[..., Any], shard: str) -> Any:
        if shard not in engines:
            with opened_by_dagster():
                pass  # it creates the database's tables
            engines[shard] = create_engine(
                storage.conn_string_for_shard(shard),
                poolclass=StaticPool,
                connect_args={"timeout": SECONDS_TO_WAIT, "check_same_thread": False},
            )
            event.listen(engines[shard], "connect", _commit_without_waiting_for_the_disk)
        return _turn(turns, engines[shard])

    run_connection, index_connection = storage.run_connection, storage.index_connection
    storage.run_connection = lambda run_id=None: kept_open(lambda: run_connection(run_id), run_id)
    storage.index_connection = lambda: kept_open(index_connection, "index")
    try:
        yield
    finally:
        del storage.run_connection, storage.index_connection
        for engine in engines.values():
            engine.dispose()


@contextmanager
def _turn(turns: RLock, engine: Engine) -> Iterator[Any]:
    with turns, engine.begin() as connection:
        yield connection


def _commit_without_waiting_for_the_disk(connection: Any, _record: Any) -> None:
    connection.execute("pragma synchronous = normal")


def this_process() -> str:
    """Names this process so that no later one can be taken for it: pid and start time (seconds)."""
    process = psutil.Process()
    return f"{process.pid}:{process.create_time():.0f}"


def _is_alive(name: str) -> bool:
    pid, started = name.split(":")
    try:
        # a clock that is set right moves the start times of running processes a little
        return abs(psutil.Process(int(pid)).create_time() - int(started)) < SECONDS_OF_DOUBT
    except psutil.NoSuchProcess:
        return False


def report_dead_runs(instance: dg.DagsterInstance) -> list[str]:
    """Report runs of this command as failed when their process is gone; return their ids."""
    under_way = [dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.NOT_STARTED]
    dead = []
    for record in instance.get_run_records(dg.RunsFilter(statuses=under_way)):
        run = record.dagster_run
        if PROCESS in run.tags and not _is_alive(run.tags[PROCESS]):
            instance.report_run_failed(
                run, "the process that ran it was killed; run it again, good partitions stay"
            )
            instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)
            dead.append(run.run_id)
    return dead

"""What ``retail-pipeline run`` does: the plan as Dagster runs in this process, layer after layer."""

from __future__ import annotations

import signal
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import date
from typing import TypeAlias
from uuid import uuid4

import dagster as dg

from retail_pipeline.definitions import build_defs
from retail_pipeline.defs.instance import namesakes, owner_of, process_tag
from retail_pipeline.defs.jobs import JOB_OF, LANDING, REPORTS
from retail_pipeline.defs.requests import (
    INTERRUPTED,
    bad_input,
    file_ranges,
    forget_mended,
    range_tags,
    said_by_itself,
)
from retail_pipeline.defs.resources import Pipeline
from retail_pipeline.ingest.listing import list_settled
from retail_pipeline.lake.instance_owner import claim
from retail_pipeline.lake.lock import writing
from retail_pipeline.lake.partitions import prepare
from retail_pipeline.planning.pieces import DAYS, Goal, Piece, next_pieces
from retail_pipeline.planning.plan import Work, files_to_land
from retail_pipeline.planning.state import State

OnLayer: TypeAlias = Callable[[str, int], None]
OnWait: TypeAlias = Callable[[str], None]
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


@dataclass
class Outcome:
    """What a run did: the ids of the Dagster runs, the days it made, what the failed ones say."""

    runs: list[str] = field(default_factory=list)
    days: tuple[date, ...] = ()
    failures: list[str] = field(default_factory=list)


def seen(pipeline: Pipeline) -> State:
    return pipeline.state(tuple(pipeline.listing().files))


def look(pipeline: Pipeline, goal: Goal) -> Work:
    """What must run for a goal, files in landing included."""
    return goal.work(seen(pipeline), pipeline.recipe)


def bring_up_to_date(
    pipeline: Pipeline,
    instance: dg.DagsterInstance,
    through: Callable[[], date],
    on_layer: OnLayer = lambda layer, partitions: None,
    on_wait: OnWait = lambda message: None,
) -> Outcome:
    """Land what is new, then make everything through a day, which is asked for when files have landed."""
    return carry_out(pipeline, instance, lambda: Goal(through()), on_layer=on_layer, on_wait=on_wait)


def carry_out(
    pipeline: Pipeline,
    instance: dg.DagsterInstance,
    goal: Callable[[], Goal],
    on_goal: Callable[[Goal], None] = lambda goal: None,
    on_layer: OnLayer = lambda layer, partitions: None,
    on_wait: OnWait = lambda message: None,
) -> Outcome:
    """Land what is new, then make what a goal needs: one run a piece, layer after layer, planned before each.

    ``goal`` is asked after landing, when it is known what was delivered, and told to ``on_goal``;
    ``on_layer`` is told each layer with its number of partitions. One bad partition keeps no other from being
    made; after a layer that ended otherwise (a full disk, say) none begins.
    """
    outcome, tried, broken = Outcome(), list[Piece](), False
    with writing(pipeline.lake, on_wait):
        prepare(pipeline.lake)
        claim(pipeline.lake, owner_of(instance))
        if shared := namesakes(instance, pipeline):
            on_wait(shared)
        execute = _executor(pipeline, instance, outcome)
        list_settled(pipeline.settings.landing, pipeline.settings.arrival, pipeline.lake, on_wait)
        if files := files_to_land(seen(pipeline), pipeline.recipe):
            on_layer("files", len(files))
            keys = [file.partition_key for file in files]
            instance.add_dynamic_partitions(pipeline.source_files, keys)
            for first, last in file_ranges(keys, instance.get_dynamic_partitions(pipeline.source_files)):
                broken |= not execute(LANDING, first, last)
            forget_mended(instance, pipeline, seen(pipeline))
        wanted = goal()
        on_goal(wanted)
        while not broken and (pieces := next_pieces(pipeline.state(), pipeline.recipe, wanted, tried)):
            sums_alone = pieces[0].layer == DAYS and not any("transactions" in p.tables for p in pieces)
            count = sum(len(piece.partitions) for piece in pieces)
            on_layer("customer_days" if sums_alone else pieces[0].layer, count)
            for piece in pieces:
                broken |= not execute(JOB_OF[piece.layer], str(piece.first), str(piece.last), piece.tables)
            tried += pieces
    outcome.days = tuple(sorted(day for piece in tried if piece.layer == DAYS for day in piece.partitions))
    return outcome


def make_report(
    pipeline: Pipeline, instance: dg.DagsterInstance, day: date, on_wait: Callable[[str], None]
) -> list[str]:
    """Make a day's report, whose segments are made; what went wrong, in words."""
    outcome = Outcome()
    with writing(pipeline.lake, on_wait):
        claim(pipeline.lake, owner_of(instance))
        _executor(pipeline, instance, outcome)(REPORTS, str(day), str(day))
    return outcome.failures


def _executor(pipeline: Pipeline, instance: dg.DagsterInstance, outcome: Outcome) -> Callable[..., bool]:
    """What runs a job; it is True when nothing but bad input kept anything from being made."""
    defs = build_defs(pipeline.settings, {"pipeline": pipeline})
    # so that the UI shows the runs on the pages of their jobs
    shown = {".dagster/repository": f"__repository__@{pipeline.settings.code_location}"}

    def execute(job: str, first: str, last: str, assets: Sequence[str] = ()) -> bool:
        run_id = str(uuid4())
        with _ended_by_ctrl_c(lambda: instance.add_run_tags(run_id, {INTERRUPTED: run_id})):
            result = defs.resolve_job_def(job).execute_in_process(
                run_config=QUIET,
                instance=instance,
                run_id=run_id,
                tags={**range_tags(first, last), **process_tag(run_id), **pipeline.tags, **shown},
                asset_selection=[*map(pipeline.key, assets)] or None,
                raise_on_error=False,
            )
        outcome.runs.append(result.run_id)
        failed = result.get_step_failure_events()
        outcome.failures += map(_said, failed)
        return all(map(bad_input, failed))

    return execute


@contextmanager
def _ended_by_ctrl_c(on_interrupt: Callable[[], None]) -> Iterator[None]:
    """Raise KeyboardInterrupt at the end if somebody pressed Ctrl-C meanwhile, whatever became of the signal.

    Dagster makes a failed step of it and DuckDB an error of the statement, after which the next run would
    begin on what this one left unmade.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    heard, told = socket.socketpair()
    with heard, told:
        heard.setblocking(False)
        told.setblocking(False)
        before = signal.set_wakeup_fd(told.fileno(), warn_on_full_buffer=False)
        try:
            yield
        finally:
            signal.set_wakeup_fd(before)
            with suppress(BlockingIOError):
                if {signal.SIGINT, signal.SIGTERM} & {*heard.recv(64)}:
                    on_interrupt()
                    raise KeyboardInterrupt


def _said(event: dg.DagsterEvent) -> str:
    return bad_input(event) or said_by_itself(event) or event.step_failure_data.error_display_string

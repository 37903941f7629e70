"""From the plan to Dagster runs: which are wanted, the attempt that each is, and when to stop trying.

What a run failed by decides. A ``dagster.Failure`` is our own word that the input is bad: the same input is
not tried again. Anything else (a killed process, a full disk, a database that went away) may pass: the same
work is tried again after pauses that grow to an hour, for a day. A run that went down together with what had
launched it (a restart, a power cut) says nothing of its work and is no attempt, within reason. Each attempt
does only what the ones before it left.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from itertools import takewhile
from typing import NamedTuple

import dagster as dg

from retail_pipeline.defs.database import database_errors
from retail_pipeline.defs.jobs import JOB_OF, LANDING
from retail_pipeline.defs.resources import Pipeline
from retail_pipeline.ingest.listing import LandingError
from retail_pipeline.lake.partitions import LakeError
from retail_pipeline.planning.alerts import FailedWork
from retail_pipeline.planning.arrivals import FileSeen, source_of
from retail_pipeline.planning.calendar import month_of
from retail_pipeline.planning.manifests import fingerprint
from retail_pipeline.planning.pieces import (
    DAYS,
    MONTHS,
    REPORTS,
    SNAPSHOTS,
    Goal,
    Piece,
    made_from,
    next_pieces,
)
from retail_pipeline.planning.state import State

_AGAIN = "it is then tried again, or by `retail-pipeline run`"
# errors whose message says what to do; others are bugs and show their traceback
SAID_BY_THEMSELVES = {LakeError.__name__, LandingError.__name__}
PARTITION = "dagster/partition"
RANGE_START = "dagster/asset_partition_range_start"
RANGE_END = "dagster/asset_partition_range_end"
# the UI hides tags that begin with .dagster/, and shows the other two beside each run
WORK = ".dagster/retail_pipeline_work"
SHAPED_BY = ".dagster/retail_pipeline_settings"
PARTITIONS = "of"
ATTEMPT = "attempt"
INTERRUPTED = ".dagster/retail_pipeline_interrupted"
# some 24 hours, since after the eighth they come hourly
MOST_ATTEMPTS = 30
LONGEST_PAUSE = timedelta(hours=1)
MOST_INTERRUPTIONS = 30
MOST_IDLE_RUNS = 3
MOST_FILES = 500
# partitions to ask for in one tick; the next goes on from there
MOST = {DAYS: 366, MONTHS: 24, SNAPSHOTS: 60, REPORTS: 1}


@dataclass(frozen=True)
class Wanted:
    """A run over a range of partitions; ``made_from`` names all that it reads: other inputs, other work."""

    job: str
    first: str
    last: str
    made_from: object
    partitions: int
    assets: tuple[str, ...] = ()

    @property
    def work(self) -> str:
        """The work's identity, whatever the attempt."""
        return fingerprint(self.job, self.first, self.last, self.made_from, list(self.assets))

    def request(self, pipeline: Pipeline, attempt: int) -> dg.RunRequest:
        """The run; its key holds the attempt, since Dagster silently drops a key that it has seen."""
        of_attempt = {ATTEMPT: str(attempt)} if attempt > 1 else {}
        return dg.RunRequest(
            f"{self.work}-{pipeline.shaped_by}-{attempt}",
            job_name=self.job,
            tags={**_tags(pipeline, self.work), **range_tags(self.first, self.last), **of_attempt},
            asset_selection=[*map(pipeline.key, self.assets)] or None,
        )


@dataclass(frozen=True)
class Asked:
    """What became of a wish for runs: those to request now, and what failed so that people should know.

    ``is_unfinished``: some are under way, or failed by what may pass: what rests on them waits.
    """

    requests: list[dg.RunRequest] = field(default_factory=list)
    is_unfinished: bool = False
    failed: list[FailedWork] = field(default_factory=list)


def _tags(pipeline: Pipeline, work: str | list[str]) -> dict[str, str | list[str]]:
    return {**pipeline.tags, WORK: work, SHAPED_BY: pipeline.shaped_by}


def range_tags(first: str, last: str) -> dict[str, str]:
    """The tags that make a run cover a range of partitions, both ends included, and say so in the UI."""
    shown = dict.fromkeys(end.partition("@")[0] for end in (first, last))
    covered = {PARTITION: first} if first == last else {RANGE_START: first, RANGE_END: last}
    return {**covered, PARTITIONS: " … ".join(shown)}


def file_ranges(wanted: Sequence[str], known: Sequence[str]) -> list[tuple[str, str]]:
    """Keys of file partitions as ranges that are contiguous in the order in which Dagster knows them."""
    position = {key: index for index, key in enumerate(known)}
    found: list[tuple[str, str]] = []
    last_index = -2
    for key in sorted(wanted, key=position.__getitem__):
        if position[key] == last_index + 1:
            found[-1] = (found[-1][0], key)
        else:
            found.append((key, key))
        last_index = position[key]
    return found


# what is wanted


def ask_for_files(
    instance: dg.DagsterInstance,
    pipeline: Pipeline,
    state: State,
    waiting: Sequence[FileSeen],
    known: Sequence[str],
    now: datetime,
) -> Asked:
    """Runs that land the waiting files that are partitions; ``known`` are these in Dagster's order."""
    position = {key: index for index, key in enumerate(known)}
    by_key = {file.partition_key: file for file in waiting if file.partition_key in position}
    wanted = []
    for first, last in file_ranges(list(by_key), known):
        keys = known[position[first] : position[last] + 1]
        wanted.append(Wanted(LANDING, first, last, [_made_of(state, by_key[k]) for k in keys], len(keys)))
    return _ask(instance, pipeline, wanted, MOST_FILES, now)


def _made_of(state: State, file: FileSeen) -> object:
    """A file by where it lies, and, if it landed, whether its rows lie where they should."""
    stands = state.deliveries.counts(file.source_id), file.source_id in state.set_aside
    return [file.path, file.modified_ns, file.sha256, *(stands if file.source_id in state.landed else ())]


def forget_mended(instance: dg.DagsterInstance, pipeline: Pipeline, state: State) -> None:
    """Take away the partitions of files that could not be used and no longer wait.

    A better file came, somebody rejected them, or they are gone from landing; the UI would show them as
    failed for ever.
    """
    if mended := {*state.refused, *state.deliveries.held} - {*state.quarantined, *state.counting}:
        for key in instance.get_dynamic_partitions(pipeline.source_files):
            if source_of(key) in mended:
                instance.delete_dynamic_partition(pipeline.source_files, key)


def ask_for_days(
    instance: dg.DagsterInstance, pipeline: Pipeline, state: State, last: date, now: datetime
) -> Asked:
    """The next runs so that the lake is right through a day: of the first layer that needs any.

    Days, months, then snapshots, the newest first, with the last one's report. A layer waits for the one
    before it, but not for days whose input is bad.
    """
    asked, tried = Asked(), list[Piece]()
    while pieces := next_pieces(state, pipeline.recipe, Goal(last), tried):
        layer = pieces[0].layer
        wanted = [_wanted(pipeline, state, one) for piece in pieces for one in _cut(piece)]
        newest_first = sorted(wanted, key=lambda one: one.last, reverse=layer == SNAPSHOTS)
        of_layer = _ask(instance, pipeline, newest_first, MOST[layer], now)
        asked = Asked(
            of_layer.requests + asked.requests,
            of_layer.is_unfinished or asked.is_unfinished,
            asked.failed + of_layer.failed,
        )
        tried += pieces
        if layer == MONTHS or (layer == DAYS and (asked.requests or asked.is_unfinished)):
            break
    return asked


def _cut(piece: Piece) -> list[Piece]:
    """Days by the year and snapshots by the month; of months, each of which rests on the one before, some."""
    if piece.layer == MONTHS:
        return [replace(piece, last=piece.partitions[: MOST[MONTHS]][-1])]
    return piece.cut(month_of if piece.layer == SNAPSHOTS else lambda day: day.year)


def _wanted(pipeline: Pipeline, state: State, piece: Piece) -> Wanted:
    reads = made_from(state, pipeline.recipe, piece)
    suppression = pipeline.settings.suppression
    if piece.layer == SNAPSHOTS and suppression and suppression.path.exists():
        # the same objections delivered anew are other input: the lists ask how old they are
        reads.append(suppression.path.stat().st_mtime_ns)
    count = len(piece.partitions)
    return Wanted(JOB_OF[piece.layer], str(piece.first), str(piece.last), reads, count, piece.tables)


# what is requested


def _ask(
    instance: dg.DagsterInstance, pipeline: Pipeline, wanted: Sequence[Wanted], most: int, now: datetime
) -> Asked:
    """Runs for the wanted work, of at most so many partitions together, but for one larger piece alone.

    What is under way, pauses after a failure, was tried too often or failed by bad input is not requested.
    One query, whatever the number of pieces; a second for each piece whose last run failed.
    """
    earlier: dict[str, list[dg.RunRecord]] = {}  # newest first
    if works := sorted({one.work for one in wanted}):
        for record in instance.get_run_records(dg.RunsFilter(tags=_tags(pipeline, works))):
            earlier.setdefault(record.dagster_run.tags[WORK], []).append(record)
    requests, failed = list[dg.RunRequest](), list[FailedWork]()
    is_unfinished, partitions = False, 0
    for one in wanted:
        records = earlier.get(one.work, [])
        turn = _turn(instance, pipeline, one, records, now)
        is_unfinished |= turn.is_awaited
        if turn.says:
            named = f"{one.job} {one.first if one.first == one.last else f'{one.first} … {one.last}'}"
            run_id = records[0].dagster_run.run_id
            failed.append(FailedWork(one.work, named, turn.says, run_id, turn.pauses))
        if turn.is_now and (not requests or partitions + one.partitions <= most):
            requests.append(one.request(pipeline, len(records) + 1))
            partitions += one.partitions
    return Asked(requests, is_unfinished, failed)


class _Turn(NamedTuple):
    """Whether work is asked for now, whether what rests on it waits for it, and why it failed.

    ``pauses``: so many failures so far, and it is tried again by itself; 0: it is not.
    """

    is_now: bool
    is_awaited: bool = False
    says: str = ""
    pauses: int = 0


def _turn(
    instance: dg.DagsterInstance,
    pipeline: Pipeline,
    wanted: Wanted,
    records: Sequence[dg.RunRecord],
    now: datetime,
) -> _Turn:
    """What the runs of some work so far (newest first) and the time mean for it."""
    runs = [record.dagster_run for record in records]
    if not runs:
        return _Turn(True)
    if any(not run.is_finished for run in runs):
        return _Turn(False, is_awaited=True)
    if runs[0].is_success:
        why = _restless(instance, pipeline, wanted, runs)
        return _Turn(not why, says=why)
    is_bad_input, why = why_failed(instance, runs[0].run_id)
    why = " ".join(why.splitlines())
    if is_bad_input:
        return _Turn(False, says=why)
    failed = list(takewhile(lambda run: not run.is_success, runs))
    # Dagster copies tags to a run that repeats another
    interrupted = [run.tags.get(INTERRUPTED) == run.run_id for run in failed]
    attempts = interrupted.count(False)
    if attempts >= MOST_ATTEMPTS or interrupted.count(True) >= MOST_INTERRUPTIONS:
        return _Turn(False, is_awaited=True, says=why)
    if interrupted[0]:
        return _Turn(True, is_awaited=True)
    ended = datetime.fromtimestamp(records[0].end_time or records[0].update_timestamp.timestamp(), now.tzinfo)
    # at once after the first failure
    again = ended + min(timedelta(minutes=2 ** (attempts - 1) // 2), LONGEST_PAUSE)
    says = f"{why} (failures so far: {attempts}; next attempt at {again:%H:%M})"
    return _Turn(now >= again, is_awaited=True, says=says, pauses=attempts)


def _restless(
    instance: dg.DagsterInstance, pipeline: Pipeline, wanted: Wanted, runs: Sequence[dg.DagsterRun]
) -> str:
    """Said of work that succeeds and is still wanted, with no other run of its job in between.

    A lake that was taken away makes it so, and so would an error in the planner, which must not keep the
    machine busy for ever.
    """
    if len(runs) < MOST_IDLE_RUNS or not all(run.is_success for run in runs[:MOST_IDLE_RUNS]):
        return ""
    of_job = dg.RunsFilter(job_name=wanted.job, tags=pipeline.tags)
    newest = instance.get_runs(of_job, limit=MOST_IDLE_RUNS)
    if any(run.tags.get(WORK) != wanted.work for run in newest):
        return ""
    return f"it ran {MOST_IDLE_RUNS} times in a row without an error and is still due"


def why_failed(instance: dg.DagsterInstance, run_id: str) -> tuple[bool, str]:
    """Whether a failed run found its input bad, and what it said.

    What an unexpected error said stays in the run's log: it may quote a row.
    """
    entries = instance.all_logs(run_id, of_type=dg.DagsterEventType.STEP_FAILURE)
    events = [entry.dagster_event for entry in entries if entry.dagster_event]
    if said := next(filter(None, map(bad_input, events)), ""):
        return True, said
    run = instance.get_run_by_id(run_id)
    if run and run.tags.get(INTERRUPTED) == run_id:
        return False, "it was interrupted; the next run goes on from there"
    if not events:
        return False, "its process ended before it was done; its log says more"
    return False, said_by_itself(events[0]) or (
        f"it ended with {root_of(events[0])[0] or 'an error'}; its log says more"
    )


def said_by_itself(event: dg.DagsterEvent) -> str:
    """What an error said that tells people what to do; empty of another, which may quote a row."""
    kind, message = root_of(event)
    if kind in SAID_BY_THEMSELVES:
        return message.partition(": ")[2].strip()
    if kind in (one.__name__ for one in database_errors()):
        return f"Dagster's database did not answer: start it; {_AGAIN}"
    if "No space left on device" in message:
        return f"the disk is full: make room; {_AGAIN}"
    return ""


def bad_input(event: dg.DagsterEvent) -> str:
    """What a step said that found its input bad; empty when it failed otherwise."""
    failure = event.step_failure_data.user_failure_data
    return (failure and failure.description) or ""


def root_of(event: dg.DagsterEvent) -> tuple[str, str]:
    error = event.step_failure_data.error
    while error and error.cause:
        error = error.cause
    return (error.cls_name or "", error.message) if error else ("", "")

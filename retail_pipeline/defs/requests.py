"""From work to Dagster runs: partition ranges as tags, the attempt that a run is, and when to stop trying.

What a run failed by decides. A ``dagster.Failure`` is our own word that the input is bad: the same input is
not tried again. Anything else (a killed process, a full disk, a database that went away) may pass: the same
work is tried ``MOST_ATTEMPTS`` times in all. A run that went down together with what had launched it (a
restart, a power cut) says nothing of its work and is no attempt, within reason. Each attempt does only what
the ones before it left.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import takewhile

import dagster as dg

from retail_pipeline.defs.resources import Pipeline
from retail_pipeline.planning.manifests import fingerprint

PARTITION = "dagster/partition"
RANGE_START = "dagster/asset_partition_range_start"
RANGE_END = "dagster/asset_partition_range_end"
# the UI hides tags that begin with .dagster/, and shows the other two beside each run
WORK = ".dagster/retail_pipeline_work"
SHAPED_BY = ".dagster/retail_pipeline_settings"
PARTITIONS = "of"
ATTEMPT = "attempt"
INTERRUPTED = ".dagster/retail_pipeline_interrupted"
MOST_ATTEMPTS = 3
MOST_INTERRUPTIONS = 30


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

    @property
    def named(self) -> str:
        """The job and its range, for people."""
        return f"{self.job} {self.first if self.first == self.last else f'{self.first} … {self.last}'}"

    def request(self, pipeline: Pipeline, attempt: int) -> dg.RunRequest:
        """The run; its key holds the attempt, since Dagster silently drops a key that it has seen."""
        tags = {
            **pipeline.tags,
            **range_tags(self.first, self.last),
            WORK: self.work,
            SHAPED_BY: pipeline.shaped_by,
        }
        if attempt > 1:
            tags[ATTEMPT] = str(attempt)
        selection = [*map(pipeline.key, self.assets)] or None
        return dg.RunRequest(
            f"{self.work}-{pipeline.shaped_by}-{attempt}",
            job_name=self.job,
            tags=tags,
            asset_selection=selection,
        )


@dataclass(frozen=True)
class GivenUp:
    """Work that is not tried again as long as its inputs are these: its last run, and why."""

    wanted: Wanted
    run_id: str
    why: str


@dataclass(frozen=True)
class Asked:
    """What became of a wish for runs: those to request now, those under way, those given up."""

    requests: list[dg.RunRequest] = field(default_factory=list)
    under_way: list[Wanted] = field(default_factory=list)
    given_up: list[GivenUp] = field(default_factory=list)

    @property
    def settled(self) -> bool:
        """True when there is nothing to request or to wait for."""
        return not (self.requests or self.under_way)

    def then(self, later: Asked) -> Asked:
        """This and a later layer's, whose requests go before."""
        requests, under_way = later.requests + self.requests, later.under_way + self.under_way
        return Asked(requests, under_way, self.given_up + later.given_up)


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


def ask(instance: dg.DagsterInstance, pipeline: Pipeline, wanted: Sequence[Wanted], most: int) -> Asked:
    """Runs for the wanted work, of at most so many partitions together, but for one larger piece alone.

    What is under way, was tried too often or failed by bad input is not requested. One query, whatever the
    number of pieces; a second for each piece whose last run failed.
    """
    earlier = _earlier(instance, pipeline, [one.work for one in wanted])
    asked, partitions = Asked(), 0
    for one in wanted:
        runs = earlier.get(one.work, [])
        if any(not run.is_finished for run in runs):
            asked.under_way.append(one)
        elif why := _hopeless(instance, pipeline, one, runs):
            asked.given_up.append(GivenUp(one, runs[0].run_id, why))
        elif not asked.requests or partitions + one.partitions <= most:
            asked.requests.append(one.request(pipeline, len(runs) + 1))
            partitions += one.partitions
    return asked


def _earlier(
    instance: dg.DagsterInstance, pipeline: Pipeline, works: Iterable[str]
) -> dict[str, list[dg.DagsterRun]]:
    """The runs of each piece of work under these settings, newest first."""
    found: dict[str, list[dg.DagsterRun]] = {}
    if names := sorted(set(works)):
        tags = {**pipeline.tags, SHAPED_BY: pipeline.shaped_by, WORK: names}
        for run in instance.get_runs(dg.RunsFilter(tags=tags)):
            found.setdefault(run.tags[WORK], []).append(run)
    return found


def _hopeless(
    instance: dg.DagsterInstance, pipeline: Pipeline, wanted: Wanted, runs: Sequence[dg.DagsterRun]
) -> str:
    """Why work should not be tried again; empty when it should."""
    if not runs:
        return ""
    if runs[0].is_success:
        return _restless(instance, pipeline, wanted, runs)
    is_bad_input, why = why_failed(instance, runs[0].run_id)
    failed = list(takewhile(lambda run: not run.is_success, runs))
    # Dagster copies tags to a run that repeats another
    interrupted = sum(run.tags.get(INTERRUPTED) == run.run_id for run in failed)
    spent = len(failed) - interrupted >= MOST_ATTEMPTS or interrupted >= MOST_INTERRUPTIONS
    return " ".join(why.splitlines()) if is_bad_input or spent else ""


def _restless(
    instance: dg.DagsterInstance, pipeline: Pipeline, wanted: Wanted, runs: Sequence[dg.DagsterRun]
) -> str:
    """Said of work that succeeds and is still wanted, with no other run of its job in between.

    A lake that was taken away makes it so, and so would an error in the planner, which must not keep the
    machine busy for ever.
    """
    if len(runs) < MOST_ATTEMPTS or not all(run.is_success for run in runs[:MOST_ATTEMPTS]):
        return ""
    newest = instance.get_run_records(
        dg.RunsFilter(job_name=wanted.job, tags=pipeline.tags), limit=MOST_ATTEMPTS
    )
    if any(record.dagster_run.tags.get(WORK) != wanted.work for record in newest):
        return ""
    return f"it ran {MOST_ATTEMPTS} times in a row without an error and is still due"


def why_failed(instance: dg.DagsterInstance, run_id: str) -> tuple[bool, str]:
    """Whether a failed run found its input bad, and what it said.

    What an unexpected error said stays in the run's log: it may quote a row.
    """
    entries = instance.all_logs(run_id, of_type=dg.DagsterEventType.STEP_FAILURE)
    events = [entry.dagster_event for entry in entries if entry.dagster_event]
    if said := next(filter(None, map(bad_input, events)), ""):
        return True, said
    if not events:
        return False, "its process ended before it was done; its log says more"
    return False, f"it ended with {root_of(events[0])[0] or 'an error'}; its log says more"


def bad_input(event: dg.DagsterEvent) -> str:
    """What a step said that found its input bad; empty when it failed otherwise."""
    failure = event.step_failure_data.user_failure_data
    return (failure and failure.description) or ""


def root_of(event: dg.DagsterEvent) -> tuple[str, str]:
    """The class and the message of the error that began a step's failure."""
    error = event.step_failure_data.error
    while error and error.cause:
        error = error.cause
    return (error.cls_name or "", error.message) if error else ("", "")

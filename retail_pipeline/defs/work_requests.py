"""From the plan to the runs that are wanted: layer after layer, each piece named by all that it reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date

import dagster as dg

from retail_pipeline.defs.jobs import JOB_OF, LANDING
from retail_pipeline.defs.requests import Asked, Wanted, ask, file_ranges
from retail_pipeline.defs.resources import Pipeline
from retail_pipeline.planning.arrivals import FileSeen, source_of
from retail_pipeline.planning.calendar import month_of
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

MOST_FILES = 500
# partitions to ask for in one tick; the next goes on from there
MOST = {DAYS: 366, MONTHS: 24, SNAPSHOTS: 60, REPORTS: 1}


def ask_for_files(
    instance: dg.DagsterInstance,
    pipeline: Pipeline,
    state: State,
    files: Sequence[FileSeen],
    known: Sequence[str],
) -> Asked:
    """Runs that land files; ``known`` are the partitions in Dagster's order, these files among them."""
    by_key = {file.partition_key: file for file in files}
    position = {key: index for index, key in enumerate(known)}
    wanted = []
    for first, last in file_ranges(list(by_key), known):
        keys = known[position[first] : position[last] + 1]
        wanted.append(Wanted(LANDING, first, last, [_made_of(state, by_key[k]) for k in keys], len(keys)))
    return ask(instance, pipeline, wanted, MOST_FILES)


def forget_mended(instance: dg.DagsterInstance, pipeline: Pipeline, state: State) -> None:
    """Take away the partitions of files that could not be used and no longer wait.

    A better file came, somebody rejected them, or they are gone from landing; the UI would show them as
    failed for ever.
    """
    if mended := {*state.refused, *state.deliveries.held} - {*state.quarantined, *state.counting}:
        for key in instance.get_dynamic_partitions(pipeline.source_files):
            if source_of(key) in mended:
                instance.delete_dynamic_partition(pipeline.source_files, key)


def _made_of(state: State, file: FileSeen) -> object:
    """A file by where it lies, and, if it landed, whether its rows lie where they should."""
    stands = state.deliveries.counts(file.source_id), file.source_id in state.set_aside
    return [file.path, file.modified_ns, file.sha256, *(stands if file.source_id in state.landed else ())]


def ask_for_days(instance: dg.DagsterInstance, pipeline: Pipeline, state: State, last: date) -> Asked:
    """The next runs so that the lake is right through a day: of the first layer that needs any.

    Days, months, then snapshots, the newest first, with the last one's report. A layer waits for the one
    before it, but not for days that are given up because their input is bad.
    """
    asked, tried = Asked(), list[Piece]()
    while pieces := next_pieces(state, pipeline.recipe, Goal(last), tried):
        layer = pieces[0].layer
        wanted = [_wanted(pipeline, state, one) for piece in pieces for one in _cut(piece)]
        newest_first = sorted(wanted, key=lambda one: one.last, reverse=layer == SNAPSHOTS)
        asked = asked.then(ask(instance, pipeline, newest_first, MOST[layer]))
        tried += pieces
        if layer == MONTHS or (layer == DAYS and not asked.settled):
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

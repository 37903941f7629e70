"""From the plan to the runs that are wanted: layer after layer, each piece named by all that it reads."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta
from itertools import groupby

import dagster as dg

from retail_pipeline.defs.jobs import DAILY, LANDING, MODELS, REPORTS
from retail_pipeline.defs.requests import Asked, Wanted, ask, file_ranges
from retail_pipeline.defs.resources import Pipeline
from retail_pipeline.defs.schedules import DAILY_HOUR
from retail_pipeline.planning.arrivals import FileSeen, source_of
from retail_pipeline.planning.calendar import close_before, month_of
from retail_pipeline.planning.inputs import (
    earlier_invoices,
    features_inputs,
    model_source,
    report_inputs,
    transactions_inputs,
)
from retail_pipeline.planning.plan import day_ranges, plan, snapshot_ranges
from retail_pipeline.planning.state import State
from retail_pipeline.settings import Settings

# of one tick; the next goes on from there
MOST_FILES = 500
MOST_DAYS = 366
MOST_MONTHS = 24
MOST_SNAPSHOTS = 60
MOST_EMPTY_DAYS = 31


def last_day(settings: Settings, delivered: date | None, now: datetime) -> date:
    """The day to make last: the last delivered, or yesterday once its schedule should have made it.

    ``now`` is in the business time zone. A shop that has delivered nothing for a month is not followed.
    """
    yesterday = settings.yesterday(now.date())
    if delivered is None:
        return yesterday
    is_due = now.hour > DAILY_HOUR and yesterday == now.date() - timedelta(days=1)
    if is_due and yesterday - delivered <= timedelta(days=MOST_EMPTY_DAYS):
        return yesterday
    # a day that is not over has no partition yet
    return min(delivered, yesterday)


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
    recipe = pipeline.recipe
    work = plan(state, recipe, last)
    asked = ask(instance, pipeline, _days(pipeline, state, work.days), MOST_DAYS)
    if not asked.settled:
        return asked
    if asked.given_up:
        work = plan(state, recipe, last, given_up=work.days)
    if months := work.months[:MOST_MONTHS]:
        return ask(instance, pipeline, [_months(pipeline, state, months)], MOST_MONTHS).after(asked)
    snapshots = ask(instance, pipeline, _snapshots(pipeline, state, work.snapshots, last), MOST_SNAPSHOTS)
    if work.reports and last not in work.snapshots:
        made_from = report_inputs(state, recipe, last)
        report = ask(instance, pipeline, [Wanted(REPORTS, str(last), str(last), made_from, 1)], 1)
        snapshots = Asked(
            report.requests + snapshots.requests,
            report.under_way + snapshots.under_way,
            report.given_up + snapshots.given_up,
        )
    return snapshots.after(asked)


def _days(pipeline: Pipeline, state: State, days: Iterable[date]) -> list[Wanted]:
    """Stale days, a piece for each range within a year."""
    recipe = pipeline.recipe

    def made_from(day: date) -> object:
        summed = [recipe.customer_days, earlier_invoices(state, recipe, day), state.released.get(day)]
        return [transactions_inputs(state, recipe, day), *summed, *map(str, state.readiness.of(day))]

    return [
        Wanted(DAILY, str(first), str(last), [*map(made_from, span)], len(span), tables)
        for _, of_year in groupby((d for d in days if d >= recipe.first_day), key=lambda day: day.year)
        for first, last, tables in day_ranges(state, recipe, of_year)
        for span in [_each((first, last))]
    ]


def _months(pipeline: Pipeline, state: State, months: Sequence[str]) -> Wanted:
    """Months, in one piece: each rests on the one before it."""
    recipe = pipeline.recipe
    made_from: list[object] = [state.history_fingerprint(close_before(months[-1])), recipe.features]
    # a person's word makes it other work, which has attempts of its own
    made_from += [dict(recipe.segmentations), recipe.gates, recipe.late_data]
    made_from += [dict(state.model_decisions), dict(state.retrained)]
    return Wanted(MODELS, f"{months[0]}-01", f"{months[-1]}-01", made_from, len(months))


def _snapshots(pipeline: Pipeline, state: State, days: Iterable[date], last: date) -> list[Wanted]:
    """Stale snapshots, a piece for each range within a month, the newest first."""
    recipe = pipeline.recipe
    suppression = pipeline.settings.suppression
    # the same objections delivered anew are other input: the lists ask how old they are
    dated = suppression.path.stat().st_mtime_ns if suppression and suppression.path.exists() else 0
    shared = [dict(recipe.segmentations), dict(recipe.campaigns), state.suppression, dated]
    shared += [recipe.ids, recipe.max_customer_share]

    def made_from(day: date) -> object:
        model = state["segmentation_models"].get(model_source(state, recipe, day))
        before = state["segment_assignments"].get(close_before(month_of(day)), {})
        return [
            features_inputs(state, recipe, day),
            state.held_lately(day),
            model.content if model else "",
            {name: manifest.content for name, manifest in before.items()},
        ]

    found = []
    for _, of_month in groupby(sorted(days), key=month_of):
        for first, end, tables in snapshot_ranges(state, of_month, last):
            span = _each((first, end))
            made_of = [shared, [made_from(day) for day in span]]
            found.append(Wanted(DAILY, str(first), str(end), made_of, len(span), tuple(tables)))
    return sorted(found, key=lambda piece: piece.last, reverse=True)


def _each(span: tuple[date, date]) -> list[date]:
    return [span[0] + timedelta(days=n) for n in range((span[1] - span[0]).days + 1)]

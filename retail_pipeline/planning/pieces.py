"""The plan as pieces of work in order: what ``run`` and ``backfill`` carry out and the daemon asks for.

Days, months, snapshots, the report: a layer begins when the one before it is done, or was tried.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from itertools import groupby

from retail_pipeline.planning.calendar import close_before, every_day, month_of, ranges
from retail_pipeline.planning.inputs import earlier_invoices, inputs_of, model_source
from retail_pipeline.planning.manifests import content_of
from retail_pipeline.planning.plan import (
    DAY_TABLES,
    RANGE_TABLES,
    SNAPSHOT_TABLES,
    Work,
    is_current,
    plan,
    plan_range,
    stale_table,
    tables_of,
)
from retail_pipeline.planning.state import Recipe, State

DAYS, MONTHS, SNAPSHOTS, REPORTS = "days", "months", "snapshots", "reports"

# a shop that has delivered nothing for longer is a closed data set until it says otherwise
MOST_SILENT_DAYS = 31


def is_silent(delivered: date | None, yesterday: date) -> bool:
    """True when the last delivered day lies so far back that the shop is not followed to yesterday."""
    return delivered is not None and yesterday - delivered > timedelta(days=MOST_SILENT_DAYS)


def last_day(delivered: date | None, yesterday: date, is_due: bool) -> date:
    """The day to make last: the last delivered, or yesterday once it ``is_due`` though nothing came."""
    if delivered is None or (is_due and not is_silent(delivered, yesterday)):
        return yesterday
    # a day that is not over has no partition yet
    return min(delivered, yesterday)


@dataclass(frozen=True)
class Goal:
    """What is to be right: everything through ``last``, or a table on every day from ``first`` on.

    ``again``: the days of the range whether they are stale or not.
    """

    last: date
    first: date | None = None
    table: str = RANGE_TABLES[-1]
    again: bool = False

    def work(self, state: State, recipe: Recipe, given_up: Collection[date] = ()) -> Work:
        if self.first is None:
            return plan(state, recipe, self.last, given_up)
        return plan_range(state, recipe, self.first, self.last, self.table, self.again, given_up)


@dataclass(frozen=True)
class Piece:
    """One run: a layer's partitions from the first to the last, and the tables to make, or all of its job."""

    layer: str
    first: date
    last: date
    tables: tuple[str, ...] = ()

    @property
    def partitions(self) -> list[date]:
        """The days, or the first days of the months, that it makes."""
        return [day for day in every_day(self.first, self.last) if self.layer != MONTHS or day.day == 1]

    def cut(self, by: Callable[[date], object]) -> list[Piece]:
        """The piece in smaller ones, each of partitions that have the same in common."""
        spans = [list(span) for _, span in groupby(self.partitions, by)]
        return [replace(self, first=span[0], last=span[-1]) for span in spans]


def next_pieces(state: State, recipe: Recipe, goal: Goal, tried: Sequence[Piece] = ()) -> list[Piece]:
    """The pieces of the first layer that has any, in order; none when nothing is left but what was tried.

    Days are tried once each: an invoice of an earlier one may go on in them, which makes more of them stale.
    Other layers are tried once.
    """
    made = {day for piece in tried if piece.layer == DAYS for day in piece.partitions}
    done = {piece.layer for piece in tried}
    work = goal.work(state, recipe, made)
    # settings may leave days out whose rows have landed
    if days := [day for day in work.days if day >= recipe.first_day]:
        return list(_days(state, recipe, goal, days, goal.again and not made))
    if work.months and MONTHS not in done:
        first, last = (date.fromisoformat(f"{work.months[n]}-01") for n in (0, -1))
        return [Piece(MONTHS, first, last)]
    if work.snapshots and SNAPSHOTS not in done:
        return list(_snapshots(state, recipe, goal, work.snapshots))
    # without the day's segments there is nothing to report
    if work.reports and REPORTS not in done and goal.last not in work.snapshots:
        return [Piece(REPORTS, goal.last, goal.last)]
    return []


def _days(state: State, recipe: Recipe, goal: Goal, days: Iterable[date], again: bool) -> Iterator[Piece]:
    """Transactions that are right stay as they are, unless ``again``."""
    end = DAY_TABLES.index(goal.table) + 1 if goal.table in DAY_TABLES else len(DAY_TABLES)

    def tables(day: date) -> tuple[str, ...]:
        stale = (n for n, name in enumerate(DAY_TABLES[:end]) if not is_current(state, recipe, name, day))
        return DAY_TABLES[0 if again else next(stale, end - 1) : end]

    for of_them, same in groupby(sorted(days), tables):
        yield from (Piece(DAYS, *span, of_them) for span in ranges(same))


def _snapshots(state: State, recipe: Recipe, goal: Goal, days: Iterable[date]) -> Iterator[Piece]:
    """Of a range the tables from the first stale one on; else those that a day has, of the last all."""
    if goal.first is not None:
        end = SNAPSHOT_TABLES.index(goal.table) + 1
        for span in ranges(days):
            stale = (stale_table(state, recipe, day, goal.table) or goal.table for day in every_day(*span))
            start = 0 if goal.again else min(map(SNAPSHOT_TABLES.index, stale))
            yield Piece(SNAPSHOTS, *span, SNAPSHOT_TABLES[start:end])
        return
    by_tables: dict[tuple[str, ...], list[date]] = {}
    for day in days:
        tables = SNAPSHOT_TABLES if day == goal.last else tables_of(state, day)
        by_tables.setdefault(tables, []).append(day)
    for tables, of_them in by_tables.items():
        yield from (Piece(SNAPSHOTS, *span, tables) for span in ranges(of_them))


def made_from(state: State, recipe: Recipe, piece: Piece) -> list[object]:
    """All that a piece reads: when any of it is another, it is other work."""
    match piece.layer:
        case "days":
            return [_day_made_from(state, recipe, day) for day in piece.partitions]
        case "months":
            history = state.history_fingerprint(close_before(month_of(piece.last)))
            shaped = [recipe.features, dict(recipe.segmentations), recipe.gates, recipe.late_data]
            # a person's word makes it other work, too
            return [history, *shaped, dict(state.model_decisions), dict(state.retrained)]
        case "snapshots":
            shared = [dict(recipe.segmentations), dict(recipe.steadiness), dict(recipe.campaigns)]
            shared += [state.suppression, recipe.ids, recipe.max_customer_share]
            return [*shared, *(_snapshot_made_from(state, recipe, day) for day in piece.partitions)]
    return [inputs_of(state, recipe, "report", piece.last)]


def _day_made_from(state: State, recipe: Recipe, day: date) -> object:
    summed = [recipe.customer_days, earlier_invoices(state, recipe, day), state.released.get(day)]
    return [inputs_of(state, recipe, "transactions", day), *summed, *map(str, state.readiness.of(day))]


def _snapshot_made_from(state: State, recipe: Recipe, day: date) -> object:
    model = state["segmentation_models"].get(model_source(state, recipe, day))
    before = state["segment_assignments"].get(close_before(month_of(day)), {})
    return [
        inputs_of(state, recipe, "rfm_features", day),
        content_of(state["rfm_features"].get(close_before(month_of(day)))),
        state.held_lately(day),
        model.content if model else "",
        {name: manifest.content for name, manifest in before.items()},
    ]

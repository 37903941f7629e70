"""What must run: a comparison of what the lake holds with what it should hold.

Which partitions are missing or stale, because what they are made from (``inputs.py``) is not what it was.
``run``, ``status``, the sensors and the assets all ask here; there is no other place that decides.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from retail_pipeline.planning.arrivals import (
    FileSeen,
    Refusal,
    came_otherwise,
    in_landing,
    must_land_again,
    reading,
)
from retail_pipeline.planning.calendar import close_before, every_day, month_of, months_in_force
from retail_pipeline.planning.customer_checks import said
from retail_pipeline.planning.inputs import SAME_SNAPSHOT, candidates_are_current, inputs_of
from retail_pipeline.planning.manifests import Manifest
from retail_pipeline.planning.state import Recipe, State
from retail_pipeline.tables import TABLES

# tables of days that take code of their own; those that are their statement alone come after them
_OF_DAYS = sorted(
    (name for name, table in TABLES.items() if table.of_days and table.layer != "reports"),
    key=lambda name: TABLES[name].is_its_statement,
)
BY_STATEMENT = tuple(name for name in _OF_DAYS if TABLES[name].is_its_statement)
DAY_TABLES = tuple(name for name in _OF_DAYS if TABLES[name].partition_keys == ("date",))
SNAPSHOT_TABLES = tuple(name for name in _OF_DAYS if name not in DAY_TABLES)
RANGE_TABLES = (*DAY_TABLES, *SNAPSHOT_TABLES)
# what models rest on at a month close, and what later days look back to
MONTH_CLOSE_TABLES = ("rfm_features", "segment_assignments")


@dataclass(frozen=True)
class Work:
    """What must run, in this order.

    Land files, make days, train months, make snapshots (with their lists), make the report.
    """

    files: tuple[FileSeen, ...] = ()
    days: tuple[date, ...] = ()
    months: tuple[str, ...] = ()
    snapshots: tuple[date, ...] = ()
    reports: tuple[date, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.files or self.days or self.months or self.snapshots or self.reports)


def plan(state: State, recipe: Recipe, through: date, given_up: Collection[date] = ()) -> Work:
    """Everything that must run so that the lake is right through a day.

    That is: every new file landed, every day's tables from the first delivery on, the models of every month
    with the month closes they rest on, the snapshot, lists and report of ``through``, and the stale ones of
    the snapshots made before it that ``restate`` reaches back to. A partition must run when it is missing,
    when an input or its code is another, or when something it is made from must run; but which snapshots
    before ``through``, and which customer_days, planned days and months change, is known when these are made.
    Days that are ``given_up``, because their inputs are bad, stay as they are: the rest is made without them.
    """
    files = tuple(files_to_land(state, recipe))
    if state.first_day is None or through < state.first_day:
        return Work(files)
    days = _stale_days(state, recipe, every_day(state.first_day, through), given_up)
    months = _stale_months(state, recipe, through, days)
    redone = bool(days or months)
    snapshot = redone or not all(is_current(state, recipe, name, through) for name in SNAPSHOT_TABLES)
    report = recipe.report_each_run and (snapshot or not is_current(state, recipe, "report", through))
    first = date.min if recipe.restate is None else through - timedelta(days=recipe.restate)
    snapshots = (*stale_snapshots(state, recipe, first, through), *([through] if snapshot else []))
    return Work(files, days, months, snapshots, (through,) if report else ())


def plan_range(
    state: State,
    recipe: Recipe,
    first: date,
    last: date,
    table: str = RANGE_TABLES[-1],
    again: bool = False,
    given_up: Collection[date] = (),
) -> Work:
    """Everything that must run so that a table and those it is made from are right on every day of a range.

    ``table`` is one of ``RANGE_TABLES``. A snapshot rests on all days and on the models of all months up to
    its own, so these are part of it. ``again``: the range's days and snapshots whether they are stale or not,
    but no model that is right. Snapshots that planned days and months may change are counted as stale; plan
    again when these are made to know. Lists are not stale because people have objected since.
    """
    files = tuple(files_to_land(state, recipe))
    if state.first_day is None or last < state.first_day:
        return Work(files)
    wanted = every_day(max(first, state.first_day), last)
    is_snapshot = table in SNAPSHOT_TABLES
    if is_snapshot:
        stale = _stale_days(state, recipe, every_day(state.first_day, last), given_up)
    else:
        stale = _stale_for(state, recipe, wanted, table, given_up)
    days = tuple(sorted({*stale, *wanted} - set(given_up))) if again else stale
    if not is_snapshot:
        return Work(files, days)
    months = () if table == "rfm_features" else _stale_months(state, recipe, last, stale)
    snapshots: list[date] = []
    for day in wanted:
        redone = again or (stale and stale[0] <= day) or (months and months[0] <= month_of(day))
        if redone or stale_table(state, recipe, day, table, snapshots):
            snapshots.append(day)
    return Work(files, days, months, tuple(snapshots))


def stale_table(
    state: State, recipe: Recipe, day: date, table: str, redone: Collection[date] = ()
) -> str | None:
    """The first of a snapshot's tables, up to ``table``, that must be made again; None when all are right.

    ``redone`` are days whose snapshots will be.
    """
    for name in SNAPSHOT_TABLES[: SNAPSHOT_TABLES.index(table) + 1]:
        rests_on_redone = name == "segment_assignments" and close_before(month_of(day)) in redone
        if rests_on_redone or not is_current(state, recipe, name, day, objections=False):
            return name
    return None


def _stale_days(
    state: State, recipe: Recipe, days: Iterable[date], given_up: Collection[date]
) -> tuple[date, ...]:
    return tuple(day for day in days if day not in given_up and not _day_is_current(state, recipe, day))


def _stale_for(
    state: State, recipe: Recipe, wanted: Sequence[date], table: str, given_up: Collection[date]
) -> tuple[date, ...]:
    """The days whose tables up to a day's table must be made, with the days before a range that it reads."""

    def uncleaned(days: Iterable[date]) -> tuple[date, ...]:
        made = (day for day in days if state.first_day and day >= state.first_day and day not in given_up)
        return tuple(day for day in made if not is_current(state, recipe, DAY_TABLES[0], day))

    if table == DAY_TABLES[0]:
        return uncleaned(wanted)
    before = (wanted[0] - timedelta(days=n) for n in range(recipe.invoice_days, 0, -1))
    return (*uncleaned(before), *_stale_days(state, recipe, wanted, given_up))


def _stale_months(state: State, recipe: Recipe, through: date, days: Sequence[date]) -> tuple[str, ...]:
    """The months up to a day whose models must be made again when the given days, in order, are."""
    months: list[str] = []
    for month in months_in_force(state.first_day or through, through):
        close = close_before(month)
        redone = bool(months) or (days and days[0] <= close)
        if redone or not (
            all(is_current(state, recipe, name, close) for name in MONTH_CLOSE_TABLES)
            and (
                recipe.model_timing == SAME_SNAPSHOT
                or (
                    candidates_are_current(state, recipe, month)
                    and is_current(state, recipe, "segmentation_models", month)
                )
            )
        ):
            months.append(month)
    return tuple(months)


def stale_snapshots(state: State, recipe: Recipe, first: date, before: date) -> tuple[date, ...]:
    """The days from ``first`` to the one before ``before`` that have a snapshot of which something is stale.

    Looked at are the tables that a day has. The features and segments of month closes are left out: their
    month keeps them right. So is the suppression file: lists of days gone by are history.
    """
    if state.first_day is None or before <= state.first_day:
        return ()
    features, segments, lists = (state[name].keys() for name in (*MONTH_CLOSE_TABLES, "campaign_lists"))
    closes = {close_before(month) for month in months_in_force(state.first_day, before)} - lists
    made = features | segments | lists
    return tuple(
        day
        for day in sorted(made - closes)
        if max(first, state.first_day) <= day < before
        and stale_table(state, recipe, day, tables_of(state, day)[-1])
    )


def release_notes(state: State, day: date) -> dict[str, str]:
    """What there is to know of the lists of a day that were handed over, by campaign."""
    restated = state["restated_lists"].get(day, {})
    return {
        campaign: "released"
        + (f"; restated beside it: {difference(restated[campaign])}" if campaign in restated else "")
        for campaign in sorted(state.released_lists(day))
    }


def difference(restated: Manifest) -> str:
    """How a list that was handed over would differ today: ``+12 -3 changed 40``, in customers."""
    counts = restated.counts
    return f"+{counts['added']:,} -{counts['removed']:,} changed {counts['changed']:,}"


def tables_of(state: State, day: date) -> tuple[str, ...]:
    made = [n for n, name in enumerate(SNAPSHOT_TABLES) if day in state[name]]
    return SNAPSHOT_TABLES[: max(made, default=0) + 1]


def files_to_land(state: State, recipe: Recipe) -> list[FileSeen]:
    """The files in landing to read, and the landed ones whose rows must change their place; by path.

    Left alone are those that landed well, those refused under these profiles and all their names, and those
    somebody rejected.
    """
    refused, found = _refused(state, recipe), dict[str, FileSeen]()
    for source_id, file in lying(state, recipe).items():
        landed, refusal = state.landed.get(source_id), refused.get(source_id)
        if landed and not (
            must_land_again(landed, recipe.profiles, recipe.first_day, recipe.last_day)
            or came_otherwise(landed, file)
        ):
            continue
        if not (refusal and file.path in refusal.names) and not state.is_rejected(source_id):
            found[source_id] = file
    for source_id, manifest in state.landed.items():
        if state.deliveries.counts(source_id) == (source_id in state.set_aside) and source_id not in found:
            found[source_id] = landed_file(manifest)
    return sorted(found.values(), key=lambda file: file.path)


def lying(state: State, recipe: Recipe) -> dict[str, FileSeen]:
    """The contents in landing by source_id, each under the name under which it is read or tried next."""
    return in_landing(state.seen, state.landed, _refused(state, recipe), recipe.patterns)


def _refused(state: State, recipe: Recipe) -> dict[str, Refusal]:
    """The refusals that hold as long as these profiles do, but those of files that landed."""
    tried = reading(recipe.profiles)
    return {s: r for s, r in state.refused.items() if r.tried_with == tried and s not in state.landed}


def landed_file(manifest: Manifest) -> FileSeen:
    """A landed file as it lay in landing when it landed."""
    arrival = manifest.arrival
    return FileSeen(
        path=arrival.path,
        size_bytes=arrival.size_bytes,
        sha256=manifest.inputs["file"],
        modified_ns=arrival.modified_ns,
        second=manifest.inputs.get("second", ""),
    )


def is_current(
    state: State, recipe: Recipe, table: str, partition: date | str, objections: bool = True
) -> bool:
    """True when a table's partitions of a day or month are there and made from what there is now.

    Without ``objections`` lists need not know who has objected since.
    """
    if table == "campaign_lists" and isinstance(partition, date):
        return _lists_are_current(state, recipe, partition, objections)
    made = state[table].get(partition, {})
    named = made if isinstance(made, Mapping) else {"": made}
    wanted = {*recipe.segmentations} if TABLES[table].partition_keys[1:] else {""}
    return named.keys() == wanted and all(
        manifest.is_current(TABLES[table], inputs_of(state, recipe, table, partition, name))
        for name, manifest in named.items()
    )


def _day_is_current(state: State, recipe: Recipe, day: date) -> bool:
    if not is_current(state, recipe, DAY_TABLES[0], day):
        return False
    if state.is_held(day):
        return not any(day in state[name] for name in DAY_TABLES[1:])
    return all(is_current(state, recipe, name, day) for name in DAY_TABLES[1:])


def odd_ids(state: State, recipe: Recipe, day: date) -> dict[str, str]:
    """What is odd about the customer ids of a day's snapshot, in words by kind."""
    made = state["rfm_features"].get(day)
    return {} if made is None or recipe.ids == "ignore" else said(made.counts, recipe.max_customer_share)


def odd_ids_that_hold(state: State, recipe: Recipe, day: date) -> list[str]:
    """The same in words alone, if it is to hold back the day's lists."""
    return list(odd_ids(state, recipe, day).values()) if recipe.ids == "hold" else []


def _lists_are_current(state: State, recipe: Recipe, day: date, objections: bool) -> bool:
    holds = state.held_lately(day) or odd_ids_that_hold(state, recipe, day)
    wanted = frozenset[str]() if holds else frozenset(recipe.campaigns)
    released = state.released_lists(day)
    return (
        state["campaign_lists"].get(day, {}).keys() == wanted | released
        and state["restated_lists"].get(day, {}).keys() <= wanted & released
        and all(_list_is_current(state, recipe, day, name, objections) for name in wanted)
    )


def _list_is_current(state: State, recipe: Recipe, day: date, campaign: str, objections: bool) -> bool:
    table = TABLES["campaign_lists"]
    made: Manifest = state[table.name][day][campaign]
    if restated := state["restated_lists"].get(day, {}).get(campaign):
        # a released list stands for what it was made from; the one beside it stands for what there is now
        made, table = restated, TABLES["restated_lists"]
    inputs = inputs_of(state, recipe, table.name, day, campaign)
    if not objections:
        inputs["suppression"] = made.inputs["suppression"]
    return made.is_current(table, inputs)

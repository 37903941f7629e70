"""``retail-pipeline backfill``: makes any days again, or for the first time."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from retail_pipeline.cli.console import (
    DAY,
    DryRun,
    LakeFolder,
    Landing,
    SettingsFile,
    err,
    out,
    pipeline_of,
    print_failures,
    refuse,
)

if TYPE_CHECKING:
    from retail_pipeline.defs.resources import Pipeline
    from retail_pipeline.planning.plan import Work

DayOf = Annotated[datetime, typer.Argument(formats=DAY, show_default=False)]
TABLES_HELP = "Make up to these, comma-separated, with what they are made from. Default: campaign_lists."


def backfill(
    first: DayOf,
    last: DayOf,
    tables: Annotated[str | None, typer.Option(help=TABLES_HELP, show_default=False)] = None,
    again: Annotated[
        bool, typer.Option("--again", help="Make the days again though they are up to date.")
    ] = False,
    dry_run: DryRun = False,
    landing: Landing = None,
    lake: LakeFolder = None,
    settings: SettingsFile = None,
) -> None:
    """Make every day from FIRST to LAST, to its segments and campaign lists.

    Only what is missing or stale: after a failure or a crash, the same command does the rest.
    """
    from retail_pipeline.cli.status import progress
    from retail_pipeline.defs.instance import open_instance
    from retail_pipeline.defs.run_plan import carry_out, look
    from retail_pipeline.planning.pieces import Goal
    from retail_pipeline.planning.plan import RANGE_TABLES

    pipeline = pipeline_of(settings, landing=landing, lake=lake)
    begin, end = _span(pipeline, first.date(), last.date())
    goal = Goal(end, begin, table := _last_table(tables), again)
    if dry_run:
        _print_plan(pipeline, look(pipeline, goal), table)
        return
    with (
        progress(err, table) as (on_layer, on_made),
        open_instance(pipeline.settings) as instance,
    ):
        pipeline = replace(pipeline, on_made=on_made)
        failures = carry_out(
            pipeline,
            instance,
            lambda: goal,
            lambda goal: _print_plan(pipeline, look(pipeline, goal), table),
            on_layer,
            err.print,
        ).failures
    made = RANGE_TABLES[: RANGE_TABLES.index(table) + 1]
    held = _without_lists(pipeline, begin, end) if "campaign_lists" in made else []
    print_failures(failures)
    if held:
        out.print(
            f"[red]no lists[/red] on {len(held):,} days, {held[0]} to {held[-1]}: a day of their last 7 is "
            "held or not made; `retail-pipeline status` says why"
        )
    if not failures:
        out.print(f"up to date from {begin} to {end}")
    raise typer.Exit(1 if failures or held else 0)


def _span(pipeline: Pipeline, first: date, last: date) -> tuple[date, date]:
    settings = pipeline.settings
    end = settings.last_day or settings.yesterday(datetime.now(settings.zone).date())
    if first > last:
        refuse(f"{first} is after {last}: name the first day first")
    if first < settings.first_day or last > end:
        refuse(
            f"{first} to {last} is not within the partitions, {settings.first_day} to {end}: change "
            "first_day or last_day in the settings, or name other days"
        )
    return first, last


def _last_table(tables: str | None) -> str:
    from retail_pipeline.planning.plan import RANGE_TABLES

    named = tables.replace(" ", "").split(",") if tables else [RANGE_TABLES[-1]]
    if unknown := [name for name in named if name not in RANGE_TABLES]:
        refuse(f"{', '.join(unknown)} is no table of a day; the tables are {', '.join(RANGE_TABLES)}")
    return max(named, key=RANGE_TABLES.index)


def _print_plan(pipeline: Pipeline, work: Work, table: str) -> None:
    from retail_pipeline.lake.partitions import bytes_a_row
    from retail_pipeline.planning.costs import cost_of
    from retail_pipeline.planning.plan import RANGE_TABLES
    from retail_pipeline.planning.reconciliation import counted

    if not work:
        out.print("everything is up to date")
        return
    made = {"day": work.days, "month": work.months, "snapshot": work.snapshots}
    makes = ", ".join(counted(len(parts), what) for what, parts in made.items() if parts)
    said = [f"lands {counted(len(work.files), 'file')}"] if work.files else []
    said += [f"makes {makes}"] if makes else []
    state = pipeline.state()
    sizes = {name: bytes_a_row(pipeline.lake, state.partitions(name)) for name in RANGE_TABLES}
    known = {name: size for name, size in sizes.items() if size is not None}
    cost = cost_of(state, pipeline.recipe, work, table, known)
    unknown = "; and what the new files touch, known once they have landed" if work.files else ""
    out.print(f"{' and '.join(said)}: about {_duration(cost.seconds)}, {_size(cost.size_bytes)}{unknown}")


def _duration(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds >= 90 else f"{max(seconds, 1):.0f} s"


def _size(count: float) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{max(count / 1e6, 1):.0f} MB"


def _without_lists(pipeline: Pipeline, first: date, last: date) -> list[date]:
    from retail_pipeline.planning.calendar import every_day

    state = pipeline.state()
    begin = max(first, state.first_day or last)
    return [day for day in every_day(begin, last) if state.held_lately(day)]

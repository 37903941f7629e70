"""``retail-pipeline backfill``: makes any days again, or for the first time."""

from __future__ import annotations

from datetime import date, datetime
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from retail_pipeline.cli.console import (
    LakeFolder,
    Landing,
    SettingsFile,
    err,
    expected_errors,
    out,
    read_settings,
    refuse,
)

if TYPE_CHECKING:
    from retail_pipeline.defs.resources import Pipeline
    from retail_pipeline.planning.plan import Work

DayOf = Annotated[datetime, typer.Argument(formats=["%Y-%m-%d"], show_default=False)]


def backfill(
    first: DayOf,
    last: DayOf,
    tables: Annotated[
        str | None,
        typer.Option(
            help="Make up to these, comma-separated, with what they are made from. Default: campaign_lists.",
            show_default=False,
        ),
    ] = None,
    again: Annotated[
        bool, typer.Option("--again", help="Make the days again though they are up to date.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the plan and its cost; do nothing.")
    ] = False,
    landing: Landing = None,
    lake: LakeFolder = None,
    settings: SettingsFile = None,
) -> None:
    """Make every day from FIRST to LAST, to its segments and campaign lists.

    Only what is missing or stale: after a failure or a crash, the same command does the rest.
    """
    from retail_pipeline.cli.status import progress
    from retail_pipeline.defs.instance import open_instance
    from retail_pipeline.defs.resources import Pipeline
    from retail_pipeline.defs.run_plan import carry_out, look
    from retail_pipeline.planning.pieces import Goal
    from retail_pipeline.planning.plan import RANGE_TABLES

    with expected_errors():
        chosen = read_settings(settings, landing=landing, lake=lake)
        span = _span(Pipeline(chosen), first.date(), last.date())
        goal = Goal(span[1], span[0], table := _last_table(tables), again)
        if dry_run:
            _print_plan(Pipeline(chosen), look(Pipeline(chosen), goal), table)
            return
        with (
            progress(err, {"snapshots": table}) as (on_layer, on_made),
            open_instance(chosen) as instance,
        ):
            pipeline = Pipeline(chosen, on_made)
            outcome = carry_out(
                pipeline,
                instance,
                lambda: goal,
                lambda goal: _print_plan(pipeline, look(pipeline, goal), table),
                on_layer,
                err.print,
            )
        made = RANGE_TABLES[: RANGE_TABLES.index(table) + 1]
        held = _without_lists(pipeline, *span) if "campaign_lists" in made else []
    for failure in outcome.failures:
        err.print(f"[red]failed[/red] {escape(failure)}")
    if held:
        out.print(
            f"[red]no lists[/red] on {len(held):,} days, {held[0]} to {held[-1]}: a day of their last 7 is "
            "held or not made; `retail-pipeline status` says why"
        )
    if not outcome.failures:
        out.print(f"up to date from {span[0]} to {span[1]}")
    raise typer.Exit(1 if outcome.failures or held else 0)


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

    if not work:
        out.print("everything is up to date")
        return
    parts = {
        "lands": [(len(work.files), "file")],
        "makes": [
            (len(work.days), "day"),
            (len(work.months), "month"),
            (len(work.snapshots), "snapshot"),
        ],
    }
    said = [
        f"{verb} " + ", ".join(f"{n:,} {what}{'s' if n > 1 else ''}" for n, what in counts if n)
        for verb, counts in parts.items()
        if any(n for n, _ in counts)
    ]
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

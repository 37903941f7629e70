"""The ``campaigns`` commands: the lists of a day, and a person's word that they were handed over."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table as Grid

from retail_pipeline.cli.console import (
    Json,
    LakeFolder,
    SettingsFile,
    err,
    expected_errors,
    out,
    print_json,
    read_settings,
    refuse,
)

if TYPE_CHECKING:
    from datetime import date

    from retail_pipeline.defs.resources import Pipeline
    from retail_pipeline.planning.state import State

app = typer.Typer(
    no_args_is_help=True, help="Look at a day's campaign lists; say that they are handed over and must stay."
)


@app.command("list")
def list_lists(
    day: Annotated[
        datetime | None,
        typer.Argument(formats=["%Y-%m-%d"], help="The day. Default: the last with lists."),
    ] = None,
    json: Json = False,
    lake: LakeFolder = None,
    settings: SettingsFile = None,
) -> None:
    """A line a list: how many customers, handed over by whom, and what it would be today."""
    from retail_pipeline.lake.records import records
    from retail_pipeline.planning.decisions import ListRelease
    from retail_pipeline.planning.plan import release_notes

    with expected_errors():
        pipeline = _pipeline(settings, lake)
        state = pipeline.state()
        wanted = (
            day.date()
            if day
            else max((d for d, lists in state["campaign_lists"].items() if lists), default=None)
        )
        if wanted is None:
            refuse("no lists are made yet: `retail-pipeline run` first")
        _refuse_without_lists(state, wanted)
        said = {(r.day, r.campaign): f" by {r.by}: {r.why}" for r in records(pipeline.lake, ListRelease)}
    notes = release_notes(state, wanted)
    restated_lists = sorted(state["restated_lists"].get(wanted, {}).items())
    if json:
        print_json(
            {
                "day": str(wanted),
                "lists": [
                    {
                        "campaign": name,
                        "customers": made.rows,
                        "control": made.counts["control"],
                        "note": notes.get(name, ""),
                        "file": str(pipeline.lake.data("campaign_lists", made.partition)),
                    }
                    for name, made in sorted(state["campaign_lists"][wanted].items())
                ],
                "restated": {
                    name: str(pipeline.lake.data("restated_lists", made.partition))
                    for name, made in restated_lists
                },
            }
        )
        return
    grid = Grid("list", "customers", "control", "", title=f"lists of {wanted}")
    for name, made in sorted(state["campaign_lists"][wanted].items()):
        head, _, beside = notes.get(name, "").partition("; ")
        who = said.get((wanted, name), " by a marker file") if head else ""
        note = f"{head}{who}" + (f"\n{beside}" if beside else "")
        grid.add_row(escape(name), f"{made.rows:,}", f"{made.counts['control']:,}", escape(note))
    out.print(grid)
    for name, restated in restated_lists:
        out.print(f"{name} now: {pipeline.lake.data('restated_lists', restated.partition)}", markup=False)


@app.command()
def release(
    day: Annotated[datetime, typer.Argument(formats=["%Y-%m-%d"], help="The day of the lists.")],
    campaigns: Annotated[
        list[str] | None, typer.Argument(help="The lists. Default: all of the day.", show_default=False)
    ] = None,
    *,
    why: Annotated[str, typer.Option(help="To whom they went, for what; kept with the lake.")],
    by: Annotated[str, typer.Option(envvar="USER", help="Who hands them over.")] = "unknown",
    lake: LakeFolder = None,
    settings: SettingsFile = None,
) -> None:
    """Say that lists went to a campaign: they stay as they are; what they would be later goes beside them."""
    from retail_pipeline.lake.lock import writing
    from retail_pipeline.lake.records import record
    from retail_pipeline.planning.decisions import ListRelease

    with expected_errors():
        pipeline = _pipeline(settings, lake)
        wanted = day.date()
        with writing(pipeline.lake, err.print):
            state = pipeline.state()
            _refuse_without_lists(state, wanted)
            lists = state["campaign_lists"][wanted]
            for name in campaigns or ():
                if name not in lists:
                    refuse(f"{wanted} has no list {name}; its lists are {', '.join(sorted(lists))}")
            chosen = sorted(set(campaigns or lists) - state.released_lists(wanted))
            for name in chosen:
                content = lists[name].content
                record(pipeline.lake, ListRelease(day=wanted, campaign=name, content=content, why=why, by=by))
    if not chosen:
        out.print(f"the lists of {wanted} were released before")
        return
    out.print(f"released of {wanted}: {', '.join(chosen)}; from now on they stay as they are", markup=False)


def _pipeline(settings: SettingsFile, lake: LakeFolder) -> Pipeline:
    from retail_pipeline.defs.resources import Pipeline

    return Pipeline(read_settings(settings, lake=lake))


def _refuse_without_lists(state: State, day: date) -> None:
    if not state["campaign_lists"].get(day):
        made = sorted(d for d, lists in state["campaign_lists"].items() if lists)
        known = f"the days with lists go from {made[0]} to {made[-1]}" if made else "no day has any yet"
        refuse(f"{day} has no lists; {known}")

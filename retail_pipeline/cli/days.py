"""``retail-pipeline days``: the days delivered, those that a check holds, what a person decides of them."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table as Grid

from retail_pipeline.cli.console import (
    DAY,
    By,
    Json,
    LakeFolder,
    SettingsFile,
    err,
    out,
    pipeline_of,
    print_json,
    refuse,
)

app = typer.Typer(help="Look at the days, decide about those that a check holds.", no_args_is_help=True)


@app.command("list")
def list_days(
    everything: Annotated[
        bool, typer.Option("--all", help="Every day that was delivered, not only those held or released.")
    ] = False,
    json: Json = False,
    lake: LakeFolder = None,
    settings: SettingsFile = None,
) -> None:
    """A line a day that is held, waits or was released: its rows, and why. Code 1 when one is held."""
    state = pipeline_of(settings, lake=lake).state()
    found = []
    for day, delivered in sorted(state.raw.items()):
        made = state["transactions"].get(day)
        raw = sum(manifest.parts[day].rows for manifest in delivered.values())
        what, why = "used", ""
        if made is None:
            what = "not made"
        elif state.is_held(day):
            what, why = "waits" if state.is_awaited(day) else "held", state.why_held(day)
        elif state.is_released(day):
            what = "released"
        if everything or what != "used":
            rows = {"delivered": raw, "transactions": made.rows if made else None}
            found.append({"day": str(day), "is": what, **rows, "why": why})
    if json:
        print_json(found)
    elif found:
        grid = Grid("day", "is", "delivered", "transactions", "why")
        for one in found:
            counts = ("" if one[n] is None else f"{one[n]:,}" for n in ("delivered", "transactions"))
            grid.add_row(str(one["day"]), str(one["is"]), *counts, escape(str(one["why"])))
        out.print(grid)
    else:
        out.print("no day is held, waits or was released")
    raise typer.Exit(1 if any(one["is"] == "held" for one in found) else 0)


@app.command()
def release(
    day: Annotated[datetime, typer.Argument(formats=DAY, help="The held day.")],
    why: Annotated[str, typer.Option(help="Why its rows may be used all the same; kept with the lake.")],
    by: By = "unknown",
    lake: LakeFolder = None,
    settings: SettingsFile = None,
) -> None:
    """Use a held day's rows all the same. The decision holds for these rows; other rows are checked anew."""
    from retail_pipeline.lake.lock import writing
    from retail_pipeline.lake.records import record
    from retail_pipeline.planning.decisions import DayRelease

    pipeline, wanted = pipeline_of(settings, lake=lake), day.date()
    with writing(pipeline.lake, err.print):
        state = pipeline.state()
        if not state.is_held(wanted):
            held = ", ".join(map(str, state.held_days(date.min, date.max))) or "none"
            refuse(f"{wanted} is not held; held days: {held}")
        content = state["transactions"][wanted].content
        path = record(pipeline.lake, DayRelease(day=wanted, content=content, why=why, by=by))
    out.print(f"{wanted} is released ({path}); `retail-pipeline run` now makes what waited for it")

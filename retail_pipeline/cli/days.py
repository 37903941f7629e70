"""``retail-pipeline days``: days that a check holds, and what a person decides about them."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated

import typer

from retail_pipeline.cli.console import DAY, By, LakeFolder, SettingsFile, err, out, pipeline_of, refuse

app = typer.Typer(help="Decide about days that a check holds.", no_args_is_help=True)


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

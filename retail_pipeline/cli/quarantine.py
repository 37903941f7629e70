"""``retail-pipeline quarantine``: the files that wait for a person, and what the person decides."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table as Grid

from retail_pipeline.cli.console import (
    By,
    Json,
    LakeFolder,
    Landing,
    SettingsFile,
    err,
    out,
    pipeline_of,
    print_json,
    refuse,
)

if TYPE_CHECKING:
    from retail_pipeline.defs.resources import Pipeline
    from retail_pipeline.planning.state import State

app = typer.Typer(help="Decide about files that could not be used.", no_args_is_help=True)
MOST_ROWS = 20
DONE = {"accept": "accepted", "replace": "takes the place of what it repeats", "reject": "rejected"}

File = Annotated[str, typer.Argument(help="The file: its path in landing, or the beginning of its id.")]
Files = Annotated[list[str], typer.Argument(help="The files: paths in landing, or beginnings of ids.")]
Why = Annotated[str, typer.Option(help="Why; kept with the lake.")]


@app.command("list")
def list_waiting(
    landing: Landing = None, lake: LakeFolder = None, json: Json = False, settings: SettingsFile = None
) -> None:
    """List the files that wait, and why."""
    state = _state(pipeline_of(settings, landing=landing, lake=lake))
    if json:
        print_json([{"id": s, "file": _path(state, s), "why": why} for s, why in state.quarantined.items()])
        return
    if not state.quarantined:
        out.print("no file is in quarantine")
        return
    grid = Grid("id", "file", "why")
    for source_id, why in state.quarantined.items():
        grid.add_row(source_id, escape(_path(state, source_id)), escape(why))
    out.print(grid)


@app.command()
def show(file: File, landing: Landing = None, lake: LakeFolder = None, settings: SettingsFile = None) -> None:
    """Show what is known of a file that waits: its rows, what is wrong with them, what can be done."""
    pipeline = pipeline_of(settings, landing=landing, lake=lake)
    state = _state(pipeline)
    source_id = _find(state, file, state.quarantined)
    out.print(f"{escape(_path(state, source_id))} ({source_id})")
    out.print(f"why: {escape(state.quarantined[source_id])}")
    if source_id in state.refused:
        out.print(
            "nothing of it was taken. Mend the file and deliver it again under its name, or mend the "
            "profile (`retail-pipeline sources try` helps); "
            f"`retail-pipeline quarantine retry {source_id}` tries it as it is"
        )
        return
    landed = state.landed[source_id]
    unreadable = landed.counts["unreadable"]
    out.print(f"rows: {landed.counts['rows_read']:,} read, {unreadable:,} of them unreadable")
    for row in _unreadable(pipeline, source_id) if unreadable else ():
        out.print(f"  row {row['source_row']}: {escape('; '.join(row['reasons']))}")
    for other, overlap in landed.arrival.overlaps.items():
        name = escape(_path(state, other))
        out.print(f"shares {overlap.lines:,} of {overlap.of:,} lines with {name} ({other})")
    out.print(
        f"`retail-pipeline quarantine accept {source_id} --why …` lets its readable rows count, beside those "
        "of other files; `replace` lets them take the place of those that it repeats; `reject` leaves "
        f"{'the days that wait' if state.waiting_days(source_id) else 'it'} out; a better file under the "
        "same name takes its place"
    )


@app.command()
def accept(
    files: Files,
    why: Why,
    by: By = "unknown",
    landing: Landing = None,
    lake: LakeFolder = None,
    settings: SettingsFile = None,
) -> None:
    """Let the readable rows of files count, whatever stands against them, beside those of other files."""
    _decide(pipeline_of(settings, landing=landing, lake=lake), files, "accept", why, by)


@app.command()
def replace(
    files: Files,
    why: Why,
    by: By = "unknown",
    landing: Landing = None,
    lake: LakeFolder = None,
    settings: SettingsFile = None,
) -> None:
    """Let files count, and on the days on which they repeat other files take the place of those."""
    _decide(pipeline_of(settings, landing=landing, lake=lake), files, "replace", why, by)


@app.command()
def reject(
    files: Files,
    why: Why,
    by: By = "unknown",
    whole: Annotated[bool, typer.Option("--whole", help="Leave out the days that do not wait, too.")] = False,
    landing: Landing = None,
    lake: LakeFolder = None,
    settings: SettingsFile = None,
) -> None:
    """Leave files out for good, in quarantine or not; of a file of which only days wait, these days."""
    _decide(pipeline_of(settings, landing=landing, lake=lake), files, "reject", why, by, whole)


@app.command()
def retry(
    files: Files, landing: Landing = None, lake: LakeFolder = None, settings: SettingsFile = None
) -> None:
    """Take back what was said of files; the next run reads again those that could not be read."""
    from retail_pipeline.lake.lock import writing
    from retail_pipeline.lake.records import forget
    from retail_pipeline.planning.arrivals import Refusal
    from retail_pipeline.planning.decisions import FileDecision

    pipeline = pipeline_of(settings, landing=landing, lake=lake)
    with writing(pipeline.lake, err.print):
        state = _state(pipeline)
        for source_id in [_find(state, file, _decidable(state)) for file in files]:
            for kind in (Refusal, FileDecision):
                forget(pipeline.lake, kind, source_id)
            out.print(f"{escape(_path(state, source_id))}: the next `retail-pipeline run` looks at it anew")


def _decide(
    pipeline: Pipeline, files: list[str], verdict: str, why: str, by: str, whole: bool = False
) -> None:
    from retail_pipeline.lake.lock import writing
    from retail_pipeline.lake.records import record
    from retail_pipeline.planning.decisions import FileDecision

    with writing(pipeline.lake, err.print):
        state = _state(pipeline)
        among = _decidable(state) | (state.counting.keys() if verdict == "reject" else set())
        chosen = {source_id: _path(state, source_id) for source_id in (_find(state, f, among) for f in files)}
        for source_id, path in chosen.items():
            if verdict != "reject" and source_id not in state.landed:
                refuse(
                    f"{path} has no row that could be read ({state.refused[source_id].reason}): "
                    "mend it and deliver it again, or `reject` it"
                )
        for source_id, path in chosen.items():
            days = state.waiting_days(source_id) if verdict == "reject" and not whole else ()
            said = {"source_id": source_id, "verdict": verdict, "days": days, "why": why, "by": by}
            written = record(pipeline.lake, FileDecision.model_validate(said))
            of_days = f" for {len(days):,} days, its others count (`--whole`: all of it)" if days else ""
            done = f"{DONE[verdict]}{of_days} ({written}); `retail-pipeline run` does the rest"
            out.print(f"{escape(path)}: {done}")
            held = state.deliveries.held.get(source_id)
            if verdict == "accept" and held and held.lines:
                out.print(
                    f"  {held.lines:,} lines then count twice, from this file and from another; "
                    f"`retail-pipeline quarantine replace {source_id} --why …` lets this one count alone"
                )


def _state(pipeline: Pipeline) -> State:
    return pipeline.state(tuple(pipeline.listing().files))


def _path(state: State, source_id: str) -> str:
    landed = state.landed.get(source_id)
    return landed.arrival.path if landed else state.refused[source_id].path


def _decidable(state: State) -> set[str]:
    decided = {s for s in state.file_decisions if s in state.landed or s in state.refused}
    return decided | state.quarantined.keys()


def _find(state: State, name: str, among: Collection[str]) -> str:
    """The source_id of the one file among these of that path, or whose id begins so."""
    found = sorted(s for s in among if _path(state, s) == name or s.startswith(name))
    if len(found) > 1:
        refuse(f"{name} is the name of {len(found)} files: {', '.join(found)}; use the id")
    if not found:
        shown = ", ".join(_path(state, s) for s in sorted(among)[:10]) or "none"
        refuse(f"{name} is not in quarantine; files there: {shown}")
    return found[0]


def _unreadable(pipeline: Pipeline, source_id: str) -> list[dict[str, Any]]:
    from retail_pipeline.lake.partitions import read_partition
    from retail_pipeline.lake.set_aside import home_of
    from retail_pipeline.tables import TABLES

    table, keys = TABLES["unreadable_rows"], {"file": source_id}
    rows = read_partition(home_of(pipeline.lake, table.name, keys), table, keys).slice(0, MOST_ROWS)
    return list(rows.to_pylist())

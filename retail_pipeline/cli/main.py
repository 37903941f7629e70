"""The ``retail-pipeline`` command.

Exit codes: 0 all is well, 1 something failed or waits for a person, 2 the call or a setting is wrong, 130
somebody interrupted it.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import date, datetime
from importlib import metadata
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from retail_pipeline.cli.alerts import app as alerts
from retail_pipeline.cli.alerts import lake_app
from retail_pipeline.cli.backfill import backfill
from retail_pipeline.cli.campaigns import app as campaigns
from retail_pipeline.cli.console import (
    DAY,
    Command,
    DryRun,
    Json,
    LakeFolder,
    Landing,
    SettingsFile,
    Through,
    err,
    out,
    pipeline_of,
    print_failures,
    print_json,
    read_settings,
    refuse,
)
from retail_pipeline.cli.days import app as days
from retail_pipeline.cli.models import app as models
from retail_pipeline.cli.quarantine import app as quarantine
from retail_pipeline.cli.settings import app as settings_app
from retail_pipeline.cli.settings import init
from retail_pipeline.cli.sources import app as sources
from retail_pipeline.datasets.commands import app as datasets

if TYPE_CHECKING:
    from retail_pipeline.defs.resources import Pipeline

app = typer.Typer(
    name="retail-pipeline",
    help="A shop's transaction files in; history, RFM features, segments and campaign lists out.",
    cls=Command,
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(backfill)
app.command()(init)
for name, nouns in {
    "datasets": datasets,
    "days": days,
    "alerts": alerts,
    "lake": lake_app,
    "model": models,
    "campaigns": campaigns,
    "quarantine": quarantine,
    "sources": sources,
    "settings": settings_app,
}.items():
    app.add_typer(nouns, name=name)


INTERRUPTED = 130


def _say_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"retail-pipeline {metadata.version('retail-pipeline')}")
        raise typer.Exit


@app.callback()
def _common(
    version: Annotated[
        bool, typer.Option("--version", callback=_say_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None: ...


def main() -> None:
    # which comes before the sentence that says the same
    logging.getLogger().addFilter(
        lambda record: not record.getMessage().startswith("Retrying failed database")
    )
    try:
        app()
    except SystemExit as end:  # which Typer makes of Ctrl-C
        if end.code == INTERRUPTED:
            err.print("[yellow]interrupted[/yellow]: nothing is left half-written; call it again to go on")
        raise


@app.command()
def run(
    landing: Landing = None,
    lake: LakeFolder = None,
    through: Through = None,
    dry_run: DryRun = False,
    settings: SettingsFile = None,
) -> None:
    """Land what is new and bring everything up to date, to the last day's segments and campaign lists.

    All of it are Dagster runs on the instance that the UI shows. Run it as often as you like: what is up to
    date is left alone.
    """
    from retail_pipeline.cli.status import print_plan, print_summary, progress
    from retail_pipeline.defs.instance import open_instance
    from retail_pipeline.defs.run_plan import bring_up_to_date
    from retail_pipeline.ingest.listing import list_settled
    from retail_pipeline.planning.costs import cost_of
    from retail_pipeline.planning.plan import plan

    pipeline = pipeline_of(settings, landing=landing, lake=lake)
    if dry_run:
        list_settled(pipeline.settings.landing, pipeline.settings.arrival, pipeline.lake, err.print)
        state = pipeline.state(tuple(pipeline.listing().files))
        work = plan(state, pipeline.recipe, _last_day(pipeline, through))
        print_plan(out, work, cost_of(state, pipeline.recipe, work))
        return
    with progress(err) as (on_layer, on_made), open_instance(pipeline.settings) as instance:
        pipeline = replace(pipeline, on_made=on_made)
        outcome = bring_up_to_date(
            pipeline, instance, lambda: _last_day(pipeline, through), on_layer, err.print
        )
    blocked = print_summary(out, pipeline, _last_day(pipeline, through), not outcome.runs, outcome.days)
    print_failures(outcome.failures)
    raise typer.Exit(1 if outcome.failures or blocked else 0)


@app.command()
def report(
    day: Annotated[
        datetime | None, typer.Argument(formats=DAY, help="The day. Default: the last with segments.")
    ] = None,
    lake: LakeFolder = None,
    settings: SettingsFile = None,
) -> None:
    """Make a day's report (`run` makes the last day's): one HTML page, from disk or as an attachment."""
    from retail_pipeline.defs.instance import open_instance
    from retail_pipeline.defs.run_plan import make_report
    from retail_pipeline.tables import TABLES

    pipeline = pipeline_of(settings, lake=lake)
    made = sorted(pipeline.state()["segment_assignments"])
    wanted = day.date() if day else max(made, default=pipeline.settings.first_day)
    if wanted not in made:
        refuse(f"{wanted} has no segments yet: `retail-pipeline run --through {wanted}` makes them")
    with open_instance(pipeline.settings) as instance:
        failures = make_report(pipeline, instance, wanted, err.print)
    print_failures(failures)
    if not failures:
        folder = pipeline.lake.partition("report", {"snapshot_date": str(wanted)})
        out.print(str(folder / TABLES["report"].file))
    raise typer.Exit(1 if failures else 0)


@app.command()
def status(
    landing: Landing = None,
    lake: LakeFolder = None,
    through: Through = None,
    everything: Annotated[bool, typer.Option("--all", help="Print every line, however many.")] = False,
    json: Json = False,
    settings: SettingsFile = None,
) -> None:
    """Say what there is, what is stale, what failed and why. Code 1 when anything is amiss."""
    from retail_pipeline.cli.status import damaged_lines, print_status, status_as_json, status_of
    from retail_pipeline.defs.instance import open_instance
    from retail_pipeline.lake.partitions import LakeError

    pipeline = pipeline_of(settings, landing=landing, lake=lake)
    damaged = damaged_lines(pipeline)
    try:
        with open_instance(pipeline.settings) as instance:
            found = status_of(pipeline, instance, lambda: _last_day(pipeline, through), damaged)
    except LakeError:
        # the first manifest that is none ends it, and all that are stand here
        for line in damaged:
            out.print(line)
        raise
    if json:
        print_json(status_as_json(found))
    else:
        print_status(out, pipeline, found, everything)
    raise typer.Exit(0 if found.is_well else 1)


@app.command()
def check(
    landing: Landing = None, lake: LakeFolder = None, json: Json = False, settings: SettingsFile = None
) -> None:
    """Examine settings, folders and every partition of the lake: what is wrong and what to do."""
    from retail_pipeline.cli.check import problems

    found = list(problems(read_settings(settings, landing=landing, lake=lake)))
    if json:
        print_json(found)
        raise typer.Exit(1 if found else 0)
    for problem in found:
        out.print(f"[red]✗[/red] {escape(problem)}")
    if not found:
        out.print("[green]✓[/green] settings, folders and every partition of the lake are sound")
    raise typer.Exit(1 if found else 0)


@app.command()
def explain(
    customer: Annotated[str, typer.Argument(help="The customer's id.")],
    day: Annotated[datetime, typer.Argument(formats=DAY, help="A day whose snapshot is made.")],
    json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
    lake: LakeFolder = None,
    settings: SettingsFile = None,
) -> None:
    """Say what is known of one customer as of a day: features and what is behind them, segments, lists."""
    from retail_pipeline.cli.explain import ExplainError, as_json
    from retail_pipeline.cli.explain import explain as look_up
    from retail_pipeline.cli.explanation import print_explanation

    try:
        found = look_up(read_settings(settings, lake=lake), customer, day.date())
    except ExplainError as error:
        refuse(str(error))
    if json:
        typer.echo(as_json(found))
    else:
        print_explanation(out, found)


def _last_day(pipeline: Pipeline, through: datetime | None) -> date:
    """The day to make last: as asked, else yesterday if deliveries reach that far."""
    from retail_pipeline.planning.pieces import is_silent

    settings = pipeline.settings
    if through:
        day = through.date()
        if day < settings.first_day or (settings.last_day and day > settings.last_day):
            refuse(
                f"--through {day} is outside the partitions, {settings.first_day} to "
                f"{settings.last_day or 'now'}: change first_day or last_day in the settings"
            )
        return day
    yesterday = settings.yesterday(datetime.now(settings.zone).date())
    delivered = pipeline.state().last_day
    if delivered and is_silent(delivered, yesterday) and settings.last_day is None:
        refuse(
            f"the last delivery is of {delivered}, {(yesterday - delivered).days:,} days before yesterday: "
            f"say how far to go with --through {delivered}, or set last_day"
        )
    return yesterday

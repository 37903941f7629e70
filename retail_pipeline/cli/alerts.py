"""The ``alerts`` and ``lake`` commands: whether alerts arrive, what stands, and whose lake it is."""

from __future__ import annotations

from datetime import datetime

import typer
from rich.markup import escape

from retail_pipeline.cli.console import (
    Json,
    LakeFolder,
    Landing,
    SettingsFile,
    err,
    out,
    pipeline_of,
    print_json,
    read_settings,
    refuse,
)

app = typer.Typer(help="Try whether alerts arrive, and list what stands.", no_args_is_help=True)
lake_app = typer.Typer(help="Say whose lake it is.", no_args_is_help=True)


@app.command("test")
def try_out(settings: SettingsFile = None) -> None:
    """Send one alert to every address, and say which it reached. Code 1 when it did not reach all."""
    from retail_pipeline.defs.alerts import TRY_OUT, AlertError, targets
    from retail_pipeline.settings import ALERT_URLS

    try:
        to = targets(read_settings(settings))
    except AlertError as error:
        refuse(str(error))
    if not to:
        refuse(f"no address is set: name some in {ALERT_URLS}, or a file in the setting alerts.dry_run")
    reached = [(target.shown, target.send(TRY_OUT)) for target in to]
    for shown, well in reached:
        out.print(f"{escape(shown)}: {'[green]sent[/green]' if well else '[red]could not be reached[/red]'}")
    raise typer.Exit(0 if all(well for _, well in reached) else 1)


@app.command("list")
def list_standing(
    landing: Landing = None, lake: LakeFolder = None, json: Json = False, settings: SettingsFile = None
) -> None:
    """List the problems that stand, what to do, and whether people were told. Code 1 when there is one."""
    from retail_pipeline.defs.alerts import standing
    from retail_pipeline.defs.instance import open_instance, runs_under_way
    from retail_pipeline.lake.alerts_sent import read_told
    from retail_pipeline.planning.alerts import KINDS

    pipeline = pipeline_of(settings, landing=landing, lake=lake)
    with open_instance(pipeline.settings) as instance:
        now = datetime.now(pipeline.settings.zone)
        stands = standing(pipeline, instance, now, busy=bool(runs_under_way(instance, pipeline)))
    told, found = read_told(pipeline.lake), stands.problems
    # what cannot be looked for just now, or a run may be mending, is not gone yet
    gone = {} if stands.complete else {k: t for k, t in told.items() if k not in {p.key for p in found}}
    if json:
        print_json(
            [
                {
                    "problem": problem.kind,
                    "severity": KINDS[problem.kind].severity,
                    "what": problem.what,
                    "to_do": problem.remedy,
                    "is_told": problem.key in told,
                }
                for problem in found
            ]
            + [
                {"problem": "not known to be gone", "what": one.what, "is_told": True}
                for one in gone.values()
            ]
        )
        raise typer.Exit(1 if found or gone else 0)
    for problem in found:
        kind = KINDS[problem.kind]
        colour = "red" if kind.severity == "failure" else "yellow"
        known = "told" if problem.key in told else "not told yet"
        out.print(f"[{colour}]{kind.one}[/{colour}] ({known}): {escape(problem.what)}")
        out.print(f"  {escape(problem.remedy)}")
    for one in gone.values():
        out.print(f"[yellow]Told, and not known to be gone[/yellow]: {escape(one.what)}")
    if not (found or gone):
        out.print("no problem stands")
    raise typer.Exit(1 if found or gone else 0)


@lake_app.command()
def adopt(lake: LakeFolder = None, settings: SettingsFile = None) -> None:
    """Make the lake the present Dagster instance's ($DAGSTER_HOME), whosesoever it was."""
    from retail_pipeline.defs.instance import open_instance, owner_of
    from retail_pipeline.lake.instance_owner import adopt as take
    from retail_pipeline.lake.lock import writing

    pipeline = pipeline_of(settings, lake=lake)
    with open_instance(pipeline.settings) as instance, writing(pipeline.lake, err.print):
        owner = owner_of(instance)
        if owner is None:
            refuse("this Dagster instance will not last: name another with DAGSTER_HOME")
        take(pipeline.lake, owner)
    out.print(f"the lake {escape(str(pipeline.lake.root))} now belongs to {escape(str(owner))}")

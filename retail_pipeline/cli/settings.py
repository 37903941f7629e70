"""``retail-pipeline init`` and ``settings``: a settings file for a new shop, and what can be set."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from retail_pipeline.cli.console import out, refuse
from retail_pipeline.planning.masking import plain

if TYPE_CHECKING:
    from retail_pipeline.settings import Settings

app = typer.Typer(help="Say what can be set.", no_args_is_help=True)


@app.command("list")
def list_settings(
    name: Annotated[str, typer.Argument(help="Only those whose name begins so, such as features.")] = "",
) -> None:
    """List the settings: the name in retail_pipeline.yaml, the default in parentheses, the meaning."""
    from retail_pipeline.settings import Settings
    from retail_pipeline.settings_reference import setting_rows

    rows = [row for full, row in setting_rows(Settings) if full.startswith(name)]
    if not rows:
        refuse(f"no setting begins with {name!r}; `retail-pipeline settings list` has all")
    for row in rows:
        typer.echo(row)


def init(
    sample: Annotated[
        Path | None, typer.Argument(help="A file as the shop delivers it: a profile for it is drafted.")
    ] = None,
    *,
    time_zone: Annotated[
        str, typer.Option(help="Of the business, such as Europe/London: decides which day a sale belongs to.")
    ],
    currency: Annotated[
        str | None, typer.Option(help="ISO 4217 code. Default: that of the first row delivered.")
    ] = None,
    settings: Annotated[Path, typer.Option(help="The file to write.", dir_okay=False)] = Path(
        "retail_pipeline.yaml"
    ),
) -> None:
    """Write a settings file for a new shop; what only a person can say is marked in it and listed.

    A file that is there already is left alone.
    """
    from retail_pipeline.ingest.isolation import allowance_of, look_apart
    from retail_pipeline.ingest.trial import Look, Unread
    from retail_pipeline.settings import load_settings

    if settings.exists():
        refuse(f"{settings} is there already: change it, or name another file with --settings")
    if sample and not sample.is_file():
        refuse(f"{sample} is no file")
    # not what another settings file says
    chosen = load_settings(Path(os.devnull), time_zone=time_zone, currency=currency)
    sources, questions = "# sources:   # `retail-pipeline sources try FILE` drafts a profile for a file\n", []
    if sample:
        asked = Look(
            reading=chosen.reading,
            file=sample,
            name=sample.name,
            rows=1,
            cleaning=chosen.cleaning,
            max_rejected_share=chosen.checks.max_rejected_share,
            max_anonymous_share=chosen.checks.max_anonymous_share,
            base=settings.parent,
        )
        seen = look_apart(asked, allowance_of(chosen.arrival, chosen.engine.memory_limit))
        if not isinstance(seen, Unread):
            sources = f"# {plain(sample.name)} is read by {seen.profile}, a profile that is shipped\n"
        elif seen.draft:
            sources, questions = (
                f"sources:   # drafted from {plain(sample.name)}\n{seen.draft.text}",
                [*seen.draft.questions],
            )
        else:
            questions = [f"sources: no profile can be drafted: {seen.no_draft or seen.reason}"]
    settings.write_text(_text(chosen) + sources, encoding="utf-8")
    out.print(f"{escape(str(settings))} is written")
    if questions:
        out.print("what only you can say (marked # ? in it):")
    for question in questions:
        out.print(f"  {escape(question)}")
    shown = escape(str(sample)) if sample else "FILE"
    out.print(f"next: `retail-pipeline sources try {shown}`; put files into {chosen.landing}; `run`")


def _text(chosen: Settings) -> str:
    return f"""\
# The settings of retail_pipeline; `retail-pipeline settings list` says what else can be set.

landing: {chosen.landing}   # where the shop's files arrive
lake: {chosen.lake}   # where the tables live
time_zone: {chosen.time_zone}   # decides which day a sale belongs to
currency: {chosen.currency or "null"}   # null: that of the first row; rows in another hold their day
first_day: {chosen.first_day}   # rows before it are unreadable

"""

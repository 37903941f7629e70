"""The ``sources`` commands: the profiles in force, what a file would become, a profile for an unknown file.

Nothing here needs a lake, or writes to one.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table as Grid

from retail_pipeline.cli.console import (
    Json,
    Landing,
    SettingsFile,
    out,
    print_json,
    read_settings,
    refuse,
)
from retail_pipeline.planning.reconciliation import REFUSED, counted, refused_lines, spans, till_lines

if TYPE_CHECKING:
    from retail_pipeline.ingest.profiles.dialects import Evidence
    from retail_pipeline.ingest.profiles.profile import SourceProfile
    from retail_pipeline.ingest.trial import Preview, Unread
    from retail_pipeline.settings import Settings

app = typer.Typer(
    no_args_is_help=True, help="Look at source profiles, and at what a file would become under them."
)

WIDEST = 28


@app.command("list")
def list_sources(json: Json = False, settings: SettingsFile = None) -> None:
    """List the profiles in force: the columns that a file must have, and how it is written."""
    chosen = read_settings(settings)
    if json:
        profiles = sorted(chosen.profiles.items())
        print_json(
            {name: profile.model_dump(mode="json", exclude_defaults=True) for name, profile in profiles}
        )
        return
    grid = Grid("profile", "source system", "columns needed", "how it is written")
    for name, profile in sorted(chosen.profiles.items()):
        own = name if name in chosen.sources else f"{name} (shipped)"
        cells = (own, profile.source_system, ", ".join(profile.needs), "\n".join(_written(profile)))
        grid.add_row(*map(escape, cells))
    out.print(grid)


@app.command("try")
def try_file(
    file: Annotated[Path, typer.Argument(help="A file as the shop delivers it, anywhere on disk.")],
    profile: Annotated[
        str | None, typer.Option(help="Read it by this profile. Default: the one that fits.")
    ] = None,
    rows: Annotated[int, typer.Option(min=1, help="How many rows to show.")] = 10,
    landing: Landing = None,
    settings: SettingsFile = None,
) -> None:
    """Show what a file would become, and what would be refused and why; draft a profile if none fits.

    Its figures are those to compare with the till. Nothing lands, and no lake is needed. Ends with 0 if every
    row can be read and no day would be held, with 1 if not.
    """
    from retail_pipeline.ingest.isolation import allowance_of, look_apart
    from retail_pipeline.ingest.trial import Look, Unread

    chosen = read_settings(settings, landing=landing)
    if not file.is_file():
        refuse(f"{file} is no file")
    if (shown := str(file).encode(errors="backslashreplace").decode()) != str(file):
        refuse(f"{shown} has a name that is not UTF-8: rename it")
    if profile is not None and profile not in chosen.profiles:
        refuse(f"there is no profile {profile}; the profiles are {', '.join(sorted(chosen.profiles))}")
    path, home = file.resolve(), chosen.landing.resolve()
    reading = chosen.reading
    if profile is not None:
        reading = reading.model_copy(update={"profiles": {profile: chosen.profiles[profile]}})
    # the paths in a settings file are relative to its folder
    named = settings or os.environ.get("RETAIL_PIPELINE_SETTINGS") or "x"
    asked = Look(
        reading=reading,
        file=file,
        # as landing would know it, where it lies there
        name=path.relative_to(home).as_posix() if path.is_relative_to(home) else file.name,
        rows=rows,
        cleaning=chosen.cleaning,
        max_rejected_share=chosen.checks.max_rejected_share,
        max_anonymous_share=chosen.checks.max_anonymous_share,
        base=Path(named).parent if profile is None else None,
    )
    seen = look_apart(asked, allowance_of(chosen.arrival, chosen.engine.memory_limit))
    if isinstance(seen, Unread):
        out.print(f"{escape(str(file))} [red]{escape(seen.reason)}[/red]")
        _print_draft(seen, chosen)
        raise typer.Exit(1)
    _print_preview(seen, chosen.profiles[seen.profile])
    limit = chosen.checks.max_unreadable_share
    if seen.unreadable > limit * seen.rows:
        share = f"more than checks.max_unreadable_share ({limit:g}) of the rows"
        out.print(f"[red]{share} cannot be read: the file would wait in quarantine[/red]")
    raise typer.Exit(1 if seen.unreadable or seen.findings else 0)


def _written(profile: SourceProfile) -> Iterator[str]:
    facts = profile.model_dump(
        exclude={"source_system", "columns", "cleaning", "delivers"}, exclude_defaults=True
    )
    for name, value in facts.items():
        if name == "fill_down":
            value = f"{', '.join(value['columns'])} by {value['by']}"
        elif name == "lookups":
            value = ", ".join(f"{lookup} in {entry['path']}" for lookup, entry in value.items())
        elif isinstance(value, Sequence) and not isinstance(value, str):
            value = ", ".join(map(str, value))
        yield f"{name}: {value!r}" if name.endswith(("mark", "delimiter")) else f"{name}: {value}"


def _print_evidence(evidence: Iterable[Evidence]) -> None:
    for found in evidence:
        value = repr(found.value) if found.what == "delimiter" else found.value
        out.print(escape(f"  {found.what:<12} {value:<18} {found.why}"))


def _print_preview(seen: Preview, profile: SourceProfile) -> None:
    _print_evidence(seen.evidence)
    out.print("\nmapping")
    for column, expression in profile.columns.items():
        out.print(f"  {column:<12} <- {escape(expression)}")
    if seen.unread:
        out.print(f"  not read: {escape(', '.join(seen.unread))}")
    if seen.after:
        first = f"{len(seen.after):,} of {seen.rows:,} rows"
        out.print(f"\n{first} as they stand")
        _print_rows(seen.columns, [row or ["(cannot be split)"] for row in seen.before])
        out.print(f"\n{first} as they would land")
        columns = [column for column in seen.after[0] if column in profile.columns]
        _print_rows(columns, [_landed(row, columns) for row in seen.after])
    readable = seen.rows - seen.unreadable - seen.left_out
    out.print(f"\nrows {seen.rows:,}: {readable:,} can be read, {seen.unreadable:,} cannot")
    if seen.left_out:
        out.print(f"left out by keep_rows or as totals: {seen.left_out:,}, worth {seen.value_left_out:,}")
    if days := list(seen.till.by_day):
        out.print(f"days {len(days):,}: {days[0]}" + (f" to {days[-1]}" if len(days) > 1 else ""))
    for tally in seen.tallies:
        of_rows = f"{counted(tally.rows, 'row')}, first row {tally.first_row:,}"
        out.print(f"[red]unreadable[/red] {of_rows}: {escape(tally.reason)}")
    _print_till(seen)


def _print_till(seen: Preview) -> None:
    """What the readable rows come to, and what the checks would say of their days."""
    till = seen.till
    if not till.by_day:
        return
    refused = till.in_all.of(REFUSED).lines
    out.print(f"of those that can be read: transactions {till.in_all.lines:,}, refused {refused:,}")
    for line in (
        *refused_lines(till.in_all.tally, seen.currency),
        "",
        *till_lines(spans(till), seen.currency),
    ):
        typer.echo(line)
    for found in seen.findings:
        when = f"{found.first_day}" if found.days == 1 else f"{found.days:,} days from {found.first_day} on"
        against = f"{counted(found.rows, 'row')} against «{escape(found.states)}»"
        out.print(f"[red]would be held[/red] {when}: {against}")


def _landed(row: Mapping[str, Any], columns: Sequence[str]) -> list[str | None]:
    if row["reasons"]:
        return ["(unreadable)"]
    if row["left_out"]:
        return ["(left out)"]
    return [row[column] for column in columns]


def _print_rows(columns: Sequence[str], rows: Sequence[Sequence[str | None]]) -> None:
    """Numbered rows in columns; those that are empty in all rows are left out.

    Lines are not cut to the terminal's width: of ten narrow columns nobody could read a value.
    """
    table = [["row", *columns], *([str(n), *(cell or "" for cell in row)] for n, row in enumerate(rows, 1))]
    filled = [n for n in range(len(table[0])) if any(n < len(row) and row[n] for row in table[1:])]
    cells = [[_short(row[n]) if n < len(row) else "" for n in filled] for row in table]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for line in cells:
        padded = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        typer.echo("  ".join(padded).rstrip())


def _short(cell: str) -> str:
    plain = "".join(char if char.isprintable() else " " for char in cell)
    return plain if len(plain) <= WIDEST else f"{plain[: WIDEST - 1]}…"


def _print_draft(seen: Unread, settings: Settings) -> None:
    from retail_pipeline.ingest.profiles.profile import nearly

    if seen.no_draft:
        out.print(f"no profile can be drafted: it {escape(seen.no_draft)}")
    if (draft := seen.draft) is None:
        return
    _print_evidence(seen.evidence)
    if near := nearly(seen.header, settings.profiles):
        lacking = " and ".join(_missing(settings.profiles[near[0]], column) for column in near[1])
        remedy = f"if it is one, change those alone, as `sources: {{{near[0]}: {{columns: …}}}}`"
        said = f"it is nearly a file of the profile {near[0]}, which also reads {lacking}: {remedy}"
        out.print(escape(said))
    out.print("\na profile for it, to paste under `sources:` in retail_pipeline.yaml:\n")
    typer.echo(draft.text)
    unclear = [f"encoding: it {e.why}" for e in seen.evidence if "declare `encoding:`" in e.why]
    questions = [*unclear, *draft.questions]
    out.print(
        "what only you can say:" if questions else "nothing in it is in doubt; try the file again with it"
    )
    for question in questions:
        out.print(f"  {escape(question)}")


def _missing(profile: SourceProfile, column: str) -> str:
    from retail_pipeline.ingest.profiles.profile import parsed, references

    uses = [name for name, text in profile.columns.items() if column in references(parsed(text))]
    return f"{column} ({', '.join(uses)})" if uses else column

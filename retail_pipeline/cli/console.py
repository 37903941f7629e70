"""What every command of ``retail-pipeline`` shares: its options, where it prints, how it refuses."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.markup import escape
from rich.text import Text
from typer.core import TyperGroup

from retail_pipeline.planning.masking import plain

if TYPE_CHECKING:
    from retail_pipeline.defs.resources import Pipeline
    from retail_pipeline.settings import Settings


class _Plain(Console):
    """A console on which no text from outside, such as a file's name, can steer the terminal."""

    def render_str(self, text: str, **style: Any) -> Text:
        return super().render_str(plain(text), **style)


out = _Plain(soft_wrap=True, highlight=False)
err = _Plain(stderr=True, soft_wrap=True, highlight=False)

SettingsFile = Annotated[
    Path | None,
    typer.Option("--settings", help="Settings file. Default: retail_pipeline.yaml", show_default=False),
]
Landing = Annotated[Path | None, typer.Option(help="Folder with the shop's files.", show_default=False)]
LakeFolder = Annotated[Path | None, typer.Option("--lake", help="Folder of the tables.", show_default=False)]
DAY = ["%Y-%m-%d"]
Through = Annotated[
    datetime | None, typer.Option("--through", formats=DAY, help="Last day to make. Default: yesterday.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print the plan and its cost; do nothing.")]
Json = Annotated[bool, typer.Option("--json", help="Print it as JSON, for other programs.")]
By = Annotated[str, typer.Option(envvar="USER", help="Who decides.")]


def pipeline_of(settings: Path | None, **overrides: Any) -> Pipeline:
    """The pipeline under the settings, with the options that were given laid over them."""
    from retail_pipeline.defs.resources import Pipeline

    return Pipeline(read_settings(settings, **overrides))


def read_settings(path: Path | None, **overrides: Any) -> Settings:
    from retail_pipeline.settings import load_settings

    return load_settings(path, **overrides)


class Command(TyperGroup):
    """The whole command."""

    def invoke(self, ctx: Any) -> Any:
        """Run it; every error that a user can mend is said without a traceback."""
        with expected_errors():
            return super().invoke(ctx)


@contextmanager
def expected_errors() -> Iterator[None]:
    """Print the errors that a user can mend without a traceback; let everything else through."""
    from retail_pipeline.defs.database import database_errors, why_database
    from retail_pipeline.engine import EngineError
    from retail_pipeline.ingest.listing import LandingError
    from retail_pipeline.lake.partitions import LakeError
    from retail_pipeline.settings import SettingsError

    try:
        yield
    except SettingsError as error:
        refuse(str(error))
    except (LandingError, LakeError, EngineError) as error:
        err.print(f"[red]error[/red] {escape(str(error))}")
        raise typer.Exit(1) from error
    except database_errors() as error:
        err.print(f"[red]error[/red] {escape(why_database(error))}")
        raise typer.Exit(1) from error


def plain_text(line: str) -> str:
    """A line of markup as it reads."""
    return Text.from_markup(line).plain.strip()


def print_json(found: object) -> None:
    typer.echo(json.dumps(found, indent=1, ensure_ascii=False))


def print_failures(failures: Iterable[str]) -> None:
    for failure in failures:
        err.print(f"[red]failed[/red] {escape(failure)}")


def refuse(message: str) -> NoReturn:
    """Say what is wrong with the call or a setting, and end with exit code 2."""
    err.print(f"[red]error[/red] {escape(message)}")
    raise typer.Exit(2)

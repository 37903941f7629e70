"""The ``datasets`` commands: arguments, the refusal to mix data sets, and what is printed.

How a set is fetched or made stands in its own module, imported only when its command runs.
"""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal

import typer

from retail_pipeline.datasets.deliveries import DatasetError, Landed, OnFile, foreign_files

app = typer.Typer(
    no_args_is_help=True, help="Get data to try the pipeline on: real sets, or synthetic ones of any size."
)

Landing = Annotated[Path, typer.Option(help="Folder to write the daily files to.", file_okay=False)]
_LANDING = Path("data/landing")


@app.command()
def fetch(
    name: Annotated[
        Literal["uci", "complete-journey"],
        typer.Argument(
            help="uci: UCI Online Retail, 541,909 lines of a British web shop, downloaded. complete-journey: "
            "The Complete Journey, 1,469,307 lines of a grocer, from the installed package (no network).",
        ),
    ],
    landing: Landing = _LANDING,
    from_file: Annotated[
        Path | None,
        typer.Option(help="uci only: the zip or xlsx, downloaded by hand.", dir_okay=False, exists=True),
    ] = None,
) -> None:
    """Write a real data set to the landing folder, one CSV file a business day, like a shop's deliveries."""
    if name == "complete-journey":
        from retail_pipeline.datasets import complete_journey

        if from_file:
            raise typer.BadParameter("only uci is read from a file.", param_hint="--from-file")
        _deliver(landing, complete_journey.PREFIX, lambda on_file: complete_journey.land(landing, on_file))
    else:
        from retail_pipeline.datasets import uci

        _deliver(landing, uci.PREFIX, lambda on_file: uci.fetch(landing, from_file, on_file=on_file))


@app.command()
def synthetic(
    lines: Annotated[int, typer.Option(help="Transaction lines to make, in all.", min=1)],
    seed: Annotated[int, typer.Option(help="Same seed, same files.", min=0)] = 0,
    like: Annotated[
        Literal["uci", "complete-journey"] | None,
        typer.Option(help="The real set whose shape to follow; uci if not given."),
    ] = None,
    landing: Landing = _LANDING,
    first_day: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="First day; by default that of the real set."),
    ] = None,
    last_day: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Last day; by default that of the real set.")
    ] = None,
    customers: Annotated[
        int | None,
        typer.Option(help="Known customers; by default as many as the real set has for its lines.", min=1),
    ] = None,
) -> None:
    """Make realistic data in the columns of UCI Online Retail, one CSV file a trading day.

    It has heavy-tailed customers and products, seasons, cancellations, anonymous sales, duplicates and dirt.
    How much of each stands in a manifest beside the landing folder (data/landing.manifest.json).
    """
    from retail_pipeline.datasets.synthetic import PREFIX, generate

    first, last = (day.date() if day else None for day in (first_day, last_day))
    _deliver(
        landing, PREFIX, lambda on_file: generate(landing, lines, seed, like, first, last, on_file, customers)
    )


def _deliver(landing: Path, prefix: str, deliver: Callable[[OnFile], Landed]) -> None:
    """Run ``deliver``, print what landed; exit with 2 rather than mix sets, with 1 when it fails."""
    from rich.console import Console
    from rich.progress import Progress

    console, errors = Console(), Console(stderr=True)
    if others := foreign_files(landing, prefix):
        errors.print(
            f"{landing} already holds other data ({others[0]}, {len(others)} in all), which would be mixed "
            "with this data set. Choose another folder with --landing.",
            style="red",
            markup=False,
            soft_wrap=True,
        )
        raise typer.Exit(2)
    try:
        with Progress(console=errors, transient=True) as progress:
            task = progress.add_task("Writing daily files", total=None)
            landed = deliver(lambda done, total: progress.update(task, completed=done, total=total))
    except DatasetError as error:
        errors.print(str(error), style="red", markup=False, soft_wrap=True)
        raise typer.Exit(1) from error
    console.print(
        f"{landed.files:,} files with {landed.rows:,} rows, {landed.first_day} to {landed.last_day}, "
        f"in {landed.folder}",
        markup=False,
        highlight=False,
        soft_wrap=True,
    )

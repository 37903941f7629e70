"""What the command prints: the plan, the progress, the summary, the status.

Belongs here: words and tables for a terminal. Does not belong here: finding things out beyond reading the
lake.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date

import dagster as dg
import pyarrow.parquet as pq
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table as Grid

from retail_pipeline.core.planner import State, Work, month_of, plan, ranges, rests_on_other_data
from retail_pipeline.defs.jobs import JOBS
from retail_pipeline.defs.pipeline import Pipeline
from retail_pipeline.engine.listing import list_files
from retail_pipeline.lake.models import judged
from retail_pipeline.lake.partitions import PAGE_FILE

MOST_LINES = 5
OnLayer = Callable[[str, int], None]
OnMade = Callable[[str, str], None]

# a layer is done with a partition when the last of its tables is made
_LAST_TABLE = {
    "files": "raw_transactions",
    "days": "transactions",
    "months": "segmentation_models",
    "snapshots": "campaign_lists",
    "reports": "report",
}
_DOING = {
    "files": "landing files",
    "days": "making days",
    "months": "training months",
    "snapshots": "segments and lists",
    "reports": "making the report",
}


@contextmanager
def progress(console: Console) -> Iterator[tuple[OnLayer, OnMade]]:
    """A bar a layer; yields what to call when a layer starts and when a partition is made."""
    bars: dict[str, TaskID] = {}
    columns = (TextColumn("{task.description:<18}"), BarColumn(20), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, TextColumn("{task.fields[now]}"), console=console) as shown:

        def on_layer(layer: str, partitions: int) -> None:
            bars[_LAST_TABLE[layer]] = shown.add_task(_DOING[layer], total=partitions, now="")

        def on_made(table: str, partition: str) -> None:
            if table in bars:
                shown.update(bars[table], advance=1, now=partition.split("@")[0][:24])

        yield on_layer, on_made


def print_plan(console: Console, work: Work) -> None:
    """The plan of a run, with its rough cost."""
    if not work:
        console.print("everything is up to date")
        return
    grid = Grid("what", "how many", "which", title="plan")
    grid.add_row("files to land", f"{len(work.files):,}", _ends([file.path for file in work.files]))
    grid.add_row("days to make", f"{len(work.days):,}", _spans(work.days))
    grid.add_row("months to train", f"{len(work.months):,}", _ends(work.months))
    grid.add_row(
        "snapshots with lists", f"{len(work.snapshots):,}", _ends([str(day) for day in work.snapshots])
    )
    grid.add_row("reports", f"{len(work.reports):,}", _ends([str(day) for day in work.reports]))
    console.print(grid)
    if work.files:
        console.print("and what the new files touch, known once they have landed")
    console.print(f"about {work.seconds:.0f} s")


def print_summary(console: Console, pipeline: Pipeline, day: date, up_to_date: bool) -> bool:
    """What a run leaves behind.

    Files, rows, customers, segments, lists. True when the day's lists are held back.
    """
    state = pipeline.state()
    console.print("everything was up to date" if up_to_date else f"up to date through {day}")
    print_deliveries(console, state)
    for line in unreadable(pipeline, state)[:MOST_LINES]:
        console.print(line)
    if state.first_day is None or state.first_day > day:
        console.print(
            f"[yellow]nothing delivered[/yellow] through {day}; landing is {pipeline.settings.landing}"
        )
        return bool(state.landed)
    features = state.features.get(day)
    console.print(f"customers {features.rows if features else 0:,} as of {day}")
    for name, manifest in sorted(state.assignments.get(day, {}).items()):
        sizes = ", ".join(f"{segment} {n:,}" for segment, n in manifest.counts.items())
        console.print(f"  {name}: {sizes}")
    if held := state.held_lately(day):
        console.print(
            f"[red]no lists[/red]: {', '.join(map(str, held))} held or not made; "
            "`retail-pipeline status` says why"
        )
        return True
    for line in waiting(pipeline, state, day):
        console.print(line)
    lists = sorted(state.lists.get(day, {}).items())
    console.print(f"lists {len(lists)}" if lists else "no lists")
    for name, manifest in lists:
        if not manifest.rows:
            console.print(f"  {name}: nobody")
            continue
        path = pipeline.lake.data("campaign_lists", manifest.partition)
        console.print(
            f"  {name}: {manifest.rows:,} customers, {manifest.counts['control']:,} of them control, {path}"
        )
    if report := state.reports.get(day):
        console.print(f"report {pipeline.lake.partition(report.table, report.partition) / PAGE_FILE}")
    return False


def print_deliveries(console: Console, state: State) -> None:
    """Files and rows: read, unreadable, refused by reason."""
    counts = Counter[str]()
    for manifest in state.landed.values():
        counts.update({name: manifest.counts[name] for name in ("rows_read", "unreadable")})
    refused = Counter[str]()
    for manifest in state.transactions.values():
        counts.update({"refused": manifest.counts.get("rejected", 0), "transactions": manifest.rows})
        refused.update({n: v for n, v in manifest.counts.items() if n.startswith("rejected: ")})
    console.print(
        f"files {len(state.landed):,}, rows read {counts['rows_read']:,}: "
        f"transactions {counts['transactions']:,}, refused {counts['refused']:,}, "
        f"unreadable {counts['unreadable']:,}"
    )
    for reason, rows in refused.most_common():
        console.print(f"  refused by {reason.removeprefix('rejected: ')}: {rows:,}")


def print_status(console: Console, pipeline: Pipeline, instance: dg.DagsterInstance, through: date) -> bool:
    """What there is, what is stale, what failed and why; True when nothing is amiss."""
    listing = list_files(pipeline.settings.landing)
    state = pipeline.state(tuple(listing.files))
    print_deliveries(console, state)
    if state.first_day:
        console.print(f"delivered {state.first_day} to {state.last_day}; lake {pipeline.lake.root}")
    for name, why in listing.ignored.items():
        console.print(f"  ignored {escape(name)}: {escape(why)}")
    work = plan(state, pipeline.recipe, through)
    if work:
        console.print(f"[yellow]stale[/yellow] as of {through}; `retail-pipeline run` would do this:")
        print_plan(console, work)
    else:
        console.print(f"[green]up to date[/green] through {through}")
    held = state.held_days(date.min, date.max)
    for day in held:
        failed = "; ".join(f"{f.count:,} rows against «{f.states}»" for f in state.transactions[day].failures)
        console.print(
            f"[red]held[/red] {day}: {failed}; `retail-pipeline days release {day} --why …` accepts it"
        )
    for line in unreadable(pipeline, state):
        console.print(line)
    waits = waiting(pipeline, state, through)
    for line in waits:
        console.print(line)
    if changed := [month for month in sorted(state.candidates) if rests_on_other_data(state, month)]:
        console.print(
            f"[yellow]changed[/yellow] data under the models of {_ends(changed)}: they stay as fitted until "
            "`retail-pipeline model retrain --changed --why …`"
        )
    failed_runs = _standing_failures(instance)
    for line in failed_runs:
        console.print(f"[red]failed[/red] {escape(line)}")
    return not (work or held or waits or failed_runs)


def waiting(pipeline: Pipeline, state: State, day: date) -> list[str]:
    """A line for each candidate of the day's month that a gate refused and nobody has decided about."""
    month = month_of(day)
    if month not in state.candidates:
        return []
    return [
        f"[yellow]waits[/yellow] the candidate of {month} for {escape(name)}: {escape(verdict.why)}; "
        f"`retail-pipeline model promote {month} --segmentation {escape(name)} --why …` (or reject)"
        for name, (_, verdict) in judged(pipeline.lake, month).items()
        if verdict.needs_person
    ]


def unreadable(pipeline: Pipeline, state: State) -> list[str]:
    """A line for each file with unreadable rows: how many, and what is wrong with the first."""
    counts = {source_id: manifest.counts["unreadable"] for source_id, manifest in state.landed.items()}
    return [_unreadable(pipeline, source_id) for source_id, rows in counts.items() if rows]


def _unreadable(pipeline: Pipeline, source_id: str) -> str:
    keys = {"file": source_id}
    (landed,) = pq.read_table(pipeline.lake.data("landed_files", keys), partitioning=None).to_pylist()
    rows = (
        pq.read_table(pipeline.lake.data("unreadable_rows", keys), partitioning=None).slice(0, 1).to_pylist()
    )
    return (
        f"[yellow]unreadable[/yellow] {escape(landed['path'])}: {landed['rows_rejected']:,} of "
        f"{landed['rows_read']:,} rows, first row {rows[0]['source_row']}: "
        + escape("; ".join(rows[0]["reasons"]))
    )


def _standing_failures(instance: dg.DagsterInstance) -> list[str]:
    """The last run of each job, where it failed: what it said."""
    lines = []
    for job in (job.name for job in JOBS):
        for record in instance.get_run_records(dg.RunsFilter(job_name=job), limit=1):
            run = record.dagster_run
            if run.status == dg.DagsterRunStatus.FAILURE:
                lines.append(f"{job} run {run.run_id[:8]}: {_first_words(instance, run.run_id)}")
    return lines


def _first_words(instance: dg.DagsterInstance, run_id: str) -> str:
    events = instance.all_logs(
        run_id, of_type={dg.DagsterEventType.STEP_FAILURE, dg.DagsterEventType.RUN_FAILURE}
    )
    for entry in events:
        event = entry.dagster_event
        if event and event.is_step_failure and event.step_failure_data.user_failure_data:
            return event.step_failure_data.user_failure_data.description or ""
    return events[0].user_message if events else "no reason recorded"


def _ends(names: list[str] | tuple[str, ...]) -> str:
    if not names:
        return ""
    return escape(names[0] if len(names) == 1 else f"{names[0]} … {names[-1]}")


def _spans(days: tuple[date, ...]) -> str:
    spans = [f"{first}" if first == last else f"{first} … {last}" for first, last in ranges(days)]
    return ", ".join(spans[:4]) + (f" and {len(spans) - 4} more" if len(spans) > 4 else "")

"""What the command prints: the plan, the progress, the summary, the status."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory

import dagster as dg
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table as Grid

from retail_pipeline.defs.jobs import LANDING, jobs
from retail_pipeline.defs.partitions import days
from retail_pipeline.defs.requests import why_failed
from retail_pipeline.defs.resources import Pipeline
from retail_pipeline.engine.duckdb import connect
from retail_pipeline.ingest.till_figures import of_days
from retail_pipeline.lake.models import judged
from retail_pipeline.lake.partitions import LakeError, read_partition
from retail_pipeline.lake.set_aside import home_of
from retail_pipeline.planning.accounting import account, days_made
from retail_pipeline.planning.calendar import month_of, ranges
from retail_pipeline.planning.costs import Cost, cost_of
from retail_pipeline.planning.inputs import read_by_no_profile, rests_on_other_data
from retail_pipeline.planning.manifests import Manifest
from retail_pipeline.planning.plan import (
    RANGE_TABLES,
    Work,
    difference,
    odd_ids,
    odd_ids_that_hold,
    plan,
    stale_snapshots,
)
from retail_pipeline.planning.reconciliation import (
    MOST_DAYS,
    REFUSED,
    Figures,
    counted,
    money,
    refused_lines,
    spans,
    till_lines,
    uncounted,
)
from retail_pipeline.planning.state import Recipe, State
from retail_pipeline.tables import TABLES

MOST_LINES = 5
MONTH = 30
# of more lines than these, `status` does not count orders and customers: it would wait for seconds
MOST_ROWS = 1_000_000
OnLayer = Callable[[str, int], None]
OnMade = Callable[[str, str], None]

# a layer is done with a partition when the last of its tables is made
_LAST_TABLE = {
    "files": "raw_transactions",
    "days": "transactions",
    "customer_days": "customer_days",
    "months": "segmentation_models",
    "snapshots": "campaign_lists",
    "reports": "report",
}
_DOING = {
    "files": "landing files",
    "days": "making days",
    "customer_days": "orders over days",
    "months": "training months",
    "snapshots": "segments and lists",
    "reports": "making the report",
}


@contextmanager
def progress(
    console: Console, last_table: Mapping[str, str] = _LAST_TABLE
) -> Iterator[tuple[OnLayer, OnMade]]:
    """A bar a layer; yields what to call when a layer starts and when a partition is made.

    ``last_table`` is the table with which a layer is done with a partition.
    """
    bars: dict[str, TaskID] = {}
    columns = (TextColumn("{task.description:<18}"), BarColumn(20), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, TextColumn("{task.fields[now]}"), console=console) as shown:

        def on_layer(layer: str, partitions: int) -> None:
            last = last_table.get(layer, _LAST_TABLE[layer])
            bars[last] = shown.add_task(_DOING[layer], total=partitions, now="")

        def on_made(table: str, partition: str) -> None:
            if table in bars:
                shown.update(bars[table], advance=1, now=partition.split("@")[0][:24])

        yield on_layer, on_made


def print_plan(console: Console, work: Work, cost: Cost) -> None:
    """The plan of a run, with its rough cost."""
    if not work:
        console.print("everything is up to date")
        return
    grid = Grid("what", "how many", "which", title="plan")
    grid.add_row("files to land", f"{len(work.files):,}", _ends([file.path for file in work.files]))
    grid.add_row("days to make", f"{len(work.days):,}", _spans(work.days))
    grid.add_row("months to train", f"{len(work.months):,}", _ends(work.months))
    grid.add_row("snapshots with lists", f"{len(work.snapshots):,}", _spans(work.snapshots))
    grid.add_row("reports", f"{len(work.reports):,}", _ends([str(day) for day in work.reports]))
    console.print(grid)
    if work.files:
        console.print("and what the new files touch, known once they have landed")
    elif work.days or work.months:
        console.print("and the earlier snapshots that they change, known once they are made")
    console.print(f"about {cost.seconds:.0f} s")


def print_summary(
    console: Console, pipeline: Pipeline, day: date, up_to_date: bool, made: Collection[date] = ()
) -> bool:
    """What a run leaves behind.

    Files, rows, what the days that it ``made`` came to, customers, segments, lists. True when lists are held
    back or files wait in quarantine.
    """
    state = pipeline.state(tuple(pipeline.listing().files))
    console.print("everything was up to date" if up_to_date else f"up to date through {day}")
    print_deliveries(console, pipeline, state)
    orphans = without_profile(state, pipeline.recipe)
    waiting_files = in_quarantine(state)
    more = len(waiting_files) - MOST_LINES
    tail = (
        [f"and {more:,} more in quarantine; `retail-pipeline quarantine list` shows all"] if more > 0 else []
    )
    bad = unreadable(pipeline, state)
    for line in (*orphans, *waiting_files[:MOST_LINES], *tail, *bad[:MOST_LINES]):
        console.print(line)
    if len(bad) > MOST_LINES:
        console.print(f"and {len(bad) - MOST_LINES:,} more files with unreadable rows; `status` shows all")
    for line in remarks(state):
        console.print(line)
    if state.first_day is None or state.first_day > day:
        console.print(
            f"[yellow]nothing delivered[/yellow] through {day}; landing is "
            + escape(str(pipeline.settings.landing))
        )
        return bool(state.landed or state.quarantined)
    print_till(console, pipeline, state, made)
    features = state["rfm_features"].get(day)
    console.print(f"customers {features.rows if features else 0:,} as of {day}")
    for name, manifest in sorted(state["segment_assignments"].get(day, {}).items()):
        sizes = ", ".join(f"{segment} {n:,}" for segment, n in manifest.counts.items())
        console.print(f"  {name}: {sizes}", markup=False)
    for line in strange_ids(state, pipeline.recipe, day):
        console.print(line)
    if held := state.held_lately(day):
        console.print(
            f"[red]no lists[/red]: {', '.join(map(str, held))} held or not made; "
            "`retail-pipeline status` says why"
        )
        return True
    if odd_ids_that_hold(state, pipeline.recipe, day):
        console.print("[red]no lists[/red]: odd ids hold them back; `checks.ids: warn` does not")
        return True
    for line in waiting(pipeline, state, day):
        console.print(line)
    lists = sorted(state["campaign_lists"].get(day, {}).items())
    console.print(f"lists {len(lists)}" if lists else "no lists")
    for name, manifest in lists:
        if not manifest.rows:
            console.print(f"  {name}: nobody", markup=False)
            continue
        path = pipeline.lake.data("campaign_lists", manifest.partition)
        console.print(
            f"  {name}: {manifest.rows:,} customers, {manifest.counts['control']:,} of them control, {path}",
            markup=False,
        )
    for line in late(state, pipeline.recipe, day):
        console.print(line)
    if report := state["report"].get(day):
        path = pipeline.lake.partition(report.table, report.partition) / TABLES["report"].file
        console.print(f"report {path}", markup=False)
    return bool(state.quarantined)


def print_deliveries(console: Console, pipeline: Pipeline, state: State) -> None:
    """Files and rows: read, and what became of them; refused ones by rule, with their money."""
    rows = account(state)
    console.print(rows.says)
    if rows.unaccounted:
        console.print(
            f"[red]{rows.unaccounted:,} rows are not accounted for[/red]: `retail-pipeline check` says why"
        )
    currency = pipeline.currency(state)
    if left_out := rows.became["left out"]:
        worth = f"worth {rows.value_left_out:,} {currency}"
        console.print(f"  left out by keep_rows or as totals: {left_out:,}, {worth}", markup=False)
    for line in refused_lines(rows.tally, currency):
        console.print(line, markup=False)


def print_till(
    console: Console, pipeline: Pipeline, state: State, days: Collection[date] | None = None
) -> None:
    """What days (by default all) came to, for comparing with the till; held ones are named and left out."""
    made = {day: m for day, m in days_made(state).items() if days is None or day in days}
    held = {day for day in made if state.is_held(day)}
    used = {day: manifest for day, manifest in made.items() if manifest.till and day not in held}
    currency = pipeline.currency(state)
    for line in till_lines(_till_rows(pipeline, used), currency) if used else ():
        console.print(line, markup=False)
    for day, manifest in made.items():
        if day in held:
            found = Figures(tally=manifest.till)
            lines = f"{counted(found.lines, 'line')}, {money(found.total)} {currency}"
            refused = f", refused {found.of(REFUSED).lines:,}" if found.of(REFUSED).lines else ""
            console.print(f"figures without {day}, which is held: {lines}{refused}", markup=False)
        elif not manifest.till:
            console.print(f"figures without {day}, made before they were kept; the next run adds them")


def _till_rows(pipeline: Pipeline, used: Mapping[date, Manifest]) -> list[tuple[str, Figures]]:
    """The figures of each of the last days, of the last month, and of all."""
    latest = {day: manifest for day, manifest in used.items() if (max(used) - day).days < MONTH}
    options = pipeline.settings.engine
    with (
        TemporaryDirectory() as spill,
        connect(options.memory_limit, options.threads, Path(spill)) as engine,
    ):
        lately = of_days(engine, pipeline.lake, latest)
        if len(used) <= MOST_DAYS:
            return spans(lately)
        rows = [(str(day), of_day) for day, of_day in lately.by_day.items()][-MOST_DAYS:]
        if len(rows) < len(latest):
            rows.append((f"last {MONTH} days", lately.in_all))
        if len(latest) == len(used):
            return rows
        # orders and customers do not add up: they are counted anew, unless that reads too many lines
        few = sum(manifest.rows for manifest in used.values()) <= MOST_ROWS
        every = (
            of_days(engine, pipeline.lake, used).in_all
            if few
            else uncounted(manifest.till for manifest in used.values())
        )
        return [*rows, (f"all {len(used):,} days", every)]


def print_status(console: Console, pipeline: Pipeline, instance: dg.DagsterInstance, through: date) -> bool:
    """What there is, what is stale, what failed and why; True when nothing is amiss."""
    listing = pipeline.listing()
    state = pipeline.state(tuple(listing.files))
    print_deliveries(console, pipeline, state)
    if state.first_day:
        console.print(
            f"delivered {state.first_day} to {state.last_day}; lake {pipeline.lake.root}", markup=False
        )
    print_till(console, pipeline, state)
    for name, why in listing.ignored.items():
        console.print(f"  ignored {escape(name)}: {escape(why)}")
    for name, why in listing.waiting.items():
        console.print(f"  waiting {escape(name)}: {escape(why)}")
    work = plan(state, pipeline.recipe, through)
    if work:
        console.print(f"[yellow]stale[/yellow] as of {through}; `retail-pipeline run` would do this:")
        print_plan(console, work, cost_of(state, pipeline.recipe, work))
    else:
        console.print(f"[green]up to date[/green] through {through}")
    held = state.held_days(date.min, date.max)
    for day in held:
        console.print(
            f"[red]held[/red] {day}: {escape(state.why_held(day))}; "
            f"`retail-pipeline days release {day} --why …` accepts it"
        )
    orphans = without_profile(state, pipeline.recipe)
    for line in (*orphans, *in_quarantine(state), *unreadable(pipeline, state), *remarks(state)):
        console.print(line)
    waits = waiting(pipeline, state, through)
    for line in (*strange_ids(state, pipeline.recipe, through), *waits):
        console.print(line)
    if changed := [month for month in sorted(state["model_candidates"]) if rests_on_other_data(state, month)]:
        console.print(
            f"[yellow]changed[/yellow] data under the models of {_ends(changed)}: they stay as fitted until "
            "`retail-pipeline model retrain --changed --why …`"
        )
    for line in late(state, pipeline.recipe, through, work.snapshots):
        console.print(line)
    # what a landing run could not take is in quarantine, and as long as it stands there, said above
    failed = [
        *_standing_failures(instance, pipeline, {} if work.files else {LANDING}),
        *failed_days(pipeline, instance, state),
    ]
    for line in failed:
        console.print(f"[red]failed[/red] {escape(line)}")
    held_back = held or odd_ids_that_hold(state, pipeline.recipe, through)
    return not (work or held_back or waits or failed or orphans or state.quarantined)


def strange_ids(state: State, recipe: Recipe, day: date) -> list[str]:
    """A line for each thing that is odd about the customer ids of a day's snapshot."""
    how = "[red]odd ids[/red]" if recipe.ids == "hold" else "[yellow]odd ids[/yellow]"
    return [f"{how} as of {day}: {escape(says)}" for says in odd_ids(state, recipe, day).values()]


def without_profile(state: State, recipe: Recipe) -> list[str]:
    """A line for each profile that the settings no longer have, though files that count were read by it."""
    paths: dict[str, list[str]] = {}
    for manifest in read_by_no_profile(state, recipe).values():
        paths.setdefault(manifest.read_by or "an earlier version's", []).append(manifest.arrival.path)
    return [
        f"[yellow]no profile[/yellow] {escape(name)} is gone from the settings: the {len(of_it):,} files "
        f"that it read ({_ends(sorted(of_it))}) are cleaned by the shop's own rules alone. Give it back in "
        "`sources`, or put the files into landing again, for another profile to read"
        for name, of_it in sorted(paths.items())
    ]


def in_quarantine(state: State) -> list[str]:
    """A line for each file that waits for a person or a better delivery."""
    paths = {source_id: manifest.arrival.path for source_id, manifest in state.landed.items()}
    paths |= {source_id: refusal.path for source_id, refusal in state.refused.items()}
    return [
        f"[red]quarantine[/red] {escape(paths[source_id])}: {escape(why)} "
        f"(`retail-pipeline quarantine show {source_id}`)"
        for source_id, why in state.quarantined.items()
    ]


def waiting(pipeline: Pipeline, state: State, day: date) -> list[str]:
    """A line for each candidate of the day's month that a gate refused and nobody has decided about."""
    month = month_of(day)
    if month not in state["model_candidates"]:
        return []
    return [
        f"[yellow]waits[/yellow] the candidate of {month} for {escape(name)}: {escape(verdict.why)}; "
        f"`retail-pipeline model promote {month} --segmentation {escape(name)} --why …` (or reject)"
        for name, (_, verdict) in judged(pipeline.lake, month).items()
        if verdict.needs_person
    ]


def late(state: State, recipe: Recipe, through: date, planned: Collection[date] = ()) -> list[str]:
    """What late data or other settings changed and no run mends: earlier snapshots, lists handed over."""
    lines = []
    stale = tuple(day for day in stale_snapshots(state, recipe, date.min, through) if day not in planned)
    if stale:
        lines.append(
            f"[yellow]stale[/yellow] {len(stale):,} earlier snapshots, {_spans(stale)}, beyond `restate`; "
            f"`retail-pipeline backfill {stale[0]} {stale[-1]}` makes them anew"
        )
    restated = [
        f"{day} {escape(campaign)} {difference(manifest)}"
        for day, lists in sorted(state["restated_lists"].items())
        for campaign, manifest in lists.items()
    ]
    if restated:
        latest = ", ".join(restated[-MOST_LINES:])
        lines.append(
            f"[yellow]restated[/yellow] {len(restated):,} released lists would be others now: {latest}"
        )
    return lines


def unreadable(pipeline: Pipeline, state: State) -> list[str]:
    """A line for each file with unreadable rows: how many, and what is wrong with the first."""
    counts = {source_id: manifest.counts["unreadable"] for source_id, manifest in state.counting.items()}
    return [_unreadable(pipeline, state.counting[source_id]) for source_id, rows in counts.items() if rows]


def remarks(state: State) -> list[str]:
    """A line for each thing that was remarked of files that count, with the latest of these."""
    paths: dict[str, list[str]] = {}
    for manifest in sorted(state.counting.values(), key=lambda m: m.arrival.modified_ns, reverse=True):
        for remark in manifest.arrival.remarks:
            paths.setdefault(remark, []).append(manifest.arrival.path)
    return [
        f"[yellow]remark[/yellow] {escape(of_it[0])}"
        + (f" and {len(of_it) - 1:,} more" if len(of_it) > 1 else "")
        + f": {escape(remark)}"
        for remark, of_it in paths.items()
    ]


def _unreadable(pipeline: Pipeline, landed: Manifest) -> str:
    table, counts = TABLES["unreadable_rows"], landed.counts
    says = (
        f"[yellow]unreadable[/yellow] {escape(landed.arrival.path)}: {counts['unreadable']:,} of "
        f"{counts['rows_read']:,} rows, first "
    )
    try:
        rows = read_partition(home_of(pipeline.lake, table.name, landed.partition), table, landed.partition)
    except LakeError as error:  # a run may just be moving them
        return says + escape(str(error))
    (first,) = rows.slice(0, 1).to_pylist()
    return f"{says}row {first['source_row']}: " + escape("; ".join(first["reasons"]))


def failed_days(pipeline: Pipeline, instance: dg.DagsterInstance, state: State) -> list[str]:
    """A line for each table with days that a run could not make and none has made since.

    Held days and the lists that they hold back are said elsewhere.
    """
    settings = pipeline.settings
    span = days(settings.first_day, settings.last_day, settings.time_zone)
    lines = []
    for table in RANGE_TABLES:
        there = state[table]
        found = instance.get_status_by_partition(pipeline.key(table), span.get_partition_keys(), span) or {}
        failed = [
            date.fromisoformat(key) for key, status in found.items() if status and status.name == "FAILED"
        ]
        missing = tuple(
            day
            for day in failed
            if not there.get(day)
            and not state.is_held(day)
            and not (
                table == "campaign_lists"
                and (state.held_lately(day) or odd_ids_that_hold(state, pipeline.recipe, day))
            )
        )
        if missing:
            again = f"retail-pipeline backfill {missing[0]} {missing[-1]}"
            lines.append(f"{table} of {_spans(missing)}: no run has made them since; `{again}` does")
    return lines


def _standing_failures(instance: dg.DagsterInstance, pipeline: Pipeline, but: Collection[str]) -> list[str]:
    """The last run of each job on this lake, where it failed: what it said."""
    lines = []
    for job in [name for name in jobs(pipeline) if name not in but]:
        for run in instance.get_runs(dg.RunsFilter(job_name=job, tags=pipeline.tags), limit=1):
            if run.status == dg.DagsterRunStatus.FAILURE:
                lines.append(f"{job} run {run.run_id[:8]}: {why_failed(instance, run.run_id)[1]}")
    return lines


def _ends(names: list[str] | tuple[str, ...]) -> str:
    if not names:
        return ""
    return escape(names[0] if len(names) == 1 else f"{names[0]} … {names[-1]}")


def _spans(days: tuple[date, ...]) -> str:
    spans = [f"{first}" if first == last else f"{first} … {last}" for first, last in ranges(days)]
    return ", ".join(spans[:4]) + (f" and {len(spans) - 4} more" if len(spans) > 4 else "")

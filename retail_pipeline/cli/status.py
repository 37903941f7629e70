"""What the command prints: the plan, the progress, the summary, the status."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory

import dagster as dg
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table as Grid

from retail_pipeline.cli.console import plain_text
from retail_pipeline.defs.instance import namesakes
from retail_pipeline.defs.jobs import LANDING, jobs
from retail_pipeline.defs.partitions import days
from retail_pipeline.defs.requests import why_failed
from retail_pipeline.defs.resources import Pipeline
from retail_pipeline.engine.duckdb import connect
from retail_pipeline.ingest.till_figures import of_days
from retail_pipeline.lake.damage import damage
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

# of each layer: the table whose making ends its work on a partition, and what it is doing
LAYERS = {
    "files": ("raw_transactions", "landing files"),
    "days": ("transactions", "making days"),
    "customer_days": ("customer_days", "orders over days"),
    "months": ("segmentation_models", "training months"),
    "snapshots": ("campaign_lists", "segments and lists"),
    "reports": ("report", "making the report"),
}


@contextmanager
def progress(console: Console, last: str = "campaign_lists") -> Iterator[tuple[OnLayer, OnMade]]:
    """A bar a layer; yields what to call when a layer starts and when a partition is made.

    ``last`` is the table that a snapshot is made up to.
    """
    bars: dict[str, TaskID] = {}
    columns = (TextColumn("{task.description:<18}"), BarColumn(20), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, TextColumn("{task.fields[now]}"), console=console) as shown:

        def on_layer(layer: str, partitions: int) -> None:
            table, doing = LAYERS[layer]
            bars[last if layer == "snapshots" else table] = shown.add_task(doing, total=partitions, now="")

        def on_made(table: str, partition: str) -> None:
            if table in bars:
                shown.update(bars[table], advance=1, now=partition.split("@")[0][:24])

        yield on_layer, on_made


def print_plan(console: Console, work: Work, cost: Cost) -> None:
    if not work:
        console.print("everything is up to date")
        return
    grid = Grid("what", "how many", "which", title="plan")
    for what, parts, which in (
        ("files to land", work.files, _ends([file.path for file in work.files])),
        ("days to make", work.days, _spans(work.days)),
        ("months to train", work.months, _ends(work.months)),
        ("snapshots with lists", work.snapshots, _spans(work.snapshots)),
        ("reports", work.reports, _ends([str(day) for day in work.reports])),
    ):
        grid.add_row(what, f"{len(parts):,}", which)
    console.print(grid)
    if work.files:
        console.print("and what the new files touch, known once they have landed")
    elif work.days or work.months:
        console.print("and the earlier snapshots that they change, known once they are made")
    console.print(f"about {cost.seconds:.0f} s")


def print_summary(
    console: Console, pipeline: Pipeline, day: date, up_to_date: bool, made: Collection[date] = ()
) -> bool:
    """What a run leaves behind; True when anything waits for a person: held days, files, models.

    Files, rows, what the days that it ``made`` came to, customers, segments, lists.
    """
    state, recipe = pipeline.state(tuple(pipeline.listing().files)), pipeline.recipe
    console.print("everything was up to date" if up_to_date else f"up to date through {day}")
    print_deliveries(console, pipeline, state)
    waiting_files = in_quarantine(state)
    lines = [*without_profile(state, recipe), *waiting_files[:MOST_LINES]]
    if (more := len(waiting_files) - MOST_LINES) > 0:
        lines.append(f"and {more:,} more in quarantine; `retail-pipeline quarantine list` shows all")
    held, waits = held_days(state), waiting(pipeline, state, day)
    _print(console, [*lines, *unreadable(pipeline, state, MOST_LINES), *remarks(state), *held])
    if state.first_day is None or state.first_day > day:
        landing = escape(str(pipeline.settings.landing))
        console.print(f"[yellow]nothing delivered[/yellow] through {day}; landing is {landing}")
        return bool(state.landed or state.quarantined)
    print_till(console, pipeline, state, made)
    features = state["rfm_features"].get(day)
    console.print(f"customers {features.rows if features else 0:,} as of {day}")
    for name, manifest in sorted(state["segment_assignments"].get(day, {}).items()):
        sizes = ", ".join(f"{segment} {n:,}" for segment, n in manifest.counts.items())
        console.print(f"  {name}: {sizes}", markup=False)
    _print(console, strange_ids(state, recipe, day))
    if lately := state.held_lately(day):
        days = ", ".join(map(str, lately))
        console.print(f"[red]no lists[/red]: {days} held or not made; `retail-pipeline status` says why")
        return True
    if odd_ids_that_hold(state, recipe, day):
        console.print("[red]no lists[/red]: odd ids hold them back; `checks.ids: warn` does not")
        return True
    _print(console, waits)
    lists = sorted(state["campaign_lists"].get(day, {}).items())
    console.print(f"lists {len(lists)}" if lists else "no lists")
    for name, manifest in lists:
        path = pipeline.lake.data("campaign_lists", manifest.partition)
        who = f"{manifest.rows:,} customers, {manifest.counts['control']:,} of them control, {path}"
        console.print(f"  {name}: {who if manifest.rows else 'nobody'}", markup=False)
    _print(console, late(state, recipe, day))
    if report := state["report"].get(day):
        path = pipeline.lake.partition(report.table, report.partition) / TABLES["report"].file
        console.print(f"report {path}", markup=False)
    return bool(state.quarantined or held or waits)


def _print(console: Console, lines: Iterable[str]) -> None:
    for line in lines:
        console.print(line)


def print_deliveries(console: Console, pipeline: Pipeline, state: State) -> None:
    """Files and rows: read, and what became of them; refused ones by rule, with their money."""
    rows, currency = account(state), pipeline.currency(state)
    console.print(rows.says)
    if rows.unaccounted:
        console.print(
            f"[red]{rows.unaccounted:,} rows are not accounted for[/red]: `retail-pipeline check` says why"
        )
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
        if len(latest) < len(used):
            # orders and customers do not add up: they are counted anew, unless that reads too many lines
            few = sum(manifest.rows for manifest in used.values()) <= MOST_ROWS
            tallies = (manifest.till for manifest in used.values())
            every = of_days(engine, pipeline.lake, used).in_all if few else uncounted(tallies)
            rows.append((f"all {len(used):,} days", every))
        return rows


@dataclass(frozen=True)
class Status:
    """What there is, and lines of markup by what they are about: damaged, ignored, held, failed and so on.

    ``is_well``: nothing is amiss.
    """

    state: State
    work: Work
    through: date
    lines: Mapping[str, Sequence[str]]
    is_well: bool


def status_of(
    pipeline: Pipeline, instance: dg.DagsterInstance, through: Callable[[], date], damaged: Sequence[str]
) -> Status:
    """What there is, what is stale, what failed and why; ``damaged`` as ``damaged_lines`` has it."""
    listing, recipe = pipeline.listing(), pipeline.recipe
    state, day = pipeline.state(tuple(listing.files)), through()
    work = plan(state, recipe, day)
    changed = [month for month in sorted(state["model_candidates"]) if rests_on_other_data(state, month)]
    # what a landing run could not take is in quarantine, and as long as it stands there, said there
    of_jobs = _standing_failures(instance, pipeline, () if work.files else (LANDING,))
    failed = [*of_jobs, *failed_days(pipeline, instance, state)]
    shared = namesakes(instance, pipeline)
    lines = {
        "damaged": damaged,
        "ignored": [f"  ignored {escape(name)}: {escape(why)}" for name, why in listing.ignored.items()],
        "waiting": [f"  waiting {escape(name)}: {escape(why)}" for name, why in listing.waiting.items()],
        "held": held_days(state),
        "no profile": without_profile(state, recipe),
        "in quarantine": in_quarantine(state),
        "with unreadable rows": unreadable(pipeline, state),
        "remarks": remarks(state),
        "odd ids": strange_ids(state, recipe, day),
        "waiting models": waiting(pipeline, state, day),
        "changed": [
            f"[yellow]changed[/yellow] data under the models of {_ends(changed)}: they stay as fitted until "
            "`retail-pipeline model retrain --changed --why …`"
        ][: len(changed)],
        "late": late(state, recipe, day, work.snapshots),
        "failed": [f"[red]failed[/red] {escape(line)}" for line in failed],
        "shared": [f"[yellow]shared[/yellow] {escape(shared)}"] if shared else [],
    }
    stands = ("damaged", "held", "no profile", "in quarantine", "waiting models", "failed")
    amiss = work or odd_ids_that_hold(state, recipe, day) or any(lines[name] for name in stands)
    return Status(state, work, day, lines, not amiss)


def damaged_lines(pipeline: Pipeline) -> list[str]:
    """A line for every file of the lake that is damaged or gone, with what to do."""
    found = damage(pipeline.lake, {file.source_id for file in pipeline.in_landing()})
    return [f"[red]damaged[/red] {escape(line)}" for line in found]


def print_status(console: Console, pipeline: Pipeline, found: Status, everything: bool = False) -> None:
    """Print a status; of lines about the same only the first, unless ``everything`` is wanted."""
    state, lines = found.state, dict(found.lines)
    most = None if everything else MOST_LINES

    def say(name: str) -> None:
        of_it = lines.pop(name)
        _print(console, of_it[:most])
        if more := len(of_it) - len(of_it[:most]):
            console.print(f"  and {more:,} more {name}; `status --all` shows all")

    say("damaged")
    print_deliveries(console, pipeline, state)
    if state.first_day:
        lake = escape(str(pipeline.lake.root))
        console.print(f"delivered {state.first_day} to {state.last_day}; lake {lake}")
    print_till(console, pipeline, state)
    say("ignored")
    say("waiting")
    if found.work:
        console.print(f"[yellow]stale[/yellow] as of {found.through}; `retail-pipeline run` would do this:")
        print_plan(console, found.work, cost_of(state, pipeline.recipe, found.work))
    else:
        console.print(f"[green]up to date[/green] through {found.through}")
    for name in list(lines):
        say(name)


def status_as_json(found: Status) -> dict[str, object]:
    """A status for other programs: counts, partitions, and the lines by what they are about."""
    rows, work = account(found.state), found.work
    return {
        "is_well": found.is_well,
        "through": str(found.through),
        "delivered": [str(found.state.first_day), str(found.state.last_day)] if found.state.first_day else [],
        "files": rows.files,
        "rows_read": rows.rows_read,
        "rows": rows.became,
        "stale": {
            "files": [file.path for file in work.files],
            **{
                layer: [str(key) for key in getattr(work, layer)]
                for layer in ("days", "months", "snapshots", "reports")
            },
        },
        "held_days": [str(day) for day in found.state.held_days(date.min, date.max)],
        "lines": {name: [plain_text(line) for line in of_it] for name, of_it in found.lines.items()},
    }


def held_days(state: State) -> list[str]:
    return [
        f"[red]held[/red] {day}: {escape(state.why_held(day))}; "
        f"`retail-pipeline days release {day} --why …` accepts it"
        for day in state.held_days(date.min, date.max)
    ]


def strange_ids(state: State, recipe: Recipe, day: date) -> list[str]:
    colour = "red" if recipe.ids == "hold" else "yellow"
    found = odd_ids(state, recipe, day).values()
    return [f"[{colour}]odd ids[/{colour}] as of {day}: {escape(says)}" for says in found]


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


def unreadable(pipeline: Pipeline, state: State, most: int | None = None) -> list[str]:
    """A line for each file with unreadable rows, ``most`` at most: how many, what is wrong with the first."""
    table, lines = TABLES["unreadable_rows"], []
    files = [landed for landed in state.counting.values() if landed.counts["unreadable"]]
    for landed in files[:most]:
        home = home_of(pipeline.lake, table.name, landed.partition)
        try:
            (row,) = read_partition(home, table, landed.partition).slice(0, 1).to_pylist()
            first = f"row {row['source_row']}: " + escape("; ".join(row["reasons"]))
        except LakeError as error:  # a run may just be moving them
            first = escape(str(error))
        counts = f"{landed.counts['unreadable']:,} of {landed.counts['rows_read']:,} rows"
        lines.append(f"[yellow]unreadable[/yellow] {escape(landed.arrival.path)}: {counts}, first {first}")
    if more := len(files[len(lines) :]):
        lines.append(f"and {more:,} more files with unreadable rows; `status --all` shows all")
    return lines


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


def failed_days(pipeline: Pipeline, instance: dg.DagsterInstance, state: State) -> list[str]:
    """A line for each table with days that a run could not make and none has made since.

    Held days and the lists that they hold back are said elsewhere.
    """
    settings = pipeline.settings
    span = days(settings.first_day, settings.last_day, settings.time_zone)
    lines = []

    def is_said(table: str, day: date) -> bool:
        held = state.is_held(day) or (table == "campaign_lists" and state.held_lately(day))
        return bool(held or (table == "campaign_lists" and odd_ids_that_hold(state, pipeline.recipe, day)))

    for table in RANGE_TABLES:
        found = instance.get_status_by_partition(pipeline.key(table), span.get_partition_keys(), span) or {}
        failed = [date.fromisoformat(key) for key, s in found.items() if s and s.name == "FAILED"]
        missing = tuple(day for day in failed if not state[table].get(day) and not is_said(table, day))
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


def _ends(names: Sequence[str]) -> str:
    return escape(" … ".join(dict.fromkeys([*names[:1], *names[-1:]])))


def _spans(days: tuple[date, ...]) -> str:
    spans = [_ends([str(first), str(last)]) for first, last in ranges(days)]
    return ", ".join(spans[:4]) + (f" and {len(spans) - 4} more" if len(spans) > 4 else "")

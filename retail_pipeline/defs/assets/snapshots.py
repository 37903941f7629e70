"""rfm_features, segment_assignments and campaign_lists, as of the end of a day."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, timedelta
from itertools import groupby
from typing import TYPE_CHECKING, Any, TypeAlias

import dagster as dg
import pyarrow as pa
import pyarrow.compute as pc

from retail_pipeline.campaigns.lists import Campaign, candidates_sql, control_below, measurable_lift
from retail_pipeline.defs.assets.declared import make_declared
from retail_pipeline.defs.assets.released_lists import take_lists_away, write_list
from retail_pipeline.defs.events import blocking, log_check, log_findings, log_made
from retail_pipeline.defs.runner import Bad, Run, make_all, not_made
from retail_pipeline.engine import EngineError
from retail_pipeline.engine.validation import counted, validate
from retail_pipeline.lake.models import own_model_path, read_model, read_own_model
from retail_pipeline.lake.partitions import read_partition, remove_partition, replace_file, write_partitions
from retail_pipeline.lake.slices import slices
from retail_pipeline.lake.suppression import SuppressionError, read_suppressed
from retail_pipeline.planning.calendar import close_before, every_day, last_of_month, month_of
from retail_pipeline.planning.customer_checks import (
    SHARE_DAYS,
    SMALLEST_SHARE,
    USUAL_DAYS,
    Oddities,
    oddities,
)
from retail_pipeline.planning.inputs import (
    BOOTSTRAP,
    SAME_SNAPSHOT,
    inputs_of,
    model_source,
    why_not_fitted,
)
from retail_pipeline.planning.manifests import Manifest
from retail_pipeline.planning.plan import (
    BY_STATEMENT,
    SNAPSHOT_TABLES,
    odd_ids,
    odd_ids_that_hold,
    release_notes,
)
from retail_pipeline.planning.readiness import Finding
from retail_pipeline.segmentation import FittedSegmentation, fit, to_json
from retail_pipeline.tables import TABLES
from retail_pipeline.tables.table import Table

if TYPE_CHECKING:
    import pandas as pd

BATCH_ROWS = 600_000
FEATURES, ASSIGNMENTS, LISTS = (TABLES[t] for t in ("rfm_features", "segment_assignments", "campaign_lists"))
_RECENT_DAYS = """
    select date, customer_id, lines, orders, gross_amount, net_amount, first_visit_at from customer_days"""
OWN_MODEL = (BOOTSTRAP, SAME_SNAPSHOT)
Snapshots: TypeAlias = Mapping[Any, pa.Table]  # the rows of one table, by day or by the name in its key


def make_snapshots(run: Run, days: Sequence[date]) -> Bad[date]:
    run.days = (min(days), max(days))
    return make_all(batches(run, days), lambda batch: make_batch(run, batch))


def batches(run: Run, days: Sequence[date]) -> Iterator[list[date]]:
    """Days in batches that make some 600,000 rows of a table, to bound memory.

    How many customers there are is known when the first snapshots are made; so the batches grow.
    """
    names = run.pipeline.settings.segmentations
    rows_a_customer = 1 if set(run.selected) == {FEATURES.name} else len(names)
    start, size = 0, 4
    while start < len(days):
        orders = sum(manifest.rows for manifest in run.state["customer_days"].values())
        customers = max((manifest.rows for manifest in run.state["rfm_features"].values()), default=orders)
        size = max(1, min(2 * size, BATCH_ROWS // max(1, customers * rows_a_customer)))
        yield list(days[start : start + size])
        start += size


def make_batch(run: Run, days: Sequence[date]) -> Bad[date]:
    """Make the selected tables of a batch of days; return the bad days with what is wrong."""
    if "rfm_features" in run.selected:
        features, bad = make_features(run, days)
    else:
        features, bad = read_features(run, days), {}
    good = [day for day in days if day not in bad]
    if "segment_assignments" in run.selected:
        assignments, worse = make_assignments(run, good, features)
        bad |= worse
    else:
        assignments = {}
    if "campaign_lists" in run.selected:
        bad |= make_lists(run, [day for day in good if day not in bad], features, assignments)
    others = [name for name in BY_STATEMENT if name in SNAPSHOT_TABLES]
    return make_declared(run, others, good) | bad


def make_features(run: Run, days: Sequence[date]) -> tuple[Snapshots, Bad[date]]:
    by_day = features_of(run, days)
    suite = run.pipeline.suite(FEATURES.name, run.state)
    failures = validate({str(day): rows for day, rows in by_day.items()}, FEATURES, suite)
    good = [day for day in days if not blocking(failures[str(day)])]
    partitions = [
        (
            {"snapshot_date": str(day)},
            by_day[day],
            inputs_of(run.state, run.pipeline.recipe, FEATURES.name, day),
            {"counts": run.odd[day].counts},
        )
        for day in good
    ]
    made = dict(zip(good, write_partitions(run.pipeline.lake, FEATURES, partitions), strict=True))
    for day, features in by_day.items():
        found = failures[str(day)]
        if day in made:
            figures = {"lapsed": pc.sum(pc.equal(features["frequency"], 0)).as_py() or 0}
            log_made(run.log, FEATURES.name, str(day), made[day].rows, **figures)
        figures = {"rows": len(features), "expectations": len(suite)}
        log_check(run.log, FEATURES.name, "rfm_features_are_valid", str(day), found, figures)
        run.pipeline.on_made(FEATURES.name, str(day))
    run.state = run.state.having(rfm_features={**run.state["rfm_features"], **made})
    for day in made:
        log_odd_ids(run, day)
    bad = {day: blocking(failures[str(day)]) for day in days if day not in made}
    return {day: by_day[day] for day in made}, bad


def log_odd_ids(run: Run, day: date) -> None:
    """Record what is odd about a snapshot's customer ids; that nothing is, of the run's last day alone."""
    recipe = run.pipeline.recipe
    odd, holds = odd_ids(run.state, recipe, day), odd_ids_that_hold(run.state, recipe, day)
    if odd or run.days is None or day == run.days[1]:
        findings = [Finding("odd", says, bool(holds)) for says in odd.values()]
        figures = {**run.odd[day].counts, **run.odd[day].examples}
        log_findings(run.log, FEATURES.name, "customers_are_told_apart", str(day), findings, figures)


def read_features(run: Run, days: Iterable[date]) -> Snapshots:
    lake, made = run.pipeline.lake, run.state["rfm_features"]
    return {day: read_partition(lake, FEATURES, {"snapshot_date": str(day)}) for day in days if day in made}


def features_of(run: Run, days: Sequence[date]) -> Snapshots:
    """The RFM features of some days, in memory."""
    if not days:
        return {}
    _keep_changes(run, min(days), max(days))
    rows = run.engine.run(
        FEATURES.name,
        {"snapshots": pa.table({"snapshot_date": pa.array(days, pa.date32())})},
        net_of_returns=run.pipeline.settings.features.returns == "net",
        returns_are_visits=run.pipeline.settings.features.visits == "sales_and_returns",
    )
    return _by_day(FEATURES, rows, days)


def _by_day(table: Table, rows: pa.Table, days: Sequence[date]) -> Snapshots:
    """The rows of each day, in the columns and types of the table's files."""
    with_day = table.arrow.insert(0, pa.field("snapshot_date", pa.date32()))
    return slices(rows.select(with_day.names).cast(with_day), "snapshot_date", days)


def _keep_changes(run: Run, first: date, last: date) -> None:
    """Have the engine keep what customer_days add up to, for all days of the run at once.

    If they cannot be read, for the given days alone: it may be a later day's that are damaged.
    """
    for span in dict.fromkeys([run.kept or run.days or (first, last), (first, last)]):
        if not span[0] <= first <= last <= span[1]:
            continue
        if run.kept == span:
            return
        try:
            run.engine.keep(
                "feature_changes",
                "feature_changes",
                {"customer_days": _history(run, span[1])},
                window_days=run.pipeline.settings.features.window_days,
                returns_are_visits=run.pipeline.settings.features.visits == "sales_and_returns",
                everybody=run.pipeline.settings.features.customers == "all",
                first=span[0],
                through=span[1],
            )
            run.odd = _odd_ids(run, *span)
        except EngineError:
            if span == (first, last):
                raise
            run.days = None
        else:
            run.kept = span
            return


def _odd_ids(run: Run, first: date, last: date) -> dict[date, Oddities]:
    days = every_day(first, last)
    files = _history(run, last, since=first - timedelta(days=USUAL_DAYS))
    # read once: opening so many small files costs more than what is asked of them
    run.engine.keep("recent_days", _RECENT_DAYS, {"customer_days": files})
    snapshots = pa.table({"snapshot_date": pa.array(days, pa.date32())})
    shares = run.engine.run(
        "customer_shares", {"snapshots": snapshots}, share=SMALLEST_SHARE, days=SHARE_DAYS
    )
    alike, seen = run.engine.run("alike_ids"), run.engine.run("first_seen")
    return oddities(days, alike.to_pylist(), shares.to_pylist(), seen.to_pylist())


def _history(run: Run, through: date, since: date = date.min) -> pa.Table | list[object]:
    days = [day for day in run.state.history(through) if day >= since]
    if not days:
        return TABLES["customer_days"].arrow.empty_table().append_column("date", pa.array([], pa.date32()))
    return [run.pipeline.lake.data("customer_days", {"date": str(day)}) for day in days]


def make_assignments(
    run: Run, days: Sequence[date], features: Snapshots
) -> tuple[Mapping[date, Snapshots], Bad[date]]:
    """Assign the customers of each day's snapshot under every segmentation, with the model in force.

    Return the rows by day and segmentation, and the bad days.
    """
    recipe, names = run.pipeline.recipe, list(run.pipeline.settings.segmentations)
    sources = {day: model_source(run.state, recipe, day) for day in days}
    bad = {
        day: f"no model is in force in {source}: "
        + (why_not_fitted(run.state, source) or f"run monthly_model_job for {source} first")
        for day, source in sources.items()
        if source not in (*OWN_MODEL, *run.state["segmentation_models"])
    } | {day: not_made(FEATURES.name) for day in days if day not in features}
    tables: dict[tuple[str, str], pa.Table] = {}
    for _, month in groupby([day for day in days if day not in bad], month_of):
        of_month = {day: features[day] for day in month}
        for name in names:
            assigned = _assign(run, of_month, sources[min(of_month)], name, tables)
            tables |= {(str(day), name): rows for day, rows in assigned.items()}
    suite = run.pipeline.suite(ASSIGNMENTS.name, run.state)
    failures = validate(tables, ASSIGNMENTS, suite)
    made: dict[date, Mapping[str, pa.Table]] = {}
    for day in days:
        if day in bad:
            continue
        found = [failure for name in names for failure in failures[str(day), name]]
        of_day = {name: tables[str(day), name] for name in names}
        figures = {"rows": sum(map(len, of_day.values())), "expectations": len(suite)}
        log_check(run.log, ASSIGNMENTS.name, "segment_assignments_are_valid", str(day), found, figures)
        if blocking(found):
            bad[day] = blocking(found)
        elif (close := close_before(month_of(day))) in run.failed | bad.keys():
            bad[day] = f"rests on the month close {close}, which could not be made"
        else:
            write_assignments(run, day, sources[day], of_day)
            made[day] = of_day
    run.failed |= bad.keys()
    return made, bad


def _assign(
    run: Run, features: Snapshots, source: str, name: str, made: Mapping[tuple[str, str], pa.Table]
) -> Snapshots:
    some_day = min(features)
    if len(features) == 1 or source in OWN_MODEL:
        assigned = [
            _dated(
                day, run.engine.run(run.query(_model(run, day, source, name, rows)), {"rfm_features": rows})
            )
            for day, rows in features.items()
        ]
    else:
        query = run.query(read_model(run.pipeline.lake, source, name), many_days=True)
        assigned = [run.engine.run(query, {"rfm_features": _together(features)})]
    close = str(close_before(month_of(some_day)))
    rows = run.engine.run(
        ASSIGNMENTS.name,
        {
            "assigned": pa.concat_tables(assigned),
            "previous": made[close, name] if (close, name) in made else _written(run, close, name),
        },
        month_close=last_of_month(some_day),
        model_month=source,
    )
    return _by_day(ASSIGNMENTS, rows, list(features))


def _model(run: Run, day: date, source: str, name: str, features: pa.Table) -> FittedSegmentation:
    own = source in OWN_MODEL
    return fit_on(run, day, name, features) if own else read_model(run.pipeline.lake, source, name)


def _together(snapshots: Snapshots) -> pa.Table:
    return pa.concat_tables([_dated(day, rows) for day, rows in snapshots.items()])


def _dated(day: date, rows: pa.Table) -> pa.Table:
    return rows.append_column("snapshot_date", pa.repeat(pa.scalar(day, pa.date32()), len(rows)))


def _written(run: Run, close: str, name: str) -> pa.Table:
    if name in run.state["segment_assignments"].get(date.fromisoformat(close), {}):
        return read_partition(run.pipeline.lake, ASSIGNMENTS, {"snapshot_date": close, "segmentation": name})
    return ASSIGNMENTS.arrow.empty_table()


def write_assignments(run: Run, day: date, source: str, tables: Mapping[str, pa.Table]) -> None:
    lake, partitions = run.pipeline.lake, []
    for name, rows in tables.items():
        keys = {"snapshot_date": str(day), "segmentation": name}
        inputs = inputs_of(run.state, run.pipeline.recipe, ASSIGNMENTS.name, day, name)
        own_model = own_model_path(lake, day, name)
        if source in OWN_MODEL:
            replace_file(lake, own_model, to_json(run.fitted[name, inputs["rfm_features"]]).encode())
        else:
            own_model.unlink(missing_ok=True)
        partitions.append((keys, rows, inputs, {"counts": _sizes(rows)}))
    made = dict(zip(tables, write_partitions(lake, ASSIGNMENTS, partitions), strict=True))
    for name in run.state["segment_assignments"].get(day, {}).keys() - made.keys():
        remove_partition(lake, ASSIGNMENTS.name, {"snapshot_date": str(day), "segmentation": name})
    run.state = run.state.having(segment_assignments={**run.state["segment_assignments"], day: made})
    sizes = {f"{name}: {segment}": n for name, m in made.items() for segment, n in m.counts.items()}
    log_made(run.log, ASSIGNMENTS.name, str(day), sum(m.rows for m in made.values()), model=source, **sizes)
    run.pipeline.on_made(ASSIGNMENTS.name, str(day))


def model_of(run: Run, day: date, name: str) -> FittedSegmentation:
    """The fitted segmentation that a made snapshot was assigned with."""
    source, lake = model_source(run.state, run.pipeline.recipe, day), run.pipeline.lake
    return read_own_model(lake, day, name) if source in OWN_MODEL else read_model(lake, source, name)


def fit_on(run: Run, day: date, name: str, features: pa.Table) -> FittedSegmentation:
    """Fit one segmentation on a day's features, once a run."""
    key = (name, run.state["rfm_features"][day].content)
    if key not in run.fitted:
        run.fitted[key] = dated(fit(frame(features), run.pipeline.settings.segmentations[name]), day)
    return run.fitted[key]


def dated(fitted: FittedSegmentation, day: date) -> FittedSegmentation:
    return fitted.model_copy(update={"card": fitted.card.model_copy(update={"trained_through": day})})


def frame(features: pa.Table) -> "pd.DataFrame":
    """Features as a fit takes them: a DataFrame, its decimals as floats."""
    decimals = {f.name for f in features.schema if pa.types.is_decimal(f.type)}
    columns = [
        features[n].cast(pa.float64()) if n in decimals else features[n] for n in features.column_names
    ]
    found: pd.DataFrame = pa.table(columns, names=features.column_names).to_pandas()
    return found


def make_lists(
    run: Run, days: Sequence[date], features: Snapshots, assignments: Mapping[date, Snapshots]
) -> Bad[date]:
    """Make the campaign lists of each day, unless a held day or the suppression file stands against it."""
    campaigns = run.pipeline.settings.campaigns_in_force
    needed = {campaign.segmentation for campaign in campaigns.values()}
    bad: Bad[date] = {
        day: not_made(ASSIGNMENTS.name)
        for day in days
        if not needed <= run.state["segment_assignments"].get(day, {}).keys()
    }
    awaited: set[date] = set()
    for day in [day for day in days if day not in bad]:
        if odd := odd_ids_that_hold(run.state, run.pipeline.recipe, day):
            bad[day] = f"no lists: {'; '.join(odd)}; or set `checks.ids: warn`"
            take_lists_away(run, day, ())
        elif held := log_held_days(run, day):
            named = ", ".join(map(str, held))
            bad[day] = f"no lists: {named} held or not made; `retail-pipeline status` says why"
            awaited |= {day} if all(map(run.state.is_awaited, held)) else set()
            take_lists_away(run, day, ())
    objected, distrusted = _suppressed(run, [day for day in days if day not in bad])
    for day in distrusted:
        take_lists_away(run, day, ())
    bad |= distrusted
    good = [day for day in days if day not in bad]
    tables = _lists(run, good, features, assignments, objected) if good else {}
    suite = run.pipeline.suite(LISTS.name, run.state)
    failures = validate(tables, LISTS, suite)
    for day in good:
        found = [failure for name in campaigns for failure in failures[str(day), name]]
        of_day = {name: tables[str(day), name] for name in campaigns}
        figures = {
            "rows": sum(map(len, of_day.values())),
            "lists": len(of_day),
            "suppression file": len(objected),
            "expectations": len(suite),
        }
        log_check(run.log, LISTS.name, "campaign_lists_are_valid", str(day), found, figures)
        if blocking(found):
            bad[day] = blocking(found)
        else:
            write_lists(run, day, of_day)
    for day in days:
        run.pipeline.on_made(LISTS.name, str(day))
    # lists that wait for a delivery are not made, but nothing has gone wrong
    return {day: why for day, why in bad.items() if day not in awaited}


def _suppressed(run: Run, days: Sequence[date]) -> tuple[pa.Table, Bad[date]]:
    """The customers who objected, and the days for which their file cannot be trusted: it may be too old."""
    bad: Bad[date] = {}
    for day in sorted(days, reverse=True):
        try:
            return read_suppressed(run.pipeline.settings.suppression, day), bad
        except SuppressionError as error:
            bad[day] = f"no lists: {error}"
    return pa.table({"customer_id": pa.array([], pa.string())}), bad


def log_held_days(run: Run, day: date) -> list[date]:
    """The held days that keep a day's lists from being made, and the check that says so; older ones warn."""
    lately, ever = run.state.held_lately(day), run.state.held_days(date.min, day)
    older = [held for held in ever if held not in lately]
    every = "every day of the last 7 is made and not held"
    stays = not all(map(run.state.is_awaited, lately))
    found = counted(every, len(lately), stays, _dates(lately), "days")
    found += counted("no earlier day is held", len(older), False, _dates(older), "days")
    figures = {"held or not made in the last 7 days": len(lately), "held before": len(older)}
    log_check(run.log, LISTS.name, "no_recent_day_is_held", str(day), found, figures)
    return lately


def _dates(days: Sequence[date]) -> list[dict[str, str]]:
    return [{"held day": str(day)} for day in days]


def write_lists(run: Run, day: date, tables: Mapping[str, pa.Table]) -> None:
    """Write a day's lists, one partition a campaign, and take away those of campaigns that are no more."""
    made = {name: write_list(run, day, name, rows) for name, rows in tables.items()}
    lists = run.state["campaign_lists"]
    run.state = run.state.having(campaign_lists={**lists, day: {**lists.get(day, {}), **made}})
    take_lists_away(run, day, made)
    left, notes = run.state["campaign_lists"][day], release_notes(run.state, day)
    summary = dg.MetadataValue.md(lists_summary(left, run.pipeline.settings.campaigns_in_force, notes))
    log_made(run.log, LISTS.name, str(day), sum(m.rows for m in left.values()), lists=summary)


def _lists(
    run: Run,
    days: Sequence[date],
    features: Snapshots,
    assignments: Mapping[date, Snapshots],
    objected: pa.Table,
) -> dict[tuple[str, str], pa.Table]:
    lists: dict[tuple[str, str], pa.Table] = {}
    known = _together({day: features[day] for day in days})
    campaigns = run.pipeline.settings.campaigns_in_force
    for segmentation in dict.fromkeys(campaign.segmentation for campaign in campaigns.values()):
        assigned = _together({day: _assigned(run, day, segmentation, assignments) for day in days})
        for name, campaign in campaigns.items():
            if campaign.segmentation != segmentation:
                continue
            candidates = run.engine.run(
                candidates_sql(campaign), {"segment_assignments": assigned, "rfm_features": known}
            )
            rows = run.engine.run(
                LISTS.name,
                {"candidates": candidates, "suppressed": objected},
                campaign=name,
                salt=run.pipeline.settings.campaign_salt,
                control_below=control_below(campaign.holdout),
                offer=campaign.offer,
                channel=campaign.channel,
            )
            lists |= {(str(day), name): listed for day, listed in _by_day(LISTS, rows, days).items()}
    return lists


def _assigned(run: Run, day: date, name: str, made: Mapping[date, Snapshots]) -> pa.Table:
    keys = {"snapshot_date": str(day), "segmentation": name}
    return made[day][name] if day in made else read_partition(run.pipeline.lake, ASSIGNMENTS, keys)


def lists_summary(
    lists: Mapping[str, Manifest], campaigns: Mapping[str, Campaign], notes: Mapping[str, str]
) -> str:
    """A Markdown table of a day's lists: sizes, arms, what difference the holdout can show, and notes."""
    lines = ["| list | segments | customers | control | measurable lift | |", "|---|---|---:|---:|---|---|"]
    for name, manifest in lists.items():
        shown = measurable_lift(manifest.rows - manifest.counts["control"], manifest.counts["control"])
        segments = ", ".join(campaigns[name].segments) if name in campaigns else "none: switched off"
        lines.append(
            f"| {name} | {segments} | {manifest.rows:,} | {manifest.counts['control']:,} | {shown} "
            f"| {notes.get(name, '')} |"
        )
    return "\n".join(lines)


def _sizes(rows: pa.Table) -> dict[str, int]:
    tallied = pc.value_counts(rows["segment"]).to_pylist()
    return {entry["values"]: entry["counts"] for entry in sorted(tallied, key=lambda e: -e["counts"])}

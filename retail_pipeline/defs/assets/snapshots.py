"""rfm_features, segment_assignments and campaign_lists, as of the end of a day."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, timedelta
from itertools import groupby
from pathlib import Path
from typing import TypeAlias

import dagster as dg
import pyarrow as pa

from retail_pipeline.campaigns.lists import Campaign, candidates_sql, control_below, measurable_lift
from retail_pipeline.defs.assets.declared import make_declared
from retail_pipeline.defs.assets.released_lists import take_lists_away, write_list
from retail_pipeline.defs.events import log_check, log_findings, log_made
from retail_pipeline.defs.runner import Bad, Run, make_all, not_made
from retail_pipeline.engine import EngineError, Input, Target
from retail_pipeline.engine.validation import counted
from retail_pipeline.lake.models import own_model_path, read_model, read_own_model
from retail_pipeline.lake.partitions import remove_partition, replace_file
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
from retail_pipeline.segmentation import (
    FittedSegmentation,
    Snapshot,
    fit_snapshot,
    of_each_moment,
    snapshot,
    to_json,
)
from retail_pipeline.tables import TABLES
from retail_pipeline.tables.segment_assignments import OF_MOMENTS

BATCH_ROWS = 600_000
FEATURES, ASSIGNMENTS, LISTS = (TABLES[t] for t in ("rfm_features", "segment_assignments", "campaign_lists"))
_RECENT_DAYS = """
    select date, customer_id, lines, orders, gross_amount, net_amount, first_visit_at from customer_days"""
_TALLY_OF_FEATURES = """
    select snapshot_date, count(*) as n, count(case when frequency = 0 then 1 end) as lapsed from {}
    group by snapshot_date"""
_TALLY = """
    select snapshot_date, {column} as value, count(*) as n from {kept} group by snapshot_date, {column}
    order by snapshot_date, n desc, value"""
MOST_CUSTOMERS = 10_000_000  # of a fit, which holds four numbers and the id of each
OWN_MODEL = (BOOTSTRAP, SAME_SNAPSHOT)
Sizes: TypeAlias = dict[str, int]  # customers by segment or arm


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
    bad: Bad[date] = {}
    if "rfm_features" in run.selected:
        bad |= make_features(run, days)
    good = [day for day in days if day not in bad]
    if "segment_assignments" in run.selected:
        bad |= make_assignments(run, good)
    if "campaign_lists" in run.selected:
        bad |= make_lists(run, [day for day in good if day not in bad])
    others = [name for name in BY_STATEMENT if name in SNAPSHOT_TABLES]
    return make_declared(run, others, good) | bad


def make_features(run: Run, days: Sequence[date]) -> Bad[date]:
    """Make the RFM features of some days; return the bad days."""
    if not days:
        return {}
    recipe, new = run.pipeline.recipe, keep_features(run, days)
    tally = run.engine.ask(_TALLY_OF_FEATURES.format(new)).to_pylist()
    counts = dict.fromkeys(days, (0, 0)) | {t["snapshot_date"]: (t["n"], t["lapsed"]) for t in tally}
    against = run.judge(FEATURES.name, [(new, {})], {day: rows for day, (rows, _) in counts.items()})
    good = [day for day in days if not against[day]]
    targets = [
        Target(
            {"snapshot_date": str(day)},
            inputs_of(run.state, recipe, FEATURES.name, day),
            {"counts": run.odd[day].counts},
            day,
        )
        for day in good
    ]
    made = dict(zip(good, run.engine.make(run.pipeline.lake, FEATURES, new, targets), strict=True))
    for day in days:
        if day in made:
            rows, lapsed = counts[day]
            log_made(run.log, FEATURES.name, str(day), rows, customers=rows - lapsed, lapsed=lapsed)
        run.pipeline.on_made(FEATURES.name, str(day))
    run.has(FEATURES.name, made)
    for day in made:
        log_odd_ids(run, day)
    return {day: why for day, why in against.items() if why}


def log_odd_ids(run: Run, day: date) -> None:
    """Record what is odd about a snapshot's customer ids; that nothing is, of the run's last day alone."""
    recipe = run.pipeline.recipe
    odd, holds = odd_ids(run.state, recipe, day), odd_ids_that_hold(run.state, recipe, day)
    if odd or run.days is None or day == run.days[1]:
        findings = [Finding("odd", says, bool(holds)) for says in odd.values()]
        figures = {**run.odd[day].counts, **run.odd[day].examples}
        log_findings(run.log, FEATURES.name, "customers_are_told_apart", str(day), findings, figures)


def keep_features(run: Run, days: Sequence[date]) -> str:
    """Have the engine keep the RFM features of some days; the name under which they lie."""
    _keep_changes(run, min(days), max(days))
    settings = run.pipeline.settings.features
    run.engine.keep(
        "new_features",
        FEATURES.name,
        {"snapshots": pa.table({"snapshot_date": pa.array(days, pa.date32())})},
        net_of_returns=settings.returns == "net",
        returns_are_visits=settings.visits == "sales_and_returns",
    )
    return "new_features"


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
    shares = run.engine.ask(
        "customer_shares", {"snapshots": snapshots}, share=SMALLEST_SHARE, days=SHARE_DAYS
    )
    alike, seen = run.engine.ask("alike_ids"), run.engine.ask("first_seen")
    return oddities(days, alike.to_pylist(), shares.to_pylist(), seen.to_pylist())


def _history(run: Run, through: date, since: date = date.min) -> pa.Table | list[object]:
    days = [day for day in run.state.history(through) if day >= since]
    if not days:
        return TABLES["customer_days"].arrow.empty_table().append_column("date", pa.array([], pa.date32()))
    return [run.pipeline.lake.data("customer_days", {"date": str(day)}) for day in days]


def make_assignments(run: Run, days: Sequence[date]) -> Bad[date]:
    """Assign the customers of each day's snapshot under every segmentation, with the model in force.

    Return the bad days.
    """
    recipe = run.pipeline.recipe
    sources = {day: model_source(run.state, recipe, day) for day in days}
    bad = {
        day: f"no model is in force in {source}: "
        + (why_not_fitted(run.state, source) or f"run monthly_model_job for {source} first")
        for day, source in sources.items()
        if source not in (*OWN_MODEL, *run.state["segmentation_models"])
    } | {day: not_made(FEATURES.name) for day in days if day not in run.state[FEATURES.name]}
    run.failed |= bad.keys()
    for _, month in groupby([day for day in days if day not in bad], month_of):
        of_month = list(month)
        bad |= _assign(run, of_month, sources[of_month[0]])
        run.failed |= bad.keys()
    return bad


def _assign(run: Run, days: Sequence[date], source: str) -> Bad[date]:
    """Assign the customers of some days of one month; return the bad days."""
    close, kept, counts = close_before(month_of(days[0])), dict[str, str](), dict[str, dict[date, Sizes]]()
    for name in run.pipeline.settings.segmentations:
        if source in OWN_MODEL:
            each = [(fit_on(run, day, name), [day]) for day in days]
        else:
            each = [(read_model(run.pipeline.lake, source, name), [*days])]
        parts: list[str] = []
        for model, of_model in each:
            parts.append(f"new_assignments_{len(kept)}_{len(parts)}")
            keep_segments(
                run, parts[-1], name, model, features_files(run, of_model), close,
                month_close=last_of_month(days[0]), source=source,
            )  # fmt: skip
        kept[name] = _together(run, f"new_assignments_{len(kept)}", parts)
        counts[name] = _sizes(run, kept[name], "segment")
    rows = {day: sum(sum(of_name.get(day, {}).values()) for of_name in counts.values()) for day in days}
    against = run.judge(ASSIGNMENTS.name, [(k, {"segmentation": n}) for n, k in kept.items()], rows)
    bad = {day: why for day, why in against.items() if why}
    if close in run.failed:
        bad = dict.fromkeys(days, f"rests on the month close {close}, which could not be made") | bad
    write_assignments(run, [day for day in days if day not in bad], source, kept, counts)
    return bad


def keep_segments(
    run: Run,
    part: str,
    name: str,
    model: FittedSegmentation,
    features: Input,
    close: date,
    *,
    month_close: date,
    source: str,
) -> None:
    """Have the engine keep as ``part`` what a model makes of the customers of some days of a month.

    ``close``: the month close before, where they are looked for first.
    """
    keep, steady = run.engine.keep, run.pipeline.settings.segmentations[name]
    had = name in run.state[ASSIGNMENTS.name].get(close, {})
    keep("assigned", run.query(model), {"rfm_features": features})
    inputs: dict[str, Input] = {
        "assigned": "assigned",
        "previous": [assigned_file(run, close, name)] if had else ASSIGNMENTS.arrow.empty_table(),
        "given": OF_MOMENTS.empty_table(),
        "near": OF_MOMENTS.empty_table(),
    }
    if had and steady.is_steady:
        moments = run.query(model, of_each_moment)
        at_close = {"rfm_features": features, "close": features_files(run, [close])}
        keep("before", "segments_before", at_close, close=close)
        keep("given", moments, {"rfm_features": "before"})
        inputs["given"] = "given"
        doubted: dict[str, Input] = {**inputs, "before": "before", "rfm_features": features}
        keep("near_features", "near_features", doubted, margin=steady.margin, stay_days=steady.stay_days)
        keep("near", moments, {"rfm_features": "near_features"})
        inputs["near"] = "near"
    keep(part, ASSIGNMENTS.name, inputs, month_close=month_close, model_month=source)


def _together(run: Run, name: str, parts: Sequence[str]) -> str:
    """The name under which the rows of all parts lie."""
    if len(parts) == 1:
        return parts[0]
    together = " union all ".join(f"select * from {part}" for part in parts)  # noqa: S608 - own names
    run.engine.keep(name, together, {})
    return name


def features_files(run: Run, days: Iterable[date]) -> list[Path]:
    return [run.pipeline.lake.data(FEATURES.name, {"snapshot_date": str(day)}) for day in days]


def assigned_file(run: Run, day: date, name: str) -> Path:
    return run.pipeline.lake.data(ASSIGNMENTS.name, {"snapshot_date": str(day), "segmentation": name})


def _sizes(run: Run, kept: str, column: str) -> dict[date, Sizes]:
    """How many rows of what is kept each day has by the value of a column, the largest first."""
    sizes: dict[date, Sizes] = {}
    for row in run.engine.ask(_TALLY.format(kept=kept, column=column)).to_pylist():
        sizes.setdefault(row["snapshot_date"], {})[row["value"]] = row["n"]
    return sizes


def write_assignments(
    run: Run,
    days: Sequence[date],
    source: str,
    kept: Mapping[str, str],
    counts: Mapping[str, Mapping[date, Sizes]],
) -> None:
    """Write the kept assignments of some days, and take away those of segmentations that are no more."""
    lake, recipe = run.pipeline.lake, run.pipeline.recipe
    made: dict[date, dict[str, Manifest]] = {day: {} for day in days}
    for name, of_name in kept.items():
        targets = []
        for day in days:
            inputs = inputs_of(run.state, recipe, ASSIGNMENTS.name, day, name)
            own_model = own_model_path(lake, day, name)
            if source in OWN_MODEL:
                replace_file(lake, own_model, to_json(run.fitted[name, inputs["rfm_features"]]).encode())
            else:
                own_model.unlink(missing_ok=True)
            keys = {"snapshot_date": str(day), "segmentation": name}
            targets.append(Target(keys, inputs, {"counts": counts[name].get(day, {})}, day))
        for day, manifest in zip(days, run.engine.make(lake, ASSIGNMENTS, of_name, targets), strict=True):
            made[day][name] = manifest
    for day, of_day in made.items():
        for name in run.state[ASSIGNMENTS.name].get(day, {}).keys() - of_day.keys():
            remove_partition(lake, ASSIGNMENTS.name, {"snapshot_date": str(day), "segmentation": name})
        sizes = {f"{name}: {segment}": n for name, m in of_day.items() for segment, n in m.counts.items()}
        rows = sum(m.rows for m in of_day.values())
        log_made(run.log, ASSIGNMENTS.name, str(day), rows, model=source, **sizes)
        run.pipeline.on_made(ASSIGNMENTS.name, str(day))
    run.has(ASSIGNMENTS.name, made)


def model_of(run: Run, day: date, name: str) -> FittedSegmentation:
    """The fitted segmentation that a made snapshot was assigned with."""
    source, lake = model_source(run.state, run.pipeline.recipe, day), run.pipeline.lake
    return read_own_model(lake, day, name) if source in OWN_MODEL else read_model(lake, source, name)


def fit_on(run: Run, day: date, name: str) -> FittedSegmentation:
    """Fit one segmentation on a day's features, once a run."""
    key = (name, run.state[FEATURES.name][day].content)
    if key not in run.fitted:
        fitted = fit_snapshot(customers_of(run, day), run.pipeline.settings.segmentations[name])
        run.fitted[key] = dated(fitted, day)
    return run.fitted[key]


def dated(fitted: FittedSegmentation, day: date) -> FittedSegmentation:
    return fitted.model_copy(update={"card": fitted.card.model_copy(update={"trained_through": day})})


def customers_of(run: Run, features: date | str) -> Snapshot:
    """The customers of a made day, or of what the engine keeps, as a fit takes them."""
    rows = features_files(run, [features]) if isinstance(features, date) else features
    answer = run.engine.ask("fit_features", {"rfm_features": rows}, most=MOST_CUSTOMERS)
    columns = {column: answer[column].to_numpy() for column in answer.column_names}
    return snapshot(columns, run.pipeline.settings.features.window_days)


def make_lists(run: Run, days: Sequence[date]) -> Bad[date]:
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
    kept = _keep_lists(run, good, objected) if good else {}
    arms = {name: _sizes(run, of_name, "arm") for name, of_name in kept.items()}
    rows = {day: sum(sum(of_list.get(day, {}).values()) for of_list in arms.values()) for day in good}
    figures = {"lists": len(kept), "suppression file": len(objected)}
    against = run.judge(LISTS.name, [(k, {"campaign": n}) for n, k in kept.items()], rows, **figures)
    bad |= {day: why for day, why in against.items() if why}
    for day in [day for day in good if day not in bad]:
        write_lists(run, day, kept, {name: of_list.get(day, {}) for name, of_list in arms.items()})
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


def write_lists(run: Run, day: date, kept: Mapping[str, str], arms: Mapping[str, Sizes]) -> None:
    """Write a day's lists, one partition a campaign, and take away those of campaigns that are no more."""
    made = {name: write_list(run, day, name, kept[name], arms[name].get("control", 0)) for name in kept}
    lists = run.state["campaign_lists"]
    run.state = run.state.having(campaign_lists={**lists, day: {**lists.get(day, {}), **made}})
    take_lists_away(run, day, made)
    left, notes = run.state["campaign_lists"][day], release_notes(run.state, day)
    summary = dg.MetadataValue.md(lists_summary(left, run.pipeline.settings.campaigns_in_force, notes))
    log_made(run.log, LISTS.name, str(day), sum(m.rows for m in left.values()), lists=summary)


def _keep_lists(run: Run, days: Sequence[date], objected: pa.Table) -> dict[str, str]:
    """Have the engine keep each campaign's lists of some days; the names under which they lie."""
    kept: dict[str, str] = {}
    for name, campaign in run.pipeline.settings.campaigns_in_force.items():
        kept[name] = f"new_lists_{len(kept)}"
        assigned = [assigned_file(run, day, campaign.segmentation) for day in days]
        candidates = {"segment_assignments": assigned, "rfm_features": features_files(run, days)}
        window = run.pipeline.settings.features.window_days
        run.engine.keep("candidates", candidates_sql(campaign, window), candidates)
        run.engine.keep(
            kept[name],
            LISTS.name,
            {"suppressed": objected},
            campaign=name,
            salt=run.pipeline.settings.campaign_salt,
            control_below=control_below(campaign.holdout),
            channel=campaign.channel,
        )
    return kept


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

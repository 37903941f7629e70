"""rfm_features, segment_assignments and campaign_lists, as of the end of a day.

Belongs here: for a batch of days, read, run the statements, check, write, say so. Does not belong here: the
methods (``core/segmentation/``), who gets what (``core/campaigns.py``).
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta
from typing import TYPE_CHECKING

import dagster as dg
import pyarrow as pa
import pyarrow.compute as pc

from retail_pipeline.core.campaigns import Campaign, candidates_sql, control_below, measurable_lift
from retail_pipeline.core.manifests import Manifest
from retail_pipeline.core.planner import (
    BOOTSTRAP,
    SAME_SNAPSHOT,
    assignments_inputs,
    close_before,
    features_inputs,
    is_month_close,
    list_inputs,
    model_source,
    month_of,
)
from retail_pipeline.core.schema import TABLES
from retail_pipeline.core.segmentation import FittedSegmentation, fit, to_json
from retail_pipeline.defs.events import blocking, log_check, log_made
from retail_pipeline.defs.runner import Bad, Run, make_all, not_made
from retail_pipeline.engine.validation import counted, validate
from retail_pipeline.lake.models import own_model_path, read_model, read_own_model
from retail_pipeline.lake.partitions import read_partition, remove_partition, replace_file, write_partition
from retail_pipeline.lake.slices import slices
from retail_pipeline.lake.suppression import SuppressionError, read_suppressed

if TYPE_CHECKING:
    import pandas as pd

BATCH_ROWS = 400_000
FEATURES, ASSIGNMENTS, LISTS = (TABLES[t] for t in ("rfm_features", "segment_assignments", "campaign_lists"))
OWN_MODEL = (BOOTSTRAP, SAME_SNAPSHOT)


def make_snapshots(run: Run, days: Sequence[date]) -> Bad[date]:
    """Make the selected tables of the snapshots of some days; return the bad days with what is wrong."""
    return make_all(list(batches(run, days)), lambda batch: make_batch(run, batch))


def batches(run: Run, days: Sequence[date]) -> Iterable[list[date]]:
    """Days in batches whose snapshots together hold at most some 400,000 customers."""
    customers = sum(manifest.rows for manifest in run.state.customer_days.values())
    size = max(1, BATCH_ROWS // max(1, customers))
    return [list(days[start : start + size]) for start in range(0, len(days), size)]


def make_batch(run: Run, days: Sequence[date]) -> Bad[date]:
    """Make the selected tables of a batch of days; return the bad days with what is wrong."""
    bad = make_features(run, days) if "rfm_features" in run.selected else {}
    if "segment_assignments" in run.selected:
        bad |= make_assignments(run, [day for day in days if day not in bad])
    if "campaign_lists" in run.selected:
        bad |= make_lists(run, [day for day in days if day not in bad])
    return bad


def make_features(run: Run, days: Sequence[date]) -> Bad[date]:
    """Make the RFM features of a batch of days from customer_days."""
    lake = run.pipeline.lake
    by_day = features_of(run, days)
    suite = run.pipeline.suite(FEATURES.name, run.state)
    failures = validate({str(day): rows for day, rows in by_day.items()}, FEATURES, suite)
    made: dict[date, Manifest] = {}
    for day, features in by_day.items():
        found = failures[str(day)]
        if not blocking(found):
            inputs = features_inputs(run.state, run.pipeline.recipe, day)
            made[day] = write_partition(lake, FEATURES, {"snapshot_date": str(day)}, features, inputs)
            figures = {"lapsed": pc.sum(pc.equal(features["frequency"], 0)).as_py() or 0}
            log_made(run.log, lake, FEATURES.name, str(day), made[day].rows, **figures)
        log_check(
            run.log, FEATURES.name, "rfm_features_are_valid", str(day), found,
            {"rows": len(features), "expectations": len(suite)},
        )  # fmt: skip
        run.pipeline.on_made(FEATURES.name, str(day))
    run.state = replace(run.state, features={**run.state.features, **made})
    return {day: blocking(failures[str(day)]) for day in days if day not in made}


def features_of(run: Run, days: Sequence[date]) -> Mapping[date, pa.Table]:
    """The RFM features of some days, in memory."""
    if not days:
        return {}
    settings = run.pipeline.settings.features
    first = [day - timedelta(days=settings.window_days) if settings.window_days else date.min for day in days]
    rows = run.engine.run(
        FEATURES.name,
        {
            "customer_days": _history(run, max(days)),
            "snapshots": pa.table(
                {"snapshot_date": pa.array(days, pa.date32()), "window_start": pa.array(first, pa.date32())}
            ),
        },
        net_of_returns=settings.returns == "net",
    )
    return slices(rows, "snapshot_date", days)


def _history(run: Run, through: date) -> pa.Table | list[object]:
    days = run.state.history(through)
    if not days:
        return TABLES["customer_days"].arrow.empty_table().append_column("date", pa.array([], pa.date32()))
    return [run.pipeline.lake.data("customer_days", {"date": str(day)}) for day in days]


def make_assignments(run: Run, days: Sequence[date]) -> Bad[date]:
    """Assign the customers of each day's snapshot under every segmentation, with the model in force."""
    recipe, names = run.pipeline.recipe, list(run.pipeline.settings.segmentations)
    sources = {day: model_source(run.state, recipe, day) for day in days}
    bad = {
        day: f"no model is in force in {source}: run monthly_model_job for {source} first"
        for day, source in sources.items()
        if source not in (*OWN_MODEL, *run.state.models)
    } | {day: not_made(FEATURES.name) for day in days if day not in run.state.features}
    tables: dict[tuple[str, str], pa.Table] = {}
    for day in days:
        if day not in bad:
            tables |= {(str(day), name): _assign(run, day, sources[day], name, tables) for name in names}
    suite = run.pipeline.suite(ASSIGNMENTS.name, run.state)
    failures = validate(tables, ASSIGNMENTS, suite)
    for day in days:
        if day in bad:
            continue
        found = [failure for name in names for failure in failures[str(day), name]]
        of_day = {name: tables[str(day), name] for name in names}
        figures = {"rows": sum(map(len, of_day.values())), "expectations": len(suite)}
        log_check(run.log, ASSIGNMENTS.name, "segment_assignments_are_valid", str(day), found, figures)
        if blocking(found):
            bad[day] = blocking(found)
        elif (close := close_before(month_of(day))) in bad:
            bad[day] = f"rests on the month close {close}, which could not be made"
        else:
            write_assignments(run, day, sources[day], of_day)
    return bad


def _assign(
    run: Run, day: date, source: str, name: str, made: Mapping[tuple[str, str], pa.Table]
) -> pa.Table:
    features = read_partition(run.pipeline.lake, FEATURES, {"snapshot_date": str(day)})
    model = model_in_force(run, day, source, name, features)
    close = str(close_before(month_of(day)))
    return run.engine.run(
        "segment_assignments",
        {
            "assigned": run.engine.run(run.query(model), {"rfm_features": features}),
            "previous": made[close, name] if (close, name) in made else _written(run, close, name),
        },
        snapshot_date=day,
        is_month_close=is_month_close(day),
        model_month=source,
    )


def _written(run: Run, close: str, name: str) -> pa.Table:
    if name in run.state.assignments.get(date.fromisoformat(close), {}):
        return read_partition(run.pipeline.lake, ASSIGNMENTS, {"snapshot_date": close, "segmentation": name})
    return ASSIGNMENTS.arrow.empty_table()


def write_assignments(run: Run, day: date, source: str, tables: Mapping[str, pa.Table]) -> None:
    """Write a day's assignments; take away those of segmentations that are switched off."""
    lake, made = run.pipeline.lake, dict[str, Manifest]()
    for name, rows in tables.items():
        keys = {"snapshot_date": str(day), "segmentation": name}
        inputs = assignments_inputs(run.state, run.pipeline.recipe, day, name)
        own_model = own_model_path(lake, day, name)
        if source in OWN_MODEL:
            replace_file(lake, own_model, to_json(run.fitted[name, inputs["rfm_features"]]).encode())
        else:
            own_model.unlink(missing_ok=True)
        made[name] = write_partition(lake, ASSIGNMENTS, keys, rows, inputs, counts=_sizes(rows))
    for name in run.state.assignments.get(day, {}).keys() - made.keys():
        remove_partition(lake, ASSIGNMENTS.name, {"snapshot_date": str(day), "segmentation": name})
    run.state = replace(run.state, assignments={**run.state.assignments, day: made})
    sizes = {f"{name}: {segment}": n for name, m in made.items() for segment, n in m.counts.items()}
    log_made(
        run.log, lake, ASSIGNMENTS.name, str(day), sum(m.rows for m in made.values()), model=source, **sizes
    )
    run.pipeline.on_made(ASSIGNMENTS.name, str(day))


def model_of(run: Run, day: date, name: str) -> FittedSegmentation:
    """The fitted segmentation that a made snapshot was assigned with."""
    source, lake = model_source(run.state, run.pipeline.recipe, day), run.pipeline.lake
    return read_own_model(lake, day, name) if source in OWN_MODEL else read_model(lake, source, name)


def model_in_force(run: Run, day: date, source: str, name: str, features: pa.Table) -> FittedSegmentation:
    """The fitted segmentation that a day uses: its month's, or one fitted on its own snapshot."""
    return fit_on(run, day, name, features) if source in OWN_MODEL else model_of(run, day, name)


def fit_on(run: Run, day: date, name: str, features: pa.Table) -> FittedSegmentation:
    """Fit one segmentation on a day's features, once a run."""
    key = (name, run.state.features[day].content)
    if key not in run.fitted:
        run.fitted[key] = dated(fit(frame(features), run.pipeline.settings.segmentations[name]), day)
    return run.fitted[key]


def dated(fitted: FittedSegmentation, day: date) -> FittedSegmentation:
    """The model with the day on its card that it was trained through."""
    return fitted.model_copy(update={"card": fitted.card.model_copy(update={"trained_through": day})})


def frame(features: pa.Table) -> "pd.DataFrame":
    """Features as a fit takes them: a DataFrame, its decimals as floats."""
    decimals = {f.name for f in features.schema if pa.types.is_decimal(f.type)}
    columns = [
        features[n].cast(pa.float64()) if n in decimals else features[n] for n in features.column_names
    ]
    found: pd.DataFrame = pa.table(columns, names=features.column_names).to_pandas()
    return found


def make_lists(run: Run, days: Sequence[date]) -> Bad[date]:
    """Make the campaign lists of each day, unless a held day or the suppression file stands against it."""
    campaigns = run.pipeline.settings.campaigns_in_force
    needed = {campaign.segmentation for campaign in campaigns.values()}
    bad: Bad[date] = {
        day: not_made(ASSIGNMENTS.name)
        for day in days
        if not needed <= run.state.assignments.get(day, {}).keys()
    }
    tables: dict[tuple[str, str], pa.Table] = {}
    suppressed: dict[date, int] = {}
    for day in [day for day in days if day not in bad]:
        if held := log_held_days(run, day):
            named = ", ".join(map(str, held))
            bad[day] = f"no lists: {named} held or not made; `retail-pipeline status` says why"
            take_lists_away(run, day, ())
            continue
        try:
            objected = read_suppressed(run.pipeline.settings.suppression, day)
        except SuppressionError as error:
            bad[day] = f"no lists: {error}"
            take_lists_away(run, day, ())
            continue
        suppressed[day] = len(objected)
        features = read_partition(run.pipeline.lake, FEATURES, {"snapshot_date": str(day)})
        for name, campaign in campaigns.items():
            tables[str(day), name] = _list(run, day, name, campaign, features, objected)
    suite = run.pipeline.suite(LISTS.name, run.state)
    failures = validate(tables, LISTS, suite)
    for day in suppressed:
        found = [failure for name in campaigns for failure in failures[str(day), name]]
        of_day = {name: tables[str(day), name] for name in campaigns}
        figures = {
            "rows": sum(map(len, of_day.values())),
            "lists": len(of_day),
            "suppression file": suppressed[day],
            "expectations": len(suite),
        }
        log_check(run.log, LISTS.name, "campaign_lists_are_valid", str(day), found, figures)
        if blocking(found):
            bad[day] = blocking(found)
        else:
            write_lists(run, day, of_day)
    for day in days:
        run.pipeline.on_made(LISTS.name, str(day))
    return bad


def log_held_days(run: Run, day: date) -> list[date]:
    """The held days that keep a day's lists from being made, and the check that says so; older ones warn."""
    lately, ever = run.state.held_lately(day), run.state.held_days(date.min, day)
    older = [held for held in ever if held not in lately]
    every = "every day of the last 7 is made and not held"
    found = counted(every, len(lately), True, _dates(lately), "days")
    found += counted("no earlier day is held", len(older), False, _dates(older), "days")
    figures = {"held or not made in the last 7 days": len(lately), "held before": len(older)}
    log_check(run.log, LISTS.name, "no_recent_day_is_held", str(day), found, figures)
    return lately


def _dates(days: Sequence[date]) -> list[dict[str, str]]:
    return [{"held day": str(day)} for day in days]


def write_lists(run: Run, day: date, tables: Mapping[str, pa.Table]) -> None:
    """Write a day's lists, one partition a campaign, and take away those of campaigns that are no more."""
    lake, made = run.pipeline.lake, dict[str, Manifest]()
    for name, rows in tables.items():
        keys = {"snapshot_date": str(day), "campaign": name}
        inputs = list_inputs(run.state, run.pipeline.recipe, day, name)
        controls = pc.sum(pc.equal(rows["arm"], "control")).as_py() or 0
        made[name] = write_partition(lake, LISTS, keys, rows, inputs, counts={"control": controls})
    take_lists_away(run, day, made)
    run.state = replace(run.state, lists={**run.state.lists, day: made})
    summary = dg.MetadataValue.md(lists_summary(made, run.pipeline.settings.campaigns_in_force))
    log_made(run.log, lake, LISTS.name, str(day), sum(m.rows for m in made.values()), lists=summary)


def take_lists_away(run: Run, day: date, kept: Collection[str]) -> None:
    """Remove a day's lists but those kept: nobody may work with a list that would not be made today."""
    for name in run.state.lists.get(day, {}).keys() - kept:
        remove_partition(run.pipeline.lake, LISTS.name, {"snapshot_date": str(day), "campaign": name})


def _list(
    run: Run, day: date, name: str, campaign: Campaign, features: pa.Table, suppressed: pa.Table
) -> pa.Table:
    keys = {"snapshot_date": str(day), "segmentation": campaign.segmentation}
    assignments = read_partition(run.pipeline.lake, ASSIGNMENTS, keys)
    candidates = run.engine.run(
        candidates_sql(campaign), {"segment_assignments": assignments, "rfm_features": features}
    )
    return run.engine.run(
        "campaign_lists",
        {"candidates": candidates, "suppressed": suppressed},
        campaign=name,
        salt=run.pipeline.settings.campaign_salt,
        control_below=control_below(campaign.holdout),
        offer=campaign.offer,
        channel=campaign.channel,
    )


def lists_summary(lists: Mapping[str, Manifest], campaigns: Mapping[str, Campaign]) -> str:
    """A Markdown table of a day's lists: sizes, arms, and what difference the holdout can show."""
    lines = ["| list | segments | customers | control | measurable lift |", "|---|---|---:|---:|---|"]
    for name, manifest in lists.items():
        shown = measurable_lift(manifest.rows - manifest.counts["control"], manifest.counts["control"])
        segments = ", ".join(campaigns[name].segments)
        lines.append(
            f"| {name} | {segments} | {manifest.rows:,} | {manifest.counts['control']:,} | {shown} |"
        )
    return "\n".join(lines)


def _sizes(rows: pa.Table) -> dict[str, int]:
    tallied = pc.value_counts(rows["segment"]).to_pylist()
    return {entry["values"]: entry["counts"] for entry in sorted(tallied, key=lambda e: -e["counts"])}

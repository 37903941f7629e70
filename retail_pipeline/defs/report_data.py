"""Gathers what the page of a day is made from: its tables, models, lists, and the state of the data.

Paths are given below the lake, so that the page of the same data is the same wherever the lake lies.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING

import pyarrow as pa

from retail_pipeline.campaigns.lists import DEFAULTS, measurable_lift
from retail_pipeline.defs.assets.snapshots import customers_of, model_of
from retail_pipeline.defs.runner import Run
from retail_pipeline.lake.models import judged
from retail_pipeline.planning.accounting import days_made, places
from retail_pipeline.planning.inputs import BOOTSTRAP, SAME_SNAPSHOT, model_source
from retail_pipeline.planning.state import State
from retail_pipeline.report.data import MONTH_AGO, RF_GRID, ListSummary, Quality, ReportData
from retail_pipeline.segmentation import FittedRfmGrid, FittedSegmentation, assign
from retail_pipeline.segmentation.rfm_grid import grid
from retail_pipeline.tables import TABLES

MIGRATION = TABLES["segment_migration"]

if TYPE_CHECKING:
    import pandas as pd


def report_data(run: Run, day: date, tables: Mapping[str, pa.Table]) -> ReportData:
    settings = run.pipeline.settings
    models = {name: model_of(run, day, name) for name in run.state["segment_assignments"][day]}
    frames = {name: frame(rows) for name, rows in tables.items()}
    return ReportData(
        day=day,
        first_day=run.state.first_day or day,
        shop=settings.report.shop,
        currency=run.pipeline.currency(run.state),
        window_days=settings.features.window_days,
        tables=frames | {"rf_grid": rf_grid(run, day, models)},
        models=models,
        model_notes=model_notes(run, day, models),
        strategies={name: strategies(run, name) for name in models},
        lists=lists(run, day, frames.get(MIGRATION.name, frame(MIGRATION.arrow.empty_table()))),
        quality=quality(run.state, day),
    )


def curves(models: Mapping[str, FittedSegmentation]) -> Mapping[str, bytes]:
    """The figures of models alone, PNG by title: what other numbers of clusters would have given."""
    # it brings pandas, which loading the definitions must not
    from retail_pipeline.report.figures import figures_of

    data = ReportData(date.max, date.max, "", "", None, {}, models, {}, {}, (), Quality())
    return figures_of("segmentation_models", data)


def rf_grid(run: Run, day: date, models: Mapping[str, FittedSegmentation]) -> pd.DataFrame:
    import pandas as pd

    customers = customers_of(run, day)
    cells = [pd.DataFrame(columns=list(RF_GRID))]
    for name, model in models.items():
        if isinstance(model, FittedRfmGrid) and len(customers.values) and not model.knows_too_few:
            recency, other = grid(model, customers)
            spend = {"customers": 1, "revenue": customers.feature("monetary")}
            places = {"recency_score": recency, "other_score": other, "segment": assign(model, customers)}
            rows = pd.DataFrame({"segmentation": name, **places, **spend})
            cells.append(rows.groupby(list(RF_GRID[:4]), as_index=False).sum())
    return pd.concat(cells[1:] or cells, ignore_index=True)


def model_notes(run: Run, day: date, models: Mapping[str, FittedSegmentation]) -> dict[str, str]:
    """Where each model in force comes from, and what was said of the month's candidate."""
    source = model_source(run.state, run.pipeline.recipe, day)
    if source == BOOTSTRAP:
        said = "fitted on the day itself: in the first month there is no earlier month to train on"
        return dict.fromkeys(models, said)
    if source == SAME_SNAPSHOT:
        return dict.fromkeys(models, "fitted on the day itself, as model_timing: same_snapshot asks")
    verdicts = judged(run.pipeline.lake, source)
    return {
        name: f"in force in {source}, trained through {model.card.trained_through}: {verdicts[name][1].why}"
        for name, model in models.items()
    }


def strategies(run: Run, segmentation: str) -> dict[str, str]:
    """What to do for each segment: as the shop's campaigns say, else as the method's default ones do."""
    settings = run.pipeline.settings
    defaults = DEFAULTS.get(settings.segmentations[segmentation].method, {})
    own = [c for c in settings.campaigns_in_force.values() if c.segmentation == segmentation]
    return {
        segment: campaign.strategy
        for campaign in (*defaults.values(), *own)
        for segment in campaign.segments
        if campaign.strategy
    }


def lists(run: Run, day: date, moves: pd.DataFrame) -> Sequence[ListSummary]:
    campaigns, lake, found = run.pipeline.settings.campaigns_in_force, run.pipeline.lake, []
    for name, made in run.state["campaign_lists"].get(day, {}).items():
        if name not in campaigns:
            continue
        one, control = campaigns[name], made.counts["control"]
        then = moves[(moves["segmentation"] == one.segmentation) & (moves["compared_with"] == MONTH_AGO)]
        then = then[then["from_segment"].isin(one.segments)]
        base = float(then["bought"].sum() / then["customers"].sum()) if len(then) else None
        found.append(
            ListSummary(
                campaign=name,
                segments=one.segments,
                customers=made.rows,
                control=control,
                offer=one.offers,
                channel=one.channel,
                path=lake.data(made.table, made.partition).relative_to(lake.root).as_posix(),
                measurable_lift=measurable_lift(made.rows - control, control, base),
                base_rate=base,
            )
        )
    return found


def quality(state: State, day: date) -> Quality:
    """What was delivered up to a day, what was refused and why, and what is held back."""
    first = state.first_day or day
    days = {d: made for d, made in state["transactions"].items() if first <= d <= day}
    held = state.held_days(first, day)
    used = [made for d, made in days.items() if d not in held]
    files = [m for m in state.landed.values() if any(d <= day for d in m.parts) or not m.parts]
    counts = Counter[str]()
    for d, made in days_made(state).items():
        counts.update(made.counts if d <= day else {})
    lines = sum(made.rows for made in used)
    anonymous = sum(made.counts.get("anonymous", 0) for made in used)
    healed = {path for manifest in state.counting.values() for path in manifest.arrival.names}
    warned = Counter(f.states for made in days.values() for f in made.failures if not f.blocking)
    return Quality(
        files=len(files),
        rows_read=sum(m.counts["rows_read"] for m in files),
        places=places(state, day),
        unread=sorted(
            refusal.path
            for source_id, refusal in state.refused.items()
            if not state.is_rejected(source_id)
            and source_id not in state.landed
            and refusal.path not in healed
        ),
        refused={
            name.removeprefix("rejected: "): n for name, n in counts.items() if name.startswith("rejected: ")
        },
        held_days=held,
        anonymous_share=anonymous / lines if lines else None,
        last_delivered=max((d for d in state.raw if d <= day), default=None),
        warnings=[f"{states}: not so on {n} days" for states, n in sorted(warned.items())],
    )


def frame(rows: pa.Table) -> pd.DataFrame:
    """A small table as the page reads it, its decimals as floats."""
    decimals = {f.name for f in rows.schema if pa.types.is_decimal(f.type)}
    columns = [rows[n].cast(pa.float64()) if n in decimals else rows[n] for n in rows.column_names]
    found: pd.DataFrame = pa.table(columns, names=rows.column_names).to_pandas()
    return found

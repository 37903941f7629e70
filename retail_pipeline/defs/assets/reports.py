"""The tables of the report and its page: one runner, as a rule for the last day of a range alone."""

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import dagster as dg
import pyarrow as pa
from pydantic import Field

from retail_pipeline.defs.assets.days import batches
from retail_pipeline.defs.assets.models import keep_moved_by_model, migration
from retail_pipeline.defs.assets.snapshots import (
    ASSIGNMENTS,
    FEATURES,
    OWN_MODEL,
    assigned_file,
    customers_of,
    features_files,
    keep_features,
    keep_segments,
    model_of,
)
from retail_pipeline.defs.events import (
    Result,
    as_metadata,
    asset_specs,
    check_specs,
    log_made,
)
from retail_pipeline.defs.instance import writing_step
from retail_pipeline.defs.jobs import REPORT_TABLES
from retail_pipeline.defs.resources import Pipeline
from retail_pipeline.defs.runner import Bad, Run, fail_by_name, make_all, not_made
from retail_pipeline.engine import Input, Target
from retail_pipeline.lake.models import model_names
from retail_pipeline.lake.partitions import (
    manifests,
    remove_partition,
    replace_file,
    write_manifest,
    write_partition,
)
from retail_pipeline.planning.calendar import close_before, last_of_month, month_of, months_in_force
from retail_pipeline.planning.inputs import inputs_of, model_source
from retail_pipeline.planning.manifests import Manifest, schema_fingerprint
from retail_pipeline.report import small_tables as small
from retail_pipeline.segmentation import fit_snapshot
from retail_pipeline.segmentation.guards import slipping_sql
from retail_pipeline.tables import TABLES, statement
from retail_pipeline.tables.table import Table

if TYPE_CHECKING:
    from retail_pipeline.report.data import ReportData

MIGRATION, REPORT = TABLES["segment_migration"], TABLES["report"]
# what the report adds up, day by day: made with it, so that only the report waits for it
SUMS = [table for table in TABLES.values() if table.beside == REPORT.name]
BATCH_LINES = 1_000_000
YEAR = 365
COMPARED = {"previous_day": 1, "30_days_before": 30}
# the last step after a statement
FINISH = {"spend_distribution": small.with_densest, "key_figures": small.key_figures}

_LEFT = """
    select n.customer_id, n.segment
    from now as n
    inner join segments_then as t on t.customer_id = n.customer_id
    inner join under_model_then as u on u.customer_id = n.customer_id
    where u.segment = t.segment"""


class ReportConfig(dg.Config):
    """What a run may ask for."""

    every_day: bool = Field(False, description="Make the report of every day of the range, not of the last")


def report_assets(pipeline: Pipeline, days: dg.DailyPartitionsDefinition) -> dg.AssetsDefinition:
    @dg.multi_asset(
        name="reports",
        specs=asset_specs(pipeline, (*REPORT_TABLES, REPORT.name), days),
        check_specs=check_specs(pipeline, REPORT_TABLES, days),
        can_subset=True,
        backfill_policy=dg.BackfillPolicy.single_run(),
    )
    def make_reports(
        context: dg.AssetExecutionContext, config: ReportConfig, pipeline: dg.ResourceParam[Pipeline]
    ) -> Iterator[Result]:
        every = [date.fromisoformat(key) for key in context.partition_keys]
        wanted = every if config.every_day else every[-1:]
        if len(wanted) < len(every):
            context.log.info(f"only the report of {wanted[0]}, the last day, is made; every_day asks for all")
        with writing_step(context, pipeline) as log, pipeline.engine() as engine:
            selected = {key.path[-1] for key in context.selected_asset_keys}
            run = Run(pipeline, engine, log, selected, pipeline.state())
            bad = make_all([[day] for day in wanted], lambda batch: make_report(run, batch[0]))
        yield from log.results()
        fail_by_name(bad, "reports")

    return make_reports


def make_report(run: Run, day: date) -> Bad[date]:
    """Make the tables and the page of a day; return the day with what is wrong, if anything is."""
    for table in (FEATURES.name, ASSIGNMENTS.name):
        if day not in run.state[table]:
            return {day: not_made(table)}
    # the page needs every table, whichever are selected beside it
    names = [name for name in REPORT_TABLES if not {name, REPORT.name}.isdisjoint(run.selected)]
    tables = make_tables(run, day, names)
    if bad := check_tables(run, day, tables):
        return {day: bad}
    # the page brings pandas and matplotlib, which loading the definitions must not
    from retail_pipeline.defs.report_data import report_data

    data = report_data(run, day, tables)
    write_tables(run, day, tables, data)
    if REPORT.name in run.selected:
        write_page(run, day, data)
    run.pipeline.on_made(REPORT.name, str(day))
    return {}


def make_tables(run: Run, day: date, names: Sequence[str]) -> dict[str, pa.Table]:
    features = features_files(run, [day])
    reach = run.engine.ask("spend_range", {"rfm_features": features}).to_pylist()[0]
    history, window_days = run.state.history(day), run.pipeline.settings.features.window_days
    bought = [d for d in history if run.state["customer_days"][d].rows]
    window = [d for d in history if window_days is None or (day - d).days < window_days]
    sold = [d for d in window if run.state["transactions"][d].rows]
    counting = [d for d in history if window_days is None or (day - d).days < window_days]
    reads = {reads.table for name in names for reads in TABLES[name].reads}
    inputs: Mapping[str, Input] = {
        "rfm_features": features,
        "segment_assignments": [assigned_file(run, day, name) for name in run.state[ASSIGNMENTS.name][day]],
        "customer_days": _rows(run, TABLES["customer_days"], bought),
        **{table.name: sums(run, table, sold) for table in SUMS if table.name in reads},
        "months": small.months(run.state.first_day or day, day, history),
        "calendar": small.calendar(counting),
        "periods": small.periods(run.state.first_day or day, day, counting),
        "positions": small.positions(),
        "orders_edges": small.orders_edges(),
        "spend_edges": small.spend_edges(**reach),
    }
    parameters: Mapping[str, Any] = {
        "year_from": day - timedelta(days=YEAR - 1),
        "year_before_from": day - timedelta(days=2 * YEAR - 1),
    }
    run.engine.keep("slipping", slipping_sql(window_days), {"rfm_features": features})
    made = {}
    for table in names:
        if table == MIGRATION.name:
            made[table] = make_migration(run, day)
            continue
        read = set(re.findall(r"\w+", statement(table)))
        rows = {name: rows for name, rows in inputs.items() if name in read}
        made[table] = run.engine.ask(table, rows, **parameters)
        if table in FINISH:
            made[table] = FINISH[table](made[table])
    return {name: rows.select(TABLES[name].names).cast(TABLES[name].arrow) for name, rows in made.items()}


def make_migration(run: Run, day: date) -> pa.Table:
    """The moves since the day before and since 30 days before, under every segmentation.

    The earlier snapshots are made in memory, so that nothing depends on which days happen to have been made.
    There are no rows for an earlier day before the first, or one whose model was never made.
    """
    first, lake = run.state.first_day or day, run.pipeline.lake
    compared = {name: day - timedelta(days=n) for name, n in COMPARED.items()}
    compared = {name: earlier for name, earlier in compared.items() if earlier >= first}
    source = {d: model_source(run.state, run.pipeline.recipe, d) for d in (day, *compared.values())}
    then = keep_features(run, sorted(compared.values())) if compared else ""
    parts = [MIGRATION.arrow.empty_table()]
    for compared_with, earlier in compared.items():
        of_then = f"select * from {then} where snapshot_date = $day"  # noqa: S608 - our own name
        run.engine.keep("features_then", of_then, {}, day=earlier)
        for name in run.state[ASSIGNMENTS.name][day]:
            own = source[earlier] in OWN_MODEL
            if own:
                parameters = run.pipeline.settings.segmentations[name]
                model = fit_snapshot(customers_of(run, "features_then"), parameters)
            elif name in model_names(lake, source[earlier]):
                model = model_of(run, earlier, name)
            else:
                continue
            close = close_before(month_of(earlier))
            before: Mapping[str, Any] = {"month_close": last_of_month(earlier), "source": source[earlier]}
            keep_segments(run, "segments_then", name, model, "features_then", close, **before)
            if own:
                # each day has its own model: whom that of then leaves where they were, today's has moved
                features = features_files(run, [day])
                keep_segments(run, "under_model_then", name, model, features, close, **before)
                run.engine.keep("moved_by_model", _LEFT, {"now": [assigned_file(run, day, name)]})
            else:
                closes = [close_before(m) for m in months_in_force(earlier, day)]
                keep_moved_by_model(run, name, [c for c in closes if earlier <= c < day])
            moves = migration(run, name, (compared_with, earlier), day, "segments_then")
            parts.append(moves.cast(MIGRATION.arrow))
    return pa.concat_tables(parts).sort_by([(column, "ascending") for column in MIGRATION.key])


def sums(run: Run, table: Table, days: Sequence[date]) -> Input:
    """The rows of some days of a table that the report adds up.

    What is missing or stale of them is made first, many days at once; what is of days that sold nothing, or
    are held, goes.
    """
    lake, recipe, cleaned = run.pipeline.lake, run.pipeline.recipe, TABLES["transactions"]
    made = {manifest.partition["date"]: manifest for manifest in manifests(lake, table)}
    inputs = {day: inputs_of(run.state, recipe, table.name, day) for day in days}
    stale = [d for d in days if str(d) not in made or not made[str(d)].is_current(table, inputs[d])]
    counting = {str(d) for d in run.state.history(date.max) if run.state[cleaned.name][d].rows}
    for gone in made.keys() - counting:
        remove_partition(lake, table.name, {"date": gone})
    for batch in batches(run.state, stale, BATCH_LINES):
        before = {d for day in batch for d, _ in run.state.sold_before(day, recipe.invoice_days)}
        run.engine.keep(
            "new_sums",
            table.name,
            {
                "transactions": _rows(run, cleaned, batch),
                "earlier": _rows(run, cleaned, sorted(before.difference(batch))),
            },
            include_adjustments=run.pipeline.settings.features.adjustments == "include",
            invoice_days=recipe.invoice_days,
        )
        run.engine.make(lake, table, "new_sums", [Target({"date": str(d)}, inputs[d], {}, d) for d in batch])
    return _rows(run, table, days)


def _rows(run: Run, table: Table, days: Sequence[date]) -> Input:
    """The files of some days; without any, no rows."""
    files = [run.pipeline.lake.data(table.name, {"date": str(day)}) for day in days]
    return files or table.arrow.append(pa.field("date", pa.date32())).empty_table()


def check_tables(run: Run, day: date, tables: Mapping[str, pa.Table]) -> str:
    """Check every table and say so; return what stands against the report in words."""
    bad = []
    for name, rows in tables.items():
        against = run.judge(name, [(rows, {"snapshot_date": str(day)})], {day: len(rows)})[day]
        bad += [f"{name}: {against}"] if against else []
    return "; ".join(bad)


def write_tables(run: Run, day: date, tables: Mapping[str, pa.Table], data: "ReportData") -> None:
    from retail_pipeline.report.figures import figures_of

    inputs = inputs_of(run.state, run.pipeline.recipe, REPORT.name, day)
    for name, rows in tables.items():
        made = write_partition(run.pipeline.lake, TABLES[name], {"snapshot_date": str(day)}, rows, inputs)
        log_made(run.log, name, str(day), made.rows, **as_metadata(figures_of(name, data)))


def write_page(run: Run, day: date, data: "ReportData") -> None:
    """Write the page, its manifest last: what the planner looks at."""
    from retail_pipeline.report.page import page

    lake, keys = run.pipeline.lake, {"snapshot_date": str(day)}
    content = page(data).encode()
    path = lake.partition(REPORT.name, keys) / REPORT.file
    replace_file(lake, path, content)
    manifest = Manifest(
        table=REPORT.name,
        partition=keys,
        rows=1,
        content=hashlib.sha256(content).hexdigest(),
        inputs=inputs_of(run.state, run.pipeline.recipe, REPORT.name, day),
        code_version=REPORT.code_version,
        schema_fingerprint=schema_fingerprint(REPORT.arrow),
    )
    write_manifest(lake, manifest)
    served, below = run.pipeline.settings.report.url, f"snapshot_date={day}/{REPORT.file}"
    link = {"link": dg.MetadataValue.url(f"{served.rstrip('/')}/{below}")} if served else {}
    page_of = dg.MetadataValue.path(str(path.resolve()))
    log_made(run.log, REPORT.name, str(day), 1, page=page_of, bytes=len(content), **link)

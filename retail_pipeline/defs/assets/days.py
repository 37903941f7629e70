"""transactions and customer_days, which a day's deliveries become."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from retail_pipeline.defs.assets.declared import make_declared
from retail_pipeline.defs.events import log_check, log_findings, log_made, outcomes
from retail_pipeline.defs.runner import Bad, Run, make_all, not_made
from retail_pipeline.engine import Target
from retail_pipeline.engine.validation import counted
from retail_pipeline.ingest.profiles.cleaning import parameters
from retail_pipeline.lake.partitions import remove_partition, write_partition
from retail_pipeline.lake.slices import ordered, slices, together
from retail_pipeline.planning.inputs import inputs_of
from retail_pipeline.planning.manifests import Manifest
from retail_pipeline.planning.plan import BY_STATEMENT, DAY_TABLES
from retail_pipeline.planning.reconciliation import Tally, odd_shares, tallies
from retail_pipeline.planning.shapes import SAMPLE, shapes
from retail_pipeline.planning.state import State
from retail_pipeline.tables import TABLES

BATCH_ROWS = 200_000
BATCH_DAYS = 400


def make_days(run: Run, days: Sequence[date]) -> Bad[date]:
    """Make the selected tables of some days; return the bad days with what is wrong."""
    return make_all(list(batches(run.state, days)), lambda batch: _make_batch(run, batch))


def _make_batch(run: Run, days: Sequence[date]) -> Bad[date]:
    lake = run.pipeline.lake
    if "transactions" in run.selected:
        clean: Mapping[date, pa.Table | Path] = make_transactions(run, days)
    else:
        made = [day for day in days if day in run.state["transactions"]]
        clean = {day: lake.data("transactions", {"date": str(day)}) for day in made}
    bad = {day: not_made("transactions") for day in days if day not in clean}
    held = [day for day in days if run.state.is_held(day)]
    for day in held:
        for name in DAY_TABLES[1:]:
            remove_partition(lake, name, {"date": str(day)})
        # what may still come is waited for: the day is held, but nothing has gone wrong yet
        if not run.state.is_awaited(day):
            bad[day] = (
                f"held: {run.state.why_held(day)}. Mend the source and deliver again, or accept it with "
                f"`retail-pipeline days release {day} --why …`"
            )
    good = {day: rows for day, rows in clean.items() if day not in held}
    if "customer_days" in run.selected:
        bad |= make_customer_days(run, good)
    by_statement = [name for name in BY_STATEMENT if name in DAY_TABLES]
    return bad | make_declared(run, by_statement, [day for day in good if day not in bad])


def batches(state: State, days: Iterable[date], most: int = BATCH_ROWS) -> Iterable[list[date]]:
    """Days in batches of at most so many raw rows, to bound memory (one day is never split)."""
    batch: list[date] = []
    rows = 0
    for day in days:
        coming = raw_rows(state, day)
        if batch and (rows + coming > most or len(batch) == BATCH_DAYS):
            yield batch
            batch, rows = [], 0
        batch.append(day)
        rows += coming
    if batch:
        yield batch


def raw_rows(state: State, day: date) -> int:
    return sum(manifest.parts[day].rows for manifest in state.raw.get(day, {}).values())


def make_transactions(run: Run, days: Sequence[date]) -> Mapping[date, pa.Table]:
    """Clean, check and write the transactions and rejected rows of a batch of days; return the former."""
    lake, state, table = run.pipeline.lake, run.state, TABLES["transactions"]
    clean, refused, till = clean_rows(run, days)
    failures = run.failures("transactions", [(together(clean, "date"), {})], days)
    expectations = len(run.suite("transactions"))
    like = shapes(
        run.engine.run("day_shapes", {"transactions": together(clean, "date")}, most=SAMPLE).to_pylist()
    )
    counts, lost, found = (dict[date, Any]() for _ in range(3))
    for day in days:
        raw, rejected, kept = raw_rows(state, day), len(refused[day]), clean[day]
        tallied = pc.value_counts(pc.list_flatten(refused[day]["reasons"])).to_pylist()
        reasons = dict(sorted((f"rejected: {entry['values']}", entry["counts"]) for entry in tallied))
        anonymous = kept["customer_id"].null_count
        counts[day] = {"raw": raw, "rejected": rejected, "anonymous": anonymous} | reasons
        unaccounted = abs(raw - len(kept) - rejected)
        lost[day] = counted("raw rows = transactions + rejected rows", unaccounted, True)
        found[day] = list(failures[day])
        for states, rows, holds in odd_shares(raw, rejected, anonymous, run.pipeline.settings.checks):
            found[day] += counted(states, rows, holds)
    # with the shapes of these days, whose manifests are yet to come, it is known whether they are usual
    to_come = {
        day: Manifest(
            table=table.name,
            partition={"date": str(day)},
            rows=len(clean[day]),
            content=state.released.get(day, ""),
            inputs={},
            code_version=table.code_version,
            schema_fingerprint="",
            shapes=like.get(day, {}),
            failures=outcomes([*lost[day], *found[day]]),
        )
        for day in days
    }
    coming = state.having(transactions={**state["transactions"], **to_come})
    made: dict[date, Manifest] = {}
    for day in days:
        keys, inputs = {"date": str(day)}, inputs_of(state, run.pipeline.recipe, "transactions", day)
        write_partition(lake, TABLES["rejected_rows"], keys, refused[day], inputs)
        made[day] = write_partition(
            lake,
            table,
            keys,
            clean[day],
            inputs,
            counts=counts[day],
            till=dict(sorted(till.get(day, {}).items())),
            shapes=like.get(day, {}),
            failures=to_come[day].failures,
        )
        fails = coming.fails(day, made[day])
        if not fails:
            # somebody released these rows: what is wrong with them holds nothing back
            for of_check in (lost, found):
                of_check[day] = [replace(failure, blocking=False) for failure in of_check[day]]
            revenue = sum(shape.counts["value"] for shape in made[day].shapes.values())
            figures = {"revenue": revenue, "rejected_rows": len(refused[day])}
            log_made(run.log, "transactions", str(day), made[day].rows, **figures)
        figures = {name.removeprefix("rejected: "): number for name, number in counts[day].items()}
        anonymous, figures["transactions"] = figures.pop("anonymous"), made[day].rows
        log_check(run.log, "transactions", "no_row_is_lost", str(day), lost[day], figures)
        figures = {"rows": made[day].rows, "expectations": expectations, "anonymous": anonymous}
        log_check(run.log, "transactions", "transactions_are_valid", str(day), found[day], figures)
        lines = {f"lines of {came.system}": came.lines for came in coming.delivered.get(day, ())}
        findings = coming.readiness.of(day)
        log_findings(run.log, "transactions", "deliveries_are_complete", str(day), findings, lines, fails)
        run.pipeline.on_made("transactions", str(day))
    run.has("transactions", made)
    return clean


def clean_rows(
    run: Run, days: Sequence[date]
) -> tuple[Mapping[date, pa.Table], Mapping[date, pa.Table], Mapping[date, Tally]]:
    """The transactions and the rejected rows of each day, by the rules of the profile that read each file.

    And the lines and money of both, for comparing with the till.
    """
    found: dict[str, list[pa.Table]] = {"transactions": [], "rejected_rows": []}
    figures: list[dict[str, Any]] = []
    for profile, files in run.pipeline.raw_files(run.state, days).items():
        rules = run.pipeline.settings.rules(profile)
        judged = run.engine.run("judged_rows", {"raw_transactions": files}, **parameters(rules))
        for table, pieces in found.items():
            pieces.append(run.engine.run(table, {"judged_rows": judged}))
        figures += run.engine.run("till_figures", {"judged_rows": judged}).to_pylist()
    clean, refused = (_by_day(table, pieces, days) for table, pieces in found.items())
    return clean, refused, tallies(figures)


def make_customer_days(run: Run, clean: Mapping[date, pa.Table | Path]) -> Bad[date]:
    """Sum, check and write the customer_days of the given days' transactions; return the bad days."""
    lake, state = run.pipeline.lake, run.state
    if not clean:
        return {}
    files = [path for path in clean.values() if isinstance(path, Path)]
    tables = [rows for rows in clean.values() if isinstance(rows, pa.Table)]
    features = run.pipeline.settings.features
    run.engine.keep(
        "new_customer_days",
        "customer_days",
        {"transactions": files or pa.concat_tables(tables), "earlier": _earlier(run, clean.keys())},
        include_adjustments=features.adjustments == "include",
        invoice_days=features.invoice_days,
    )
    tally = run.engine.ask("select date, count(*) as n from new_customer_days group by date").to_pylist()
    counts = dict.fromkeys(clean, 0) | {row["date"]: row["n"] for row in tally}
    against = run.judge("customer_days", [("new_customer_days", {})], counts)
    good = [day for day in clean if not against[day]]
    targets = [
        Target({"date": str(day)}, inputs_of(state, run.pipeline.recipe, "customer_days", day), {}, day)
        for day in good
    ]
    made = run.engine.make(lake, TABLES["customer_days"], "new_customer_days", targets)
    run.has("customer_days", dict(zip(good, made, strict=True)))
    for day in clean:
        if against[day]:
            remove_partition(lake, "customer_days", {"date": str(day)})
        else:
            log_made(run.log, "customer_days", str(day), counts[day], customers=counts[day])
        run.pipeline.on_made("customer_days", str(day))
    return {day: f"customer_days: {why}" for day, why in against.items() if why}


def _earlier(run: Run, days: Collection[date]) -> pa.Table:
    """The invoices of the days before and between those given in which one of theirs may have begun.

    Batches follow each other: those of a day are read once.
    """
    most, lake = run.pipeline.settings.features.invoice_days, run.pipeline.lake
    reach = (max(days) - min(days)).days + most
    before = [sold for sold in run.state.sold_before(max(days), reach) if most and sold[0] not in days]
    if not before:
        return TABLES["transactions"].arrow.empty_table()
    unread = [sold for sold in before if sold not in run.invoices]
    run.invoices = {sold: run.invoices[sold] for sold in before if sold in run.invoices}
    if unread:
        files = [lake.data("transactions", {"date": str(day)}) for day, _ in unread]
        rows = slices(run.engine.run("earlier_invoices", {"transactions": files}), "date", dict(unread))
        run.invoices |= {sold: rows[sold[0]] for sold in unread}
    return pa.concat_tables(run.invoices.values())


def _by_day(table: str, pieces: Sequence[pa.Table], days: Sequence[date]) -> Mapping[date, pa.Table]:
    if not pieces:
        return {day: TABLES[table].arrow.empty_table() for day in days}
    rows = ordered(pa.concat_tables(pieces), ("date", *TABLES[table].key))
    return slices(rows, "date", days)

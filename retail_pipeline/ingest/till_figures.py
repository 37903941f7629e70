"""What the readable rows of one file come to under the cleaning rules, and what the lake's days came to."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

from retail_pipeline.engine import Engine
from retail_pipeline.engine.duckdb import DuckDB
from retail_pipeline.engine.validation import failures
from retail_pipeline.ingest.profiles.cleaning import CleaningRules, parameters
from retail_pipeline.lake.partitions import Lake
from retail_pipeline.planning.deliveries import first_usual_day
from retail_pipeline.planning.manifests import Manifest
from retail_pipeline.planning.reconciliation import (
    REFUSED,
    Finding,
    Shares,
    Till,
    odd_shares,
    tallies,
    till,
)
from retail_pipeline.tables import TABLES, statement
from retail_pipeline.tables.expectations import Rules

RAW, TRANSACTIONS = TABLES["raw_transactions"], TABLES["transactions"]


def judge(engine: DuckDB, source_system: str, rules: CleaningRules) -> Till:
    """Judge the readable rows of the one file in ``mapped``; leaves ``judged_rows`` and ``transactions``."""
    names = ", ".join(RAW.names[3:])
    engine.keep(
        "raw_transactions",
        f"""select 'this file' as source_id, rowid + 1 as source_row, $system as source_system, {names},
            cast(sold_at as date) as date
        from mapped where reasons is null and not left_out""",  # noqa: S608 - the schema's columns
        {},
        system=source_system,
    )
    engine.keep("judged_rows", "judged_rows", {}, **parameters(rules))
    engine.connection.execute(f"create or replace temp view transactions as {statement('transactions')}")
    found = tallies(engine.ask("till_figures").to_pylist())
    return till(found, engine.ask("till_counts").to_pylist())


def of_days(engine: Engine, lake: Lake, made: Mapping[date, Manifest]) -> Till:
    """The figures of days whose transactions are made: money from their manifests, orders and customers from
    their rows.
    """
    files = [lake.data(day.table, day.partition) for day in made.values() if day.rows]
    counts = engine.ask("till_counts", {"transactions": files}).to_pylist() if files else []
    return till({day: manifest.till for day, manifest in made.items()}, counts)


def findings(engine: DuckDB, figures: Till, currency: str, limits: Shares) -> tuple[Finding, ...]:
    """What would hold days with the file's rows, once ``judge`` has judged them."""
    found: dict[str, list[tuple[date, int]]] = {}
    delivered = {day: of_day.lines + of_day.of(REFUSED).lines for day, of_day in figures.by_day.items()}
    first = first_usual_day(delivered)
    for day, of_day in figures.by_day.items():
        if first and day < first:
            states = f"no few lines lie more than a year before the rest, which begins {first}"
            found.setdefault(states, []).append((day, delivered[day]))
        refused, anonymous = of_day.of(REFUSED).lines, of_day.of("anonymous").lines
        for states, rows, holds in odd_shares(delivered[day], refused, anonymous, limits):
            if holds:
                found.setdefault(states, []).append((day, rows))
    expectations = [e for e in TRANSACTIONS.suite(Rules(currency)) if e.blocking]
    broken = failures(engine, TRANSACTIONS, expectations, "transactions", {})
    for name, failed in broken.items():
        for failure in failed:
            found.setdefault(failure.states, []).append((date.fromisoformat(name), failure.count))
    return tuple(
        Finding(states=states, days=len(days), first_day=min(days)[0], rows=sum(rows for _, rows in days))
        for states, days in sorted(found.items())
    )

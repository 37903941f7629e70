"""The query of every method: the model's own answer on DuckDB, and its spelling in other dialects.

Postgres and Spark run it in ``engine/``; here the dialects that nobody runs are parsed and read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path

import pyarrow as pa
import pytest
import sqlglot
from sqlglot import exp

from retail_pipeline import segmentation
from retail_pipeline.engine import Engine
from retail_pipeline.engine.duckdb import connect
from retail_pipeline.segmentation import (
    DIALECTS,
    FittedSegmentation,
    Parameters,
    RfmGridParameters,
    Scale,
    fit_snapshot,
    of_each_day,
    to_sql,
)
from retail_pipeline.segmentation.fitted import READ
from retail_pipeline.tables import TABLES
from retail_pipeline_tests.benchmarks.segments import customers, disagreements, frame, methods
from retail_pipeline_tests.segmentation.support import uci

RANKED = Scale(bins=4, ties="rank")
QUOTED = 'Can\'t \\ "Lose"'
METHODS: Mapping[str, Parameters] = methods() | {
    "rfm_grid, ranked": RfmGridParameters(
        recency=RANKED, frequency=RANKED, monetary=RANKED, rules=(("[34].", QUOTED), ("..", "Ça va"))
    ),
}


@pytest.fixture(scope="module")
def duckdb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    with connect("300MB", 2, tmp_path_factory.mktemp("spill")) as engine:
        yield engine


@pytest.fixture(scope="module")
def models() -> dict[str, FittedSegmentation]:
    known = segmentation.snapshot(frame(customers(2_000)))
    return {name: fit_snapshot(known, parameters, curve=False) for name, parameters in METHODS.items()}


@pytest.fixture(scope="module")
def queries(models: Mapping[str, FittedSegmentation]) -> dict[tuple[str, str], str]:
    """The query of every model in every dialect."""
    return {(name, to): to_sql(fitted, to) for name, fitted in models.items() for to in DIALECTS}


@pytest.mark.parametrize("name", METHODS)
def test_a_query_of_many_days_gives_each_day_what_it_gives_alone(
    name: str, duckdb: Engine, models: Mapping[str, FittedSegmentation]
) -> None:
    query = to_sql(models[name])
    days = {date(2011, 12, day): customers(300 * day, seed=day) for day in (1, 2, 3)}
    alone = [dated(day, duckdb.run(query, {"rfm_features": rows})) for day, rows in days.items()]
    together = pa.concat_tables([dated(day, rows) for day, rows in days.items()])
    found = duckdb.run(of_each_day(query), {"rfm_features": together})
    order = [("snapshot_date", "ascending"), ("customer_id", "ascending")]
    assert found.sort_by(order).equals(pa.concat_tables(alone).sort_by(order))


def dated(day: date, rows: pa.Table) -> pa.Table:
    return rows.append_column("snapshot_date", pa.repeat(pa.scalar(day), len(rows)))


def disagreeing(engine: Engine, fitted: FittedSegmentation, features: pa.Table) -> int:
    assigned = engine.run(to_sql(fitted), {"rfm_features": features})
    assert len(assigned) == len(features)
    return disagreements(engine, fitted, frame(features), assigned)


@pytest.mark.parametrize("name", METHODS)
def test_query_and_model_agree_on_every_customer(
    duckdb: Engine, models: Mapping[str, FittedSegmentation], name: str
) -> None:
    assert disagreeing(duckdb, models[name], customers(50_000, seed=1)) == 0


def test_query_and_model_agree_on_every_customer_of_uci(duckdb: Engine, uci_dir: Path) -> None:
    columns = ["customer_id", *READ]
    schema = pa.schema([TABLES["rfm_features"].arrow.field(name) for name in columns])
    features = pa.Table.from_pandas(uci(uci_dir, "price > 0 and quantity > 0")[columns]).cast(schema)
    known = segmentation.snapshot(frame(features))
    for name, parameters in METHODS.items():
        assert disagreeing(duckdb, fit_snapshot(known, parameters, curve=False), features) == 0, name


def test_every_dialect_reads_the_query_written_for_it(queries: Mapping[tuple[str, str], str]) -> None:
    for (_, dialect), query in queries.items():
        tree = sqlglot.parse_one(query, dialect=dialect)
        columns = [column.alias_or_name for column in tree.selects]
        assert columns == ["customer_id", "segment", "score", "reason"]
        stages = {stage.alias for stage in tree.find_all(exp.CTE)}
        assert {table.name for table in tree.find_all(exp.Table)} == {"rfm_features", *stages}
        assert not list(tree.find_all(exp.Anonymous)), "a function that is not known to be there"
        assert "COALESCE" not in query, "a guard against nulls that cannot be"
        assert "IGNORE_NULLS" not in query


@pytest.mark.parametrize("dialect", DIALECTS)
def test_names_keep_their_quotes_and_backslashes(
    queries: Mapping[tuple[str, str], str], dialect: str
) -> None:
    tree = sqlglot.parse_one(queries["rfm_grid, ranked", dialect], dialect=dialect)
    assert {QUOTED, "Ça va"} <= {node.name for node in tree.find_all(exp.Literal) if node.is_string}


@pytest.mark.parametrize("name", METHODS)
def test_bigquery_keeps_the_cents(queries: Mapping[tuple[str, str], str], name: str) -> None:
    """Its NUMERIC has no scale of its own and writes 3802.10 as 3802.1."""
    query = queries[name, "bigquery"]
    assert "FORMAT('%.2f', ROUND(CAST(monetary AS NUMERIC), 2))" in query
    assert "AS NUMERIC) AS STRING" not in query
    assert "DOUBLE" not in query


def test_snowflake_and_postgres_cast_only_ids_that_are_numbers(
    queries: Mapping[tuple[str, str], str],
) -> None:
    snowflake, postgres = (queries["rfm_grid, ranked", to] for to in ("snowflake", "postgres"))
    assert "TRY_CAST(customer_id AS BIGINT)" in snowflake
    assert "CASE WHEN customer_id ~ '^[0-9]{1,18}$' THEN CAST(customer_id AS BIGINT) END" in postgres


def test_postgres_computes_each_stage_once(queries: Mapping[tuple[str, str], str]) -> None:
    """Written into one another, as Postgres would, the stages take all memory before the first row."""
    for cte in sqlglot.parse_one(queries["behaviour", "postgres"], dialect="postgres").find_all(exp.CTE):
        assert cte.args["materialized"]


def test_another_dialect_is_refused(models: Mapping[str, FittedSegmentation]) -> None:
    with pytest.raises(ValueError, match=r"no dialect 'oracle' .*duckdb, spark, postgres, snowflake"):
        to_sql(models["behaviour"], "oracle")

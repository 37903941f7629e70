"""A real Postgres gives the segments, scores and reasons that DuckDB gives, for every method."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict
from typing import Any

import duckdb
import pandas as pd
import pytest

from retail_pipeline import segmentation
from retail_pipeline.segmentation import Parameters, RfmGridParameters, Scale, fit_snapshot, to_sql
from retail_pipeline.segmentation.fitted import READ
from retail_pipeline_tests.benchmarks.segments import customers, frame, methods
from retail_pipeline_tests.postgres import NEEDS_POSTGRES, running_postgres

pytestmark = NEEDS_POSTGRES

COLUMNS = ["customer_id", *READ]
SCALE = Scale(bins=7, ties="rank")
RANKED = RfmGridParameters(
    recency=SCALE,
    frequency=SCALE,
    monetary=SCALE,
    pattern_on="rfm",
    rules=(("[5-7]..", "Can't \\ Lose"), ("...", "Ça va")),
)
MODELS: dict[str, Parameters] = {**methods(), "rfm_grid, ranked": RANKED}
# What engines write, round and sort each in their own way.
EDGES = [
    ("b", 0, 1, "0.0000", "0.0050", 0, 1),
    ("B", 1, 1, "0.1250", "0.1250", 1, 1),
    ("Ähre", 1, 1, "-0.0050", "2.6750", 1, 1),
    ("a b", 1, 2, "-3.0000", "1.0050", 10, 2),
    ("7", 30, 2, "3802.1000", "1901.0500", 39, 2),
    ("007", 30, 2, "3802.1000", "1901.0500", 39, 2),
    ("9" * 25, 30, 2, "3802.1000", "1901.0500", 39, 2),
    ("10", 900, 5000, "99999999999999.9999", "99999999999999.9999", 45891, 5000),
    ("it's", 1, 0, "-12.3000", None, 1, 0),
    ("gone", 1500, 0, "0.0000", None, 1500, 0),
    # So many equals that the edge of a bin falls among them: who is above it is for their ids to say.
    *((f"{first}{n}", 40, 3, "77.0000", "25.6667", 80, 3) for first in "aBcÄ" for n in range(100)),
]
CUSTOMERS = customers(1_000)


@pytest.fixture(scope="module")
def snapshot() -> pd.DataFrame:
    """A thousand customers and the edges."""
    made: pd.DataFrame = CUSTOMERS.select(COLUMNS).to_pandas()
    return pd.concat([made, pd.DataFrame(EDGES, columns=COLUMNS)], ignore_index=True)


@pytest.fixture(scope="module")
def postgres(snapshot: pd.DataFrame) -> Iterator[Any]:
    """A server of its own with the snapshot in it."""
    psycopg2 = pytest.importorskip("psycopg2")
    rows = io.StringIO(snapshot.to_csv(index=False, header=False))
    with running_postgres() as server, closing(psycopg2.connect(**asdict(server))) as connection:
        with connection.cursor() as cursor:
            cursor.execute(
                """create table rfm_features (customer_id text, recency_days bigint, frequency bigint,
                   monetary numeric(18, 4), avg_order_value numeric(18, 4), tenure_days bigint,
                   active_days bigint)"""
            )
            cursor.copy_expert("copy rfm_features from stdin (format csv)", rows)
        yield connection


@pytest.fixture(scope="module")
def in_duckdb(snapshot: pd.DataFrame) -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        connection.register("given", snapshot.astype(object).where(snapshot.notna(), None))
        connection.execute(
            """create table rfm_features as select customer_id, recency_days, frequency,
                 cast(monetary as decimal(18, 4)) as monetary,
                 cast(avg_order_value as decimal(18, 4)) as avg_order_value, tenure_days, active_days
               from given"""
        )
        yield connection


@pytest.mark.parametrize("name", MODELS)
def test_postgres_gives_every_customer_the_row_that_duckdb_gives(
    postgres: Any, in_duckdb: duckdb.DuckDBPyConnection, name: str
) -> None:
    fitted = fit_snapshot(segmentation.snapshot(frame(CUSTOMERS)), MODELS[name], curve=False)
    with postgres.cursor() as cursor:
        cursor.execute(to_sql(fitted, "postgres"))
        found = sorted(cursor.fetchall())
    expected = sorted(in_duckdb.execute(to_sql(fitted)).fetchall())
    assert len(expected) == len(CUSTOMERS) + len(EDGES)
    for theirs, ours in zip(found, expected, strict=True):
        assert theirs == ours

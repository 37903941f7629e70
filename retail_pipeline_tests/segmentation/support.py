"""What the segmentation tests share: snapshots as hypothesis makes them, and a query run on DuckDB."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from functools import cache
from typing import Any

import duckdb
import pandas as pd
from hypothesis import strategies as st

from retail_pipeline.segmentation import FittedSegmentation, to_sql

FEATURES = ["recency_days", "frequency", "monetary"]

cents = st.integers(-50_000, 900_000).map(lambda units: Decimal(units) / 100)
gross = st.integers(1, 900_000).map(lambda units: Decimal(units) / 100)
customers = st.tuples(st.integers(0, 900), st.integers(0, 12), cents, gross)
ids = st.one_of(st.integers(1, 10**6).map(str), st.text("abXY-0", min_size=1, max_size=6))


def snapshot(rows: Sequence[tuple[object, ...]], names: list[str] | None = None) -> pd.DataFrame:
    """(recency, frequency, monetary[, average order]) rows as a snapshot, numbered from 101 or named.

    Without an average given nothing was returned: it is monetary / frequency.
    """
    full = [row if len(row) == 4 else (*row, _average(*row)) for row in rows]
    frame = pd.DataFrame(full, columns=[*FEATURES, "avg_order_value"])
    frame["avg_order_value"] = frame["avg_order_value"].where(frame["frequency"] > 0, None)
    # one order a week
    frame["active_days"] = frame["frequency"]
    frame["tenure_days"] = frame["recency_days"] + 7 * (frame["frequency"] - 1).clip(lower=0)
    frame.insert(0, "customer_id", names or [str(101 + i) for i in range(len(rows))])
    return frame


def _average(_recency: Any, frequency: Any, monetary: Any) -> Decimal | None:
    return round(Decimal(str(monetary)) / frequency, 4) if frequency else None


def snapshots(min_size: int = 1, max_size: int = 40) -> st.SearchStrategy[pd.DataFrame]:
    """Snapshots with ties, lapsed customers, refunds and ids that are numbers or not."""
    return st.lists(ids, min_size=min_size, max_size=max_size, unique=True).flatmap(
        lambda names: st.lists(customers, min_size=len(names), max_size=len(names)).map(
            lambda rows: snapshot(rows, names)
        )
    )


@cache
def _engine() -> duckdb.DuckDBPyConnection:
    return duckdb.connect(config={"threads": 1})


def assign(fitted: FittedSegmentation, features: pd.DataFrame) -> pd.DataFrame:
    """The query's answer for features in the lake's types, indexed by customer_id in their order."""
    connection = _engine()
    connection.execute(
        "create or replace table rfm_features (customer_id varchar, recency_days bigint, frequency bigint,"
        " monetary decimal(18, 4), avg_order_value decimal(18, 4), tenure_days bigint, active_days bigint)"
    )
    if len(features):
        written = {"customer_id": str, "monetary": str, "avg_order_value": str}
        connection.register("given", features.astype(written))
        connection.execute(
            "insert into rfm_features select customer_id, recency_days, frequency, monetary,"
            " case when frequency > 0 then avg_order_value end, tenure_days, active_days from given"
        )
    found: pd.DataFrame = connection.execute(to_sql(fitted)).df()
    assert list(found.columns) == ["customer_id", "segment", "score", "reason"]
    assert sorted(found["customer_id"]) == sorted(set(found["customer_id"])), "a customer got two segments"
    known = set(found["customer_id"])
    return found.set_index("customer_id").reindex([name for name in features["customer_id"] if name in known])


def in_order(features: pd.DataFrame) -> list[str]:
    """The customers as a snapshot orders them: numbers as numbers, then texts."""
    return sorted(
        features["customer_id"],
        key=lambda name: (not name.isdigit(), int(name) if name.isdigit() else 0, name),
    )


@cache
def _uci_lines(files: str) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    connection.execute(
        """create table lines as select regexp_replace("CustomerID", '\\.0$', '') as customer_id,
             "InvoiceNo" as invoice, trim("StockCode") as product, cast("Quantity" as bigint) as quantity,
             cast("UnitPrice" as decimal(18, 4)) as price, cast("InvoiceDate" as date) as day
           from read_csv(?, all_varchar = true) where "CustomerID" <> ''""",
        [files],
    )
    return connection


def uci(uci_dir: object, keep: str) -> pd.DataFrame:
    """RFM of UCI Online Retail as of 2011-12-09 over the lines that the condition keeps."""
    query = f"""select customer_id, date_diff('day', max(day), date '2011-12-09') as recency_days,
          date_diff('day', min(day), date '2011-12-09') as tenure_days, count(distinct day) as active_days,
          count(distinct invoice) as frequency,
          cast(sum(quantity * price) as decimal(18, 4)) as monetary,
          cast(sum(quantity * price) filter (quantity > 0) / nullif(count(distinct invoice)
            filter (quantity > 0), 0) as decimal(18, 4)) as avg_order_value
        from lines where {keep} group by customer_id having sum(quantity * price) > 0"""
    frame: pd.DataFrame = _uci_lines(f"{uci_dir}/*.csv").execute(query).df()
    return frame

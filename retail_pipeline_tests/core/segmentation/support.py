"""What the segmentation tests share: snapshots as hypothesis makes them, and a query run on DuckDB."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

import duckdb
import pandas as pd
from hypothesis import strategies as st

from retail_pipeline.core.segmentation import FittedSegmentation, to_sql

FEATURES = ["recency_days", "frequency", "monetary"]

cents = st.integers(-50_000, 900_000).map(lambda units: Decimal(units) / 100)
customers = st.tuples(st.integers(0, 900), st.integers(0, 12), cents)
ids = st.one_of(st.integers(1, 10**6).map(str), st.text("abXY-0", min_size=1, max_size=6))


def snapshot(rows: Sequence[tuple[object, ...]], names: list[str] | None = None) -> pd.DataFrame:
    """(recency, frequency, monetary) rows as a snapshot; customers are numbered from 101 or named."""
    frame = pd.DataFrame(rows, columns=FEATURES)
    frame.insert(0, "customer_id", names or [str(101 + i) for i in range(len(rows))])
    return frame


def snapshots(min_size: int = 1, max_size: int = 40) -> st.SearchStrategy[pd.DataFrame]:
    """Snapshots with ties, lapsed customers, refunds and ids that are numbers or not."""
    return st.lists(ids, min_size=min_size, max_size=max_size, unique=True).flatmap(
        lambda names: st.lists(customers, min_size=len(names), max_size=len(names)).map(
            lambda rows: snapshot(rows, names)
        )
    )


def assign(fitted: FittedSegmentation, features: pd.DataFrame) -> pd.DataFrame:
    """The query's answer for features in the lake's types, indexed by customer_id in their order."""
    with duckdb.connect() as connection:
        connection.execute(
            "create table rfm_features (customer_id varchar, recency_days bigint, frequency bigint,"
            " monetary decimal(18, 4))"
        )
        if len(features):
            connection.register("given", features.astype({"customer_id": str, "monetary": str}))
            connection.execute(
                "insert into rfm_features select customer_id, recency_days, frequency, monetary from given"
            )
        found: pd.DataFrame = connection.execute(to_sql(fitted)).df()
    assert list(found.columns) == ["customer_id", "segment", "score", "reason"]
    assert sorted(found["customer_id"]) == sorted(set(found["customer_id"])), "a customer got two segments"
    known = set(found["customer_id"])
    return found.set_index("customer_id").reindex([name for name in features["customer_id"] if name in known])


def uci(uci_dir: object, keep: str) -> pd.DataFrame:
    """RFM of UCI Online Retail as of 2011-12-09 over the lines that the condition keeps."""
    with duckdb.connect() as connection:
        connection.execute(
            """create table lines as select regexp_replace("CustomerID", '\\.0$', '') as customer_id,
                 "InvoiceNo" as invoice, trim("StockCode") as product, cast("Quantity" as bigint) as quantity,
                 cast("UnitPrice" as decimal(18, 4)) as price, cast("InvoiceDate" as date) as day
               from read_csv(?, all_varchar = true) where "CustomerID" <> ''""",
            [f"{uci_dir}/*.csv"],
        )
        frame: pd.DataFrame = connection.execute(
            f"""select customer_id, date_diff('day', max(day), date '2011-12-09') as recency_days,
                  count(distinct invoice) as frequency,
                  cast(sum(quantity * price) as decimal(18, 4)) as monetary
                from lines where {keep} group by customer_id having sum(quantity * price) > 0"""
        ).df()
    return frame

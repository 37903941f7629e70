"""What assigning many customers costs: as seconds, and as a multiple of reading and writing them.

``python -m retail_pipeline_tests.benchmarks.segments [--customers 1000000]``.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import TypeVar

import numpy as np
import pandas as pd
import pyarrow as pa
from pydantic import TypeAdapter

from retail_pipeline.engine import Engine
from retail_pipeline.engine.duckdb import connect
from retail_pipeline.lake.partitions import STAGING, Lake, read_partition, write_partition
from retail_pipeline.segmentation import (
    LAPSED,
    FittedSegmentation,
    Parameters,
    assign,
    fit,
    snapshot,
    to_sql,
)
from retail_pipeline.segmentation.fitted import NUMERIC_ID
from retail_pipeline.tables import TABLES
from retail_pipeline.tables.segment_assignments import OF_MOMENTS

T = TypeVar("T")

ROUNDS = 3
DAY = date(2011, 12, 9)
FEATURES, ASSIGNMENTS = TABLES["rfm_features"], TABLES["segment_assignments"]


def methods() -> dict[str, Parameters]:
    """Every method there is, with its defaults."""
    adapter: TypeAdapter[Parameters] = TypeAdapter(Parameters)
    known = adapter.json_schema()["discriminator"]["mapping"]
    return {name: adapter.validate_python({"method": name}) for name in known}


def customers(count: int, seed: int = 0) -> pa.Table:
    """A snapshot of ``rfm_features``: heavy tails, ties, refunds, the lapsed, ids that are no numbers."""
    random = np.random.default_rng(seed)
    number = random.permutation(count) + 10_000
    ids = np.where(random.random(count) < 0.9, number.astype(str), np.char.add("C-", number.astype(str)))
    order = np.argsort(ids)
    recency = np.minimum(random.exponential(150, count), 1500).astype(np.int64)
    orders = np.minimum(random.negative_binomial(1, 0.2, count) + random.zipf(2.5, count), 5000)
    lapsed = random.random(count) < 0.05
    frequency = np.where(lapsed, 0, orders).astype(np.int64)
    order_value = np.round(np.exp(random.normal(5.5, 1, count)), 4)
    order_value[random.random(count) < 0.1] = 25
    kept = np.where(random.random(count) < 0.1, 1 - random.exponential(0.5, count), 1)
    tenure = recency + (random.exponential(200, count) * (orders > 1)).astype(np.int64)
    days = np.datetime64(DAY, "us") + random.integers(8 * 3600, 20 * 3600, count).astype("timedelta64[s]")
    columns = {
        "customer_id": ids.astype(object),
        "recency_days": recency,
        "frequency": frequency,
        "monetary": np.round(frequency * order_value * kept, 4),
        "avg_order_value": np.where(lapsed, np.nan, order_value),
        "tenure_days": tenure,
        "active_days": np.minimum(frequency, tenure - recency + 1),
        "first_sold_at": days - tenure.astype("timedelta64[D]"),
        "last_sold_at": days - recency.astype("timedelta64[D]"),
    }
    arrays = [pa.array(columns[name][order], from_pandas=True) for name in FEATURES.names]
    return pa.table(arrays, FEATURES.names).cast(FEATURES.arrow)


def frame(features: pa.Table) -> pd.DataFrame:
    """The features as a fit reads them: money as floats."""
    money = [field.name for field in features.schema if pa.types.is_decimal(field.type)]
    for name in money:
        place = features.column_names.index(name)
        features = features.set_column(place, name, features[name].cast(pa.float64()))
    found: pd.DataFrame = features.to_pandas()
    return found


def disagreements(
    engine: Engine, fitted: FittedSegmentation, features: pd.DataFrame, assigned: pa.Table
) -> int:
    """Customers whose segment by the query is not the one by the model's own arithmetic."""
    active = engine.run(
        f"""select segment from assigned where segment <> '{LAPSED}' order by
            case when regexp_matches(customer_id, '{NUMERIC_ID}') then cast(customer_id as bigint) end
            nulls last, customer_id""",
        {"assigned": assigned},
    )
    model = assign(fitted, snapshot(features))
    assert len(model) == len(active), "the query and the model do not see the same customers"
    return int((active["segment"].to_numpy() != model).sum())


def timed(work: Callable[[], T]) -> tuple[float, T]:
    """The seconds of the fastest round, and what the last one gave."""
    seconds = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        result = work()
        seconds.append(time.perf_counter() - began)
    return min(seconds), result


def measured(engine: Engine, lake: Lake, name: str, features: pa.Table) -> tuple[float, float, float, int]:
    """Seconds to fit, to assign and to write under a method; customers whom query and model see apart."""
    known, keys = frame(features), {"snapshot_date": str(DAY), "segmentation": name}
    began = time.perf_counter()
    fitted = fit(known, methods()[name])
    fitting = time.perf_counter() - began

    def segment() -> pa.Table:
        assigned = engine.run(to_sql(fitted), {"rfm_features": features})
        days = pa.repeat(pa.scalar(DAY), len(assigned))
        inputs = {
            "assigned": assigned.append_column("snapshot_date", days),
            "previous": ASSIGNMENTS.arrow.empty_table(),
            "given": OF_MOMENTS.empty_table(),
            "near": OF_MOMENTS.empty_table(),
        }
        facts = {"month_close": date(2011, 12, 31), "model_month": "2011-12"}
        return engine.run("segment_assignments", inputs, **facts).drop_columns(["snapshot_date"])

    assigning, rows = timed(segment)
    writing, _ = timed(lambda: write_partition(lake, ASSIGNMENTS, keys, rows, {}))
    return fitting, assigning, writing, disagreements(engine, fitted, known, rows)


def main() -> None:
    """Read, fit, assign, write and compare under every method; print the seconds and the ratios."""
    parser = argparse.ArgumentParser(description="Assigning made-up customers under every method.")
    parser.add_argument("--customers", type=int, default=1_000_000)
    count = parser.parse_args().customers
    keys = {"snapshot_date": str(DAY)}
    with tempfile.TemporaryDirectory() as folder:
        lake = Lake(Path(folder))
        write_partition(lake, FEATURES, keys, customers(count), {})
        reading, features = timed(lambda: read_partition(lake, FEATURES, keys))
        print(f"{count:,} customers, read in {reading:.2f} s")
        found = []
        with connect("300MB", 2, lake.root / STAGING) as engine:
            for name in methods():
                fitting, assigning, writing, apart = measured(engine, lake, name, features)
                found.append((assigning, writing, apart))
                print(
                    f"{name:<14} fit {fitting:5.2f} s, assign {assigning:5.2f} s, write {writing:5.2f} s, "
                    f"assign / (read + write) {assigning / (reading + writing):4.1f}, "
                    f"query and model disagree on {apart:,} customers",
                    flush=True,
                )
        assigning, writing, apart = (sum(column) for column in zip(*found, strict=True))
        moving = reading + writing
        print(f"all: assign {assigning:.2f} s, read and write {moving:.2f} s, ratio {assigning / moving:.1f}")
        assert not apart, f"query and model disagree on {apart} customers"


if __name__ == "__main__":
    main()

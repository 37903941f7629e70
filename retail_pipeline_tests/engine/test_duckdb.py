"""Rows of a table stay with the engine: what is asked is small, what is made is written by it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from retail_pipeline.engine import Engine, EngineError, Target
from retail_pipeline.engine.duckdb import connect
from retail_pipeline.lake.partitions import Lake
from retail_pipeline.tables import TABLES

FEATURES = TABLES["rfm_features"]
DAYS = (date(2011, 12, 8), date(2011, 12, 9), date(2011, 12, 10))


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    with connect("300MB", 2, tmp_path / "spill") as opened:
        yield opened


def test_an_answer_that_is_not_small_is_refused(engine: Engine):
    rows = pa.table({"x": range(11)})
    assert engine.ask("select x from rows", {"rows": rows}, most=11)["x"].to_pylist() == [*range(11)]
    with pytest.raises(EngineError, match="more than 10 rows, which are to stay in the engine: select x"):
        engine.ask("select x from rows", {"rows": rows}, most=10)


def test_each_partition_gets_its_own_rows_in_their_order_and_an_empty_one_is_written(
    engine: Engine, tmp_path: Path
):
    features = ", ".join(
        f"cast(null as {kind}) as {name}"
        for name, kind in (("avg_order_value", "decimal(18, 4)"), ("first_sold_at", "timestamp"))
    )
    engine.keep(
        "new_features",
        f"""select date '2011-12-08' + cast(range % 2 as integer) as snapshot_date,
            cast(range as varchar) as customer_id, range as recency_days, range as frequency,
            cast(range as decimal(18, 4)) as monetary, range as tenure_days, range as active_days, {features},
            cast(null as timestamp) as last_sold_at
        from range(300000) order by range desc""",
        {},
    )
    targets = [Target({"snapshot_date": str(day)}, {"from": "x"}, {"counts": {"n": 1}}, day) for day in DAYS]
    made = engine.make(Lake(tmp_path), FEATURES, "new_features", targets)
    assert [(m.partition["snapshot_date"], m.rows, m.inputs, m.counts) for m in made] == [
        (str(day), rows, {"from": "x"}, {"n": 1})
        for day, rows in zip(DAYS, (150_000, 150_000, 0), strict=True)
    ]
    file = Lake(tmp_path).data(FEATURES.name, {"snapshot_date": "2011-12-09"})
    with pq.ParquetFile(file) as written:
        assert written.read(["frequency"])["frequency"].to_pylist() == [*range(299_999, 0, -2)]

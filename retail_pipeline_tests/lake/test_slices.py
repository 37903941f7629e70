"""Cutting an ordered table into partitions loses no row."""

from __future__ import annotations

from datetime import date, timedelta

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retail_pipeline.lake.slices import slices

DAYS = [date(2011, 1, 1) + timedelta(n) for n in range(6)]


def table(days: list[date], chunks: int = 1) -> pa.Table:
    whole = pa.table({"date": pa.array(days, pa.date32()), "n": pa.array(range(len(days)), pa.int64())})
    size = max(1, len(days) // chunks)
    return pa.concat_tables([whole.slice(at, size) for at in range(0, max(1, len(days)), size)])


@settings(deadline=None)
@given(st.lists(st.sampled_from(DAYS), max_size=30).map(sorted), st.integers(1, 5))
def test_each_key_gets_its_rows_in_order_and_a_key_without_rows_an_empty_table(days: list[date], chunks: int):
    found = slices(table(days, chunks), "date", DAYS)
    assert list(found) == DAYS
    assert {key: rows["n"].to_pylist() for key, rows in found.items()} == {
        key: [n for n, day in enumerate(days) if day == key] for key in DAYS
    }
    assert all(rows.column_names == ["n"] for rows in found.values())


@pytest.mark.parametrize(
    ("of", "keys", "says"),
    [
        (
            [DAYS[0], DAYS[1], DAYS[1]],
            DAYS[:1],
            r"2 rows belong to no partition.*2011-01-02|2 rows.*2011, 1, 2",
        ),
        ([DAYS[0], DAYS[1], DAYS[0]], DAYS, r"1 rows .*out of order"),
        ([DAYS[0], None], DAYS, "1 rows"),
    ],
)
def test_rows_without_a_partition_or_out_of_order_are_an_error_and_not_lost(
    of: list[date], keys: list[date], says: str
):
    with pytest.raises(ValueError, match=says):
        slices(table(of), "date", keys)

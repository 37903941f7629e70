"""Cutting an ordered table into partitions loses no row; a key says what the order is."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retail_pipeline.lake.slices import ordered, rises, slices

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


KEY = ("file", "row")
keys = st.tuples(st.sampled_from(["a", "b", "c"]), st.integers(1, 4))


def keyed(rows: Sequence[tuple[str | None, int | None]], chunks: int = 1) -> pa.Table:
    schema = pa.schema([("file", pa.string()), ("row", pa.int64()), ("n", pa.int64())])
    whole = [dict(zip(("file", "row", "n"), (*row, n), strict=True)) for n, row in enumerate(rows)]
    size = max(1, len(rows) // chunks)
    pieces = [whole[at : at + size] for at in range(0, max(1, len(rows)), size)]
    return pa.concat_tables([pa.Table.from_pylist(piece, schema) for piece in pieces])


@settings(deadline=None)
@given(st.lists(keys, max_size=8), st.integers(1, 3))
def test_rows_come_out_in_the_order_of_their_key_none_lost(rows: list[tuple[str, int]], chunks: int):
    found = ordered(keyed(rows, chunks), KEY).to_pylist()
    assert [(row["file"], row["row"]) for row in found] == sorted(rows)
    assert all(rows[row["n"]] == (row["file"], row["row"]) for row in found)
    assert sorted(row["n"] for row in found) == list(range(len(rows)))


@settings(deadline=None)
@given(st.lists(keys, max_size=5), st.integers(1, 3))
def test_a_key_rises_when_no_row_repeats_it_or_comes_before_its_time(
    rows: list[tuple[str, int]], chunks: int
):
    for each in (rows, sorted(rows), sorted(set(rows))):
        assert rises(keyed(each, chunks), KEY) is (each == sorted(set(each)))


def test_a_key_with_a_null_is_not_known_to_rise():
    assert not rises(keyed([("a", 1), (None, 2), ("c", 3)]), KEY)
    assert not rises(keyed([("a", 1), ("a", None)]), KEY)

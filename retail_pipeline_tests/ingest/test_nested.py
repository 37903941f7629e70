"""JSON and Parquet: keys twice, keys left out, lists; and dates that a spreadsheet swapped, in any format."""

from __future__ import annotations

import json
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from retail_pipeline.ingest.files.records import Layout, open_records
from retail_pipeline.ingest.files.unpacked import RefusalError
from retail_pipeline.ingest.samples import sample
from retail_pipeline_tests.ingest.landing_shop import Shop, counts, refusal
from retail_pipeline_tests.ingest.test_formats import profile, text, workbook

GOOD: dict[str, Any] = {
    "bill": 1, "sku": "A1", "title": "Lamp", "qty": 2, "price": 1.5, "day": "2011-01-31", "who": "Ann",
}  # fmt: skip


def lines(*rows: dict[str, Any]) -> list[str]:
    return [json.dumps(row) for row in rows]


@pytest.mark.parametrize(
    "row",
    [
        lines(GOOD)[0].replace('"qty"', '"price": 9.99, "qty"'),
        lines(GOOD)[0].replace('"qty"', '"ship": {"to": 1, "to": 1}, "qty"'),
        lines({**GOOD, "a.b": 1, "a": {"b": 2}})[0],
    ],
)
def test_an_object_with_a_key_twice_is_unreadable(shop, row):
    shop.deliver("a.jsonl", *lines(GOOD), row)
    assert counts(shop.land(profile())["a.jsonl"]) == {"rows_read": 2, "raw": 1, "unreadable": 1}
    assert shop.unreadable()[0]["reasons"] == ["the row is a JSON object with a key twice"]


def test_lines_without_the_customers_key_are_anonymous_and_a_first_customer_after_many_is_none(shop):
    guest = {name: value for name, value in GOOD.items() if name not in ("who", "title")}
    shop.deliver("a.jsonl", *lines(guest, guest))
    shop.deliver("b.jsonl", *lines(*[guest] * 1500, GOOD))
    shop.land(profile())
    customers = [row["customer_id"] for row in shop.raw()]
    assert (customers.count(None), customers.count("Ann")) == (1502, 1)


@pytest.mark.parametrize("left_out", ["qty", "price", "day", "sku", "bill"])
def test_a_key_that_every_row_needs_is_never_taken_for_nothing(shop, left_out):
    shop.deliver("a.jsonl", *lines({k: v for k, v in GOOD.items() if k != left_out}))
    assert f"also needs {left_out}" in refusal(shop.land(profile())["a.jsonl"])


@pytest.mark.parametrize("renamed", ["who_bought", "whom"])
def test_a_key_that_may_have_been_renamed_is_not_taken_for_left_out(shop, renamed):
    shop.deliver("a.jsonl", *lines({renamed if k == "who" else k: v for k, v in GOOD.items()}))
    assert "also needs who" in refusal(shop.land(profile())["a.jsonl"])


ORDER = {"bill": 1, "day": "2011-01-31", "who": "Ann", "items": [{"sku": "A1", "qty": 2, "price": 1.5}]}


def test_lists_of_lines_are_refused_in_a_sentence_that_says_so(shop, tmp_path):
    shop.deliver("a.jsonl", *lines(ORDER))
    pq.write_table(pa.Table.from_pylist([ORDER]), shop.landing / "a.parquet")
    for outcome in shop.land(profile()).values():
        assert refusal(outcome).startswith("holds nested lists in items: lists of lines are not read")
    for name in ("a.jsonl", "a.parquet"):
        with pytest.raises(RefusalError, match="lists of lines are not read"):
            sample(shop.landing / name, tmp_path)


def test_a_list_is_no_id_and_does_not_keep_a_file_from_being_read(shop):
    shop.deliver("a.jsonl", *lines(GOOD | {"discounts": [{"code": "X"}], "tags": ["new"]}))
    assert counts(shop.land(profile())["a.jsonl"])["raw"] == 1
    shop.deliver("b.jsonl", *lines(GOOD | {"bill": 2, "sku": [{"code": "A1"}]}))
    assert "holds nested lists in sku" in refusal(shop.land(profile())["b.jsonl"])


# dates that a spreadsheet swapped

MONTH = [date(2011, 3, 1) + timedelta(n) for n in range(31)]
SWAPPED = [datetime(2011, day.day, day.month) if day.day <= 12 else f"{day:%d/%m/%Y}" for day in MONTH]  # noqa: DTZ001


def rows(days: list[Any]) -> list[list[Any]]:
    return [[str(n), "A1", "Lamp", "2", "1.50", day, "Ann"] for n, day in enumerate(days)]


def delivered(shop: Shop, kind: str, rows: list[list[Any]]) -> None:
    objects = [dict(zip(GOOD, row, strict=True)) for row in rows]
    if kind == "csv":
        (shop.landing / "a.csv").write_text(text(rows=rows))
    elif kind == "parquet":
        pq.write_table(pa.Table.from_pylist(objects), shop.landing / "a.parquet")
    else:
        shop.deliver("a.jsonl", *lines(*objects))


@pytest.mark.parametrize("order", [None, "day_first"])
@pytest.mark.parametrize("kind", ["xlsx", "csv", "parquet", "jsonl", "csv 2011/3/1"])
def test_dates_that_a_spreadsheet_swapped_refuse_the_file_whatever_was_declared(shop, kind, order):
    kind, _, slashes = kind.partition(" ")
    form = "{0.year}/{0.month}/{0.day} 00:00" if slashes else "{0:%Y-%m-%d %H:%M:%S}"
    texts = [form.format(day) if isinstance(day, datetime) else day for day in SWAPPED]
    if kind == "xlsx":
        (shop.landing / "a.xlsx").write_bytes(workbook([list(GOOD), *rows(SWAPPED)]))
    else:
        delivered(shop, kind, rows(texts))
    declared = {"date_order": order} if order else {}
    said = refusal(shop.land(profile(**declared))[f"a.{kind}"])
    assert "were swapped by a spreadsheet: the 12 that it took for real dates" in said


@pytest.mark.parametrize("kind", ["xlsx", "jsonl"])
def test_rows_that_are_left_out_show_a_swap_too(shop, kind):
    if kind == "xlsx":
        (shop.landing / "a.xlsx").write_bytes(workbook([list(GOOD), *rows(SWAPPED)]))
    else:
        texts = [f"{day:%Y-%m-%d %H:%M:%S}" if isinstance(day, datetime) else day for day in SWAPPED]
        delivered(shop, kind, rows(texts))
    said = refusal(shop.land(profile(keep_rows="day not like '%/%'"))[f"a.{kind}"])
    assert "were swapped by a spreadsheet" in said


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_iso_dates_beside_a_declared_order_are_read_when_they_are_no_swap(shop, kind):
    texts = [f"{day:%Y-%m-%d}" if day.day % 2 else f"{day:%d/%m/%Y}" for day in MONTH]
    delivered(shop, kind, rows(texts))
    assert counts(shop.land(profile(date_order="day_first"))[f"a.{kind}"])["raw"] == 31
    assert sorted(row["sold_at"].date() for row in shop.raw()) == MONTH


def test_whole_numbers_that_pandas_made_doubles_are_keys_of_second_files(tmp_path: Path):
    path = tmp_path / "prices.parquet"
    pq.write_table(pa.table({"key": [17850.0, 0.5, None], "text": ["17850.0", "a", "b"]}), path)
    with open_records(path, Layout("parquet", ""), tmp_path) as (header, records):
        assert header == ("key", "text")
        assert [record.fields for record in records] == [["17850", "17850.0"], ["0.5", "a"], [None, "b"]]


def test_a_parquet_file_with_a_damaged_page_is_refused_in_words(tmp_path: Path):
    path = tmp_path / "prices.parquet"
    pq.write_table(pa.table({"key": [f"k{n}" for n in range(500)]}), path, compression="gzip")
    data = bytearray(path.read_bytes())
    data[60:160] = b"\xff" * 100
    path.write_bytes(data)
    with (
        pytest.raises(RefusalError, match="is no Parquet file, or a part of one"),
        open_records(path, Layout("parquet", ""), tmp_path) as (_, records),
    ):
        list(records)

"""Files that are something else than their name says, end in the middle, or end in totals."""

from __future__ import annotations

import gzip
import io
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from retail_pipeline_tests.ingest.landing_shop import Shop, counts, refusal, remarks
from retail_pipeline_tests.ingest.test_formats import HEADER, ROWS, profile, text, workbook, zipped


def parquet() -> bytes:
    out = io.BytesIO()
    pq.write_table(pa.table({"a": [1]}), out)
    return out.getvalue()


PLAIN = text().encode()


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        (
            "a.csv",
            gzip.compress(PLAIN),
            "is gzip inside, whatever its name: rename it so that it ends in .gz",
        ),
        ("a.csv", zstandard.compress(PLAIN), "is zstd inside"),
        (
            "a.txt",
            zipped("b.csv", PLAIN),
            "is a zip inside, whatever its name: rename it so that it ends in .zip",
        ),
        (
            "a.csv",
            workbook([HEADER]),
            "is a workbook inside, whatever its name: rename it so that it ends in .xlsx",
        ),
        ("a.jsonl", parquet(), "is Parquet inside"),
        ("a.csv", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "is an old workbook inside"),
        ("a.xlsx", PLAIN, "is text inside, whatever its name: rename it so that it ends in .csv"),
        ("a.parquet", PLAIN, "is text inside"),
        ("a.parquet", workbook([HEADER]), "is a workbook inside"),
        ("a.xls", b"<html><table><tr><td>1</td></tr></table></html>", "is a web page or XML inside"),
        ("a.csv", b"<!DOCTYPE html><html></html>", "is a web page or XML inside"),
        ("a.csv", b"%PDF-1.4\n", "is a PDF inside"),
        ("a.csv.gz", PLAIN, "is not packed, whatever its name: rename it without .gz"),
        ("a.csv.zst", gzip.compress(PLAIN), "is gzip inside"),
    ],
)
def test_what_a_file_is_inside_is_said_where_its_name_says_otherwise(shop: Shop, name, content, reason):
    (shop.landing / name).write_bytes(content)
    assert refusal(shop.land(profile())[name]).startswith(reason)


def test_values_in_single_quotes_are_refused(shop):
    quoted = "".join(
        ",".join(f"'{field}'" if n != 3 else field for n, field in enumerate(r)) + "\n" for r in ROWS[:2]
    )
    (shop.landing / "a.csv").write_text(
        ",".join(HEADER) + "\n" + quoted.replace("Käse, gut & günstig", "Tea")
    )
    assert refusal(shop.land(profile())["a.csv"]).startswith("has values in single quotes (column 1)")


def rows(*customers: str) -> list[str]:
    return [",".join(["1", "A1", "Lamp", "2", "1.50", "2011-01-31", who]) for who in customers]


def cut(shop: Shop, *customers: str, end: bytes = b"\n") -> dict[str, int]:
    path: Path = shop.deliver("a.csv", ",".join(HEADER), *rows(*customers), end=end)
    path.write_bytes(path.read_bytes().removesuffix(end))
    return counts(shop.land(profile())["a.csv"])


@pytest.mark.parametrize("last", ["", "C-01", "C", "K0", "C-010"])
@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_a_last_line_without_an_end_that_is_unlike_the_others_is_unreadable(shop, last, end):
    assert cut(shop, "C-0103", "K07", "C-0104", last, end=end) == {"rows_read": 4, "raw": 3, "unreadable": 1}
    assert "the last line has no end" in shop.unreadable()[0]["reasons"][0]


@pytest.mark.parametrize("last", ["C-0103", "K08", "Annabel"])
def test_a_last_line_without_an_end_that_is_like_the_others_is_read(shop, last):
    assert cut(shop, "C-0103", "K07", "C-0104", last)["raw"] == 4


def test_a_last_line_with_an_end_is_read_whatever_it_holds(shop):
    shop.deliver("a.csv", ",".join(HEADER), *rows("C-0103", "K07", "C-0104", "C"))
    assert counts(shop.land(profile())["a.csv"])["raw"] == 4


def test_a_last_line_without_an_end_that_is_read_is_remarked_of_its_file_alone(shop):
    lines = [",".join(HEADER), *rows("C-0103", "C-01", "C-0104", "C-01")]
    for name in ("a.csv", "b.csv", "c.csv"):
        shop.deliver(name, *lines)
    path = shop.landing / "b.csv"
    path.write_bytes(path.read_bytes().removesuffix(b"\n"))
    said = {name: remarks(outcome) for name, outcome in shop.land(profile()).items()}
    assert said == {
        "a.csv": (),
        "b.csv": ("the last line has no end: if the file was cut, a letter or digit of it may be lacking",),
        "c.csv": (),
    }


@pytest.mark.parametrize("kind", ["csv", "csv.gz", "xlsx"])
def test_rows_that_end_a_file_can_be_skipped(shop, kind):
    totals: list[list[Any]] = [["Sum", None, None, 8, 12.5, None, None], ["printed on 1 May"]]
    lines = [
        ["1", "A1", "Lamp", 2, 1.5, "2011-01-31", "Ann"],
        ["2", "A1", "Lamp", 2, 1.5, "2011-01-31", "Bob"],
    ]
    if kind == "xlsx":
        (shop.landing / "a.xlsx").write_bytes(workbook([HEADER, *lines, *totals]))
    else:
        table = [",".join("" if cell is None else str(cell) for cell in row) for row in [*lines, *totals]]
        shop.deliver(f"a.{kind}", ",".join(HEADER), *table, "")
    outcome = shop.land(profile(skip_last_rows=2))[f"a.{kind}"]
    assert counts(outcome) == {"rows_read": 2, "raw": 2, "unreadable": 0}
    assert sorted(row["customer_id"] for row in shop.raw()) == ["Ann", "Bob"]


def test_a_line_of_33_megabytes_is_one_row_that_cannot_be_read(shop):
    shop.deliver("a.csv", ",".join(HEADER), *rows("C-0103"), "x" * (33 << 20), *rows("C-0103"))
    assert counts(shop.land(profile())["a.csv"]) == {"rows_read": 3, "raw": 2, "unreadable": 1}

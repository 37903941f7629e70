"""Files in every format, encoding and dialect that shops deliver: the same rows, or a reason."""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
import re
import zipfile
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType
from typing import Any
from unittest.mock import patch

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

import retail_pipeline
from retail_pipeline.ingest import text_rows
from retail_pipeline.ingest.files import blocks, unpacked
from retail_pipeline.ingest.landing import Landed, Refused
from retail_pipeline.ingest.listing import list_files
from retail_pipeline.ingest.profiles.profile import SourceProfile
from retail_pipeline.ingest.profiles.shipped import SHIPPED
from retail_pipeline.lake.partitions import read_partition
from retail_pipeline.lake.state import read_state
from retail_pipeline.planning.plan import files_to_land
from retail_pipeline.settings import load_settings, recipe
from retail_pipeline.tables import TABLES
from retail_pipeline_tests.ingest.books import book
from retail_pipeline_tests.ingest.landing_shop import Shop, at, counts, refusal

SAMPLES = Path(retail_pipeline.__file__).parent / "samples"
HEADER = ["bill", "sku", "title", "qty", "price", "day", "who"]
ROWS = [
    ["1", "007", "Käse, gut & günstig", "2", "1.50", "2011-01-31 10:00:00", "Ann"],
    ["2", "008", 'Öl "nativ"', "-1", "12.00", "2011-02-01 11:30:00", "Bob"],
    ["3", "009", "Tee\nschwarz", "3", "0.99", "2011-02-01 12:00:00", ""],
]
COLUMNS = {
    "invoice_id": "bill",
    "product_id": "sku",
    "description": "title",
    "quantity": "qty",
    "unit_price": "price",
    "sold_at": "day",
    "customer_id": "who",
}


def profile(**options: Any) -> dict[str, SourceProfile]:
    given: dict[str, Any] = {"source_system": "till", "columns": COLUMNS, "currency": "EUR"} | options
    return {"till": SourceProfile.model_validate(given)}


def text(delimiter: str = ",", rows: list[list[str]] | None = None, header: bool = True) -> str:
    out = io.StringIO()
    writer = csv.writer(out, delimiter=delimiter, lineterminator="\n")
    writer.writerows([HEADER, *(rows or ROWS)] if header else rows or ROWS)
    return out.getvalue()


def deliver(shop: Shop, name: str, content: bytes) -> Path:
    path = shop.landing / name
    path.write_bytes(content)
    return path


def encoding(shop: Shop, outcome: Landed | Refused) -> str:
    (row,) = read_partition(shop.lake, TABLES["landed_files"], {"file": outcome.file.source_id}).to_pylist()
    return str(row["encoding"])


def landed(shop: Shop) -> list[tuple[Any, ...]]:
    """The rows in the lake by the file's order, as (id, product, text, units, price, time, customer)."""
    keys = ("invoice_id", "product_id", "description", "quantity", "unit_price", "sold_at", "customer_id")
    return [tuple(row[k] for k in keys) for row in sorted(shop.raw(), key=lambda row: row["source_row"])]


WHOLE = [
    ("1", "007", "Käse, gut & günstig", Decimal("2.000"), Decimal("1.5000"), at("2011-01-31 10:00"), "Ann"),
    ("2", "008", 'Öl "nativ"', Decimal("-1.000"), Decimal("12.0000"), at("2011-02-01 11:30"), "Bob"),
    ("3", "009", "Tee\nschwarz", Decimal("3.000"), Decimal("0.9900"), at("2011-02-01 12:00"), None),
]


def zipped(name: str, content: bytes, *others: str) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
        for other in others:
            archive.writestr(other, b"x")
    return out.getvalue()


def workbook(
    rows: Sequence[Sequence[object]],
    merged: Sequence[str] = (),
    others: Mapping[str, Sequence[Sequence[object]]] = MappingProxyType({}),
    hidden: Collection[str] = (),
) -> bytes:
    """A small .xlsx with the sheet Sales, and others."""
    return book({"Sales": rows, **others}, hidden, merged)


# encodings


@pytest.mark.parametrize(
    ("codec", "found", "delimiter"),
    [
        ("utf-8", "utf-8", ","), ("utf-8-sig", "utf-8", ";"), ("utf-16", "utf-16-le", "\t"),
        ("utf-16-be", "utf-16-be", "|"), ("cp1252", "cp1252", ";"), ("cp850", "cp850", ","),
    ],
)  # fmt: skip
def test_encoding_and_delimiter_are_found_out_and_said(shop, codec, found, delimiter):
    deliver(shop, "a.csv", text(delimiter).encode(codec))
    outcome = shop.land(profile())["a.csv"]
    assert counts(outcome) == {"rows_read": 3, "raw": 3, "unreadable": 0}
    assert landed(shop) == WHOLE
    assert encoding(shop, outcome) == found


def test_a_letter_after_thousands_of_plain_lines_still_tells_the_encoding(shop):
    plain = [["1", "A", "Tee", "1", "1", "2011-01-31", "x"]] * 5000
    deliver(shop, "a.csv", text(rows=[*plain, *ROWS]).encode("cp1252"))
    outcome = shop.land(profile())["a.csv"]
    assert (counts(outcome)["raw"], encoding(shop, outcome)) == (5003, "cp1252")
    assert landed(shop)[-3:] == WHOLE


def test_what_could_be_two_encodings_is_unreadable_until_the_profile_says_one(shop):
    row = ["1", "A", "\u00d6L", "1", "1", "2011-01-31", "x"]
    deliver(shop, "a.csv", text(rows=[row, ROWS[2]]).encode("cp1252"))
    assert counts(shop.land(profile())["a.csv"]) == {"rows_read": 2, "raw": 1, "unreadable": 1}
    assert shop.unreadable()[0]["reasons"] == ["byte 0xd6 at position 5 of the row is not UTF-8"]
    outcome = shop.land(profile(encoding="cp1252"))["a.csv"]
    assert (counts(outcome)["unreadable"], landed(shop)[0][2]) == (0, "\u00d6L")


def test_a_byte_that_the_declared_encoding_lacks_is_named(shop):
    row = b"1,A,K\x81se,1,1,2011-01-31,x"
    deliver(shop, "a.csv", text().encode("cp1252") + row)
    outcome = shop.land(profile(encoding="cp1252"))["a.csv"]
    assert (counts(outcome)["unreadable"], encoding(shop, outcome)) == (1, "cp1252")
    assert shop.unreadable()[0]["reasons"] == ["byte 0x81 at position 6 of the row is not cp1252"]
    assert shop.unreadable()[0]["payload"] == "1,A,K\\x81se,1,1,2011-01-31,x"


def test_unicode_beyond_doubt_is_read_as_such_whatever_was_declared(shop):
    deliver(shop, "marked.csv", text().encode("utf-8-sig"))
    deliver(shop, "a.csv", text(rows=[["0", "A", "Tee", "1", "1", "2011-01-31", "x"]] * 3000 + ROWS).encode())
    outcomes = shop.land(profile(encoding="cp850"))
    assert {encoding(shop, outcome) for outcome in outcomes.values()} == {"utf-8"}
    assert set(landed(shop)) >= set(WHOLE)


def test_utf_16_that_ends_in_half_a_character_loses_that_row_alone(shop):
    deliver(shop, "a.csv", text().encode("utf-16") + "4,A,Tee,1,1,2011-02-01,x".encode("utf-16-le")[:-1])
    assert counts(shop.land(profile())["a.csv"]) == {"rows_read": 4, "raw": 3, "unreadable": 1}
    assert "is not UTF-16-LE" in shop.unreadable()[0]["reasons"][0]
    assert landed(shop) == WHOLE


@settings(max_examples=20, deadline=None)
@given(st.text("a\n\r\u0a00\u010a\u0a0a\u0d0a", max_size=60), st.sampled_from(["utf-16-le", "utf-16-be"]))
def test_lines_of_two_bytes_a_character_end_where_the_text_says(content, codec):
    with patch.object(text_rows, "_BLOCK", 3):
        lines = list(text_rows.lines_of(io.BytesIO(content.encode(codec)), codec))
    assert [line.decode(codec) for line in lines] == re.findall(r"[^\n]*\n|[^\n]+", content)


# packed files


@pytest.mark.parametrize(
    ("name", "pack"),
    [
        ("a.csv.gz", gzip.compress),
        ("a.csv.zst", zstandard.compress),
        ("two frames.txt.zst", lambda c: zstandard.compress(c[:50]) + zstandard.compress(c[50:])),
        ("a.zip", lambda c: zipped("folder/a.CSV", c)),
        ("mac.zip", lambda c: zipped("a.csv", c, "__MACOSX/._a.csv", ".DS_Store")),
    ],
)
def test_packed_files_give_the_rows_of_the_plain_one(shop, name, pack: Callable[[bytes], bytes]):
    deliver(shop, name, pack(text().encode("cp1252")))
    assert counts(shop.land(profile())[name])["raw"] == 3
    assert landed(shop) == WHOLE


PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "a.csv.gz": gzip.compress,
    "a.csv.zst": zstandard.compress,
    "a.zip": partial(zipped, "a.csv"),
}


def test_packages_that_are_cut_or_hold_several_files_are_refused_with_the_remedy(shop):
    content = text(rows=[[str(n), os.urandom(8).hex(), *ROWS[0][2:]] for n in range(3000)]).encode()
    for name, pack in PACKERS.items():
        packed = pack(content)
        deliver(shop, name, packed[: len(packed) // 2])
    deliver(shop, "two.zip", zipped("a.csv", content, "b.csv"))
    deliver(shop, "odd.zip", zipped("a.exe", content))
    reasons = {path: refusal(outcome) for path, outcome in shop.land(profile()).items()}
    assert reasons["a.csv.gz"].startswith("is no whole gzip file (")
    assert reasons["a.csv.zst"] == "is no whole zstd file (it ends in the middle): have it delivered again"
    assert reasons["a.zip"].startswith("is no whole zip file (")
    assert reasons["two.zip"] == "is a zip of 2 files: deliver each in a file of its own"
    assert reasons["odd.zip"].startswith("holds a.exe, which is none of .csv")
    assert shop.raw() == []


@pytest.mark.parametrize("name", PACKERS)
def test_a_file_that_grows_without_bounds_is_refused_without_being_unpacked(shop, name, monkeypatch):
    monkeypatch.setattr(unpacked, "MAX_UNBOUNDED", 1 << 20)
    content = text(rows=[ROWS[0]] * 200_000).encode() + b"x" * (8 << 20)
    deliver(shop, name, PACKERS[name](content))
    assert "times its size when unpacked" in refusal(shop.land(profile(encoding="cp1252"))[name])
    assert not [p for p in shop.lake.root.rglob("*") if p.suffix == ".csv"]


def test_a_line_longer_than_any_text_is_refused(shop, monkeypatch):
    for module in (text_rows, blocks):
        monkeypatch.setattr(module, "MAX_BYTES", 10_000)
    monkeypatch.setattr(blocks, "BLOCK_BYTES", 1_000)
    deliver(shop, "a.csv", text(rows=[ROWS[0]] * 2000).encode() + b"x" * 20_000)
    assert refusal(shop.land(profile())["a.csv"]).startswith("is no text (line 2002 is longer than")


# other kinds of files


def test_a_workbook_gives_the_rows_of_the_text_file(shop):
    rows: list[list[object]] = [
        [int(r[0]), r[1], r[2], float(r[3]), float(r[4]), datetime.fromisoformat(r[5]), r[6] or None]
        for r in ROWS
    ]
    title: list[object] = ["Sales of 2011"]
    content = workbook([title, [], [*HEADER, None], rows[0], [], [None] * 9, *rows[1:]], ["A1:C1"])
    deliver(shop, "a.xlsx", content)
    deliver(shop, "b.zip", zipped("b.xlsx", content))
    outcomes = shop.land(profile(skip_rows=2))
    assert {p: counts(o) for p, o in outcomes.items()} == {
        p: {"rows_read": 3, "raw": 3, "unreadable": 0} for p in ("a.xlsx", "b.zip")
    }
    assert landed(shop)[::2] == landed(shop)[1::2] == WHOLE
    assert encoding(shop, outcomes["a.xlsx"]) == "binary"


def test_cells_that_cannot_be_read_are_named_with_their_row(shop):
    day = datetime.fromisoformat("2011-01-31")
    rows: list[list[object]] = [
        [17850.0, 7.0, "a", 1, 2.5, day, 17850.0],
        [1, 7, "a", 1, 2.5, 40574.5, "x"],
        [1, 7, "a", "#N/A", 2.5, day, "x"],
        [1, 7, "a", 1, 2.5, day, "x", None, "note"],
    ]
    deliver(shop, "a.xlsx", workbook([list(HEADER), *rows]))
    assert counts(shop.land(profile())["a.xlsx"]) == {"rows_read": 4, "raw": 1, "unreadable": 3}
    (row,) = shop.raw()
    assert (row["invoice_id"], row["product_id"], row["customer_id"]) == ("17850", "7", "17850")
    assert [r["reasons"] for r in shop.unreadable()] == [
        ["sold_at: '40574.5' is no date"],
        ["quantity: '#N/A' is not a number"],
        ["the row has a value to the right of the header's last column"],
    ]
    assert json.loads(shop.unreadable()[2]["payload"])["column 9"] == "note"


def test_a_workbook_that_is_none_or_lacks_the_sheet_is_refused(shop):
    deliver(shop, "cut.xlsx", workbook([list(HEADER)])[:300])
    deliver(shop, "empty.xlsx", workbook([]))
    deliver(shop, "old.xls", b"hello")
    deliver(shop, "good.xlsx", workbook([list(HEADER)]))
    reasons = {p: o.reason for p, o in shop.land(profile()).items() if isinstance(o, Refused)}
    assert reasons.keys() == {"cut.xlsx", "empty.xlsx", "old.xls"}
    assert reasons["cut.xlsx"].startswith("is no workbook, or a part of one (")
    assert reasons["old.xls"].startswith("is no workbook, or a part of one (")
    assert reasons["empty.xlsx"].startswith("has an empty sheet: ")
    reason = refusal(shop.land(profile(sheet="Year"))["good.xlsx"])
    assert reason == "has no sheet Year, but Sales: mend `sheet` in the profile"


def test_json_lines_give_the_rows_of_the_text_file(shop):
    columns = COLUMNS | {"customer_id": '"buyer.id"'}
    objects = [
        {k: v for k, v in zip(HEADER, row, strict=True) if k != "who"}
        | {"qty": int(row[3]), "price": float(row[4]), "buyer": {"id": row[6] or None, "tags": ["a"]}}
        for row in ROWS
    ]
    objects[1]["new"] = True
    del objects[2]["buyer"]
    lines = [json.dumps(o) for o in objects]
    deliver(shop, "a.jsonl", "\n".join([lines[0], "", '{"bill": 1', "[1]", *lines[1:]]).encode())
    deliver(shop, "b.ndjson.gz", gzip.compress("\n".join(lines).encode()))
    outcomes = shop.land(profile(columns=columns))
    assert counts(outcomes["b.ndjson.gz"])["raw"] == 3
    assert counts(outcomes["a.jsonl"]) == {"rows_read": 5, "raw": 3, "unreadable": 2}
    assert set(landed(shop)) == set(WHOLE)
    broken, no_object = shop.unreadable()
    assert broken["reasons"] == ["the row is no JSON object (Expecting ',' delimiter at position 11)"]
    assert (broken["payload"], broken["source_row"]) == ('{"bill": 1', 2)
    assert no_object["reasons"] == ["the row is no JSON object"]


def test_json_numbers_keep_all_their_digits(shop):
    line = (
        '{"bill":9007199254740993,"sku":"7","title":"","qty":1.10,"price":1e2,"day":"2011-01-31","who":1.0}'
    )
    deliver(shop, "a.jsonl", line.encode() + b'\n{"bill": "\\ud800"}\n' + b'{"a":' * 5000)
    shop.land(profile())
    ((bill, _, _, units, price, _, who),) = landed(shop)
    assert (bill, units, price, who) == ("9007199254740993", Decimal("1.1"), Decimal(100), "1")
    assert len(shop.unreadable()) == 2


FIXED = dict(zip(HEADER, (3, 4, 20, 3, 6, 20, 4), strict=True))


def test_fixed_width_text_is_cut_into_its_columns(shop):
    rows = [ROWS[0], ROWS[1], [*ROWS[2][:2], "Tee", *ROWS[2][3:]]]
    lines = ["".join(cell.ljust(width) for cell, width in zip(r, FIXED.values(), strict=True)) for r in rows]
    content = "\n".join(
        ["TILL 7, 2011", lines[0].rstrip(), lines[1], lines[2], lines[0][:30], lines[0] + "x"]
    )
    deliver(shop, "till7.txt", content.encode("cp1252"))
    options = {"files": "till*.txt", "header": HEADER, "widths": list(FIXED.values()), "skip_rows": 1}
    outcome = shop.land({**SHIPPED, **profile(**options)})["till7.txt"]
    assert counts(outcome) == {"rows_read": 5, "raw": 3, "unreadable": 2}
    assert encoding(shop, outcome) == "cp1252"
    assert landed(shop)[:2] == WHOLE[:2]
    assert [r["reasons"] for r in shop.unreadable()] == [
        ["the row has 30 characters where the widths need 60 (cut in the middle?)"],
        ["the row has 61 characters where the widths have 60 (other widths?)"],
    ]


def test_text_without_a_header_is_known_by_its_name(shop):
    deliver(shop, "raw_1.csv", text("|", header=False).encode())
    deliver(shop, "other.csv", text("|", header=False).encode() + b"\n")
    outcomes = shop.land(profile(header=HEADER, files="raw_*"))
    assert counts(outcomes["raw_1.csv"]) == {"rows_read": 3, "raw": 3, "unreadable": 0}
    assert landed(shop) == WHOLE
    assert refusal(outcomes["other.csv"]).startswith("has a name that no profile reads")


def test_rows_before_the_header_and_excels_separator_line_are_skipped(shop):
    deliver(shop, "top.csv", b"Export of 1 May\n\n" + text(";").encode())
    deliver(shop, "sep.csv", b"\xef\xbb\xbfsep=;\r\n" + text(";").encode())
    assert counts(shop.land(profile(skip_rows=2))["top.csv"])["raw"] == 3
    assert counts(shop.land(profile())["sep.csv"])["raw"] == 3
    assert set(landed(shop)) == set(WHOLE)


# dates


def days(shop: Shop, texts: list[str], **options: Any) -> list[datetime | None]:
    rows = [["1", "A", "x", "1", "1", day, "x"] for day in texts]
    deliver(shop, "a.csv", text(rows=rows).encode())
    outcome = shop.land(profile(**options))["a.csv"]
    assert isinstance(outcome, Landed), outcome
    found = {row["source_row"]: row["sold_at"] for row in shop.raw()}
    return [found.get(n) for n in range(1, len(texts) + 1)]


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["31.01.2011", "1.2.2011 10:15"], ["2011-01-31", "2011-02-01 10:15"]),
        (["01/02/2011 1:05 PM", "1/31/2011"], ["2011-01-02 13:05", "2011-01-31"]),
        (
            ["31/01/11 10:15:30", *(f"{n:02}/02/11" for n in range(1, 20))],
            ["2011-01-31 10:15:30", *(f"2011-02-{n:02}" for n in range(1, 20))],
        ),
        (["20110131", "2011.02.01 10:00"], ["2011-01-31", "2011-02-01 10:00"]),
        (["31.01.2011 10:00:00 +0200", "2011-02-01"], ["2011-01-31 08:00", "2011-02-01"]),
    ],
)
def test_the_order_of_dates_is_found_in_the_whole_column(shop, texts, expected):
    assert days(shop, texts) == [at(day) for day in expected]


def test_dates_that_fit_two_orders_refuse_the_file_until_the_profile_says_which(shop):
    texts = ["01/02/2011", "03/04/2011"]
    deliver(shop, "b.csv", text(rows=[["1", "A", "x", "1", "1", day, "x"] for day in texts]).encode())
    assert refusal(shop.land(profile())["b.csv"]) == (
        "the dates in the column day, such as '01/02/2011' and '03/04/2011', fit several orders of day, "
        "month and year, or none: say `date_order: day_first`, `month_first` or `year_first` in the profile"
    )
    (shop.landing / "b.csv").unlink()
    assert days(shop, texts, date_order="day_first") == [at("2011-02-01"), at("2011-04-03")]
    assert days(shop, texts, date_order="month_first") == [at("2011-01-02"), at("2011-03-04")]


def test_dates_in_a_parquet_file_are_ordered_too(shop):
    columns = {name: [row[n] for row in ROWS] for n, name in enumerate(HEADER)} | {"day": ["31/01/2011"] * 3}
    pq.write_table(pa.table(columns), shop.landing / "a.parquet")
    assert counts(shop.land(profile())["a.parquet"])["raw"] == 3
    assert {row["sold_at"] for row in shop.raw()} == {at("2011-01-31")}


# second files, and rows that stand for several


def lookup(path: Path, price: str = '"prices.PRICE"') -> dict[str, SourceProfile]:
    columns = COLUMNS | {"unit_price": price}
    return profile(columns=columns, lookups={"prices": {"path": str(path), "key": "ITEM", "of": "sku"}})


@pytest.mark.parametrize("kind", ["csv", "parquet", "xlsx"])
def test_a_price_is_looked_up_in_a_second_file(shop, tmp_path, kind):
    path = tmp_path / f"products.{kind}"
    if kind == "csv":
        path.write_bytes("ITEM;TITEL;PRICE\n007;Käse;1.50\n008;Öl;12\n".encode("cp1252"))
    elif kind == "parquet":
        pq.write_table(pa.table({"ITEM": ["007", "008"], "PRICE": [1.5, 12.0]}), path)
    else:
        path.write_bytes(workbook([["ITEM", "PRICE"], ["007", 1.5], ["008", 12]]))
    deliver(shop, "a.csv", text().encode())
    first = shop.land(lookup(path))["a.csv"]
    assert counts(first) == {"rows_read": 3, "raw": 2, "unreadable": 1}
    assert [row[4] for row in landed(shop)] == [Decimal("1.5"), Decimal(12)]
    assert shop.unreadable()[0]["reasons"] == ["unit_price is missing"]


def test_another_content_of_the_second_file_is_another_way_to_read(shop, tmp_path):
    path = tmp_path / "products.csv"
    deliver(shop, "a.csv", text().encode())
    moved, made = tmp_path / "moved.csv", []
    for lies, price in ((path, "1.50"), (path, "2.50"), (moved, "1.50")):
        lies.write_text(f"ITEM,PRICE\n007,{price}\n")
        outcome = shop.land(lookup(lies))["a.csv"]
        assert isinstance(outcome, Landed)
        made.append(outcome.manifest.inputs["profile"])
    assert made[0] == made[2] != made[1]


def test_files_land_again_when_the_prices_they_were_read_with_have_changed(shop, tmp_path):
    settings_file, prices = tmp_path / "retail_pipeline.yaml", tmp_path / "products.csv"
    source = lookup(Path("products.csv"))["till"].model_dump(exclude_defaults=True)
    settings_file.write_text(yaml.safe_dump({"sources": {"till": source}}))
    settings = load_settings(settings_file, landing=shop.landing, lake=shop.lake.root)
    deliver(shop, "a.csv", text().encode())

    def planned() -> int:
        state = read_state(shop.lake, tuple(list_files(shop.landing).files))
        return len(files_to_land(state, recipe(settings)))

    for price, after in (("1", 0), ("2", 0), ("", 1)):
        prices.write_text(f"ITEM,PRICE\n007,{price}\n008,1\n009,1\n") if price else prices.unlink()
        assert planned() == 1
        shop.land(settings.profiles, business_zone="UTC")
        assert planned() == after


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "cannot be read (No such file or directory): restore it"),
        ("ITEM,COST\n007,1\n", "has no column PRICE, but the columns ITEM, COST"),
        ("ITEM,PRICE\n007,1\n008,2\n007,3\n", "says two things of one ITEM, the second in row 3: keep one"),
        ("ITEM,PRICE\n007,1\n008\n", "has a row that cannot be read: row 2, the row has 1 field where the"),
    ],
)
def test_a_second_file_that_cannot_serve_refuses_the_files_that_need_it(shop, tmp_path, content, reason):
    path = tmp_path / "products.csv"
    if content:
        path.write_text(content)
    deliver(shop, "a.csv", text().encode())
    said = refusal(shop.land(lookup(path))["a.csv"])
    assert said.startswith(f"needs the lookup prices, but {path} {reason}")


def test_filling_down_stops_where_an_order_ends_or_cannot_be_read(shop):
    orders = ["1,A,,1,1,2011-01-31,Ann", "1,B,,1,1,,", ",C,,1,1,,", "2,D,,1,1,2011-02-01,", "2,E,,1,1,,"]
    shop.deliver("a.csv", ",".join(HEADER), *orders, "cut", ",F,,1,1,,")
    filling = {"by": "bill", "columns": ["bill", "day", "who"]}
    shop.land(profile(fill_down=filling))
    by_row = sorted(shop.raw(), key=lambda row: row["source_row"])
    assert [(r["product_id"], r["invoice_id"], r["customer_id"]) for r in by_row] == [
        ("A", "1", "Ann"), ("B", "1", "Ann"), ("C", "1", "Ann"), ("D", "2", None), ("E", "2", None),
    ]  # fmt: skip
    assert [r["source_row"] for r in shop.unreadable()] == [6, 7]
    assert shop.unreadable()[1]["payload"] == ",F,,1,1,,"


def test_lines_are_read_with_the_second_file_of_their_name(shop):
    columns = COLUMNS | {"sold_at": '"head.at"', "customer_id": '"head.who"', "description": "null"}
    lookups = {"head": {"path": "heads_{day}.csv", "key": "bill", "of": "bill"}}
    by_day = profile(files="lines_{day}.csv", lookups=lookups, columns=columns)
    for day, who in (("01", "Ann"), ("02", "Bob")):
        deliver(shop, f"lines_{day}.csv", f"bill,sku,qty,price\n1,A{day},1,2.50\n".encode())
        deliver(shop, f"heads_{day}.csv", f"bill,at,who\n1,2024-03-{day} 09:00,{who}\n".encode())
    deliver(shop, "lines_03.csv", b"bill,sku,qty,price\n1,A03,1,2.50\n")
    outcomes = shop.land(by_day)
    assert {(r["product_id"], r["customer_id"], r["sold_at"]) for r in shop.raw()} == {
        ("A01", "Ann", at("2024-03-01 09:00")), ("A02", "Bob", at("2024-03-02 09:00")),
    }  # fmt: skip
    assert "heads_03.csv is not there yet" in refusal(outcomes["lines_03.csv"])


# the profiles that ship


def sums(shop: Shop) -> dict[str, Decimal]:
    """What the lines of each order come to."""
    found: dict[str, Decimal] = {}
    for row in shop.raw():
        worth = row["quantity"] * row["unit_price"] if row["amount"] is None else row["amount"]
        found[row["invoice_id"]] = found.get(row["invoice_id"], Decimal(0)) + worth
    return found


def test_the_sample_of_shopifys_export_lands(shop):
    deliver(shop, "orders.csv", (SAMPLES / "shopify_orders.csv").read_bytes())
    outcome = shop.land(business_zone="Europe/Berlin")["orders.csv"]
    read = {"rows_read": 12, "raw": 8, "unreadable": 0}
    assert counts(outcome) == read | {"left_out": 4, "value_left_out": 46}
    # net of the order's discount, of the line's, and of what was refunded; #1008 without its gift card
    assert sums(shop) == {
        "#1001": Decimal("42.12"), "#1002": Decimal("12.90"), "#1004": Decimal(20), "#1005": Decimal("12.90"),
        "#1008": Decimal("12.90"),
    }  # fmt: skip
    order = [row for row in shop.raw() if row["invoice_id"] == "#1001"]
    assert {(r["customer_id"], r["sold_at"], r["currency"], r["country"]) for r in order} == {
        ("ann.smith@example.com", at("2024-01-31 10:15"), "EUR", "DE")
    }
    assert [r["product_id"] for r in order] == ["MUG-BLUE", "TOWEL-01", "Gift wrap, red"]


def shopify(
    state: str,
    subtotal: int,
    shipping: int,
    total: int,
    count: int,
    item: str,
    price: int,
    off: int,
    back: int,
) -> bytes:
    """An export of one order of one line; ``back`` is what was refunded."""
    names = "Name,Email,Financial Status,Currency,Subtotal,Shipping,Total,Created at,"
    names += ",".join(f"Lineitem {name}" for name in ("quantity", "name", "price", "discount", "sku"))
    names += ",Refunded Amount,Shipping Country,Cancelled at,Billing Country"
    order = f"#1,a@b.com,{state},USD,{subtotal},{shipping},{total},2024-03-05 10:00:00 +0000"
    return f"{names}\n{order},{count},{item},{price},{off},,{back},US,,\n".encode()


@pytest.mark.parametrize(
    ("order", "net"),
    [
        # 10 % tax on top of 100 and of 10 postage: a refund of 22 is of goods worth 20
        (("paid", 100, 10, 121, 1, "Lamp", 100, 0, 22), 80),
        # all came back but for the postage
        (("partially_refunded", 100, 10, 110, 1, "Lamp", 100, 0, 105), 0),
        # paid by gift card or not: the export tells no difference, and it is a sale
        (("paid", 100, 0, 100, 1, "Gift card holder", 100, 0, 0), 100),
        (("PAID", 90, 0, 90, 2, "Lamp", 50, 10, 0), 90),
    ],
)
def test_a_shopify_order_counts_with_what_was_kept_of_its_goods(shop, order: tuple[Any, ...], net: int):
    deliver(shop, "orders.csv", shopify(*order))
    shop.land()
    assert sums(shop) == {"#1": net}


@pytest.mark.parametrize(
    ("state", "item"),
    [(state, "Lamp") for state in ("voided", "expired", "authorized", "refunded", "")]
    + [("paid", name) for name in ("Gift Card", "My Shop e-gift card - $25.00", "Geschenkgutschein: 50 €")],
)
def test_a_shopify_line_that_is_no_sale_is_left_out(shop, state: str, item: str):
    deliver(shop, "orders.csv", shopify(state, 50, 0, 50, 1, item, 50, 0, 0))
    assert counts(shop.land()["orders.csv"])["left_out"] == 1


def test_the_sample_of_woocommerces_export_lands_whatever_the_case_of_its_header(shop):
    sample = (SAMPLES / "woocommerce_orders.csv").read_text()
    deliver(shop, "orders.csv", sample.replace("Order Number", "Order number").encode())
    outcome = shop.land(currency="EUR")["orders.csv"]
    assert counts(outcome) == {"rows_read": 7, "raw": 4, "unreadable": 0, "left_out": 3, "value_left_out": 14}
    assert sums(shop) == {"2201": Decimal(21), "2202": Decimal("5.85"), "2205": Decimal(13)}
    assert {row["customer_id"] for row in shop.raw()} == {"mia.holt@example.com", "tom.reed@example.com"}


def test_the_sample_of_squares_export_lands(shop):
    deliver(shop, "items.csv", (SAMPLES / "square_items.csv").read_bytes())
    outcome = shop.land(currency="USD", business_zone="America/New_York")["items.csv"]
    assert counts(outcome) == {"rows_read": 6, "raw": 5, "unreadable": 0, "left_out": 1, "value_left_out": 50}
    lines = {(row["product_id"], row["quantity"], row["amount"]) for row in shop.raw()}
    assert lines == {
        ("BEAN-12", 2, 29), ("PAPER", 1, Decimal("5.40")), ("Custom Amount", 1, Decimal("2.50")),
        ("MACH", 1, 1240), ("BEAN-12", -1, Decimal("-14.50")),
    }  # fmt: skip
    # 09:14 on the till in Seattle
    assert min(row["sold_at"] for row in shop.raw()) == at("2024-03-08 12:14:22")


def test_dates_of_a_square_export_are_read_where_the_day_comes_second_for_sure(shop):
    sample = (SAMPLES / "square_items.csv").read_text()
    deliver(shop, "items.csv", sample.replace("Pacific Time (US & Canada)", "London").encode())
    assert counts(shop.land(currency="USD")["items.csv"])["unreadable"] == 5


def test_the_sample_of_a_sap_export_lands(shop):
    deliver(shop, "billing.csv", (SAMPLES / "sap_export.csv").read_bytes())
    outcome = shop.land()["billing.csv"]
    assert (counts(outcome)["raw"], encoding(shop, outcome)) == (7, "cp1252")
    by_id = {row["invoice_id"]: row for row in shop.raw()}
    back = by_id["0090000126"]
    assert (back["quantity"], back["amount"], back["customer_id"], back["product_id"]) == (
        Decimal(-2), Decimal("-205.75"), "0000104711", "000000000000004711",
    )  # fmt: skip
    assert (by_id["0090000127"]["quantity"], by_id["0090000127"]["sold_at"]) == (1000, at("2024-01-03"))
    assert by_id["0090000125"]["description"] == "Lackfarbe weiß"


def test_columns_of_a_parquet_file_that_differ_by_letter_case_only_are_two(shop):
    table = pa.table({name: [row[n] for row in ROWS] for n, name in enumerate(HEADER)})
    for n, place in enumerate((0, table.num_columns)):
        out = io.BytesIO()
        pq.write_table(table.add_column(place, "BILL", pa.array(["x", "y", "z"])), out)
        deliver(shop, f"{n}.parquet", out.getvalue())
    shop.land(profile())
    assert landed(shop)[::2] == landed(shop)[1::2] == WHOLE


# damage


@settings(max_examples=5, deadline=None)
@given(st.randoms(use_true_random=False))
def test_whatever_damage_a_file_has_its_rows_are_accounted_for_and_no_other_file_suffers(chance):
    table = pa.table({name: [row[n] for row in ROWS] for n, name in enumerate(HEADER)})
    parquet = io.BytesIO()
    pq.write_table(table, parquet)
    book = workbook([list(HEADER), *(list(row) for row in ROWS)])
    whole = {
        "a.csv": text(";").encode("utf-16"),
        "a.csv.gz": gzip.compress(text().encode()),
        "a.csv.zst": zstandard.compress(text().encode()),
        "a.zip": zipped("a.xlsx", book),
        "a.xlsx": book,
        "a.jsonl": "\n".join(map(json.dumps, table.to_pylist())).encode(),
        "a.parquet": parquet.getvalue(),
    }
    with TemporaryDirectory() as folder:
        shop = Shop(Path(folder))
        deliver(shop, "good.csv", text().encode())
        for name, content in whole.items():
            damaged = bytearray(content)
            for _ in range(chance.randint(1, 4)):
                start = chance.randrange(len(damaged))
                damaged[start : start + chance.randint(0, 3)] = chance.randbytes(chance.randint(0, 3))
            deliver(shop, name, bytes(damaged))
        found = {name: counts(o) for name, o in shop.land(profile()).items() if isinstance(o, Landed)}
        assert found["good.csv"] == {"rows_read": 3, "raw": 3, "unreadable": 0}
        assert all(c["rows_read"] == c["raw"] + c["unreadable"] for c in found.values())
        assert len(shop.raw()) == sum(c["raw"] for c in found.values())


def parquet(columns: dict[str, pa.Array]) -> bytes:
    out = io.BytesIO()
    pq.write_table(pa.table(columns), out)
    return out.getvalue()


@pytest.mark.parametrize("name", ["a.parquet", "a.zip"])
def test_a_columns_type_is_no_part_of_an_id(shop, name):
    columns = dict(zip(HEADER, ([*column] for column in zip(*ROWS, strict=True)), strict=True))
    names = pa.array(["Jürg".encode(), b"\xff", b"Bo"], pa.binary())
    columns |= {
        "bill": pa.array([4006381333931.0, 17850.0, 3.0]),
        "sku": pa.array([Decimal("7.00"), Decimal("8.50"), Decimal(900)], pa.decimal128(9, 2)),
        "price": pa.array([1e-3, 2.5, float("nan")]),
        "qty": pa.array([2.0, 1.0, 1.0]),
        "who": pa.StructArray.from_arrays([names], ["id"]),
    }
    content = parquet(columns)
    deliver(shop, name, zipped("a.parquet", content) if name == "a.zip" else content)
    nested = COLUMNS | {"customer_id": '"who.id"'}
    assert 'nested: name a part of it, such as "who.id"' in refusal(shop.land(profile())[name])
    shop.land(profile(columns=nested))
    (row,) = landed(shop)
    assert (row[0], row[1], row[4], row[6]) == ("4006381333931", "7", Decimal("0.0010"), "Jürg")
    bytes_, price = (bad["reasons"] for bad in shop.unreadable())
    assert (bytes_, price) == (
        ["a column holds bytes that are no UTF-8 text: have it written as text"],
        ["unit_price is missing"],
    )


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet", "zip", "xlsx"])
def test_one_customer_is_one_in_every_format(shop, kind):
    given: list[object] = [4006381333931.0, "'0815", '="0815"', " K-7\u200b", "nan", 17850.0]
    rows: list[list[object]] = [
        [f"{n}", "A", "x", "1", "1", "2011-01-31", who] for n, who in enumerate(given)
    ]
    texts = [[*map(str, row)] for row in rows]
    content = {
        "csv": lambda: text(rows=texts).encode(),
        "jsonl": lambda: "\n".join(json.dumps(dict(zip(HEADER, row, strict=True))) for row in rows).encode(),
        "parquet": lambda: parquet(
            {n: pa.array(c) for n, c in zip(HEADER, zip(*texts, strict=True), strict=True)}
        ),
        "xlsx": lambda: workbook([HEADER, *rows]),
    }["parquet" if kind == "zip" else kind]()
    deliver(shop, f"a.{kind}", zipped("a.parquet", content) if kind == "zip" else content)
    shop.land(profile())
    assert [row[6] for row in landed(shop)] == ["4006381333931", "0815", "0815", "K-7", None, "17850"]


def test_a_footer_is_left_out_and_counted_with_its_value(shop):
    shop.deliver("a.csv", text().strip(), "Total,,,6,13.50,,", ",,,6,13.50,,", "Summe;13,50", ",,,,,,")
    found = counts(shop.land(profile())["a.csv"])
    assert found == {"rows_read": 7, "raw": 3, "unreadable": 0, "left_out": 4, "value_left_out": 162}


def test_a_total_under_filled_columns_is_no_sale_of_the_last_customer(shop):
    totals = [",Total,,6,13.50,,", ",,Summe,6,13.50,,"]
    shop.deliver("a.csv", text().strip(), *totals, "4,010,Tee,1,1,2011-02-03,Cy", ",011,Tee,1,1,,")
    found = counts(shop.land(profile(fill_down={"by": "bill", "columns": ["bill", "day", "who"]}))["a.csv"])
    assert found == {"rows_read": 7, "raw": 5, "unreadable": 0, "left_out": 2, "value_left_out": 162}
    assert [row[6] for row in landed(shop)] == ["Ann", "Bob", None, "Cy", "Cy"]


def test_rows_that_a_profile_does_not_keep_are_left_out_and_hold_no_day(shop):
    rows = [*ROWS, ["9", "X", "cancelled", "1", "5.00", "2011-03-01", "Ann"]]
    deliver(shop, "a.csv", text(rows=rows).encode())
    outcome = shop.land(profile(keep_rows="title <> 'cancelled'"))["a.csv"]
    assert counts(outcome) == {"rows_read": 4, "raw": 3, "unreadable": 0, "left_out": 1, "value_left_out": 5}
    assert isinstance(outcome, Landed)
    assert max(outcome.manifest.parts).isoformat() == "2011-02-01"


def test_a_row_after_tomorrow_is_unreadable_until_the_files_time_allows_it(shop):
    path = deliver(shop, "a.csv", text().encode())
    os.utime(path, (1296388800, 1296388800))
    assert counts(shop.land(profile())["a.csv"]) == {"rows_read": 3, "raw": 1, "unreadable": 2}
    (reason,) = shop.unreadable()[0]["reasons"]
    assert "2011-02-01 is later than the day after the file was last changed (2011-01-30)" in reason
    os.utime(path, (1296475200, 1296475200))
    assert counts(shop.land(profile())["a.csv"])["raw"] == 3

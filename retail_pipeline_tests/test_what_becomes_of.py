"""The tables of docs/what_becomes_of.md are true: each of their lines is tried, and what is tried has a line.

A line whose second column holds texts in backticks is tried with those texts, and what is read must be the
text in backticks of its third column. The other lines have files of their own here.
"""

from __future__ import annotations

import gzip
import io
import json
import os
import re
import zipfile
from collections.abc import Callable, Sequence
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import dagster as dg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from retail_pipeline.defs.resources import Pipeline
from retail_pipeline.ingest.landing import Landed, Refused
from retail_pipeline.ingest.listing import list_files
from retail_pipeline.ingest.profiles.profile import SourceProfile
from retail_pipeline.lake.partitions import manifests, read_partition
from retail_pipeline.planning.plan import odd_ids
from retail_pipeline.settings import load_settings
from retail_pipeline.tables import TABLES
from retail_pipeline_tests.defs.support import land, make_days, open_pipeline, run
from retail_pipeline_tests.ingest.books import book
from retail_pipeline_tests.ingest.landing_shop import Shop, counts, refusal, remarks
from retail_pipeline_tests.ingest.test_isolation import apart, two_cells_far_apart
from retail_pipeline_tests.near import read_apart, read_near
from retail_pipeline_tests.shop import FIRST, PROFILE, deliver, sales, settings_of, span, write
from retail_pipeline_tests.shop import Line as ShopLine

PAGE = Path(__file__).resolve().parents[1] / "docs" / "what_becomes_of.md"
HEADER = ("bill", "sku", "title", "qty", "price", "day", "who")
COLUMNS = {
    "invoice_id": "bill",
    "product_id": "sku",
    "description": "title",
    "quantity": "qty",
    "unit_price": "price",
    "sold_at": "day",
    "customer_id": "who",
}
ROW = {
    "bill": "1001",
    "sku": "A-7",
    "title": "Tea",
    "qty": "2",
    "price": "3.50",
    "day": "2024-07-05 10:00:00",
    "who": "C-77",
}
Row = dict[str, Any]


class Line(NamedTuple):
    """A line of the table: its texts in backticks before and after, and the word for what becomes of it."""

    texts: tuple[str, ...]
    word: str
    becomes: tuple[str, ...]


def lines() -> dict[str, Line]:
    found = re.findall(r"^\| ([a-z0-9-]+) \| (.+) \| (.+) \|$", PAGE.read_text(encoding="utf-8"), re.M)
    found = [line for line in found if line[0] != "case"]
    assert len(found) == len({name for name, _, _ in found})
    return {
        name: Line(
            tuple(re.findall("`([^`]+)`", stands)),
            re.split("[:,]", becomes)[0],
            tuple(re.findall("`([^`]+)`", becomes)),
        )
        for name, stands, becomes in found
    }


LINES = lines()
CASES: dict[str, Callable[..., str]] = {}


def case(function: Callable[..., str]) -> Callable[..., str]:
    CASES[function.__name__.replace("_", "-")] = function
    return function


def profile(**options: Any) -> dict[str, SourceProfile]:
    given: dict[str, Any] = {"source_system": "till", "columns": COLUMNS, "currency": "EUR"}
    return {"till": SourceProfile.model_validate(given | options)}


class Came(NamedTuple):
    """What came of a delivery: rows of the lake, reasons of unreadable rows and refused files, remarks."""

    read: list[Row]
    reasons: list[str]
    refused: list[str]
    remarks: list[str]

    @property
    def word(self) -> str:
        if self.refused:
            assert not self.read
            return "file refused"
        return "row refused" if self.reasons else "read"

    def ids(self, column: str = "customer_id") -> list[str | None]:
        return [row[column] for row in self.read]


def text(*rows: Row, header: Sequence[str] = HEADER, delimiter: str = ",", end: str = "\n") -> str:
    def field(cell: object) -> str:
        text = "" if cell is None else str(cell)
        return '"' + text.replace('"', '""') + '"' if re.search(f'[{delimiter}"\n\r]', text) else text

    table = [header, *([row[name] for name in header] for row in rows)]
    return "".join(delimiter.join(map(field, cells)) + end for cells in table)


def parquet(table: pa.Table) -> bytes:
    out = io.BytesIO()
    pq.write_table(table, out)
    return out.getvalue()


def zipped(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return out.getvalue()


def landed(shop: Shop, files: dict[str, bytes], **options: Any) -> Came:
    """Land files by one profile."""
    settings = {"business_zone": "Europe/London", "first_day": date(2010, 1, 1)}
    settings |= {name: options.pop(name) for name in settings.keys() & options.keys()}
    for name, content in files.items():
        path = shop.landing / name
        path.write_bytes(content)
    outcomes = shop.land(profile(**options), **settings)
    return Came(
        sorted(shop.raw(), key=lambda row: (row["source_id"], row["source_row"])),
        [reason for row in shop.unreadable() for reason in row["reasons"]],
        [outcome.reason for outcome in outcomes.values() if isinstance(outcome, Refused)],
        [said for outcome in outcomes.values() if isinstance(outcome, Landed) for said in remarks(outcome)],
    )


def tried(shop: Shop, *rows: Row, **options: Any) -> Came:
    return landed(shop, {"sales.csv": text(*rows).encode()}, **options)


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


@pytest.mark.parametrize("name", LINES)
def test_a_line_of_the_table_is_true(shop, name):
    assert CASES[name](shop, LINES[name]) == LINES[name].word


def test_the_table_holds_all_that_is_tried():
    assert CASES.keys() == LINES.keys()


# ids


def _as_ids(shop: Shop, line: Line) -> str:
    """Each text as a customer's, an invoice's and a product's id."""
    rows = [ROW | dict.fromkeys(("bill", "sku", "who"), text) for text in line.texts]
    came = tried(shop, *rows)
    if line.becomes:
        expected = list(line.becomes) * (len(rows) // len(line.becomes))
        for column in ("invoice_id", "product_id", "customer_id"):
            assert came.ids(column) == expected
    else:
        assert came.read == []
    return came.word


CASES |= {"id-forms": _as_ids, "id-scientific": _as_ids}


@case
def id_around(shop: Shop, line: Line) -> str:
    around = (" {} ", "\t{}", "{}\0", "\u00a0{}\u00a0", "{}\u200b", "\ufeff{}", "{}\u3000", "\u2060{}")
    came = tried(shop, *(ROW | {"who": form.format(line.texts[0])} for form in around))
    assert set(came.ids()) == set(line.becomes)
    return came.word


@case
def id_composed(shop: Shop, line: Line) -> str:
    came = tried(shop, ROW | {"who": "J\u00fcrg"}, ROW | {"who": "Ju\u0308rg"})
    assert came.ids() == ["J\u00fcrg"] * 2
    return came.word


@case
def id_nobody(shop: Shop, line: Line) -> str:
    came = tried(shop, *(ROW | {"who": text} for text in line.texts))
    assert came.ids() == [None] * len(line.texts)
    return came.word


def _typed(**columns: pa.Array) -> pa.Table:
    length = len(next(iter(columns.values())))
    return pa.table({name: columns.get(name, pa.array([ROW[name]] * length)) for name in HEADER})


@case
def id_doubles(shop: Shop, line: Line) -> str:
    numbers = pa.array([17850.0, 4006381333931.0, None], pa.float64())
    content = parquet(_typed(who=numbers, bill=numbers))
    packed = zipped({"b.parquet": content})
    rows = [json.dumps(ROW | {"who": number, "bill": number}) for number in numbers.to_pylist()]
    files = {"a.parquet": content, "b.parquet.zip": packed, "c.jsonl": "\n".join(rows).encode()}
    came = landed(shop, files)
    assert came.ids() == [*line.becomes, None] * 3
    assert came.ids("invoice_id") == came.ids()
    return came.word


@case
def id_no_key(shop: Shop, line: Line) -> str:
    content = "\n".join(json.dumps({n: v for n, v in ROW.items() if n != "who"} | {"bill": b}) for b in "123")
    came = landed(shop, {"a.jsonl": content.encode()})
    assert came.ids() == [None] * 3
    return came.word


def _odd(root: Path, *lines: ShopLine) -> str:
    """What is said of the customers of a shop's first days, with some lines more."""
    days = span(FIRST, 5)
    pipeline = open_pipeline(root)
    deliver(root / "landing", days)
    write(root / "landing" / "more.csv", lines)
    with dg.DagsterInstance.ephemeral() as instance:
        land(pipeline, instance)
        make_days(pipeline, instance, days)
        run(pipeline, instance, "daily_job", days[-1], days[-1], ["rfm_features"])
    return "; ".join(odd_ids(pipeline.state(), pipeline.recipe, days[-1]).values())


@case
def id_case(shop: Shop, line: Line) -> str:
    more = [sales(FIRST)[0] | {"order": who, "customer": who} for who in line.texts]
    assert "1 customer ids differ from another only by letter case" in _odd(shop.landing.parent, *more)
    return "amber"


@case
def id_walk_in(shop: Shop, line: Line) -> str:
    days = span(FIRST, 5)
    many = [line for day in days for line in sales(day) * 4]
    more = [line | {"order": f"till {n}", "customer": "CARD"} for n, line in enumerate(many)]
    assert "name the id in `cleaning.anonymous_ids`" in _odd(shop.landing.parent, *more)
    return "amber"


# numbers


def _as_numbers(shop: Shop, line: Line) -> str:
    """Each text as a quantity and as a price."""
    rows = [ROW | {column: text} for text in line.texts for column in ("qty", "price")]
    came = tried(shop, *rows)
    if line.becomes:
        value = Decimal(line.becomes[0])
        assert [(r["quantity"], r["unit_price"]) for r in came.read] == [
            (value, Decimal("3.5")),
            (Decimal(2), value),
        ] * len(line.texts)
    else:
        assert came.read == []
        assert len(came.reasons) == len(rows)
    return came.word


for _name in ("number-dash", "number-no", "number-negative"):
    CASES[_name] = _as_numbers


@case
def number_no_price(shop: Shop, line: Line) -> str:
    *others, marks, _ = line.texts
    came = tried(shop, *(ROW | {"price": text} for text in (*others, marks)))
    assert came.read == []
    assert "decimal_mark" in came.reasons[-1]
    return came.word


@case
def number_fine(shop: Shop, line: Line) -> str:
    came = tried(shop, ROW | {"qty": "100000", "price": "0.00349"})
    assert [row["amount"] for row in came.read] == [Decimal(349)]
    return came.word


@case
def number_key_twice(shop: Shop, line: Line) -> str:
    twice = json.dumps(ROW)[:-1] + ', "price": "9.00"}'
    came = landed(shop, {"a.jsonl": f"{json.dumps(ROW)}\n{twice}\n".encode()})
    assert (len(came.read), len(came.reasons)) == (1, 1)
    return came.word


def _shipped(shop: Shop, name: str) -> dict[str, Decimal]:
    """The money of each order of a sample of a shipped profile."""
    (shop.landing / name).write_bytes((PAGE.parents[1] / "retail_pipeline" / "samples" / name).read_bytes())
    assert counts(shop.land(first_day=date(2010, 1, 1), currency="GBP")[name])["unreadable"] == 0
    found: dict[str, Decimal] = {}
    for row in shop.raw():
        amount = row["quantity"] * row["unit_price"] if row["amount"] is None else row["amount"]
        found[row["invoice_id"]] = found.get(row["invoice_id"], Decimal(0)) + amount
    return found


@case
def money_shopify(shop: Shop, line: Line) -> str:
    kept = {"#1001": "42.12", "#1002": "12.90", "#1004": "20.00", "#1005": "12.90", "#1008": "12.90"}
    assert _shipped(shop, "shopify_orders.csv") == {order: Decimal(money) for order, money in kept.items()}
    return "read"


@case
def money_woocommerce(shop: Shop, line: Line) -> str:
    kept = {"2201": "21.00", "2202": "5.85", "2205": "13.00"}
    assert _shipped(shop, "woocommerce_orders.csv") == {
        order: Decimal(money) for order, money in kept.items()
    }
    return "read"


# time


def _as_days(shop: Shop, line: Line) -> str:
    came = tried(shop, *(ROW | {"day": text} for text in line.texts), first_day=date(1900, 1, 1))
    assert came.read == []
    assert len(came.reasons) == len(line.texts)
    return came.word


CASES |= {"time-abbreviation": _as_days, "time-no": _as_days}


@case
def time_epoch(shop: Shop, line: Line) -> str:
    columns = COLUMNS | {"sold_at": "to_timestamp(cast(day as double))"}
    # one in the morning of 5 July in UTC
    came = tried(shop, ROW | {"day": "1720141200"}, columns=columns, business_zone="America/New_York")
    assert [row["sold_at"] for row in came.read] == [datetime(2024, 7, 4, 21)]  # noqa: DTZ001
    return came.word


@case
def time_offset(shop: Shop, line: Line) -> str:
    columns = COLUMNS | {
        "sold_at": "coalesce(try_strptime(day, '%d.%m.%Y %H:%M %z'), cast(day as timestamptz))"
    }
    days = ("05.07.2024 01:00 +0000", "2024-07-05T03:00:00+02:00")
    zones = {"business_zone": "America/New_York", "time_zone": "Asia/Tokyo"}
    came = tried(shop, *(ROW | {"day": day} for day in days), columns=columns, **zones)
    assert [row["sold_at"] for row in came.read] == [datetime(2024, 7, 4, 21)] * 2  # noqa: DTZ001
    return came.word


@case
def time_day(shop: Shop, line: Line) -> str:
    came = tried(shop, ROW | {"day": "2024-07-05"}, business_zone="Asia/Tokyo", time_zone="America/New_York")
    assert [row["sold_at"].date() for row in came.read] == [date(2024, 7, 5)]
    return came.word


@case
def time_one_line(shop: Shop, line: Line) -> str:
    days = [f"01/{n % 12 + 1:02d}/2024 10:00" for n in range(40)] + ["13/01/2024 10:00"]
    came = tried(shop, *(ROW | {"bill": n, "day": day} for n, day in enumerate(days)))
    assert "date_order" in came.refused[0]
    return came.word


def _swapped() -> list[Row]:
    """A month's days, day first, as a spreadsheet that takes the month first keeps them."""
    days = [date(2024, 3, day) for day in range(1, 32)]
    return [
        ROW | {"bill": day.day, "day": date(2024, day.day, 3) if day.day <= 12 else day.strftime("%d/%m/%Y")}
        for day in days
    ]


@case
def time_swapped(shop: Shop, line: Line) -> str:
    workbook = book({"Sales": [HEADER, *([*row.values()] for row in _swapped())]})
    came = landed(shop, {"a.xlsx": workbook, "b.csv": text(*_swapped()).encode()})
    assert len(came.refused) == 2
    return came.word


# texts and lines


@case
def text_fields(shop: Shop, line: Line) -> str:
    good = text(ROW).splitlines()[1]
    many = [good + ",x", good.replace(",2,", ",,2,"), good.rpartition(",")[0].replace(",2,", ",3,2,") + ","]
    few = [good.replace(",2,", ","), "1001,A-7,Te"]
    came = landed(shop, {"a.csv": "\n".join([",".join(HEADER), *many, *few]).encode()})
    assert (came.read, len(came.reasons)) == ([], 5)
    return came.word


@case
def text_cp1250(shop: Shop, line: Line) -> str:
    files = {"a.csv": text(ROW | {"title": "Dvořák"}, ROW).encode("cp1250")}
    unsure = landed(shop, files)
    assert len(unsure.read) == 1
    told = landed(shop, files, encoding="cp1250")
    assert [row["description"] for row in told.read] == ["Dvořák", "Tea"]
    return unsure.word


@case
def text_totals(shop: Shop, line: Line) -> str:
    total = dict.fromkeys(HEADER, "") | {"bill": "Total", "qty": "4", "price": "7.00"}
    came = tried(shop, ROW, ROW, total)
    assert (len(came.read), came.reasons) == (2, [])
    (manifest,) = manifests(shop.lake, TABLES["landed_files"])
    assert manifest.counts["left_out"] == 1
    return "left out"


@case
def text_open_quote(shop: Shop, line: Line) -> str:
    for n in range(8):
        (shop.landing / f"{n}.csv").write_text(text(ROW | {"bill": n}))
    came = landed(shop, {"z.csv": text(ROW, ROW).replace("Tea", '"Tea', 1).encode()})
    assert len(came.read) == 9
    return came.word


@case
def text_no_header(shop: Shop, line: Line) -> str:
    came = landed(shop, {"a.csv": text(*[ROW | {"who": "anna@example.com"}] * 2).partition("\n")[2].encode()})
    assert "anna" not in came.refused[0]
    return came.word


def _cut_after(shop: Shop, *customers: str) -> Came:
    whole = text(*(ROW | {"who": who} for who in customers))
    return landed(shop, {"a.csv": whole.removesuffix("\n").encode()})


@case
def text_cut(shop: Shop, line: Line) -> str:
    came = _cut_after(shop, "C-0103", "C-0104", "C-01")
    assert came.ids() == ["C-0103", "C-0104"]
    return came.word


@case
def text_cut_alike(shop: Shop, line: Line) -> str:
    came = _cut_after(shop, "C-0103", "C-01", "C-01")
    assert (came.word, len(came.read)) == ("read", 3)
    assert "the last line has no end" in came.remarks[0]
    return "amber"


# files


@case
def file_pipe(shop: Shop, line: Line) -> str:
    os.mkfifo(shop.landing / "orders.csv")
    assert list(list_files(shop.landing).files) == []
    return "passed over"


@case
def file_other_sheets(shop: Shop, line: Line) -> str:
    sheets: dict[str, list[Any]] = {
        "Sales": [HEADER, list(ROW.values())],
        "Old": [HEADER, list(ROW.values())],
        "Notes": [["by"]],
    }
    came = landed(shop, {"a.xlsx": book(sheets, hidden={"Old"})})
    assert came.ids() == ["C-77"]
    assert [remark.partition(": ")[2] for remark in came.remarks] == ["Notes", "Old"]
    return "amber"


@case
def file_far_cells(shop: Shop, line: Line) -> str:
    (shop.landing / "a.xlsx").write_bytes(two_cells_far_apart())
    shop.deliver("b.csv", *text(ROW).splitlines())
    read_apart()
    try:
        outcomes = apart(shop, profiles=profile(), first_day=date(2010, 1, 1))
    finally:
        read_near()
    assert counts(outcomes["b.csv"])["raw"] == 1
    assert refusal(outcomes["a.xlsx"])
    return "file refused"


@case
def file_bomb(shop: Shop, line: Line) -> str:
    content = gzip.compress(text(*[ROW] * 100_000).encode())
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("retail_pipeline.ingest.files.unpacked.MAX_UNBOUNDED", 1 << 20)
        came = landed(shop, {"a.csv.gz": content})
    assert "times its size when unpacked" in came.refused[0]
    return came.word


@case
def file_nested(shop: Shop, line: Line) -> str:
    items: list[Any] = [{"sku": "A-7", "qty": 2}, {"sku": "B-1", "qty": 1}]
    order: Row = {name: ROW[name] for name in ("bill", "day", "who")} | {"items": items}
    files = {"a.jsonl": json.dumps(order).encode(), "b.parquet": parquet(pa.Table.from_pylist([order]))}
    came = landed(shop, files)
    assert len(came.refused) == 2
    assert all("items" in reason for reason in came.refused)
    return came.word


@case
def file_slip(shop: Shop, line: Line) -> str:
    came = landed(shop, {"a.zip": zipped({"../../../slipped.csv": text(ROW).encode()})})
    assert not any((folder / "slipped.csv").exists() for folder in shop.landing.parents)
    return came.word


# what a file by itself shows: the file, and the customers that are read or what its refusal says


def _alone(name: str, content: bytes, shows: list[str | None] | str) -> Callable[..., str]:
    def tried_alone(shop: Shop, line: Line) -> str:
        came = landed(shop, {name: content})
        assert came.ids() == shows if isinstance(shows, list) else shows in came.refused[0]
        return came.word

    return tried_alone


_CSV = text(ROW)
_OTHER = ROW | {"who": "C-78"}
_QUOTED = {name: f"'{cell}'" if name in ("bill", "sku", "who") else cell for name, cell in ROW.items()}
_ORDER: list[Row] = [ROW, ROW | {"who": None}, ROW | {"who": None}, ROW | {"bill": "2", "who": None}]
_SHEETS = {"May": [HEADER, list(ROW.values())], "June": [HEADER, list(_OTHER.values())]}
CASES |= {
    "id-bytes": _alone("a.parquet", parquet(_typed(who=pa.array(["Jürg".encode()], pa.binary()))), ["Jürg"]),
    "id-struct": _alone("a.parquet", parquet(_typed(who=pa.array([{"id": "C-77"}]))), "who"),
    "text-header-commas": _alone("a.csv", _CSV.replace("who\n", "who,,\n").encode(), ["C-77"]),
    "text-cr": _alone("a.csv", text(ROW, _OTHER, end="\r").encode(), ["C-77", "C-78"]),
    "text-quotes": _alone("a.csv", text(_QUOTED).encode(), ["C-77"]),
    "text-sep": _alone("a.csv", f'"sep=;"\n{text(ROW, delimiter=";")}'.encode(), ["C-77"]),
    "text-parts-glued": _alone(
        "a.csv", (_CSV + "\ufeff" + text(_OTHER).partition("\n")[2]).encode(), ["C-77", "C-78"]
    ),
    "text-preamble": _alone("a.csv", b"Sales of the shop\n\n" + _CSV.encode(), "skip_rows"),
    "file-gzip": _alone("a.csv", gzip.compress(_CSV.encode()), "gz"),
    "file-two-sheets": _alone("a.xlsx", book(_SHEETS), ["C-77", "C-78"]),
    "file-merged": _alone(
        "a.xlsx",
        book({"Sales": [HEADER, *([*row.values()] for row in _ORDER)]}, merged=["G2:G4"]),
        ["C-77"] * 3 + [None],
    ),
}


# deliveries


def _delivered(root: Path, *lots: dict[str, list[ShopLine]], **settings: Any) -> Pipeline:
    """Land one lot of files after another, each an hour younger than the one before."""
    pipeline = open_pipeline(root, **settings)
    with dg.DagsterInstance.ephemeral() as instance:
        for hour, lot in enumerate(lots):
            for name, rows in lot.items():
                path = write(root / "landing" / name, rows)
                os.utime(path, (1_720_000_000 + hour * 3600,) * 2)
            land(pipeline, instance)
    return pipeline


def _counting(pipeline: Pipeline) -> dict[str, int]:
    """How many lines of each file count."""
    found: dict[str, int] = {}
    for day, files in pipeline.state().raw.items():
        for manifest in files.values():
            path = manifest.arrival.path
            found[path] = found.get(path, 0) + manifest.parts[day].rows
    return found


@case
def delivery_longer(shop: Shop, line: Line) -> str:
    rows = sales(FIRST)
    pipeline = _delivered(shop.landing.parent, {"a.csv": rows[: len(rows) // 2]}, {"a.csv": rows})
    assert _counting(pipeline) == {"a.csv": len(rows)}
    return "read"


@case
def delivery_repeats(shop: Shop, line: Line) -> str:
    first, second, third = (sales(day) for day in span(FIRST, 3))
    pipeline = _delivered(shop.landing.parent, {"a.csv": first + second}, {"b.csv": second + third})
    assert _counting(pipeline) == {"a.csv": len(first + second), "b.csv": len(third)}
    return "held"


@case
def delivery_years_before(shop: Shop, line: Line) -> str:
    (one, *_), (two, *_) = (sales(day) for day in span(FIRST, 2))
    pipeline = _delivered(
        shop.landing.parent,
        {"a.csv": [one]},
        {"b.csv": [two, two | {"at": "2010-06-01 10:00:00"}]},
        first_day="2010-01-01",
    )
    assert _counting(pipeline) == {"a.csv": 1, "b.csv": 1}
    return "held"


@case
def delivery_order_over_days(shop: Shop, line: Line) -> str:
    days = span(FIRST, 2)
    lines = [sales(FIRST)[0] | {"order": "1", "at": f"{day} 23:59:00"} for day in days]
    pipeline = _delivered(shop.landing.parent, {"a.csv": lines})
    with dg.DagsterInstance.ephemeral() as instance:
        make_days(pipeline, instance, days)
    kept = [
        read_partition(pipeline.lake, TABLES["customer_days"], {"date": str(day)}).to_pylist() for day in days
    ]
    assert [row["orders"] for of_day in kept for row in of_day] == [1, 0]
    return "read"


@case
def delivery_right_name(shop: Shop, line: Line) -> str:
    rows = sales(FIRST)
    profiles = {"corner_shop": PROFILE | {"files": "sales_*.csv"}}
    settings = settings_of(sources=profiles)
    pipeline = Pipeline(load_settings(landing=shop.landing, lake=shop.lake.root, **settings))
    with dg.DagsterInstance.ephemeral() as instance:
        for name in ("export.csv", "sales_1.csv"):
            write(shop.landing / name, rows)
            land(pipeline, instance)
    assert _counting(pipeline) == {"sales_1.csv": len(rows)}
    return "read"

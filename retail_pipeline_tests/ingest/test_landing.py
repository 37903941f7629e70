"""Files in: what lands, what is unreadable and why, what is refused, and that no row is lost."""

from __future__ import annotations

import csv
import io
import os
from datetime import date
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from retail_pipeline.ingest import landing, reading
from retail_pipeline.ingest.files import blocks
from retail_pipeline.ingest.landing import Landed, land
from retail_pipeline.ingest.listing import LandingError, list_files
from retail_pipeline.ingest.profiles.profile import SourceProfile
from retail_pipeline.ingest.profiles.shipped import SHIPPED
from retail_pipeline.lake.partitions import read_partition
from retail_pipeline.tables import TABLES
from retail_pipeline_tests.ingest.landing_shop import READING, Shop, at, counts, refusal

UCI = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country"
GOOD = "536365,85123A,WHITE HOLDER,6,2010-12-01 08:26:00,2.55,17850.0,United Kingdom"
OTHER = "536366,22633,HAND WARMER,-1,2010-12-02 09:00:00,1.85,,France"


# what lands


def test_a_file_lands_by_day_in_canonical_types(shop):
    shop.deliver("a.csv", UCI, OTHER, GOOD)
    outcome = shop.land()["a.csv"]
    assert counts(outcome) == {"rows_read": 2, "raw": 2, "unreadable": 0}
    first, second = shop.raw()
    assert first == {
        "source_id": outcome.file.source_id,
        "source_row": 2,
        "source_system": "uci_online_retail",
        "invoice_id": "536365",
        "product_id": "85123A",
        "description": "WHITE HOLDER",
        "quantity": Decimal("6.000"),
        "unit_price": Decimal("2.5500"),
        "amount": None,
        "sold_at": at("2010-12-01 08:26"),
        "customer_id": "17850",
        "country": "United Kingdom",
        "currency": "GBP",
    }
    assert (second["source_row"], second["customer_id"], second["quantity"]) == (1, None, Decimal("-1.000"))
    (row,) = read_partition(shop.lake, TABLES["landed_files"], {"file": outcome.file.source_id}).to_pylist()
    assert row["path"] == "a.csv"
    assert (row["rows_read"], row["rows_accepted"], row["rows_rejected"]) == (2, 2, 0)
    assert row["days_touched"] == [date(2010, 12, 1), date(2010, 12, 2)]


def test_the_second_edition_of_uci_and_american_dates_land_too(shop):
    shop.deliver(
        "ii.csv",
        "Invoice,StockCode,Description,Quantity,InvoiceDate,Price,Customer ID,Country",
        "489434,85048,LIGHTS,12,12/1/2010 7:45,6.95,13085,United Kingdom",
    )
    shop.land()
    (row,) = shop.raw()
    assert (row["sold_at"], row["source_system"]) == (at("2010-12-01 07:45"), "uci_online_retail")


def test_times_in_utc_fall_on_the_business_day(shop):
    shop.deliver(
        "cj.csv",
        "household_id,store_id,basket_id,product_id,quantity,sales_value,transaction_timestamp",
        "2375,364,31198459904,1004906,1,1.39,2018-01-01 04:01:00",
        "2375,364,31198459904,1004907,1,1.39,2018-01-01T04:01:00Z",
        "2375,364,31198459904,1004908,1,1.39,2018-01-01 00:01:00-04:00",
    )
    shop.land(business_zone="America/New_York")
    assert {row["sold_at"] for row in shop.raw()} == {at("2017-12-31 23:01")}
    assert {(row["amount"], row["unit_price"], row["currency"]) for row in shop.raw()} == {
        (Decimal("1.3900"), None, "USD")
    }


def test_a_new_shop_needs_expressions_and_no_code(shop):
    profile = SourceProfile(
        source_system="till",
        columns={
            "invoice_id": "ORDERNUMBER",
            "product_id": '"Item.Code"',
            "quantity": "case STATUS when 'Returned' then -cast(QTY as int) else cast(QTY as int) end",
            "amount": "cast(replace(SALES, ',', '.') as decimal(18, 4))",
            "sold_at": """strptime("ORDERDATE", '%m/%d/%Y %H:%M')""",
            "customer_id": "CUSTOMER",
            "currency": "CUR",
        },
        delimiter=";",
    )
    header = "ORDERNUMBER;Item.Code;STATUS;QTY;SALES;ORDERDATE;CUSTOMER;CUR"
    good = "1;A;Returned;3;-9,50;2/24/2011 0:00;Ann;eur"
    bad = [
        "2;A;Shipped;x;1;2/24/2011 0:00;Ann;EUR",
        "3;A;Shipped;1;y;2/30/2011 0:00;Ann;",
        "4;;;1;;2/24/2011 0:00;;EUR",
    ]
    shop.deliver("o.csv", header, good, *bad)
    assert counts(shop.land({"till": profile, **SHIPPED})["o.csv"]) == {
        "rows_read": 4,
        "raw": 1,
        "unreadable": 3,
    }
    (row,) = shop.raw()
    assert (row["quantity"], row["amount"], row["currency"]) == (Decimal("-3.000"), Decimal("-9.5000"), "EUR")
    assert [r["reasons"] for r in shop.unreadable()] == [
        ["quantity: 'Shipped', 'x' is not a number"],
        [
            "currency is missing: set currency in retail_pipeline.yaml or in the source",
            "amount: 'y' is not a number",
            "sold_at: '2/30/2011 0:00' is no date",
        ],
        ["amount is missing"],
    ]


def test_an_expression_that_duckdb_cannot_run_refuses_the_file_and_names_the_profile(shop):
    columns = SHIPPED["uci_online_retail"].columns | {"quantity": "abs(Quantity) + date '2020-01-01'"}
    shop.deliver("a.csv", UCI, GOOD)
    reason = refusal(shop.land({"mine": SourceProfile(source_system="x", columns=columns)})["a.csv"])
    assert reason.startswith("cannot be read by the profile mine (Binder Error:")


@pytest.mark.parametrize(
    "name",
    [
        "it's.csv",
        'a "b" c.csv',
        "a[1].csv",
        "a*.csv",
        "a?.csv",
        "back\\slash.csv",
        "Käufe 1.CSV",
        "date=1/é.csv",
    ],
)
def test_any_file_name_works_and_stands_for_that_file_alone(shop, name):
    shop.deliver(name, UCI, GOOD)
    shop.deliver("a1.csv", UCI, OTHER)
    shop.deliver("a2.csv", UCI, OTHER, GOOD)
    assert {path: counts(o)["raw"] for path, o in shop.land().items()} == {name: 1, "a1.csv": 1, "a2.csv": 2}


def test_gzip_and_parquet_give_the_rows_of_the_plain_file(shop):
    dirty = GOOD.replace("2.55", "abc")
    shop.deliver("a.csv", UCI, GOOD, dirty, OTHER)
    shop.deliver("b.csv.gz", UCI, GOOD, dirty, OTHER)
    table = [line.split(",") for line in (GOOD, dirty, OTHER)]
    columns = dict(zip(UCI.split(","), map(list, zip(*table, strict=True)), strict=True))
    pq.write_table(pa.table(columns), shop.landing / "c.parquet")
    assert {p: counts(o) for p, o in shop.land().items()} == {
        name: {"rows_read": 3, "raw": 2, "unreadable": 1} for name in ("a.csv", "b.csv.gz", "c.parquet")
    }
    rows = [tuple(v for k, v in row.items() if k != "source_id") for row in shop.raw()]
    assert len(set(rows)) == 2
    assert len(rows) == 6
    a, b, c = sorted(shop.unreadable(), key=lambda r: r["payload"].startswith("{"))
    assert a["payload"] == b["payload"] == dirty
    assert '"UnitPrice":"abc"' in c["payload"]
    assert {r["source_row"] for r in (a, b, c)} == {2}
    assert a["reasons"] == b["reasons"] == c["reasons"] == ["unit_price: 'abc' is not a number"]


def test_typed_parquet_columns_land(shop):
    columns = {
        "household_id": pa.array([2375.0]),
        "basket_id": pa.array([31198459904]),
        "product_id": pa.array([1004906], pa.int32()),
        "quantity": pa.array([2.0]),
        "sales_value": pa.array([0.30000000000000004]),
        "transaction_timestamp": pa.array([at("2018-01-01 04:01")], pa.timestamp("ns", "UTC")),
    }
    pq.write_table(pa.table(columns), shop.landing / "c.parquet")
    shop.land(business_zone="America/New_York")
    (row,) = shop.raw()
    assert (row["customer_id"], row["invoice_id"], row["quantity"]) == (
        "2375",
        "31198459904",
        Decimal("2.000"),
    )
    assert (row["amount"], row["sold_at"]) == (Decimal("0.3000"), at("2017-12-31 23:01"))


# bad input: each with the message it gives


def test_bad_files_are_refused_by_name_and_take_no_other_with_them(shop):
    shop.deliver("columns.csv", "Datum,Menge", "1,2")
    shop.deliver("empty.csv")
    shop.deliver("blank.csv", "", "")
    shop.deliver("latin.csv", "Käufe,x".encode("latin-1"), "1,2")
    shop.deliver("dos.csv", "ÖL,x".encode("latin-1"), "1,2")
    whole = shop.deliver("cut.csv.gz", UCI, *[GOOD] * 5000)
    whole.write_bytes(whole.read_bytes()[:-30])
    shop.deliver("no.csv.gz").write_bytes(b"hello")
    shop.deliver("no.parquet", "hello")
    shop.deliver("good.csv", UCI, GOOD)
    outcomes = shop.land()
    assert counts(outcomes.pop("good.csv"))["raw"] == 1
    reasons = {path: refusal(outcome) for path, outcome in outcomes.items()}
    assert reasons["columns.csv"].startswith("no profile fits the columns Datum, Menge; the nearest,")
    assert reasons["empty.csv"] == "is empty: have it delivered again, or take it out of the landing folder"
    assert reasons["blank.csv"] == reasons["empty.csv"]
    assert reasons["latin.csv"].startswith("no profile fits the columns Käufe, x; the nearest,")
    assert reasons["dos.csv"].startswith("has a header that cannot be read (byte 0xd6 at position 1 of the ")
    assert reasons["cut.csv.gz"].startswith("is no whole gzip file (")
    assert reasons["no.csv.gz"].startswith("is no whole gzip file (Not a gzipped file")
    assert reasons["no.parquet"] == "is no Parquet file, or a part of one: have it delivered again"
    assert len(shop.raw()) == 1


def test_a_header_alone_lands_as_a_file_of_no_rows(shop):
    shop.deliver("a.csv", UCI)
    assert counts(shop.land()["a.csv"]) == {"rows_read": 0, "raw": 0, "unreadable": 0}
    assert shop.raw() == []


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("536365,85123A,WHITE", "the row has 3 fields where the header has 8 (cut in the middle?)"),
        (
            GOOD + ",x",
            "the row has 9 fields where the header has 8 (a delimiter inside a text without quotes?)",
        ),
        (GOOD.replace(",6,", ",six,"), "quantity: 'six' is not a number"),
        (GOOD.replace(",6,", ",,"), "quantity is missing"),
        (GOOD.replace(",6,", ",NaN,"), "quantity: 'NaN' is not a number"),
        (GOOD.replace(",6,", ",1e30,"), "quantity: '1e30' has lost digits to scientific notation"),
        (GOOD.replace("2.55", "inf"), "unit_price: 'inf' is not a number"),
        (GOOD.replace("2.55", " "), "unit_price is missing"),
        (GOOD.replace("2010-12-01 08", "2011-02-30 10"), "sold_at: '2011-02-30 10:26:00' is no date"),
        (GOOD.replace("2010-12-01 08:26:00", ""), "sold_at is missing"),
        (
            GOOD.replace("2010-12-01", "1999-01-01"),
            "sold_at 1999-01-01 is before the first day 2010-12-01: set first_day in retail_pipeline.yaml to "
            "an earlier day",
        ),
        (
            GOOD.replace("2010-12-01", "2012-01-01"),
            "sold_at 2012-01-01 is after the last day 2011-12-31: set last_day in retail_pipeline.yaml to a "
            "later day",
        ),
        (GOOD.replace("HOLDER", '"HOLDER').replace("WHITE ", ""), "a quote opens and never closes"),
        (GOOD.replace("WHITE HOLDER", '"WHITE" HOLDER'), "a quoted field goes on after its closing quote"),
        (GOOD.encode().replace(b"HOLDER", b"H\xd6LDER"), "byte 0xd6 at position 22 of the row is not UTF-8"),
    ],
)
def test_a_row_that_cannot_be_read_is_kept_with_its_reason_and_text(shop, row, reason):
    shop.deliver("a.csv", UCI, GOOD, "", row, OTHER)
    assert counts(shop.land(last_day=date(2011, 12, 31))["a.csv"]) == {
        "rows_read": 3,
        "raw": 2,
        "unreadable": 1,
    }
    (bad,) = shop.unreadable()
    assert (bad["source_row"], bad["reasons"]) == (2, [reason])
    assert bad["payload"] == (row if isinstance(row, str) else row.decode(errors="backslashreplace"))
    assert sorted(r["source_row"] for r in shop.raw()) == [1, 3]


def test_a_file_cut_in_the_middle_of_its_last_row_keeps_the_rows_before(shop):
    path = shop.deliver("a.csv", UCI, OTHER, GOOD)
    path.write_bytes(path.read_bytes()[:-60])
    assert counts(shop.land()["a.csv"]) == {"rows_read": 2, "raw": 1, "unreadable": 1}


def test_mixed_line_ends_are_read(shop):
    shop.deliver("a.csv", UCI, GOOD + "\r", OTHER, GOOD + "\r")
    shop.deliver("b.csv", "", UCI, GOOD)
    assert {p: counts(o)["raw"] for p, o in shop.land().items()} == {"a.csv": 3, "b.csv": 1}
    assert {row["country"] for row in shop.raw()} == {"United Kingdom", "France"}


def test_a_missing_landing_folder_is_named_with_the_remedy(tmp_path):
    with pytest.raises(
        LandingError, match=r"the landing folder .*nowhere cannot be read \(No such file or dir"
    ):
        list_files(tmp_path / "nowhere")


def test_a_file_that_changes_between_listing_and_landing_is_left_for_the_next_run(shop):
    path = shop.deliver("a.csv", UCI, GOOD)
    files = list_files(shop.landing).files
    path.write_bytes(path.read_bytes() + OTHER.encode())
    (outcome,) = land(files, shop.landing, shop.lake, READING, landed={})
    assert "changed while it was read" in refusal(outcome)
    assert shop.raw() == []


# landing again


def test_landing_again_under_another_profile_leaves_nothing_of_the_first(shop):
    late = GOOD.replace("08:26", "23:30")
    shop.deliver("a.csv", UCI, late, late.replace(",6,", ",x,"))
    old = SHIPPED["uci_online_retail"]
    first = shop.land({"p": old})["a.csv"]
    columns = old.columns | {"quantity": "coalesce(try_cast(Quantity as int), 0)"}
    new = old.model_copy(update={"time_zone": "UTC", "columns": columns})
    second = shop.land({"p": new}, business_zone="Europe/Berlin")["a.csv"]
    assert isinstance(first, Landed)
    assert isinstance(second, Landed)
    assert first.manifest.inputs["file"] == second.manifest.inputs["file"]
    assert first.manifest.inputs["profile"] != second.manifest.inputs["profile"]
    assert shop.unreadable() == []
    assert [p.parent.name for p in (shop.lake.root / "raw_transactions").rglob("*.parquet")] == [
        "date=2010-12-02"
    ]


def test_the_bounds_of_the_days_are_an_input_only_of_files_that_they_cut(shop):
    shop.deliver("in.csv", UCI, GOOD)
    shop.deliver("out.csv", UCI, GOOD.replace("2010", "1999"))
    outcomes = shop.land()
    assert {p: o.manifest.inputs.get("days") for p, o in outcomes.items() if isinstance(o, Landed)} == {
        "in.csv": None,
        "out.csv": "2010-12-01/",
    }


# the two readers agree, and no row is lost

CELLS = st.text(alphabet="ab ,\"'\n;é0", max_size=6)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(st.lists(CELLS, min_size=2, max_size=2), max_size=8),
    st.sampled_from(["\n", "\r\n"]),
    st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    st.lists(st.integers(0, 8), max_size=3),
)
def test_what_a_csv_writer_wrote_is_read_as_it_was(cells, end, quoting, blanks):
    text = io.StringIO()
    writer = csv.writer(text, lineterminator=end, quoting=quoting)
    writer.writerow(UCI.split(","))
    for n, (description, country) in enumerate(cells):
        if n in blanks:
            text.write(end)
        writer.writerow([n, "A", description, 1, "2010-12-01 08:26:00", "1", "", country])
    with TemporaryDirectory() as folder:
        shop = Shop(Path(folder))
        (shop.landing / "a.csv").write_bytes(text.getvalue().encode())
        assert counts(shop.land()["a.csv"])["raw"] == len(cells)
        found = sorted(shop.raw(), key=lambda row: row["source_row"])
    assert [(r["source_row"], r["invoice_id"], r["description"], r["country"]) for r in found] == [
        (n + 1, str(n), description or None, country or None)
        for n, (description, country) in enumerate(cells)
    ]


DIRT = [b"", b"   ", b"1,2", b'"', b"\xff,\xfe", b",,,,,,,", b'a,"b\nc', GOOD.encode() + b",", GOOD.encode()]
DIRTY_LINE = st.one_of(st.sampled_from(DIRT), st.binary(max_size=12), st.just(OTHER.encode()))


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(DIRTY_LINE, max_size=8), st.booleans())
def test_no_row_is_lost_whatever_the_dirt(lines, compressed):
    with TemporaryDirectory() as folder:
        shop = Shop(Path(folder))
        name = "a.csv.gz" if compressed else "a.csv"
        shop.deliver(name, UCI, *lines)
        found = counts(shop.land()[name])
        rows = [row["source_row"] for row in (*shop.raw(), *shop.unreadable())]
        left_out = found.get("left_out", 0)
        assert len(set(rows)) == len(rows) == found["rows_read"] - left_out
        assert set(rows) <= set(range(1, found["rows_read"] + 1))
        assert found["rows_read"] == found["raw"] + found["unreadable"] + left_out
        whole = sum(line in (OTHER.encode(), GOOD.encode()) for line in lines)
        assert found["raw"] >= whole or any(b'"' in line for line in lines)


def test_an_open_quote_costs_its_own_line_only(shop):
    shop.deliver(
        "a.csv", UCI, '1,A,"open', *[GOOD] * 1500, OTHER.replace("HAND WARMER", '"HAND, ""WARM""\nER"')
    )
    assert counts(shop.land()["a.csv"]) == {"rows_read": 1502, "raw": 1501, "unreadable": 1}
    assert [r["payload"] for r in shop.unreadable()] == ['1,A,"open']
    assert [r["description"] for r in shop.raw() if r["country"] == "France"] == ['HAND, "WARM"\nER']


@pytest.mark.parametrize("at_once", [5_000, 1 << 20])
@pytest.mark.parametrize("day_by_day", [True, False])
def test_rows_of_a_day_come_in_the_files_order_however_many_chunks_it_took(
    shop, monkeypatch, at_once, day_by_day
):
    monkeypatch.setattr(landing, "CHUNK_ROWS", 70)
    monkeypatch.setattr(reading, "CHUNK_BYTES", 5_000)
    monkeypatch.setattr(reading, "TAKEN_BYTES", at_once)
    monkeypatch.setattr(blocks, "BLOCK_BYTES", 500)
    monkeypatch.setattr(landing, "ROW_GROUP", 100)
    lines = [GOOD] * 500 + [OTHER] * 501 if day_by_day else [*[OTHER, GOOD] * 500, OTHER]
    shop.deliver("plain.csv", UCI, *lines)
    shop.deliver("dirty.csv", UCI, *lines, "cut")
    assert {p: counts(o)["raw"] for p, o in shop.land().items()} == {"plain.csv": 1001, "dirty.csv": 1001}
    for path in (shop.lake.root / "raw_transactions").rglob("*.parquet"):
        rows = pq.read_table(path, partitioning=None).to_pylist()
        there = [n for n, line in enumerate(lines, 1) if line.startswith(rows[0]["invoice_id"])]
        assert [row["source_row"] for row in rows] == there
        assert {row["sold_at"].date().isoformat() for row in rows} == {path.parent.name[5:]}


# real data


def test_a_year_of_real_deliveries_lands_whole_and_twice_the_same(uci_dir, tmp_path):
    lakes = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        shop = Shop(tmp_path / name)
        shop.landing.rmdir()
        os.symlink(uci_dir, shop.landing, target_is_directory=True)
        outcomes = shop.land()
        assert len(outcomes) == 305
        total = [sum(counts(o)[key] for o in outcomes.values()) for key in ("rows_read", "raw", "unreadable")]
        assert total == [541_909, 541_909, 0]
        lakes.append(shop.bytes())
    assert lakes[0] == lakes[1]

"""The ``sources`` commands as the analytics engineer meets them."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner, Result

from retail_pipeline.cli import console
from retail_pipeline.cli.main import app
from retail_pipeline_tests.command import tree

GERMAN = """Beleg-Nr.;Artikel-Nr.;Bezeichnung;Menge;Einzelpreis;Datum;Kundennr.
1001;0001;Käse;2;1.234,50;13.04.2024 09:12;K1
1001;0002;Öl, süß;1-;2,50 €;13.04.2024 09:12;K1
1002;0003;Würfel;3;(0,99);14.04.2024 10:00;K2
"""
PROFILE = """
sources:
  till:
    source_system: till
    currency: EUR
    columns: {invoice_id: bon, product_id: sku, quantity: qty, unit_price: price, sold_at: at,
      customer_id: who}
"""
ROWS = [
    {"bon": "1", "sku": "a", "qty": "2", "price": "1.50", "at": "2024-04-13 09:00:00", "who": "17"},
    {"bon": "1", "sku": "b", "qty": "many", "price": "1.50", "at": "2024-04-13 09:00:00", "who": "17"},
    {"bon": "2", "sku": "c", "qty": "some", "price": "x", "at": "2024-04-15 09:00:00", "who": "18"},
    {"bon": "3", "sku": "c", "qty": "1", "price": "2", "at": "2024-04-15 09:00:00", "who": "18"},
]


def call(root: Path, *arguments: object) -> Result:
    """The command within this process, in a folder with its settings, on a wide terminal."""
    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(root)
        patched.setenv("RETAIL_PIPELINE_SETTINGS", str(root / "retail_pipeline.yaml"))
        # whoever imported the console first may have had a narrow terminal
        patched.setattr(console.out, "_width", 300)
        return CliRunner().invoke(app, ["sources", *map(str, arguments)], catch_exceptions=False)


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    (tmp_path / "retail_pipeline.yaml").write_text(PROFILE)
    return tmp_path


def lines(result: Result) -> list[str]:
    return [" ".join(line.split()) for line in result.output.splitlines()]


def deliver(path: Path) -> Path:
    """The four rows in the format that the path names."""
    table = pa.Table.from_pylist(ROWS)
    text = "\n".join([",".join(ROWS[0]), *(",".join(row.values()) for row in ROWS)]) + "\n"
    if path.suffix == ".parquet":
        pq.write_table(table, path)
    elif path.suffix == ".jsonl":
        path.write_text("".join(f"{json.dumps(row)}\n" for row in ROWS))
    else:
        path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


@pytest.mark.parametrize("encoding", ["cp1252", "utf-8", "utf-16"])
def test_the_draft_for_an_unknown_file_reads_it_when_pasted(tmp_path: Path, encoding: str):
    file = tmp_path / "verkauf_2024-04-13.csv"
    file.write_bytes(GERMAN.encode(encoding))
    (tmp_path / "retail_pipeline.yaml").write_text("currency: EUR\n")
    unknown = call(tmp_path, "try", file)
    assert unknown.exit_code == 1
    assert "nothing in it is in doubt" in unknown.output
    draft = unknown.output.split("in retail_pipeline.yaml:\n")[1].split("nothing in it")[0]
    (tmp_path / "retail_pipeline.yaml").write_text(f"currency: EUR\nsources:\n{draft}")
    known = call(tmp_path, "try", file)
    assert known.exit_code == 1, known.output
    assert "1 1001 0001 Käse 2.000 1234.5000 2024-04-13 09:12:00 K1" in lines(known)
    assert "2 1001 0002 Öl, süß -1.000 2.5000 2024-04-13 09:12:00 K1" in lines(known)
    assert "3 1002 0003 Würfel 3.000 -0.9900 2024-04-14 10:00:00 K2" in lines(known)
    assert "rows 3: 3 can be read, 0 cannot" in lines(known)
    assert "days 2: 2024-04-13 to 2024-04-14" in lines(known)
    assert lines(known)[-1] == (
        "would be held 2024-04-14: 1 row against «at most 90% of the day's rows are refused»"
    )


@pytest.mark.parametrize("name", ["a.csv", "b.csv.gz", "c.parquet", "d.jsonl"])
def test_it_says_what_would_be_refused_and_why_whatever_the_format(shop: Path, name: str):
    said = call(shop, "try", deliver(shop / name))
    assert said.exit_code == 1
    assert "profile till all the columns it needs are there" in lines(said)
    assert "quantity <- qty" in lines(said)
    assert "2 1 b many 1.50 2024-04-13 09:00:00 17" in lines(said)
    assert "4 3 c 1.000 2.0000 2024-04-15 09:00:00 18" in lines(said)
    assert lines(said)[-11:] == [
        "rows 4: 2 can be read, 2 cannot",
        "days 2: 2024-04-13 to 2024-04-15",
        "unreadable 2 rows, first row 2: quantity: 'many' is not a number",
        "unreadable 1 row, first row 3: unit_price: 'x' is not a number",
        "of those that can be read: transactions 2, refused 0",
        "",
        "till figures, EUR lines orders customers gross sales returns net sales anonymous",
        "2024-04-13 1 1 1 3.00 0.00 3.00 0.00",
        "2024-04-15 1 1 1 2.00 0.00 2.00 0.00",
        "in all 2 2 2 5.00 0.00 5.00 0.00",
        "more than checks.max_unreadable_share (0.05) of the rows cannot be read: the file would wait in "
        "quarantine",
    ]


def test_it_shows_as_many_rows_as_asked_counts_them_all_and_touches_nothing(shop: Path):
    file = deliver(shop / "a.csv")
    before = tree(shop)
    said = lines(call(shop, "try", file, "--rows", 1))
    assert "1 of 4 rows as they would land" in said
    assert "rows 4: 2 can be read, 2 cannot" in said
    assert not [line for line in said if line.startswith("2 ")]
    listed = call(shop, "list")
    assert listed.exit_code == 0
    assert [line for line in lines(listed) if "till" in line and "at, bon, price, qty, sku, who" in line]
    assert [line for line in lines(listed) if "sap_export (shipped)" in line and "encoding: cp1252" in line]
    assert tree(shop) == before
    assert not (shop / "data").exists()


def test_a_profile_that_does_not_fit_is_refused_without_a_draft(shop: Path):
    said = call(shop, "try", deliver(shop / "a.csv"), "--profile", "uci_online_retail")
    assert said.exit_code == 1
    assert "uci_online_retail, also needs Country, CustomerID" in said.output
    assert "to paste" not in said.output


def test_what_cannot_be_drafted_or_decided_is_said(shop: Path):
    (shop / "a.csv").write_text("just one column\n1\n")
    (shop / "b.csv").write_text("order_no;sku;qty;price\n1;a;2;3.50\n1;b;1;1.20\n")
    letters = "order;sku;qty;price;date;customer\n1;ÖL;2;1.50;2024-01-02;c\n"
    (shop / "c.csv").write_bytes(letters.encode("cp1252"))
    for name, *parts in (
        ("a.csv", "no profile can be drafted: it has no clear delimiter"),
        ("b.csv", "sold_at: no column was found for it; if it stands in another file, say `lookups`"),
        ("c.csv", "encoding: it has no clear encoding", "Ö in cp1252, Í in cp850"),
    ):
        said = call(shop, "try", shop / name)
        assert said.exit_code == 1
        assert [part for part in parts if part not in said.output] == []


def test_text_of_fixed_widths_is_drafted_with_its_widths(tmp_path: Path):
    (tmp_path / "retail_pipeline.yaml").write_text("currency: EUR\n")
    (tmp_path / "till_0301.txt").write_text(
        "R1001 MUG     2   9.50 2024-03-01\n"
        "R1002 TOWEL  10 112.00 2024-03-02\n"
        "R1002 JUG     1  12.00 2024-03-02\n"
    )
    said = call(tmp_path, "try", tmp_path / "till_0301.txt")
    assert "widths 5, 6, 4, 7, 11 blanks part the lines there" in lines(said)
    assert "header: [c1, c2, c3, c4, c5] # ? the columns have no names: what do they hold?" in lines(said)
    assert "sold_at: c5 # ? taken because c5 alone holds a date in every row: is it this?" in lines(said)
    answers = """
currency: EUR
sources:
  till:
    source_system: till
    files: 'till*.txt'
    header: [bon, sku, qty, price, day]
    widths: [5, 6, 4, 7, 11]
    columns: {invoice_id: bon, product_id: sku, quantity: qty, unit_price: price, sold_at: day,
      customer_id: "null"}
"""
    (tmp_path / "retail_pipeline.yaml").write_text(answers)
    assert "2 R1002 TOWEL 10.000 112.0000 2024-03-02 00:00:00" in lines(
        call(tmp_path, "try", tmp_path / "till_0301.txt")
    )


def test_what_stands_in_a_file_beside_is_drafted_as_a_lookup(tmp_path: Path):
    (tmp_path / "retail_pipeline.yaml").write_text("currency: EUR\n")
    (tmp_path / "lines.csv").write_text(
        "order_no;sku;qty;price\n1;a;2;3.50\n1;b;1;1.20\n2;a;1;3.50\n3;b;4;1.20\n"
    )
    (tmp_path / "heads.csv").write_text(
        "order_no;ordered_at;buyer_id;order_status\n"
        "1;2024-01-02;C1;shipped\n2;2024-01-03;C2;cancelled\n3;2024-01-03;C1;shipped\n"
    )
    # the same column names, but no key: an order stands twice in it
    (tmp_path / "payments.csv").write_text("order_no;paid_at;client\n1;2024-01-02;x\n1;2024-01-02;y\n")
    said = call(tmp_path, "try", tmp_path / "lines.csv")
    draft = said.output.split("in retail_pipeline.yaml:\n")[1].split("what only")[0]
    assert "lookups: is order_no the same in both files" in said.output
    assert "shipped 3, cancelled 1" in said.output
    (tmp_path / "retail_pipeline.yaml").write_text(f"currency: EUR\nsources:\n{draft}")
    known = call(tmp_path, "try", tmp_path / "lines.csv")
    # the order that was cancelled is left out until a person says otherwise
    assert "3 (left out)" in lines(known)
    assert "4 3 b 4.000 1.2000 2024-01-03 00:00:00 C1" in lines(known)
    assert "rows 4: 3 can be read, 0 cannot" in lines(known)


def test_pairs_of_files_a_day_are_drafted_as_a_lookup_by_pattern(tmp_path: Path):
    (tmp_path / "retail_pipeline.yaml").write_text("currency: EUR\n")
    lines_of = tmp_path / "lines_2024-03-05.csv"
    lines_of.write_text("order_no;sku;qty;price\n1;a;2;3.50\n1;b;1;1.20\n2;a;1;3.50\n")
    heads = "order_no;ordered_at;buyer_id\n1;2024-03-05;C1\n2;2024-03-05;C2\n"
    (tmp_path / "heads_2024-03-05.csv").write_text(heads)
    draft = (
        call(tmp_path, "try", lines_of).output.split("in retail_pipeline.yaml:\n")[1].split("what only")[0]
    )
    assert "path: 'heads_{date}.csv'" in draft
    (tmp_path / "retail_pipeline.yaml").write_text(f"currency: EUR\nsources:\n{draft}")
    known = call(tmp_path, "try", lines_of)
    assert "3 2 a 1.000 3.5000 2024-03-05 00:00:00 C2" in lines(known)


def test_a_wrong_call_ends_with_2(shop: Path):
    for why, *arguments in (
        ("nothing.csv is no file", "nothing.csv"),
        ("there is no profile tils; the profiles are", "retail_pipeline.yaml", "--profile", "tils"),
    ):
        said = call(shop, "try", *arguments)
        assert said.exit_code == 2
        assert why in said.output


def test_a_profiles_own_cleaning_is_above_the_shops(tmp_path: Path):
    (tmp_path / "retail_pipeline.yaml").write_text("cleaning: {duplicates: drop}\n")
    rows = (
        "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country",
        "536365,85123A,LANTERN,6,2010-12-01 08:26:00,2.55,17850,United Kingdom",
        "A563185,B,Adjust bad debt,1,2010-12-01 14:50:00,11062.06,,United Kingdom",
    )
    (tmp_path / "a.csv").write_text("\n".join(rows) + "\n")
    said = call(tmp_path, "try", tmp_path / "a.csv").output
    assert "transactions 1, refused 1" in said
    assert "bad_debt" in said


def test_a_name_that_is_not_utf_8_is_refused(tmp_path: Path):
    (tmp_path / "retail_pipeline.yaml").touch()
    name = os.fsdecode(b"n\xff.csv")
    (tmp_path / name).write_text("a,b\n1,2\n")
    result = call(tmp_path, "try", tmp_path / name)
    assert result.exit_code == 2
    assert "a name that is not UTF-8: rename it" in result.output

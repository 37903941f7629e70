"""Damaged delimited text, kind by kind: what can be told for certain is read, the rest is refused by name."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from retail_pipeline.ingest.files.records import open_records
from retail_pipeline.ingest.files.shapes import generic_layout
from retail_pipeline.ingest.files.unpacked import RefusalError
from retail_pipeline.ingest.profiles.profile import SourceProfile
from retail_pipeline_tests.ingest.landing_shop import Shop, counts, refusal

NAMES = ["bill", "sku", "title", "qty", "price", "day", "who", "note"]
HEADER = ",".join(NAMES)
ROWS = [
    ["1", "A1", "Lamp", "2", "1.50", "2011-01-31", "Ann", ""],
    ["2", "A2", "Chair, oak", "1", "80.00", "2011-02-01", "Bob", ""],
    ["3", "A3", 'Screen 24"', "3", "99.00", "2011-02-01", "Cid", ""],
    ["4", "A4", 'Board 12"x14", "raw"', "4", "7.00", "2011-02-02", "Dee", ""],
]
NEEDED = {
    "invoice_id": "bill", "product_id": "sku", "description": "title", "quantity": "qty",
    "unit_price": "price", "sold_at": "day", "customer_id": "who",
}  # fmt: skip


def profile(columns: dict[str, str] | None = None, **options: Any) -> dict[str, SourceProfile]:
    given = {"source_system": "till", "columns": columns or NEEDED, "currency": "EUR"} | options
    return {"till": SourceProfile.model_validate(given)}


def written(row: list[str]) -> list[str]:
    """Fields as a writer writes them that quotes where it must."""
    return ['"' + f.replace('"', '""') + '"' if set(f) & set(',"\n') else f for f in row]


LINES = [",".join(written(row)) for row in ROWS]


def bought(shop: Shop) -> list[tuple[str, ...]]:
    rows = sorted(shop.raw(), key=lambda row: row["source_row"])
    return [(r["invoice_id"], r["product_id"], r["description"], r["customer_id"]) for r in rows]


def clean(rows: list[list[str]] = ROWS) -> list[tuple[str, ...]]:
    return [(r[0], r[1], r[2], r[6]) for r in rows]


def undeclared(path: Path) -> tuple[tuple[str, ...], list[Any], list[str]]:
    """Header, rows and problems of a file read without any profile."""
    with TemporaryDirectory() as folder:
        layout, _ = generic_layout(path)
        with open_records(path, layout, Path(folder)) as (header, records):
            found = list(records)
    rows = [list(r.fields) for r in found if r.fields is not None]
    return header, rows, [r.problem for r in found if r.problem is not None]


@pytest.mark.parametrize(("name", "at"), [("a.csv", 0), ("a.csv.gz", 3), ("a.csv", 5), ("a.csv", 8)])
def test_a_separator_too_many_costs_its_row_wherever_it_stands(shop, name, at):
    fields = written(ROWS[1])
    polluted = ",".join([*fields[:at], "", *fields[at:]])
    shop.deliver(name, HEADER, LINES[0], polluted, LINES[2])
    assert counts(shop.land(profile())[name]) == {"rows_read": 3, "raw": 2, "unreadable": 1}
    assert bought(shop) == clean([ROWS[0], ROWS[2]])
    assert "the row has 9 fields where the header has 8" in shop.unreadable()[0]["reasons"][0]


def test_a_separator_too_few_before_a_quoted_text_with_one_in_it_costs_its_row(shop):
    glued = LINES[1].replace('A2,"', 'A2"')
    shop.deliver("a.csv", HEADER, LINES[0], glued, LINES[2], LINES[3])
    assert counts(shop.land(profile())["a.csv"]) == {"rows_read": 4, "raw": 3, "unreadable": 1}
    assert bought(shop) == clean([ROWS[0], *ROWS[2:]])
    assert shop.unreadable()[0]["reasons"] == [
        "a quote opens inside a field and closes in another (a delimiter lost?)"
    ]


@pytest.mark.parametrize(
    "title",
    ['Screen 24"', 'Board 12"x14"', 'so-called "oak"', 'the "Retro', 'Screen 24" or 27"', "6' 4\" tall"],
)
def test_quotes_in_texts_without_quotes_around_them_are_texts(shop, title):
    shop.deliver("a.csv", HEADER, f"1,A1,{title},2,1.50,2011-01-31,Ann,", LINES[1])
    shop.land(profile())
    assert bought(shop) == [("1", "A1", title, "Ann"), *clean([ROWS[1]])]


FAULTS = st.sampled_from(["too many", "too few", "quote", "blank", "semicolon"])


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(FAULTS, st.integers(0, 4), st.integers(0, 7), st.permutations(ROWS), st.sampled_from(["csv", "txt"]))
def test_no_cell_is_silently_another(fault, line, column, rows, ending):
    lines = [written(NAMES), *(written(row) for row in rows)]
    fields = lines[line]
    match fault:
        case "too many":
            text = ",".join([*fields[:column], "", *fields[column:]])
        case "too few":
            text = ",".join(fields[:column]) + ",".join(fields[column:])
        case "quote":
            text = ",".join([*fields[:column], '"' + fields[column], *fields[column + 1 :]])
        case "blank":
            text = " ".join(fields)
        case _:
            text = ";".join(fields)
    content = "".join(f"{text if n == line else ','.join(f)}\n" for n, f in enumerate(lines))
    with TemporaryDirectory() as folder:
        shop = Shop(Path(folder))
        shop.deliver(f"a.{ending}", content.removesuffix("\n"))
        shop.land(profile())
        assert set(bought(shop)) <= set(clean())
        try:
            header, found, problems = undeclared(shop.landing / f"a.{ending}")
        except RefusalError:
            return
        whole = [[f.removeprefix('"') if column == n else f for n, f in enumerate(header)], *found]
        assert problems or sorted(whole) == sorted([NAMES, *ROWS])


@pytest.mark.parametrize("header", [HEADER + ",,", "," + HEADER, HEADER.replace("qty", ",qty")])
def test_empty_names_without_a_field_in_any_row_are_left_out_of_the_header(shop, header):
    shop.deliver("a.csv", header, *LINES)
    shop.land(profile())
    assert bought(shop) == clean()
    assert undeclared(shop.landing / "a.csv") == (tuple(NAMES), ROWS, [])


def test_an_empty_name_above_fields_stays_a_column(shop):
    shop.deliver("a.csv", HEADER.replace("title", ""), *LINES)
    shop.land(profile({**NEEDED, "description": "note"}))
    assert [row["customer_id"] for row in shop.raw()] == ["Ann", "Bob", "Cid", "Dee"]


def test_rows_that_end_in_a_delimiter_are_read_only_if_no_two_names_may_be_glued(shop):
    sure = ",".join(NAMES[:7])
    shop.deliver("sure.csv", sure, *LINES)
    outcome = shop.land(profile())["sure.csv"]
    assert counts(outcome)["raw"] == 4
    assert bought(shop) == clean()
    shop.deliver("glued.csv", HEADER.replace("qty,price", "qtyprice").replace("title", "text"), *LINES)
    with_text = {**NEEDED, "quantity": "bill", "unit_price": "sku"}
    del with_text["description"]
    said = refusal(shop.land(profile(with_text))["glued.csv"])
    assert said.startswith("has one more field in every row than its header has names")
    with pytest.raises(RefusalError, match="one is missing in the header"):
        undeclared(shop.landing / "sure.csv")


def test_a_stray_quote_in_the_header_stays_in_its_name(shop):
    shop.deliver("a.csv", HEADER.replace("note", '"note'), *LINES)
    shop.deliver("b.csv", HEADER.replace("qty", '"qty'), *LINES)
    outcomes = shop.land(profile())
    assert counts(outcomes["a.csv"])["raw"] == 4
    assert "the nearest, till, also needs qty" in refusal(outcomes["b.csv"])
    assert bought(shop) == clean()


# the expressions could read the header
LENIENT = {
    "quantity": "coalesce(try_cast(qty as int), 1)",
    "unit_price": "coalesce(try_cast(price as double), 0)",
    "sold_at": "coalesce(try_cast(day as date), date '2011-01-01')",
}


@pytest.mark.parametrize(("place", "columns"), [(0, {}), (2, {}), (1, LENIENT)])
def test_a_header_that_stands_there_once_more_is_no_row(shop, place, columns):
    shop.deliver("a.csv", HEADER, *LINES[:place], HEADER, *LINES[place:])
    outcome = shop.land(profile(NEEDED | columns))["a.csv"]
    assert counts(outcome) == {"rows_read": 5, "raw": 4, "unreadable": 1}
    assert shop.unreadable()[0]["reasons"] == ["the header stands here once more (two files in one?)"]
    assert [row[0] for row in bought(shop)] == ["1", "2", "3", "4"]


@pytest.mark.parametrize(("codec", "last"), [("utf-8", "\r"), ("utf-16", ""), ("cp1252", "\r")])
def test_lines_may_end_in_cr_alone_and_a_cr_in_quotes_is_text(shop, codec, last):
    lines = [HEADER, LINES[0].replace("Lamp", "Lämp"), LINES[1].replace("oak", "oak\rwood")]
    (shop.landing / "a.csv").write_bytes(("\r".join(lines) + last).encode(codec))
    shop.deliver("b.csv", HEADER, lines[2])
    shop.land(profile())
    assert sorted(row[2] for row in bought(shop)) == ["Chair, oak\rwood", "Chair, oak\rwood", "Lämp"]


@pytest.mark.parametrize("line", ["sep=;", '"sep=;"', "'sep=;'"])
def test_a_separator_line_is_heeded_in_quotes_too(shop, line):
    shop.deliver("a.csv", line, HEADER.replace(",", ";"), LINES[0].replace(",", ";"), end=b"\r\n")
    shop.land(profile())
    assert bought(shop) == clean([ROWS[0]])
    assert undeclared(shop.landing / "a.csv") == (tuple(NAMES), [ROWS[0]], [])


@pytest.mark.parametrize("above", [["Export of 1 May,,,,,,,", ",,,,,,,"], ["Export of 1 May", "", "Shop 7"]])
def test_lines_above_the_header_are_passed_over_and_said(shop, above):
    path = shop.deliver("a.csv", *above, HEADER, *LINES)
    assert undeclared(path) == (tuple(NAMES), ROWS, [])
    said = {evidence.what: evidence.value for evidence in generic_layout(path)[1]}
    assert said["skip_rows"] == str(len(above))
    assert f"say `skip_rows: {len(above)}`" in refusal(shop.land(profile())["a.csv"])
    assert counts(shop.land(profile(skip_rows=len(above)))["a.csv"])["raw"] == 4

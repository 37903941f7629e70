"""Workbooks: every sheet with the columns is read, hidden ones are not; merged cells hold for all rows."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from retail_pipeline.ingest.files.shapes import generic_layout, shape_of
from retail_pipeline_tests.ingest.landing_shop import Shop, counts, refusal, remarks
from retail_pipeline_tests.ingest.test_formats import HEADER, profile, workbook

DAY = datetime.fromisoformat("2011-01-31 10:00")


def rows(*bills: int, who: object = "Ann") -> list[list[Any]]:
    return [[bill, "A1", "Lamp", 1, 2.5, DAY, who] for bill in bills]


def deliver(shop: Shop, content: bytes) -> Path:
    path = shop.landing / "a.xlsx"
    path.write_bytes(content)
    return path


def bills(shop: Shop) -> list[tuple[int, str]]:
    return sorted((row["source_row"], row["invoice_id"]) for row in shop.raw())


def evidence(path: Path, tmp_path: Path, **options: Any) -> dict[str, str]:
    shape = shape_of(path, "a.xlsx", profile(**options), tmp_path)
    return {said.what: f"{said.value}: {said.why}" for said in shape.evidence}


def test_every_sheet_with_the_same_header_is_read_and_rows_run_on(shop, tmp_path):
    others = {"Feb": [HEADER, *rows(3)], "Notes": [["written by", "on"], ["Ann", "1 May"]], "Empty": []}
    path = deliver(shop, workbook([HEADER, *rows(1, 2)], others=others))
    assert counts(shop.land(profile())["a.xlsx"])["raw"] == 3
    assert bills(shop) == [(1, "1"), (2, "2"), (3, "3")]
    said = evidence(path, tmp_path)
    assert said["sheets"] == "Sales, Feb: all that are shown and have these columns"
    assert said["not read"] == "Notes: other columns"
    assert {e.what: e.value for e in generic_layout(path)[1]}["not read"] == "Notes, Empty"


def test_a_sheet_that_the_profile_names_is_read_alone(shop):
    deliver(shop, workbook([HEADER, *rows(1)], others={"Feb": [HEADER, *rows(2)]}))
    shop.land(profile(sheet="Feb"))
    assert bills(shop) == [(1, "2")]


def test_a_hidden_sheet_is_not_read_unless_the_profile_names_it(shop, tmp_path):
    content = workbook([HEADER, *rows(1)], others={"New": [HEADER, *rows(2)]}, hidden=["Sales"])
    path = deliver(shop, content)
    shop.land(profile())
    assert bills(shop) == [(1, "2")]
    assert evidence(path, tmp_path)["not read"] == "Sales: hidden"
    assert counts(shop.land(profile(sheet="Sales"))["a.xlsx"])["raw"] == 1


def test_a_workbook_whose_rows_are_all_hidden_is_refused(shop):
    deliver(shop, workbook([HEADER, *rows(1)], others={"Cover": []}, hidden=["Sales"]))
    assert refusal(shop.land(profile())["a.xlsx"]).startswith("has rows in hidden sheets alone (Sales)")


def test_sheets_with_the_columns_under_different_headers_are_refused_until_one_is_named(shop):
    deliver(shop, workbook([HEADER, *rows(1)], others={"Feb": [[*HEADER, "note"], *rows(2)]}))
    said = refusal(shop.land(profile())["a.xlsx"])
    assert "in several sheets (Feb, Sales), not all with the same header: say `sheet`" in said
    assert counts(shop.land(profile(sheet="Sales"))["a.xlsx"])["raw"] == 1


def test_a_cell_merged_over_several_rows_holds_for_each(shop, tmp_path):
    lines = [*rows(1), *rows(1, 1, who=None), *rows(2, who="Bob")]
    path = deliver(shop, workbook([HEADER, *lines], ["G2:G4"]))
    shop.land(profile())
    assert [row["customer_id"] for row in sorted(shop.raw(), key=lambda r: r["source_row"])] == [
        "Ann", "Ann", "Ann", "Bob",
    ]  # fmt: skip
    assert evidence(path, tmp_path)["merged"].startswith("who: merged over several rows")


@pytest.mark.parametrize(("column", "name"), [("D", "qty"), ("E", "price")])
def test_a_number_merged_over_several_rows_refuses_the_file(shop, column, name):
    deliver(shop, workbook([HEADER, *rows(1, 1)], [f"{column}2:{column}3"]))
    said = refusal(shop.land(profile())["a.xlsx"])
    assert said.startswith(f"has cells of the column {name} merged over several rows")


def test_rows_above_the_columns_of_a_workbook_are_counted_for_the_profile(shop):
    deliver(shop, workbook([["Sales of 2011"], [], HEADER, *rows(1)], ["A1:C2"]))
    assert "say `skip_rows: 2` in the profile" in refusal(shop.land(profile())["a.xlsx"])
    assert counts(shop.land(profile(skip_rows=2))["a.xlsx"])["raw"] == 1


def test_what_is_not_read_of_a_workbook_is_remarked_where_it_lands(shop):
    others: dict[str, list[Any]] = {
        "Notes": [["written by"], ["Ann"]],
        "Old": [HEADER, *rows(2)],
        "ann@example.com": [["x"], [1]],
    }
    deliver(shop, workbook([HEADER, *rows(1)], others=others, hidden=["Old"]))
    assert remarks(shop.land(profile())["a.xlsx"]) == (
        "sheets that are not read (other columns): Notes, ***",
        "sheets that are not read (hidden): Old",
    )
    deliver(shop, workbook([HEADER, *rows(1)], others={"Feb": [HEADER, *rows(2)]}))
    assert remarks(shop.land(profile())["a.xlsx"]) == ()
    assert remarks(shop.land(profile(sheet="Feb"))["a.xlsx"]) == (
        "sheets that are not read (not named): Sales",
    )

"""What a source profile may say, and which profile reads a file."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from retail_pipeline.ingest.profiles.profile import (
    SourceProfile,
    UnknownColumnsError,
    match,
    profile_fingerprint,
)
from retail_pipeline.ingest.profiles.shipped import SHIPPED

COLUMNS = {
    "invoice_id": "bill", "product_id": "sku", "quantity": "qty", "unit_price": "price", "sold_at": "at",
    "customer_id": "who",
}  # fmt: skip
UCI = [
    "InvoiceNo",
    "StockCode",
    "Description",
    "Quantity",
    "InvoiceDate",
    "UnitPrice",
    "CustomerID",
    "Country",
]
UCI_II = ["Invoice", "StockCode", "Description", "Quantity", "InvoiceDate", "Price", "Customer ID", "Country"]
JOURNEY = [
    "household_id", "store_id", "basket_id", "product_id", "quantity", "sales_value", "retail_disc",
    "transaction_timestamp",
]  # fmt: skip


def profile(**columns: str) -> SourceProfile:
    return SourceProfile(source_system="till", columns=COLUMNS | columns)


@pytest.mark.parametrize(
    ("header", "name"),
    [(UCI, "uci_online_retail"), (UCI_II, "uci_online_retail_ii"), (JOURNEY, "complete_journey")],
)
def test_the_shipped_profiles_know_their_files_and_both_editions_of_uci_are_one_shop(header, name):
    assert match(header, SHIPPED) == name
    assert match(["\ufeff" + header[0], *(f" {c} " for c in header[1:]), "more"], SHIPPED) == name
    assert SHIPPED["uci_online_retail"].source_system == SHIPPED["uci_online_retail_ii"].source_system


def test_unknown_columns_are_named_with_the_nearest_profile_and_the_remedy():
    with pytest.raises(UnknownColumnsError) as refused:
        match(["InvoiceNo", "StockCode", "Menge", "InvoiceDate", "Description", "Country"], SHIPPED)
    assert str(refused.value) == (
        "no profile fits the columns InvoiceNo, StockCode, Menge, InvoiceDate, Description, Country; the "
        "nearest, uci_online_retail, also needs CustomerID, Quantity, UnitPrice: add a profile for this file "
        "under `sources:` in retail_pipeline.yaml (`retail-pipeline sources try FILE` drafts one)"
    )


def test_of_several_profiles_that_fit_the_one_with_most_columns_reads_the_file():
    profiles = {"plain": profile(), "full": profile(country="land")}
    assert match([*COLUMNS.values(), "land"], profiles) == "full"
    assert match([*COLUMNS.values()], profiles) == "plain"


def test_two_profiles_that_fit_equally_well_are_an_error():
    with pytest.raises(UnknownColumnsError, match=r"a and b fit .* equally well"):
        match([*COLUMNS.values()], {"b": profile(), "a": profile()})


def test_a_needed_column_that_stands_twice_in_the_header_is_an_error():
    with pytest.raises(UnknownColumnsError, match="qty stands in the header more than once"):
        match([*COLUMNS.values(), "qty"], {"plain": profile()})


@pytest.mark.parametrize(
    "expression",
    [
        "qty",
        '"Customer ID"',
        """strptime("ORDERDATE", '%m/%d/%Y')""",
        "case status when 'R' then -cast(qty as int) else qty end",
        "case when status in ('x', 'y') then null else trim(qty) end",
        "replace(price, ',', '.')::decimal(18, 4) / 100",
        "sold at time zone 'UTC'",
        "a || '-' || regexp_extract(b, '[0-9]+')",
        "cast(d as date) + cast(t as time)",
    ],
)
def test_an_expression_may_be_any_one_value_made_of_the_files_columns(expression):
    assert profile(quantity=expression).needs


@pytest.mark.parametrize(
    "expression",
    [
        "(select max(price) from 'other.csv')", "qty in (select 1)", "sum(qty)", "row_number() over ()",
        "read_csv('/etc/passwd')", "getenv('HOME')", "now()", "current_date", "random()", "qty; drop table x",
        "drop table mapped", "install httpfs", "qty as q", "*", "columns('x')", "$secret", "unnest([1, 2])",
        "other.qty", "Customer ID", "strptime(", "",
    ],
)  # fmt: skip
def test_anything_else_in_an_expression_is_refused_by_name(expression):
    with pytest.raises(ValidationError, match="source till, quantity:"):
        profile(quantity=expression)


def test_the_columns_an_expression_reads_are_those_the_file_must_have():
    assert set(profile(quantity="""case "Type" when 'R' then -cast(n as int) else n end""").needs) == {
        "bill", "sku", "Type", "n", "price", "at", "who",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({k: v for k, v in COLUMNS.items() if k != "sold_at"}, "give an expression for sold_at"),
        ({k: v for k, v in COLUMNS.items() if k != "unit_price"}, "unit_price \\(or amount\\)"),
        (COLUMNS | {"prize": "x"}, "prize is not one of invoice_id"),
    ],
)
def test_a_profile_that_lacks_or_mistypes_a_column_is_refused(columns, message):
    with pytest.raises(ValidationError, match=message):
        SourceProfile(source_system="till", columns=columns)


def test_cleaning_rules_do_not_change_how_a_file_reads():
    shop = profile()
    cleaned = shop.model_copy(update={"cleaning": SHIPPED["uci_online_retail"].cleaning})
    other = shop.model_copy(update={"time_zone": "UTC"})
    read = profile_fingerprint(shop, "Europe/London", "GBP", {})
    assert profile_fingerprint(cleaned, "Europe/London", "GBP", {}) == read
    others = [(other, "Europe/London", "GBP"), (shop, "UTC", "GBP"), (shop, "Europe/London", "EUR")]
    assert len({read, *(profile_fingerprint(*given, {}) for given in others)}) == 4


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"time_zone": "Europe/Lundon"}, "'Europe/Lundon' is no time zone"),
        ({"encoding": "cp12520"}, "'cp12520' is no encoding of text files"),
        ({"encoding": "base64"}, "'base64' is no encoding of text files"),
        ({"encoding": "cp500"}, "'cp500' is no encoding of text files"),
        ({"decimal_mark": ",", "thousands_mark": ","}, "decimal_mark and thousands_mark are both ','"),
        ({"widths": [3, 4]}, "widths needs as many names in `header`"),
        ({"header": [*COLUMNS.values()]}, "a file without a header is known by its name: give `files`"),
        ({"header": ["bill"], "files": "*.txt"}, "header lacks at, price, qty, sku, who"),
    ],
)
def test_a_layout_that_cannot_be_meant_is_refused(options, message):
    with pytest.raises(ValidationError, match=message):
        SourceProfile(source_system="till", columns=COLUMNS, **options)


def test_a_file_must_have_the_columns_that_are_filled_down_or_looked_up_by_and_not_those_looked_up():
    options = {
        "fill_down": {"by": "bill", "columns": ["at", "till"]},
        "lookups": {"prices": {"path": "p.csv", "key": "ITEM", "of": "code"}},
    }
    shop = SourceProfile.model_validate(
        {"source_system": "till", "columns": COLUMNS | {"unit_price": '"prices.PRICE"'}, **options}
    )
    assert shop.needs == ("at", "bill", "code", "qty", "sku", "till", "who")
    assert shop.lookup_columns == ("prices.PRICE",)


def test_a_profile_for_some_names_is_for_no_others():
    shop = SourceProfile(source_system="till", columns=COLUMNS, files="till*.csv")
    assert [shop.is_for(path) for path in ("till7.csv", "a/till7.csv", "shop.csv")] == [True, True, False]
    below = shop.model_copy(update={"files": "a/*.csv"})
    assert [below.is_for(path) for path in ("a/x.csv", "b/x.csv", "x.csv")] == [True, False, False]

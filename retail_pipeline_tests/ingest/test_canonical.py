"""Texts under a profile: moments, amounts, ids and rows that are no sale; each fact on one row of texts."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Any

import duckdb
import pytest

from retail_pipeline.ingest.profiles.canonical import canonical_select
from retail_pipeline.ingest.profiles.profile import SourceProfile
from retail_pipeline_tests.ingest.landing_shop import at

HEADER = ["bill", "sku", "qty", "price", "total", "at", "at2", "who"]
COLUMNS = {
    "invoice_id": "bill", "product_id": "sku", "quantity": "qty", "unit_price": "price", "sold_at": "at",
    "customer_id": "who",
}  # fmt: skip
ROW = {"bill": "1", "sku": "A7", "qty": "2", "price": "1.50", "at": "2024-03-05 12:00:00", "who": "k"}
CONNECTION = duckdb.connect()
CONNECTION.execute("set global TimeZone = 'UTC'")


def read(
    row: dict[str, str | None],
    *,
    zone: str = "America/New_York",
    columns: Any = MappingProxyType({}),
    **options: Any,
) -> dict[str, Any]:
    """What becomes of one row of texts."""
    profile = SourceProfile.model_validate(
        {"source_system": "till", "currency": "EUR"} | options | {"columns": COLUMNS | {**columns}}
    )
    select = canonical_select(
        profile, HEADER, business_zone=zone, currency=None, first_day=date(2000, 1, 1), last_day=None
    )
    texts = ", ".join(f"${name}::varchar as c{n}" for n, name in enumerate(HEADER))
    given = "0 as file_no, $latest::timestamp as latest, null::varchar as problem, 'x' as payload"
    lines = f"select {given}, {texts}"
    values = dict.fromkeys(HEADER) | ROW | row | {"latest": at("2026-01-03")}
    found = CONNECTION.cursor().execute(f"with lines as ({lines}) select * from ({select})", values)
    (only,) = found.fetchall()
    return dict(zip([c[0] for c in found.description or ()], only, strict=True))


def sold_at(text: str | None, expression: str = "at", **options: Any) -> datetime | None:
    found = read({"at": text}, columns={"sold_at": expression}, **options)
    moment: datetime | None = None if found["reasons"] else found["sold_at"]
    return moment


MIDNIGHT_UTC = [
    ("2024-03-06T00:30:00Z", "at"),
    ("2024-03-06 01:30:00+0100", "at"),
    ("2024-03-06 01:30:00 +01", "at"),
    ("2024-03-06T01:30:00+01:00[Europe/Paris]", "at"),
    ("2024-03-06 00:30 GMT", "at"),
    ("2024-03-06 01:30:00 Europe/Berlin", "at"),
    ("2024-03-06T00:30:00Z", "coalesce(at2, at)"),
    ("2024-03-06T00:30:00Z", "nullif(at, '')"),
    ("2024-03-06T00:30:00Z", "cast(at as timestamp)"),
    ("2024-03-06T00:30:00Z", "coalesce(try_cast(at2 as timestamp), try_cast(at as timestamp))"),
    ("2024-03-06T00:30:00Z", "case when at2 is null then at else at2 end"),
    ("2024-03-06T00:30:00+0000", "coalesce(at2, strptime(at, '%Y-%m-%dT%H:%M:%S%z'))"),
    ("2024-03-06 00:30:00", "at || 'Z'"),
    ("2024-03-06", "concat(at, 'T', '00:30:00', '+00:00')"),
    ("2024-03-06 00:30:00", "cast(at as timestamp) at time zone 'UTC'"),
    ("1709685000", "to_timestamp(cast(at as double))"),
    ("1709685000", "coalesce(try_strptime(at, '%Y-%m-%d'), to_timestamp(cast(at as double)))"),
    ("1709685000000", "epoch_ms(cast(at as bigint))"),
    ("1709685000", "strftime(to_timestamp(cast(at as double)), '%Y-%m-%d %H:%M:%S')"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "expression"), MIDNIGHT_UTC)
@pytest.mark.parametrize("time_zone", [None, "Asia/Tokyo"])
def test_an_absolute_moment_stays_one_through_any_expression(
    text: str, expression: str, time_zone: str | None
):
    assert sold_at(text, expression, time_zone=time_zone) == at("2024-03-05 19:30")


@pytest.mark.parametrize(
    ("text", "expression"),
    [
        ("2024-03-06 01:30:00", "at"),
        ("2024-03-06 01:30:00", "cast(at as timestamp)"),
        ("06.03.2024 01:30", "coalesce(try_strptime(at, '%d.%m.%Y %H:%M'), cast(at2 as timestamptz))"),
        ("2024-03-06 01:30:00", "case when at2 = 'utc' then at || 'Z' else at end"),
    ],
)
def test_a_time_that_carries_no_zone_is_in_the_sources(text: str, expression: str):
    assert sold_at(text, expression, time_zone="Europe/Berlin") == at("2024-03-05 19:30")
    assert sold_at(text, expression) == at("2024-03-06 01:30")


@pytest.mark.parametrize(
    ("text", "expression"),
    [
        ("2024-03-06", "at"),
        ("2024-03-06", "cast(at as date)"),
        ("06.03.2024", "strptime(at, '%d.%m.%Y')"),
        ("2024-03-06", "coalesce(at2, at)"),
        ("2024-03-06T09:00:00Z", "left(at, 10)"),
    ],
)
def test_a_day_without_a_time_stays_its_day_in_every_zone(text: str, expression: str):
    for zone in (None, "Asia/Tokyo", "America/Los_Angeles"):
        assert sold_at(text, expression, time_zone=zone) == at("2024-03-06")


@pytest.mark.parametrize("zone", ["BST", "IST", "NST", "AST", "CST", "EST", "GMT+2", "UTC+02:00", "(CET)"])
def test_letters_that_several_zones_share_are_refused_with_the_remedy(zone: str):
    for expression in ("at", "strptime(at, '%Y-%m-%d %H:%M:%S %Z')"):
        (reason,) = read({"at": f"2024-03-05 10:00:00 {zone}"}, columns={"sold_at": expression})["reasons"]
        assert f"{zone}' names a zone by letters that several zones share" in reason
        assert "+01:00" in reason


@pytest.mark.parametrize("offset", ["+25:00", "-99:00", "+15:00", "+1500", "-24", "+01:60"])
def test_an_offset_that_no_clock_has_is_no_date(offset: str):
    text = f"2024-03-05 10:00:00{offset}"
    expressions = (
        "at",
        "coalesce(at2, at)",
        "cast(at as timestamptz)",
        "strptime(at, '%Y-%m-%d %H:%M:%S%z')",
    )
    for expression in expressions:
        (reason,) = read({"at": text}, columns={"sold_at": expression})["reasons"]
        assert reason == f"sold_at: '{text}' is no date"


@pytest.mark.parametrize(
    ("offset", "moment"),
    [("+14:00", "2024-03-04 20:00"), ("-12:00", "2024-03-05 22:00"), ("+0545", "2024-03-05 04:15")],
)
def test_the_furthest_offsets_that_clocks_have_are_read(offset: str, moment: str):
    for expression in ("at", "strptime(at, '%Y-%m-%d %H:%M:%S%z')"):
        assert sold_at(f"2024-03-05 10:00:00{offset}", expression, zone="UTC") == at(moment)


def test_an_offset_is_never_dropped_by_a_cast_inside_a_text():
    assert sold_at("2024-03-06T00:30:00Z", "strftime(cast(at as timestamp), '%Y-%m-%d')") is None


def test_a_moment_after_tomorrow_is_unreadable():
    assert sold_at("2026-01-02 23:59:59") == at("2026-01-02 23:59:59")
    found = read({"at": "2042-03-05"})
    assert found["late"]
    assert found["reasons"] == [
        "sold_at 2042-03-05 is later than the day after the file was last changed (2026-01-01): mend the date"
    ]


def amounts(text: str, **options: Any) -> Decimal | None:
    found = read({"price": text}, **options)
    return None if found["reasons"] else found["unit_price"]


@pytest.mark.parametrize(
    "text", ["12,-", "12.-", "12,--", "12.\u2013", "12,\u2014", "\u20ac 12,-", "12,- \u20ac"]
)
@pytest.mark.parametrize("mark", [".", ","])
def test_a_dash_for_the_cents_is_a_whole_amount(text: str, mark: str):
    assert amounts(text, decimal_mark=mark) == 12


@pytest.mark.parametrize(
    ("options", "numbers"),
    [
        (
            {"decimal_mark": ",", "thousands_mark": "."},
            {"1.234,50": "1234.5", "1234,5": "1234.5", "12,00-": "-12", "(3,5)": "-3.5", "-€7,25": "-7.25"}
            | dict.fromkeys(["1.5", "1,2,3", "1-2", "--1", "£1"]),
        ),
        (
            {"thousands_mark": " "},
            {"1 234.5": "1234.5", "1\u00a0234.5": "1234.5", "1\u202f234\u202f567": "1234567", "12 34": None},
        ),
        ({"thousands_mark": "'"}, {"1'234.5": "1234.5", "1\u2019234.5": "1234.5"}),
        # a mark that was not declared is never guessed
        (
            {},
            {"1,234": None, "1 234": None, "€5.00": "5", "5.00-": "-5", "1.25e2": "125", "5.0E-4": "0.0005"},
        ),
    ],
)
def test_numbers_are_read_as_the_profile_says_people_write_them(
    options: dict[str, str], numbers: dict[str, str | None]
):
    found = {text: amounts(text, **options) for text in numbers}
    assert found == {text: number and Decimal(number) for text, number in numbers.items()}


def test_a_number_in_other_marks_is_told_which_marks_count():
    (reason,) = read({"price": "1.5"}, decimal_mark=",", thousands_mark=".")["reasons"]
    why = "is not a number as the profile writes them (decimal_mark, thousands_mark)"
    assert reason == f"unit_price: '1.5' {why}"


def test_an_impossible_date_is_none_in_a_known_order():
    assert read({"at": "01/31/2011"}, date_order="day_first")["reasons"] == [
        "sold_at: '01/31/2011' is no date"
    ]


@pytest.mark.parametrize("text", ["12-", "-12", "\u221212", "(12)", "-12.-", "12 -"])
def test_a_sign_on_either_side_is_negative(text: str):
    assert amounts(text) == -12


@pytest.mark.parametrize(
    ("text", "currencies"),
    [
        ("$ 5", {"USD", "CAD", "AUD", "BRL"}), ("\u00a55", {"JPY", "CNY"}), ("5 kr", {"SEK", "NOK", "DKK"}),
        ("5 z\u0142", {"PLN"}), ("K\u010d 5", {"CZK"}), ("Fr. 5", {"CHF"}), ("R$ 5", {"BRL"}),
        ("5 \u20ac", {"EUR"}),
        ("\u00a35", {"GBP"}), ("CHF 5", {"CHF"}), ("US$5", {"USD"}),
    ],
)  # fmt: skip
def test_the_sign_of_another_currency_is_unreadable(text: str, currencies: set[str]):
    every = {"USD", "CAD", "AUD", "JPY", "CNY", "SEK", "NOK", "DKK", "PLN", "CZK", "CHF", "BRL", "EUR", "GBP"}
    assert {currency for currency in every if amounts(text, currency=currency) == 5} == currencies
    other = min(every - currencies)
    assert read({"price": text}, currency=other)["reasons"] == [
        f"unit_price: '{text}' is not an amount in {other}"
    ]


@pytest.mark.parametrize(
    "text", ["1_2", "0x10", "inf", "nan", "1e3", "1.2E+05", "--5", "5 5", "\u0665", "$5", "5 kg"]
)
def test_what_only_a_computer_takes_for_a_number_is_none(text: str):
    for expression in ("qty", "nullif(qty, '')"):
        (reason,) = read({"qty": text}, columns={"quantity": expression})["reasons"]
        assert reason.startswith(f"quantity: '{text}' ")


@pytest.mark.parametrize(
    ("quantity", "price", "amount"),
    [
        ("100000", "0.00349", Decimal("349.00")), ("0.0125", "10", Decimal("0.125")),
        ("3", "0.3333333", Decimal(1)),
        ("3", "2.55", None), ("3", "2.5500000000000003", None), ("0.30000000000000004", "10", None),
    ],
)  # fmt: skip
def test_the_product_keeps_decimals_that_the_columns_do_not(
    quantity: str, price: str, amount: Decimal | None
):
    found = read({"qty": quantity, "price": price})
    assert (found["reasons"], found["amount"]) == (None, amount)


def test_a_price_too_small_to_keep_is_said():
    (reason,) = read({"price": "0.00001"})["reasons"]
    assert "give the line total as amount" in reason


def test_an_unreadable_customer_is_masked_and_a_product_shown():
    found = read({"who": "1.2E+05", "sku": "4.00638E+12"})
    assert [reason.partition(" has lost digits")[0] for reason in found["reasons"]] == [
        "product_id: '4.00638E+12'", "customer_id: ***",
    ]  # fmt: skip


def test_ids_are_bared_in_expressions_too():
    ids = {
        "customer_id": "coalesce(who, 'x')",
        "invoice_id": "concat(bill, '')",
        "product_id": "cast(4e12 as double)",
    }
    found = read({"who": " '0815", "bill": '="77"'}, columns=ids)
    assert [found[name] for name in ids] == ["0815", "77", "4000000000000"]


NO_SALE = [
    {"bill": "Summe", "sku": None, "who": None, "at": None},
    {"bill": "Total:", "sku": None, "who": None},
    {"bill": None, "sku": "Grand Total", "who": None, "at": None},
    {"bill": "77", "sku": "Subtotal"},
    {"bill": None, "sku": None, "who": None, "at": None, "qty": "160", "price": "1600.00"},
    {"bill": None, "sku": "", "who": " ", "at": "", "qty": None, "price": None},
    {"bill": None, "sku": None, "who": "Gesamt", "at": None, "qty": "x"},
]


@pytest.mark.parametrize("row", NO_SALE)
def test_totals_and_blank_lines_are_left_out(row: dict[str, str | None]):
    found = read(row)
    assert (found["left_out"], found["reasons"]) == (True, None)


@pytest.mark.parametrize(
    "row", [{"sku": None}, {"sku": "Total Care 2"}, {"bill": None}, {"sku": None, "bill": None}]
)
def test_a_line_with_a_day_is_no_total_for_lack_of_a_product(row: dict[str, str | None]):
    assert not read(row)["left_out"]


def test_keep_rows_leaves_out_what_is_not_true_and_refuses_what_fails():
    for condition, kept in (("qty <> '2'", False), ("qty = '2'", True), ("total = 'x'", False)):
        found = read({"at": None if not kept else ROW["at"]}, keep_rows=condition)
        assert (found["left_out"], found["reasons"]) == (not kept, None)
    (reason,) = read({}, keep_rows="cast(bill as date) > date '2020-01-01'")["reasons"]
    assert "keep_rows cannot be worked out" in reason

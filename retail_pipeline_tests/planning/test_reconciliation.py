"""The figures for the till, from what the statements count to the lines that are printed."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from retail_pipeline.planning.reconciliation import (
    KINDS,
    Figures,
    money,
    odd_shares,
    refusals,
    refused_lines,
    spans,
    tallies,
    till,
    till_lines,
    together,
)
from retail_pipeline.settings import Checks

FIRST = date(2024, 2, 27)
MONEY = st.decimals(-(10**13), 10**13, places=4)


def found(day: int = 0, kind: str = "sale", amount: Any = "0", refused_by: str = "", **given: Any) -> Any:
    return {
        "date": FIRST + timedelta(day),
        "kind": kind,
        "refused_by": refused_by,
        "is_anonymous": False,
        "lines": 1,
        "amount": amount if amount is None else Decimal(amount),
        "lines_below_price": 0,
        "below_price": None,
    } | given


def counts(*of: tuple[int | None, int, int]) -> list[dict[str, Any]]:
    names = ("date", "orders", "customers")
    return [
        dict(zip(names, (None if day is None else FIRST + timedelta(day), orders, customers), strict=True))
        for day, orders, customers in of
    ]


ROWS = [
    found(0, "sale", "100", lines=3),
    found(0, "return", "-20.5"),
    found(0, "charge", "4.9"),
    found(0, "discount", "-5"),
    found(1, "sale", "10.125", is_anonymous=True, below_price=Decimal("1.5"), lines_below_price=1),
    found(1, "sale", "-3", refused_by="negative_price,bad_debt"),
    found(1, "sale", "0", refused_by="zero_price", lines=2),
]
TILL = till(tallies(ROWS), counts((None, 3, 2), (0, 2, 1), (1, 1, 2)))


def test_a_shop_reads_its_books_in_it():
    assert till_lines(spans(TILL), "EUR") == [
        "till figures, EUR  lines  orders  customers  gross sales  returns  net sales  charges  discounts"
        "   total  anonymous",
        "2024-02-27             6       2          1      100.000  -20.500     79.500    4.900     -5.000"
        "  79.400      0.000",
        "2024-02-28             1       1          2       10.125    0.000     10.125    0.000      0.000"
        "  10.125     10.125",
        "in all                 7       3          2      110.125  -20.500     89.625    4.900     -5.000"
        "  89.525     10.125",
        "gross sales are after discounts of 1.50 EUR off the prices of 1 line",
    ]


def test_what_is_refused_is_said_by_rule_the_most_frequent_first_and_counted_once_in_all():
    assert refused_lines(TILL.in_all.tally, "EUR") == [
        "  refused by zero_price: 2, 0.00 EUR",
        "  refused by bad_debt: 1, -3.00 EUR",
        "  refused by negative_price: 1, -3.00 EUR",
        "  rows that several rules refuse stand under each of them",
    ]
    assert TILL.in_all.of("refused").lines == 3
    assert [rule for rule, _ in refusals(TILL.in_all.tally)] == ["zero_price", "bad_debt", "negative_price"]


def test_columns_of_money_that_a_shop_does_not_know_are_left_out():
    (header, line) = till_lines([("in all", Figures(tally=tallies([found(amount="7.1")])[FIRST]))], "GBP")
    assert header.split("  ")[-1].strip() == "anonymous"
    assert "charges" not in header
    assert line.split() == ["in", "all", "1", "0", "0", "7.10", "0.00", "7.10", "0.00"]


def test_of_many_days_only_all_together_are_shown():
    days = till(tallies(found(day) for day in range(8)), [])
    assert [name for name, _ in spans(days)] == ["2024-02-27 to 2024-03-05"]
    one = till(tallies([found()]), counts((None, 1, 1), (0, 1, 1)))
    assert [name for name, _ in spans(one)] == ["2024-02-27"]


@given(st.lists(st.tuples(st.integers(0, 3), st.sampled_from(KINDS), MONEY, st.booleans()), max_size=30))
def test_days_add_up_to_all_of_them_to_the_last_digit(rows: list[tuple[int, str, Decimal, bool]]):
    by_day = tallies(
        found(day, kind, amount, "a,b" if refused else "") for day, kind, amount, refused in rows
    )
    whole = till(by_day, []).in_all
    assert whole.total == sum((amount for _, _, amount, refused in rows if not refused), Decimal(0))
    assert whole.lines + whole.of("refused").lines == len(rows)
    assert whole.of("refused").amount == sum((a for _, _, a, refused in rows if refused), Decimal(0))
    assert whole.tally == together(reversed(list(by_day.values())))
    assert Figures.model_validate_json(whole.model_dump_json()) == whole


@given(MONEY)
def test_no_digit_of_an_amount_is_lost(amount: Decimal):
    text = money(amount)
    assert Decimal(text.replace(",", "")) == amount
    assert len(text.partition(".")[2]) >= 2


def test_a_day_is_held_for_what_is_refused_and_not_for_who_is_unknown():
    limits = Checks(max_rejected_share=0.5, max_anonymous_share=0.5)
    assert list(odd_shares(10, 5, 2, limits)) == []
    assert list(odd_shares(10, 6, 3, limits)) == [
        ("at most 50% of the day's rows are refused", 6, True),
        ("at most 50% of the day's lines are anonymous", 3, False),
    ]
    assert list(odd_shares(0, 0, 0, limits)) == []

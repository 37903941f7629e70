"""What an order came to below its lines is taken off them: to the cent, by value, and never by guess."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retail_pipeline.tables import statement

Row = dict[str, Any]
COLUMNS = """file_no bigint, invoice_id varchar, quantity decimal(18, 3), unit_price decimal(18, 4),
    amount decimal(18, 4), reasons varchar[], left_out boolean, order_total decimal(18, 4), payload varchar"""


@pytest.fixture(scope="module")
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        yield connection


def spread(connection: duckdb.DuckDBPyConnection, *lines: Row) -> list[Row]:
    """The lines of one file (by default of one order, of one unit) after the totals were laid over them."""
    connection.execute(f"create or replace table mapped ({COLUMNS})")
    for line in lines:
        given: Row = {
            "file_no": 0, "invoice_id": "1", "quantity": 1, "unit_price": None, "amount": None,
            "reasons": None, "left_out": False, "order_total": None, "payload": "the row",
        }  # fmt: skip
        connection.execute(f"insert into mapped values ({', '.join('?' * 9)})", [*(given | line).values()])
    found = connection.execute(statement("order_totals"))
    names = [column[0] for column in found.description]
    return [dict(zip(names, row, strict=True)) for row in found.fetchall()]


def amounts(rows: Sequence[Row]) -> list[str]:
    return [f"{row['amount']:.2f}" for row in rows]


def test_a_discount_is_laid_over_the_lines_by_what_they_are_worth(connection: duckdb.DuckDBPyConnection):
    rows = spread(connection, {"amount": 30, "order_total": 36}, {"quantity": 2, "unit_price": 5})
    assert amounts(rows) == ["27.00", "9.00"]
    assert "order_total" not in rows[0]
    assert [row["payload"] for row in rows] == [None, None]


def test_without_a_difference_a_line_stays_as_it_is(connection: duckdb.DuckDBPyConnection):
    price = Decimal("0.3333")
    whole = {"unit_price": price, "order_total": price}
    row, other = spread(connection, whole, {"invoice_id": "2", "amount": 5})
    assert (row["amount"], row["unit_price"]) == (None, price)
    assert other["amount"] == 5


CENTS = st.integers(1, 500_00).map(lambda n: Decimal(n) / 100)


@settings(max_examples=60, deadline=None)
@given(st.lists(CENTS, min_size=1, max_size=8), st.floats(0, 1))
def test_the_lines_come_to_the_total_to_the_cent(lines: list[Decimal], share: float):
    total = (sum(lines) * Decimal(share)).quantize(Decimal("0.01"))
    with duckdb.connect() as connection:
        rows = spread(connection, *({"amount": line, "order_total": total} for line in lines))
    assert [row["reasons"] for row in rows] == [None] * len(lines)
    kept = [line if row["amount"] is None else row["amount"] for line, row in zip(lines, rows, strict=True)]
    assert sum(kept) == total
    assert all(-Decimal("0.01") <= now <= line for now, line in zip(kept, lines, strict=True))


def test_what_is_left_out_has_its_part_in_the_total(connection: duckdb.DuckDBPyConnection):
    gift_card = {"amount": 25, "left_out": True}
    assert amounts(spread(connection, {"amount": 50, "order_total": 60}, gift_card))[0] == "40.00"


BELOW, BAD = {"amount": 10, "order_total": 8}, {"reasons": ["bad"]}
UNREAD = "another line of the order cannot be read"


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        ([BELOW | {"order_total": 12}], "12.0000 is more than the lines of the order are worth, 10.0000"),
        ([BELOW, {"amount": 1, "order_total": 9}], "the lines of the order name 8"),
        ([BELOW | {"order_total": -1}], "is less than the lines of the order can come to"),
        ([BELOW, BAD], UNREAD),
        ([{"amount": 10}, BAD | {"order_total": 8}], UNREAD),
        (
            [{"amount": 9, "order_total": 9}, {"amount": 10, "left_out": True}],
            "or of those that keep_rows keeps",
        ),
    ],
)
def test_an_order_that_cannot_be_worked_out_is_unreadable(
    connection: duckdb.DuckDBPyConnection, lines: list[Row], why: str
):
    row, *others = spread(connection, *lines)
    assert why in row["reasons"][0]
    assert row["payload"] == "the row"
    assert all(other["reasons"] for other in others if not other["left_out"])


def test_orders_and_files_do_not_touch_each_other(connection: duckdb.DuckDBPyConnection):
    rows = spread(
        connection,
        {"amount": 10, "order_total": 5},
        {"amount": 10, "invoice_id": "2"},
        {"amount": 10, "file_no": 1},
        {"amount": 10, "invoice_id": None, "reasons": ["no invoice"]},
    )
    assert amounts(rows) == ["5.00", "10.00", "10.00", "10.00"]

"""What the report's tables need beside SQL: months, round limits, the densest rectangle, names of figures."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal
from itertools import combinations, product

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from retail_pipeline.report.small_tables import (
    FIGURES,
    ORDERS_EDGES,
    key_figures,
    months,
    orders_edges,
    positions,
    spend_edges,
    with_densest,
)
from retail_pipeline.tables import TABLES
from retail_pipeline.tables.columns import MONEY

AMOUNTS = st.floats(-1e9, 1e9, allow_nan=False).map(lambda value: round(value, 4))


def edges(*reach: float | None) -> list[Decimal]:
    return [Decimal(edge).normalize() + 0 for edge in spend_edges(*reach)["spend_from"].to_pylist()]


def test_months_follow_one_another_across_a_year_and_are_whole_when_all_their_days_count():
    counting = [date(2010, 11, 30) + timedelta(days=n) for n in range(64)]
    counting.remove(date(2011, 1, 20))
    found = months(date(2010, 11, 30), date(2011, 2, 1), counting)
    assert found["whole"].to_pylist() == [False, True, False, False]
    assert found["month"].to_pylist() == ["2010-11", "2010-12", "2011-01", "2011-02"]
    numbers = found["number"].to_pylist()
    assert numbers == [2010 * 12 + 10 + n for n in range(4)]


def test_one_day_is_one_month():
    assert months(date(2011, 1, 31), date(2011, 1, 31), ())["month"].to_pylist() == ["2011-01"]


def test_every_position_has_one_label():
    rows = positions().to_pylist()
    assert len({(row["dimension"], row["position"]) for row in rows}) == len(rows) == 47
    labels = {(row["dimension"], row["position"]): row["label"] for row in rows}
    assert labels["weekday", 1] == "Mon"
    assert labels["month", 12] == "Dec"
    assert labels["season", 4] == "Winter (Dec-Feb)"
    assert labels["hour", 9] == "09:00"


def test_orders_go_on_where_they_left_off():
    rows = orders_edges().to_pylist()
    assert [row["orders_from"] for row in rows[1:]] == [row["orders_to"] + 1 for row in rows[:-1]]
    assert (rows[0]["orders_from"], rows[-1]["orders_to"]) == (1, None)


def test_spend_goes_in_hundreds_where_most_customers_are_and_in_larger_steps_above():
    """The upper quartile of UCI Online Retail is 1,600 or so: cells as in «spend 100 to 700»."""
    assert edges(2.9, 1600.0, 280_000.0) == [*range(0, 1800, 100), 2000, 5000, 10_000]


def test_the_cells_fit_the_shop_whatever_its_currency():
    assert edges(0.0, 16.0, 2800.0) == [*range(18), 20, 50, 100]
    assert edges(0.0, 5e6, 5e6) == [*range(0, 5_500_001, 500_000)]


def test_who_spent_less_than_nothing_has_a_cell_of_their_own():
    assert edges(-7.5, 1600.0, 2000.0)[:3] == [-10, 0, 100]
    for lowest, edge in ((-10.0, -10), (-10.01, -20), (-0.0001, Decimal("-0.01"))):
        assert edges(lowest, 1600.0, 2000.0)[0] == edge


def test_without_spend_to_divide_there_is_one_cell():
    for reach in ((None, None, None), (0.0, 0.0, 0.0), (0.0, 0.01, 3.0), (0.0, -2.0, 9.0)):
        assert edges(*reach) == [0]


@given(st.lists(AMOUNTS, min_size=3, max_size=3).map(sorted))
def test_every_spend_lies_in_one_cell_and_all_limits_are_round(reach: list[float]):
    rows = spend_edges(*reach).to_pylist()
    assert rows[-1]["spend_to"] is None
    assert [row["spend_to"] for row in rows[:-1]] == [row["spend_from"] for row in rows[1:]]
    assert rows[0]["spend_from"] <= Decimal(repr(reach[0]))
    assert len(rows) <= 40
    for edge in (row["spend_from"] for row in rows if row["spend_from"]):
        assert len(edge.normalize().as_tuple().digits) <= 2


def cells(grid: Sequence[Sequence[int]]) -> pa.Table:
    starts = [start for start, _ in ORDERS_EDGES[: len(grid)]]
    return pa.table(
        {
            "orders_from": [start for start, row in zip(starts, grid, strict=True) for _ in row],
            "spend_from": pa.array([Decimal(n) for row in grid for n in range(len(row))], MONEY),
            "customers": [count for row in grid for count in row],
        }
    )


def marked(grid: Sequence[Sequence[int]]) -> list[list[int]]:
    marks = with_densest(cells(grid))["densest"].to_pylist()
    width = len(grid[0])
    return [[int(mark) for mark in marks[start : start + width]] for start in range(0, len(marks), width)]


def test_the_densest_region_is_the_smallest_rectangle_with_half_of_the_customers():
    assert marked([[0, 5, 4], [1, 5, 4], [0, 0, 1]]) == [[0, 1, 0], [0, 1, 0], [0, 0, 0]]
    # of equal ones the fuller, then the one with fewer orders and less spend; without customers none
    assert marked([[5, 0, 6], [0, 0, 0]]) == [[0, 0, 1], [0, 0, 0]]
    assert marked([[3, 3, 0], [3, 3, 0]]) == [[1, 1, 0], [0, 0, 0]]
    assert marked([[0, 5], [5, 0]]) == [[0, 1], [0, 0]]
    assert marked([[0, 0], [0, 0]]) == [[0, 0], [0, 0]]


@given(
    st.integers(1, 5).flatmap(
        lambda width: st.lists(
            st.lists(st.integers(0, 9), min_size=width, max_size=width), min_size=1, max_size=4
        )
    )
)
def test_no_smaller_rectangle_holds_half(grid: list[list[int]]):
    marks, total = marked(grid), sum(map(sum, grid))
    area = sum(map(sum, marks))
    held = sum(
        n for row, of_row in zip(grid, marks, strict=True) for n, m in zip(row, of_row, strict=True) if m
    )
    assert held * 2 >= total
    rows, columns = (list(combinations(range(n + 1), 2)) for n in (len(grid), len(grid[0])))
    for (top, bottom), (left, right) in product(rows, columns):
        inside = sum(sum(row[left:right]) for row in grid[top:bottom])
        if total and inside * 2 >= total:
            assert ((bottom - top) * (right - left), -inside) >= (area, -held)


def test_every_key_figure_has_a_value_a_unit_and_a_meaning():
    found = key_figures(pa.table({figure: [float(n)] for n, figure in enumerate(FIGURES)}))
    assert found.schema.equals(TABLES["key_figures"].arrow)
    rows = found.to_pylist()
    assert [row["figure"] for row in rows] == sorted(FIGURES)
    assert {row["figure"]: row["value"] for row in rows} == {f: n for n, f in enumerate(FIGURES)}
    assert {row["unit"] for row in rows} == {"1", "customers", "orders", "currency"}
    assert all(row["meaning"] for row in rows)

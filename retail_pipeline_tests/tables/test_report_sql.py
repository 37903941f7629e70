"""What the statements of the report's tables say, run on DuckDB over small tables."""

# ruff: noqa: DTZ001 - times are local to the shop, without offset

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from retail_pipeline.engine import Input
from retail_pipeline.engine.duckdb import DuckDB, connect
from retail_pipeline.report.small_tables import (
    calendar,
    key_figures,
    months,
    orders_edges,
    periods,
    positions,
    spend_edges,
    with_densest,
)
from retail_pipeline.segmentation.guards import slipping_sql
from retail_pipeline.tables import TABLES

Row = dict[str, Any]

DAY = date(2011, 12, 9)
NOON = datetime(2011, 12, 9, 12)
LINE: Row = {
    "source_id": "aaaa",
    "source_row": 1,
    "source_system": "till",
    "invoice_id": "536365",
    "product_id": "85123A",
    "description": "LANTERN",
    "quantity": 1,
    "unit_price": None,
    "amount": 10,
    "sold_at": NOON,
    "customer_id": "17850",
    "country": "France",
    "currency": "GBP",
    "line_kind": "sale",
}
CUSTOMER: Row = {
    "recency_days": 0,
    "frequency": 1,
    "monetary": 10,
    "avg_order_value": 10,
    "tenure_days": 0,
    "active_days": 1,
    "first_sold_at": NOON,
    "last_sold_at": NOON,
}


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DuckDB]:
    with connect("300MB", 2, tmp_path_factory.mktemp("spill")) as session:
        yield session


def table(name: str, rows: Sequence[Row], *more: pa.Field) -> pa.Table:
    """Rows in a table's own types, numbers as they are written; columns not given are null."""
    fields = [field.with_nullable(True) for field in [*TABLES[name].arrow, *more]]
    columns = [
        pa.array(
            [Decimal(str(v)) if v is not None and pa.types.is_decimal(f.type) else v for v in values], f.type
        )
        for f, values in ((field, [row.get(field.name) for row in rows]) for field in fields)
    ]
    return pa.table(columns, schema=pa.schema(fields))


def transactions(*lines: Row) -> pa.Table:
    return table("transactions", [LINE | line for line in lines])


def summed(
    engine: DuckDB,
    name: str,
    lines: pa.Table,
    earlier: pa.Table | None = None,
    adjustments: bool = False,
    invoice_days: int = 31,
) -> dict[str, Input]:
    """The rows of a table that the report adds up over days, as it reads them."""
    found = engine.run(
        name,
        {"transactions": lines, "earlier": lines.slice(0, 0) if earlier is None else earlier},
        include_adjustments=adjustments,
        invoice_days=invoice_days,
    )
    schema = TABLES[name].arrow.insert(0, pa.field("date", pa.date32()))
    assert found.column_names == schema.names
    keys = [tuple(row[column] for column in ("date", *TABLES[name].key)) for row in found.to_pylist()]
    assert len(keys) == len(set(keys))
    return {name: found.cast(schema)}


def features(customers: Mapping[str, Row]) -> pa.Table:
    return table("rfm_features", [{"customer_id": c} | CUSTOMER | row for c, row in customers.items()])


def assignments(segmentations: Mapping[str, Mapping[str, str]]) -> pa.Table:
    rows = [
        {"segmentation": name, "customer_id": customer, "segment": segment}
        for name, segments in segmentations.items()
        for customer, segment in segments.items()
    ]
    return table("segment_assignments", rows, pa.field("segmentation", pa.string()))


def customer_days(*rows: tuple[date, str, int]) -> pa.Table:
    days = [{"date": day, "customer_id": customer, "orders": orders} for day, customer, orders in rows]
    return table("customer_days", days, pa.field("date", pa.date32()))


def made(engine: DuckDB, name: str, inputs: Mapping[str, Input], **parameters: object) -> list[Row]:
    """The rows of a report table, which must fit its schema and come ordered by its key."""
    found = engine.run(name, inputs, **parameters)
    if name == "spend_distribution":
        found = with_densest(found)
    assert found.column_names == TABLES[name].names
    rows: list[Row] = found.cast(TABLES[name].arrow).to_pylist()
    keys = [tuple(row[column] for column in TABLES[name].key) for row in rows]
    assert keys == sorted(set(keys))
    return rows


# segment_profiles


def profiles(engine: DuckDB, *inputs: pa.Table) -> dict[tuple[str, str], Row]:
    known, assigned, lines = inputs
    countries = summed(engine, "customer_countries", lines)
    slipping = {"slipping": engine.run(slipping_sql(730), {"rfm_features": known})}
    read = {"rfm_features": known, "segment_assignments": assigned, **countries, **slipping}
    rows = made(engine, "segment_profiles", read)
    return {(row["segmentation"], row["segment"]): row for row in rows}


def test_a_profile_gives_size_money_and_the_typical_customer(engine: DuckDB):
    known = features(
        {
            "1": {"recency_days": 1, "frequency": 2, "monetary": "100.50", "avg_order_value": "50.25"},
            "2": {"recency_days": 3, "frequency": 3, "monetary": "300.1", "avg_order_value": "100.0333"},
            "3": {"recency_days": 8, "frequency": 7, "monetary": "700", "avg_order_value": "100.0334"},
            "4": {"recency_days": 900, "frequency": 0, "monetary": "-100.6", "avg_order_value": None},
        }
    )
    groups = {
        "a": dict.fromkeys("123", "Good") | {"4": "Lapsed"},
        "b": {"1": "X", "2": "Y", "3": "Y", "4": "Y"},
    }
    found = profiles(engine, known, assignments(groups), transactions())
    assert list(found) == [("a", "Good"), ("a", "Lapsed"), ("b", "X"), ("b", "Y")]
    good = found["a", "Good"]
    assert (good["customers"], good["share"], good["revenue"]) == (3, 0.75, Decimal("1100.6000"))
    assert good["revenue_share"] == pytest.approx(1.1006)
    assert good["slipping_share"] == 1, "who lapsed brings nothing that could be lost"
    assert (good["recency_days_mean"], good["recency_days_median"]) == (4, 3)
    assert (good["frequency_mean"], good["frequency_median"]) == (4, 3)
    assert good["monetary_mean"] == pytest.approx(1100.6 / 3)
    assert good["monetary_median"] == 300.1
    assert good["avg_order_value_mean"] == pytest.approx(250.3167 / 3)
    assert good["avg_order_value_median"] == 100.0333
    lapsed = found["a", "Lapsed"]
    assert (lapsed["avg_order_value_mean"], lapsed["avg_order_value_median"]) == (None, None)
    assert lapsed["revenue_share"] == pytest.approx(-0.1006)
    assert found["b", "Y"]["avg_order_value_median"] == 100.03335


def test_a_share_of_no_revenue_is_unknown_and_a_segment_of_one_country_names_one(engine: DuckDB):
    known = features({"17850": {"monetary": 5}, "2": {"monetary": -5}})
    found = profiles(engine, known, assignments({"a": {"17850": "X", "2": "Y"}}), transactions({}))
    assert [row["revenue_share"] for row in found.values()] == [None, None]
    assert (found["a", "X"]["top_countries"], found["a", "X"]["top_country_shares"]) == (["France"], [1])


def test_the_countries_are_those_of_the_last_sales(engine: DuckDB):
    later = NOON + timedelta(hours=1)
    lines: list[Row] = [
        {"customer_id": "1", "country": "France"},
        {"customer_id": "1", "country": "Spain", "sold_at": later},
        {
            "customer_id": "1",
            "country": "Italy",
            "sold_at": later + timedelta(hours=1),
            "line_kind": "return",
        },
        {"customer_id": "2", "country": "Spain"},
        {"customer_id": "2", "country": None, "sold_at": later},
        *(
            {"customer_id": customer, "country": country}
            for customer, country in zip("345", "CBA", strict=True)
        ),
        {"customer_id": "6", "country": None},
        {"customer_id": None, "country": "Malta"},
    ]
    names = ["1", "2", "3", "4", "5", "6", "7", "8"]
    segments = dict.fromkeys(names, "Many") | {"7": "Nowhere", "8": "Nowhere"}
    known = features({name: {} for name in names})
    found = profiles(engine, known, assignments({"a": segments}), transactions(*lines))
    many = found["a", "Many"]
    assert many["top_countries"] == ["Spain", "A", "B"]
    assert many["top_country_shares"] == pytest.approx([2 / 6, 1 / 6, 1 / 6])
    assert (found["a", "Nowhere"]["top_countries"], found["a", "Nowhere"]["top_country_shares"]) == ([], [])


# sales_trends


def trends(engine: DuckDB, *lines: Row, adjustments: bool = False) -> dict[tuple[str, int], Row]:
    hours = summed(engine, "sales_hours", transactions(*lines), adjustments=adjustments)
    days = {line.get("sold_at", NOON).date() for line in lines}
    rows = made(engine, "sales_trends", {"positions": positions(), "calendar": calendar(days), **hours})
    return {(row["dimension"], row["position"]): row for row in rows}


def test_every_weekday_month_season_and_hour_is_there_even_without_sales(engine: DuckDB):
    found = trends(engine)
    assert [position for dimension, position in found if dimension == "hour"] == list(range(24))
    assert [row["label"] for row in found.values() if row["dimension"] == "weekday"] == [
        "Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun",
    ]  # fmt: skip
    assert len(found) == 24 + 12 + 4 + 7
    assert {(row["invoices"], row["orders"], row["revenue"]) for row in found.values()} == {(0, 0, 0)}


def test_an_invoice_counts_once_at_its_first_moment_with_all_its_lines(engine: DuckDB):
    found = trends(
        engine,
        {"amount": "1.5", "sold_at": datetime(2011, 12, 10, 0, 1)},
        {"amount": "2", "sold_at": datetime(2011, 12, 9, 23, 59), "customer_id": None},
    )
    sold = {key: row for key, row in found.items() if row["invoices"]}
    assert list(sold) == [("hour", 23), ("month", 12), ("season", 4), ("weekday", 5)]
    assert {row["revenue"] for row in sold.values()} == {Decimal("3.5")}


@pytest.mark.parametrize(("adjustments", "revenue"), [(False, 5), (True, 105)])
def test_returns_are_invoices_but_no_orders_anonymous_sales_count_and_adjustments_where_it_is_set(
    engine: DuckDB, adjustments: bool, revenue: int
):
    lines: list[Row] = [
        {"customer_id": None, "amount": 7},
        {"source_system": "web", "amount": 1},
        {"invoice_id": "C1", "line_kind": "return", "amount": -3},
        {"invoice_id": "2", "line_kind": "adjustment", "amount": 100},
    ]
    friday = trends(engine, *lines, adjustments=adjustments)["weekday", 5]
    assert (friday["invoices"], friday["orders"], friday["revenue"]) == (4, 2, revenue)


def test_weekdays_and_seasons_are_those_of_the_calendar(engine: DuckDB):
    days = [date(1969, 12, 1) + timedelta(days=37 * n) for n in range(2_000)]
    lines: list[Row] = [
        {"invoice_id": str(n), "sold_at": datetime.combine(day, datetime.min.time())}
        for n, day in enumerate(days)
    ]
    found = trends(engine, *lines)
    for position in range(1, 8):
        assert found["weekday", position]["invoices"] == sum(day.isoweekday() == position for day in days)
    seasons = {1: (3, 4, 5), 2: (6, 7, 8), 3: (9, 10, 11), 4: (12, 1, 2)}
    for season, those in seasons.items():
        assert found["season", season]["invoices"] == sum(day.month in those for day in days)


def test_months_and_seasons_are_compared_by_the_days_of_whole_ones(engine: DuckDB):
    """From 20 February to 10 June: March, April, May and spring are whole; an order a day, two on Mondays."""
    days = [date(2011, 2, 20) + timedelta(days=n) for n in range(111)]
    lines: list[Row] = [
        {"invoice_id": f"{day} {n}", "sold_at": datetime.combine(day, datetime.min.time())}
        for day in days
        for n in range(2 if day.isoweekday() == 1 else 1)
    ]
    more: list[Row] = [
        {"invoice_id": "C1", "line_kind": "return", "amount": -3, "sold_at": datetime(2011, 3, 1)},
        {"invoice_id": "fee", "line_kind": "adjustment", "sold_at": datetime(2011, 3, 1)},
    ]
    found = trends(engine, *lines, *more)
    compared = {key: (row["days"], row["orders_of_days"], row["sales_of_days"]) for key, row in found.items()}
    assert [compared["month", month] for month in (2, 3, 4, 5, 6)] == [
        (0, 0, 0), (31, 35, 350), (30, 34, 340), (31, 36, 360), (0, 0, 0)
    ]  # fmt: skip
    assert [compared["season", season] for season in (1, 2, 4)] == [(92, 105, 1050), (0, 0, 0), (0, 0, 0)]
    assert (compared["weekday", 1], compared["hour", 0]) == ((16, 32, 320), (111, 127, 1270))


# sales_periods


def test_periods_have_their_days_and_are_whole_when_all_of_them_count(engine: DuckDB):
    """An order a day of one of three customers, from 1 November 2010; 5 December 2011 is held."""
    days = [date(2010, 11, 1) + timedelta(days=n) for n in range(404)]
    counting = [day for day in days if day != date(2011, 12, 5)]
    lines: list[Row] = [
        {"invoice_id": str(day), "sold_at": datetime.combine(day, datetime.min.time())} for day in counting
    ]
    back: Row = {"invoice_id": "C", "line_kind": "return", "amount": -3}
    bought = customer_days(*((day, str(n % 3), 1) for n, day in enumerate(counting)))
    inputs = {"periods": periods(days[0], DAY, counting), "customer_days": bought}
    sold = summed(engine, "sales_hours", transactions(*lines, back))
    rows = made(engine, "sales_periods", inputs | sold)
    found = {(row["kind"], row["first_day"]): tuple(row.values())[2:] for row in rows}
    assert len(found) == 14 + 3
    assert found["last", date(2011, 11, 12)] == (DAY, False, 27, 3, 270, 267)
    assert found["before", date(2011, 10, 15)] == (date(2011, 11, 11), True, 28, 3, 280, 280)
    assert found["year_before", date(2010, 11, 13)] == (date(2010, 12, 10), True, 28, 3, 280, 280)
    assert found["month", date(2011, 2, 1)] == (date(2011, 2, 28), True, 28, 3, 280, 280)
    assert found["month", date(2011, 12, 1)] == (DAY, False, 8, 3, 80, 77)


# cohort_retention


def test_a_cohort_is_followed_through_every_month(engine: DuckDB):
    bought = customer_days(
        (date(2010, 11, 30), "1", 2),
        (date(2010, 12, 1), "1", 1),
        (date(2010, 12, 31), "1", 1),
        (date(2010, 11, 2), "2", 1),
        (date(2011, 2, 1), "2", 1),
        (date(2010, 12, 5), "2", 0),  # only returned
        (date(2010, 11, 5), "3", 0),
        (date(2011, 2, 7), "3", 1),
    )
    counting = [date(2010, 12, 1) + timedelta(days=n) for n in range(62)]
    inputs = {"customer_days": bought, "months": months(date(2010, 10, 15), date(2011, 3, 1), counting)}
    rows = made(engine, "cohort_retention", inputs)
    assert {row["month"] for row in rows if row["whole"]} == {"2010-12", "2011-01"}
    # three customers tell nobody who was new
    assert {(row["old_share"], row["left_censored"]) for row in rows} == {(None, True)}
    assert [tuple(row.values())[:6] for row in rows] == [
        ("2010-11", "2010-11", 0, 2, 2, 1.0),
        ("2010-11", "2010-12", 1, 2, 1, 0.5),
        ("2010-11", "2011-01", 2, 2, 0, 0.0),
        ("2010-11", "2011-02", 3, 2, 1, 0.5),
        ("2010-11", "2011-03", 4, 2, 0, 0.0),
        ("2011-02", "2011-02", 0, 1, 1, 1.0),
        ("2011-02", "2011-03", 1, 1, 0, 0.0),
    ]


def test_those_seen_from_the_first_day_are_no_new_customers(engine: DuckDB):
    """Regulars who buy every second month were there before the data; ten customers a month are new."""
    firsts = [date(2020 + n // 12, n % 12 + 1, 5) for n in range(12)]
    regulars = [(day, f"old {n}", 1) for k, day in enumerate(firsts) for n in range(60) if n % 2 == k % 2]
    new = [
        (day, f"new {k} {n}", 1)
        for k, first in enumerate(firsts)
        for n in range(10)
        for day in firsts[k : k + 2 - n % 2]
    ]
    inputs = {
        "customer_days": customer_days(*regulars, *new),
        "months": months(firsts[0], firsts[-1], firsts),
    }
    rows = made(engine, "cohort_retention", inputs)
    told = {row["cohort_month"]: (row["old_share"], row["left_censored"]) for row in rows}
    # 30 regulars and 5 of the month before against 10 who are new, in the second month 5; then 30 alone
    assert told["2020-01"] == (pytest.approx((5 + 10 * 35) / (11 * 45)), True)
    assert told["2020-02"] == (pytest.approx(30 / 40), True)
    assert told["2020-03"] == (0, False)
    # so far back no month can be told, but what comes after the first that is new is new
    assert told["2020-07"] == (None, False)


# segment_migration


def test_moves_are_told_apart_by_what_moved_the_customer(engine: DuckDB):
    """Customer by customer: the segment then, today, and where the model alone put them."""
    customers = {
        "stays": ("A", "A", None),
        "stays though the model moved them": ("A", "A", "B"),
        "ordered": ("A", "B", None),
        "went on from where the model put them": ("A", "B", "C"),
        "the model's": ("A", "B", "B"),
        "the model's, and ordered": ("A", "B", "B"),
        "lapsed": ("B", "Lapsed", None),
        "new": (None, "A", None),
    }
    segments = [
        pa.table(
            {
                "customer_id": pa.array([c for c, three in customers.items() if three[n]], pa.string()),
                "segment": pa.array([three[n] for three in customers.values() if three[n]], pa.string()),
            }
        )
        for n in range(3)
    ]
    ordered = ("ordered", "the model's, and ordered", "new")
    inputs = {
        "earlier": segments[0],
        "segment_assignments": segments[1],
        "moved_by_model": segments[2],
        "customer_days": customer_days(*((DAY, name, 1) for name in ordered)),
        "rfm_features": features(
            {
                c: {"monetary": n, "last_sold_at": NOON + timedelta(n in (2, 3))}
                for n, c in enumerate(customers)
            }
        ),
    }
    compared = {"segmentation": "s", "compared_with": "previous_day", "compared_day": DAY}
    rows = made(engine, "segment_migration", inputs, **compared)
    assert {(row["segmentation"], row["compared_with"], row["compared_day"]) for row in rows} == {
        ("s", "previous_day", DAY)
    }
    # customers, revenue, by behaviour, by model, by orders, by time
    assert [tuple(row.values())[3:] for row in rows] == [
        ("A", "A", 0, 2, 1, 0, 0, 0, 0),
        ("A", "B", 2, 4, 14, 2, 2, 1, 1),
        ("B", "Lapsed", 0, 1, 6, 1, 0, 0, 1),
        ("New", "A", 0, 1, 7, 0, 0, 0, 0),
    ]


# customer_rankings, product_rankings


def ranked(rows: Sequence[Row], ranking: str, column: str) -> list[Any]:
    return [row[column] for row in rows if row["ranking"] == ranking]


def test_customers_are_ranked_three_ways_ties_by_id_and_the_lapsed_left_out(engine: DuckDB):
    known = features(
        {
            "1": {"monetary": 5, "frequency": 3, "avg_order_value": 2},
            "2": {"monetary": 9, "frequency": 1, "avg_order_value": 9},
            "10": {"monetary": 5, "frequency": 1, "avg_order_value": 9},
            "3": {"monetary": 99, "frequency": 0, "avg_order_value": None},
            "cancelled": {"monetary": 0, "frequency": 5, "avg_order_value": 900},
        }
    )
    rows = made(engine, "customer_rankings", {"rfm_features": known})
    assert ranked(rows, "total", "customer_id") == ["2", "1", "10"]
    assert ranked(rows, "average", "customer_id") == ["2", "10", "1"]
    assert ranked(rows, "orders", "customer_id") == ["1", "10", "2"]
    assert ranked(rows, "orders", "rank") == [1, 2, 3]


def test_a_ranking_ends_with_the_hundredth(engine: DuckDB):
    customers = {f"{n:03}": {"monetary": n} for n in range(150)}
    rows = made(engine, "customer_rankings", {"rfm_features": features(customers)})
    assert ranked(rows, "total", "customer_id") == [f"{n:03}" for n in range(149, 49, -1)]
    products = transactions(*({"product_id": f"{n:03}", "amount": n} for n in range(150)))
    rows = made(engine, "product_rankings", summed(engine, "product_days", products))
    assert ranked(rows, "revenue", "product_id") == [f"{n:03}" for n in range(149, 49, -1)]
    assert ranked(rows, "units", "product_id") == [f"{n:03}" for n in range(100)]


def test_products_are_ranked_by_what_they_bring_how_many_and_how_often(engine: DuckDB):
    lines: list[Row] = [
        {"product_id": "A", "amount": 50, "quantity": 1, "description": "old"},
        {"product_id": "A", "amount": -20, "quantity": -1, "line_kind": "return", "description": "broken"},
        {"product_id": "B", "amount": 20, "quantity": "2.5"},
        {"product_id": "B", "amount": 20, "quantity": "2.5"},
        {"product_id": "B", "amount": 1, "quantity": 1, "source_system": "web", "customer_id": None},
        {"product_id": "B", "amount": 1, "quantity": 1, "invoice_id": "2"},
        {"product_id": "RETURNED", "amount": -1, "quantity": -1, "line_kind": "return"},
        {"product_id": "POST", "amount": 999, "line_kind": "adjustment"},
        {"product_id": "A", "amount": 999, "quantity": 9, "source_system": "web", "line_kind": "adjustment"},
        {"product_id": None, "amount": 999},
    ]
    rows = made(engine, "product_rankings", summed(engine, "product_days", transactions(*lines)))
    values = {row["product_id"]: (row["revenue"], row["units"], row["invoices"]) for row in rows}
    assert values == {"A": (30, 1, 1), "B": (42, 7, 3)}
    assert [ranked(rows, by, "product_id") for by in ("revenue", "units", "invoices")] == [["B", "A"]] * 3
    assert ranked(rows, "revenue", "description") == ["LANTERN", "old"]
    back = {row["product_id"]: (row["returned_units"], row["returns"]) for row in rows}
    assert back == {"A": (1, 1), "B": (0, 0)}


def test_an_order_that_was_cancelled_leads_no_ranking(engine: DuckDB):
    lines: list[Row] = [
        {"product_id": "CRAFT", "quantity": 80_995, "amount": 168_469},
        {
            "product_id": "CRAFT",
            "quantity": -80_995,
            "amount": -168_469,
            "line_kind": "return",
            "invoice_id": "C1",
        },
        {"product_id": "CUP", "quantity": 3, "amount": 4, "invoice_id": "2"},
    ]
    rows = made(engine, "product_rankings", summed(engine, "product_days", transactions(*lines)))
    assert [ranked(rows, by, "product_id") for by in ("revenue", "units", "invoices")] == [
        ["CUP", "CRAFT"]
    ] * 3


def test_a_product_is_called_what_most_of_its_sales_call_it(engine: DuckDB):
    texts = ["zebra", None, "zebra", "lamp", "lamp", "alone"]
    lines = [{"product_id": "A", "description": text, "invoice_id": str(n)} for n, text in enumerate(texts)]
    nameless: list[Row] = [{"product_id": "B", "description": None}]
    sold = summed(engine, "product_days", transactions(*lines, *nameless))
    rows = made(engine, "product_rankings", sold)
    assert ranked(rows, "invoices", "description") == ["lamp", None]
    assert ranked(rows, "invoices", "invoices") == [6, 1]


# what adds up over days

RANDOM_DAYS = [date(2011, 11, 20) + timedelta(days=n) for n in range(30)]


def random_lines(seed: int) -> list[Row]:
    """Lines whose invoices lie on up to four days, a few of them 12 days apart and more."""
    draw = random.Random(seed)
    lines = []
    for _ in range(400):
        invoice = str(draw.randrange(60))
        begun = int(invoice) % 20
        day = RANDOM_DAYS[begun + draw.choice((0, 0, 0, 1, 3, 9))]
        kind = draw.choice(("sale", "sale", "sale", "return", "adjustment"))
        lines.append(
            {
                "invoice_id": invoice,
                "source_system": draw.choice(("till", "till", "web")),
                "product_id": draw.choice(("A", "B", "C", None)),
                "description": draw.choice(("lamp", "zebra", None)),
                "sold_at": datetime(day.year, day.month, day.day, draw.randrange(24), draw.randrange(60)),
                "amount": draw.randrange(100) * (-1 if kind == "return" else 1),
                "quantity": draw.randrange(1, 5),
                "line_kind": kind,
                "customer_id": draw.choice(("1", "2", "3", None)),
                "country": draw.choice(("France", "Spain", None)),
            }
        )
    return lines


def sums_of_days(engine: DuckDB, name: str, lines: Sequence[Row], invoice_days: int = 31) -> dict[str, Input]:
    """The same as ``summed``, each day made alone, after those before it."""
    made = []
    for day in RANDOM_DAYS:
        of_day = transactions(*(line for line in lines if line["sold_at"].date() == day))
        before = transactions(
            *(line for line in lines if 0 < (day - line["sold_at"].date()).days <= invoice_days)
        )
        made.append(summed(engine, name, of_day, before, invoice_days=invoice_days)[name])
    return {name: pa.concat_tables(made)}


@pytest.mark.parametrize("name", ["product_days", "sales_hours", "customer_countries"])
@pytest.mark.parametrize("invoice_days", [0, 2, 31])
def test_a_day_has_the_same_sums_whether_it_is_made_alone_or_with_others(
    engine: DuckDB, name: str, invoice_days: int
):
    lines = random_lines(7)
    together = summed(engine, name, transactions(*lines), invoice_days=invoice_days)
    assert sums_of_days(engine, name, lines, invoice_days) == together


@pytest.mark.parametrize("seed", range(5))
def test_sums_of_days_give_what_all_lines_give_however_many_days_an_invoice_lies_on(
    engine: DuckDB, seed: int
):
    lines = random_lines(seed)
    invoices: dict[tuple[str, str], list[Row]] = {}
    for line in lines:
        invoices.setdefault((line["source_system"], line["invoice_id"]), []).append(line)
    hours: dict[int, list[int]] = {hour: [0, 0, 0] for hour in range(24)}
    for of_one in invoices.values():
        counted = hours[min(line["sold_at"] for line in of_one).hour]
        counted[0] += 1
        counted[1] += any(line["line_kind"] == "sale" for line in of_one)
        counted[2] += sum(line["amount"] for line in of_one if line["line_kind"] != "adjustment")
    inputs = {"positions": positions(), "calendar": calendar({line["sold_at"].date() for line in lines})}
    rows = made(engine, "sales_trends", inputs | sums_of_days(engine, "sales_hours", lines))
    found = {row["position"]: row for row in rows if row["dimension"] == "hour"}
    assert {h: [r["invoices"], r["orders"], r["revenue"]] for h, r in found.items()} == hours
    selling: dict[str, set[tuple[str, str]]] = {}
    for (system, invoice), of_one in invoices.items():
        for line in of_one:
            if line["line_kind"] == "sale" and line["product_id"]:
                selling.setdefault(line["product_id"], set()).add((system, invoice))
    rows = made(engine, "product_rankings", sums_of_days(engine, "product_days", lines))
    products = {row["product_id"]: row for row in rows}
    assert {product: row["invoices"] for product, row in products.items()} == {
        product: len(of_product) for product, of_product in selling.items()
    }
    assert {product: (row["revenue"], row["units"]) for product, row in products.items()} == {
        product: (
            sum(one["amount"] for one in of_it if one["line_kind"] != "adjustment"),
            sum(one["quantity"] for one in of_it if one["line_kind"] == "sale"),
        )
        for product in selling
        for of_it in [[line for line in lines if line["product_id"] == product]]
    }


def test_an_invoice_that_began_before_the_window_is_no_invoice_of_it(engine: DuckDB):
    begun = transactions({"sold_at": NOON - timedelta(days=3), "amount": 5})
    today = transactions({"amount": 7}, {"invoice_id": "2", "amount": 1})
    hours = summed(engine, "sales_hours", today, begun)
    (noon,) = [
        r
        for r in made(
            engine, "sales_trends", {"positions": positions(), "calendar": calendar([DAY]), **hours}
        )
        if r["invoices"] and r["dimension"] == "hour"
    ]
    assert (noon["invoices"], noon["orders"], noon["revenue"]) == (1, 1, 1)
    # but money that came in is money of the day
    assert figures(engine, features({}), today)["revenue"] == 8


# spend_distribution


def distribution(engine: DuckDB, customers: Sequence[tuple[int, object]]) -> list[Row]:
    rows = {str(n): {"frequency": orders, "monetary": spend} for n, (orders, spend) in enumerate(customers)}
    known = features(rows)
    (reach,) = engine.run("spend_range", {"rfm_features": known}).to_pylist()
    inputs = {"rfm_features": known, "orders_edges": orders_edges(), "spend_edges": spend_edges(**reach)}
    return made(engine, "spend_distribution", inputs)


def test_every_active_customer_stands_in_one_cell(engine: DuckDB):
    customers = [(1, 0), (1, "99.9999"), (1, 100), (2, 100), (3, "-7.5"), (5, 1000), (6, 5000), (40, 10**6)]
    rows = distribution(engine, [*customers, *[(1, 1250)] * 3, (0, 500)])
    cells = {(row["orders_from"], row["spend_from"]): row for row in rows if row["customers"]}
    assert sum(row["customers"] for row in rows) == 11
    assert sum(row["revenue"] for row in rows) == sum(Decimal(str(spend)) for _, spend in customers) + 3750
    assert cells[1, 100]["customers"] == 1
    assert cells[1, 100]["spend_to"] == 200
    assert {orders for orders, _ in cells} == {1, 2, 3, 4, 6, 21}
    assert cells[3, -10]["spend_to"] == 0
    assert [row["spend_to"] for row in rows if row["orders_from"] == 21][-1] is None
    assert {row["orders_to"] for row in rows if row["orders_from"] == 21} == {None}


def test_the_densest_region_is_the_smallest_that_holds_half_of_the_customers(engine: DuckDB):
    customers = [(1, 150)] * 3 + [(2, 150)] * 3 + [(8, 1500)] * 5 + [(30, 900)]
    rows = distribution(engine, customers)
    assert {(row["orders_from"], row["spend_from"]) for row in rows if row["densest"]} == {(1, 100), (2, 100)}


def test_without_customers_the_distribution_is_empty_and_nothing_is_densest(engine: DuckDB):
    rows = distribution(engine, [])
    assert {(row["customers"], row["densest"]) for row in rows} == {(0, False)}


# key_figures


def figures(
    engine: DuckDB, known: pa.Table, sold: pa.Table, days: pa.Table | None = None, last: date = DAY
) -> dict[str, float | None]:
    whole = [last - timedelta(days=n) for n in range(800)]
    found = engine.run(
        "key_figures",
        {
            "rfm_features": known,
            "customer_days": days or customer_days(),
            "months": months(whole[-1], last, whole),
            **summed(engine, "sales_hours", sold),
        },
        year_from=DAY - timedelta(days=364),
        year_before_from=DAY - timedelta(days=729),
    )
    return {row["figure"]: row["value"] for row in key_figures(found).to_pylist()}


def test_the_key_figures_by_hand(engine: DuckDB):
    """Nine small customers, one who spends most and one who orders most; a tenth each, and one who lapsed."""
    known = features(
        {str(n): {"monetary": 10, "avg_order_value": 10} for n in range(8)}
        | {
            "big": {"monetary": 700, "avg_order_value": 700},
            "often": {"frequency": 20, "monetary": 220, "avg_order_value": "12.5"},
            "gone": {"frequency": 0, "monetary": 0, "avg_order_value": None},
        }
    )
    sold = transactions(
        {"amount": 900},
        {"amount": 100, "customer_id": None},
        {"amount": -50, "line_kind": "return"},
        {"amount": 77, "line_kind": "adjustment"},
    )
    assert figures(engine, known, sold) == {
        "customers": 11,
        "active_customers": 10,
        "lapsed_customers": 1,
        "orders": 29,
        "revenue": 950,
        "customer_revenue": 1000,
        "avg_order_value": pytest.approx((80 + 700 + 250) / 29),
        "repeat_revenue_share": 0.22,
        "next_month_share": None,
        "lost_share_of_year": None,
        "one_order_share": 0.9,
        "big_spenders_one_order_share": 1,
        "big_spenders_revenue_share": 0.7,
        "big_orders_one_order_share": 1,
        "most_frequent_avg_order_value": 12.5,
        "others_avg_order_value": pytest.approx(780 / 9),
        "anonymous_revenue_share": 0.1,
        "returned_share": 0.05,
    }


def test_customers_are_lost_who_bought_the_year_before_and_not_in_the_last(engine: DuckDB):
    year, before = DAY - timedelta(days=364), DAY - timedelta(days=729)
    days = [
        (before, "kept", 1), (year, "kept", 1),
        (before, "lost", 1),
        (year - timedelta(days=1), "lost on the last day", 2), (DAY, "lost on the last day", 0),
        (before - timedelta(days=1), "long gone", 1),
        (DAY, "new", 1),
    ]  # fmt: skip
    found = figures(engine, features({}), transactions(), customer_days(*days))
    assert found["lost_share_of_year"] == pytest.approx(2 / 3)
    short = customer_days((DAY - timedelta(days=728), "a", 1), (DAY, "b", 1))
    assert figures(engine, features({}), transactions(), short)["lost_share_of_year"] is None


def test_who_buys_again_next_month_is_told_of_months_that_are_whole(engine: DuckDB):
    bought = [(1, "a"), (1, "b"), (2, "a"), (2, "b"), (3, "b"), (4, "a")]
    days = customer_days(*((date(2011, month, 9), customer, 1) for month, customer in bought))
    for last, share in ((date(2011, 3, 31), 3 / 4), (date(2011, 3, 30), 1), (date(2011, 4, 30), 3 / 5)):
        found = figures(engine, features({}), transactions(), days, last)
        assert found["next_month_share"] == pytest.approx(share)


def test_a_shop_without_sales_has_no_shares(engine: DuckDB):
    found = figures(engine, features({}), transactions())
    counts = ("customers", "active_customers", "lapsed_customers", "orders", "revenue", "customer_revenue")
    assert {name: found.pop(name) for name in counts} == dict.fromkeys(counts, 0)
    assert set(found.values()) == {None}


def test_equal_customers_are_in_the_same_tenth(engine: DuckDB):
    found = figures(engine, features({str(n): {} for n in range(20)}), transactions())
    assert found["big_spenders_revenue_share"] == 1
    assert (found["most_frequent_avg_order_value"], found["others_avg_order_value"]) == (10, None)

"""What is odd about a snapshot's customers: ids too alike, one who buys most, customers nobody knew."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from random import Random

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retail_pipeline.engine.duckdb import DuckDB, connect
from retail_pipeline.planning.customer_checks import (
    SHARE_DAYS,
    SMALLEST_SHARE,
    oddities,
    said,
    too_many_unseen,
)
from retail_pipeline.tables import TABLES

FIRST = date(2024, 1, 1)
Bought = tuple[int, str]


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DuckDB]:
    with connect("300MB", 2, tmp_path_factory.mktemp("spill")) as session:
        yield session


def customer_days(bought: Sequence[Bought], amounts: Mapping[str, int]) -> pa.Table:
    """A sale of each customer on each of some days; of 10 unless said otherwise."""
    rows = []
    for offset, customer in sorted(set(bought)):
        at, amount = datetime.combine(FIRST, time(9)) + timedelta(offset), Decimal(amounts.get(customer, 10))
        rows.append(
            {"date": at.date(), "customer_id": customer, "orders": bought.count((offset, customer)),
             "lines": bought.count((offset, customer)), "units": Decimal(1), "gross_amount": amount,
             "returned_amount": Decimal(0), "net_amount": amount, "first_sold_at": at, "last_sold_at": at,
             "visits": 1, "first_visit_at": at, "last_visit_at": at}
        )  # fmt: skip
    return pa.Table.from_pylist(rows, TABLES["customer_days"].arrow.append(pa.field("date", pa.date32())))


def found(
    engine: DuckDB, bought: Sequence[Bought], days: Sequence[int], amounts: Mapping[str, int] | None = None
) -> list[list[str]]:
    """The kinds of what is odd on each of some days."""
    days_of_all = customer_days(bought, amounts or {})
    wanted = [FIRST + timedelta(n) for n in days]
    engine.keep(
        "feature_changes", "feature_changes", {"customer_days": days_of_all}, window_days=None,
        first=min(wanted), through=max(wanted), returns_are_visits=False, everybody=False,
    )  # fmt: skip
    snapshots = pa.table({"snapshot_date": pa.array(wanted, pa.date32())})
    inputs = {"recent_days": days_of_all, "snapshots": snapshots}
    shares = engine.run("customer_shares", inputs, share=SMALLEST_SHARE, days=SHARE_DAYS)
    alike, seen = engine.run("alike_ids"), engine.run("first_seen", inputs)
    odd = oddities(wanted, alike.to_pylist(), shares.to_pylist(), seen.to_pylist())
    return [list(said(odd[day].counts, 0.2)) for day in wanted]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("k-07", "K-07"), ("0042", "42"), ("AB 12", "AB12"), ("4006-381", "4006381"), ("x.9", "x9"),
        ("ann@shop.example", "Ann@Shop.example"), ("ÄRGER-1", "ärger1"), ("C-007", "c7"),
    ],
)  # fmt: skip
def test_ids_that_differ_only_by_how_they_are_written_are_found_from_the_second_on(
    engine: DuckDB, one: str, other: str
):
    bought = [(0, one), (2, "somebody"), (3, other)]
    assert found(engine, bought, [0, 2, 3, 9]) == [[], [], ["alike"], ["alike"]]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("12-3", "1-23"), ("1.234", "12.34"), ("10", "100"), ("ann.lee@x.example", "annlee@x.example"),
        ("A1", "A-2"), ("0", "00x"), ("é1", "e1"),
    ],
)  # fmt: skip
def test_ids_that_are_others_are_let_be(engine: DuckDB, one: str, other: str):
    assert found(engine, [(0, one), (1, other)], [5]) == [[]]


def test_an_example_is_masked_and_counts_say_how_many(engine: DuckDB):
    odd = oddities([FIRST], [{"date": FIRST, "ids": 3, "one": "k-0012345", "other": "K-0012345"}], [], [])[
        FIRST
    ]
    assert odd.counts == {"ids alike": 3}
    assert odd.examples == {"such as": "k-******* and K-*******"}


def shop(days: int, customers: int) -> list[Bought]:
    """So many customers, a tenth of whom come on a day."""
    return [(day, f"{n:05d}") for day in range(days) for n in range(customers) if (n * 7 + day) % 10 == 0]


def test_one_customer_with_most_of_the_orders_or_the_value_is_found_while_it_lasts(engine: DuckDB):
    normal = shop(120, 200)
    card = [(day, "99999") for day in range(40, 60) for _ in range(15)]
    assert found(engine, [*normal, *card], [39, 60, 86, 100]) == [[], ["share"], [], []]
    giant = [*normal, (50, "77777")]
    assert found(engine, giant, [49, 50, 77, 78], {"77777": 4000}) == [[], ["share"], ["share"], []]
    assert found(engine, normal, [5, 30, 100]) == [[], [], []]


def test_in_a_shop_of_few_customers_a_large_share_is_no_wonder(engine: DuckDB):
    assert found(engine, [(day, str(day % 4)) for day in range(60)], [10, 59]) == [[], []]


def test_customers_who_all_are_new_are_found_in_large_and_small_shops(engine: DuckDB):
    other = [(day, f"X{customer}") if day >= 80 else (day, customer) for day, customer in shop(90, 300)]
    days = found(engine, other, [30, 79, 80, 81])
    assert days == [[], [], ["unseen"], ["unseen"]]
    few = [(day, f"{'X' if day >= 80 else ''}{(day * 5 + n) % 40}") for day in range(90) for n in range(4)]
    assert found(engine, few, [79, 86]) == [[], ["unseen"]]


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 1000), st.integers(1, 400), st.sampled_from([0, 0.001, 0.02, 0.3, 0.6, 0.9, 0.98, 1]))
def test_chance_does_not_ring(seed: int, customers: int, usual: float):
    chance = Random(seed)
    came = {
        FIRST + timedelta(n): (customers, sum(chance.random() < usual for _ in range(customers)))
        for n in range(80)
    }
    assert [day for day in came if too_many_unseen(day, came)] == []


def test_a_shop_that_begins_does_not_ring():
    came = {FIRST + timedelta(n): (30, max(3, 30 - n)) for n in range(90)}
    assert [day for day in came if too_many_unseen(day, came)] == []

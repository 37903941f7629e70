"""What the statements of ``tables`` say, run on DuckDB over small tables."""

# ruff: noqa: DTZ001 - times are local to the shop, without offset

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retail_pipeline.campaigns.lists import Campaign, candidates_sql, control_below
from retail_pipeline.engine import EngineError
from retail_pipeline.engine.duckdb import DuckDB, connect
from retail_pipeline.ingest.profiles.cleaning import CleaningRules, parameters
from retail_pipeline.lake.slices import ordered
from retail_pipeline.tables import TABLES, statement
from retail_pipeline.tables.segment_assignments import OF_MOMENTS

Row = dict[str, Any]

DAY = date(2011, 3, 5)
LINE: Row = {
    "date": DAY,
    "source_id": "aaaa",
    "source_row": 1,
    "source_system": "till",
    "invoice_id": "536365",
    "product_id": "85123A",
    "description": "LANTERN",
    "quantity": Decimal("6"),
    "unit_price": Decimal("2.55"),
    "amount": None,
    "sold_at": datetime(2011, 3, 5, 8, 26),
    "customer_id": "17850",
    "country": "France",
    "currency": "GBP",
}


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DuckDB]:
    spill: Path = tmp_path_factory.mktemp("spill")
    with connect("300MB", 2, spill) as session:
        yield session


def table(name: str, rows: Sequence[Row], *keys: tuple[str, pa.DataType]) -> pa.Table:
    """Rows in a table's own types, with the hive keys that the engine adds when it reads files."""
    schema = TABLES[name].arrow
    for key, kind in keys:
        schema = schema.append(pa.field(key, kind))
    return pa.Table.from_pylist(rows, schema=pa.schema([field.with_nullable(True) for field in schema]))


def clean(engine: DuckDB, *lines: Row, **rules: Any) -> tuple[list[Row], list[Row]]:
    """Lines, each a change to LINE, as transactions and as rejected rows."""
    rows = [{**LINE, "source_row": number, **line} for number, line in enumerate(lines, 1)]
    engine.keep(
        "judged_rows",
        statement("judged_rows"),
        {"raw_transactions": table("raw_transactions", rows, ("date", pa.date32()))},
        **parameters(CleaningRules.model_validate(rules)),
    )
    key = ("date", *TABLES["transactions"].key)
    kept, refused = (ordered(engine.run(name), key) for name in ("transactions", "rejected_rows"))
    assert len(kept) + len(refused) == len(rows)
    for name, rows_ in (("transactions", kept), ("rejected_rows", refused)):
        rows_.select(TABLES[name].names).cast(TABLES[name].arrow)
    return kept.to_pylist(), refused.to_pylist()


PRICE_ZERO = {"unit_price": Decimal(0)}
NO_UNITS = {"quantity": Decimal(0)}
KEEP = {"zero_price": "keep", "negative_price": "keep"}


@pytest.mark.parametrize(
    ("reason", "line", "on", "off"),
    [
        ("no_invoice", {"invoice_id": "  "}, {}, {"tidy_text": False}),
        ("invoice_pattern", {"invoice_id": "C536365"}, {"invoice_pattern": "^[0-9]{6}$"}, {}),
        ("product_pattern", {"product_id": "POST"}, {"product_pattern": "^[0-9]{5}[A-Z]*$"}, {}),
        ("no_product", {"product_id": "  "}, {}, {"tidy_text": False}),
        ("bad_debt", {"invoice_id": "A563185"}, {"bad_debt_pattern": "^A"}, {}),
        ("cancellation_above_zero", {"invoice_id": "C1"}, {"cancellation_pattern": "^C"}, {}),
        ("anonymous", {"customer_id": None}, {"anonymous": "refuse"}, {}),
        ("anonymous", {"customer_id": "  "}, {"anonymous": "refuse"}, {}),
        ("zero_price", PRICE_ZERO, {}, {"zero_price": "keep"}),
        ("zero_price", {"unit_price": None, "amount": Decimal(0)}, {}, {"zero_price": "keep"}),
        ("negative_price", {"unit_price": Decimal(-1)}, {}, {"negative_price": "keep"}),
        ("minimum_price", {"unit_price": Decimal("0.001")}, {"minimum_price": "0.01"}, {}),
        ("zero_quantity", NO_UNITS, {}, {"zero_quantity": "keep"}),
        ("amount_too_large", {"unit_price": Decimal("9e13"), "quantity": Decimal("9e11")}, {}, None),
    ],
)
def test_each_rule_refuses_what_it_says_and_nothing_when_it_is_off(
    engine: DuckDB, reason: str, line: Row, on: Row, off: Row | None
):
    kept, refused = clean(engine, line, {}, **on)
    assert [(row["source_row"], row["reasons"]) for row in refused] == [(1, [reason])]
    assert [row["source_row"] for row in kept] == [2]
    if off is not None:
        kept, refused = clean(engine, line, {}, **off)
        assert [row["source_row"] for row in kept] == [1, 2]


@pytest.mark.parametrize(
    ("line", "rules"),
    [
        ({"unit_price": Decimal("0.01")}, {"minimum_price": "0.01"}),
        ({"invoice_id": "1536365"}, {"bad_debt_pattern": "^A"}),
        ({"quantity": Decimal(0), "unit_price": None, "amount": Decimal("0.5")}, {}),
        ({"quantity": Decimal(-1)}, {"cancellation_pattern": "^C"}),
        (
            {"invoice_id": "C1", "product_id": "POST"},
            {"cancellation_pattern": "^C", "adjustment_pattern": "POST"},
        ),
    ],
)
def test_what_is_just_within_a_rule_is_kept(engine: DuckDB, line: Row, rules: Row):
    kept, _ = clean(engine, line, **rules)
    assert len(kept) == 1


def test_every_reason_that_applies_is_listed(engine: DuckDB):
    _, (row,) = clean(
        engine,
        {"invoice_id": "A1", "product_id": "B", "customer_id": None, "unit_price": Decimal(-1)},
        invoice_pattern="^[0-9]{6}$",
        product_pattern="^[0-9]",
        bad_debt_pattern="^A",
        anonymous="refuse",
    )
    assert row["reasons"] == [
        "invoice_pattern", "product_pattern", "bad_debt", "anonymous", "negative_price",
    ]  # fmt: skip


def test_a_rejected_row_stands_as_it_was_delivered(engine: DuckDB):
    delivered = {"product_id": " 85123a ", "description": " a ", **PRICE_ZERO}
    _, (row,) = clean(engine, delivered)
    assert {**LINE, **delivered} == {name: value for name, value in row.items() if name != "reasons"}


@pytest.mark.parametrize(
    ("kind", "line"),
    [
        ("sale", {}),
        ("return", {"quantity": Decimal(-2)}),
        ("return", {"invoice_id": "C536365", "quantity": Decimal(-2)}),
        ("return", {"unit_price": None, "amount": Decimal(-3), "quantity": Decimal(-1)}),
        ("return", {"quantity": Decimal(-2), "unit_price": Decimal(0)}),
        ("return", {"unit_price": Decimal(-3)}),
        ("return", {"quantity": Decimal(0), "unit_price": None, "amount": Decimal(-3)}),
        ("adjustment", {"product_id": "post"}),
        ("adjustment", {"product_id": "POST", "invoice_id": "C536365", "quantity": Decimal(-1)}),
    ],
)
def test_line_kinds(engine: DuckDB, kind: str, line: Row):
    (row,), _ = clean(engine, line, cancellation_pattern="^C", adjustment_pattern="^POST$", **KEEP)
    assert row["line_kind"] == kind


@pytest.mark.parametrize(
    ("quantity", "unit_price", "amount", "price_out", "amount_out"),
    [
        ("6", "2.55", None, "2.55", "15.30"),
        ("0.335", "2.5555", None, "2.5555", "0.8561"),
        ("0.25", "0.0002", None, "0.0002", "0.0001"),
        ("-0.25", "0.0002", None, "0.0002", "-0.0001"),
        ("99999.999", "99999.9999", None, "99999.9999", "9999999890.0000"),
        ("-100000", "0.5", None, "0.5", "-50000"),
        ("-0.5", "100000.0001", None, "100000.0001", "-50000.0001"),
        ("-3", "1.25", None, "1.25", "-3.75"),
        ("3", None, "10", "3.3333", "10"),
        ("-4", None, "-10", "2.5", "-10"),
        ("3", "4", "10", "4", "10"),
        ("0", None, "10", None, "10"),
    ],
)
def test_price_and_amount_are_as_reported_and_the_missing_one_is_derived(
    engine: DuckDB,
    quantity: str,
    unit_price: str | None,
    amount: str | None,
    price_out: str | None,
    amount_out: str,
):
    numbers = {"quantity": quantity, "unit_price": unit_price, "amount": amount}
    (row,), _ = clean(engine, {name: value and Decimal(value) for name, value in numbers.items()})
    assert (row["unit_price"], row["amount"]) == (price_out and Decimal(price_out), Decimal(amount_out))


def test_the_second_of_two_exact_copies_in_one_file_is_dropped_when_the_rule_says_so(engine: DuckDB):
    lines: list[Row] = [
        {"customer_id": None},
        {"customer_id": None},
        {"customer_id": None, "source_id": "another file"},
        {"customer_id": None, "sold_at": LINE["sold_at"] + timedelta(minutes=1)},
        {},
    ]
    assert len(clean(engine, *lines)[0]) == 5
    _, refused = clean(engine, *lines, duplicates="drop")
    assert [(row["source_row"], row["reasons"]) for row in refused] == [(2, ["duplicate"])]


def test_text_is_tidied_unless_the_shop_wants_it_as_it_is(engine: DuckDB):
    padded = {
        name: f"  {LINE[name].lower()}  " for name in ("invoice_id", "product_id", "description", "country")
    }
    padded["customer_id"] = " 17850 "
    (row,), _ = clean(engine, padded)
    assert [row[name] for name in padded] == ["536365", "85123A", "lantern", "france", "17850"]
    (row,), _ = clean(engine, padded, tidy_text=False)
    assert {name: row[name] for name in padded} == padded
    blank = dict.fromkeys(("description", "country", "customer_id"), "  ")
    (row,), _ = clean(engine, blank)
    assert [row[name] for name in blank] == [None] * 3


def test_a_customer_whom_the_shop_calls_nobody_is_anonymous(engine: DuckDB):
    lines = [{"customer_id": id_} for id_ in ("walk-in", "WALK-IN", "walk-in2", "0", "00")]
    kept, _ = clean(engine, *lines, anonymous_ids=["Walk-In", 0])
    assert [row["customer_id"] for row in kept] == [None, None, "walk-in2", None, "00"]


def test_a_pattern_that_the_engine_cannot_read_is_named(engine: DuckDB):
    unchecked = CleaningRules.model_construct(**{**CleaningRules().model_dump(), "invoice_pattern": "^(?!C)"})
    with pytest.raises(EngineError, match=r"\(\?!"):
        engine.keep(
            "judged_rows",
            statement("judged_rows"),
            {"raw_transactions": table("raw_transactions", [LINE], ("date", pa.date32()))},
            **parameters(unchecked),
        )


# customer_days

cents = st.integers(0, 100_000).map(lambda n: Decimal(n) / 100)
lines = st.fixed_dictionaries(
    {
        "line_kind": st.sampled_from(["sale", "return", "adjustment"]),
        "customer_id": st.sampled_from(["1", "02", "2", None]),
        "source_system": st.sampled_from(["till", "web"]),
        "invoice_id": st.sampled_from(["10", "11", "12"]),
        "quantity": st.integers(1, 9_000).map(lambda n: Decimal(n) / 1000),
        "amount": cents,
        "sold_at": st.datetimes(datetime(2011, 3, 2), datetime(2011, 3, 7)).map(lambda t: t.replace(fold=0)),
    }
)


def summed(
    engine: DuckDB, rows: list[Row], earlier: Sequence[Row] = (), days: int = 31, adjustments: bool = False
) -> list[Row]:
    """The customer_days of some lines, the lines of the days before being known."""
    begun = engine.run("earlier_invoices", {"transactions": table("transactions", earlier)})
    inputs = {"transactions": table("transactions", rows), "earlier": begun}
    found = engine.run("customer_days", inputs, include_adjustments=adjustments, invoice_days=days)
    found.drop_columns(["date"]).cast(TABLES["customer_days"].arrow)
    result: list[Row] = found.to_pylist()
    return result


def signed(line: Row) -> Row:
    sign = -1 if line["line_kind"] == "return" else 1
    return {**line, "quantity": sign * line["quantity"], "amount": sign * line["amount"]}


def begun(rows: list[Row], day: date, customer: str, kinds: set[str], reach: int) -> int:
    """How many of a customer's invoices have a line on a day, and none on one of ``reach`` days before."""
    days = defaultdict(set)
    for row in rows:
        if row["customer_id"] == customer and row["line_kind"] in kinds:
            days[row["source_system"], row["invoice_id"]].add(row["sold_at"].date())
    before = {day - timedelta(n) for n in range(1, reach + 1)}
    return sum(day in of_invoice and not of_invoice & before for of_invoice in days.values())


@settings(max_examples=30, deadline=None)
@given(
    st.lists(lines.map(signed), max_size=25),
    st.booleans(),
    st.sampled_from([0, 1, 2, 31]),
    st.integers(0, 5),
    st.integers(0, 5),
)
def test_customer_days_are_the_sums_of_the_lines_and_an_invoice_counts_on_its_first_day(
    engine: DuckDB, given_lines: list[Row], adjustments: bool, reach: int, start: int, length: int
):
    every = [{**LINE, "source_row": n, **line} for n, line in enumerate(given_lines, 1)]
    first = date(2011, 3, 2) + timedelta(start)
    last = first + timedelta(length)
    rows = [row for row in every if first <= row["sold_at"].date() <= last]
    earlier = [row for row in every if row["sold_at"].date() < first]
    found = summed(engine, rows, earlier, reach, adjustments)
    expected = []
    groups: dict[tuple[date, str], list[Row]] = defaultdict(list)
    for row in rows:
        if row["customer_id"] is not None and (adjustments or row["line_kind"] != "adjustment"):
            groups[row["sold_at"].date(), row["customer_id"]].append(row)
    for (day, customer), group in sorted(groups.items()):
        sales = [row for row in group if row["line_kind"] == "sale"]
        returns = [row for row in group if row["line_kind"] == "return"]
        expected.append(
            {
                "date": day,
                "customer_id": customer,
                "orders": begun([*earlier, *rows], day, customer, {"sale"}, reach),
                "lines": len(group),
                "units": sum((row["quantity"] for row in sales), Decimal(0)),
                "gross_amount": sum((row["amount"] for row in sales), Decimal(0)),
                "returned_amount": -sum((row["amount"] for row in returns), Decimal(0)),
                "net_amount": sum((row["amount"] for row in group), Decimal(0)),
                "first_sold_at": min((row["sold_at"] for row in sales), default=None),
                "last_sold_at": max((row["sold_at"] for row in sales), default=None),
                "visits": begun([*earlier, *rows], day, customer, {"sale", "return"}, reach),
                "first_visit_at": min((row["sold_at"] for row in [*sales, *returns]), default=None),
                "last_visit_at": max((row["sold_at"] for row in [*sales, *returns]), default=None),
            }
        )
    assert found == expected


def lines_of(invoice: str, customer: str, *offsets: int, kind: str = "sale") -> list[Row]:
    """One line of an invoice on each of some days."""
    common = {**LINE, "amount": Decimal(5), "line_kind": kind, "invoice_id": invoice, "customer_id": customer}
    return [{**common, "sold_at": datetime(2011, 3, 5, 23, 59) + timedelta(n)} for n in offsets]


@pytest.mark.parametrize("batches", [[[0, 1, 2, 40]], [[0], [1], [2], [40]], [[0, 1], [2, 40]]])
def test_an_order_over_midnight_or_by_dispatch_is_one_however_its_days_are_made(
    engine: DuckDB, batches: list[list[int]]
):
    every = [*lines_of("1", "over midnight", 0, 1), *lines_of("2", "by dispatch", 0, 2, 40)]
    every += lines_of("1", "another customer with the number", 1)
    orders: dict[str, list[int]] = defaultdict(list)
    for batch in batches:
        dates = {DAY + timedelta(n) for n in batch}
        rows = [row for row in every if row["sold_at"].date() in dates]
        earlier = [row for row in every if row["sold_at"].date() < min(dates)]
        for row in summed(engine, rows, earlier):
            orders[row["customer_id"]].append(row["orders"])
    # 38 days are more than 31
    assert orders == {
        "over midnight": [1, 0], "by dispatch": [1, 0, 1], "another customer with the number": [1],
    }  # fmt: skip


# rfm_features

D0 = date(2011, 1, 1)


@st.composite
def customer_days(draw: st.DrawFn) -> list[Row]:
    keys = draw(st.sets(st.tuples(st.integers(0, 40), st.sampled_from(["1", "2", "3"])), max_size=20))
    rows = []
    for offset, customer in sorted(keys):
        day = D0 + timedelta(offset)
        sold, came_back = draw(st.sampled_from([(True, True), (True, False), (False, True), (False, False)]))
        orders = draw(st.integers(0, 3)) if sold else 0  # the invoice of a sale may have begun before
        gross = draw(cents) if sold else Decimal(0)
        returned = draw(cents) if came_back else Decimal(0)
        hours = sorted((draw(st.integers(0, 23)), draw(st.integers(0, 23))))
        first, last = (datetime(day.year, day.month, day.day, hour) for hour in hours)
        visited = sold or came_back
        rows.append(
            {
                "date": day,
                "customer_id": customer,
                "orders": orders,
                "lines": orders + 1,
                "units": Decimal(orders),
                "gross_amount": gross,
                "returned_amount": returned,
                "net_amount": gross - returned,
                "first_sold_at": first if sold else None,
                "last_sold_at": last if sold else None,
                "visits": draw(st.integers(orders, 4)) if visited else 0,
                "first_visit_at": first if visited else None,
                "last_visit_at": last if visited else None,
            }
        )
    return rows


def features(
    engine: DuckDB,
    rows: list[Row],
    snapshots: Sequence[date],
    window: int | None,
    net: bool = True,
    returns_are_visits: bool = False,
    everybody: bool = False,
) -> list[Row]:
    engine.keep(
        "feature_changes",
        "feature_changes",
        {"customer_days": table("customer_days", rows, ("date", pa.date32()))},
        window_days=window,
        first=min(snapshots),
        through=max(snapshots),
        returns_are_visits=returns_are_visits,
        everybody=everybody,
    )
    days = pa.table({"snapshot_date": pa.array(snapshots, pa.date32())})
    found = engine.run(
        "rfm_features", {"snapshots": days}, net_of_returns=net, returns_are_visits=returns_are_visits
    )
    found.select(TABLES["rfm_features"].names).cast(TABLES["rfm_features"].arrow)
    result: list[Row] = found.to_pylist()
    return result


def expected_features(
    rows: list[Row], day: date, window: int | None, net: bool, returns_are_visits: bool, everybody: bool
) -> Iterator[Row]:
    for customer in sorted({row["customer_id"] for row in rows}):
        past = [row for row in rows if row["customer_id"] == customer and row["date"] <= day]
        bought = [row for row in past if row["first_sold_at"]]
        came = [row for row in past if row["first_visit_at"]]
        if not (came if everybody else bought):
            continue
        recent = [row for row in past if window is None or (day - row["date"]).days < window]
        active = [row for row in recent if row["first_visit_at" if returns_are_visits else "first_sold_at"]]
        begun = sum(row["visits" if returns_are_visits else "orders"] for row in recent)
        frequency = max(begun, 1 if active else 0)
        counted = came if returns_are_visits else bought or came
        gross = sum((row["gross_amount"] for row in recent), Decimal(0))
        amounts = [row["net_amount" if net else "gross_amount"] for row in recent]
        yield {
            "snapshot_date": day,
            "customer_id": customer,
            "recency_days": (day - max(row["date"] for row in counted)).days,
            "frequency": frequency,
            "monetary": sum(amounts, Decimal(0)),
            "avg_order_value": round(gross / frequency, 4) if frequency else None,
            "tenure_days": (day - min(row["date"] for row in counted)).days,
            "active_days": len(active),
            "first_sold_at": min((row["first_sold_at"] for row in bought), default=None),
            "last_sold_at": max((row["last_sold_at"] for row in bought), default=None),
        }


@settings(max_examples=30, deadline=None)
@given(
    customer_days(),
    st.sets(st.integers(0, 60), min_size=1, max_size=4),
    st.sampled_from([None, 1, 7, 30]),
    st.tuples(st.booleans(), st.booleans(), st.booleans()),
)
def test_features_of_several_days_at_once_are_what_python_makes_of_the_days_before_each(
    engine: DuckDB, rows: list[Row], offsets: set[int], window: int | None, chosen: tuple[bool, bool, bool]
):
    snapshots = [D0 + timedelta(offset) for offset in sorted(offsets)]
    found = features(engine, rows, snapshots, window, *chosen)
    expected = [row for day in snapshots for row in expected_features(rows, day, window, *chosen)]
    # a quotient that ends in exactly half a unit may go either way
    for ours, theirs in zip(found, expected, strict=True):
        value, wanted = ours.pop("avg_order_value"), theirs.pop("avg_order_value")
        assert (value is None) == (wanted is None)
        assert value is None or abs(value - wanted) <= Decimal("0.0001")
    assert found == expected


def one_day(offset: int, gross: str, customer: str = "1") -> Row:
    day = D0 + timedelta(offset)
    at = datetime(day.year, day.month, day.day, 12)
    amounts = {"gross_amount": Decimal(gross), "returned_amount": Decimal(0), "net_amount": Decimal(gross)}
    return {
        "date": day, "customer_id": customer, "orders": 1, "lines": 1, "units": Decimal(1), **amounts,
        "first_sold_at": at, "last_sold_at": at, "visits": 1, "first_visit_at": at, "last_visit_at": at,
    }  # fmt: skip


def test_a_window_of_n_days_ends_with_the_snapshot_and_counts_n_days(engine: DuckDB):
    rows = [one_day(0, "5"), one_day(7, "3")]
    assert [row["monetary"] for row in features(engine, rows, [D0 + timedelta(7)], 7)] == [3]
    assert [row["monetary"] for row in features(engine, rows, [D0 + timedelta(7)], 8)] == [8]


def test_who_bought_nothing_in_the_window_stays_with_frequency_zero(engine: DuckDB):
    (row,) = features(engine, [one_day(0, "5")], [D0 + timedelta(30)], 7)
    assert (row["recency_days"], row["frequency"], row["monetary"], row["avg_order_value"]) == (
        30,
        0,
        0,
        None,
    )


def test_who_only_brought_goods_back_is_no_customer_yet(engine: DuckDB):
    returned = {**one_day(0, "0"), "orders": 0, "returned_amount": Decimal(5), "net_amount": Decimal(-5)}
    returned |= {"first_sold_at": None, "last_sold_at": None}
    assert features(engine, [returned], [D0], None) == []
    found = features(engine, [returned], [D0 + timedelta(3)], None, everybody=True)
    figures = ("recency_days", "tenure_days", "frequency", "monetary", "avg_order_value", "first_sold_at")
    assert [tuple(row[name] for name in figures) for row in found] == [(3, 3, 0, -5, None, None)]


def test_returns_are_visits_when_the_shop_says_so(engine: DuckDB):
    returned = {**one_day(3, "0"), "orders": 0, "returned_amount": Decimal(4), "net_amount": Decimal(-4)}
    returned |= {"first_sold_at": None, "last_sold_at": None}
    rows = [one_day(0, "4"), returned, {**returned, "customer_id": "2"}]
    figures = ("customer_id", "recency_days", "tenure_days", "frequency", "monetary", "avg_order_value")
    found = features(engine, rows, [D0 + timedelta(4)], None, returns_are_visits=True, everybody=True)
    assert [tuple(row[name] for name in figures) for row in found] == [
        ("1", 1, 4, 2, 0, 2),
        ("2", 1, 1, 1, -4, 0),
    ]
    buyers = features(engine, rows, [D0 + timedelta(4)], None, returns_are_visits=True)
    assert [row["customer_id"] for row in buyers] == ["1"]


def test_who_has_sales_in_the_window_of_an_invoice_begun_before_it_has_not_lapsed(engine: DuckDB):
    rows = [one_day(0, "5"), {**one_day(3, "7"), "orders": 0, "visits": 0}]
    (row,) = features(engine, rows, [D0 + timedelta(4)], 2)
    assert (row["frequency"], row["active_days"], row["monetary"], row["avg_order_value"]) == (1, 1, 7, 7)
    (row,) = features(engine, rows, [D0 + timedelta(4)], 5)
    assert (row["frequency"], row["active_days"], row["monetary"], row["avg_order_value"]) == (1, 2, 12, 12)


# segment_assignments


Moment = tuple[str, date, str, str]  # moment, day, customer, segment


def of_moments(moments: Sequence[Moment]) -> pa.Table:
    return pa.Table.from_pylist([dict(zip(OF_MOMENTS.names, m, strict=True)) for m in moments], OF_MOMENTS)


def assigned(
    engine: DuckDB,
    day: date,
    now: dict[str, str],
    before: dict[str, tuple[str, date]],
    given: Sequence[Moment] = (),
    near: Sequence[Moment] = (),
) -> list[Row]:
    own = [
        {"snapshot_date": day, "customer_id": c, "segment": s, "score": 1.0, "reason": "because"}
        for c, s in now.items()
    ]
    kinds = {"snapshot_date": pa.date32(), "score": pa.float64()}
    names = ("snapshot_date", "customer_id", "segment", "score", "reason")
    schema = pa.schema([(name, kinds.get(name, pa.string())) for name in names])
    previous = [
        {
            "customer_id": c,
            "segment": s,
            "segment_since": since,
            "reason": "",
            "model_month": "",
            "raw_segment": s,
        }
        for c, (s, since) in before.items()
    ]
    found = engine.run(
        "segment_assignments",
        {
            "assigned": pa.Table.from_pylist(own, schema=schema),
            "previous": table("segment_assignments", previous),
            "given": of_moments(given),
            "near": of_moments(near),
        },
        month_close=date(2011, 3, 31),
        model_month="2011-03",
    )
    found.drop_columns(["snapshot_date"]).cast(TABLES["segment_assignments"].arrow)
    rows: list[Row] = found.to_pylist()
    return rows


@pytest.mark.parametrize(
    ("day", "stayed", "moved", "new"),
    [
        (date(2011, 3, 31), date(2011, 1, 31), date(2011, 3, 31), date(2011, 3, 31)),
        (date(2011, 3, 15), date(2011, 1, 31), None, None),
    ],
    ids=["month close", "any other day"],
)
def test_a_spell_in_a_segment_starts_at_a_month_close_and_lasts_while_the_segment_does(
    engine: DuckDB, day: date, stayed: date, moved: date | None, new: date | None
):
    since = date(2011, 1, 31)
    rows = assigned(
        engine, day, {"3": "A", "1": "A", "2": "A"}, {"1": ("A", since), "2": ("B", since), "9": ("A", since)}
    )
    assert [(r["customer_id"], r["previous_segment"], r["segment_since"]) for r in rows] == [
        ("1", "A", stayed), ("2", "B", moved), ("3", None, new),
    ]  # fmt: skip
    assert {row["model_month"] for row in rows} == {"2011-03"}


CLOSED, TODAY = date(2011, 2, 28), date(2011, 3, 15)
STOOD_A, STOOD_B = ("close", CLOSED, "1", "A"), ("close", CLOSED, "1", "B")
NEAR_A = ("day", TODAY, "1", "A")
ORDERED_C = ("order", TODAY, "1", "C")


@pytest.mark.parametrize(
    ("given", "near", "segment"),
    [
        pytest.param([STOOD_A], [], "B", id="far from it today"),
        pytest.param([STOOD_A], [NEAR_A], "A", id="near it today"),
        pytest.param([STOOD_B], [NEAR_A], "B", id="the new model moved him at the close"),
        pytest.param([STOOD_B], [STOOD_A, NEAR_A], "A", id="near it at the close, too"),
        pytest.param([STOOD_A, ORDERED_C], [NEAR_A], "B", id="an order moved him away"),
        pytest.param(
            [STOOD_A, ORDERED_C], [("day", TODAY, "1", "C")], "C", id="near where an order moved him"
        ),
        pytest.param(
            [STOOD_A, ORDERED_C], [("order", TODAY, "1", "A"), NEAR_A], "A", id="an order did not move him"
        ),
    ],
)
def test_who_stood_in_a_segment_stays_while_features_near_his_give_it(
    engine: DuckDB, given: list[Moment], near: list[Moment], segment: str
):
    (row,) = assigned(engine, TODAY, {"1": "B"}, {"1": ("A", CLOSED)}, given, near)
    assert (row["segment"], row["raw_segment"], row["previous_segment"]) == (segment, "B", "A")
    stays = f"still {segment}, as its border is near; the figures alone say B: because"
    assert row["reason"] == ("because" if segment == "B" else stays)
    assert row["segment_since"] == (CLOSED if segment == "A" else None)


def test_before_the_first_month_close_nobody_has_a_previous_segment(engine: DuckDB):
    (row,) = assigned(engine, date(2011, 3, 15), {"1": "A"}, {})
    assert (row["previous_segment"], row["segment_since"]) == (None, None)


# campaign_lists


def listed(
    engine: DuckDB,
    candidates: Mapping[str, float | None] | pa.Table,
    suppressed: Sequence[str | None] = (),
    campaign: str = "delight",
    salt: str = "retail_pipeline",
    holdout: float = 0.1,
    below: str | None = None,
) -> list[Row]:
    if not isinstance(candidates, pa.Table):
        candidates = of_segment([D0] * len(candidates), [*candidates], [*candidates.values()])
    found = engine.run(
        "campaign_lists",
        {
            "candidates": candidates,
            "suppressed": pa.table({"customer_id": pa.array(suppressed, pa.string())}),
        },
        campaign=campaign,
        salt=salt,
        control_below=below or control_below(holdout),
        channel="phone",
    )
    found.drop_columns(["snapshot_date"]).cast(TABLES["campaign_lists"].arrow)
    rows: list[Row] = found.to_pylist()
    return rows


def of_segment(days: list[date], customers: list[str], values: list[float | None]) -> pa.Table:
    """Customers of one segment, with the values that they are ranked by."""
    return pa.table(
        {
            "snapshot_date": pa.array(days, pa.date32()),
            "customer_id": pa.array(customers, pa.string()),
            "segment": pa.array(["DELIGHT"] * len(days), pa.string()),
            "reason": pa.array(["because"] * len(days), pa.string()),
            "offer": pa.array(["gift"] * len(days), pa.string()),
            "rank_value": pa.array(values, pa.float64()),
        }
    )


def on(day: date, rows: pa.Table) -> pa.Table:
    return rows.append_column("snapshot_date", pa.array([day] * len(rows), pa.date32()))


def test_each_day_has_ranks_of_its_own(engine: DuckDB):
    two = [D0, D0 + timedelta(1)]
    rows = listed(engine, of_segment(two * 2, ["2", "2", "1", "1"], [2.0, 2.0, 3.0, 3.0]))
    ranked = [(row["snapshot_date"], row["rank"], row["customer_id"]) for row in rows]
    assert ranked == [(day, rank, customer) for day in two for rank, customer in ((1, "1"), (2, "2"))]


MANY = {str(12_000 + n): float(n % 97) for n in range(20_000)}


def controls(rows: list[Row]) -> set[str]:
    return {row["customer_id"] for row in rows if row["arm"] == "control"}


@pytest.mark.parametrize("holdout", [0, 0.05, 0.1, 0.5])
def test_the_control_arm_is_about_the_holdout(engine: DuckDB, holdout: float):
    share = len(controls(listed(engine, MANY, holdout=holdout))) / len(MANY)
    assert abs(share - holdout) <= 4 * (holdout * (1 - holdout) / len(MANY)) ** 0.5
    assert control_below(1 - 1e-12) == "g"


@pytest.mark.parametrize(("below", "arm"), [("6ae37b94", "treatment"), ("6ae37b95", "control")])
def test_the_arm_of_a_customer_is_fixed_for_all_time(engine: DuckDB, below: str, arm: str):
    """The md5 of ``17850|delight|retail_pipeline`` starts with 6ae37b94."""
    assert [row["arm"] for row in listed(engine, {"17850": 1.0}, below=below)] == [arm]


def test_a_customer_keeps_the_arm_whoever_else_is_on_the_list_and_loses_it_with_the_salt(engine: DuckDB):
    everyone = controls(listed(engine, MANY))
    some = dict(list(MANY.items())[::3])
    assert controls(listed(engine, dict.fromkeys(some, -1.0))) == everyone & some.keys()
    assert controls(listed(engine, MANY, salt="other")) != everyone
    assert controls(listed(engine, MANY, campaign="other")) != everyone


def test_the_highest_value_comes_first_ties_by_id_and_the_unknown_last(engine: DuckDB):
    values = {"2": 5.0, "10": 5.0, "3": 9.0, "4": None, "1": float("nan"), "5": -1.0, "6": float("inf")}
    rows = listed(engine, values)
    assert [(row["rank"], row["customer_id"]) for row in rows] == list(
        enumerate(["3", "10", "2", "5", "1", "4", "6"], 1)
    )


def test_who_objected_is_on_no_list_and_ranks_have_no_gap(engine: DuckDB):
    rows = listed(engine, {"1": 3.0, "2": 2.0, "3": 1.0}, suppressed=["2", None, "007"])
    assert [(row["rank"], row["customer_id"]) for row in rows] == [(1, "1"), (2, "3")]
    assert listed(engine, {"1": 1.0}, suppressed=["1"]) == []


def test_candidates_are_those_of_the_campaigns_segments_with_its_ranking(engine: DuckDB):
    campaign = Campaign(
        segments=("A", "Can't Lose"), offer="gift", rank_by="ln(monetary) + coalesce(score, 0)"
    )
    assignments = [
        {
            "customer_id": str(n),
            "segment": segment,
            "score": None,
            "reason": "",
            "model_month": "",
            "raw_segment": segment,
        }
        for n, segment in enumerate(["A", "B", "Can't Lose"])
    ]
    known = [
        {"customer_id": str(n), "recency_days": 1, "frequency": 1, "monetary": Decimal(money)}
        for n, money in enumerate(["1", "1", "-1"])
    ]
    inputs = {
        "segment_assignments": on(D0, table("segment_assignments", assignments)),
        "rfm_features": on(D0, table("rfm_features", known)),
    }
    rows = listed(engine, engine.run(candidates_sql(campaign, None), inputs))
    assert [(row["customer_id"], row["segment"]) for row in rows] == [("0", "A"), ("2", "Can't Lose")]


# restated_lists

LISTED: Row = {
    "segment": "DELIGHT", "arm": "treatment", "rank": 1, "offer": "gift", "channel": "phone",
    "reason": "because",
}  # fmt: skip


def compared(engine: DuckDB, restated: Mapping[str, Row], released: Mapping[str, Row]) -> list[Row]:
    def rows(of: Mapping[str, Row]) -> pa.Table:
        return table("campaign_lists", [{**LISTED, **row, "customer_id": name} for name, row in of.items()])

    found = engine.run("restated_lists", {"restated": rows(restated), "released": rows(released)})
    rows_found: list[Row] = found.cast(TABLES["restated_lists"].arrow).to_pylist()
    return rows_found


def test_a_restated_list_has_everyone_of_either_list_the_new_one_in_its_order_first(engine: DuckDB):
    rows = compared(
        engine, {"9": {"rank": 1}, "5": {"rank": 2}}, {"7": {"rank": 1}, "5": {"rank": 2}, "6": {"rank": 3}}
    )
    assert [(row["customer_id"], row["change"], row["rank"], row["released_rank"]) for row in rows] == [
        ("9", "added", 1, None),
        ("5", "same", 2, 2),
        ("7", "removed", None, 1),
        ("6", "removed", None, 3),
    ]
    assert rows[2] == {
        **dict.fromkeys(TABLES["restated_lists"].names),
        "customer_id": "7", "change": "removed", "released_segment": "DELIGHT", "released_arm": "treatment",
        "released_rank": 1,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("now", "change"),
    [
        ({"segment": "RETAIN"}, "changed"),
        ({"arm": "control"}, "changed"),
        ({"rank": 2}, "changed"),
        ({"offer": "call"}, "changed"),
        ({"channel": "letter"}, "changed"),
        ({"reason": "one day more"}, "same"),
    ],
    ids=lambda value: str(*value) if isinstance(value, dict) else "",
)
def test_a_customer_is_the_same_if_nothing_but_the_reason_is_another(engine: DuckDB, now: Row, change: str):
    (row,) = compared(engine, {"1": now}, {"1": {}})
    assert (row["change"], row["released_rank"], row["reason"]) == (change, 1, now.get("reason", "because"))

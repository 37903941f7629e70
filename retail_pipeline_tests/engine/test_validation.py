"""Each way in which a table can be wrong is found, in its partition, with its count and masked samples."""

from __future__ import annotations

import subprocess
import sys
import warnings
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlglot import exp

from retail_pipeline.engine import validation
from retail_pipeline.engine.duckdb import DuckDB
from retail_pipeline.engine.validation import Failure, _columns, _unexpected, failures
from retail_pipeline.lake.slices import together
from retail_pipeline.tables import TABLES
from retail_pipeline.tables.expectations import Expectation, Rules

Row = dict[str, Any]
at = datetime.fromisoformat

DAYS = ("2011-12-08", "2011-12-09", "2011-12-10")
MIDDLE = DAYS[1]
ENGINE = DuckDB(duckdb.connect())

GOOD: dict[str, Row] = {
    "landed_files": {
        "source_id": "0123456789abcdef",
        "path": "2011-12-09.csv",
        "size_bytes": 100,
        "sha256": "0123456789abcdef" * 4,
        "profile": "uci",
        "encoding": "utf-8",
        "rows_read": 10,
        "rows_accepted": 8,
        "rows_rejected": 2,
        "rows_left_out": 0,
        "first_day": date(2011, 12, 9),
        "last_day": date(2011, 12, 9),
        "days_touched": [date(2011, 12, 9)],
    },
    "transactions": {
        "source_id": "0123456789abcdef",
        "source_row": 1,
        "source_system": "uci",
        "invoice_id": "581587",
        "product_id": "22138",
        "description": "BAKING SET",
        "quantity": Decimal("3"),
        "unit_price": Decimal("4.95"),
        "amount": Decimal("14.85"),
        "sold_at": at("2011-12-09 12:50"),
        "customer_id": "12680",
        "country": "France",
        "currency": "GBP",
        "line_kind": "sale",
    },
    "customer_days": {
        "customer_id": "12680",
        "orders": 1,
        "lines": 2,
        "units": Decimal("3"),
        "gross_amount": Decimal("14.85"),
        "returned_amount": Decimal("4.95"),
        "net_amount": Decimal("9.90"),
        "first_sold_at": at("2011-12-09 12:50"),
        "last_sold_at": at("2011-12-09 12:50"),
        "visits": 2,
        "first_visit_at": at("2011-12-09 12:50"),
        "last_visit_at": at("2011-12-09 13:10"),
    },
    "rfm_features": {
        "customer_id": "12680",
        "recency_days": 2,
        "frequency": 2,
        "monetary": Decimal("20"),
        "avg_order_value": Decimal("10"),
        "tenure_days": 4,
        "active_days": 2,
        "first_sold_at": at("2011-12-05 09:00"),
        "last_sold_at": at("2011-12-07 23:59"),
    },
    "segment_assignments": {
        "customer_id": "12680",
        "segment": "RETAIN",
        "score": None,
        "reason": "2 orders worth 20",
        "previous_segment": None,
        "segment_since": None,
        "model_month": "2011-12",
        "raw_segment": "RETAIN",
    },
    "campaign_lists": {
        "customer_id": "12680",
        "segment": "RETAIN",
        "arm": "treatment",
        "rank": 1,
        "offer": "10 % off",
        "channel": "e-mail",
        "reason": "2 orders worth 20",
    },
}
RAW = {k: v for k, v in GOOD["transactions"].items() if k != "line_kind"}
GOOD["raw_transactions"] = {**RAW, "amount": None}
GOOD["rejected_rows"] = {**RAW, "reasons": ["zero_price"]}
GOOD["unreadable_rows"] = {
    "source_id": "0123456789abcdef",
    "source_row": 1,
    "reasons": ["quantity"],
    "payload": "a,b",
}


def in_days(name: str, rows: dict[str, list[Row]]) -> tuple[pa.Table, dict[str, str]]:
    """Rows of some days in one table with the day as a column, and the table's other hive keys."""
    table = TABLES[name]
    schema = pa.schema([field.with_nullable(True) for field in table.arrow])
    day, *others = table.partition_keys
    parts = {value: pa.Table.from_pylist(of_day, schema) for value, of_day in rows.items()}
    return together(parts, day), dict.fromkeys(others, "RETAIN")


def suite_of(name: str, **expected: Any) -> tuple[Expectation, ...]:
    return TABLES[name].suite(Rules("GBP", segments=("RETAIN", "Lapsed"), **expected))


def check(name: str, rows: list[Row], **expected: Any) -> list[Failure]:
    """The failures of one partition, checked together with one that holds a good row and one without rows."""
    good = {**GOOD[name], **({"sold_at": at("2011-12-08 09:00")} if "sold_at" in GOOD[name] else {})}
    if name == "rfm_features":
        good = {**good, "recency_days": 1, "tenure_days": 3}
    every, keys = in_days(name, {DAYS[0]: [good], MIDDLE: rows, DAYS[2]: []})
    found = failures(ENGINE, TABLES[name], suite_of(name, **expected), every, keys)
    assert set(found) <= {MIDDLE}
    return found.get(MIDDLE, [])


def objected(name: str, rows: list[Row]) -> dict[str, int]:
    """How many of the rows Great Expectations itself objects to, by what they break."""
    every, keys = in_days(name, {MIDDLE: rows})
    columns = [exp.alias_(e, c, quoted=True) for c, e in _columns(TABLES[name], suite_of(name)).items()]
    fixed = [exp.alias_(exp.Literal.string(value), key) for key, value in keys.items()]
    made = exp.select("*", *fixed).from_("every").subquery("made")
    with duckdb.connect() as connection:
        connection.register("every", every)
        frame = connection.sql(exp.select(*columns).from_(made).sql(dialect="duckdb")).df()
    assert len(frame) == len(every)
    return {e.states: len(positions) for e, positions in _unexpected(frame, suite_of(name))}


BROKEN = [
    ("landed_files", {"rows_rejected": 1}, "rows read are rows accepted, rows rejected and rows left out"),
    ("raw_transactions", {"unit_price": None}, "unit_price or amount is known"),
    ("raw_transactions", {"quantity": None}, "quantity is never null"),
    ("rejected_rows", {"sold_at": at("2011-12-10 00:00")}, "sold_at lies within the partition's day"),
    ("transactions", {"invoice_id": None}, "invoice_id is never null"),
    ("transactions", {"source_row": 0}, "source_row is at least 1"),
    ("transactions", {"currency": "EUR"}, "currency is GBP"),
    ("transactions", {"line_kind": "gift"}, "line_kind is sale or return or adjustment"),
    ("transactions", {"sold_at": at("2011-12-10 00:00")}, "sold_at lies within the partition's day"),
    (
        "transactions",
        {"quantity": Decimal(-3), "amount": Decimal("-14.85")},
        "the amount of a sale is not negative",
    ),
    ("transactions", {"line_kind": "return"}, "the amount of a return is not positive"),
    ("transactions", {"amount": Decimal("14.84")}, "amount is quantity x unit_price to half a cent"),
    (
        "transactions",
        {"quantity": Decimal(1_000_001), "unit_price": Decimal(0), "amount": Decimal(0)},
        "quantity is plausible (at most 1,000,000 either way)",
    ),
    ("customer_days", {"net_amount": Decimal("9.9001")}, "net_amount is gross_amount less returned_amount"),
    ("customer_days", {"orders": 3}, "a customer has no more orders than lines"),
    ("customer_days", {"last_sold_at": at("2011-12-09 12:49")}, "first_sold_at is not after last_sold_at"),
    ("customer_days", {"visits": 3}, "a customer has no more visits than lines"),
    ("customer_days", {"first_sold_at": None, "last_sold_at": None}, "a day with orders has a first sale"),
    ("customer_days", {"first_visit_at": None}, "a day with a first sale has a visit"),
    (
        "customer_days",
        {"returned_amount": Decimal("-4.95"), "net_amount": Decimal("19.80")},
        "returned_amount is at least 0",
    ),
    (
        "rfm_features",
        {"last_sold_at": at("2011-12-08 00:00")},
        "recency_days counts from the last sale to the snapshot, and nothing is known of later days",
    ),
    ("rfm_features", {"tenure_days": 1}, "recency_days is at most tenure_days"),
    ("rfm_features", {"active_days": 0}, "who has an active day has an order"),
    ("rfm_features", {"avg_order_value": Decimal(-1)}, "avg_order_value is at least 0"),
    ("rfm_features", {"avg_order_value": None}, "avg_order_value is null at frequency 0 and only there"),
    ("rfm_features", {"first_sold_at": at("2011-12-08 00:00")}, "first_sold_at is not after last_sold_at"),
    ("segment_assignments", {"segment": "VIP"}, "segment is one of Lapsed, RETAIN"),
    ("segment_assignments", {"segment_since": date(2011, 12, 31)}, "segment_since is not after the snapshot"),
    ("campaign_lists", {"arm": "placebo"}, "arm is treatment or control"),
]


@pytest.mark.parametrize(("name", "change", "states"), BROKEN, ids=[f"{n}: {s}" for n, _, s in BROKEN])
def test_a_broken_row_is_found_by_the_one_expectation_that_it_breaks(name: str, change: Row, states: str):
    (failure,) = check(name, [{**GOOD[name], **change}])
    assert failure.states == states
    assert failure.count == 1
    (sample,) = failure.samples
    assert set(change) & set(sample)


@pytest.mark.parametrize("name", GOOD)
def test_good_rows_break_nothing_and_a_key_may_occur_in_every_partition(name: str):
    assert check(name, [GOOD[name]]) == []
    assert {f.states: f.count for f in check(name, [GOOD[name]] * 2)} == objected(name, [GOOD[name]] * 2)


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(
        st.fixed_dictionaries(
            {
                "segment": st.sampled_from(["RETAIN", "Lapsed", "VIP", None]),
                "score": st.sampled_from([None, float("nan"), 0.5]),
                "rank": st.sampled_from([None, 0, 1, 2]),
                "customer_id": st.sampled_from(["1", "2", None]),
            }
        ),
        max_size=3,
    ),
    st.sampled_from(["segment_assignments", "campaign_lists"]),
)
def test_the_engine_counts_the_rows_that_great_expectations_objects_to(changes: list[Row], name: str):
    known = set(TABLES[name].names)
    rows = [{**GOOD[name], **{k: v for k, v in change.items() if k in known}} for change in changes]
    assert {f.states: f.count for f in check(name, rows)} == (objected(name, rows) if rows else {})


def test_a_customer_twice_on_a_list_and_a_shared_rank_are_both_found():
    row = GOOD["campaign_lists"]
    twice, shared = check("campaign_lists", [row, row])
    assert (twice.states, twice.count) == ("customer_id occur once in a partition", 2)
    assert (shared.states, shared.count) == ("no two customers of a list share a rank", 2)


def test_ranks_that_are_shared_by_customers_far_apart_are_found():
    rows = [{**GOOD["campaign_lists"], "customer_id": f"{n:03}", "rank": n % 50 + 1} for n in range(100)]
    (shared,) = check("campaign_lists", rows)
    assert (shared.states, shared.count) == ("no two customers of a list share a rank", 100)
    assert [sample["rank"] for sample in shared.samples] == ["1", "1", "2", "2", "3"]


def test_samples_hold_the_key_and_the_offending_value_and_mask_customers():
    (failure,) = check("campaign_lists", [{**GOOD["campaign_lists"], "offer": None}])
    assert failure == Failure(
        states="offer is never null",
        expectation="expect_column_values_to_not_be_null",
        column="offer",
        blocking=True,
        count=1,
        samples=[{"customer_id": "12***", "offer": "null"}],
    )


def test_all_broken_rows_are_counted_and_five_are_shown():
    rows = [{**GOOD["transactions"], "source_row": n, "currency": "EUR"} for n in range(1, 9)]
    (failure,) = check("transactions", rows)
    assert failure.count == 8
    assert [sample["source_row"] for sample in failure.samples] == ["1", "2", "3", "4", "5"]


def test_net_amounts_with_adjustments_are_not_held_against_sales():
    assert not check(
        "customer_days", [{**GOOD["customer_days"], "net_amount": Decimal(1)}], adjustments_in_net=True
    )


def test_a_unit_price_rounded_from_a_line_total_is_no_mismatch():
    third = {"quantity": Decimal(300), "unit_price": Decimal("0.3333"), "amount": Decimal(100)}
    assert check("transactions", [{**GOOD["transactions"], **third}]) == []


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.lists(st.sampled_from(["GBP", "EUR"]), max_size=4), min_size=1, max_size=len(DAYS)))
def test_failures_of_a_range_are_those_of_its_days(currencies: list[list[str]]):
    table = TABLES["transactions"]
    expectations = [e for e in table.suite(Rules("GBP")) if e.states == "currency is GBP"]
    days = dict(zip(DAYS, currencies, strict=False))
    rows, _ = in_days(
        "transactions",
        {
            d: [{**GOOD["transactions"], "source_row": n, "currency": c} for n, c in enumerate(of_day)]
            for d, of_day in days.items()
        },
    )
    found = failures(ENGINE, table, expectations, rows, {})
    assert {day: sum(f.count for f in failed) for day, failed in found.items()} == {
        day: of_day.count("EUR") for day, of_day in days.items() if "EUR" in of_day
    }


def test_a_suite_that_cannot_be_evaluated_is_an_error_and_not_a_failed_check():
    table = TABLES["transactions"]
    broken = Expectation(
        "sold_at is odd", "expect_column_values_to_be_between", {"column": "no_such", "min_value": 0}
    )
    rows, _ = in_days("transactions", {MIDDLE: [GOOD["transactions"]]})
    with pytest.raises(RuntimeError, match=r"no_such.*sold_at is odd"):
        failures(ENGINE, table, [broken], rows, {})


def test_an_expectation_whose_sql_is_stricter_than_its_words_is_an_error_and_not_a_failed_check(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(validation, "_broken", lambda expectation, columns: exp.true())
    rows, _ = in_days("transactions", {MIDDLE: [GOOD["transactions"]]})
    with pytest.raises(RuntimeError, match="finds nothing wrong with the rows of transactions"):
        failures(ENGINE, TABLES["transactions"], suite_of("transactions")[:1], rows, {})


def test_a_bad_day_among_many_rows_is_shown_by_a_few():
    rows, _ = in_days(
        "transactions",
        {MIDDLE: [{**GOOD["transactions"], "source_row": n, "currency": "EUR"} for n in range(1, 200_000)]},
    )
    asked: list[int] = []

    class Counting(DuckDB):
        def ask(self, *about: Any, **more: Any) -> pa.Table:
            answer = super().ask(*about, **more)
            asked.append(len(answer))
            return answer

    (failure,) = failures(
        Counting(ENGINE.connection), TABLES["transactions"], suite_of("transactions"), rows, {}
    )[MIDDLE]
    assert failure.count == 199_999
    assert max(asked) < 10


def test_warnings_and_their_filters_are_left_as_they_were():
    before = (warnings.filters[:], warnings.showwarning)
    assert check("campaign_lists", [GOOD["campaign_lists"]]) == []
    assert (warnings.filters[:], warnings.showwarning) == before


NO_FAULTS = """
import sys
from retail_pipeline_tests.engine.test_validation import GOOD, check
assert check("transactions", []) == check("transactions", [GOOD["transactions"]]) == []
assert "great_expectations" not in sys.modules
"""

NO_NETWORK = """
import sys
tried = []
sys.addaudithook(lambda event, _: tried.append(event) if event.startswith("socket.") else None)
from retail_pipeline_tests.engine.test_validation import GOOD, check
assert check("campaign_lists", [{**GOOD["campaign_lists"], "rank": 0}])
assert not {"socket.connect", "socket.getaddrinfo", "socket.sendto"} & set(tried), tried
"""


@pytest.mark.parametrize("program", [NO_FAULTS, NO_NETWORK], ids=["no faults", "no network"])
def test_in_a_fresh_process_it(program: str):
    """Without faults it does not pay for the import; with some, it speaks to no one, nor to the terminal."""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")

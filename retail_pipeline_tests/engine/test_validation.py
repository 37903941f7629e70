"""Each way in which a table can be wrong is found, in its partition, with its count and masked samples."""

from __future__ import annotations

import subprocess
import sys
import warnings
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from retail_pipeline.engine.validation import Failure, surely_hold, validate
from retail_pipeline.tables import TABLES
from retail_pipeline.tables.expectations import Expectation, Rules

Row = dict[str, Any]
at = datetime.fromisoformat

DAYS = ("2011-12-08", "2011-12-09", "2011-12-10")
MIDDLE = DAYS[1]

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


def partition_of(name: str, value: str) -> Any:
    keys = TABLES[name].partition_keys
    return value if len(keys) == 1 else (value, *["RETAIN"] * (len(keys) - 1))


def check(name: str, rows: list[Row], **expected) -> list[Failure]:
    """The failures of one partition, checked together with one that holds a good row and one without rows."""
    table = TABLES[name]
    schema = pa.schema([field.with_nullable(True) for field in table.arrow])
    shown = {value: partition_of(name, value) for value in DAYS}
    good = {**GOOD[name], **({"sold_at": at("2011-12-08 09:00")} if "sold_at" in GOOD[name] else {})}
    if name == "rfm_features":
        good = {**good, "recency_days": 1, "tenure_days": 3}
    found = validate(
        {
            shown[DAYS[0]]: pa.Table.from_pylist([good], schema),
            shown[MIDDLE]: pa.Table.from_pylist(rows, schema),
            shown[DAYS[2]]: pa.Table.from_pylist([], schema),
        },
        table,
        table.suite(Rules("GBP", segments=("RETAIN", "Lapsed"), **expected)),
    )
    assert list(found) == list(shown.values())
    assert not found[shown[DAYS[0]]]
    assert not found[shown[DAYS[2]]]
    return found[shown[MIDDLE]]


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


def surely_good(name: str, rows: list[Row]) -> bool:
    table = TABLES[name]
    schema = pa.schema([field.with_nullable(True) for field in table.arrow])
    partitions = {partition_of(name, MIDDLE): pa.Table.from_pylist(rows, schema)}
    return surely_hold(partitions, table, table.suite(Rules("GBP", segments=("RETAIN", "Lapsed"))))


@pytest.mark.parametrize("name", GOOD)
def test_of_good_rows_one_query_says_so_and_a_key_may_occur_in_every_partition(name: str):
    assert check(name, [GOOD[name]]) == []
    assert surely_good(name, [GOOD[name]])
    twice = [GOOD[name], GOOD[name]]
    assert surely_good(name, twice) == (check(name, twice) == [])


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
def test_what_the_query_clears_great_expectations_clears(changes: list[Row], name: str):
    known = set(TABLES[name].names)
    rows = [{**GOOD[name], **{k: v for k, v in change.items() if k in known}} for change in changes]
    if surely_good(name, rows):
        assert check(name, rows) == []


def test_a_customer_twice_on_a_list_and_a_shared_rank_are_both_found():
    row = GOOD["campaign_lists"]
    twice, shared = check("campaign_lists", [row, row])
    assert (twice.states, twice.count) == ("customer_id occur once in a partition", 2)
    assert (shared.states, shared.count) == ("no two customers of a list share a rank", 2)


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
    rows = {
        day: pa.Table.from_pylist(
            [{**GOOD["transactions"], "source_row": n, "currency": c} for n, c in enumerate(of_day)],
            table.arrow,
        )
        for day, of_day in zip(DAYS, currencies, strict=False)
    }
    found = validate(rows, table, expectations)
    assert {day: sum(f.count for f in failures) for day, failures in found.items()} == {
        day: of_day.count("EUR") for day, of_day in zip(DAYS, currencies, strict=False)
    }


def test_a_suite_that_cannot_be_evaluated_is_an_error_and_not_a_failed_check():
    table = TABLES["transactions"]
    broken = Expectation(
        "sold_at is odd", "expect_column_values_to_be_between", {"column": "no_such", "min_value": 0}
    )
    rows = {MIDDLE: pa.Table.from_pylist([GOOD["transactions"]], table.arrow)}
    with pytest.raises(RuntimeError, match=r"no_such.*sold_at is odd"):
        validate(rows, table, [broken])


def test_only_the_columns_that_the_suite_reads_are_needed():
    table = TABLES["transactions"]
    expectations = table.suite(Rules("GBP"))
    rows = pa.Table.from_pylist([GOOD["transactions"]], table.arrow).select(table.needed(expectations))
    assert validate({MIDDLE: rows}, table, expectations) == {MIDDLE: []}


def test_warnings_and_their_filters_are_left_as_they_were():
    before = (warnings.filters[:], warnings.showwarning)
    assert check("campaign_lists", [GOOD["campaign_lists"]]) == []
    assert (warnings.filters[:], warnings.showwarning) == before


NO_FAULTS = """
import sys
import pyarrow as pa
from retail_pipeline.tables.expectations import Rules
from retail_pipeline.tables import TABLES
from retail_pipeline.engine.validation import validate
table = TABLES["transactions"]
expectations = table.suite(Rules("GBP"))
from retail_pipeline_tests.engine.test_validation import GOOD, MIDDLE
for rows in (table.arrow.empty_table(), pa.Table.from_pylist([GOOD["transactions"]], table.arrow)):
    assert validate({MIDDLE: rows}, table, expectations) == {MIDDLE: []}
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

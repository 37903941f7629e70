"""The Great Expectations suite of every table, as data.

Belongs here: what must hold for the rows of a table, derived from ``schema.py`` where it can be, and how much
of a customer id may be shown. Does not belong here: running a suite (``engine/validation.py``), or anything
that no single row can break (row accounting, shares of a day).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import pyarrow as pa
import sqlglot
from sqlglot import exp

from retail_pipeline.core.schema import Table

SHOWN_CHARACTERS = 2
LARGEST_PLAUSIBLE_QUANTITY = 1_000_000


@dataclass(frozen=True)
class Expectation:
    """What must hold for every row of a table.

    ``states`` says in words what is true when it holds; ``type`` (one that judges row by row) and ``kwargs``
    are Great Expectations' own; if it is not ``blocking``, a failure is a warning. ``derived`` makes the
    columns of ``kwargs`` that the table lacks: each is a number or a truth value, in SQL (DuckDB's dialect)
    over the table's columns and hive keys as text, and null where nothing is expected of the row.
    """

    states: str
    type: str
    kwargs: Mapping[str, Any]
    blocking: bool = True
    derived: Mapping[str, str] = field(default_factory=dict)

    @property
    def domain(self) -> list[str]:
        """The columns it looks at: the table's or derived ones."""
        named = [self.kwargs[k] for k in ("column", "column_A", "column_B") if k in self.kwargs]
        return [*named, *self.kwargs.get("column_list", ())]

    @property
    def reads(self) -> list[str]:
        """The columns of the table (and hive keys) that it needs, each once."""
        below = {name: _columns_of(sql) for name, sql in self.derived.items()}
        return list(dict.fromkeys(c for name in self.domain for c in below.get(name, (name,))))


@cache
def _columns_of(sql: str) -> tuple[str, ...]:
    return tuple(c.name for c in sqlglot.parse_one(sql, read="duckdb").find_all(exp.Column))


def columns(table: Table, suite: Iterable[Expectation]) -> list[str]:
    """The columns of ``table`` that ``suite`` and the samples of its failures need, in file order."""
    needed = {*table.key, *(name for e in suite for name in e.reads)}
    return [name for name in table.names if name in needed]


def suite(
    table: Table,
    *,
    currency: str,
    segments: Collection[str] = (),
    adjustments_in_net: bool = False,
    returns_are_visits: bool = False,
) -> tuple[Expectation, ...]:
    """Everything that must hold for the rows of ``table``, partition by partition.

    ``currency`` is the lake's ISO 4217 code and ``segments`` the names a row may carry (none: any name). With
    ``adjustments_in_net`` a net amount counts adjustments, so it need not be sales less returns. With
    ``returns_are_visits`` recency counts from returns, too.
    """
    specific: tuple[Expectation, ...] = ()
    match table.name:
        case "landed_files":
            specific = _landed_files()
        case "raw_transactions" | "rejected_rows":
            specific = _raw_transactions()
        case "transactions":
            specific = _transactions(currency)
        case "customer_days":
            specific = _customer_days(adjustments_in_net)
        case "rfm_features":
            specific = _rfm_features(returns_are_visits)
        case "segment_assignments":
            specific = _segment_assignments(segments)
        case "campaign_lists":
            specific = _campaign_lists(table, segments)
        case "segment_profiles":
            specific = (*_known_segment(segments), _between("share is at most 1", "share", max_value=1))
        case "segment_migration":
            specific = _segment_migration(segments)
        case "cohort_retention":
            specific = _cohort_retention()
        case "sales_trends":
            specific = (_at_least("no more orders than invoices", "invoices", "orders"),)
        case "spend_distribution":
            specific = (
                _at_least("orders_to is at least orders_from", "orders_to", "orders_from"),
                _true("spend_to is above spend_from", "spend_to > spend_from"),
            )
    return (*_from_schema(table), *specific)


def mask(customer_id: str) -> str:
    """A customer id as it may be shown: ``17850`` is ``17***``, and of fewer than five characters none is."""
    shown = SHOWN_CHARACTERS if len(customer_id) > 2 * SHOWN_CHARACTERS else 0
    return customer_id[:shown] + "*" * (len(customer_id) - shown)


def _from_schema(table: Table) -> Iterable[Expectation]:
    for column in table.columns:
        if not column.nullable and not pa.types.is_list(column.type):
            yield Expectation(
                f"{column.name} is never null",
                "expect_column_values_to_not_be_null",
                {"column": column.name},
            )
        if column.values:
            yield _one_of(f"{column.name} is {' or '.join(column.values)}", column.name, column.values)
        if column.minimum is not None:
            yield _between(
                f"{column.name} is at least {column.minimum}", column.name, min_value=column.minimum
            )
    yield _unique(f"{' and '.join(table.key)} occur once in a partition", table, table.key)


def _landed_files() -> tuple[Expectation, ...]:
    return (
        _zero(
            "rows read are rows accepted, rows rejected and rows left out",
            "rows_unaccounted_for",
            "rows_read - rows_accepted - rows_rejected - rows_left_out",
        ),
    )


def _raw_transactions() -> tuple[Expectation, ...]:
    return (
        _sold_on_its_day(),
        _true("unit_price or amount is known", "coalesce(unit_price, amount) is not null"),
    )


def _transactions(currency: str) -> tuple[Expectation, ...]:
    return (
        _sold_on_its_day(),
        _one_of(f"currency is {currency}", "currency", (currency,)),
        _true("the amount of a sale is not negative", "line_kind <> 'sale' or amount >= 0"),
        _true("the amount of a return is not positive", "line_kind <> 'return' or amount <= 0"),
        # A unit price made from a line total is rounded to four decimals: the gap grows with the quantity.
        _true(
            "amount is quantity x unit_price to half a cent",
            "abs(amount - quantity * unit_price) <= 0.005 + abs(quantity) * 0.00005",
            blocking=False,
        ),
        _between(
            f"quantity is plausible (at most {LARGEST_PLAUSIBLE_QUANTITY:,} either way)",
            "quantity",
            min_value=-LARGEST_PLAUSIBLE_QUANTITY,
            max_value=LARGEST_PLAUSIBLE_QUANTITY,
            blocking=False,
        ),
    )


def _customer_days(adjustments_in_net: bool) -> tuple[Expectation, ...]:
    net = _zero(
        "net_amount is gross_amount less returned_amount",
        "amount_unaccounted_for",
        "net_amount - gross_amount + returned_amount",
    )
    return (
        _between("returned_amount is at least 0", "returned_amount", min_value=0),
        _at_least("a customer has no more orders than lines", "lines", "orders"),
        _at_least("a customer has no more visits than lines", "lines", "visits"),
        _first_before_last(),
        _true("a day with orders has a first sale", "orders = 0 or first_sold_at is not null"),
        _true("a day with a first sale has a visit", "first_sold_at is null or first_visit_at is not null"),
        *(() if adjustments_in_net else (net,)),
    )


def _rfm_features(returns_are_visits: bool) -> tuple[Expectation, ...]:
    since_last_sale = "date_diff('day', cast(last_sold_at as date), cast(snapshot_date as date))"
    recency = (
        _true(
            "recency_days is not above the days since the last sale, and nothing is known of later days",
            f"recency_days <= {since_last_sale}",
        )
        if returns_are_visits
        else _zero(
            "recency_days counts from the last sale to the snapshot, and nothing is known of later days",
            "recency_days_off",
            f"{since_last_sale} - recency_days",
        )
    )
    return (
        recency,
        _at_least("recency_days is at most tenure_days", "tenure_days", "recency_days"),
        _true("who has an active day has an order", "(frequency = 0) = (active_days = 0)"),
        _between("avg_order_value is at least 0", "avg_order_value", min_value=0),
        _true(
            "avg_order_value is null at frequency 0 and only there",
            "(frequency = 0) = (avg_order_value is null)",
        ),
        _first_before_last(),
    )


def _segment_assignments(segments: Collection[str]) -> tuple[Expectation, ...]:
    return (
        *_known_segment(segments),
        _true(
            "segment_since is not after the snapshot",
            "cast(segment_since as date) <= cast(snapshot_date as date)",
        ),
    )


def _campaign_lists(table: Table, segments: Collection[str]) -> tuple[Expectation, ...]:
    return (*_known_segment(segments), _unique("no two customers of a list share a rank", table, ("rank",)))


def _segment_migration(segments: Collection[str]) -> tuple[Expectation, ...]:
    return (
        *_known_segment(segments, "to_segment"),
        _zero(
            "who moved did so by behaviour or by the model, and nobody else is counted as moved",
            "moves_unaccounted_for",
            "by_behaviour + by_model "
            "- case when from_segment = 'New' or from_segment = to_segment then 0 else customers end",
        ),
    )


def _cohort_retention() -> tuple[Expectation, ...]:
    return (
        _at_least("a cohort has at least the customers who bought", "cohort_customers", "customers"),
        _true(
            "all of a cohort bought in its first month", "months_since > 0 or customers = cohort_customers"
        ),
    )


def _known_segment(segments: Collection[str], column: str = "segment") -> tuple[Expectation, ...]:
    known = tuple(sorted(segments))
    return (_one_of(f"{column} is one of {', '.join(known)}", column, known),) if known else ()


def _sold_on_its_day() -> Expectation:
    return _true("sold_at lies within the partition's day", "cast(sold_at as date) = cast(date as date)")


def _first_before_last() -> Expectation:
    return _true("first_sold_at is not after last_sold_at", "first_sold_at <= last_sold_at")


def _true(states: str, condition: str, *, blocking: bool = True) -> Expectation:
    kwargs = {"column": states, "value_set": [1]}
    return Expectation(states, "expect_column_values_to_be_in_set", kwargs, blocking, {states: condition})


def _zero(states: str, name: str, difference: str) -> Expectation:
    kwargs = {"column": name, "min_value": 0, "max_value": 0}
    return Expectation(states, "expect_column_values_to_be_between", kwargs, derived={name: difference})


def _between(states: str, column: str, *, blocking: bool = True, **limits: int) -> Expectation:
    return Expectation(states, "expect_column_values_to_be_between", {"column": column, **limits}, blocking)


def _one_of(states: str, column: str, values: Collection[str]) -> Expectation:
    kwargs = {"column": column, "value_set": list(values)}
    return Expectation(states, "expect_column_values_to_be_in_set", kwargs)


def _at_least(states: str, larger: str, smaller: str) -> Expectation:
    kwargs = {
        "column_A": larger,
        "column_B": smaller,
        "or_equal": True,
        "ignore_row_if": "either_value_is_missing",
    }
    return Expectation(states, "expect_column_pair_values_a_to_be_greater_than_b", kwargs)


def _unique(states: str, table: Table, key: tuple[str, ...]) -> Expectation:
    kwargs = {"column_list": [*table.partition_keys, *key]}
    return Expectation(states, "expect_compound_columns_to_be_unique", kwargs)

"""What must hold for the rows of a table, as data: Great Expectations' expectations, and SQL below them.

Does not belong here: running a suite (``engine/validation.py``), or what no single row can break, such as row
accounting and a day's shares.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import sqlglot
from sqlglot import exp

LARGEST_PLAUSIBLE_QUANTITY = 1_000_000


@dataclass(frozen=True)
class Rules:
    """What settings and the lake say of what must hold.

    ``currency`` is the lake's ISO 4217 code and ``segments`` the names a row may carry (none: any name). With
    ``adjustments_in_net`` a net amount counts adjustments, so it need not be sales less returns. With
    ``returns_are_visits`` recency counts from returns, too.
    """

    currency: str
    segments: Collection[str] = ()
    adjustments_in_net: bool = False
    returns_are_visits: bool = False


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


def known_segment(segments: Collection[str], column: str = "segment") -> tuple[Expectation, ...]:
    known = tuple(sorted(segments))
    return (one_of(f"{column} is one of {', '.join(known)}", column, known),) if known else ()


def sold_on_its_day() -> Expectation:
    return true("sold_at lies within the partition's day", "cast(sold_at as date) = cast(date as date)")


def first_before_last() -> Expectation:
    return true("first_sold_at is not after last_sold_at", "first_sold_at <= last_sold_at")


def true(states: str, condition: str, *, blocking: bool = True) -> Expectation:
    """A condition in SQL that is true or null for every row."""
    kwargs = {"column": states, "value_set": [1]}
    return Expectation(states, "expect_column_values_to_be_in_set", kwargs, blocking, {states: condition})


def zero(states: str, name: str, difference: str) -> Expectation:
    """A difference in SQL that is 0 or null for every row; it is called by a name."""
    kwargs = {"column": name, "min_value": 0, "max_value": 0}
    return Expectation(states, "expect_column_values_to_be_between", kwargs, derived={name: difference})


def between(states: str, column: str, *, blocking: bool = True, **limits: int) -> Expectation:
    return Expectation(states, "expect_column_values_to_be_between", {"column": column, **limits}, blocking)


def one_of(states: str, column: str, values: Collection[str]) -> Expectation:
    kwargs = {"column": column, "value_set": list(values)}
    return Expectation(states, "expect_column_values_to_be_in_set", kwargs)


def at_least(states: str, larger: str, smaller: str) -> Expectation:
    kwargs = {
        "column_A": larger,
        "column_B": smaller,
        "or_equal": True,
        "ignore_row_if": "either_value_is_missing",
    }
    return Expectation(states, "expect_column_pair_values_a_to_be_greater_than_b", kwargs)


def never_null(column: str) -> Expectation:
    return Expectation(f"{column} is never null", "expect_column_values_to_not_be_null", {"column": column})


def at_least_minimum(column: str, minimum: int) -> Expectation:
    return between(f"{column} is at least {minimum}", column, min_value=minimum)


def unique(states: str, columns: Collection[str]) -> Expectation:
    """No two rows agree in all of these columns (hive keys among them)."""
    return Expectation(states, "expect_compound_columns_to_be_unique", {"column_list": list(columns)})

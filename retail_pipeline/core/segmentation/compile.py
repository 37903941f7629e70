"""How a fitted segmentation becomes one SQL query that DuckDB runs and sqlglot carries to other warehouses.

Belongs here: the pieces every method builds its query from, and the frame all share (who is active, who has
lapsed). Does not belong here: what a method asks of them. Values enter as sqlglot literals, never as text;
numbers become text only through decimals and integers, because engines print doubles differently.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import sqlglot
from sqlglot import exp

from retail_pipeline.core.segmentation.fitted import NUMERIC_ID

DIALECT = "duckdb"
LAPSED = "Lapsed"

Sql: TypeAlias = exp.Expression


def sql(template: str, **parts: Sql) -> Sql:
    """DuckDB SQL whose ``:name`` placeholders are replaced by expressions."""
    return exp.replace_placeholders(sqlglot.parse_one(template, dialect=DIALECT), **parts)


def text(value: str) -> Sql:
    """A string literal, quoted by each dialect's own rules."""
    return exp.Literal.string(value)


def integer(value: int) -> Sql:
    """An integer literal."""
    return exp.Literal.number(value)


def double(value: float) -> Sql:
    """A literal of type double: without the cast a warehouse reads 0.1 as a decimal."""
    return exp.cast(exp.Literal.number(repr(float(value))), "double")


def joined(*parts: Sql | str) -> Sql:
    """Texts put one after the other."""
    first, *rest = [text(part) if isinstance(part, str) else part for part in parts]
    for part in rest:
        first = exp.DPipe(this=first, expression=part)
    return first


def choose(branches: Sequence[tuple[Sql, Sql]], otherwise: Sql | None = None) -> Sql:
    """The value of the first branch whose condition holds; without ``otherwise`` one must."""
    case = exp.Case()
    for condition, value in branches:
        case = case.when(condition, value, copy=False)
    if otherwise is None:
        return case
    return case.else_(otherwise, copy=False) if branches else otherwise


def pick(column: str, values: Mapping[str, Sql]) -> Sql:
    """The value that belongs to the name in ``column``; the last stands for all names not listed."""
    *named, (_, last) = values.items()
    return choose([(exp.column(column).eq(text(name)), value) for name, value in named], last)


def least(columns: Sequence[Sql]) -> Sql:
    """The smallest of the columns; Spark refuses LEAST of one."""
    first, *rest = columns
    return exp.Least(this=first, expressions=rest, ignore_nulls=True) if rest else first


def counted(column: str, unit: str) -> Sql:
    """An integer column in words: '1 order', '7 orders'."""
    return sql(
        "cast(:column as varchar) || case when :column = 1 then :one else :many end",
        column=exp.column(column),
        one=text(f" {unit}"),
        many=text(f" {unit}s"),
    )


def money(column: str) -> Sql:
    """A money column as text with two decimals."""
    return sql("cast(cast(:column as decimal(18, 2)) as varchar)", column=exp.column(column))


def described(feature: str) -> Sql:
    """A customer's value of a feature as a phrase of a sentence."""
    phrases = {
        "recency_days": joined(counted("recency_days", "day"), " since last order"),
        "frequency": counted("frequency", "order"),
        "monetary": joined("monetary ", money("monetary")),
    }
    return phrases[feature]


def by_customer(column: str) -> Sql:
    """The rank of each row, from 1, by the column; ties by ascending customer_id, numbers as numbers."""
    return sql(
        """row_number() over (order by :column,
            case when regexp_matches(customer_id, :numeric) then try_cast(customer_id as bigint) end
            nulls last, customer_id)""",
        column=exp.column(column),
        numeric=text(NUMERIC_ID),
    )


def stage(source: str, columns: Mapping[str, Sql]) -> Sql:
    """Everything in ``source`` and some columns more."""
    return exp.select("*", *(exp.alias_(value, name) for name, value in columns.items())).from_(source)


def statement(stages: Mapping[str, Sql], segment: Sql, score: Sql, reason: Sql) -> str:
    """One query over ``rfm_features``: ``customer_id, segment, score, reason``, every customer once.

    The first stage reads ``active``, the customers with an order in the window, each later one the stage
    before; the three expressions are evaluated over the last.
    """
    scored = sql(
        "select customer_id, :segment as segment, :score as score, :reason as reason",
        segment=segment,
        score=score,
        reason=reason,
    ).from_(list(stages)[-1])
    active = sql(
        "select customer_id, recency_days, frequency, monetary from rfm_features where frequency > 0",
    )
    query = exp.union(scored, _lapsed(), distinct=False, copy=False)
    for name, body in {"active": active, **stages}.items():
        query = query.with_(name, as_=body)
    return _written(query)


def nobody() -> str:
    """The query of a model fitted on no customer: it knows those who lapsed and leaves out the others."""
    return _written(_lapsed())


def _lapsed() -> Sql:
    return sql(
        """select customer_id, :lapsed as segment, cast(null as double) as score, :reason as reason
           from rfm_features where frequency = 0""",
        lapsed=text(LAPSED),
        reason=joined("no order in the window; last bought ", counted("recency_days", "day"), " ago"),
    )


def _written(query: Sql) -> str:
    return str(query.sql(dialect=DIALECT, pretty=True))

"""How a fitted segmentation becomes one SQL query that DuckDB runs and sqlglot carries to other warehouses.

Values enter as sqlglot literals, never as text; numbers become text only through decimals and integers,
because engines print doubles differently. Where no engine is at hand, ``evaluated`` computes the same
expressions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache, reduce
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import sqlglot
from sqlglot import exp

from retail_pipeline.segmentation.fitted import NUMERIC_ID, Array, Snapshot

DIALECT = "duckdb"
# The dialects whose queries the tests run, and those whose queries they only parse again.
EXECUTED = (DIALECT, "spark", "postgres")
DIALECTS = (*EXECUTED, "snowflake", "bigquery", "trino")
LAPSED = "Lapsed"

Sql: TypeAlias = exp.Expression
Stages: TypeAlias = Mapping[str, exp.Select]

_OPERATORS: Mapping[type[Sql], np.ufunc] = {
    exp.Add: np.add, exp.Sub: np.subtract, exp.Mul: np.multiply, exp.Div: np.divide,
    exp.EQ: np.equal, exp.NEQ: np.not_equal, exp.GT: np.greater, exp.GTE: np.greater_equal, exp.LT: np.less,
    exp.LTE: np.less_equal, exp.And: np.logical_and, exp.Or: np.logical_or,
}  # fmt: skip


@cache
def _parsed(template: str) -> Sql:
    return sqlglot.parse_one(template, dialect=DIALECT)


def sql(template: str, **parts: Sql) -> Sql:
    """DuckDB SQL whose ``:name`` placeholders are replaced by expressions."""
    return exp.replace_placeholders(_parsed(template), **parts)


def text(value: str) -> Sql:
    """A string literal, quoted by each dialect's own rules."""
    return exp.Literal.string(value)


def integer(value: int) -> Sql:
    """An integer literal."""
    return exp.Literal.number(value)


def double(value: float) -> Sql:
    """A literal of type double: without the cast a warehouse reads 0.1 as a decimal."""
    return as_double(exp.Literal.number(repr(float(value))))


def as_double(value: Sql) -> Sql:
    """The value as a double."""
    return exp.Cast(this=value, to=exp.DataType(this=exp.DataType.Type.DOUBLE))


def joined(*parts: Sql | str) -> Sql:
    """Texts, none of them null, put one after the other in one call: a chain of || copies at every step."""
    pieces: list[Sql] = []
    for part in parts:
        piece = text(part) if isinstance(part, str) else part
        for inner in piece.expressions if isinstance(piece, exp.Concat) else [piece]:
            if inner.is_string and pieces and pieces[-1].is_string:
                pieces[-1] = text(pieces[-1].name + inner.name)
            else:
                pieces.append(inner)
    return exp.Concat(expressions=pieces, safe=True, coalesce=True) if len(pieces) > 1 else pieces[0]


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
    one = exp.column(column).eq(integer(1))
    return joined(whole(column), choose([(one, text(f" {unit}"))], text(f" {unit}s")))


def whole(column: str) -> Sql:
    """An integer column as text."""
    return sql("cast(:column as varchar)", column=exp.column(column))


def money(column: str) -> Sql:
    """A money column as text with two decimals."""
    return sql("cast(cast(:column as decimal(18, 2)) as varchar)", column=exp.column(column))


def described(feature: str) -> Sql:
    """A customer's value of a feature as a phrase of a sentence."""
    match feature:
        case "recency_days":
            return joined("last order ", ago("recency_days"))
        case "frequency":
            return joined(counted(feature, "order"), often())
        case "avg_order_value":
            return joined(money(feature), " an order")
    return joined("spent ", money(feature))


def ago(column: str) -> Sql:
    """An integer column of days in words: 'today', '1 day ago', '16 days ago'."""
    return choose(
        [(exp.column(column).eq(integer(0)), text("today"))], joined(counted(column, "day"), " ago")
    )


def often() -> Sql:
    """How often a customer orders, after the number of orders: ', one every 3 weeks'; nothing if on one day.

    It is the own ``gap`` where ``own_gap`` is true.
    """
    gap = exp.column("gap")
    branches = [(exp.column("own_gap").not_(), text("")), (gap < double(1.5), text(", one a day"))]
    for upto, days, unit in ((14.0, 1.0, "days"), (61.0, 7.0, "weeks"), (1e9, 30.4375, "months")):
        number = sql("cast(cast(floor(:gap / :days + 0.5) as bigint) as varchar)", gap=gap, days=double(days))
        branches.append((gap < double(upto), joined(", one every ", number, f" {unit}")))
    return choose(branches, text(""))


def scored(best: Mapping[str, int]) -> list[Sql | str]:
    """The columns ``<feature>_score`` as phrases: 'last order 66 days ago (3 of 5); 4 orders (4 of 5), …'.

    ``best`` has the highest score of each feature, recency first.
    """
    parts: list[Sql | str] = []
    for feature, of in best.items():
        value = counted("frequency", "order") if feature == "frequency" else described(feature)
        parts += ["; " if len(parts) == 5 else ", ", value, " (", whole(f"{feature}_score"), f" of {of})"]
    return parts[1:]


def stepped(steps: Sequence[Sql], falling: bool, lowest: int) -> Sql:
    """How many of the conditions hold, each of which implies those before it, counted from ``lowest``.

    ``falling``: counted down from the highest. It is one CASE from the last condition on.
    """
    scores = [integer(lowest + i) for i in range(len(steps) + 1)]
    if falling:
        scores.reverse()
    return choose(list(zip(steps, scores[1:], strict=True))[::-1], scores[0])


def by_customer(column: str) -> Sql:
    """The rank of each row, from 1, by the column; ties by ascending customer_id, numbers as numbers."""
    return sql(
        """row_number() over (order by :column,
            case when regexp_matches(customer_id, :numeric) then try_cast(customer_id as bigint) end
            nulls last, customer_id)""",
        column=exp.column(column),
        numeric=text(NUMERIC_ID),
    )


def stage(source: str, columns: Mapping[str, Sql]) -> exp.Select:
    """Everything in ``source`` and some columns more."""
    named = (exp.alias_(value, name, copy=False) for name, value in columns.items())
    return exp.select("*", *named, copy=False).from_(source, copy=False)


def statement(stages: Stages, segment: Sql, score: Sql, reason: Sql) -> str:
    """One query over ``rfm_features``: ``customer_id, segment, score, reason``, every customer once.

    The first stage reads ``active``, the customers with an order in the window, each later one the stage
    before; the three expressions are evaluated over the last.
    """
    scored = sql(
        "select customer_id, :segment as segment, :score as score, :reason as reason",
        segment=segment,
        score=score,
        reason=reason,
    ).from_(list(stages)[-1], copy=False)
    active = sql(
        """select customer_id, recency_days, frequency, monetary, avg_order_value, tenure_days, active_days
           from rfm_features where frequency > 0""",
    )
    query = exp.union(scored, _lapsed(), distinct=False, copy=False)
    for name, body in {"active": active, **stages}.items():
        query = query.with_(name, as_=body, copy=False)
    return _written(query)


def nobody() -> str:
    """The query of a model fitted on no customer: it knows those who lapsed and leaves out the others."""
    return _written(_lapsed())


def evaluated(stages: Stages, customers: Snapshot) -> Callable[[Sql], npt.NDArray[Any]]:
    """What an expression over the last of the stages gives for each of the customers, without an engine.

    It knows what segments are made of: arithmetic, comparisons, CASE, IN, LEAST and ranks.
    """
    columns = {
        column.alias: column.this for body in stages.values() for column in body.expressions if column.alias
    }
    count = len(customers.values)

    @cache
    def named(column: str) -> Array:
        return value(columns[column]) if column in columns else customers.feature(column)

    def value(node: Sql) -> Any:
        match node:
            case exp.Column():
                return named(node.name)
            case exp.Literal():
                return node.name if node.is_string else int(node.name) if node.is_int else float(node.name)
            case exp.Boolean():
                return node.this
            case exp.Case():
                found = value(node.args["default"]) if node.args.get("default") else None
                for branch in reversed(node.args["ifs"]):
                    found = np.where(value(branch.this), value(branch.args["true"]), found)
                return found
            case exp.In():
                return np.isin(value(node.this), [value(each) for each in node.expressions])
            case exp.Least():
                return reduce(np.minimum, map(value, (node.this, *node.expressions)))
            case exp.Window(this=exp.RowNumber()):
                rank = np.empty(count, dtype=np.int64)
                order = value(node.args["order"].expressions[0].this)
                rank[np.argsort(order, kind="stable")] = np.arange(1, count + 1)
                return rank
            case exp.Window():
                return count
            case exp.Paren() | exp.Cast() | exp.Alias():
                return value(node.this)
            case exp.Neg():
                return -value(node.this)
            case exp.Floor():
                return np.floor(value(node.this))
        return _OPERATORS[type(node)](value(node.this), value(node.expression))

    return lambda node: np.broadcast_to(value(node), count)


def in_dialect(query: str, dialect: str) -> str:
    """A query of ``statement`` in one of ``DIALECTS``, giving the same segments, scores and reasons there.

    Raises ValueError for any other dialect.
    """
    if dialect not in DIALECTS:
        raise ValueError(
            f"there is no dialect {dialect!r} to write SQL in; take one of {', '.join(DIALECTS)}"
        )
    if dialect == DIALECT:
        return query
    tree = sqlglot.parse_one(query, dialect=DIALECT).transform(_as_in_duckdb, dialect, copy=False)
    return str(tree.sql(dialect=dialect, pretty=True))


def of_each_day(query: str) -> str:
    """A query of ``statement`` over the snapshots of many days.

    Both its ``rfm_features`` and its result have the column snapshot_date.
    """
    return _written(_with_keys(query, "snapshot_date"))


def of_each_moment(query: str) -> str:
    """The segments alone that a query of ``statement`` gives: each of a customer, moment and day once.

    Its ``rfm_features`` have the columns moment and snapshot_date, and any number of rows a customer.
    """
    keys = ("moment", "snapshot_date")
    segments = exp.select(*keys, "customer_id", "segment").distinct()
    return _written(segments.from_(_with_keys(query, *keys).subquery("every_one")))


def _with_keys(query: str, *keys: str) -> Any:
    tree = sqlglot.parse_one(query, dialect=DIALECT)
    columns = [exp.column(key) for key in keys]
    for node in list(tree.find_all(exp.Select, exp.Window)):
        if isinstance(node, exp.Window):
            node.set("partition_by", [column.copy() for column in columns])
        elif not node.is_star:
            node.select(*columns, copy=False)
    return tree


def _as_in_duckdb(node: Sql, dialect: str) -> Sql:
    """The node such that the dialect gives what DuckDB gives."""
    match node:
        case exp.Concat():
            # nothing that is put together is null, and all of it is text
            node.set("coalesce", False)
            node.set("safe", False)
        case exp.Least() | exp.Greatest():
            node.set("ignore_nulls", None)
        case exp.TryCast():
            # Snowflake tries to cast nothing but text; only text is cast so here.
            node.set("requires_string", True)
        case exp.CTE() if dialect == "postgres":
            # Else its planner writes each stage out wherever the next one names it, thousandfold in the end.
            node.set("materialized", True)
        case exp.Ordered() if dialect == "postgres" and node.this.name == "customer_id":
            # Its databases sort texts by the rules of a language.
            node.set("this", exp.Collate(this=node.this, expression=exp.to_identifier("C", quoted=True)))
        case exp.Cast(this=exp.Cast() as money) if dialect == "bigquery" and money.is_type("decimal"):
            # Its numbers know no scale of their own: 3802.10 would be written as 3802.1.
            rounded = exp.func("round", exp.cast(money.this, "decimal"), money.to.expressions[1].this)
            return exp.func("format", text(f"%.{money.to.expressions[1].name}f"), rounded)
    return node


def _lapsed() -> Sql:
    return sql(
        """select customer_id, :lapsed as segment, cast(null as double) as score, :reason as reason
           from rfm_features where frequency = 0""",
        lapsed=text(LAPSED),
        reason=joined("no order in the window; last seen ", counted("recency_days", "day"), " ago"),
    )


def _written(query: Sql) -> str:
    return str(query.sql(dialect=DIALECT, pretty=True))

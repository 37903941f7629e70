"""Asks the engine which rows break an expectation, and Great Expectations about those rows.

One statement over all partitions says whether anything is suspicious. Great Expectations is the judge of what
is: its import takes seconds, so that good rows never pay for it, and it sees a few rows a partition.
"""

from __future__ import annotations

import logging
import os
import warnings
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import sqlglot
from sqlglot import exp

from retail_pipeline.engine import Engine, Input
from retail_pipeline.planning.masking import mask
from retail_pipeline.tables.expectations import Expectation
from retail_pipeline.tables.table import Table

if TYPE_CHECKING:
    import pandas as pd

CHECKED, PARTITION, PLACE, COPIES = "checked_rows", "_partition", "_place", "_copies"
UNIQUE = "expect_compound_columns_to_be_unique"


@dataclass(frozen=True)
class Failure:
    """An expectation that some rows of a partition do not meet.

    ``column`` names the columns it reads, ``count`` is the number of rows, and ``samples`` are the first of
    them: their key and those columns as text, customer ids masked; ``of`` says what is counted.
    """

    states: str
    expectation: str
    column: str
    blocking: bool
    count: int
    samples: list[dict[str, str]]
    of: str = "rows"


def counted(
    states: str, count: int, blocking: bool, samples: Sequence[dict[str, str]] = (), of: str = "rows"
) -> list[Failure]:
    """What was found by counting rather than by an expectation: nothing when the count is 0."""
    return [Failure(states, "", "", blocking, count, list(samples), of)] if count else []


def failures(
    engine: Engine,
    table: Table,
    suite: Sequence[Expectation],
    rows: Input,
    keys: Mapping[str, str],
    samples: int = 5,
) -> Mapping[str, list[Failure]]:
    """What breaks ``suite`` in rows of a table, by its first hive key; where all holds there is no entry.

    ``keys``: the hive keys that are the same for all rows; the others are columns of them.

    Raises:
        RuntimeError: the suite cannot be evaluated, or the engine and Great Expectations disagree; names the
            expectation. That is a fault of the suite, not of the data.
    """
    found = defaultdict[str, list[Failure]](list)
    fixed = [exp.alias_(exp.Literal.string(value), key) for key, value in keys.items()]
    every = exp.select("*", *fixed).from_(CHECKED).subquery("made")
    columns = _columns(table, suite)
    broken = {e.states: _broken(e, columns) for e in suite}

    def asked(query: exp.Select) -> pa.Table:
        return engine.ask(query.sql(dialect="duckdb"), {CHECKED: rows})

    if not any(len(asked(query)) for query in _doubts(every, suite, broken)):
        return found
    for expectation in suite:
        suspects = _suspects(every, expectation, broken[expectation.states])
        partition = exp.alias_(exp.cast(exp.column(table.partition_keys[0]), "varchar"), PARTITION)
        counts = exp.select(partition, exp.alias_("count(*)", "n")).from_(suspects).group_by("1")
        tally = {row[PARTITION]: row["n"] for row in asked(counts.order_by("1")).to_pylist()}
        if tally:
            evidence = asked(_evidence(suspects, expectation, table, columns, samples + 1))
            judged = _judged(evidence, expectation, table, samples)
            for value, count in tally.items():
                if not judged.get(value):
                    raise RuntimeError(
                        f"Great Expectations finds nothing wrong with the rows of {table.name} that break "
                        f"{expectation.states!r}: the declaration and its SQL disagree. Correct them."
                    )
                found[value].append(
                    Failure(
                        expectation.states, expectation.type, ", ".join(expectation.reads),
                        expectation.blocking, count, judged[value],
                    )
                )  # fmt: skip
    return found


def _columns(table: Table, suite: Sequence[Expectation]) -> dict[str, exp.Expression]:
    """The columns, hive keys and derived columns by name, as pandas would hold them.

    Decimals, which would be Python objects there, become floats; the derived columns are made before. What
    is no number is null.
    """
    found: dict[str, exp.Expression] = {}
    for name in (*table.names, *table.partition_keys):
        found[name] = exp.column(name, quoted=True)
    for field in table.arrow:
        if pa.types.is_floating(field.type):
            nan = exp.cast(exp.Literal.string("nan"), "double")
            found[field.name] = exp.func("nullif", found[field.name], nan)
        elif pa.types.is_decimal(field.type):
            found[field.name] = exp.cast(found[field.name], "double")
    derived = {name: sql for expectation in suite for name, sql in expectation.derived.items()}
    return found | {name: exp.cast(_parsed(sql).copy(), "double") for name, sql in derived.items()}


def _doubts(
    rows: exp.Expression, suite: Sequence[Expectation], broken: Mapping[str, exp.Expression | None]
) -> list[exp.Select]:
    """Queries that give no row where everything holds."""
    anything = exp.select("1").from_(rows).limit(1)
    doubts = [
        anything.group_by(*map(_named, e.domain)).having("count(*) > 1") for e in suite if e.type == UNIQUE
    ]
    conditions = [condition for condition in broken.values() if condition]
    return [anything.where(exp.or_(*conditions)), *doubts] if conditions else doubts


def _suspects(rows: exp.Expression, expectation: Expectation, broken: exp.Expression | None) -> exp.Subquery:
    """All rows that break an expectation."""
    if broken is not None:
        return exp.select("*").from_(rows).where(broken).subquery("suspects")
    copies = exp.Window(this=exp.Count(this=exp.Star()), partition_by=[*map(_named, expectation.domain)])
    counted = exp.select("*", exp.alias_(copies, COPIES)).from_(rows).subquery("counted")
    return exp.select("*").from_(counted).where(f"{COPIES} > 1").subquery("suspects")


def _evidence(
    suspects: exp.Subquery,
    expectation: Expectation,
    table: Table,
    columns: Mapping[str, exp.Expression],
    most: int,
) -> exp.Select:
    """The first suspicious rows of each partition: what is shown of them, and what is judged.

    Rows that agree where none may stand together, so that two of them are among the first.
    """
    together = expectation.domain if expectation.type == UNIQUE else []
    partition, order = exp.column(table.partition_keys[0]), map(_named, [*together, *table.key])
    place = exp.Window(
        this=exp.RowNumber(),
        partition_by=[partition],
        order=exp.Order(expressions=[exp.Ordered(this=column) for column in order]),
    )
    first = exp.select("*", exp.alias_(place, PLACE)).from_(suspects).subquery("placed")
    shown = dict.fromkeys([*_shown(expectation, table), *expectation.domain])
    known = [exp.alias_(columns[name].copy(), name, quoted=True) for name in shown if name in columns]
    value = exp.alias_(exp.cast(partition, "varchar"), PARTITION)
    return exp.select(value, *known).from_(first).where(f"{PLACE} <= {most}").order_by(PARTITION, PLACE)


def _judged(
    evidence: pa.Table, expectation: Expectation, table: Table, samples: int
) -> dict[str, list[dict[str, str]]]:
    """By partition, the first rows that Great Expectations objects to, as they are shown."""
    frame = evidence.to_pandas(date_as_object=False)
    found: dict[str, list[dict[str, str]]] = {}
    for _, positions in _unexpected(frame, [expectation]):
        for value, rows in frame.loc[positions].groupby(PARTITION, sort=False):
            first = rows.loc[:, _shown(expectation, table)].head(samples).astype(object)
            shown = first.where(first.notna(), None).to_dict("records")
            found[str(value)] = [_sample(row, table) for row in shown]
    return found


def _shown(expectation: Expectation, table: Table) -> list[str]:
    return list(dict.fromkeys([*table.key, *(c for c in expectation.reads if c in table.names)]))


def _named(name: str) -> exp.Column:
    return exp.column(name, quoted=True)


def _sample(row: Mapping[Any, Any], table: Table) -> dict[str, str]:
    return {
        column: "null" if value is None else mask(str(value)) if column in table.personal else str(value)
        for column, value in row.items()
    }


@cache
def _parsed(sql: str) -> exp.Expression:
    return sqlglot.parse_one(sql, read="duckdb")


def _broken(expectation: Expectation, expressions: Mapping[str, exp.Expression]) -> exp.Expression | None:
    """A condition that holds for every row that breaks the expectation, if it judges row by row."""
    limits, names = expectation.kwargs, expectation.domain
    if not expressions.keys() >= set(names):
        return exp.true()
    value = expressions[names[0]].copy()
    match expectation.type:
        case "expect_compound_columns_to_be_unique":
            return None
        case "expect_column_values_to_not_be_null":
            return exp.Is(this=value, expression=exp.null())
        case "expect_column_values_to_be_in_set":
            return exp.not_(value.isin(*limits["value_set"]))
        case "expect_column_values_to_be_between":
            bounds = [value >= limits["min_value"]] if "min_value" in limits else []
            bounds += [value <= limits["max_value"]] if "max_value" in limits else []
            return exp.not_(exp.and_(*bounds))
        case "expect_column_pair_values_a_to_be_greater_than_b" if limits["or_equal"]:
            return value < expressions[names[1]]
    return exp.true()


def _unexpected(frame: pd.DataFrame, suite: Sequence[Expectation]) -> Iterator[tuple[Expectation, list[int]]]:
    with _great_expectations() as gx:
        context = gx.get_context(mode="ephemeral")
        context.variables.progress_bars = {"globally": False}
        batch = (
            context.data_sources.add_pandas("partitions")
            .add_dataframe_asset("rows")
            .add_batch_definition_whole_dataframe("all")
            .get_batch({"dataframe": frame})
        )
        configured = [
            {"type": e.type, "kwargs": dict(e.kwargs), "meta": {"position": position}}
            for position, e in enumerate(suite)
        ]
        outcome = batch.validate(
            gx.ExpectationSuite(name="suite", expectations=configured),
            # Of a row we need its position alone. Index columns, values and a query would be made row by row:
            # minutes, and more memory than the frame, when a whole range is wrong.
            result_format={
                "result_format": "COMPLETE",
                "exclude_unexpected_values": True,
                "return_unexpected_index_query": False,
            },
        )
    for result in outcome.results:
        expectation = suite[result.expectation_config.meta["position"]]
        if problem := _exception(result.exception_info):
            raise RuntimeError(
                f"Great Expectations could not evaluate {expectation.type} {dict(expectation.kwargs)} "
                f"({expectation.states!r}): {problem}. Correct the expectation in the table's declaration."
            )
        if rows := result.result["unexpected_index_list"]:
            yield expectation, rows


def _exception(info: Mapping[str, Any]) -> str | None:
    """The message in an ``exception_info``, which holds one, or one for each metric that broke."""
    each = [info] if "raised_exception" in info else list(info.values())
    return next((str(one["exception_message"]) for one in each if one["raised_exception"]), None)


@contextmanager
def _great_expectations() -> Iterator[Any]:
    """Great Expectations, imported late because it takes seconds; no telemetry, none of its own logging."""
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    logger = logging.getLogger("great_expectations")
    level, show = logger.level, warnings.showwarning
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logger.setLevel(logging.CRITICAL)
        try:
            import great_expectations as gx

            if warnings.showwarning is not show:
                logging.captureWarnings(False)
            yield gx
        finally:
            logger.setLevel(level)

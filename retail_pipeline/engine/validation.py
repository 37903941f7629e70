"""Runs an expectation suite over many partitions at once with Great Expectations and says which of them fail.

Great Expectations is the judge, but it is asked only when one query finds rows that could break an
expectation: its import takes seconds, and pandas frames of a year of snapshots cost more than making them.
"""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

import duckdb
import pyarrow as pa
import sqlglot
from sqlglot import exp

from retail_pipeline.lake.slices import rises
from retail_pipeline.planning.masking import mask
from retail_pipeline.tables.expectations import Expectation
from retail_pipeline.tables.table import Table

if TYPE_CHECKING:
    import pandas as pd

Partition = TypeVar("Partition", str, tuple[str, str], tuple[str, ...])
"""The hive value of a partition; a tuple, in the order of the table's keys, where there is more than one."""


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


def validate(
    partitions: Mapping[Partition, pa.Table], table: Table, suite: Sequence[Expectation], samples: int = 5
) -> dict[Partition, list[Failure]]:
    """Run ``suite`` once over all ``partitions`` of ``table``; return the failures of each, in its order.

    The Arrow tables need hold only ``table.needed(suite)``. A partition that meets every expectation, or
    has no rows, has an empty list. Raises RuntimeError, naming the expectation, when Great Expectations
    cannot evaluate it: that is a fault of the suite, not of the data.
    """
    by_values = {_values(partition): partition for partition in partitions}
    failures: dict[Partition, list[Failure]] = {partition: [] for partition in partitions}
    if not any(map(len, partitions.values())) or surely_hold(partitions, table, suite):
        return failures
    frame = _frame(_together(partitions, table, suite), suite)
    keys = list(table.partition_keys)
    for expectation, positions in _unexpected(frame, suite):
        for values, rows in frame.loc[positions].groupby(keys, sort=False, observed=True):
            failures[by_values[values]].append(_failure(expectation, table, rows, samples))
    return failures


def _values(partition: str | tuple[str, ...]) -> tuple[Any, ...]:
    return partition if isinstance(partition, tuple) else (partition,)


def _failure(expectation: Expectation, table: Table, rows: pd.DataFrame, samples: int) -> Failure:
    shown = list(dict.fromkeys([*table.key, *(c for c in expectation.reads if c in table.names)]))
    first = rows.loc[:, shown].head(samples).astype(object)
    return Failure(
        expectation.states,
        expectation.type,
        ", ".join(expectation.reads),
        expectation.blocking,
        len(rows),
        [_sample(row, table) for row in first.where(first.notna(), None).to_dict("records")],
    )


def _sample(row: Mapping[Any, Any], table: Table) -> dict[str, str]:
    return {
        column: "null" if value is None else mask(str(value)) if column in table.personal else str(value)
        for column, value in row.items()
    }


def _together(
    partitions: Mapping[Partition, pa.Table], table: Table, suite: Sequence[Expectation]
) -> pa.Table:
    names = table.needed(suite)
    pieces = []
    for partition, rows in partitions.items():
        piece = rows.select(names)
        for key, value in zip(table.partition_keys, _values(partition), strict=True):
            piece = piece.append_column(key, pa.repeat(value, len(rows)))
        pieces.append(piece)
    return pa.concat_tables(pieces)


def _expressions(rows: pa.Table, suite: Sequence[Expectation]) -> dict[str, exp.Expression]:
    """The columns and derived columns of ``rows`` by name.

    Decimals, which pandas would hold as Python objects, become floats; the derived columns are made before.
    What is no number is null, as it is for pandas.
    """
    found: dict[str, exp.Expression] = {name: exp.column(name, quoted=True) for name in rows.column_names}
    floats = {f.name: found[f.name] for f in rows.schema if pa.types.is_floating(f.type)}
    found |= {
        name: exp.func("nullif", value, exp.cast(exp.Literal.string("nan"), "double"))
        for name, value in floats.items()
    }
    derived = {name: sql for expectation in suite for name, sql in expectation.derived.items()}
    numbers = {f.name: found[f.name] for f in rows.schema if pa.types.is_decimal(f.type)}
    numbers |= {name: _parsed(sql).copy() for name, sql in derived.items()}
    return found | {name: exp.cast(value, "double") for name, value in numbers.items()}


@cache
def _parsed(sql: str) -> exp.Expression:
    return sqlglot.parse_one(sql, read="duckdb")


def surely_hold(partitions: Mapping[Partition, pa.Table], table: Table, suite: Sequence[Expectation]) -> bool:
    """True when no row can break an expectation; false when only Great Expectations can tell."""
    rows = _together(partitions, table, suite)
    expressions = _expressions(rows, suite)
    broken = [_broken(expectation, expressions) for expectation in suite]
    anything = exp.select(exp.Literal.number(1)).from_("rows").limit(1)
    queries = [anything.where(exp.or_(*(condition for condition in broken if condition)))]
    for expectation in suite:
        if expectation.type == "expect_compound_columns_to_be_unique":
            own = [name for name in expectation.domain if name not in table.partition_keys]
            if not all(rises(each, own) for each in partitions.values()):
                key = [exp.column(name, quoted=True) for name in expectation.domain]
                queries.append(anything.group_by(*key).having("count(*) > 1"))
    with _over(rows) as connection:
        return not any(connection.execute(query.sql(dialect="duckdb")).fetchall() for query in queries)


@cache
def _session() -> duckdb.DuckDBPyConnection:
    return duckdb.connect()  # opening one takes as long as looking at 300,000 rows


@contextmanager
def _over(rows: pa.Table) -> Iterator[duckdb.DuckDBPyConnection]:
    session = _session()
    session.register("rows", rows)
    try:
        yield session
    finally:
        session.unregister("rows")


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


def _frame(rows: pa.Table, suite: Sequence[Expectation]) -> pd.DataFrame:
    selected = [exp.alias_(e, name, quoted=True) for name, e in _expressions(rows, suite).items()]
    with _over(rows) as connection:
        arrow = connection.sql(exp.select(*selected).from_("rows").sql(dialect="duckdb")).to_arrow_table()
    frame: pd.DataFrame = arrow.to_pandas(
        strings_to_categorical=True, date_as_object=False, split_blocks=True, self_destruct=True
    )
    return frame


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

"""The engine for a cluster: the same statements, carried to Spark's dialect and run through Spark Connect.

The server reads the lake's Parquet files itself, so the lake must lie under the same path for it.

Patterns in settings become Java's regular expressions. RE2, which DuckDB uses, and Java agree on
literals, classes such as ``[A-Z0-9]`` and ``\\d``, groups, alternatives, repetition, ``^`` and ``(?i)``
for ASCII: keep to those. They differ in ``$`` before a final line break, POSIX classes such as
``[[:alpha:]]``, ``&&`` and ``[`` inside a class, and what only Java knows (look-around, back-references,
``a++``). Capitals of letters that have none of one letter (ligatures, Greek with iota subscript) differ
too; of these only ß is mended.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import sqlglot
from sqlglot import exp
from sqlglot.optimizer.annotate_types import annotate_types

from retail_pipeline.engine import MOST_ROWS, EngineError, Input, Target, bounded
from retail_pipeline.lake.partitions import Lake, write_partitions
from retail_pipeline.planning.manifests import Manifest
from retail_pipeline.tables import text_of
from retail_pipeline.tables.table import Table

SECONDS_TO_CONNECT = 60
# All that Unicode calls a space separator: what DuckDB trims, where Spark trims U+0020 alone.
SPACES = (
    "\u0020\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000"
)


@dataclass(frozen=True)
class Spark:
    """A Spark Connect session: see ``engine.Engine``."""

    session: Any

    def keep(self, name: str, sql: str, inputs: Mapping[str, Input], **parameters: Any) -> None:
        with _named_errors():
            rows = self._rows(sql, inputs, parameters)
            self.session.catalog.dropTempView(name)
            rows.createOrReplaceTempView(name)
            self.session.catalog.cacheTable(name)

    def ask(
        self, sql: str, inputs: Mapping[str, Input] | None = None, most: int = MOST_ROWS, **parameters: Any
    ) -> pa.Table:
        with _named_errors():
            answer = self._rows(sql, inputs or {}, parameters).limit(most + 1)
            return bounded(_collected(answer), most, sql)

    def make(self, lake: Lake, table: Table, kept: str, targets: Sequence[Target]) -> list[Manifest]:
        """As ``Engine.make``; the rows pass this process, a partition at a time."""

        def rows(target: Target) -> pa.Table:
            with _named_errors():
                every = self.session.table(kept)
                key = every[table.partition_keys[0]] if target.day else None
                return _collected(every if key is None else every.where(key == target.day))

        return write_partitions(lake, table, ((t.keys, rows(t), t.inputs, t.facts) for t in targets))

    def run(self, sql: str, inputs: Mapping[str, Input] | None = None, **parameters: Any) -> pa.Table:
        with _named_errors():
            return _collected(self._rows(sql, inputs or {}, parameters))

    def _rows(self, sql: str, inputs: Mapping[str, Input], parameters: Mapping[str, Any]) -> Any:
        for name, data in inputs.items():
            self._frame(data).createOrReplaceTempView(name)
        text, used = to_spark(text_of(sql))
        return self.session.sql(text, args={name: parameters[name] for name in used})

    def _frame(self, data: Input) -> Any:
        match data:
            case str():
                return self.session.table(data)
            case pa.Table():
                return self._table(data)
        return self._files(data)

    def _table(self, rows: pa.Table) -> Any:
        from pyspark.sql.pandas.types import from_arrow_schema

        return self.session.createDataFrame(rows, schema=from_arrow_schema(rows.schema))

    def _files(self, paths: Sequence[Path]) -> Any:
        reader = self.session.read
        if keys := [parent for parent in paths[0].parents if "=" in parent.name]:
            reader = reader.option("basePath", str(keys[-1].parent))
        return reader.parquet(*map(str, paths))


@cache
def to_spark(sql: str) -> tuple[str, frozenset[str]]:
    """A DuckDB statement in Spark's dialect, and the parameters that it takes (``:name`` in its text)."""
    tree = annotate_types(sqlglot.parse_one(sql, read="duckdb"), dialect="duckdb")
    # Inner nodes first: what is put around a node keeps what was put around its parts.
    for node in reversed(list(tree.find_all(exp.Expression))):
        if (other := _as_duckdb(node)) is not None:
            node.replace(other)
    names = frozenset(node.name for node in tree.find_all(exp.Placeholder))
    return str(tree.sql(dialect="spark")), names


def _as_duckdb(node: exp.Expression) -> exp.Expression | None:
    """What gives in Spark the result that DuckDB gives for the node; None where Spark agrees."""
    match node:
        case exp.Trim() if node.expression is None:
            return exp.Trim(this=node.this.copy(), expression=exp.Literal.string(SPACES), position="BOTH")
        case exp.Upper():
            return exp.Upper(
                this=exp.func("replace", node.this.copy(), exp.Literal.string("ß"), exp.Literal.string("ẞ"))
            )
        case exp.DateDiff():
            return exp.cast(node.copy(), "bigint")
        case exp.Window() if isinstance(node.this, exp.RowNumber):
            return exp.cast(node.copy(), "bigint")
        case exp.Cast() if node.to.is_type("decimal") and node.this.is_type("double"):
            return _double_to_decimal(node)
    return None


def _double_to_decimal(node: exp.Cast) -> exp.Expression:
    """DuckDB scales a double and rounds it; Spark rounds the shortest text that stands for it."""
    precision, scale = (int(size.name) for size in node.to.expressions)
    scaled = exp.func(
        "round", exp.Mul(this=exp.paren(node.this.copy()), expression=exp.Literal.number(f"1e{scale}"))
    )
    whole = node.copy()
    whole.set("this", scaled)
    whole.set("to", exp.DataType.build(f"decimal({precision}, 0)"))
    unit = exp.Literal.number(f"{10.0**-scale:.{scale}f}")
    return exp.cast(exp.Mul(this=whole, expression=unit), node.to.copy())


def _collected(frame: Any) -> pa.Table:
    rows = frame.toArrow()
    return rows.cast(pa.schema([pa.field(f.name, _nullable(f.type)) for f in rows.schema]))


def _nullable(kind: pa.DataType) -> pa.DataType:
    return pa.list_(kind.value_type) if pa.types.is_list(kind) else kind


@contextmanager
def _named_errors() -> Iterator[None]:
    """Name what cannot be read or computed; a faulty statement is the program's error, not the data's."""
    from pyspark.errors import AnalysisException, PySparkException

    try:
        yield
    except PySparkException as error:
        if isinstance(error, AnalysisException) and error.getCondition() != "PATH_NOT_FOUND":
            raise
        raise EngineError(error.getMessage() or str(error)) from error


@contextmanager
def connect(remote: str) -> Iterator[Spark]:
    """Open a session of its own on the Spark Connect server at ``remote`` (``sc://host:port``).

    Raises EngineError when no server answers there within a minute.
    """
    import grpc
    from pyspark.sql.connect.client import DefaultChannelBuilder
    from pyspark.sql.connect.session import SparkSession

    # Spark prints each failed statement with its values there; the exception that is raised says enough.
    logging.getLogger("SQLQueryContextLogger").setLevel(logging.CRITICAL)
    server = DefaultChannelBuilder(remote)
    with server.toChannel() as channel:
        try:
            # Asked for by itself since the session would try for ten minutes without a word.
            grpc.channel_ready_future(channel).result(timeout=SECONDS_TO_CONNECT)
        except grpc.FutureTimeoutError as error:
            raise EngineError(
                f"no Spark Connect server answers at {server.endpoint}; start it, or correct engine.remote"
            ) from error
    session = (
        SparkSession.builder.channelBuilder(server)
        .config(
            map={
                "spark.sql.session.timeZone": "UTC",
                "spark.sql.timestampType": "TIMESTAMP_NTZ",
                "spark.sql.ansi.enabled": "true",
            }
        )
        .create()
    )
    try:
        yield Spark(session)
    finally:
        session.stop()

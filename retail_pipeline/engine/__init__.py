"""Runs SQL and expectation suites over Parquet.

Knows engines, never Dagster and never what a segment means.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import pyarrow as pa

from retail_pipeline.lake.partitions import STAGING, Lake

Input: TypeAlias = "pa.Table | Sequence[Path]"


class EngineError(Exception):
    """A statement could not be run over its inputs, for instance because a Parquet file is damaged."""


class EngineOptions(Protocol):
    """The settings an engine needs: the first two but for the name are DuckDB's, ``remote`` is Spark's."""

    @property
    def name(self) -> str: ...

    @property
    def memory_limit(self) -> str: ...

    @property
    def threads(self) -> int: ...

    @property
    def remote(self) -> str | None: ...


class Engine(Protocol):
    """A session that runs statements in DuckDB's dialect over named Arrow tables and lists of Parquet files.

    Rows read from files have the hive keys of their path (``date``, ``snapshot_date``, …) as columns.
    """

    def keep(self, name: str, sql: str, inputs: Mapping[str, Input], **parameters: Any) -> None:
        """Run a statement and keep its result as the temporary table ``name`` for later statements."""

    def run(self, sql: str, inputs: Mapping[str, Input] | None = None, **parameters: Any) -> pa.Table:
        """Run a statement (its text, or the name of a file in ``tables``) and return its rows."""


@contextmanager
def open_engine(options: EngineOptions, lake: Lake) -> Iterator[Engine]:
    # back ends are loaded only when they are used
    if options.name == "spark":
        from retail_pipeline.engine.spark import connect as connect_spark

        assert options.remote
        with connect_spark(options.remote) as spark:
            yield spark
    else:
        from retail_pipeline.engine.duckdb import connect

        with connect(options.memory_limit, options.threads, lake.root / STAGING) as duckdb:
            yield duckdb

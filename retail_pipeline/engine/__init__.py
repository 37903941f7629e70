"""Runs SQL and expectation suites over Parquet.

Knows engines, never Dagster and never what a segment means.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import pyarrow as pa

from retail_pipeline.lake.partitions import STAGING, Lake
from retail_pipeline.planning.manifests import Manifest
from retail_pipeline.tables.table import Table

Input: TypeAlias = "pa.Table | Sequence[Path] | str"
"""Arrow rows that Python made, the Parquet files of some partitions, or the name of what the engine keeps."""

MOST_ROWS = 100_000  # of an answer


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


def bounded(answer: pa.Table, most: int, sql: str) -> pa.Table:
    """An answer as it is; EngineError when it has more than ``most`` rows."""
    if len(answer) > most:
        raise EngineError(f"an answer has more than {most:,} rows, which are to stay in the engine: {sql}")
    return answer


@dataclass(frozen=True)
class Target:
    """A partition to write: its hive keys, the inputs and further facts of its manifest.

    ``day``: the value of the first key in the rows that belong to it; None where all rows do.
    """

    keys: Mapping[str, str]
    inputs: Mapping[str, str]
    facts: Mapping[str, Any] = field(default_factory=dict)
    day: date | None = None


class Engine(Protocol):
    """A session that runs statements in DuckDB's dialect: their text, or the name of a file in ``tables``.

    Rows read from files have the hive keys of their path (``date``, ``snapshot_date``, …) as columns. Rows
    of a table stay here: the engine keeps what a statement gives, answers what is asked of it, and writes it.
    """

    def keep(self, name: str, sql: str, inputs: Mapping[str, Input], **parameters: Any) -> None:
        """Run a statement and keep its result as the temporary table ``name`` for later statements."""

    def ask(
        self, sql: str, inputs: Mapping[str, Input] | None = None, most: int = MOST_ROWS, **parameters: Any
    ) -> pa.Table:
        """Run a statement whose answer is small by nature, and return it.

        Raises:
            EngineError: the answer has more than ``most`` rows.
        """

    def make(self, lake: Lake, table: Table, kept: str, targets: Sequence[Target]) -> list[Manifest]:
        """Write partitions of a table from the rows kept under a name, in their order."""

    def run(self, sql: str, inputs: Mapping[str, Input] | None = None, **parameters: Any) -> pa.Table:
        """Run a statement and return all its rows."""


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

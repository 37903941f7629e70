"""The default engine: DuckDB, in process."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from retail_pipeline.engine import EngineError, Input
from retail_pipeline.lake.partitions import LakeError
from retail_pipeline.tables import text_of


@dataclass(frozen=True)
class DuckDB:
    """A DuckDB session: see ``engine.Engine``."""

    connection: duckdb.DuckDBPyConnection

    def keep(self, name: str, sql: str, inputs: Mapping[str, Input], **parameters: Any) -> None:
        text = f'create or replace temp table "{name}" as {text_of(sql)}'
        with self._ready(text, inputs, parameters) as used:
            self.connection.execute(text, used)

    def run(self, sql: str, inputs: Mapping[str, Input] | None = None, **parameters: Any) -> pa.Table:
        text = text_of(sql)
        with self._ready(text, inputs or {}, parameters) as used:
            return self.connection.sql(text, params=used).to_arrow_table()

    @contextmanager
    def _ready(
        self, text: str, inputs: Mapping[str, Input], parameters: Mapping[str, Any]
    ) -> Iterator[dict[str, Any]]:
        """Make the inputs known, hand out the parameters that ``text`` uses, and name what cannot be read."""
        try:
            for name, data in inputs.items():
                relation = (
                    self.connection.from_arrow(data)
                    if isinstance(data, pa.Table)
                    else self.connection.read_parquet([str(path) for path in data], hive_partitioning=True)
                )
                relation.create_view(name, replace=True)
            yield {name: value for name, value in parameters.items() if re.search(rf"\${name}\b", text)}
        except (duckdb.IOException, duckdb.DataError, duckdb.InvalidInputException) as error:
            if "No space left" in str(error):
                # no partition is to blame, and the same work may succeed once there is room
                raise LakeError(f"the disk is full ({error}): make room, then run again") from error
            raise EngineError(str(error)) from error


@contextmanager
def connect(memory_limit: str, threads: int, spill: Path) -> Iterator[DuckDB]:
    """Open an in-memory session that spills to the folder ``spill`` and loads no extensions."""
    spill.mkdir(parents=True, exist_ok=True)
    connection = duckdb.connect(
        config={
            "memory_limit": memory_limit,
            "threads": threads,
            "temp_directory": str(spill / "duckdb"),
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
        }
    )
    try:
        yield DuckDB(connection)
    finally:
        connection.close()

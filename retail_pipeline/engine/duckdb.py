"""The default engine: DuckDB, in process."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from retail_pipeline.engine import MOST_ROWS, EngineError, Input, Target, bounded
from retail_pipeline.lake.partitions import Lake, LakeError, write_partitions
from retail_pipeline.planning.manifests import Manifest
from retail_pipeline.tables import text_of
from retail_pipeline.tables.table import Table


@dataclass(frozen=True)
class DuckDB:
    """A DuckDB session: see ``engine.Engine``."""

    connection: duckdb.DuckDBPyConnection

    def keep(self, name: str, sql: str, inputs: Mapping[str, Input], **parameters: Any) -> None:
        text = f'create or replace temp table "{name}" as {text_of(sql)}'
        with self._ready(text, inputs, parameters) as used:
            self.connection.execute(text, used)

    def ask(
        self, sql: str, inputs: Mapping[str, Input] | None = None, most: int = MOST_ROWS, **parameters: Any
    ) -> pa.Table:
        text = text_of(sql)
        with self._ready(text, inputs or {}, parameters) as used:
            answer = self.connection.sql(text, params=used).limit(most + 1).to_arrow_table()
        return bounded(answer, most, sql)

    def make(self, lake: Lake, table: Table, kept: str, targets: Sequence[Target]) -> list[Manifest]:
        def rows(target: Target) -> pa.Table:
            which = "" if target.day is None else f'where "{table.partition_keys[0]}" = $day'
            names = ", ".join(f'"{name}"' for name in table.names)
            text = f'select {names} from "{kept}" {which}'  # noqa: S608 - declared names
            with self._ready(text, {}, {"day": target.day}) as used:
                return self.connection.sql(text, params=used).to_arrow_table()

        return write_partitions(lake, table, ((t.keys, rows(t), t.inputs, t.facts) for t in targets))

    def run(self, sql: str, inputs: Mapping[str, Input] | None = None, **parameters: Any) -> pa.Table:
        text = text_of(sql)
        with self._ready(text, inputs or {}, parameters) as used:
            return self.connection.sql(text, params=used).to_arrow_table()

    def _relation(self, data: Input) -> duckdb.DuckDBPyRelation:
        match data:
            case str():
                return self.connection.query(f'select * from "{data}"')  # noqa: S608 - a name of ours
            case pa.Table():
                return self.connection.from_arrow(data)
        return self.connection.read_parquet([str(path) for path in data], hive_partitioning=True)

    @contextmanager
    def _ready(
        self, text: str, inputs: Mapping[str, Input], parameters: Mapping[str, Any]
    ) -> Iterator[dict[str, Any]]:
        """Make the inputs known, hand out the parameters that ``text`` uses, and name what cannot be read."""
        try:
            for name, data in inputs.items():
                self._relation(data).create_view(name, replace=True)
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

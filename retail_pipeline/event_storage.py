"""SQLite event storage that keeps its connections open; ``dagster.yaml`` names it, nothing needs it.

Dagster's own opens an engine two or three times an event, so that SQLAlchemy compiles every statement anew
and the disk is waited for each time: some 9 ms an event instead of 2, most of a run's time over a year of
days. Other storages have a pool of their own.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from threading import RLock
from typing import Any

import dagster as dg
from dagster._core.storage.event_log import SqliteEventLogStorage
from sqlalchemy import create_engine, event
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.pool import StaticPool

# of Dagster's inside, whose names and ways another version may change: there, all is as in its own storage
IS_KNOWN = dg.__version__.startswith("1.13.")
SECONDS_TO_WAIT = 60  # for what other processes write
MOST_OPEN = 8  # databases: the index, and those of the runs that were written or read last
INDEX = "index"


class OpenSqliteEventLogStorage(SqliteEventLogStorage):
    """Dagster's SQLite event storage, in the same files, with one connection a database.

    With ``synchronous = normal`` the write-ahead log survives kill -9; a power cut loses at most the last
    events, never the file, and the lake does not depend on them.
    """

    def __init__(self, inst_data: Any = None) -> None:
        """Open nothing yet: where the files lie is known when an instance registers."""
        self._inst_data = inst_data
        self._engines: dict[str, Engine] = {}
        self._there: set[str] = set()
        self._turns = RLock()  # a thread that reads an index while it writes a run comes twice

    @classmethod
    def config_type(cls) -> dict[str, Any]:
        return {}

    @classmethod
    def from_config_value(cls, inst_data: Any, config_value: object) -> OpenSqliteEventLogStorage:
        return cls(inst_data)

    def register_instance(self, instance: dg.DagsterInstance) -> None:
        """Open the databases of an instance, which lie where Dagster's own storage has them."""
        super().__init__(f"{instance.root_directory}/history/runs", self._inst_data)
        super().register_instance(instance)

    def run_connection(self, run_id: str | None = None) -> AbstractContextManager[Connection]:
        return self._kept_open(run_id) if IS_KNOWN and run_id else super().run_connection(run_id)

    def index_connection(self) -> AbstractContextManager[Connection]:
        return self._kept_open(INDEX) if IS_KNOWN else super().index_connection()

    def has_table(self, table_name: str) -> bool:
        """Answer from memory what is asked before each check's event: a table that is there stays."""
        if table_name not in self._there and super().has_table(table_name):
            self._there.add(table_name)
        return table_name in self._there

    @contextmanager
    def _kept_open(self, shard: str) -> Iterator[Connection]:
        with self._turns:
            engine = self._engines.pop(shard, None) or self._open(shard)
            self._engines[shard] = engine
            for oldest in [name for name in self._engines if name != INDEX][: -MOST_OPEN + 1]:
                self._engines.pop(oldest).dispose()
            with engine.begin() as connection:
                yield connection

    def _open(self, shard: str) -> Engine:
        with super().run_connection(shard):
            pass  # it creates the database's tables
        engine = create_engine(
            self.conn_string_for_shard(shard),
            poolclass=StaticPool,
            connect_args={"timeout": SECONDS_TO_WAIT, "check_same_thread": False},
        )
        event.listen(engine, "connect", _commit_without_waiting_for_the_disk)
        return engine

    def wipe(self) -> None:
        self._close()
        self._there.clear()
        super().wipe()

    def dispose(self) -> None:
        self._close()
        super().dispose()

    def _close(self) -> None:
        with self._turns:
            while self._engines:
                self._engines.popitem()[1].dispose()


def _commit_without_waiting_for_the_disk(connection: Any, _record: Any) -> None:
    connection.execute("pragma synchronous = normal")

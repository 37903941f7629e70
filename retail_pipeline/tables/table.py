"""What the declaration of a table says: ``Table`` and its parts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, TypeAlias

import pyarrow as pa

from retail_pipeline.tables.expectations import (
    Expectation,
    Rules,
    at_least_minimum,
    never_null,
    one_of,
    unique,
)

Over: TypeAlias = Literal[
    "same", "every file", "up to", "days before", "month before", "month close", "month in force"
]
SAME: Over = "same"
EVERY_FILE: Over = "every file"
UP_TO: Over = "up to"
DAYS_BEFORE: Over = "days before"
MONTH_BEFORE: Over = "month before"
MONTH_CLOSE: Over = "month close"
MONTH_IN_FORCE: Over = "month in force"
DATA_FILE = "part-0.parquet"
LAYERS = ("landing", "transactions", "features", "segments", "campaigns", "reports")


@dataclass(frozen=True)
class Column:
    """One column.

    Its Arrow type, its unit (empty where there is none), what it means, and what may stand in it.
    """

    name: str
    type: pa.DataType
    meaning: str
    unit: str = ""
    nullable: bool = False
    values: tuple[str, ...] = ()
    minimum: int | None = None
    personal: bool = False


@dataclass(frozen=True)
class Reads:
    """A table that another is made from, and which of its partitions.

    The same day's (or month's), those of every file, of all days up to the day, of the days before in which
    an invoice may have begun, of the month before or its last day, or of the month whose models are in force.
    """

    table: str
    over: Over = SAME


@dataclass(frozen=True)
class Check:
    """A check of what no single row can show; ``meaning`` says what is true when it is green."""

    name: str
    meaning: str
    blocking: bool = True


@dataclass(frozen=True)
class Cost:
    """Rough cost: CPU seconds and bytes on disk a row; only to tell a minute from an hour."""

    seconds_a_row: float
    bytes_a_row: float


@dataclass(frozen=True)
class Table:
    """One table, declared: everything about it that is not its statement.

    ``module`` and ``doc`` are its module's name and docstring: a table is called what its file is called.
    ``layer`` is one of ``LAYERS``; ``partition_keys`` are its hive keys, ``key`` is its primary key inside a
    partition, ``file`` the name of a partition's data file. A table ``beside`` another is written with it and
    has no asset of its own; one that is not ``planned`` is made with another, or by what lies in landing.
    Of one that ``stands_empty`` a day without partitions is there, too: it should have some and may not yet.
    ``parameters`` are settings, with dots, that the statement knows by their last name. ``made_from`` are the
    inputs that a manifest records, by name: partitions, settings and decisions (``planning/inputs.py`` finds
    them); without it they are all that it ``reads``, and the parameters. A partition is stale when one of
    them is another, or when ``code_version`` rose, as it does whenever the same inputs would give other rows.
    ``expects`` is asked when a partition is made: what is made is checked anew only when it rises.
    ``kept`` says until when a partition stays; nothing that is kept for good is ever removed.
    """

    module: str
    doc: str | None
    layer: str
    partition_keys: tuple[str, ...]
    key: tuple[str, ...]
    columns: tuple[Column, ...]
    reads: tuple[Reads, ...] = ()
    parameters: tuple[str, ...] = ()
    made_from: Mapping[str, Reads | str] | None = None
    expects: Callable[[Rules], Sequence[Expectation]] = lambda rules: ()
    checks: tuple[Check, ...] = ()
    cost: Cost = Cost(0, 0)
    beside: str | None = None
    file: str = DATA_FILE
    planned: bool = True
    stands_empty: bool = False
    kept: str = "for good"
    code_version: str = "1"

    @property
    def name(self) -> str:
        return self.module.rpartition(".")[2]

    @property
    def meaning(self) -> str:
        return self.doc or ""

    @property
    def personal(self) -> tuple[str, ...]:
        """The columns that say who somebody is, or may."""
        return tuple(column.name for column in self.columns if column.personal)

    @property
    def is_checked(self) -> bool:
        """True when it is an asset whose rows are checked against its suite."""
        return self.file == DATA_FILE and not self.beside

    @property
    def of_days(self) -> bool:
        """True when it is an asset of its own with a partition a day, or a snapshot a day."""
        return self.planned and not self.beside and self.partition_keys[0] in ("date", "snapshot_date")

    @property
    def is_its_statement(self) -> bool:
        """True when it needs no code of its own: it is all that its statement makes of what it reads."""
        return self.made_from is None

    @cached_property
    def arrow(self) -> pa.Schema:
        """The Arrow schema of the table's files (hive keys stand in the path, not in the file)."""
        return pa.schema([pa.field(c.name, c.type, nullable=c.nullable) for c in self.columns])

    @property
    def names(self) -> list[str]:
        return [c.name for c in self.columns]

    def suite(self, rules: Rules) -> tuple[Expectation, ...]:
        """Everything that must hold for its rows, partition by partition: by the columns, and its own."""
        found: list[Expectation] = []
        for column in self.columns:
            if not column.nullable and not pa.types.is_list(column.type):
                found.append(never_null(column.name))
            if column.values:
                found.append(
                    one_of(f"{column.name} is {' or '.join(column.values)}", column.name, column.values)
                )
            if column.minimum is not None:
                found.append(at_least_minimum(column.name, column.minimum))
        once = f"{' and '.join(self.key)} occur once in a partition"
        return (*found, unique(once, (*self.partition_keys, *self.key)), *self.expects(rules))

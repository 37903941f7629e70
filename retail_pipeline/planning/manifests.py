"""What a partition says about itself, and how inputs are named by fingerprints.

A manifest holds no run id and no clock time, so that the same inputs give the same bytes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from functools import cache
from typing import Any, Literal

import pyarrow as pa
from pydantic import BaseModel, ConfigDict

from retail_pipeline.tables.table import Table


class Frozen(BaseModel):
    """Base of every value that is stored as JSON: immutable, and strict about unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class CheckOutcome(Frozen):
    """What one expectation found in a partition; kept with the partition so that later runs can hold it."""

    states: str
    blocking: bool
    count: int


class Part(Frozen):
    """The share of one landed file in one day of ``raw_transactions``.

    Rows, the sha256 of the Parquet file, and the minute of the day of its last line (None in lakes that did
    not note it).
    """

    model_config = ConfigDict(extra="ignore")  # earlier lakes noted more

    rows: int
    content: str
    last: int | None = None


class Lines(Frozen):
    """Some lines, and their money in the lake's currency."""

    lines: int = 0
    amount: Decimal = Decimal(0)


class Overlap(Frozen):
    """What two files have in common: identical lines, and the lines on their common days of the smaller.

    ``days`` holds both for each day with such lines; lakes that did not note it share alike on every day.
    """

    lines: int
    of: int
    days: dict[date, tuple[int, int]] = {}

    def on(self, day: date) -> Overlap:
        lines, of = self.days.get(day, (0, 0)) if self.days else (self.lines, self.of)
        return Overlap(lines=lines, of=of)


class Arrival(Frozen):
    """How a landed file came.

    Where it lay (under the landing folder), its size in bytes, when it was last changed (nanoseconds since
    1970), the same of where it lay before it was moved, what its profile says it replaces, the other files it
    shares lines with, by source_id, and what else is to be said of it, such as which sheets were not read.
    """

    path: str = ""
    size_bytes: int = 0
    modified_ns: int = 0
    earlier: dict[str, int] = {}
    replaces: Literal["same_name", "same_days"] | None = None
    overlaps: dict[str, Overlap] = {}
    remarks: tuple[str, ...] = ()

    @property
    def names(self) -> Mapping[str, int]:
        """Every path it lay at, and when it was last changed then."""
        return {**self.earlier, self.path: self.modified_ns}


class Shape(Frozen):
    """What the transactions of a source system are like on a day (see ``tables/day_shapes.sql``).

    Counts; lines by hour, country, step of price and of quantity; and the hashes of a sample of customers and
    of baskets, the smallest in order.
    """

    counts: dict[str, int]
    shares: dict[str, dict[str, int]]
    customers: str
    baskets: str

    def __hash__(self) -> int:
        return hash((self.customers, self.baskets))


class Manifest(Frozen):
    """One partition: what it holds and what it was made from.

    ``content`` is the sha256 of the data file, ``inputs`` the fingerprints of everything it was made from,
    ``counts`` figures that the checks and summaries read (rows), ``failures`` the expectations that did not
    hold; of transactions only, ``till`` are lines and money (``planning/reconciliation.py``) and ``shapes``
    what each source's are like; of landed files only, ``parts`` is what the file gave to each day and
    ``arrival`` how it came.
    """

    table: str
    partition: dict[str, str]
    rows: int
    content: str
    inputs: dict[str, str]
    code_version: str
    schema_fingerprint: str
    counts: dict[str, int] = {}
    till: dict[str, Lines] = {}
    shapes: dict[str, Shape] = {}
    failures: tuple[CheckOutcome, ...] = ()
    parts: dict[date, Part] = {}
    arrival: Arrival = Arrival()

    @property
    def read_by(self) -> str:
        """Of a landed file: the name of the profile that read it; empty in lakes that did not note it."""
        return self.inputs.get("read_by", "")

    @property
    def blocked(self) -> bool:
        return any(f.blocking for f in self.failures)

    @property
    def said_blocking(self) -> str:
        """The blocking expectations that did not hold, in words; empty when there is none."""
        return "; ".join(f"{f.count:,} rows against «{f.states}»" for f in self.failures if f.blocking)

    def is_current(self, table: Table, inputs: Mapping[str, str]) -> bool:
        """True when it was made from these inputs by this version of the table's code and schema."""
        return (
            self.inputs == dict(inputs)
            and self.code_version == table.code_version
            and self.schema_fingerprint == schema_fingerprint(table.arrow)
        )


def fingerprint(*parts: Any) -> str:
    """Name a value by 16 hex digits: equal values, equal names. Takes what JSON can hold, and dates."""
    text = json.dumps(parts, sort_keys=True, default=str, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def content_of(made: Manifest | Mapping[str, Manifest] | None) -> str:
    """Names what a partition holds, or those of a day together; empty when there is none."""
    if isinstance(made, Mapping):
        return fingerprint({name: manifest.content for name, manifest in made.items()})
    return made.content if made else ""


@cache
def schema_fingerprint(schema: pa.Schema) -> str:
    """Name a schema: column names, types and nullability."""
    return fingerprint([(f.name, str(f.type), f.nullable) for f in schema])

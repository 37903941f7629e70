"""What a partition says about itself, and how inputs are named by fingerprints.

Belongs here: the manifest's shape and the fingerprint function. Does not belong here: reading or writing
manifests (``lake/partitions.py``), or deciding what is stale (``planner.py``). A manifest holds no run id and
no clock time, so that the same inputs give the same bytes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import date
from typing import Any

import pyarrow as pa
from pydantic import BaseModel, ConfigDict

from retail_pipeline.core.schema import Table


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

    Rows, and the sha256 of the Parquet file.
    """

    rows: int
    content: str


class Manifest(Frozen):
    """One partition: what it holds and what it was made from.

    ``content`` is the sha256 of the data file, ``inputs`` the fingerprints of everything it was made from,
    ``counts`` figures that the checks and summaries read (rows), ``failures`` the expectations that did not
    hold, ``parts`` (landed files only) what the file gave to each day.
    """

    table: str
    partition: dict[str, str]
    rows: int
    content: str
    inputs: dict[str, str]
    code_version: str
    schema_fingerprint: str
    counts: dict[str, int] = {}
    failures: tuple[CheckOutcome, ...] = ()
    parts: dict[date, Part] = {}

    @property
    def blocked(self) -> bool:
        """True when a blocking expectation did not hold."""
        return any(f.blocking for f in self.failures)

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


def schema_fingerprint(schema: pa.Schema) -> str:
    """Name a schema: column names, types and nullability."""
    return fingerprint([(f.name, str(f.type), f.nullable) for f in schema])

"""A landing folder and a lake for tests of reading files."""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from retail_pipeline.ingest.landing import Landed, Refused, land
from retail_pipeline.ingest.listing import list_files
from retail_pipeline.ingest.profiles.profile import SourceProfile
from retail_pipeline.ingest.profiles.reading import Reading
from retail_pipeline.ingest.profiles.shipped import SHIPPED
from retail_pipeline.lake.partitions import Lake, manifests, read_partition
from retail_pipeline.tables import TABLES

READING = Reading(
    profiles=dict(SHIPPED),
    business_zone="Europe/London",
    currency=None,
    first_day=date(2010, 12, 1),
    last_day=None,
    memory_limit="512MB",
    threads=2,
)


class Shop:
    """A landing folder and a lake."""

    def __init__(self, root: Path) -> None:
        self.landing, self.lake = root / "landing", Lake(root / "lake")
        self.landing.mkdir(exist_ok=True)

    def deliver(self, name: str, *lines: str | bytes, end: bytes = b"\n") -> Path:
        path = self.landing / name
        path.parent.mkdir(parents=True, exist_ok=True)
        content = b"".join((line.encode() if isinstance(line, str) else line) + end for line in lines)
        path.write_bytes(gzip.compress(content, mtime=0) if name.endswith(".gz") else content)
        return path

    def land(
        self, profiles: Mapping[str, SourceProfile] = SHIPPED, **settings: Any
    ) -> dict[str, Landed | Refused]:
        reading = READING.model_copy(update={"profiles": dict(profiles)} | settings)
        files = list_files(self.landing).files
        landed = {m.partition["file"]: m for m in manifests(self.lake, TABLES["landed_files"])}
        outcomes = land(files, self.landing, self.lake, reading, landed=landed)
        return {outcome.file.path: outcome for outcome in outcomes}

    def raw(self) -> list[dict[str, Any]]:
        """Rows of committed files, as a reader of the lake sees them."""
        rows = []
        for manifest in manifests(self.lake, TABLES["landed_files"]):
            for day, part in manifest.parts.items():
                folder = self.lake.partition("raw_transactions", {"date": str(day)})
                data = pq.read_table(folder / f"{manifest.partition['file']}.parquet", partitioning=None)
                assert data.schema.equals(TABLES["raw_transactions"].arrow)
                assert data.num_rows == part.rows
                rows += data.to_pylist()
        return rows

    def unreadable(self) -> list[dict[str, Any]]:
        return [
            row
            for manifest in manifests(self.lake, TABLES["unreadable_rows"])
            for row in read_partition(self.lake, TABLES["unreadable_rows"], manifest.partition).to_pylist()
        ]

    def bytes(self) -> dict[str, bytes]:
        root = self.lake.root
        return {str(p.relative_to(root)): p.read_bytes() for p in sorted(root.rglob("*")) if p.is_file()}


def at(moment: str) -> datetime:
    """A time without offset, as the lake holds it."""
    return datetime.fromisoformat(moment)


def refusal(outcome: Landed | Refused) -> str:
    assert isinstance(outcome, Refused)
    return outcome.reason


def counts(outcome: Landed | Refused) -> dict[str, int]:
    assert isinstance(outcome, Landed), outcome
    return {name: n for name, n in outcome.manifest.counts.items() if n or "left_out" not in name}


def remarks(outcome: Landed | Refused) -> tuple[str, ...]:
    assert isinstance(outcome, Landed), outcome
    return outcome.manifest.arrival.remarks

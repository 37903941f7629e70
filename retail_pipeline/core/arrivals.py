"""Files as they arrive: their identity by content, and what is new or must be read again.

Belongs here: pure decisions over a listing and the landed files' manifests. Does not belong here: listing or
reading files (``engine/landing.py``), or what else must run (``planner.py``).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from datetime import date

from pydantic import Field

from retail_pipeline.core.manifests import Frozen, Manifest


class FileSeen(Frozen):
    """A file in the landing folder: its path under the folder (with ``/``), size in bytes and content."""

    path: str
    size_bytes: int
    sha256: str = Field(pattern="^[0-9a-f]{64}$")

    @property
    def source_id(self) -> str:
        """The file's identity: the first 16 hex digits of its sha256."""
        return self.sha256[:16]

    @property
    def partition_key(self) -> str:
        """The file's partition: shown by name, keyed by content."""
        return partition_key(self.path, self.source_id)


def partition_key(path: str, source_id: str) -> str:
    """``<name>@<source_id>``, made of characters that a Dagster partition key may hold."""
    name = re.sub(r"\.{2,}", ".", re.sub(r"[^\w.-]+", "_", path.rsplit("/", 1)[-1]))
    return f"{name[:80]}@{source_id}"


def new_files(seen: Iterable[FileSeen], landed_ids: Collection[str]) -> list[FileSeen]:
    """The files whose content has not landed, ordered by path; of equal contents the first by path."""
    first = {file.source_id: file for file in sorted(seen, key=lambda f: f.path, reverse=True)}
    return sorted((f for id_, f in first.items() if id_ not in landed_ids), key=lambda f: f.path)


def landing_inputs(
    file: FileSeen, profile: str, outside: int, first_day: date, last_day: date | None
) -> dict[str, str]:
    """What a landed file was made from; the bounds of the days only if they kept rows out.

    ``profile`` is ``sources.profile_fingerprint``, ``outside`` the number of rows out of bounds.
    """
    bounds = {"days": _bounds(first_day, last_day)} if outside else {}
    return {"file": file.sha256, "profile": profile, **bounds}


def must_land_again(
    landed: Manifest, profiles: Collection[str], first_day: date, last_day: date | None
) -> bool:
    """True when today's settings would read a landed file otherwise.

    ``profiles`` are the fingerprints of all profiles in force; other bounds matter only to files they cut.
    """
    return (
        landed.inputs["profile"] not in profiles
        or landed.inputs.get("days", _bounds(first_day, last_day)) != _bounds(first_day, last_day)
        or any(day < first_day or (last_day is not None and day > last_day) for day in landed.parts)
    )


def _bounds(first_day: date, last_day: date | None) -> str:
    return f"{first_day}/{last_day or ''}"

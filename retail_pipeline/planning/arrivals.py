"""Files as they arrive: their identity by content, and what is new or must be read again."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from datetime import date
from fnmatch import fnmatchcase
from types import MappingProxyType

from pydantic import Field

from retail_pipeline.planning.manifests import Frozen, Manifest, fingerprint
from retail_pipeline.tables import TABLES

PART = r"\{([a-z_]+)\}"  # of a file's name, which that of its second file repeats


class FileSeen(Frozen):
    """A file in the landing folder.

    Its path under the folder (with ``/``), size in bytes, content, when it was last changed (nanoseconds
    since 1970), and the content of the second files that its name tells (empty: none is there).
    """

    path: str
    size_bytes: int
    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    modified_ns: int = 0
    second: str = ""

    @property
    def source_id(self) -> str:
        """The file's identity: the first 16 hex digits of its sha256."""
        return self.sha256[:16]

    @property
    def partition_key(self) -> str:
        """The file's partition: shown by name, keyed by content."""
        return partition_key(self.path, self.source_id)


class Refusal(Frozen):
    """A file of which nothing could be read, and why; it is tried again under other profiles or names only.

    ``also`` are other names under which the same content was tried: a profile may be for files by name.
    """

    path: str
    also: tuple[str, ...] = ()
    size_bytes: int
    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    reason: str
    tried_with: str

    @property
    def names(self) -> tuple[str, ...]:
        return (self.path, *self.also)

    @property
    def source_id(self) -> str:
        """The file's identity: the first 16 hex digits of its sha256."""
        return self.sha256[:16]


def partition_key(path: str, source_id: str) -> str:
    """``<name>@<source_id>``, made of characters that a Dagster partition key may hold."""
    name = re.sub(r"\.{2,}", ".", re.sub(r"[^\w.-]+", "_", path.rsplit("/", 1)[-1]))
    return f"{name[:80]}@{source_id}"


def source_of(key: str) -> str:
    return key.rpartition("@")[2]


def reading(profiles: Mapping[str, str]) -> str:
    """Names all that decides whether a file can be read: the profiles' fingerprints and the code."""
    return fingerprint(sorted(profiles.items()), TABLES["landed_files"].code_version)


def in_landing(
    seen: Iterable[FileSeen],
    landed: Mapping[str, Manifest],
    refused: Mapping[str, Refusal] = MappingProxyType({}),
    patterns: Collection[str] = (),
) -> dict[str, FileSeen]:
    """The contents in the landing folder by source_id, each under one of its paths.

    A content that has landed keeps the path it landed under while it lies there; otherwise it is where it
    first appeared, but rather under a name under which it was not ``refused``, and under one that a profile
    is for (``patterns``). A copy made later is no later delivery; what lies at a path now came after what is
    gone from there, whatever its time says.
    """
    seen = list(seen)
    present = {file.source_id for file in seen}
    gone: dict[str, int] = {}
    for source_id, manifest in landed.items():
        if source_id not in present:
            path, changed = manifest.arrival.path, manifest.arrival.modified_ns
            gone[path] = max(gone.get(path, 0), changed)
    places: dict[str, list[FileSeen]] = {}
    for file in seen:
        since = max(file.modified_ns, gone.get(file.path, -1) + 1)
        places.setdefault(file.source_id, []).append(file.model_copy(update={"modified_ns": since}))
    found: dict[str, FileSeen] = {}
    for source_id, there in places.items():
        known = landed[source_id].arrival if source_id in landed else None
        tried = refused[source_id].names if source_id in refused else ()
        file = min(
            there,
            key=lambda f: (
                not (known and f.path == known.path),
                f.path in tried,
                not any(is_named(f.path, pattern) for pattern in patterns),
                f.modified_ns,
                f.path,
            ),
        )
        if not known or file.path != known.path:
            first = min(f.modified_ns for f in there)
            file = file.model_copy(update={"modified_ns": min(first, known.modified_ns) if known else first})
        found[source_id] = file
    return found


def is_named(path: str, pattern: str) -> bool:
    """True when a pattern such as ``sales_*.csv`` is for a file: its name, or with a ``/`` its path."""
    return fnmatchcase(path if "/" in pattern else path.rpartition("/")[2], any_part(pattern))


def any_part(pattern: str) -> str:
    """A pattern of names in which parts such as ``{date}`` may say anything."""
    return re.sub(PART, "*", pattern)


def landing_inputs(
    file: FileSeen,
    read_by: str,
    profile: str,
    outside: int,
    late: int,
    first_day: date,
    last_day: date | None,
) -> dict[str, str]:
    """What a landed file was made from; the bounds of the days only if they kept rows out.

    ``read_by`` is the profile's name, ``profile`` its ``sources.profile_fingerprint``, ``outside`` the number
    of rows out of bounds, ``late`` that of rows later than a file changed when it was can know of.
    """
    bounds = {"days": _bounds(first_day, last_day)} if outside else {}
    changed = {"changed": str(file.modified_ns)} if late else {}
    second = {"second": file.second} if file.second else {}
    return {"file": file.sha256, "read_by": read_by, "profile": profile, **bounds, **changed, **second}


def must_land_again(
    landed: Manifest, profiles: Mapping[str, str], first_day: date, last_day: date | None
) -> bool:
    """True when today's settings and code would read a landed file otherwise.

    ``profiles`` are the fingerprints of all profiles in force by name: rules go by the profile that read the
    file, so that one with another name is another. Other bounds matter only to files they cut.
    """
    return (
        landed.code_version != TABLES["landed_files"].code_version
        or profiles.get(landed.read_by) != landed.inputs["profile"]
        or landed.inputs.get("days", _bounds(first_day, last_day)) != _bounds(first_day, last_day)
        or any(day < first_day or (last_day is not None and day > last_day) for day in landed.parts)
    )


def came_otherwise(landed: Manifest, file: FileSeen) -> bool:
    """True when a landed file lies elsewhere or was delivered anew, and its profile makes that matter.

    Or when it has rows later than its time of last change allowed, and that is another now; or when its
    second file is another (one that is gone changes nothing).
    """
    arrival, changed = landed.arrival, str(file.modified_ns)
    if file.second and landed.inputs.get("second") != file.second:
        return True
    return landed.inputs.get("changed", changed) != changed or (
        bool(arrival.replaces) and ((arrival.path, arrival.modified_ns) != (file.path, file.modified_ns))
    )


def _bounds(first_day: date, last_day: date | None) -> str:
    return f"{first_day}/{last_day or ''}"

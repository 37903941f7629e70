"""What lies in the landing folder: its files by content, and why the others cannot land.

Files are told apart by the sha256 of their content. What was hashed is remembered in the lake by path, size
and times, so that looking again at ten thousand files costs one stat each; a lost memory costs time only.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from retail_pipeline.ingest.files.unpacked import KINDS, PACKED_KINDS
from retail_pipeline.lake.partitions import Lake
from retail_pipeline.planning.arrivals import FileSeen

SUFFIXES = (
    *KINDS,
    *(f"{kind}.{packing}" for kind, of in KINDS.items() if of in PACKED_KINDS for packing in ("gz", "zst")),
    ".zip",
)
# what spreadsheets and systems leave beside files; what is hidden is passed over anyway
DROPPINGS = {"thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r"}
DROPPED_FOLDERS = {"__MACOSX", "@eaDir", "$RECYCLE.BIN", "System Volume Information", "lost+found"}
UNFINISHED = (".tmp", ".part", ".partial", ".filepart", ".crdownload")
MEMORY_FILE = ".landing.json"
NANO = 1_000_000_000


class LandingError(Exception):
    """The landing folder cannot be read; the message names it and what to do."""


class Arrival(Protocol):
    """The settings that say when a file is whole: see ``arrival`` in the settings."""

    @property
    def complete_when(self) -> str: ...

    @property
    def settle_seconds(self) -> float: ...

    @property
    def marker_suffix(self) -> str: ...


@dataclass(frozen=True)
class Listing:
    """What lies in the landing folder.

    Files that can land, by path; by name, why others cannot; by name, why others are not taken yet, and when
    the last of these will have settled (seconds from now; 0 when that is not a matter of time).
    """

    files: list[FileSeen]
    ignored: dict[str, str]
    waiting: dict[str, str] = field(default_factory=dict)
    settled_in: float = 0


# path -> size, time of last change, time of last change of anything, inode, sha256
Memory = dict[str, tuple[int, int, int, int, str]]


def list_files(
    landing: Path,
    arrival: Arrival | None = None,
    lake: Lake | None = None,
    seconds: float = float("inf"),
) -> Listing:
    """List the landing folder, with its folders, ordered by path.

    Files that can land end in one of ``SUFFIXES``. Hidden files, unfinished ones (.tmp, .part and the like)
    and what spreadsheets and systems drop (~$orders.xlsx, Thumbs.db) are passed over without a word; links
    that leave the folder, pipes and devices, and files of other kinds are named with reasons. ``arrival``
    says when a file is whole (None: all are), ``lake`` where hashes are remembered; after ``seconds`` of
    hashing the rest waits for the next call, which goes on from there.

    Raises:
        LandingError: the folder does not exist or cannot be read.
    """
    remembered = _remembered(lake)
    memory: Memory = {}
    files, ignored, waiting, settled_in = [], {}, {}, 0.0
    home, began, now = landing.resolve(), time.monotonic(), time.time_ns()
    marker = arrival.marker_suffix if arrival and arrival.complete_when == "marker" else None
    for path, relative in _walk(landing):
        if marker and relative.endswith(marker):
            continue
        shown = relative.encode(errors="backslashreplace").decode()
        if why := _cannot_land(path, relative, shown, home):
            ignored[shown] = why
            continue
        try:
            found = path.stat()
            if not stat.S_ISREG(found.st_mode):
                # reading a pipe would wait for its writer for ever
                ignored[shown] = "is a named pipe, socket or device and no file: passed over"
                continue
            if arrival and (why := _unfinished(path, found, arrival, now)):
                waiting[shown] = why
                if not marker:
                    settled_in = max(settled_in, arrival.settle_seconds - _age(found, now))
                continue
            key = (found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino)
            known = remembered.get(relative)
            if known and known[:4] == key:
                sha256 = known[4]
            elif time.monotonic() - began > seconds:
                waiting[shown] = "is looked at when those before it are done"
                continue
            else:
                sha256 = identity(path)[1]
            memory[relative] = (*key, sha256)
            files.append(
                FileSeen(
                    path=relative, size_bytes=found.st_size, sha256=sha256, modified_ns=found.st_mtime_ns
                )
            )
        except OSError as error:
            ignored[shown] = f"cannot be read ({error.strerror}): mend its permissions"
    if lake and memory != remembered:
        # by a sensor, without the lake's lock: so not through its staging folder, which a run may clear
        staged = lake.root / f"{MEMORY_FILE}.{os.getpid()}"
        with suppress(OSError):
            staged.write_text(json.dumps(memory, indent=0), encoding="utf-8")
            staged.replace(lake.root / MEMORY_FILE)
    files.sort(key=lambda file: file.path)
    return Listing(files, dict(sorted(ignored.items())), waiting, max(0.0, settled_in))


def list_settled(
    landing: Path, arrival: Arrival, lake: Lake, on_wait: Callable[[str], None] = lambda message: None
) -> Listing:
    """The listing once the files that were being written have settled; those that keep changing stay out.

    Waits twice ``settle_seconds`` at most.

    Raises:
        LandingError: the folder does not exist or cannot be read.
    """
    listing = list_files(landing, arrival, lake)
    until = time.monotonic() + 2 * arrival.settle_seconds
    if listing.settled_in:
        names = ", ".join(list(listing.waiting)[:3])
        on_wait(f"waiting for {len(listing.waiting):,} files that are being written ({names}) to settle")
    while listing.settled_in and time.monotonic() < until:
        time.sleep(min(listing.settled_in + 0.05, max(0.0, until - time.monotonic())))
        listing = list_files(landing, arrival, lake)
    return listing


def _walk(landing: Path) -> Iterator[tuple[Path, str]]:
    """The files under the folder, each with its path relative to it; hidden and unfinished ones left out."""

    def refuse(error: OSError) -> None:
        raise LandingError(
            f"the landing folder {landing} cannot be read ({error.strerror}): create it and put the shop's "
            "files there, or name another with --landing or the setting `landing`"
        ) from error

    for folder, folders, names in os.walk(landing, onerror=refuse):
        folders[:] = sorted(name for name in folders if name[0] != "." and name not in DROPPED_FOLDERS)
        below = Path(folder).relative_to(landing)
        for name in sorted(names):
            lower = name.lower()
            if not (name.startswith((".", "~$")) or lower.endswith(UNFINISHED) or lower in DROPPINGS):
                yield Path(folder, name), (below / name).as_posix()


def _cannot_land(path: Path, relative: str, shown: str, home: Path) -> str:
    if not path.name.lower().endswith(SUFFIXES):
        return f"is none of {', '.join(KINDS)}, as it is or packed (.gz, .zst, .zip)"
    if shown != relative:
        return "has a name that is not UTF-8: rename it"
    if path.is_symlink() and not Path(os.path.realpath(path)).is_relative_to(home):
        return "is a link that leaves the landing folder"
    return ""


def _unfinished(path: Path, found: os.stat_result, arrival: Arrival, now: int) -> str:
    if arrival.complete_when == "marker":
        marker = path.with_name(path.name + arrival.marker_suffix)
        return "" if marker.exists() else f"waits for its marker {marker.name}"
    if arrival.complete_when == "stable" and 0 <= _age(found, now) < arrival.settle_seconds:
        return f"changed within the last {arrival.settle_seconds:g} s: it may still be written"
    return ""


def _age(found: os.stat_result, now: int) -> float:
    """Seconds since anything about the file changed: a copy may carry an old time of writing."""
    return (now - max(found.st_mtime_ns, found.st_ctime_ns)) / NANO


def _remembered(lake: Lake | None) -> Memory:
    try:
        found = json.loads((lake.root / MEMORY_FILE).read_bytes()) if lake else {}
    except (OSError, ValueError):
        return {}
    return {path: tuple(known) for path, known in found.items()} if isinstance(found, Mapping) else {}


def identity(path: Path) -> tuple[int, str]:
    """A file's size in bytes and the sha256 of its content."""
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
        return stream.tell(), digest

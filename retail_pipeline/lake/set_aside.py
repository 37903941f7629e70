"""What landed and does not count: the rows of files that are replaced or held back.

Under ``set_aside/`` files lie as they would in the tables, so that the tables hold nothing that must not be
summed, nothing is lost, and what counts again goes back by a rename.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path

from retail_pipeline.lake.partitions import MANIFEST_FILE, Lake, LakeError, manifests
from retail_pipeline.planning.deliveries import Deliveries
from retail_pipeline.planning.manifests import Manifest
from retail_pipeline.tables import TABLES

SET_ASIDE = "set_aside"
FILES, RAW, UNREADABLE = (TABLES[t] for t in ("landed_files", "raw_transactions", "unreadable_rows"))


def apart(lake: Lake) -> Lake:
    return Lake(lake.root / SET_ASIDE)


def read_landed(lake: Lake) -> tuple[Mapping[str, Manifest], frozenset[str]]:
    """The manifests of all landed files by source_id, and which of the files are set aside as a whole."""
    counting = {m.partition["file"]: m for m in manifests(lake, FILES)}
    aside = {m.partition["file"]: m for m in manifests(apart(lake), FILES)}
    return {**aside, **counting}, frozenset(aside.keys() - counting.keys())


def home_of(lake: Lake, table: str, keys: Mapping[str, str]) -> Lake:
    """The lake that holds a landed file's partition: the lake itself, or what is set aside."""
    return lake if lake.partition(table, keys).exists() else apart(lake)


def raw_path(lake: Lake, day: object, source_id: str) -> Path:
    """Where the rows lie that a landed file gave to a day."""
    in_table, aside = (_raw(home, day, source_id) for home in (lake, apart(lake)))
    return aside if aside.exists() and not in_table.exists() else in_table


def settle(lake: Lake, landed: Mapping[str, Manifest], found: Deliveries) -> list[str]:
    """Put every landed file's rows where they belong; the files that changed their place as a whole.

    The lake's lock must be held. Each step is a rename: a crash in between is mended by the next call.
    """
    try:
        return [s for s, manifest in landed.items() if _settle(lake, s, manifest, found)]
    except OSError as error:
        raise LakeError(
            f"{error.filename} cannot be moved ({error.strerror}): make room or mend the folder's "
            "permissions, then run again"
        ) from error


def _settle(lake: Lake, source_id: str, manifest: Manifest, found: Deliveries) -> bool:
    counts = found.counts(source_id)
    days = {day: source_id in found.by_day.get(day, {}) for day in manifest.parts}
    keys = {"file": source_id}
    was_aside = (apart(lake).partition(FILES.name, keys) / MANIFEST_FILE).exists()
    if counts and not was_aside and all(days.values()) and not _left_aside(lake, source_id, days):
        return False
    for day, in_table in days.items():
        _move(_raw(lake, day, source_id), _raw(apart(lake), day, source_id), in_table)
    for table in (UNREADABLE, FILES):
        _move(lake.partition(table.name, keys), apart(lake).partition(table.name, keys), counts)
    return counts == was_aside


def _left_aside(lake: Lake, source_id: str, days: Iterable[object]) -> bool:
    return (lake.root / SET_ASIDE).exists() and any(
        _raw(apart(lake), day, source_id).exists() for day in days
    )


def _raw(lake: Lake, day: object, source_id: str) -> Path:
    return lake.partition(RAW.name, {"date": str(day)}) / f"{source_id}.parquet"


def _move(in_table: Path, aside: Path, to_table: bool) -> None:
    """Move a file or folder to one of its two places; what is in the table is the newer of two."""
    if in_table.exists():
        _remove(aside)
    here, there = (aside, in_table) if to_table else (in_table, aside)
    if here.exists():
        there.parent.mkdir(parents=True, exist_ok=True)
        here.replace(there)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)

"""What is there: the lake's manifests and the landing folder, read into one value for the planner.

Belongs here: reading. Does not belong here: any conclusion drawn from it (``core/planner.py``).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import date
from pathlib import Path

from retail_pipeline.core.arrivals import FileSeen
from retail_pipeline.core.decisions import DayRelease
from retail_pipeline.core.manifests import Manifest
from retail_pipeline.core.planner import State
from retail_pipeline.core.schema import TABLES
from retail_pipeline.lake.partitions import Lake, LakeError, manifests, replace_file

DECISIONS = "decisions"


def read_state(lake: Lake, seen: tuple[FileSeen, ...] = (), suppression: Path | None = None) -> State:
    """Read every manifest and decision of the lake.

    ``seen`` are the files in landing; ``suppression`` the file of customers who objected, named by its
    content.

    Raises:
        LakeError: a manifest or decision is not readable.
    """
    return State(
        seen=seen,
        landed={m.partition["file"]: m for m in manifests(lake, TABLES["landed_files"])},
        transactions=_by_day(lake, "transactions"),
        customer_days=_by_day(lake, "customer_days"),
        features=_by_day(lake, "rfm_features"),
        models={m.partition["month"]: m for m in manifests(lake, TABLES["segmentation_models"])},
        assignments=_by_day_and_name(lake, "segment_assignments"),
        lists=_by_day_and_name(lake, "campaign_lists"),
        released={release.day: release.content for release in read_releases(lake)},
        suppression=_name_of(suppression),
    )


def _by_day(lake: Lake, table: str) -> Mapping[date, Manifest]:
    (key,) = TABLES[table].partition_keys
    return {date.fromisoformat(m.partition[key]): m for m in manifests(lake, TABLES[table])}


def _by_day_and_name(lake: Lake, table: str) -> Mapping[date, Mapping[str, Manifest]]:
    day_key, name_key = TABLES[table].partition_keys
    found: dict[date, dict[str, Manifest]] = {}
    for m in manifests(lake, TABLES[table]):
        found.setdefault(date.fromisoformat(m.partition[day_key]), {})[m.partition[name_key]] = m
    return found


def _name_of(suppression: Path | None) -> str:
    if suppression is None:
        return "none"
    try:
        return hashlib.sha256(suppression.read_bytes()).hexdigest()[:16]
    except OSError:
        # its absence is a state of its own; the campaign_lists asset says so and makes no list
        return "unreadable"


def read_releases(lake: Lake) -> list[DayRelease]:
    """Every recorded release of a held day, by day."""
    releases = []
    for path in sorted((lake.root / DECISIONS / "released_days").glob("*.json")):
        try:
            releases.append(DayRelease.model_validate_json(path.read_bytes()))
        except ValueError as error:
            raise LakeError(f"{path} is not a decision: restore or remove it ({error})") from error
    return releases


def write_release(lake: Lake, release: DayRelease) -> Path:
    """Record that somebody released a day."""
    path = lake.root / DECISIONS / "released_days" / f"{release.day}.json"
    replace_file(lake, path, (release.model_dump_json(indent=1) + "\n").encode())
    return path

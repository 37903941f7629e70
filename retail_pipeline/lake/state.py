"""What is there: the lake's manifests and the landing folder, read into one value for the planner."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Any

from retail_pipeline.lake.partitions import Lake, entries, folders, manifests
from retail_pipeline.lake.records import records
from retail_pipeline.lake.set_aside import read_landed
from retail_pipeline.planning.arrivals import FileSeen, Refusal
from retail_pipeline.planning.decisions import DayRelease, FileDecision, ListRelease, ModelRetrain
from retail_pipeline.planning.deliveries import NO_LIMITS, Limits
from retail_pipeline.planning.manifests import Manifest, fingerprint
from retail_pipeline.planning.readiness import LEARNED, Expected
from retail_pipeline.planning.state import State
from retail_pipeline.segmentation.gates import ModelDecision
from retail_pipeline.tables import TABLES
from retail_pipeline.tables.table import Table

RELEASED_FILE = "_RELEASED"
LISTS = TABLES["campaign_lists"]


def read_state(
    lake: Lake,
    seen: tuple[FileSeen, ...] = (),
    suppression: Path | None = None,
    limits: Limits = NO_LIMITS,
    expected: Expected = LEARNED,
) -> State:
    """Read every manifest and decision of the lake.

    ``seen`` are the files in landing; ``suppression`` the file of customers who objected, named by its
    content; ``limits`` what a file may be like and count, ``expected`` what each source should
    deliver.

    Raises:
        LakeError: a manifest or decision is not readable.
    """
    landed, set_aside = read_landed(lake)
    return State(
        seen=seen,
        landed=landed,
        set_aside=set_aside,
        refused={refusal.source_id: refusal for refusal in records(lake, Refusal)},
        file_decisions={decision.source_id: decision for decision in records(lake, FileDecision)},
        limits=limits,
        expected=expected,
        made={t.name: made for t in TABLES.values() if t.planned and (made := _made(lake, t))},
        list_releases={(r.day, r.campaign): r.content for r in records(lake, ListRelease)},
        list_markers=frozenset(_markers(lake)),
        released={release.day: release.content for release in records(lake, DayRelease)},
        model_decisions=_by_month(records(lake, ModelDecision)),
        retrained={retrain.month: retrain.rfm_features for retrain in records(lake, ModelRetrain)},
        suppression=_name_of(suppression),
    )


def _made(lake: Lake, table: Table) -> Mapping[Any, Any]:
    """A table's manifests by day (a month is text), and by name where its partitions have one, too."""
    first, *name = table.partition_keys
    key_of = str if first == "month" else date.fromisoformat
    if not name:
        return {key_of(manifest.partition[first]): manifest for manifest in manifests(lake, table)}
    days = entries(lake.root / table.name, f"{first}=*") if table.stands_empty else []
    found: dict[Any, dict[str, Manifest]] = {key_of(path.name.partition("=")[2]): {} for path in days}
    for manifest in manifests(lake, table):
        found.setdefault(key_of(manifest.partition[first]), {})[manifest.partition[name[0]]] = manifest
    return found


def _markers(lake: Lake) -> Iterator[tuple[date, str]]:
    """The day and campaign of each list beside which somebody put the file that says it is handed over."""
    for folder in folders(lake, LISTS):
        if (folder / RELEASED_FILE).exists():
            day, campaign = (path.name.partition("=")[2] for path in (folder.parent, folder))
            yield date.fromisoformat(day), campaign


def _name_of(suppression: Path | None) -> str:
    if suppression is None:
        return "none"
    try:
        if not suppression.is_file():  # a pipe would be waited for
            return "unreadable"
        return hashlib.sha256(suppression.read_bytes()).hexdigest()[:16]
    except OSError:
        # its absence is a state of its own; the campaign_lists asset says so and makes no list
        return "unreadable"


def _by_month(decisions: Iterable[ModelDecision]) -> Mapping[str, str]:
    months: dict[str, list[object]] = {}
    for decision in decisions:
        of_month = months.setdefault(decision.month, [])
        of_month.append([decision.segmentation, decision.verdict, decision.content])
    return {month: fingerprint(of_month) for month, of_month in months.items()}

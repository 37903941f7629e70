"""What is there: the lake's manifests and the landing folder, read into one value for the planner."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Any, TypeVar

from retail_pipeline.lake.partitions import (
    Lake,
    LakeError,
    contents,
    entries,
    folders,
    manifests,
    replace_file,
)
from retail_pipeline.lake.set_aside import read_landed, read_refusals
from retail_pipeline.planning.arrivals import FileSeen
from retail_pipeline.planning.decisions import DayRelease, FileDecision, ListRelease, ModelRetrain
from retail_pipeline.planning.deliveries import NO_LIMITS, Limits
from retail_pipeline.planning.manifests import Frozen, Manifest, fingerprint
from retail_pipeline.planning.readiness import LEARNED, Expected
from retail_pipeline.planning.state import State
from retail_pipeline.segmentation.gates import ModelDecision
from retail_pipeline.tables import TABLES
from retail_pipeline.tables.table import Table

DECISIONS = "decisions"
RELEASED_FILE = "_RELEASED"
LISTS = TABLES["campaign_lists"]
Decision = TypeVar("Decision", bound=Frozen)


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
        refused=read_refusals(lake),
        file_decisions={decision.source_id: decision for decision in read_file_decisions(lake)},
        limits=limits,
        expected=expected,
        made={t.name: made for t in TABLES.values() if t.planned and (made := _made(lake, t))},
        list_releases={(r.day, r.campaign): r.content for r in read_list_releases(lake)},
        list_markers=frozenset(_markers(lake)),
        released={release.day: release.content for release in read_releases(lake)},
        model_decisions=_by_month(read_model_decisions(lake)),
        retrained={retrain.month: retrain.rfm_features for retrain in read_retrains(lake)},
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


def read_releases(lake: Lake) -> list[DayRelease]:
    """Every recorded release of a held day, by day."""
    return _decisions(lake, "released_days", DayRelease)


def read_list_releases(lake: Lake) -> list[ListRelease]:
    """Every recorded release of a campaign list, by day and campaign."""
    return _decisions(lake, "released_lists", ListRelease)


def read_file_decisions(lake: Lake) -> list[FileDecision]:
    """Every recorded word on a delivered file, by source_id."""
    return _decisions(lake, "files", FileDecision)


def read_model_decisions(lake: Lake) -> list[ModelDecision]:
    """Every recorded promotion and rejection, by month and segmentation."""
    return _decisions(lake, "models", ModelDecision)


def read_retrains(lake: Lake) -> list[ModelRetrain]:
    """Every recorded wish to train a month on the data as they then were, by month."""
    return _decisions(lake, "retrained_months", ModelRetrain)


def write_release(lake: Lake, release: DayRelease) -> Path:
    """Record that somebody released a day."""
    return _record(lake, f"released_days/{release.day}", release)


def write_list_release(lake: Lake, release: ListRelease) -> Path:
    """Record that somebody handed a list over."""
    return _record(lake, f"released_lists/{release.day}.{release.campaign}", release)


def write_file_decision(lake: Lake, decision: FileDecision) -> Path:
    """Record that somebody accepted or rejected a delivered file; the last word on it counts."""
    return _record(lake, f"files/{decision.source_id}", decision)


def forget_file_decision(lake: Lake, source_id: str) -> None:
    """Take back what somebody said of a delivered file."""
    (lake.root / DECISIONS / "files" / f"{source_id}.json").unlink(missing_ok=True)


def write_model_decision(lake: Lake, decision: ModelDecision) -> Path:
    """Record that somebody promoted or rejected a candidate; the last word on it counts."""
    return _record(lake, f"models/{decision.month}.{decision.segmentation}", decision)


def write_retrain(lake: Lake, retrain: ModelRetrain) -> Path:
    """Record that somebody wants a month trained on the data as they are."""
    return _record(lake, f"retrained_months/{retrain.month}", retrain)


def _decisions(lake: Lake, kind: str, shape: type[Decision]) -> list[Decision]:
    found = []
    for path, content in contents(entries(lake.root / DECISIONS / kind, "*.json")):
        try:
            found.append(shape.model_validate_json(content))
        except ValueError as error:
            raise LakeError(f"{path} is not a decision: restore or remove it ({error})") from error
    return found


def _record(lake: Lake, name: str, decision: Frozen) -> Path:
    path = lake.root / DECISIONS / f"{name}.json"
    replace_file(lake, path, (decision.model_dump_json(indent=1) + "\n").encode())
    return path

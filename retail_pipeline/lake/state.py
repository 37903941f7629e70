"""What is there: the lake's manifests and the landing folder, read into one value for the planner.

Belongs here: reading. Does not belong here: any conclusion drawn from it (``core/planner.py``).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from datetime import date
from pathlib import Path
from typing import TypeVar

from retail_pipeline.core.arrivals import FileSeen
from retail_pipeline.core.decisions import DayRelease, ModelRetrain
from retail_pipeline.core.manifests import Frozen, Manifest, fingerprint
from retail_pipeline.core.planner import State
from retail_pipeline.core.promotion import ModelDecision
from retail_pipeline.core.schema import REPORT, TABLES
from retail_pipeline.lake.partitions import Lake, LakeError, manifests, replace_file

DECISIONS = "decisions"
Decision = TypeVar("Decision", bound=Frozen)


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
        candidates={m.partition["month"]: m for m in manifests(lake, TABLES["model_candidates"])},
        models={m.partition["month"]: m for m in manifests(lake, TABLES["segmentation_models"])},
        assignments=_by_day_and_name(lake, "segment_assignments"),
        lists=_by_day_and_name(lake, "campaign_lists"),
        reports={date.fromisoformat(m.partition["snapshot_date"]): m for m in manifests(lake, REPORT)},
        released={release.day: release.content for release in read_releases(lake)},
        model_decisions=_by_month(read_model_decisions(lake)),
        retrained={retrain.month: retrain.rfm_features for retrain in read_retrains(lake)},
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


def _by_month(decisions: Iterable[ModelDecision]) -> Mapping[str, str]:
    months: dict[str, list[object]] = {}
    for decision in decisions:
        of_month = months.setdefault(decision.month, [])
        of_month.append([decision.segmentation, decision.verdict, decision.content])
    return {month: fingerprint(of_month) for month, of_month in months.items()}


def read_releases(lake: Lake) -> list[DayRelease]:
    """Every recorded release of a held day, by day."""
    return _decisions(lake, "released_days", DayRelease)


def read_model_decisions(lake: Lake) -> list[ModelDecision]:
    """Every recorded promotion and rejection, by month and segmentation."""
    return _decisions(lake, "models", ModelDecision)


def read_retrains(lake: Lake) -> list[ModelRetrain]:
    """Every recorded wish to train a month on the data as they then were, by month."""
    return _decisions(lake, "retrained_months", ModelRetrain)


def write_release(lake: Lake, release: DayRelease) -> Path:
    """Record that somebody released a day."""
    return _record(lake, f"released_days/{release.day}", release)


def write_model_decision(lake: Lake, decision: ModelDecision) -> Path:
    """Record that somebody promoted or rejected a candidate; the last word on it counts."""
    return _record(lake, f"models/{decision.month}.{decision.segmentation}", decision)


def write_retrain(lake: Lake, retrain: ModelRetrain) -> Path:
    """Record that somebody wants a month trained on the data as they are."""
    return _record(lake, f"retrained_months/{retrain.month}", retrain)


def _decisions(lake: Lake, kind: str, shape: type[Decision]) -> list[Decision]:
    found = []
    for path in sorted((lake.root / DECISIONS / kind).glob("*.json")):
        try:
            found.append(shape.model_validate_json(path.read_bytes()))
        except ValueError as error:
            raise LakeError(f"{path} is not a decision: restore or remove it ({error})") from error
    return found


def _record(lake: Lake, name: str, decision: Frozen) -> Path:
    path = lake.root / DECISIONS / f"{name}.json"
    replace_file(lake, path, (decision.model_dump_json(indent=1) + "\n").encode())
    return path

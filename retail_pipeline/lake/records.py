"""What is kept beside the tables: people's decisions, and which files could not be read.

A record is a JSON file that is named by what it is about; the last word on that counts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

from retail_pipeline.lake.partitions import Lake, LakeError, contents, entries, in_a_line, replace_file
from retail_pipeline.planning.arrivals import Refusal
from retail_pipeline.planning.decisions import DayRelease, FileDecision, ListRelease, ModelRetrain
from retail_pipeline.planning.manifests import Frozen
from retail_pipeline.segmentation.gates import ModelDecision

Record = TypeVar("Record", bound=Frozen)
_DECISION = "is not a decision: restore or remove it"
# of each kind the folder, what names one of them, and what is said of a damaged one
KINDS: Mapping[type[Frozen], tuple[str, tuple[str, ...], str]] = {
    Refusal: ("quarantine", ("source_id",), "is no record of a refused file: remove it"),
    FileDecision: ("decisions/files", ("source_id",), _DECISION),
    DayRelease: ("decisions/released_days", ("day",), _DECISION),
    ListRelease: ("decisions/released_lists", ("day", "campaign"), _DECISION),
    ModelDecision: ("decisions/models", ("month", "segmentation"), _DECISION),
    ModelRetrain: ("decisions/retrained_months", ("month",), _DECISION),
}


def records(lake: Lake, kind: type[Record]) -> list[Record]:
    """All records of a kind, by name.

    Raises:
        LakeError: one is not readable.
    """
    return [made for _, made in contents(paths_of(lake, kind), reader(kind))]


def paths_of(lake: Lake, kind: type[Frozen]) -> list[Path]:
    return entries(lake.root / KINDS[kind][0], "*.json")


def reader(kind: type[Record]) -> Callable[[Path], Record]:
    def read(path: Path) -> Record:
        content = path.read_bytes()
        try:
            return kind.model_validate_json(content)
        except ValueError as error:
            raise LakeError(f"{path} {KINDS[kind][2]} ({in_a_line(error)})") from error

    return read


def record(lake: Lake, made: Frozen) -> Path:
    path = _path(lake, type(made), *(getattr(made, name) for name in KINDS[type(made)][1]))
    replace_file(lake, path, (made.model_dump_json(indent=1) + "\n").encode())
    return path


def forget(lake: Lake, kind: type[Frozen], *name: object) -> None:
    _path(lake, kind, *name).unlink(missing_ok=True)


def _path(lake: Lake, kind: type[Frozen], *name: object) -> Path:
    return lake.root / KINDS[kind][0] / f"{'.'.join(map(str, name))}.json"

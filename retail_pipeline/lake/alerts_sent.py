"""What people were told: a file for each standing problem under the lake's ``.alerts``.

A sensor writes here without the lake's lock, so nothing goes through the staging folder, which a run may
clear.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from pydantic import ValidationError

from retail_pipeline.lake.partitions import Lake, LakeError
from retail_pipeline.planning.manifests import Frozen

FOLDER = ".alerts"


class Told(Frozen):
    """A problem that was told: its key, what was the matter, and the names of those who were told."""

    key: str
    what: str
    to: tuple[str, ...]


# what this process told and could not record (the disk is full, say): the next tick must not tell it again
_UNRECORDED: dict[Path, Told] = {}


def read_told(lake: Lake) -> Mapping[str, Told]:
    """What was told, by key; a record that cannot be read counts as none, so that it is told again."""
    found = {}
    for path in sorted((lake.root / FOLDER).glob("*.json")):
        try:
            told = Told.model_validate_json(path.read_bytes())
        except (OSError, ValidationError):
            continue
        found[told.key] = told
    folder = lake.root / FOLDER
    return found | {told.key: told for path, told in _UNRECORDED.items() if path.parent == folder}


def write_told(lake: Lake, told: Told) -> None:
    path = lake.root / FOLDER / _name(told.key)
    staged = path.with_suffix(f".{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        staged.write_text(told.model_dump_json(indent=1) + "\n", encoding="utf-8")
        staged.replace(path)
        _UNRECORDED.pop(path, None)
    except OSError as error:
        _UNRECORDED[path] = told
        raise LakeError(
            f"{path} cannot be written ({error.strerror}), so that people are told again after a restart: "
            "make room or mend the folder's permissions"
        ) from error


def forget_told(lake: Lake, keys: Iterable[str]) -> None:
    for key in keys:
        path = lake.root / FOLDER / _name(key)
        _UNRECORDED.pop(path, None)
        path.unlink(missing_ok=True)


def _name(key: str) -> str:
    return re.sub(r"[^\w.-]+", "_", key) + ".json"

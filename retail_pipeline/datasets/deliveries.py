"""How a data set becomes a shop's deliveries: a CSV file a day, whole or not at all, no two sets mixed."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

OnFile = Callable[[int, int], None]
"""Called after each file with the number of files done and the number of all."""


class DatasetError(Exception):
    """A data set could not be had; the message says what failed and what to do."""


@dataclass(frozen=True)
class Landed:
    """What now lies in the landing folder: one CSV file a business day, ``rows`` data rows in all."""

    files: int
    rows: int
    first_day: date
    last_day: date
    folder: Path


def file_name(prefix: str, day: date) -> str:
    """The name of a day's file: ``<prefix>_2017-01-01.csv``."""
    return f"{prefix}_{day.isoformat()}.csv"


def foreign_files(landing: Path, prefix: str) -> list[str]:
    """The names in ``landing``, sorted, that are no deliveries of the set ``prefix`` (hidden files apart)."""
    names = (entry.name for entry in landing.iterdir()) if landing.is_dir() else ()
    return sorted(name for name in names if not name.startswith((".", f"{prefix}_")))


def deliver(
    landing: Path,
    prefix: str,
    days: Iterable[tuple[date, pd.DataFrame]],
    total: int,
    on_file: OnFile | None = None,
) -> Landed:
    """Write the lines of each of the ``total`` days, in their order; files that are so already stay."""
    trading, rows = [], 0
    for day, lines in days:
        content = lines.to_csv(index=False, lineterminator="\n").encode()
        write_atomically(landing / file_name(prefix, day), content)
        trading.append(day)
        rows += len(lines)
        if on_file:
            on_file(len(trading), total)
    return Landed(len(trading), rows, trading[0], trading[-1], landing)


def write_atomically(path: Path, content: bytes) -> None:
    """Write ``content`` to ``path`` in one step, making its folder; an identical file is left untouched."""
    if path.is_file() and path.stat().st_size == len(content) and path.read_bytes() == content:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    # A scan of the folder skips names that start with a dot, so it never sees a half-written delivery.
    staged = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        staged.write_bytes(content)
        os.replace(staged, path)
    finally:
        staged.unlink(missing_ok=True)

"""How a data set becomes a shop's daily deliveries: file names, atomic writes, and not mixing two sets.

What a set holds, and where it comes from, stands in its own module.
"""

import os
from collections.abc import Callable
from datetime import date
from pathlib import Path

OnFile = Callable[[int, int], None]
"""Called after each file with the number of files done and the number of all."""


def file_name(prefix: str, day: date) -> str:
    """The name of a day's file: ``<prefix>_2017-01-01.csv``."""
    return f"{prefix}_{day.isoformat()}.csv"


def foreign_files(landing: Path, prefix: str) -> list[str]:
    """The names in ``landing``, sorted, that are no deliveries of the set ``prefix`` (hidden files apart)."""
    if not landing.is_dir():
        return []
    names = (entry.name for entry in landing.iterdir())
    return sorted(name for name in names if not name.startswith((".", f"{prefix}_")))


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

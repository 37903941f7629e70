"""What lies in the landing folder: its files by content, and why the others cannot land.

Belongs here: walking the folder and telling files apart. Does not belong here: reading what they hold
(``landing.py``), or which of them should land (``core/arrivals.py``, ``core/planner.py``).
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from retail_pipeline.core.arrivals import FileSeen

SUFFIXES = (".csv", ".csv.gz", ".parquet")
UNFINISHED = (".tmp", ".part")


class LandingError(Exception):
    """The landing folder cannot be read; the message names it and what to do."""


@dataclass(frozen=True)
class Listing:
    """What lies in the landing folder: files that can land, by path, and why the others cannot, by name."""

    files: list[FileSeen]
    ignored: dict[str, str]


def list_files(landing: Path) -> Listing:
    """List the landing folder, with its folders, ordered by path.

    Files that can land end in .csv, .csv.gz or .parquet. Hidden files and unfinished ones (.tmp, .part) are
    passed over without a word; links that leave the folder and files of other kinds are named with reasons.

    Raises:
        LandingError: the folder does not exist or cannot be read.
    """
    files, ignored = [], {}
    home = landing.resolve()

    def refuse(error: OSError) -> None:
        raise LandingError(
            f"the landing folder {landing} cannot be read ({error.strerror}): create it and put the shop's "
            "files there, or name another with --landing or the setting `landing`"
        ) from error

    for folder, folders, names in os.walk(landing, onerror=refuse):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            path = Path(folder, name)
            if name.startswith(".") or name.lower().endswith(UNFINISHED):
                continue
            relative = path.relative_to(landing).as_posix()
            shown = relative.encode(errors="backslashreplace").decode()
            if not name.lower().endswith(SUFFIXES):
                ignored[shown] = "is no .csv, .csv.gz or .parquet file"
            elif shown != relative:
                ignored[shown] = "has a name that is not UTF-8: rename it"
            elif not path.resolve().is_relative_to(home):
                ignored[shown] = "is a link that leaves the landing folder"
            else:
                try:
                    size, sha256 = identity(path)
                    files.append(FileSeen(path=relative, size_bytes=size, sha256=sha256))
                except OSError as error:
                    ignored[shown] = f"cannot be read ({error.strerror}): mend its permissions"
    return Listing(sorted(files, key=lambda f: f.path), dict(sorted(ignored.items())))


def identity(path: Path) -> tuple[int, str]:
    """A file's size in bytes and the sha256 of its content."""
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
        return stream.tell(), digest

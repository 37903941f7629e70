"""A table of canonical rows, written in any style, comes back as it was, or is refused by name."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from random import Random
from typing import Any

import duckdb
import pytest

from retail_pipeline.ingest.files.shapes import Shape
from retail_pipeline.ingest.files.unpacked import RefusalError
from retail_pipeline.ingest.profiles.profile import SourceProfile
from retail_pipeline.ingest.profiles.reading import Reading
from retail_pipeline.ingest.reading import Reader, session
from retail_pipeline.ingest.reading import read as read_together
from retail_pipeline_tests.ingest.books import COLUMNS, Entry, Line, spoilt, style

Read = list[Line | list[str]]
"""What came of a file's rows: a line, or the reasons why there is none."""


@pytest.fixture(scope="module")
def connection(tmp_path_factory) -> Iterator[duckdb.DuckDBPyConnection]:
    with session(tmp_path_factory.mktemp("spill"), reading({}, "UTC")) as opened:
        yield opened.connection


def reading(profile: dict[str, Any], business_zone: str) -> Reading:
    return Reading(
        profiles={"shop": SourceProfile.model_validate(profile)} if profile else {},
        business_zone=business_zone,
        currency=None,
        first_day=date(1900, 1, 1),
        last_day=None,
        memory_limit="512MB",
        threads=1,
    )


def read(reader: Reader, paths: Sequence[Path]) -> dict[Path, Read | RefusalError]:
    """Each file's rows, read as landing reads them: alike files together."""
    found: dict[Path, Read | RefusalError] = {}
    shapes: dict[Shape, list[Path]] = defaultdict(list)
    for path in paths:
        try:
            shapes[reader.shape(path, path.name)].append(path)
        except RefusalError as refusal:
            found[path] = refusal
    for shape, alike in shapes.items():
        found |= together(reader, shape, alike)
    return found


def together(reader: Reader, shape: Shape, alike: Sequence[Path]) -> dict[Path, Read | RefusalError]:
    """Files of one shape; each half of them where one cannot be read."""
    try:
        read_together(reader, shape, alike, [None] * len(alike))
    except RefusalError as refusal:
        if (half := len(alike) // 2) == 0:
            return {alike[0]: refusal}
        return together(reader, shape, alike[:half]) | together(reader, shape, alike[half:])
    rows = mapped(reader)
    return {path: rows[n] for n, path in enumerate(alike)}


def mapped(reader: Reader) -> dict[int, Read]:
    rows: dict[int, Read] = defaultdict(list)
    for n, reasons, left_out, *values in reader.connection.execute(
        f"select file_no, reasons, left_out, {', '.join(COLUMNS)} from mapped order by rowid"
    ).fetchall():
        line = Line(**dict(zip(COLUMNS, values, strict=True)))
        rows[n].append(["left out"] if left_out else reasons or line)
    return rows


def difference(entries: Sequence[Entry], found: Read | RefusalError, strict: bool) -> str | None:
    """What is wrong with what came of a file; None where nothing is.

    ``strict`` when what can be read must be.
    """
    if isinstance(found, RefusalError):
        return f"the file is refused: it {found}" if strict else None
    read = [row for row in found if isinstance(row, Line)]
    reasons = [row for row in found if not isinstance(row, Line)]
    if any("the last line has no end" in reason for why in reasons for reason in why):
        # it may have been cut in its last field
        entries = [*entries[:-1], replace(entries[-1], must=False)]
    left = iter(entries)
    for row in read:
        for entry in left:
            if row == entry.line:
                break
            if strict and entry.must:
                return f"the line\n  {entry.line}\nis not read, but\n  {row}\n{reasons[:3]}"
        else:
            return f"it reads\n  {row}"
    if strict and (missing := [entry.line for entry in left if entry.must]):
        return f"the line\n  {missing[0]}\nis not read: {reasons[:3]}"
    if len(read) + len(reasons) < sum(not entry.damage for entry in entries):
        return f"of {len(entries)} rows {len(read)} are read and {len(reasons)} refused"
    return None


def tried(connection: Any, folder: Path, kind: str, seed: int, files: int, way: str) -> list[str]:
    """Write files in one style, read them, and say what is wrong: one text a file.

    ``way`` is ``calm`` or ``well`` written, ``dirty``, or ``undeclared``: by a profile that leaves open what
    the files should show.
    """
    chance = Random(f"{kind} {way} {seed}")
    chosen = style(chance, kind, way == "calm")
    profile = {key: value for key, value in chosen.profile.items() if way != "undeclared" or key not in SHOWS}
    written: dict[Path, list[Entry]] = {}
    for n in range(files):
        lines = chosen.lines(chance, chance.choice((1, 2, 3, 5, 12)))
        entries = spoilt(chance, chosen, lines, 0 if way in ("calm", "well") else chance.choice((0, 0.3)))
        path = folder / f"{n}{chosen.suffix}"
        path.write_bytes(chosen.write(chance, entries))
        written[path] = entries
    spill = folder / "spill"
    spill.mkdir(exist_ok=True)
    found = read(Reader(connection, reading(profile, chosen.business_zone), spill), list(written))
    return [
        f"{kind}, {way}, seed {seed}: {path.read_bytes()[:2000]!r}\nread by {profile}\n"
        f"in {chosen.business_zone}, with {[(e.damage, e.odd) for e in entries if not e.must]}: {why}"
        for path, entries in written.items()
        if (why := difference(entries, found[path], way != "undeclared"))
    ]


# what a file should show by itself
SHOWS = ("encoding", "delimiter", "date_order", "skip_rows")
KINDS = ("text", "fixed", "json", "parquet", "workbook")
WAYS = ("calm", "well", "dirty", "undeclared")
# how many styles, and how many files in each of them: reading alone takes as long as reading fifty together
SHARE = [("text", "calm", 2, 10), ("text", "dirty", 4, 2), ("text", "undeclared", 4, 2)] + [
    (kind, way, 1, 2) for kind in KINDS[1:] for way in WAYS[1:]
]
WHOLE = [("text", "calm", 230, 80), ("parquet", "calm", 30, 32), ("text", "well", 25, 8)] + [
    (kind, way, 11, 4) for kind in KINDS for way in WAYS[2:]
]


def some_example_fails(
    connection: Any, folder: Path, plan: Sequence[tuple[str, str, int, int]]
) -> str | None:
    for kind, way, styles, files in plan:
        for seed in range(styles):
            if wrong := tried(connection, folder, kind, seed, files, way):
                return wrong[0]
    return None


def test_lines_in_any_style_come_back_or_are_refused(connection, tmp_path):
    assert some_example_fails(connection, tmp_path, SHARE) is None


@pytest.mark.slow
def test_lines_in_any_style_come_back_or_are_refused_20_000_files(connection, tmp_path):
    assert sum(styles * files for _, _, styles, files in WHOLE) >= 20_000
    assert some_example_fails(connection, tmp_path, WHOLE) is None

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
from retail_pipeline.ingest.reading import DoubtError, Reader, read_alone, scan, session
from retail_pipeline_tests.ingest.books import COLUMNS, Entry, Line, spoilt, style
from retail_pipeline_tests.shop import PROFILE

Read = list[Line | list[str]]
"""What came of a file's rows: a line, or the reasons why there is none."""


@pytest.fixture(scope="module")
def connection(tmp_path_factory) -> Iterator[duckdb.DuckDBPyConnection]:
    with session(tmp_path_factory.mktemp("spill"), "512MB", 1) as opened:
        yield opened


def reader(connection: Any, folder: Path, profile: dict[str, Any], business_zone: str) -> Reader:
    profiles = {"shop": SourceProfile.model_validate(profile)}
    return Reader(connection, profiles, business_zone, None, date(1900, 1, 1), None, folder)


def read(reader: Reader, paths: Sequence[Path]) -> dict[Path, Read | RefusalError]:
    """Each file's rows, read as landing reads them: alike files together, those in doubt alone."""
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
    """Files of one shape: by one scan, or by one of each half where something in them stops it."""
    if not shape.plain:
        return {path: alone(reader, shape, path) for path in alike}
    try:
        doubtful = scan(reader, shape, alike, [None] * len(alike))
    except DoubtError:
        if (half := len(alike) // 2) == 0:
            return {alike[0]: alone(reader, shape, alike[0])}
        return together(reader, shape, alike[:half]) | together(reader, shape, alike[half:])
    rows = mapped(reader)
    return {path: alone(reader, shape, path) if n in doubtful else rows[n] for n, path in enumerate(alike)}


def alone(reader: Reader, shape: Shape, path: Path) -> Read | RefusalError:
    try:
        read_alone(reader, shape, path, None)
    except RefusalError as refusal:
        return refusal
    return mapped(reader)[0]


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
    found = read(reader(connection, spill, profile, chosen.business_zone), list(written))
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


def test_files_whose_days_are_written_12_3_2024_are_read_together(connection, tmp_path):
    path = tmp_path / "a.csv"
    path.write_text(
        "order,product,units,price,at,customer,currency\n1,A1,1,2.50,12-3-2024,7,EUR\n2,A1,1,2.50,1-12-24,7,EUR\n"
    )
    profile = PROFILE | {"date_order": "day_first"}
    reading = reader(connection, tmp_path / "spill", profile, "Europe/London")
    assert scan(reading, reading.shape(path, path.name), [path], [None]) == set()


@pytest.mark.slow
def test_lines_in_any_style_come_back_or_are_refused_20_000_files(connection, tmp_path):
    assert sum(styles * files for _, _, styles, files in WHOLE) >= 20_000
    assert some_example_fails(connection, tmp_path, WHOLE) is None

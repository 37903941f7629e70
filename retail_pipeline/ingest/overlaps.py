"""Lines that two files have in common: one delivery twice, in part or under other row numbers."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from datetime import date
from typing import NamedTuple

import duckdb

from retail_pipeline.lake.partitions import Lake
from retail_pipeline.lake.set_aside import raw_path
from retail_pipeline.planning.manifests import Manifest, Overlap, Part
from retail_pipeline.tables import TABLES

# all that makes a line this line; not where it stood
LINE = ", ".join(name for name in TABLES["raw_transactions"].names if name not in ("source_id", "source_row"))


class Candidate(NamedTuple):
    """A file whose rows are written and not yet committed."""

    source_system: str
    replaces: str | None
    path: str
    parts: Mapping[date, Part]


def overlaps(
    connection: duckdb.DuckDBPyConnection,
    lake: Lake,
    candidates: Mapping[str, Candidate],
    landed: Mapping[str, Manifest],
) -> Mapping[str, dict[str, Overlap]]:
    """For each candidate (by source_id) the files it shares lines with: other candidates and landed ones.

    A line is counted as often as both files have it: what one file has twice in itself is no overlap. Files
    that a candidate replaces anyway are left out.
    """
    others = {
        source_id: Candidate(m.inputs["source_system"], m.arrival.replaces, m.arrival.path, m.parts)
        for source_id, m in landed.items()
        if source_id not in candidates
    }
    known = {**others, **candidates}
    on_day: dict[tuple[str, date], list[str]] = defaultdict(list)
    for source_id, file in known.items():
        for day in file.parts:
            on_day[file.source_system, day].append(source_id)
    found: dict[str, dict[str, Overlap]] = {source_id: {} for source_id in candidates}
    of, shared = Counter[tuple[str, str]](), dict[tuple[str, str], dict[date, tuple[int, int]]]()
    days = {(file.source_system, day) for file in candidates.values() for day in file.parts}
    for system, day in sorted(days):
        there = sorted(on_day[system, day])
        pairs = [
            (one, two)
            for place, one in enumerate(there)
            for two in there[place + 1 :]
            if (one in candidates or two in candidates) and not _replaces(known[one], known[two])
        ]
        if not pairs:
            continue
        common = _common(connection, lake, day, there)
        for pair in pairs:
            smaller = min(known[source_id].parts[day].rows for source_id in pair)
            of[pair] += smaller
            if pair in common:
                shared.setdefault(pair, {})[day] = common[pair], smaller
    for (one, two), by_day in shared.items():
        lines = sum(lines for lines, _ in by_day.values())
        overlap = Overlap(lines=lines, of=of[one, two], days=by_day)
        for source_id, other in ((one, two), (two, one)):
            if source_id in candidates:
                found[source_id][other] = overlap
    return found


def _replaces(one: Candidate, two: Candidate) -> bool:
    return "same_days" in (one.replaces, two.replaces) or (
        one.path == two.path and "same_name" in (one.replaces, two.replaces)
    )


def _common(
    connection: duckdb.DuckDBPyConnection, lake: Lake, day: date, source_ids: Iterable[str]
) -> dict[tuple[str, str], int]:
    files = [str(raw_path(lake, day, source_id)) for source_id in source_ids]
    rows = (
        connection.cursor()
        .execute(
            f"""with lines as (
                select source_id, hash({LINE}) as line, count(*) as times
                from read_parquet($files, hive_partitioning = false) group by all
            )
            select one.source_id, two.source_id, sum(least(one.times, two.times))::bigint
            from lines one join lines two on one.line = two.line and one.source_id < two.source_id
            group by all""",  # noqa: S608 - the schema's columns
            {"files": files},
        )
        .fetchall()
    )
    return {(one, two): shared for one, two, shared in rows}

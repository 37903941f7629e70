"""What a file would become: how it reads, its first rows before and after, what would be refused and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from retail_pipeline.engine.duckdb import DuckDB
from retail_pipeline.ingest.files.records import open_records
from retail_pipeline.ingest.profiles.cleaning import CleaningRules, rules_for
from retail_pipeline.ingest.profiles.dialects import Evidence
from retail_pipeline.ingest.profiles.profile import CANONICAL
from retail_pipeline.ingest.reading import CENTS, Reader, read
from retail_pipeline.ingest.till_figures import findings, judge
from retail_pipeline.planning.reconciliation import Finding, Shares, Till

MOST_REASONS = 20


@dataclass(frozen=True)
class Tally:
    """One kind of reason: in how many rows, the first (1 = the first data row), what it says there."""

    rows: int
    first_row: int
    reason: str


@dataclass(frozen=True)
class Preview:
    """What a profile makes of a file.

    ``before`` are the first rows' texts in the ``columns`` that the profile reads (None: the row cannot be
    split), ``after`` the same rows by canonical column, with ``reasons``. ``till`` are the figures of the
    readable rows under the cleaning rules, in ``currency``; ``findings`` what the checks of days would find.
    """

    profile: str
    evidence: tuple[Evidence, ...]
    columns: tuple[str, ...]
    unread: tuple[str, ...]
    before: Sequence[Sequence[str | None] | None]
    after: Sequence[Mapping[str, Any]]
    rows: int
    unreadable: int
    left_out: int
    value_left_out: int
    tallies: Sequence[Tally]
    till: Till
    currency: str
    findings: tuple[Finding, ...]


def preview(
    reader: Reader, path: Path, name: str, rows: int, cleaning: CleaningRules, limits: Shares
) -> Preview:
    """Read a file (``name`` under the landing folder) by the profile that fits, and look at what comes of it.

    ``cleaning`` are the shop's own rules, laid over the profile's; ``limits`` what a day may be like.

    Raises:
        RefusalError: the file cannot be read at all; the message says why.
    """
    shape = reader.shape(path, name)
    (order,) = read(reader, shape, [path], [reader.latest(path.stat().st_mtime_ns)])
    evidence = shape.evidence
    if order:
        evidence += (Evidence(what="dates", value=order, why="only so can all of them be read"),)
    profile, engine = reader.profile(shape), DuckDB(reader.connection)
    needs = profile.needs
    columns = tuple(column for column in shape.header if column in needs)
    places = [shape.header.index(column) for column in columns]
    with open_records(path, shape.layout, reader.folder) as (_, records):
        before = [record.fields and [record.fields[n] for n in places] for record in islice(records, rows)]
    count, unreadable, left_out, value_left_out, first_currency = reader.connection.sql(
        f"""select count(*), count(reasons), count(*) filter (left_out),
            coalesce(sum({CENTS}) filter (left_out), 0) // 100,
            arg_min(currency, (cast(sold_at as date), rowid)) filter (reasons is null and not left_out)
        from mapped"""  # noqa: S608
    ).fetchall()[0]
    till = judge(engine, profile.source_system, rules_for(cleaning, profile.cleaning))
    currency = reader.settings.currency or first_currency or ""
    after = reader.connection.execute(
        f"select {', '.join(CANONICAL)}, reasons, left_out from mapped order by rowid limit $rows",  # noqa: S608
        {"rows": rows},
    ).fetchall()
    return Preview(
        profile=shape.profile,
        evidence=evidence,
        columns=columns,
        unread=tuple(column for column in shape.header if column not in needs),
        before=before,
        after=[dict(zip((*CANONICAL, "reasons", "left_out"), row, strict=True)) for row in after],
        rows=count,
        unreadable=unreadable,
        left_out=left_out,
        value_left_out=int(value_left_out),
        tallies=_tallies(reader),
        till=till,
        currency=currency,
        findings=findings(engine, till, currency, limits),
    )


def _tallies(reader: Reader) -> list[Tally]:
    """The kinds of reasons in ``mapped``, the most frequent first; a value makes no kind of its own."""
    found = reader.connection.execute(
        """select count(*), min(row), arg_min(reason, row)
        from (
            select unnest(reasons) as reason, rowid - (select min(rowid) from mapped) + 1 as row
            from mapped where reasons is not null
        )
        group by regexp_replace(reason, '''.*''|[0-9][0-9-]*', '', 'g')
        order by 1 desc, 2, 3 limit $most""",
        {"most": MOST_REASONS},
    ).fetchall()
    return [Tally(*row) for row in found]

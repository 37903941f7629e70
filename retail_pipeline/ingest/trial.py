"""What a file would become: how it reads, its first rows before and after, what would be refused and why."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from retail_pipeline.engine.duckdb import DuckDB
from retail_pipeline.ingest.files.records import open_records
from retail_pipeline.ingest.files.unpacked import RefusalError
from retail_pipeline.ingest.profiles.cleaning import CleaningRules, rules_for
from retail_pipeline.ingest.profiles.dialects import Evidence
from retail_pipeline.ingest.profiles.drafts import Draft, profile_draft
from retail_pipeline.ingest.profiles.profile import CANONICAL
from retail_pipeline.ingest.profiles.reading import Reading
from retail_pipeline.ingest.reading import CENTS, Reader, read, session
from retail_pipeline.ingest.samples import Sample, sample, with_second_file
from retail_pipeline.ingest.till_figures import findings, judge
from retail_pipeline.planning.manifests import Frozen
from retail_pipeline.planning.reconciliation import Finding, Shares, Till

MOST_REASONS = 20


class Look(Frozen):
    """A file to look at, its ``name`` under the landing folder, and how many of its rows to show.

    ``cleaning`` are the shop's own rules, laid over the profile's; the shares say what a day may be like.
    Where no profile reads the file one is drafted, with lookups relative to ``base`` (None: none is).
    """

    reading: Reading
    file: Path
    name: str
    rows: int
    cleaning: CleaningRules
    max_rejected_share: float
    max_anonymous_share: float
    base: Path | None


class Unread(Frozen):
    """Why a file is not read; and how it shows to be written, with a profile for it or why there is none."""

    reason: str
    no_draft: str = ""
    evidence: tuple[Evidence, ...] = ()
    header: tuple[str, ...] = ()
    draft: Draft | None = None


class Tally(Frozen):
    """One kind of reason: in how many rows, the first (1 = the first data row), what it says there."""

    rows: int
    first_row: int
    reason: str


class Preview(Frozen):
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


def look(asked: Look) -> Preview | Unread:
    """Read a file by the profile that fits, or draft one."""
    with TemporaryDirectory() as folder, session(Path(folder), asked.reading) as reader:
        try:
            return preview(reader, asked.file, asked.name, asked.rows, asked.cleaning, asked)
        except RefusalError as refusal:
            if asked.base is None:
                return Unread(reason=str(refusal))
            try:
                return _drafted(asked, str(refusal), reader.folder, asked.base)
            except RefusalError as other:
                return Unread(reason=str(refusal), no_draft=str(other))


def _drafted(asked: Look, reason: str, folder: Path, base: Path) -> Unread:
    name = "_".join(re.findall("[a-z]+", asked.file.name.split(".")[0].lower())) or "my_shop"

    def drafted(seen: Sample) -> Draft:
        return profile_draft(
            name,
            seen.header,
            seen.rows,
            encoding=seen.encoding,
            delimiter=seen.delimiter,
            currency=asked.reading.currency,
            layout=seen.facts,
            second=seen.second,
        )

    seen = sample(asked.file, folder)
    draft = drafted(seen)
    if draft.wanting:
        others = map(drafted, with_second_file(seen, asked.file.absolute(), folder, base.absolute()))
        draft = min([draft, *others], key=lambda made: len(made.wanting))
    return Unread(reason=reason, evidence=seen.evidence, header=seen.header, draft=draft)


def preview(
    reader: Reader, path: Path, name: str, rows: int, cleaning: CleaningRules, limits: Shares
) -> Preview:
    """Read a file (``name`` under the landing folder) by the profile that fits, and look at what comes of it.

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
    texts = ", ".join(f"cast({name} as varchar)" for name in CANONICAL)
    after = reader.connection.execute(
        f"select {texts}, reasons, left_out from mapped order by rowid limit $rows",  # noqa: S608
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
    return [Tally(rows=rows, first_row=first, reason=reason) for rows, first, reason in found]

"""Second files: a column looked up by another, such as prices in a product file."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from retail_pipeline.ingest.files.records import DELIMITERS, HEADER_LINES, Layout, header_of, open_records
from retail_pipeline.ingest.files.texts import encoding_at, head_of, json_encoding
from retail_pipeline.ingest.files.unpacked import RefusalError, package
from retail_pipeline.ingest.profiles.profile import Lookup, SourceProfile
from retail_pipeline.ingest.text_rows import Record, lines_of
from retail_pipeline.planning.masking import shown_columns


@dataclass(frozen=True)
class Table:
    """A second file: its content's name, and by key the texts of the columns that are looked up."""

    content: str
    columns: tuple[str, ...]
    rows: Mapping[str, Sequence[str | None]]


def read_lookup(profile: SourceProfile, name: str, first: str, folder: Path) -> Table:
    """The second file ``name`` of a profile for the file ``first``; ``folder`` is for what is unpacked.

    Raises:
        RefusalError: it cannot be read, lacks a column, or gives a key two meanings.
    """
    lookup = profile.lookups[name]
    columns = [c.partition(".")[2] for c in profile.lookup_columns if c.partition(".")[0] == name]
    path = Path(profile.second_path(lookup, first))
    if lookup.parts and not path.exists():
        why = f"needs the lookup {name}, but {path.name} is not there yet: it is read when that has come"
        raise RefusalError(why, lasting=False)
    try:
        return _table(path, lookup, columns, folder)
    except RefusalError as refusal:
        shown = path.name if lookup.parts else lookup.path
        raise RefusalError(f"needs the lookup {name}, but {shown} {refusal}") from refusal


def _table(path: Path, lookup: Lookup, columns: Sequence[str], folder: Path) -> Table:
    try:
        with path.open("rb") as stream:
            content = hashlib.file_digest(stream, "sha256").hexdigest()[:16]
    except OSError as error:
        raise RefusalError(f"cannot be read ({error.strerror}): restore it") from error
    rows: dict[str, Sequence[str | None]] = {}
    names = [lookup.key, *columns]
    with open_records(path, _layout(path, names), folder) as (header, records):
        if missing := [name for name in names if name not in header]:
            raise RefusalError(f"has no column {', '.join(missing)}, but {shown_columns(header)}")
        places = [header.index(name) for name in names]
        for n, record in enumerate(records, 1):
            if record.fields is None:
                raise RefusalError(f"has a row that cannot be read: row {n}, {record.problem}")
            key, *found = (record.fields[place] or None for place in places)
            if key is not None and rows.setdefault(key, found) != found:
                raise RefusalError(f"says two things of one {lookup.key}, the second in row {n}: keep one")
    return Table(content, tuple(columns), rows)


def _layout(path: Path, names: Sequence[str]) -> Layout:
    """How a second file lies: text is split by the delimiter that gives the columns asked for."""
    kind, packing = package(path)
    if kind in ("excel", "parquet"):
        return Layout(kind, packing)
    if kind == "json":
        return Layout(kind, packing, json_encoding(path, packing)[0])
    layout = Layout(kind, packing, encoding_at(path, packing)[0])
    lines = list(islice(lines_of(io.BytesIO(head_of(path, packing)[0]), layout.encoding), HEADER_LINES))
    headers = {d: header_of(iter(lines), d, layout.encoding) for d in DELIMITERS}
    return replace(layout, delimiter=max(headers, key=lambda d: len(set(names) & set(headers[d]))))


def looked_up(
    records: Iterable[Record], header: Sequence[str], profile: SourceProfile, tables: Mapping[str, Table]
) -> Iterator[Record]:
    """Records with the columns of ``profile.lookup_columns`` added; null where a key is not found."""
    used = [
        (header.index(profile.lookups[name].of), table.rows, [None] * len(table.columns))
        for name, table in sorted(tables.items())
        if table.columns
    ]
    for record in records:
        fields = record.fields
        if fields is not None:
            found = (rows.get(fields[of] or "", nothing) for of, rows, nothing in used)
            record = record._replace(fields=[*fields, *(text for texts in found for text in texts)])
        yield record

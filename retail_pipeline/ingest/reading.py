"""Files -> the table ``mapped``: canonical columns, and reasons where a row cannot be read.

Belongs here: the two readers and when each is used. Does not belong here: how rows lie in a file
(``files/``), what their texts mean (``profiles/canonical.py``), or writing to the lake (``landing.py``).

Plain files of one shape are read together by one DuckDB scan; text that is not UTF-8, or is packed, is first
copied as UTF-8. A file in which that scan met a broken record or a row that cannot be typed, and every other
kind of file, is read alone from its records, which keep the text of every row. Both readers feed the same
SELECT, and leave ``mapped`` with rowids that follow the files' rows without a gap.
"""

from __future__ import annotations

import codecs
import glob
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import date, datetime, time, timedelta
from mmap import ACCESS_READ, mmap
from os import SEEK_END
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
import pyarrow as pa
from sqlglot import exp

from retail_pipeline.ingest.files.columnar import leaves
from retail_pipeline.ingest.files.lookups import Table, looked_up, read_lookup
from retail_pipeline.ingest.files.records import NO_TEXT, Layout, filled_down, open_records, parquet_schema
from retail_pipeline.ingest.files.shapes import Shape, shape_of
from retail_pipeline.ingest.files.texts import settled_encoding
from retail_pipeline.ingest.files.unpacked import BLOCK, RETRY, RefusalError, unpacked
from retail_pipeline.ingest.profiles.canonical import (
    canonical_select,
    date_column,
    positions,
)
from retail_pipeline.ingest.profiles.date_orders import AmbiguousDatesError, DateTexts
from retail_pipeline.ingest.profiles.dialects import DateOrder
from retail_pipeline.ingest.profiles.profile import DIALECT, SourceProfile, profile_fingerprint
from retail_pipeline.ingest.text_rows import Record, ends_open
from retail_pipeline.lake.partitions import LakeError, disk_is_full
from retail_pipeline.planning.masking import without_values
from retail_pipeline.tables import statement as sql

CHUNK_ROWS = 20_000
# archives without times unpack to 1970 or 1980
NO_FILE_BEFORE = 1990
# the value of a line of `mapped`: cents as integers add up to the same in any order; a line beyond all reason
# is left to the cleaning
CENTS = """try_cast(round(
    100 * coalesce(cast(amount as double), cast(quantity as double) * cast(unit_price as double))
) as bigint)"""
_OF_EXPRESSIONS = (
    duckdb.BinderException,
    duckdb.CatalogException,
    duckdb.ConversionException,
    duckdb.OutOfRangeException,
    duckdb.ParserException,
)
# 2024-03-12 and 2024/3/12, not 12-3-2024: what DateTexts counts as a plain ISO date begins so
_BEGINS_WITH_YEAR = r"^\s*\d{4}[/-]"
CHUNK_BYTES = 32 << 20
# of a file among several, unpacked; what is larger is read with care
MOST_CHECKED = 256 << 20
# a line of 32 MB fills one of these, wherever it begins
_WINDOW = 8 << 20


class DoubtError(Exception):
    """One of several files cannot be scanned; which, and why, shows when they are read one by one."""


@dataclass(frozen=True)
class Reader:
    """A session, and the settings that rows are read under; ``folder`` is for what is unpacked or spilt."""

    connection: duckdb.DuckDBPyConnection
    profiles: Mapping[str, SourceProfile]
    business_zone: str
    currency: str | None
    first_day: date
    last_day: date | None
    folder: Path
    _tables: dict[tuple[str, str, str], Table] = field(default_factory=dict)

    def shape(self, path: Path, name: str) -> Shape:
        """How a file reads; RefusalError says why it does not."""
        return shape_of(path, name, self.profiles, self.folder)

    def latest(self, modified_ns: int) -> datetime | None:
        """The business time from which on a file changed then cannot know of sales: two days after its own.

        None for a file whose time of last change says nothing, as some archives unpack them.
        """
        changed = datetime.fromtimestamp(modified_ns // 10**9, ZoneInfo(self.business_zone))
        if changed.year < NO_FILE_BEFORE:
            return None
        return datetime.combine(changed.date() + timedelta(days=2), time())

    def lookups(self, profile: str, path: Path | None = None) -> dict[str, Table]:
        """The second files of a profile, read once; of a file also those that its name tells."""
        found = {}
        for name, lookup in self.profiles[profile].lookups.items():
            if lookup.parts and path is None:
                continue
            first = path.as_posix() if path and lookup.parts else ""
            if (key := (profile, name, first)) not in self._tables:
                self._tables[key] = read_lookup(self.profiles[profile], name, first, self.folder)
            found[name] = self._tables[key]
        return found

    def fingerprint(self, profile: str) -> str:
        """Names all that decided how files were read under this profile, but for second files by pattern."""
        contents = {name: table.content for name, table in self.lookups(profile).items()}
        return profile_fingerprint(self.profiles[profile], self.business_zone, self.currency, contents)

    def columns(self, shape: Shape) -> tuple[str, ...]:
        """The file's columns, then those looked up in second files."""
        return (*shape.header, *self.profiles[shape.profile].lookup_columns)

    def select(self, shape: Shape, order: DateOrder | None) -> str:
        """The SELECT that types the rows of files of this shape."""
        return canonical_select(
            self.profiles[shape.profile],
            self.columns(shape),
            business_zone=self.business_zone,
            currency=self.currency,
            first_day=self.first_day,
            last_day=self.last_day,
            date_order=order,
        )


@contextmanager
def session(folder: Path, memory_limit: str, threads: int) -> Iterator[duckdb.DuckDBPyConnection]:
    """A DuckDB session that spills into ``folder``, which is removed in the end."""
    config: dict[str, Any] = {
        "memory_limit": memory_limit,
        "threads": threads,
        "temp_directory": str(folder),
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
    }
    try:
        with duckdb.connect(config=config) as connection:
            connection.execute("set TimeZone = 'UTC'")
            yield connection
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def scan(
    reader: Reader,
    shape: Shape,
    paths: Sequence[Path],
    latest: Sequence[datetime | None],
    order: DateOrder | None = None,
    with_payload: bool = False,
) -> set[int]:
    """Read plain files into ``mapped``; returns which of them hold broken records or rows with reasons.

    ``latest`` are the files' ``Reader.latest``.

    Raises:
        DoubtError: one of them cannot be scanned.
        RefusalError: DuckDB cannot run the profile's expressions, or take a file in.
    """
    copies = [] if shape.is_direct else [reader.folder / f"{n}.csv" for n in range(len(paths))]
    try:
        for path, copy in zip(paths, copies, strict=bool(copies)):
            _copy_as_utf8(path, copy, shape)
        return _scan(reader, shape, copies or paths, latest, order, with_payload)
    except (duckdb.InvalidInputException, duckdb.IOException, UnicodeDecodeError, RefusalError) as error:
        _refuse_full_disk(error)
        raise DoubtError(_first_line(error)) from error
    except duckdb.Error as error:
        if len(paths) > 1:
            raise DoubtError(_first_line(error)) from error
        raise _refusal(shape, error) from error
    finally:
        for copy in copies:
            copy.unlink(missing_ok=True)


def read_alone(
    reader: Reader, shape: Shape, path: Path, latest: datetime | None
) -> tuple[Shape, DateOrder | None]:
    """Read one file into ``mapped`` so that every row is accounted for.

    Keeps the text of rows that cannot be read. Returns the shape as it turned out to be, and the order of the
    dates if that had to be found out.

    Raises:
        RefusalError: the file cannot be read at all.
    """
    settled = _settled(shape, path, reader.profiles[shape.profile].encoding)
    try:
        if settled != shape and settled.plain and not scan(reader, settled, [path], [latest]):
            return settled, None
        shape = settled
        if shape.layout.kind == "parquet" and shape.plain:
            order = _order_in_parquet(reader, shape, path)
            scan(reader, shape, [path], [latest], order, with_payload=True)
            return shape, order
        return shape, _read(reader, shape, path, latest)
    except DoubtError as error:
        raise RefusalError(
            f"cannot be read ({without_values(str(error))}): have it delivered again"
        ) from error
    except AmbiguousDatesError as error:
        raise RefusalError(str(error)) from error
    except duckdb.Error as error:
        raise _refusal(shape, error) from error


def _refuse_full_disk(error: Exception) -> None:
    if disk_is_full(error):
        # no file is to blame, and the same work may succeed once there is room
        raise LakeError(f"the disk is full ({_first_line(error)}): make room, then run again") from error


def _refusal(shape: Shape, error: duckdb.Error) -> RefusalError:
    _refuse_full_disk(error)
    if isinstance(error, _OF_EXPRESSIONS):
        # what cannot be converted is the file's; what cannot be bound or parsed, the profile's
        of_values = isinstance(error, (duckdb.ConversionException, duckdb.OutOfRangeException))
        said = without_values(_first_line(error)) if of_values else _first_line(error)
        return RefusalError(
            f"cannot be read by the profile {shape.profile} ({said}): mend its expressions "
            "under `sources:` in retail_pipeline.yaml"
        )
    if isinstance(error, duckdb.OutOfMemoryException):
        return RefusalError(
            "needs more memory or room on disk than there is to be read: deliver it in smaller parts, or "
            f"raise engine.memory_limit; {RETRY}"
        )
    return RefusalError(f"cannot be read ({without_values(_first_line(error))}): have it delivered again")


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]


def _settled(shape: Shape, path: Path, declared: str | None) -> Shape:
    """The shape with the encoding that the whole file shows, not its beginning alone."""
    layout = shape.layout
    if layout.kind != "text" or layout.encoding != "utf-8" or declared is not None:
        return shape
    encoding, why = settled_encoding(path, layout.packing, None)
    evidence = tuple(
        e.model_copy(update={"value": encoding, "why": why}) if e.what == "encoding" else e
        for e in shape.evidence
    )
    return replace(shape, layout=replace(layout, encoding=encoding), evidence=evidence)


def _copy_as_utf8(path: Path, copy: Path, shape: Shape) -> None:
    layout = shape.layout
    decoder = codecs.getincrementaldecoder(layout.encoding)()
    with unpacked(path, layout.packing) as stream, copy.open("wb") as out:
        while block := stream.read(BLOCK):
            out.write(decoder.decode(block).encode())
        out.write(decoder.decode(b"", final=True).encode())


# the engine's own reader


def _scan(
    reader: Reader,
    shape: Shape,
    paths: Sequence[Path],
    latest: Sequence[datetime | None],
    order: DateOrder | None,
    with_payload: bool,
) -> set[int]:
    # the names come from a listing: they are no patterns
    parameters: dict[str, Any] = {"files": [glob.escape(str(path)) for path in paths], "latest": list(latest)}
    payload = problem = "null::varchar"
    connection, layout = reader.connection, shape.layout
    if layout.kind == "text":
        columns = {f"c{n}": "VARCHAR" for n in range(len(shape.header) + layout.surplus)}
        parameters |= {
            "columns": columns,
            "delimiter": layout.delimiter,
            "header": layout.header is None,
            "skip": layout.skip_rows,
        }
        connection.execute("drop table if exists broken; drop table if exists broken_scans")
        # a null text that no field holds: a field too many is passed over when it reads as null
        texts = ", ".join(f"nullif({name}, '') as {name}" for name in columns)
        problem = _problem(shape, reader.profiles[shape.profile])
        source = """read_csv($files, columns = $columns, delim = $delimiter, compression = 'none',
            auto_detect = false, header = $header, skip = $skip, quote = '"', escape = '"', nullstr = chr(31),
            strict_mode = true, hive_partitioning = false, store_rejects = true, rejects_limit = 0,
            rejects_table = 'broken', rejects_scan = 'broken_scans')"""
    else:
        # by their places: the engine takes BILL and bill for one name
        schema = parquet_schema(paths[0])
        parts = leaves(schema)
        cells = [part.text for part in parts]
        texts = ", ".join(f"{cell} as c{n}" for n, cell in enumerate(cells))
        source = f"read_parquet($files, hive_partitioning = false) as {_file(schema)}"
        if with_payload:
            keys = [exp.Literal.string(name).sql(DIALECT) for name in shape.header]
            pairs = ", ".join(f"{key}, {cell}" for key, cell in zip(keys, cells, strict=True))
            payload = f"json_object({pairs})::varchar"
        elif (at := _may_be_swapped(shape, reader.profiles[shape.profile])) is not None and (
            pa.types.is_string(parts[at].type)
        ):
            problem = f"case when regexp_matches({cells[at]}, '{_BEGINS_WITH_YEAR}') then 'doubtful' end"
        for n in positions(reader.profiles[shape.profile], reader.columns(shape)):
            if n < len(parts) and parts[n].is_bytes:
                no_text = exp.Literal.string(NO_TEXT).sql(DIALECT)
                is_none = (
                    f"{parts[n].place} is not null and try(decode(cast({parts[n].place} as blob))) is null"
                )
                problem = f"case when {is_none} then {no_text} else {problem} end"
    # made of the profile's parsed expressions, and of identifiers and literals that sqlglot quotes
    latest_of = "cast($latest as timestamp[])[cast(file_index as bigint) + 1] as latest"
    fixed = f"file_index as file_no, {latest_of}, {problem} as problem, {payload} as payload"
    lines = f"select {fixed}, {texts}"
    connection.execute(
        f"create or replace table mapped as with lines as ({lines} from {source}) "  # noqa: S608
        f"select * from ({reader.select(shape, order)})",
        parameters,
    )
    _spread_totals(reader, shape)
    found = connection.execute("select file_no from mapped where reasons is not null").fetchall()
    if layout.kind == "text":
        found += connection.execute("select file_id from broken").fetchall()
    doubtful = {n for (n,) in found}
    if layout.kind != "text":
        return doubtful
    doubtful |= {n for n, path in enumerate(paths) if _has_endless_line(path)}
    if len(paths) == 1:
        return doubtful
    rows = dict(connection.execute("select file_no, count(*) from mapped group by all").fetchall())
    above = layout.skip_rows + (layout.header is None)
    return doubtful | {
        n
        for n, path in enumerate(paths)
        if n not in doubtful and _breaks_off(path, layout, above + rows.get(n, 0))
    }


def _problem(shape: Shape, profile: SourceProfile) -> str:
    """SQL: why the careful reader has to look at a row that could be split, or null."""
    header, surplus, needed = shape.header, shape.layout.surplus, profile.needs
    beyond = [f"c{n} <> ''" for n in range(len(header), len(header) + surplus)]
    again = " and ".join(f"trim(c{header.index(n)}) = {exp.Literal.string(n).sql(DIALECT)}" for n in needed)
    # a quote that opens inside a field and closes in another hides a delimiter that was lost
    quotes = "length(regexp_replace({0}, '[^\"]', '', 'g'))"
    odd = " + ".join(
        f"case when contains(c{n}, '\"') then {quotes.format(f'c{n}')} % 2 else 0 end"
        for n in range(len(header))
    )
    found = [*beyond, f"({again or False})", f"{odd} > 1"]
    if (at := _may_be_swapped(shape, profile)) is not None:
        found.append(f"regexp_matches(c{at}, '{_BEGINS_WITH_YEAR}')")
    return f"case when {' or '.join(found)} then 'doubtful' end"


def _has_endless_line(path: Path) -> bool:
    """Whether a line may be longer than the engine's buffer of 32 MB: it drops such a line without a word."""
    with path.open("rb") as stream:
        if stream.seek(0, SEEK_END) < 4 * _WINDOW:
            return False
        with mmap(stream.fileno(), 0, access=ACCESS_READ) as content:
            starts = range(0, len(content) - _WINDOW, _WINDOW)
            return any(content.find(b"\n", start, start + _WINDOW) < 0 for start in starts)


def _breaks_off(path: Path, layout: Layout, lines: int) -> bool:
    """Whether the engine may have dropped a file's end, having read so many lines of it.

    Of several files it does not say where a quote opens that never closes, and drops what follows (2.0.0).
    """
    with path.open("rb") as stream:
        content = stream.read(MOST_CHECKED + 1)
    if len(content) > MOST_CHECKED:
        return True
    ends = content.count(b"\n") + (content[-1:] != b"\n")
    return b'"' in content and ends != lines and ends_open(content, layout.delimiter)


def _may_be_swapped(shape: Shape, profile: SourceProfile) -> int | None:
    """Where the dates stand whose order is declared: ISO dates among them may be a spreadsheet's swap."""
    column = date_column(profile)
    if column is None or column not in shape.header or profile.date_order in (None, "year_first"):
        return None
    return shape.header.index(column)


def _file(schema: pa.Schema) -> str:
    """The alias under which ``Leaf`` finds a Parquet file's columns."""
    return f"file({', '.join(f'p{n}' for n in range(len(schema)))})"


def _order_in_parquet(reader: Reader, shape: Shape, path: Path) -> DateOrder | None:
    profile = reader.profiles[shape.profile]
    column = date_column(profile)
    if column is None:
        return None
    schema = parquet_schema(path)
    found = reader.connection.execute(
        f"select {leaves(schema)[shape.header.index(column)].text}, count(*) "  # noqa: S608
        f"from read_parquet($files, hive_partitioning = false) as {_file(schema)} group by all",
        {"files": [glob.escape(str(path))]},
    ).fetchall()
    dates = DateTexts(column)
    for text, rows in found:
        dates.add([text], rows)
    return _order(profile, dates)


def _order(profile: SourceProfile, dates: DateTexts) -> DateOrder | None:
    """The order of a column's dates, if it has to be found out."""
    if profile.date_order is None:
        return dates.order()
    dates.check()
    return None


# the careful reader


def _read(reader: Reader, shape: Shape, path: Path, latest: datetime | None) -> DateOrder | None:
    profile = reader.profiles[shape.profile]
    column = date_column(profile)
    dates = None if column is None else DateTexts(column)
    _map(reader, shape, path, latest, None, dates)
    order = _order(profile, dates) if dates else None
    if order and (not shape.plain or scan(reader, shape, [path], [latest], order)):
        _map(reader, shape, path, latest, order)
    return order


def _map(
    reader: Reader,
    shape: Shape,
    path: Path,
    latest: datetime | None,
    order: DateOrder | None,
    dates: DateTexts | None = None,
) -> None:
    """Read a file's records into ``mapped``; it stays incomplete when dates come to light that need an order.

    ``dates`` gathers those of the column that is to be looked at.
    """
    profile, header = reader.profiles[shape.profile], reader.columns(shape)
    columns = positions(profile, header)
    schema = pa.schema(
        [
            ("file_no", pa.uint64()),
            ("latest", pa.timestamp("us")),
            ("problem", pa.string()),
            ("payload", pa.string()),
        ]
        + [(f"c{n}", pa.string()) for n in columns]
    )
    statement = f"create or replace table mapped as {reader.select(shape, order)}"
    with open_records(path, shape.layout, reader.folder) as (_, records):
        for chunk in _chunks(_joined(reader, shape, path, profile, records)):
            if dates is not None:
                at = header.index(dates.column)
                dates.add(r.fields[at] for r in chunk if r.fields)
                if dates.dates and profile.date_order is None:
                    continue
            texts = [[r.fields[n] or None if r.fields else None for r in chunk] for n in columns]
            fixed = [[0] * len(chunk), [latest] * len(chunk)]
            data = [*fixed, [r.problem for r in chunk], [r.payload for r in chunk], *texts]
            lines = [pa.array(values, kind) for values, kind in zip(data, schema.types, strict=True)]
            reader.connection.register("lines", pa.Table.from_arrays(lines, schema=schema))
            reader.connection.execute(statement)
            statement = f"insert into mapped {reader.select(shape, order)}"
            reader.connection.unregister("lines")
    if dates is None or not dates.dates or profile.date_order is not None:
        _spread_totals(reader, shape)


def _spread_totals(reader: Reader, shape: Shape) -> None:
    """Lay the totals of orders over their lines in ``mapped``, which holds whole files."""
    if reader.profiles[shape.profile].order_total:
        reader.connection.execute(f"create or replace table mapped as {sql('order_totals')}")


def _joined(
    reader: Reader, shape: Shape, path: Path, profile: SourceProfile, records: Iterable[Record]
) -> Iterable[Record]:
    if profile.fill_down:
        records = filled_down(records, shape.header, profile.fill_down)
    if profile.lookups:
        records = looked_up(records, shape.header, profile, reader.lookups(shape.profile, path))
    return records


def _chunks(records: Iterable[Record]) -> Iterator[list[Record]]:
    """Records by the thousands; the last chunk may be empty, so that there is one at least."""
    chunk: list[Record] = []
    size = 0
    for record in records:
        chunk.append(record)
        size += len(record.payload)
        if len(chunk) >= CHUNK_ROWS or size > CHUNK_BYTES:
            yield chunk
            chunk, size = [], 0
    yield chunk

"""Files -> the table ``mapped``: canonical columns, and reasons where a row cannot be read.

Belongs here: gathering the rows of files of one shape as texts, and typing them by one SELECT. Does not
belong here: how rows lie in a file (``files/``), what their texts mean (``profiles/canonical.py``), or
writing to the lake (``landing.py``).

The engine reads plain Parquet itself; of every other kind of file the records are gathered, as they were read
if they are not too many, else in the table ``taken``. Rowids of ``mapped`` follow each file's rows without a
gap.
"""

from __future__ import annotations

import glob
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import duckdb
import numpy as np
import pyarrow as pa

from retail_pipeline.ingest.files.blocks import batch_of, has_blocks, read_blocks
from retail_pipeline.ingest.files.columnar import parquet_lines, parquet_schema
from retail_pipeline.ingest.files.lookups import Table, looked_up, read_lookup
from retail_pipeline.ingest.files.records import filled_down, open_records
from retail_pipeline.ingest.files.shapes import Shape, shape_of
from retail_pipeline.ingest.files.unpacked import RETRY, RefusalError
from retail_pipeline.ingest.profiles.canonical import canonical_select, date_column, positions
from retail_pipeline.ingest.profiles.date_orders import AmbiguousDatesError, DateTexts
from retail_pipeline.ingest.profiles.dialects import DateOrder
from retail_pipeline.ingest.profiles.profile import SourceProfile, profile_fingerprint
from retail_pipeline.ingest.profiles.reading import Reading
from retail_pipeline.ingest.text_rows import Record
from retail_pipeline.lake.partitions import LakeError, disk_is_full
from retail_pipeline.planning.masking import without_values
from retail_pipeline.tables import statement as sql

CHUNK_ROWS = 20_000
CHUNK_BYTES = 32 << 20
# rows of files that are typed as they were read; of more a copy lies in the engine, which can spill
TAKEN_BYTES = 3 * CHUNK_BYTES
# archives without times unpack to 1970 or 1980
NO_FILE_BEFORE = 1990
# the value of a line of `mapped`: cents as integers add up to the same in any order; a line beyond all reason
# is left to the cleaning
CENTS = """try_cast(round(
    100 * coalesce(cast(amount as double), cast(quantity as double) * cast(unit_price as double))
) as bigint)"""
_OF_VALUES = (duckdb.ConversionException, duckdb.OutOfRangeException)
_OF_EXPRESSIONS = (*_OF_VALUES, duckdb.BinderException, duckdb.CatalogException, duckdb.ParserException)


@dataclass(frozen=True)
class Reader:
    """A session, and the settings that rows are read under; ``folder`` is for what is unpacked or spilt."""

    connection: duckdb.DuckDBPyConnection
    settings: Reading
    folder: Path
    _tables: dict[tuple[str, str, str], Table] = field(default_factory=dict)

    def shape(self, path: Path, name: str) -> Shape:
        """How a file reads; RefusalError says why it does not."""
        return shape_of(path, name, self.settings.profiles, self.folder)

    def profile(self, shape: Shape) -> SourceProfile:
        """The profile that reads files of this shape."""
        return self.settings.profiles[shape.profile]

    def columns(self, shape: Shape) -> tuple[str, ...]:
        """The file's columns, then those looked up in second files."""
        return (*shape.header, *self.profile(shape).lookup_columns)

    def latest(self, modified_ns: int) -> datetime | None:
        """The business time from which on a file changed then cannot know of sales: two days after its own.

        None for a file whose time of last change says nothing, as some archives unpack them.
        """
        changed = datetime.fromtimestamp(modified_ns // 10**9, ZoneInfo(self.settings.business_zone))
        if changed.year < NO_FILE_BEFORE:
            return None
        return datetime.combine(changed.date() + timedelta(days=2), time())

    def lookups(self, name: str, path: Path | None = None) -> dict[str, Table]:
        """The second files of a profile, read once; of a file also those that its name tells."""
        found, profile = {}, self.settings.profiles[name]
        for second, lookup in profile.lookups.items():
            if lookup.parts and path is None:
                continue
            first = path.as_posix() if path and lookup.parts else ""
            if (key := (name, second, first)) not in self._tables:
                self._tables[key] = read_lookup(profile, second, first, self.folder)
            found[second] = self._tables[key]
        return found

    def fingerprint(self, name: str) -> str:
        """Names all that decided how files were read under a profile, but for second files by pattern."""
        contents = {second: table.content for second, table in self.lookups(name).items()}
        settings = self.settings
        return profile_fingerprint(
            settings.profiles[name], settings.business_zone, settings.currency, contents
        )


class Source(NamedTuple):
    """A statement that gives the rows of files as texts, and its parameters."""

    sql: str
    parameters: Mapping[str, Any]


@contextmanager
def session(folder: Path, settings: Reading) -> Iterator[Reader]:
    """A reader whose engine spills into ``folder``, which is removed in the end."""
    config: dict[str, Any] = {
        "memory_limit": settings.memory_limit,
        "threads": settings.threads,
        "temp_directory": str(folder),
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
    }
    try:
        with duckdb.connect(config=config) as connection:
            connection.execute("set TimeZone = 'UTC'")
            yield Reader(connection, settings, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def read(
    reader: Reader, shape: Shape, paths: Sequence[Path], latest: Sequence[datetime | None]
) -> list[DateOrder | None]:
    """Read files of one shape into ``mapped``; returns the order of each one's dates if it had to be found.

    ``latest`` are the files' ``Reader.latest``.

    Raises:
        RefusalError: one of the files cannot be read at all.
    """
    typed = partial(_type, reader, shape, latest)
    try:
        if shape.types:
            schema = parquet_schema(paths[0])
            columns = positions(reader.profile(shape), shape.header)
            # the names come from a listing: they are no patterns
            files = {"files": [glob.escape(str(path)) for path in paths]}
            source = Source(parquet_lines(schema, columns), files)
            whole = Source(parquet_lines(schema, columns, shape.header), files)
        else:
            source = whole = _take(reader, shape, paths)
        typed(source, [None] * len(paths))
        (bad,) = reader.connection.sql("select count(reasons) from mapped").fetchall()[0]
        orders = _orders(reader, shape, source, len(paths))
        if any(orders) or (bad and whole != source):
            typed(whole, orders)
    except AmbiguousDatesError as error:
        raise RefusalError(str(error)) from error
    except duckdb.Error as error:
        raise _refusal(shape, error) from error
    finally:
        reader.connection.unregister("chunk")
        reader.connection.execute("drop table if exists taken")
    return orders


def _refusal(shape: Shape, error: duckdb.Error) -> RefusalError:
    said = str(error).partition("\n")[0]
    if disk_is_full(error):
        # no file is to blame, and the same work may succeed once there is room
        raise LakeError(f"the disk is full ({said}): make room, then run again") from error
    if isinstance(error, _OF_EXPRESSIONS):
        # what cannot be converted is the file's; what cannot be bound or parsed, the profile's
        shown = without_values(said) if isinstance(error, _OF_VALUES) else said
        return RefusalError(
            f"cannot be read by the profile {shape.profile} ({shown}): mend its expressions "
            "under `sources:` in retail_pipeline.yaml"
        )
    if isinstance(error, duckdb.OutOfMemoryException):
        return RefusalError(
            "needs more memory or room on disk than there is to be read: deliver it in smaller parts, or "
            f"raise engine.memory_limit; {RETRY}"
        )
    return RefusalError(f"cannot be read ({without_values(said)}): have it delivered again")


def _take(reader: Reader, shape: Shape, paths: Sequence[Path]) -> Source:
    """The texts that the profile reads, a row a record: as they come, or of many in the table ``taken``."""
    columns = positions(reader.profile(shape), reader.columns(shape))
    texts = "".join(f", nullif(c{n}, '') as c{n}" for n in columns)
    select = f"select file_no, problem, payload{texts} from chunk"  # noqa: S608
    chunks = _chunks(reader, shape, paths, columns)
    reader.connection.register("chunk", next(chunks))
    into = "create or replace table taken as"
    for chunk in chunks:
        reader.connection.execute(f"{into} {select}")
        reader.connection.register("chunk", chunk)
        into = "insert into taken"
    if into == "insert into taken":
        reader.connection.execute(f"{into} {select}")
        reader.connection.unregister("chunk")
        select = "select * from taken"
    return Source(select, {})


def _chunks(
    reader: Reader, shape: Shape, paths: Sequence[Path], columns: Sequence[int]
) -> Iterator[pa.Table]:
    """The rows of files, many at a time, each with its file's number; the last may be empty: there is one."""
    held, size = [_numbered(0, batch_of([], columns))], 0
    for number, path in enumerate(paths):
        for batch in _batches(reader, shape, path, columns):
            if size + batch.nbytes > TAKEN_BYTES:
                yield pa.Table.from_batches(held)
                held, size = held[:1], 0
            held.append(_numbered(number, batch))
            size += batch.nbytes
    yield pa.Table.from_batches(held)


def _numbered(number: int, batch: pa.RecordBatch) -> pa.RecordBatch:
    numbers = pa.py_buffer(np.full(batch.num_rows, number, np.uint64))
    file_no = pa.UInt64Array.from_buffers(pa.uint64(), batch.num_rows, [None, numbers])
    return batch.add_column(0, "file_no", file_no)


def _batches(reader: Reader, shape: Shape, path: Path, columns: Sequence[int]) -> Iterator[pa.RecordBatch]:
    profile = reader.profile(shape)
    if has_blocks(shape.layout) and not (profile.fill_down or profile.lookups):
        yield from read_blocks(path, shape.layout, columns)
        return
    with open_records(path, shape.layout, reader.folder) as (_, records):
        rows: list[Record] = []
        size = 0
        for row in _joined(reader, shape, path, records):
            rows.append(row)
            size += len(row.payload)
            if len(rows) >= CHUNK_ROWS or size > CHUNK_BYTES:
                yield batch_of(rows, columns)
                rows, size = [], 0
        yield batch_of(rows, columns)


def _joined(reader: Reader, shape: Shape, path: Path, records: Iterable[Record]) -> Iterable[Record]:
    profile = reader.profile(shape)
    if profile.fill_down:
        records = filled_down(records, shape.header, profile.fill_down)
    if profile.lookups:
        records = looked_up(records, shape.header, profile, reader.lookups(shape.profile, path))
    return records


def _orders(reader: Reader, shape: Shape, source: Source, files: int) -> list[DateOrder | None]:
    """The order of the dates of each file in ``mapped``, if it has to be found out.

    Raises:
        AmbiguousDatesError: it does not show, or a spreadsheet has swapped days and months.
    """
    declared, column = reader.profile(shape).date_order, date_column(reader.profile(shape))
    if column is None:
        return [None] * files
    text = f"c{reader.columns(shape).index(column)}"
    # of a text the day alone, and whether it ends in am or pm
    days = f"regexp_extract({text}, '^[^0-9]*[0-9./-]*') || if({text} ilike '%m', ' m', '')"
    dates = [DateTexts(column) for _ in range(files)]
    found = reader.connection.execute(
        f"""select file_no, {days}, count(*) from ({source.sql}) where {text} <> ''
            and ($every or file_no in (select file_no from mapped where reasons is not null))
        group by all""",  # noqa: S608
        # rows that are left out have no reasons: of a spreadsheet they show a swap, too
        {**source.parameters, "every": declared is not None or shape.layout.kind != "text"},
    )
    while some := found.fetchmany(10_000):
        for number, day, rows in some:
            dates[number].add([day], rows)
    for of_file in dates:
        of_file.check()
    return [None if declared else of_file.order() for of_file in dates]


def _type(
    reader: Reader,
    shape: Shape,
    latest: Sequence[datetime | None],
    source: Source,
    orders: Sequence[DateOrder | None],
) -> None:
    """Type the rows of ``source`` into ``mapped``, each file's with the order of its dates."""
    profile, settings = reader.profile(shape), reader.settings
    statement = "create or replace table mapped as"
    for order in dict.fromkeys(orders):
        select = canonical_select(
            profile,
            reader.columns(shape),
            business_zone=settings.business_zone,
            currency=settings.currency,
            first_day=settings.first_day,
            last_day=settings.last_day,
            date_order=order,
        )
        # made of the profile's parsed expressions, and of identifiers and literals that sqlglot quotes
        reader.connection.execute(
            f"""{statement} with lines as (
                select *, cast($latest as timestamp[])[cast(file_no as bigint) + 1] as latest
                from ({source.sql}) where cast($of as boolean[])[cast(file_no as bigint) + 1]
            ) select * from ({select})""",  # noqa: S608
            {
                **source.parameters,
                "latest": list(latest),
                "of": [other == order for other in orders],
            },
        )
        statement = "insert into mapped"
    if profile.order_total:
        reader.connection.execute(f"create or replace table mapped as {sql('order_totals')}")

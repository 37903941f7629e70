"""Landing: a folder's files -> ``raw_transactions`` by day, ``unreadable_rows``, a ``landed_files`` row each.

Belongs here: reading files, and writing what they hold. Does not belong here: which files there are
(``listing.py``) and which should land (``core/planner.py``), what columns mean (``core/sources.py``).

Files of one shape are read together by one DuckDB scan. A text file in which that scan met a broken record or
a row that cannot be typed is read again, alone, by ``text_rows``, which keeps the text of every row; both
feed the same SELECT. A file's manifest in ``landed_files`` is written last and is the commit: raw files of a
source that has none, or on days its manifest does not list, count for nothing.
"""

from __future__ import annotations

import glob
import gzip
import shutil
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from itertools import groupby, islice, pairwise
from operator import itemgetter
from pathlib import Path
from typing import Any, BinaryIO, cast

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from sqlglot import exp

from retail_pipeline.core.arrivals import FileSeen, landing_inputs
from retail_pipeline.core.manifests import Manifest, Part, schema_fingerprint
from retail_pipeline.core.schema import TABLES, Table
from retail_pipeline.core.sources import (
    DIALECT,
    SourceProfile,
    UnknownColumnsError,
    canonical_select,
    clean_header,
    match,
    positions,
    profile_fingerprint,
)
from retail_pipeline.engine.listing import SUFFIXES, identity
from retail_pipeline.engine.text_rows import lines_of, records
from retail_pipeline.lake.partitions import (
    MANIFEST_FILE,
    STAGING,
    Lake,
    LakeError,
    remove_partition,
    write_manifest,
    write_partition,
)

RAW, UNREADABLE, FILES = TABLES["raw_transactions"], TABLES["unreadable_rows"], TABLES["landed_files"]

BATCH_BYTES = 32 << 20
BATCH_FILES = 500
CHUNK_ROWS = 20_000
ROW_GROUP = 1 << 17
HEADER_LINES = 20
LONGEST_LINE = 1 << 16


@dataclass(frozen=True)
class Landed:
    """A file whose rows are in the lake."""

    file: FileSeen
    manifest: Manifest


@dataclass(frozen=True)
class Refused:
    """A file of which nothing was taken, and why, with the remedy."""

    file: FileSeen
    reason: str


class _RefusalError(Exception):
    """A file cannot be read at all; the message becomes ``Refused.reason``."""


@dataclass(frozen=True)
class _Shape:
    """What files must share to be read in one scan."""

    profile: str
    header: tuple[str, ...]
    suffix: str
    types: str
    plain: bool

    @property
    def is_text(self) -> bool:
        return self.suffix != ".parquet"


@dataclass(frozen=True)
class _Landing:
    """Where from, where to and under which settings: what every step below needs."""

    connection: duckdb.DuckDBPyConnection
    landing: Path
    lake: Lake
    profiles: Mapping[str, SourceProfile]
    business_zone: str
    currency: str | None
    first_day: date
    last_day: date | None

    def path(self, file: FileSeen) -> Path:
        return self.landing / file.path

    def select(self, shape: _Shape) -> str:
        return canonical_select(
            self.profiles[shape.profile],
            shape.header,
            business_zone=self.business_zone,
            currency=self.currency,
            first_day=self.first_day,
            last_day=self.last_day,
        )


def land(
    files: Sequence[FileSeen],
    landing: Path,
    lake: Lake,
    profiles: Mapping[str, SourceProfile],
    business_zone: str,
    currency: str | None,
    first_day: date,
    last_day: date | None,
    *,
    memory_limit: str,
    threads: int,
) -> Iterator[Landed | Refused]:
    """Land files, with one outcome a file as soon as it is known; a bad file never takes another with it.

    ``currency`` serves files whose profile gives none; rows before ``first_day`` or after ``last_day`` are
    unreadable. Call it with the lake's lock held. A file that has landed before is landed anew.

    Raises:
        LakeError: the lake cannot be written; files already yielded as landed stay so.
    """
    with _session(lake, memory_limit, threads) as connection:
        job = _Landing(connection, landing, lake, profiles, business_zone, currency, first_day, last_day)
        shapes: dict[_Shape, list[FileSeen]] = {}
        for file in files:
            try:
                shapes.setdefault(_shape(job.path(file), profiles), []).append(file)
            except _RefusalError as refusal:
                yield Refused(file, str(refusal))
        for shape, alike in shapes.items():
            for batch in _batches(alike):
                if shape.plain:
                    yield from _land_together(job, shape, batch)
                else:
                    for file in batch:
                        yield from _land_alone(job, shape, file)


@contextmanager
def _session(lake: Lake, memory_limit: str, threads: int) -> Iterator[duckdb.DuckDBPyConnection]:
    spill = lake.root / STAGING / "landing"
    try:
        spill.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LakeError(f"the lake {lake.root} cannot be written ({error.strerror})") from error
    config: dict[str, Any] = {
        "memory_limit": memory_limit,
        "threads": threads,
        "temp_directory": str(spill),
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
    }
    try:
        with duckdb.connect(config=config) as connection:
            connection.execute("set TimeZone = 'UTC'")
            yield connection
    finally:
        shutil.rmtree(spill, ignore_errors=True)


def _batches(files: Sequence[FileSeen]) -> Iterator[list[FileSeen]]:
    batch: list[FileSeen] = []
    for file in files:
        if batch and (len(batch) == BATCH_FILES or sum(f.size_bytes for f in (*batch, file)) > BATCH_BYTES):
            yield batch
            batch = []
        batch.append(file)
    if batch:
        yield batch


# what a file is


@contextmanager
def _open(path: Path) -> Iterator[BinaryIO]:
    """A text file's bytes, unpacked; whatever is wrong with the file as a whole becomes a refusal."""
    try:
        with gzip.open(path) if path.name.lower().endswith(".gz") else path.open("rb") as stream:
            yield cast(BinaryIO, stream)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise _RefusalError(f"is no whole gzip file ({error}): have it delivered again") from error
    except OSError as error:
        raise _RefusalError(
            f"cannot be read ({error.strerror}): mend its permissions or deliver it again"
        ) from error


def _shape(path: Path, profiles: Mapping[str, SourceProfile]) -> _Shape:
    name = path.name.lower()
    suffix = next(s for s in reversed(SUFFIXES) if name.endswith(s))
    if suffix == ".parquet":
        try:
            schema = pq.read_schema(path)
        except pa.ArrowInvalid as error:
            raise _RefusalError("is no Parquet file, or a part of one: have it delivered again") from error
        except OSError as error:
            raise _RefusalError(f"cannot be read ({error.strerror}): mend its permissions") from error
        header = clean_header(schema.names)
        return _Shape(_matched([(header, profiles)]), header, suffix, str(schema.types), True)
    with _open(path) as stream:
        top = list(islice(lines_of(iter(lambda: stream.readline(LONGEST_LINE), b"")), HEADER_LINES))
    headers = {}
    for delimiter in sorted({p.delimiter for p in profiles.values()}):
        record = next(records(iter(top), delimiter), None)
        if record is None:
            raise _RefusalError("is empty: have it delivered again, or take it out of the landing folder")
        if record.fields is None:
            raise _RefusalError(
                f"has a header that cannot be read ({record.problem}): save the file as UTF-8 CSV"
            )
        headers[delimiter] = clean_header(record.fields)
    profile = _matched(
        [
            (header, {n: p for n, p in profiles.items() if p.delimiter == delimiter})
            for delimiter, header in headers.items()
        ]
    )
    # DuckDB takes an empty first line for the header
    return _Shape(profile, headers[profiles[profile].delimiter], suffix, "", bool(top[0].strip()))


def _matched(candidates: Sequence[tuple[Sequence[str], Mapping[str, SourceProfile]]]) -> str:
    """The profile for a header as each delimiter splits it; a refusal tells of the widest split."""
    refusals = []
    for header, profiles in candidates:
        try:
            return match(header, profiles)
        except UnknownColumnsError as error:
            refusals.append((len(header), str(error)))
    raise _RefusalError(max(refusals, key=itemgetter(0))[1] if refusals else "there is no source profile")


# the two readers; both leave the table `mapped`, whose rowids follow the files' rows without a gap


def _land_together(job: _Landing, shape: _Shape, batch: Sequence[FileSeen]) -> Iterator[Landed | Refused]:
    """Read alike files in one scan; those in which it met anything wrong are landed one by one."""
    try:
        doubtful = _scan(job, shape, [job.path(file) for file in batch])
    except (duckdb.InvalidInputException, duckdb.IOException):
        if len(batch) == 1:
            yield from _land_alone(job, shape, batch[0])
            return
        for half in (batch[: len(batch) // 2], batch[len(batch) // 2 :]):
            yield from _land_together(job, shape, half)
        return
    except duckdb.Error as error:
        for file in batch:
            yield Refused(file, _misfit(shape, error))
        return
    yield from _write(job, shape, {n: file for n, file in enumerate(batch) if n not in doubtful})
    for n in sorted(doubtful):
        yield from _land_alone(job, shape, batch[n])


def _land_alone(job: _Landing, shape: _Shape, file: FileSeen) -> Iterator[Landed | Refused]:
    """Read one file so that every row is accounted for, with the text of those that cannot be read."""
    try:
        if shape.is_text:
            _read(job, shape, job.path(file))
        else:
            _scan(job, shape, [job.path(file)], with_payload=True)
    except _RefusalError as refusal:
        yield Refused(file, str(refusal))
    except (duckdb.InvalidInputException, duckdb.IOException) as error:
        yield Refused(file, f"cannot be read ({_first_line(error)}): have it delivered again")
    except duckdb.Error as error:
        yield Refused(file, _misfit(shape, error))
    else:
        yield from _write(job, shape, {0: file})


def _misfit(shape: _Shape, error: duckdb.Error) -> str:
    return (
        f"cannot be read by the profile {shape.profile} ({_first_line(error)}): mend its expressions under "
        "`sources:` in retail_pipeline.yaml"
    )


def _first_line(error: duckdb.Error) -> str:
    return str(error).partition("\n")[0]


def _scan(job: _Landing, shape: _Shape, paths: Sequence[Path], with_payload: bool = False) -> set[int]:
    """Read files into ``mapped``; returns which of them hold broken records or rows with reasons."""
    # the names come from a listing: they are no patterns
    parameters: dict[str, Any] = {"files": [glob.escape(str(path)) for path in paths]}
    payload = "null::varchar"
    if shape.is_text:
        columns = {f"c{n}": "VARCHAR" for n in range(len(shape.header))}
        parameters |= {
            "columns": columns,
            "delimiter": job.profiles[shape.profile].delimiter,
            "compression": "gzip" if shape.suffix.endswith(".gz") else "none",
        }
        job.connection.execute("drop table if exists broken; drop table if exists broken_scans")
        texts = ", ".join(columns)
        reader = """read_csv($files, columns = $columns, delim = $delimiter, compression = $compression,
            auto_detect = false, header = true, quote = '"', escape = '"', nullstr = '', strict_mode = true,
            hive_partitioning = false, store_rejects = true, rejects_limit = 0, rejects_table = 'broken',
            rejects_scan = 'broken_scans')"""
    else:
        names = [exp.to_identifier(name, quoted=True).sql(DIALECT) for name in pq.read_schema(paths[0]).names]
        cells = [f"nullif(cast({name} as varchar), '')" for name in names]
        texts = ", ".join(f"{cell} as c{n}" for n, cell in enumerate(cells))
        reader = "read_parquet($files, hive_partitioning = false)"
        if with_payload:
            keys = [exp.Literal.string(name).sql(DIALECT) for name in shape.header]
            pairs = ", ".join(f"{key}, {cell}" for key, cell in zip(keys, cells, strict=True))
            payload = f"json_object({pairs})::varchar"
    # made of the profile's parsed expressions, and of identifiers and literals that sqlglot quotes
    lines = f"select file_index as file_no, null::varchar as problem, {payload} as payload, {texts}"
    job.connection.execute(
        f"create or replace table mapped as with lines as ({lines} from {reader}) "  # noqa: S608
        f"select * from ({job.select(shape)})",
        parameters,
    )
    doubtful = "select file_no from mapped where reasons is not null"
    if shape.is_text:
        doubtful += " union select file_id from broken"
    return {n for (n,) in job.connection.execute(doubtful).fetchall()}


def _read(job: _Landing, shape: _Shape, path: Path) -> None:
    """Read one text file into ``mapped`` by the careful reader."""
    profile = job.profiles[shape.profile]
    columns = positions(profile, shape.header)
    schema = pa.schema(
        [("file_no", pa.uint64()), ("problem", pa.string()), ("payload", pa.string())]
        + [(f"c{n}", pa.string()) for n in columns]
    )
    statement = f"create or replace table mapped as {job.select(shape)}"
    with _open(path) as stream:
        lines = lines_of(stream)
        next(records(lines, profile.delimiter))
        rows = records(lines, profile.delimiter, len(shape.header))
        while True:
            chunk = list(islice(rows, CHUNK_ROWS))
            texts = [[r.fields[n] or None if r.fields else None for r in chunk] for n in columns]
            data = [[0] * len(chunk), [r.problem for r in chunk], [r.payload for r in chunk], *texts]
            job.connection.register(
                "lines",
                pa.Table.from_arrays(
                    [pa.array(v, t) for v, t in zip(data, schema.types, strict=True)], schema=schema
                ),
            )
            job.connection.execute(statement)
            statement = f"insert into mapped {job.select(shape)}"
            if len(chunk) < CHUNK_ROWS:
                break
    job.connection.unregister("lines")


# writing


@dataclass(frozen=True)
class _Counts:
    """Rows of one file as its reader met them."""

    read: int = 0
    readable: int = 0
    outside: int = 0
    first_rowid: int = 0


def _write(job: _Landing, shape: _Shape, files: Mapping[int, FileSeen]) -> Iterator[Landed | Refused]:
    """Write the rows of these files in ``mapped``, and commit file by file."""
    unchanged = {}
    for n, file in files.items():
        if identity(job.path(file))[1] == file.sha256:
            unchanged[n] = file
        else:
            yield Refused(file, "changed while it was read: the next run takes it as it is then")
    if not unchanged:
        return
    counts = dict.fromkeys(unchanged, _Counts()) | {
        n: _Counts(*figures)
        for n, *figures in job.connection.execute(
            """select file_no, count(*), count(*) filter (reasons is null), count(*) filter (outside),
                min(rowid)
            from mapped group by file_no"""
        ).fetchall()
    }
    job.connection.execute(
        """create or replace table sources as
        select unnest($numbers) as file_no, unnest($ids) as source_id, unnest($firsts) as first_rowid""",
        {
            "numbers": list(unchanged),
            "ids": [file.source_id for file in unchanged.values()],
            "firsts": [counts[n].first_rowid for n in unchanged],
        },
    )
    for n, file in unchanged.items():
        if not counts[n].readable:
            yield _commit(job, shape, file, counts[n], {})
    columns = ", ".join(RAW.names).replace("source_row,", "mapped.rowid - first_rowid + 1 as source_row,")
    raw = job.connection.sql(
        f"""select file_no, cast(sold_at as date) as day, {columns}
        from (select *, $system as source_system, rowid from mapped) as mapped join sources using (file_no)
        where reasons is null order by file_no, day, source_row""",  # noqa: S608 - the schema's columns
        params={"system": job.profiles[shape.profile].source_system},
    ).to_arrow_reader(CHUNK_ROWS)
    for n, pieces in groupby(_pieces(raw), key=itemgetter(0)):
        parts = {}
        for day, of_day in groupby(pieces, key=itemgetter(1)):
            path = job.lake.partition(RAW.name, {"date": str(day)}) / f"{unchanged[n].source_id}.parquet"
            parts[day] = _write_rows(job.lake, path, RAW, (rows for _, _, rows in of_day))
        yield _commit(job, shape, unchanged[n], counts[n], parts)


def _pieces(batches: Iterable[pa.RecordBatch]) -> Iterator[tuple[int, date, pa.RecordBatch]]:
    """Cut batches ordered by file and day wherever one of them changes."""
    for batch in batches:
        files, days = (batch[name].to_numpy(zero_copy_only=False) for name in ("file_no", "day"))
        changes = np.flatnonzero((files[1:] != files[:-1]) | (days[1:] != days[:-1])) + 1
        for start, end in pairwise([0, *changes.tolist(), batch.num_rows]):
            yield int(files[start]), batch["day"][start].as_py(), batch.slice(start, end - start)


def _write_rows(lake: Lake, path: Path, table: Table, batches: Iterable[pa.RecordBatch]) -> Part:
    """Write ordered rows to one Parquet file in one step, a row group at a time; what was written."""
    staged = lake.root / STAGING / f"{path.parent.name}-{path.name}"
    written = 0
    try:
        staged.parent.mkdir(parents=True, exist_ok=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        with pq.ParquetWriter(staged, table.arrow, compression="zstd", compression_level=1) as writer:
            for group in _row_groups(batches):
                writer.write_table(group.select(table.names).cast(table.arrow))
                written += group.num_rows
        content = identity(staged)[1]
        staged.replace(path)
    except OSError as error:
        staged.unlink(missing_ok=True)
        if (
            error.errno is None
        ):  # the engine's, which pyarrow passes on while it draws rows: not the disk's fault
            raise
        raise LakeError(
            f"{path} cannot be written ({error.strerror}): make room or mend the folder's permissions, then "
            "run again; the file it came from counts as not landed"
        ) from error
    return Part(rows=written, content=content)


def _row_groups(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
    """Put batches together to row groups whose size does not depend on how the rows came."""
    held: list[pa.RecordBatch] = []
    for batch in batches:
        held.append(batch)
        while sum(b.num_rows for b in held) >= ROW_GROUP:
            rows = pa.Table.from_batches(held)
            yield rows.slice(0, ROW_GROUP).combine_chunks()
            held = rows.slice(ROW_GROUP).to_batches()
    if held:
        yield pa.Table.from_batches(held).combine_chunks()


def _commit(
    job: _Landing, shape: _Shape, file: FileSeen, counts: _Counts, parts: Mapping[date, Part]
) -> Landed:
    """Write what else belongs to a file whose raw rows are written, its manifest last."""
    profile = job.profiles[shape.profile]
    keys = {"file": file.source_id}
    inputs = landing_inputs(
        file,
        profile_fingerprint(profile, job.business_zone, job.currency),
        counts.outside,
        job.first_day,
        job.last_day,
    ) | {"source_system": profile.source_system}
    before = job.lake.partition(FILES.name, keys) / MANIFEST_FILE
    old_days = Manifest.model_validate_json(before.read_bytes()).parts if before.exists() else {}
    unreadable = _write_unreadable(job, keys, inputs) if counts.readable < counts.read else 0
    raw = sum(part.rows for part in parts.values())
    days = sorted(parts)
    row = {
        **file.model_dump(),
        "source_id": file.source_id,
        "profile": shape.profile,
        "encoding": "utf-8" if shape.is_text else "binary",
        "rows_read": counts.read,
        "rows_accepted": raw,
        "rows_rejected": unreadable,
        "first_day": days[0] if days else None,
        "last_day": days[-1] if days else None,
        "days_touched": days,
    }
    manifest = write_partition(
        job.lake,
        FILES,
        keys,
        pa.Table.from_pylist([row], FILES.arrow),
        inputs,
        counts={"rows_read": counts.read, "raw": raw, "unreadable": unreadable},
        parts=dict(parts),
    )
    for day in old_days.keys() - parts.keys():
        stale = job.lake.partition(RAW.name, {"date": str(day)}) / f"{file.source_id}.parquet"
        stale.unlink(missing_ok=True)
    if not unreadable:
        remove_partition(job.lake, UNREADABLE.name, keys)
    return Landed(file, manifest)


def _write_unreadable(job: _Landing, keys: Mapping[str, str], inputs: Mapping[str, str]) -> int:
    """Write the unreadable rows of the one file in ``mapped``; how many were written."""
    rows = (
        job.connection.cursor()
        .sql(
            """select source_id, mapped.rowid - first_rowid + 1 as source_row, reasons, payload
        from mapped join sources using (file_no) where reasons is not null order by source_row"""
        )
        .to_arrow_reader(CHUNK_ROWS)
    )
    part = _write_rows(job.lake, job.lake.data(UNREADABLE.name, keys), UNREADABLE, rows)
    write_manifest(
        job.lake,
        Manifest(
            table=UNREADABLE.name,
            partition=dict(keys),
            rows=part.rows,
            content=part.content,
            inputs=dict(inputs),
            code_version=UNREADABLE.code_version,
            schema_fingerprint=schema_fingerprint(UNREADABLE.arrow),
        ),
    )
    return part.rows

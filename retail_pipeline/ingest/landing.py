"""Landing: a folder's files -> ``raw_transactions`` by day, ``unreadable_rows``, a ``landed_files`` row each.

Files of one shape are read together (``reading.py``), unless one of them cannot be read. A file's manifest in
``landed_files`` is written last and is the commit: raw files of a source that has none, or on days its
manifest does not list, count for nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import groupby, pairwise
from operator import itemgetter
from pathlib import Path
from typing import NamedTuple

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from retail_pipeline.ingest.files.shapes import Shape
from retail_pipeline.ingest.files.unpacked import RefusalError
from retail_pipeline.ingest.listing import identity
from retail_pipeline.ingest.overlaps import Candidate, overlaps
from retail_pipeline.ingest.profiles.reading import Reading
from retail_pipeline.ingest.reading import CENTS, CHUNK_ROWS, Reader, read, session
from retail_pipeline.lake.partitions import (
    STAGING,
    Lake,
    LakeError,
    remove_partition,
    write_manifest,
    write_partition,
)
from retail_pipeline.planning.arrivals import FileSeen, landing_inputs
from retail_pipeline.planning.manifests import Arrival, Manifest, Overlap, Part, schema_fingerprint
from retail_pipeline.tables import TABLES
from retail_pipeline.tables.table import Table

RAW, UNREADABLE, FILES = TABLES["raw_transactions"], TABLES["unreadable_rows"], TABLES["landed_files"]

BATCH_BYTES = 32 << 20
BATCH_FILES = 500
ROW_GROUP = 1 << 17
# the folder under staging for what is unpacked or spilt
SPILL = "landing"


@dataclass(frozen=True)
class Landed:
    """A file whose rows are in the lake."""

    file: FileSeen
    manifest: Manifest


@dataclass(frozen=True)
class Refused:
    """A file of which nothing was taken, and why, with the remedy.

    ``lasting`` when trying the same content again under the same profiles would end the same.
    """

    file: FileSeen
    reason: str
    lasting: bool = True


@dataclass(frozen=True)
class _Landing:
    """Where from, where to and under which settings: what every step below needs."""

    reader: Reader
    landing: Path
    lake: Lake
    landed: dict[str, Manifest]
    begin: Callable[[Sequence[FileSeen]], None]
    remarks: dict[str, tuple[str, ...]]

    def path(self, file: FileSeen) -> Path:
        return self.landing / file.path

    @property
    def connection(self) -> duckdb.DuckDBPyConnection:
        return self.reader.connection


def land(
    files: Sequence[FileSeen],
    landing: Path,
    lake: Lake,
    settings: Reading,
    *,
    landed: Mapping[str, Manifest],
    on_begin: Callable[[Sequence[FileSeen]], None] = lambda files: None,
) -> Iterator[Landed | Refused]:
    """Land files, with one outcome a file as soon as it is known; a bad file never takes another with it.

    ``landed`` are the files that have landed, with which new ones may overlap. ``on_begin`` hears which files
    are looked at next. Call it with the lake's lock held. A file that has landed before is landed anew.

    Raises:
        LakeError: the lake cannot be written; files already yielded as landed stay so.
    """
    folder = lake.root / STAGING / SPILL
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LakeError(f"the lake {lake.root} cannot be written ({error.strerror})") from error
    with session(folder, settings) as reader:
        job = _Landing(reader, landing, lake, dict(landed), on_begin, {})
        shapes: dict[Shape, list[FileSeen]] = {}
        for file in files:
            job.begin([file])
            try:
                shape = reader.shape(job.path(file), file.path)
                shapes.setdefault(shape, []).append(file)
                job.remarks[file.path] = shape.remarks
            except RefusalError as refusal:
                yield Refused(file, str(refusal), refusal.lasting)
        for shape, alike in shapes.items():
            for batch in _batches(alike):
                yield from _land_batch(job, shape, batch)


def _batches(files: Sequence[FileSeen]) -> Iterator[list[FileSeen]]:
    batch: list[FileSeen] = []
    for file in files:
        if batch and (len(batch) == BATCH_FILES or sum(f.size_bytes for f in (*batch, file)) > BATCH_BYTES):
            yield batch
            batch = []
        batch.append(file)
    if batch:
        yield batch


def _land_batch(job: _Landing, shape: Shape, batch: Sequence[FileSeen]) -> Iterator[Landed | Refused]:
    """Land alike files together; where one of them cannot be read, each half of them."""
    job.begin(batch)
    latest = [job.reader.latest(file.modified_ns) for file in batch]
    try:
        read(job.reader, shape, [job.path(file) for file in batch], latest)
    except RefusalError as refusal:
        if len(batch) == 1:
            yield Refused(batch[0], str(refusal), refusal.lasting)
            return
        half = len(batch) // 2
        yield from _land_batch(job, shape, batch[:half])
        yield from _land_batch(job, shape, batch[half:])
    else:
        yield from _write(job, shape, batch)


# writing


class _Counts(NamedTuple):
    """Rows of one file as its reader met them."""

    read: int = 0
    readable: int = 0
    left_out: int = 0
    value_left_out: int = 0
    outside: int = 0
    late: int = 0
    first_rowid: int = 0


def _write(job: _Landing, shape: Shape, files: Sequence[FileSeen]) -> Iterator[Landed | Refused]:
    """Write the rows of these files in ``mapped``, and commit file by file."""
    unchanged = {}
    for n, file in enumerate(files):
        if identity(job.path(file))[1] == file.sha256:
            unchanged[n] = file
        else:
            why = "changed while it was read: the next run takes it as it is then"
            yield Refused(file, why, lasting=False)
    if not unchanged:
        return
    counts = dict.fromkeys(unchanged, _Counts()) | {
        n: _Counts(*figures)
        for n, *figures in job.connection.execute(
            f"""select file_no, count(*), count(*) filter (reasons is null and not left_out),
                count(*) filter (left_out), coalesce(sum({CENTS}) filter (left_out), 0) // 100,
                count(*) filter (outside), count(*) filter (late), min(rowid)
            from mapped group by file_no"""  # noqa: S608
        ).fetchall()
    }
    spans = job.connection.execute(
        """select file_no, cast(sold_at as date) as day, min(rowid), max(rowid),
            cast(max(60 * date_part('hour', sold_at) + date_part('minute', sold_at)) as integer)
        from mapped where reasons is null and not left_out group by file_no, day order by file_no, day"""
    ).fetchall()
    lasts = {(n, day): minute for n, day, _, _, minute in spans}
    # most files come day by day, and nothing is cheaper than rows that lie in order
    lie_so = all(last < first for (_, _, _, last, _), (_, _, first, _, _) in pairwise(spans))
    columns = ", ".join(RAW.names).replace("source_row,", f"rowid + 1 - {_of_file('firsts')} as source_row,")
    raw = job.connection.sql(
        f"""select file_no, cast(sold_at as date) as day, {columns}
        from (select *, {_of_file("ids")} as source_id, $system as source_system, rowid from mapped)
        where reasons is null and not left_out and source_id is not null
        {"" if lie_so else "order by file_no, day, source_row"}""",  # noqa: S608 - the schema's columns
        params={
            "system": job.reader.profile(shape).source_system,
            "ids": [unchanged[n].source_id if n in unchanged else None for n in range(len(files))],
            "firsts": [counts[n].first_rowid if n in unchanged else None for n in range(len(files))],
        },
    ).to_arrow_reader(CHUNK_ROWS)
    parts: dict[int, dict[date, Part]] = {n: {} for n in unchanged}
    for n, pieces in groupby(_pieces(raw), key=itemgetter(0)):
        for day, of_day in groupby(pieces, key=itemgetter(1)):
            path = job.lake.partition(RAW.name, {"date": str(day)}) / f"{unchanged[n].source_id}.parquet"
            part = _write_rows(job.lake, path, RAW, (rows for _, _, rows in of_day))
            parts[n][day] = part.model_copy(update={"last": lasts[n, day]})
    profile = job.reader.profile(shape)
    written = {
        file.source_id: Candidate(profile.source_system, profile.replaces, file.path, parts[n])
        for n, file in unchanged.items()
    }
    shared = overlaps(job.connection, job.lake, written, job.landed)
    for n, file in unchanged.items():
        yield _commit(job, shape, n, file, counts[n], parts[n], shared[file.source_id])


def _of_file(parameter: str) -> str:
    """SQL of what a list says of the file of a row of ``mapped``."""
    return f"${parameter}[cast(file_no as bigint) + 1]"


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
        # the engine's, which pyarrow passes on while it draws rows: not the disk's fault
        if error.errno is None:
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
    job: _Landing,
    shape: Shape,
    number: int,
    file: FileSeen,
    counts: _Counts,
    parts: Mapping[date, Part],
    shared: dict[str, Overlap],
) -> Landed:
    """Write what else belongs to a file whose raw rows are written, its manifest last."""
    profile, settings = job.reader.profile(shape), job.reader.settings
    keys = {"file": file.source_id}
    inputs = landing_inputs(
        file,
        shape.profile,
        job.reader.fingerprint(shape.profile),
        counts.outside,
        counts.late,
        settings.first_day,
        settings.last_day,
    ) | {"source_system": profile.source_system}
    before = job.landed.get(file.source_id)
    old_days = before.parts if before else {}
    names = before.arrival.names if before else {}
    bad = counts.read - counts.readable - counts.left_out
    unreadable = _write_unreadable(job, number, counts.first_rowid, keys, inputs) if bad else 0
    raw = sum(part.rows for part in parts.values())
    days = sorted(parts)
    row = {
        **file.model_dump(exclude={"modified_ns"}),
        "source_id": file.source_id,
        "profile": shape.profile,
        "encoding": shape.layout.encoding,
        "rows_read": counts.read,
        "rows_accepted": raw,
        "rows_rejected": unreadable,
        "rows_left_out": counts.left_out,
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
        counts={
            "rows_read": counts.read,
            "raw": raw,
            "unreadable": unreadable,
            "left_out": counts.left_out,
            "value_left_out": counts.value_left_out,
        },
        parts=dict(parts),
        arrival=Arrival(
            path=file.path,
            size_bytes=file.size_bytes,
            modified_ns=file.modified_ns,
            earlier={path: changed for path, changed in names.items() if path != file.path},
            replaces=profile.replaces,
            overlaps=shared,
            remarks=job.remarks[file.path],
        ),
    )
    job.landed[file.source_id] = manifest
    for day in old_days.keys() - parts.keys():
        stale = job.lake.partition(RAW.name, {"date": str(day)}) / f"{file.source_id}.parquet"
        stale.unlink(missing_ok=True)
    if not unreadable:
        remove_partition(job.lake, UNREADABLE.name, keys)
    return Landed(file, manifest)


def _write_unreadable(
    job: _Landing, number: int, first_rowid: int, keys: Mapping[str, str], inputs: Mapping[str, str]
) -> int:
    """Write the unreadable rows of one file in ``mapped``; how many were written."""
    rows = (
        job.connection.cursor()
        .sql(
            """select $file as source_id, rowid + 1 - $first as source_row, reasons, payload
        from mapped where file_no = $number and reasons is not null order by source_row""",
            params={"number": number, "first": first_rowid, **keys},
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

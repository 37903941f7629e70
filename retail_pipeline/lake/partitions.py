"""Partitions of the lake: their paths, atomic writes with a manifest, reading back.

Belongs here: everything that touches a partition's files. Does not belong here: what the rows mean
(``tables/``) or which partitions should be written (``planning/plan.py``).

A data file is replaced first and its manifest last, each by one rename. A crash in between leaves new data
beside a manifest that still names the old inputs, so the planner makes the partition again and gets the same
bytes.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import ValidationError

from retail_pipeline.planning.manifests import Manifest, schema_fingerprint
from retail_pipeline.tables.table import DATA_FILE, Table

MANIFEST_FILE = "_manifest.json"
STAGING = ".staging"
WRITERS = 2
PLAIN = {"customer_id"}

T = TypeVar("T")
# of each path the manifest read last, and which file that was; a daemon keeps no more than the lake has
_read: dict[Path, tuple[tuple[int, int, int], Manifest]] = {}


class LakeError(Exception):
    """The lake cannot be read or written; the message names the path and what to do."""


def not_writable(lake: Lake, error: OSError) -> LakeError:
    return LakeError(
        f"the lake {lake.root} cannot be written ({error.strerror}): give its folder to the user that "
        "runs the pipeline, or name another with --lake or the setting `lake`"
    )


def disk_is_full(error: BaseException) -> bool:
    """True when an error, or what caused it, is that there is no room left."""
    # DuckDB and Arrow say so in words alone
    says_so = "No space left" in str(error) or (
        isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
    )
    cause = error.__cause__ or error.__context__
    return says_so or (cause is not None and disk_is_full(cause))


@dataclass(frozen=True)
class Lake:
    """A folder that holds the tables."""

    root: Path

    def partition(self, table: str, keys: Mapping[str, str]) -> Path:
        """The folder of one partition: ``<root>/<table>/<key>=<value>/…``."""
        return self.root.joinpath(table, *(f"{k}={v}" for k, v in keys.items()))

    def data(self, table: str, keys: Mapping[str, str]) -> Path:
        return self.partition(table, keys) / DATA_FILE


def prepare(lake: Lake) -> None:
    """Create the lake's folder and clear what a killed run left in staging. The lake's lock must be held."""
    staging = lake.root / STAGING
    try:
        shutil.rmtree(staging, ignore_errors=True)
        staging.mkdir(parents=True, exist_ok=True)
        probe = staging / "probe"
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        raise not_writable(lake, error) from error


def entries(folder: Path, pattern: str) -> list[Path]:
    """What a folder of the lake holds under names like a pattern, by name; nothing if there is no folder.

    Raises:
        LakeError: the folder cannot be read, which is not the same as being empty.
    """
    try:
        return sorted(folder / name for name in os.listdir(folder) if fnmatchcase(name, pattern))
    except FileNotFoundError:
        return []
    except OSError as error:
        raise LakeError(
            f"{folder} cannot be read ({error.strerror}): give it to the user that runs the pipeline; what "
            "it holds is not left out of account"
        ) from error


def contents(paths: Iterable[Path], read: Callable[[Path], T]) -> Iterator[tuple[Path, T]]:
    """Files of the lake with what they hold, but those that a run has taken away meanwhile.

    Raises:
        LakeError: one is there and cannot be read.
    """
    for path in paths:
        try:
            yield path, read(path)
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            raise LakeError(
                f"{path} cannot be read ({error.strerror}): give it to the user that runs the pipeline; what "
                "it says is not left out of account"
            ) from error


def each_readable(
    paths: Iterable[Path], read: Callable[[Path], T], refuse: Callable[[str], None]
) -> Iterator[tuple[Path, T]]:
    """The same, but what cannot be read is told to ``refuse`` and the others follow."""
    for path in paths:
        try:
            yield from contents([path], read)
        except LakeError as error:
            refuse(str(error))


def in_a_line(error: ValueError) -> str:
    """What is wrong with a text, without the text."""
    if not isinstance(error, ValidationError):
        return " ".join(str(error).split())
    found = error.errors(include_url=False, include_input=False)
    return "; ".join(": ".join(filter(None, [".".join(map(str, e["loc"])), e["msg"]])) for e in found[:3])


def replace_file(lake: Lake, path: Path, content: bytes | pa.Buffer) -> None:
    """Put ``content`` at ``path`` in one step: readers see the old file or the new one, never half of it."""
    staged = lake.root / STAGING / f"{os.getpid()}-{hashlib.sha256(str(path).encode()).hexdigest()[:16]}"
    try:
        staged.parent.mkdir(parents=True, exist_ok=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        staged.write_bytes(content)
        staged.replace(path)
    except OSError as error:
        with suppress(OSError):
            staged.unlink()
        raise LakeError(
            f"{path} cannot be written ({error.strerror}): make room or mend the folder's permissions, then "
            "run again; the partition that was there is untouched"
        ) from error


def parquet_bytes(data: pa.Table) -> tuple[pa.Buffer, str]:
    """Serialise a table to Parquet: the bytes and their sha256. Same table, same bytes."""
    sink = pa.BufferOutputStream()
    # ids, money and moments repeat too seldom: making a dictionary and giving it up takes twice as long
    repeating = [f.name for f in data.schema if f.name not in PLAIN and not _is_plain(f.type)]
    pq.write_table(
        data,
        sink,
        compression="zstd",
        compression_level=1,
        use_dictionary=repeating,
        write_statistics=True,
        store_schema=True,
    )
    buffer = sink.getvalue()
    return buffer, hashlib.sha256(buffer).hexdigest()


def _is_plain(kind: pa.DataType) -> bool:
    return bool(pa.types.is_decimal(kind) or pa.types.is_timestamp(kind) or pa.types.is_floating(kind))


def write_partition(
    lake: Lake, table: Table, keys: Mapping[str, str], data: pa.Table, inputs: Mapping[str, str], **facts: Any
) -> Manifest:
    """Write one partition atomically and return its manifest.

    ``data`` is cast to the table's schema (an error names the column that does not fit); rows must come
    ordered. ``facts`` are further fields of the manifest: ``counts``, ``failures``, ``parts``.
    """
    data = data.select(table.names).cast(table.arrow).combine_chunks()
    buffer, content = parquet_bytes(data)
    manifest = Manifest(
        table=table.name,
        partition=dict(keys),
        rows=data.num_rows,
        content=content,
        inputs=dict(inputs),
        code_version=table.code_version,
        schema_fingerprint=schema_fingerprint(table.arrow),
        **facts,
    )
    replace_file(lake, lake.data(table.name, keys), buffer)
    write_manifest(lake, manifest)
    return manifest


def write_partitions(
    lake: Lake,
    table: Table,
    partitions: Iterable[tuple[Mapping[str, str], pa.Table, Mapping[str, str], Mapping[str, Any]]],
) -> list[Manifest]:
    """Write partitions of one table, each as ``write_partition`` does; return the manifests in their order.

    A partition is its keys, data, inputs and facts. Two are written at a time, while the next is fetched:
    Arrow needs no Python while it compresses.
    """
    made: list[Manifest] = []
    with ThreadPoolExecutor(WRITERS) as pool:
        writing = deque[Future[Manifest]]()
        for keys, data, inputs, facts in partitions:
            if len(writing) == WRITERS:
                made.append(writing.popleft().result())
            writing.append(pool.submit(write_partition, lake, table, keys, data, inputs, **facts))
        return made + [one.result() for one in writing]


def write_manifest(lake: Lake, manifest: Manifest) -> None:
    path = lake.partition(manifest.table, manifest.partition) / MANIFEST_FILE
    replace_file(lake, path, (manifest.model_dump_json(indent=1, exclude_defaults=True) + "\n").encode())


def remove_partition(lake: Lake, table: str, keys: Mapping[str, str]) -> None:
    """Take a partition away, manifest first, so that a crash half-way leaves nothing that looks whole."""
    folder = lake.partition(table, keys)
    (folder / MANIFEST_FILE).unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)


def manifests(lake: Lake, table: Table) -> Iterator[Manifest]:
    """Every manifest of a table, ordered by partition.

    Raises:
        LakeError: one is not readable (edited by hand, or cut by a failing disk).
    """
    for _, manifest in contents((f / MANIFEST_FILE for f in folders(lake, table)), _manifest):
        yield manifest


def _manifest(path: Path) -> Manifest:
    """A manifest, which a run reads before each of its steps: a file that is still the same is read once."""
    file = path.stat()
    same = (file.st_ino, file.st_mtime_ns, file.st_size)
    if path not in _read or _read[path][0] != same:
        try:
            _read[path] = same, Manifest.model_validate_json(path.read_bytes())
        except ValueError as error:
            raise LakeError(
                f"{path} is not a manifest ({in_a_line(error)}): `retail-pipeline check` says how to mend it"
            ) from error
    return _read[path][1]


def folders(lake: Lake, table: Table) -> list[Path]:
    """The folders of a table's partitions, in order, be they whole or not."""
    found = [lake.root / table.name]
    for key in table.partition_keys:
        found = [path for folder in found for path in entries(folder, f"{key}=*")]
    return found


def bytes_a_row(lake: Lake, made: Iterable[Manifest]) -> float | None:
    """The bytes on disk a row of some partitions of one table; None when they hold no rows."""
    size = rows = 0
    for manifest in made:
        with suppress(FileNotFoundError):
            size += lake.data(manifest.table, manifest.partition).stat().st_size if manifest.rows else 0
            rows += manifest.rows
    return size / rows if rows else None


def read_partition(lake: Lake, table: Table, keys: Mapping[str, str]) -> pa.Table:
    """One partition's rows; LakeError when the file is missing or damaged."""
    path = lake.data(table.name, keys)
    try:
        # read_table would import pandas, a third of a second
        with pq.ParquetFile(path) as file:
            return file.read()
    except (OSError, pa.ArrowInvalid) as error:
        raise LakeError(
            f"{path} cannot be read ({error}): `retail-pipeline check` says how to mend it"
        ) from error

"""A file's bytes, out of gzip, zstd or zip, and what is wrong with a file as a whole."""

from __future__ import annotations

import errno
import gzip
import io
import re
import shutil
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, Literal, NamedTuple, cast

from retail_pipeline.lake.partitions import LakeError, disk_is_full
from retail_pipeline.planning.masking import plain, without_values

Kind = Literal["text", "json", "excel", "parquet"]
Packing = Literal["", "gz", "zst", "zip"]

KINDS: dict[str, Kind] = {
    ".csv": "text",
    ".tsv": "text",
    ".txt": "text",
    ".jsonl": "json",
    ".ndjson": "json",
    ".xlsx": "excel",
    ".xlsm": "excel",
    ".xlsb": "excel",
    ".xls": "excel",
    ".ods": "excel",
    ".parquet": "parquet",
}
PACKINGS = {"": "", "gz": "gzip", "zst": "zstd", "zip": "zip"}
# the kinds that gzip and zstd pack on the way; any kind may lie in a zip
PACKED_KINDS = ("text", "json")
BLOCK = 1 << 20
# a file that grows beyond both is no delivery but an attack, or an accident
MAX_RATIO = 250
MAX_UNBOUNDED = 1 << 30
RETRY = "`retail-pipeline quarantine retry` then tries it again"


class RefusalError(Exception):
    """A file cannot be read at all; the message says why, and what to do.

    ``lasting`` when trying the same content again under the same profiles would end the same.
    """

    def __init__(self, reason: str, lasting: bool = True) -> None:
        """See the class."""
        super().__init__(reason)
        self.lasting = lasting


class Package(NamedTuple):
    """The kind of a file's content, and how it is packed."""

    kind: Kind
    packing: Packing


def package(path: Path) -> Package:
    """What a file is by its name; RefusalError if it is something else inside, or of no known kind."""
    stem, _, last = path.name.lower().rpartition(".")
    if last == "zip":
        with _whole("zip"), zipfile.ZipFile(path) as archive:
            return Package(_kind_of(_only_member(archive).filename.lower()), "zip")
    if last in ("gz", "zst"):
        found = Package(_kind_of(stem), "gz" if last == "gz" else "zst")
    else:
        found = Package(_kind_of(path.name.lower()), "")
    _refuse_misnamed(path, found)
    return found


def _refuse_misnamed(path: Path, found: Package) -> None:
    """Refuse a file whose first bytes say that it is something else than its name says."""
    with _whole(""), path.open("rb") as stream:
        head = stream.read(1024)
    is_ = next((what for mark, what in _MAGIC.items() if head.startswith(mark)), "")
    packed = found.packing in ("gz", "zst")
    if is_ == "zip":
        with suppress(zipfile.BadZipFile), zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            is_ = "xlsx" if any(name.startswith("xl/") for name in names) else is_
            is_ = "ods" if "content.xml" in names else is_
    elif not is_ and re.match(rb"(\xef\xbb\xbf)?\s*<(!doctype html|html|table|\?xml)", head, re.IGNORECASE):
        is_ = "html"
    elif not is_ and (packed or found.kind in ("excel", "parquet")) and _TEXT.fullmatch(head):
        is_ = "csv"
    if not is_ or is_ in _FITTING.get(found.packing or found.kind, ()):
        return
    if is_ == "csv" and packed:
        raise RefusalError(f"is not packed, whatever its name: rename it without .{found.packing}")
    remedy = f"rename it so that it ends in .{is_}"
    if is_ in ("html", "pdf"):
        remedy = "have it exported as CSV or .xlsx"
    raise RefusalError(f"is {_INSIDE[is_]} inside, whatever its name: {remedy}")


# how files begin, and what that is
_MAGIC = {
    b"\x1f\x8b": "gz",
    b"\x28\xb5\x2f\xfd": "zst",
    b"PK\x03\x04": "zip",
    b"PAR1": "parquet",
    b"\xd0\xcf\x11\xe0": "xls",
    b"%PDF": "pdf",
}
_INSIDE = {
    "gz": "gzip",
    "zst": "zstd",
    "zip": "a zip",
    "parquet": "Parquet",
    "xls": "an old workbook",
    "xlsx": "a workbook",
    "ods": "a workbook",
    "csv": "text",
    "html": "a web page or XML",
    "pdf": "a PDF",
}
# what a file may be inside by its packing, or else its kind
_FITTING = {
    "excel": ("xls", "xlsx", "ods", "zip"),
    "parquet": ("parquet",),
    "gz": ("gz",),
    "zst": ("zst",),
    "zip": ("zip",),
}
_TEXT = re.compile(rb"[\t\r\n\x20-\x7e\x80-\xff]*[,;\t|][\t\r\n\x20-\x7e\x80-\xff]*")


def _kind_of(name: str) -> Kind:
    kind = KINDS.get(Path(name).suffix)
    if kind is None:
        raise RefusalError(
            f"holds {plain(name[-60:])}, which is none of {', '.join(KINDS)}: have it delivered as one"
        )
    return kind


def _only_member(archive: zipfile.ZipFile) -> zipfile.ZipInfo:
    members = [
        m
        for m in archive.infolist()
        if not m.is_dir() and not m.filename.startswith("__MACOSX/") and not m.filename.endswith(".DS_Store")
    ]
    if len(members) != 1:
        raise RefusalError(f"is a zip of {len(members)} files: deliver each in a file of its own")
    if members[0].flag_bits & 1:
        raise RefusalError("is a zip with a password: deliver it without")
    return members[0]


@contextmanager
def _whole(packing: str) -> Iterator[None]:
    """Whatever is wrong with the file as a whole becomes a refusal."""
    import zstandard

    try:
        yield
    except (
        EOFError,
        gzip.BadGzipFile,
        zlib.error,
        zipfile.BadZipFile,
        NotImplementedError,
        zstandard.ZstdError,
    ) as error:
        raise _part_of(packing, error) from error
    except OSError as error:
        # a damaged package points to places before its beginning
        if packing and error.errno in (None, errno.EINVAL):
            raise _part_of(packing, error) from error
        why = error.strerror or str(error)
        if disk_is_full(error):
            # where it is unpacked to: no file is to blame
            raise LakeError(f"the disk is full ({why}): make room, then run again") from error
        remedy = "mend its permissions or deliver it again"
        raise RefusalError(f"cannot be read ({why}): {remedy}", lasting=False) from error


def _part_of(packing: str, error: Exception) -> RefusalError:
    return RefusalError(
        f"is no whole {PACKINGS[packing]} file ({without_values(str(error))}): have it delivered again"
    )


@contextmanager
def unpacked(path: Path, packing: Packing) -> Iterator[BinaryIO]:
    """A file's bytes, unpacked as they are read.

    Raises:
        RefusalError: it is not whole, cannot be read, or grows beyond all bounds (when reading comes to it).
    """
    with _whole(packing):
        if not packing:
            with path.open("rb") as stream:
                yield stream
            return
        blocks = {"gz": _gzip, "zst": _zstd, "zip": _zip}[packing](path)
        with io.BufferedReader(_Blocks(_bounded(blocks, path.stat().st_size)), BLOCK) as stream:
            yield cast(BinaryIO, stream)


@contextmanager
def on_disk(path: Path, packing: Packing, folder: Path) -> Iterator[Path]:
    """The file as a reader that needs a whole file can open it: itself, or its content in ``folder``."""
    if not packing:
        yield path
        return
    copy = folder / "unpacked"
    try:
        with unpacked(path, packing) as stream, copy.open("wb") as out:
            shutil.copyfileobj(stream, out, BLOCK)
        yield copy
    finally:
        copy.unlink(missing_ok=True)


def check_size(path: Path) -> None:
    """Refuse a workbook (a zip of XML) whose content would not fit into memory."""
    if zipfile.is_zipfile(path):
        with _whole("zip"), zipfile.ZipFile(path) as archive:
            for _ in _bounded((m.file_size for m in archive.infolist()), path.stat().st_size):
                pass


def _gzip(path: Path) -> Iterator[bytes]:
    with gzip.open(path) as stream:
        yield from iter(lambda: stream.read(BLOCK), b"")


def _zip(path: Path) -> Iterator[bytes]:
    with zipfile.ZipFile(path) as archive, archive.open(_only_member(archive)) as stream:
        yield from iter(lambda: stream.read(BLOCK), b"")


def _zstd(path: Path) -> Iterator[bytes]:
    import zstandard

    with path.open("rb") as stream:
        frame, started = zstandard.ZstdDecompressor().decompressobj(), False
        # four bytes of zstd may stand for 128 KB
        while block := stream.read(1 << 12):
            while block:
                if frame.eof:
                    frame = zstandard.ZstdDecompressor().decompressobj()
                yield frame.decompress(block)
                block, started = frame.unused_data, True
        if not (started and frame.eof):
            raise EOFError("it ends in the middle")


def _bounded(blocks: Iterator[bytes] | Iterator[int], packed: int) -> Iterator[bytes]:
    size = 0
    for block in blocks:
        size += block if isinstance(block, int) else len(block)
        if size > max(MAX_UNBOUNDED, MAX_RATIO * packed):
            raise RefusalError(
                f"grows to more than {MAX_RATIO} times its size when unpacked: deliver it without packing"
            )
        if isinstance(block, bytes):
            yield block


class _Blocks(io.RawIOBase):
    """Blocks of bytes as a stream."""

    def __init__(self, blocks: Iterator[bytes]) -> None:
        self._blocks, self._held = blocks, memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, target: Any) -> int:
        view = memoryview(target).cast("B")
        while not self._held:
            block = next(self._blocks, None)
            if block is None:
                return 0
            self._held = memoryview(block)
        count = min(len(view), len(self._held))
        view[:count], self._held = self._held[:count], self._held[count:]
        return count

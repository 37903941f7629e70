"""Delimited text by the block, as columns: plain lines are cut together, the others are read one by one.

A line is plain when it has no quote and a delimiter between each two fields. What comes of any other is for
``text_rows.record_at`` to say, so that a row reads the same in a block and alone.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from retail_pipeline.ingest.files.records import Layout, after_skipped, header_of, no_header, no_long_lines
from retail_pipeline.ingest.files.unpacked import unpacked
from retail_pipeline.ingest.text_rows import BLANKS, MAX_BYTES, Record, decoded, lines_of, record_at

BLOCK_BYTES = 1 << 20
# encodings in which a line reads the same alone and among others, and ends in one byte
_STATELESS = ("utf-8", "ascii", "cp", "iso8859", "mac")


class _CutError(Exception):
    """A record may go on in the next block."""


class _Form(NamedTuple):
    """How the lines of a file are read: what ``record_at`` asks for, and the columns wanted."""

    delimiter: str
    header: tuple[str, ...]
    encoding: str
    columns: Sequence[int]


def has_blocks(layout: Layout) -> bool:
    """Whether a file can be read by the block: it is delimited text whose every line stands for itself."""
    special = layout.widths or layout.surplus or layout.skip_last_rows or layout.cut
    plain = layout.line_end == "\n" and len(layout.delimiter.encode()) == 1
    return (
        layout.kind == "text"
        and plain
        and not special
        and codecs.lookup(layout.encoding).name.startswith(_STATELESS)
    )


def read_blocks(path: Path, layout: Layout, columns: Sequence[int]) -> Iterator[pa.RecordBatch]:
    """The rows of a file that ``has_blocks``, as ``batch_of`` has them.

    Raises:
        RefusalError: the file as a whole cannot be read; it may come while blocks are drawn.
    """
    with no_long_lines(), unpacked(path, layout.packing) as stream:
        lines, _ = after_skipped(lines_of(stream, layout.encoding), layout)
        header = layout.header or header_of(lines, layout.delimiter, layout.encoding)
        form = _Form(layout.delimiter, header, layout.encoding, columns)

        def whole_lines() -> bytes:
            block = stream.read(BLOCK_BYTES)
            block += b"" if block.endswith(b"\n") else stream.readline(MAX_BYTES + 1)
            if len(block) > MAX_BYTES:
                _tell_long_line(path, layout)
            return block

        block = next(lines, b"") + whole_lines()
        while block:
            fresh = whole_lines()
            batch, left = _read_block(block, form, is_last=not fresh)
            yield batch
            block = left + fresh


def _tell_long_line(path: Path, layout: Layout) -> None:
    """Raise the error of the line that is longer than any text, if there is one."""
    with unpacked(path, layout.packing) as stream:
        for _ in lines_of(stream, layout.encoding):
            pass


def batch_of(records: Sequence[Record], columns: Sequence[int]) -> pa.RecordBatch:
    """Records as columns: problem, payload, and the fields at these places as ``c<n>``."""
    texts = (_strings(row.fields[n] if row.fields else None for row in records) for n in columns)
    problems = _strings(row.problem for row in records)
    return _batch(problems, _strings(row.payload for row in records), texts, columns)


def _batch(
    problem: pa.Array, payload: pa.Array, texts: Iterable[pa.Array], columns: Sequence[int]
) -> pa.RecordBatch:
    names = ["problem", "payload", *(f"c{n}" for n in columns)]
    return pa.RecordBatch.from_arrays([problem, payload, *texts], names)


def _read_block(raw: bytes, form: _Form, *, is_last: bool) -> tuple[pa.RecordBatch, bytes]:
    """The rows of some whole lines, and the lines from the one on whose record may go on after them."""
    text, width = _text(raw, form.encoding).encode(), len(form.header)
    letters = np.frombuffer(text, np.uint8)
    # each field ends with one of these, and each line with a field
    stops = np.flatnonzero((letters == ord("\n")) | (letters == ord(form.delimiter)))
    last_fields = np.flatnonzero(letters[stops] == ord("\n"))
    first_fields = np.concatenate([[0], last_fields[:-1] + 1])
    ends = stops[last_fields]
    lines = _between(text, b"\n", ends)
    plain = last_fields - first_fields == width - 1
    # where each name of the header stands, it may be the header once more
    for odd in (b'"', max(form.header, key=len).encode()):
        if odd in text:
            at = [found.start() for found in re.finditer(re.escape(odd), text)]
            plain[np.searchsorted(ends, at)] = False
    if width == 1 or form.delimiter in BLANKS:
        filled = pc.binary_length(pc.utf8_trim(lines, BLANKS))
        plain &= filled.to_numpy() > 0
    places, records, done = _odd_rows(raw, plain, form, is_last)
    kept = np.flatnonzero(plain[:done])
    values, firsts = _between(text, b"\n" + form.delimiter.encode(), stops), first_fields[kept]
    if len(kept) < len(lines):
        lines = lines.take(_ints(kept))
    problem = pa.nulls(len(lines), pa.string())
    if records:
        none = [None] * width
        own = len(values) + width * np.arange(len(records))
        values = pa.concat_arrays([values, _strings(f for row in records for f in row.fields or none)])
        order = np.argsort(np.concatenate([kept, places]), kind="stable")
        firsts, rows = np.concatenate([firsts, own])[order], _ints(order)
        problem = pa.concat_arrays([problem, _strings(row.problem for row in records)]).take(rows)
        lines = pa.concat_arrays([lines, _strings(row.payload for row in records)]).take(rows)
    texts = (values.take(_ints(firsts + n)) for n in form.columns)
    batch = _batch(problem, lines, texts, form.columns)
    return batch, raw[_line_starts(raw)[done] :] if done < len(ends) else b""


def _between(text: bytes, stops: bytes, at: np.ndarray[Any, np.dtype[np.int64]]) -> pa.StringArray:
    """The texts that end with these letters, which stand ``at`` these places."""
    offsets = np.concatenate([[0], at - np.arange(len(at))])
    letters = pa.py_buffer(text.translate(None, stops))
    return pa.StringArray.from_buffers(len(at), _buffer(offsets, np.int32), letters)


def _text(raw: bytes, encoding: str) -> str:
    """The lines as text, each with its end; empty ones in place of those that are not in this encoding."""
    try:
        text = raw.decode(encoding)
        if not text.endswith("\n"):
            text = text.removesuffix("\r") + "\n"
        return text.replace("\r\n", "\n") if "\r" in text else text
    except UnicodeDecodeError:
        texts = (decoded(line, encoding) for line in raw.removesuffix(b"\n").split(b"\n"))
        return "".join(f"{text if isinstance(text, str) else ''}\n" for text in texts)


def _line_starts(raw: bytes) -> np.ndarray[Any, np.dtype[np.int64]]:
    ends = np.flatnonzero(np.frombuffer(raw, np.uint8) == ord("\n"))
    return np.concatenate([[0], ends + 1, [len(raw)]])


def _odd_rows(
    raw: bytes, plain: np.ndarray[Any, np.dtype[np.bool_]], form: _Form, is_last: bool
) -> tuple[list[int], list[Record], int]:
    """The records that begin with lines that are not plain, and their places; and how many lines are done.

    Lines that are part of such a record are no longer plain.
    """
    starts = _line_starts(raw)

    def after(place: int, n: int) -> bytes | None:
        if place + 1 + n < len(plain):
            return raw[starts[place + 1 + n] : starts[place + 2 + n]]
        if is_last:
            return None
        raise _CutError

    places: list[int] = []
    records: list[Record] = []
    free = 0
    for place in np.flatnonzero(~plain).tolist():
        if place < free:
            continue
        line = raw[starts[place] : starts[place + 1]]
        try:
            record, taken = record_at(
                line, partial(after, place), form.delimiter, len(form.header), form.encoding
            )
        except _CutError:
            return places, records, place
        free = place + 1 + taken
        plain[place + 1 : free] = False
        if record is not None:
            places.append(place)
            records.append(no_header(record, form.header))
    return places, records, len(plain)


def _strings(texts: Iterable[str | None]) -> pa.StringArray:
    # pa.array would load pandas
    builder = pa.lib.StringBuilder()
    builder.append_values(texts)
    return builder.finish()


def _ints(numbers: np.ndarray[Any, np.dtype[np.int64]]) -> pa.Int64Array:
    return pa.Int64Array.from_buffers(pa.int64(), len(numbers), [None, _buffer(numbers, np.int64)])


def _buffer(numbers: Any, kind: Any) -> pa.Buffer:
    return pa.py_buffer(np.ascontiguousarray(numbers, kind))

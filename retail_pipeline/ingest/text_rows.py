"""The reader of delimited text, which is never at a loss.

RFC 4180; a quote inside an unquoted field is text; blanks around quotes are dropped; empty lines are no rows.
A field too many is one too many though it be empty: which of them it is does not show.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from itertools import accumulate
from typing import BinaryIO, NamedTuple

# a quote that stays open for longer is a stray quote, not a long text
MAX_LINES = 1000
# what is longer is no line of text; and no text of several lines is
MAX_BYTES = 1 << 26
_BLOCK = 1 << 16
BLANKS = " \t\r\n\f\v"
# a quote that opens inside an unquoted field, and one that ends another: the fields between may be one text
_OPENS, _CLOSES = re.compile(r'"[^\s"]'), re.compile(r'"\s*\Z')


class Record(NamedTuple):
    """One row: its fields, or the problem that kept it from being split; and its text as it stood."""

    fields: Sequence[str | None] | None
    problem: str | None
    payload: str


class LongLineError(ValueError):
    """A line is longer than any text; the message says so."""


class _QuotesError(Exception):
    """A record's quotes do not show where its fields end; the message says why."""


_OPEN = "a quote opens and never closes"


@cache
def _field(delimiter: str) -> re.Pattern[str]:
    end = f"(?={re.escape(delimiter)}|\\Z)"
    return re.compile(rf' *"((?:[^"]|"")*+)" *{end}|((?! *")[^{re.escape(delimiter)}]*){end}', re.DOTALL)


@cache
def _open_field() -> re.Pattern[str]:
    return re.compile(r' *"(?:[^"]|"")*+\Z', re.DOTALL)


def split(text: str, delimiter: str) -> list[str]:
    """The fields of one record.

    Raises:
        _QuotesError: its quotes do not show where they end.
    """
    if '"' not in text:
        return text.split(delimiter)
    fields, at, opened = [], 0, False
    while at <= len(text):
        found = _field(delimiter).match(text, at)
        if found is None:
            is_open = _open_field().match(text, at)
            raise _QuotesError(_OPEN if is_open else "a quoted field goes on after its closing quote")
        quoted = found[1]
        if quoted is None and found[2].count('"') % 2:
            if opened and _CLOSES.search(found[2]):
                raise _QuotesError("a quote opens inside a field and closes in another (a delimiter lost?)")
            opened = opened or bool(_OPENS.search(found[2]))
        fields.append(found[2] if quoted is None else quoted.replace('""', '"'))
        at = found.end() + len(delimiter)
    return fields


def lines_of(stream: BinaryIO, encoding: str = "utf-8", end: str = "\n") -> Iterator[bytes]:
    """The stream's lines in their encoding (UTF-16 with its byte order named), without a byte order mark.

    ``end`` is what the lines end in: ``\\r`` for those of old Macintoshes alone.

    Raises:
        LongLineError: a line is longer than ``MAX_BYTES``.
    """
    mark = "\ufeff".encode(encoding) if encoding.startswith("utf") else b""
    plain = end == "\n" and not encoding.startswith("utf-16")
    lines = _lines(stream) if plain else _lines_ending(stream, end.encode(encoding))
    for n, line in enumerate(lines, 1):
        if len(line) > MAX_BYTES:
            raise LongLineError(f"line {n} is longer than {MAX_BYTES >> 20} MB")
        yield line.removeprefix(mark) if n == 1 else line


def _lines(stream: BinaryIO) -> Iterator[bytes]:
    return iter(lambda: stream.readline(MAX_BYTES + 1), b"")


def _lines_ending(stream: BinaryIO, end: bytes) -> Iterator[bytes]:
    """Lines that end so; where characters have two bytes, an end of line begins at an even place."""
    size = len(end)
    held, start, searched = b"", 0, 0
    while block := stream.read(_BLOCK):
        held, start, searched = held[start:] + block, 0, max(0, searched - start - size + 1)
        while (at := held.find(end, searched)) >= 0:
            searched = at + 1
            if at % size == start % size:
                yield held[start : at + size]
                start = searched = at + size
        searched = max(searched, len(held))
        if len(held) - start > MAX_BYTES:
            break
    if held[start:]:
        yield held[start:]


def records(
    lines: Iterator[bytes],
    delimiter: str,
    width: int | None = None,
    encoding: str = "utf-8",
    surplus: int = 0,
) -> Iterator[Record]:
    """The records of ``lines``; ``width`` is the number of fields each must have (None: any).

    ``surplus`` empty fields follow those in every row, and are dropped.
    """
    waiting: deque[bytes] = deque()

    def after(n: int) -> bytes | None:
        while len(waiting) <= n:
            if (line := next(lines, None)) is None:
                return None
            waiting.append(line)
        return waiting[n]

    while (line := waiting.popleft() if waiting else next(lines, None)) is not None:
        record, taken = record_at(line, after, delimiter, width, encoding, surplus)
        for _ in range(taken):
            waiting.popleft()
        if record is not None:
            yield record


def record_at(
    line: bytes,
    after: Callable[[int], bytes | None],
    delimiter: str,
    width: int | None,
    encoding: str,
    surplus: int = 0,
) -> tuple[Record | None, int]:
    """The record that begins with a line (None: the line is empty), and how many lines after it are its own.

    ``after`` gives the n-th line after it, from 0, or None where there is none. A line that opens a quote
    which does not close within ``MAX_LINES``, or not so that the record has all its fields, is one unreadable
    record, and reading goes on with the line after it.
    """
    text = decoded(line, encoding)
    if isinstance(text, Record):
        return text, 0
    if not text.strip(BLANKS):
        return None, 0
    try:
        return checked(split(text, delimiter), width, text, surplus), 0
    except _QuotesError as error:
        record, why = Record(None, str(error), text), str(error)
    for taken in range(1, MAX_LINES + 1) if why == _OPEN else ():
        if len(line) >= MAX_BYTES or (more := after(taken - 1)) is None:
            break
        line += more
        if b'"' not in more:
            continue
        text = decoded(line, encoding)
        if isinstance(text, Record):
            break
        try:
            whole = checked(split(text, delimiter), width, text, surplus)
        except _QuotesError as error:
            if str(error) == _OPEN:
                continue
            break
        return (whole, taken) if whole.problem is None else (record, 0)
    return record, 0


def decoded(line: bytes, encoding: str) -> str | Record:
    """A line's text without its end, or the record of a line that is not in this encoding."""
    try:
        return line.decode(encoding).removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError as error:
        name = encoding.upper() if encoding.startswith("utf") else encoding
        place = f"byte 0x{line[error.start]:02x} at position {error.start + 1} of the row"
        shown = line.decode(encoding, "backslashreplace").removesuffix("\n").removesuffix("\r")
        return Record(None, f"{place} is not {name}", shown)


def checked(fields: list[str], width: int | None, payload: str, surplus: int = 0) -> Record:
    """A record of these fields, or what is wrong with their number."""
    if width is None or len(fields) == width + surplus:
        if not surplus or not any(fields[width:]):
            return Record(fields[:width], None, payload)
        return Record(None, "the row has a value to the right of the header's last column", payload)
    width += surplus
    guess = "cut in the middle?" if len(fields) < width else "a delimiter inside a text without quotes?"
    plural = "" if len(fields) == 1 else "s"
    problem = f"the row has {len(fields)} field{plural} where the header has {width} ({guess})"
    return Record(None, problem, payload)


def fixed_records(lines: Iterator[bytes], widths: Sequence[int], encoding: str = "utf-8") -> Iterator[Record]:
    """The records of lines cut after so many characters each; the last field may be shorter."""
    ends = list(accumulate(widths))
    starts = [0, *ends[:-1]]
    for line in lines:
        text = decoded(line, encoding)
        if isinstance(text, Record):
            yield text
        elif text.strip(BLANKS):
            yield _cut(text, starts, ends)


def _cut(text: str, starts: Sequence[int], ends: Sequence[int]) -> Record:
    if len(text) <= starts[-1]:
        problem = f"the row has {len(text)} characters where the widths need {ends[-1]} (cut in the middle?)"
        return Record(None, problem, text)
    if text[ends[-1] :].strip():
        problem = f"the row has {len(text)} characters where the widths have {ends[-1]} (other widths?)"
        return Record(None, problem, text)
    return Record([text[a:b].strip() for a, b in zip(starts, ends, strict=True)], None, text)

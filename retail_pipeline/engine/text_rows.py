"""The careful reader of delimited text: slower than the engine's, and never at a loss.

Belongs here: lines of bytes -> records, with the original text of each and what is wrong with those that
cannot be split. Does not belong here: what the fields mean (``core/sources.py``). On well-formed text it
gives what DuckDB's strict reader gives: RFC 4180; a quote inside an unquoted field is text; blanks around
quotes, and empty fields beyond the header's, are dropped; empty lines are no rows.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Iterator
from functools import cache
from itertools import chain
from typing import NamedTuple

# a quote that stays open for longer is a stray quote, not a long text
MAX_LINES = 1000


class Record(NamedTuple):
    """One row: its fields, or the problem that kept it from being split; and its text as it stood."""

    fields: list[str] | None
    problem: str | None
    payload: str


class _OpenQuoteError(Exception):
    """The text ends inside a quoted field."""


class _BrokenQuoteError(Exception):
    """A quoted field goes on after its closing quote."""


@cache
def _field(delimiter: str) -> re.Pattern[str]:
    end = f"(?={re.escape(delimiter)}|\\Z)"
    return re.compile(rf' *"((?:[^"]|"")*+)" *{end}|((?! *")[^{re.escape(delimiter)}]*){end}', re.DOTALL)


@cache
def _open_field() -> re.Pattern[str]:
    return re.compile(r' *"(?:[^"]|"")*+\Z', re.DOTALL)


def split(text: str, delimiter: str) -> list[str]:
    """The fields of one record."""
    if '"' not in text:
        return text.split(delimiter)
    fields, at = [], 0
    while at <= len(text):
        found = _field(delimiter).match(text, at)
        if found is None:
            raise _OpenQuoteError if _open_field().match(text, at) else _BrokenQuoteError
        quoted = found[1]
        fields.append(found[2] if quoted is None else quoted.replace('""', '"'))
        at = found.end() + len(delimiter)
    return fields


def lines_of(stream: Iterable[bytes]) -> Iterator[bytes]:
    """The stream's lines without a byte order mark."""
    lines = iter(stream)
    first = next(lines, None)
    return iter(()) if first is None else chain([first.removeprefix(b"\xef\xbb\xbf")], lines)


def records(lines: Iterator[bytes], delimiter: str, width: int | None = None) -> Iterator[Record]:
    """The records of ``lines``; ``width`` is the number of fields each must have (None: any).

    A line that opens a quote which does not close within ``MAX_LINES``, or not so that the record has all its
    fields, is one unreadable record, and reading goes on with the line after it.
    """
    waiting: deque[bytes] = deque()
    while (line := waiting.popleft() if waiting else next(lines, None)) is not None:
        if not line.strip():
            continue
        try:
            text = line.decode()
        except UnicodeDecodeError as error:
            problem = f"byte 0x{line[error.start]:02x} at position {error.start + 1} of the row is not UTF-8"
            yield Record(None, problem, _bare(line.decode(errors="backslashreplace")))
            continue
        try:
            fields = split(_bare(text), delimiter)
        except _BrokenQuoteError:
            yield Record(None, "a quoted field goes on after its closing quote", _bare(text))
        except _OpenQuoteError:
            joined = _closed(text, lines, waiting, delimiter, width)
            yield joined or Record(None, "a quote opens and never closes", _bare(text))
        else:
            yield _checked(fields, width, _bare(text))


def _bare(text: str) -> str:
    return text.removesuffix("\n").removesuffix("\r")


def _checked(fields: list[str], width: int | None, payload: str) -> Record:
    if width is None or len(fields) == width:
        return Record(fields, None, payload)
    while len(fields) > width and not fields[-1]:
        fields.pop()
    if len(fields) == width:
        return Record(fields, None, payload)
    guess = "cut in the middle?" if len(fields) < width else "a delimiter inside a text without quotes?"
    plural = "" if len(fields) == 1 else "s"
    problem = f"the row has {len(fields)} field{plural} where the header has {width} ({guess})"
    return Record(None, problem, payload)


def _closed(
    text: str, lines: Iterator[bytes], waiting: deque[bytes], delimiter: str, width: int | None
) -> Record | None:
    """The record from ``text`` to a later line; None leaves these lines in ``waiting``."""
    taken = 0
    while taken < MAX_LINES:
        if taken == len(waiting):
            if (line := next(lines, None)) is None:
                return None
            waiting.append(line)
        try:
            text += waiting[taken].decode()
        except UnicodeDecodeError:
            return None
        taken += 1
        if b'"' not in waiting[taken - 1]:
            continue
        try:
            fields = split(_bare(text), delimiter)
        except _OpenQuoteError:
            continue
        except _BrokenQuoteError:
            return None
        record = _checked(fields, width, _bare(text))
        if record.problem is not None:
            return None
        for _ in range(taken):
            waiting.popleft()
        return record
    return None

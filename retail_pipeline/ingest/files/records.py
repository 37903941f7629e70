"""Records of every kind of file: the header, then each row's fields with its text as it stood."""

from __future__ import annotations

import glob
import json
import re
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import date, datetime, time
from itertools import chain, islice
from math import isnan
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import pyarrow as pa

from retail_pipeline.ingest.files.columnar import LIST, leaves, parquet_header, parquet_lines, parquet_schema
from retail_pipeline.ingest.files.unpacked import Kind, Packing, RefusalError, check_size, on_disk, unpacked
from retail_pipeline.ingest.profiles.amounts import written_out
from retail_pipeline.ingest.profiles.profile import FillDown, clean_header
from retail_pipeline.ingest.profiles.totals import names_a_total
from retail_pipeline.ingest.text_rows import (
    LongLineError,
    Record,
    decoded,
    fixed_records,
    lines_of,
    records,
)
from retail_pipeline.lake.partitions import disk_is_full
from retail_pipeline.planning.masking import shown_names, without_values

# where no profile says which: the header's columns tell
DELIMITERS = ",;\t|"
HEADER_LINES = 20
SAMPLE_OBJECTS = 1000
TOP_ROWS = 50
_PARQUET_ROWS = 1000
_PARQUET_ENGINE: dict[str, str | bool | int | float | list[str]] = {
    "threads": 1,
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
}
_SEPARATOR = re.compile(r"""(["']?)sep=(.)\1""")


@dataclass(frozen=True)
class Layout:
    """How a file's rows lie in it.

    ``encoding`` is Python's name, or ``binary``; ``header`` is given for files that have none of their own,
    or none that can be taken as it stands; ``surplus`` fields without a name end every row; ``cut`` says
    that the last row may be; ``widths`` are in characters.
    """

    kind: Kind
    packing: Packing
    encoding: str = "binary"
    delimiter: str = ","
    line_end: str = "\n"
    skip_rows: int = 0
    skip_last_rows: int = 0
    cut: bool = False
    surplus: int = 0
    header: tuple[str, ...] | None = None
    widths: tuple[int, ...] | None = None
    sheets: tuple[str, ...] = ()


@contextmanager
def open_records(
    path: Path, layout: Layout, folder: Path
) -> Iterator[tuple[tuple[str, ...], Iterator[Record]]]:
    """A file's header and its records; what must be unpacked as a whole is unpacked into ``folder``.

    Raises:
        RefusalError: the file as a whole cannot be read; it may come while records are drawn.
    """
    with no_long_lines(), ExitStack() as stack:
        if layout.kind in ("excel", "parquet"):
            whole = stack.enter_context(on_disk(path, layout.packing, folder))
            header, found = _of_book(whole, layout) if layout.kind == "excel" else _of_parquet(whole)
        else:
            stream = stack.enter_context(unpacked(path, layout.packing))
            lines = lines_of(stream, layout.encoding, layout.line_end)
            json_lines = layout.kind == "json"
            header, found = _of_objects(lines, layout) if json_lines else _of_text(lines, layout)
        yield header, _to_the_end(found, layout) if layout.skip_last_rows or layout.cut else found


@contextmanager
def no_long_lines() -> Iterator[None]:
    """A line that is longer than any text becomes a refusal."""
    try:
        yield
    except LongLineError as error:
        raise RefusalError(f"is no text ({error}): have it delivered again") from error


def _to_the_end(found: Iterator[Record], layout: Layout) -> Iterator[Record]:
    """Records without the last that are to be skipped; the very last has a problem if it may be cut."""
    held: deque[Record] = deque()
    for record in found:
        held.append(record)
        if len(held) > layout.skip_last_rows + layout.cut:
            yield held.popleft()
    if layout.cut and len(held) > layout.skip_last_rows:
        last = held.popleft()
        problem = "the last line has no end, and its last field may be cut: it is unlike those above"
        yield last if last.problem else Record(None, problem, last.payload)


def header_of(lines: Iterator[bytes], delimiter: str, encoding: str) -> tuple[str, ...]:
    """The header that these lines begin with.

    Raises:
        RefusalError: there is none, or it cannot be read.
    """
    record = next(records(lines, delimiter, None, encoding), None)
    if record is None:
        raise RefusalError("is empty: have it delivered again, or take it out of the landing folder")
    if record.fields is None:
        raise RefusalError(
            f"has a header that cannot be read ({record.problem}): save the file as UTF-8 CSV, or say "
            "`encoding` in the profile"
        )
    return clean_header([name or "" for name in record.fields])


def after_skipped(lines: Iterator[bytes], layout: Layout) -> tuple[Iterator[bytes], str | None]:
    """The lines after those to be skipped and after Excel's ``sep=;``; and the delimiter that it states."""
    lines = islice(lines, layout.skip_rows, None)
    first = next(lines, None)
    if first is None:
        return iter(()), None
    text = decoded(first, layout.encoding) if len(first) < 20 else ""
    stated = _SEPARATOR.fullmatch(text) if isinstance(text, str) else None
    return (lines, stated[2]) if stated else (chain([first], lines), None)


def _of_text(lines: Iterator[bytes], layout: Layout) -> tuple[tuple[str, ...], Iterator[Record]]:
    lines, _ = after_skipped(lines, layout)
    if layout.widths:
        return layout.header or (), fixed_records(lines, layout.widths, layout.encoding)
    header = layout.header or header_of(lines, layout.delimiter, layout.encoding)
    width, mark = len(header), layout.delimiter
    rows = records(lines, mark, width, layout.encoding, layout.surplus)
    return header, (no_header(row, header) for row in rows)


def no_header(row: Record, header: tuple[str, ...]) -> Record:
    """A row, unless it is the header once more: of a second header line, or of a file glued to the first."""
    fields = row.fields
    if fields and header[0] in (fields[0] or "") and clean_header([f or "" for f in fields]) == header:
        return Record(None, "the header stands here once more (two files in one?)", row.payload)
    return row


# workbooks


class Sheet(NamedTuple):
    """A sheet of a workbook as its first rows show it.

    ``header`` is empty where the sheet is. ``merged`` are the columns with cells merged over several rows.
    """

    name: str
    hidden: bool
    header: tuple[str, ...]
    top: list[list[str | None]]
    merged: frozenset[str]


def sheets_of(path: Path, layout: Layout, folder: Path) -> list[Sheet]:
    """All the sheets of a workbook.

    Raises:
        RefusalError: it is none, or cannot be opened.
    """
    found = []
    with on_disk(path, layout.packing, folder) as whole, _book(whole) as book:
        for name, hidden in _listed(book):
            rows, merged = _cells(book, name, layout.skip_rows, layout.skip_rows + TOP_ROWS)
            top = list(rows)
            header, _ = _of_table(iter(top), layout) if any(map(any, top[layout.skip_rows :])) else ((), None)
            names = frozenset(header[column] for column in merged if column < len(header))
            found.append(Sheet(name, hidden, header, top, names))
    return found


def _listed(book: Any) -> list[tuple[str, bool]]:
    """The names of a workbook's sheets of cells, and whether they are hidden."""
    import python_calamine as calamine

    sheets = [about for about in book.sheets_metadata if about.typ == calamine.SheetTypeEnum.WorkSheet]
    return [(about.name, about.visible != calamine.SheetVisibleEnum.Visible) for about in sheets]


def _of_book(path: Path, layout: Layout) -> tuple[tuple[str, ...], Iterator[Record]]:
    """The rows of the layout's sheets one after the other; without any, of the first that is not hidden."""
    with _book(path) as book:
        names = layout.sheets or tuple(name for name, hidden in _listed(book) if not hidden)[:1]
        if missing := [name for name in names if name not in book.sheet_names]:
            raise RefusalError(
                f"has no sheet {missing[0]}, but {shown_names(book.sheet_names)}: mend `sheet` in the profile"
            )
        if not names:
            raise RefusalError("is a workbook without sheets that are shown: have it delivered again")
        tables = [_of_table(_cells(book, name, layout.skip_rows)[0], layout) for name in names]
    return tables[0][0], chain.from_iterable(rows for _, rows in tables)


@contextmanager
def _book(path: Path) -> Iterator[Any]:
    import python_calamine as calamine

    check_size(path)
    try:
        with calamine.CalamineWorkbook.from_path(str(path)) as book:
            yield book
    except calamine.PasswordError as error:
        raise RefusalError("is a workbook with a password: deliver it without") from error
    except OSError as error:
        why = f"cannot be read ({error.strerror or error}): mend its permissions or deliver it again"
        raise RefusalError(why, lasting=False) from error
    except (calamine.CalamineError, ValueError) as error:
        raise RefusalError(
            f"is no workbook, or a part of one ({without_values(str(error))}): have it delivered again"
        ) from error


def _cells(
    book: Any, name: str, skipped: int, most: int | None = None
) -> tuple[Iterator[list[str | None]], set[int]]:
    """A sheet's rows, what is merged over several filled in in each; and the columns where that is so."""
    sheet = book.get_sheet_by_name(name)
    rows = sheet.to_python(skip_empty_area=False, nrows=most)
    merged = [
        (top, bottom, left)
        for (top, left), (bottom, _) in sheet.merged_cell_ranges or ()
        if bottom > top >= skipped
    ]
    down = {
        (row, left): top
        for top, bottom, left in merged
        for row in range(top + 1, min(bottom + 1, len(rows)))
        if left < len(rows[row])
    }
    for (row, column), top in down.items():
        rows[row][column] = rows[top][column]
    return ([_text(cell) for cell in row] for row in rows), {left for _, _, left in merged}


def _text(cell: object) -> str | None:
    """A cell as a person would type it: a whole number, such as an id, without decimals."""
    if isinstance(cell, bool):
        return str(cell).lower()
    if isinstance(cell, float):
        return None if isnan(cell) else written_out(repr(cell))
    if isinstance(cell, datetime):
        return cell.isoformat(" ")
    if isinstance(cell, date | time):
        return cell.isoformat()
    return str(cell) if cell not in (None, "") else None


def _of_table(rows: Iterator[list[str | None]], layout: Layout) -> tuple[tuple[str, ...], Iterator[Record]]:
    filled = (row for row in islice(rows, layout.skip_rows, None) if any(row))
    header = layout.header
    if header is None:
        names = next(filled, None)
        if names is None:
            raise RefusalError("has an empty sheet: have it delivered again, or name another in the profile")
        while names[-1] is None:
            names.pop()
        header = clean_header([name or "" for name in names])
    return header, (_row(row, header) for row in filled)


def _row(cells: list[str | None], header: Sequence[str]) -> Record:
    width = len(header)
    payload = json.dumps(
        {name: cell for name, cell in zip(header, cells, strict=False) if cell is not None}
        | {f"column {n}": cell for n, cell in enumerate(cells[width:], width + 1) if cell is not None},
        ensure_ascii=False,
        separators=(",", ":"),
    )
    if any(cells[width:]):
        return Record(None, "the row has a value to the right of the header's last column", payload)
    return Record([*cells[:width], *[None] * (width - len(cells))], None, payload)


# Parquet


def _of_parquet(path: Path) -> tuple[tuple[str, ...], Iterator[Record]]:
    schema = parquet_schema(path)
    header = parquet_header(schema)
    doubles = [n for n, leaf in enumerate(leaves(schema)) if pa.types.is_floating(leaf.type)]
    return header, _rows_of_parquet(path, parquet_lines(schema, range(len(header)), header), doubles)


def _rows_of_parquet(path: Path, lines: str, doubles: Sequence[int]) -> Iterator[Record]:
    try:
        with duckdb.connect(config=_PARQUET_ENGINE) as connection:
            connection.execute("set TimeZone = 'UTC'")
            found = connection.execute(lines, {"files": [glob.escape(str(path))]})
            while rows := found.fetchmany(_PARQUET_ROWS):
                for _, problem, payload, *cells in rows:
                    for n in doubles:
                        # a key of a second file is compared as text: 17850.0 is 17850
                        cells[n] = cells[n] and cells[n].removesuffix(".0")
                    yield Record(None if problem else cells, problem, payload)
    except duckdb.OutOfMemoryException:
        raise
    except duckdb.Error as error:
        if disk_is_full(error):
            raise
        raise RefusalError("is no Parquet file, or a part of one: have it delivered again") from error


# JSON lines


def _of_objects(lines: Iterator[bytes], layout: Layout) -> tuple[tuple[str, ...], Iterator[Record]]:
    found = (_object(line, layout.encoding) for line in lines if line.strip())
    sample = list(islice(found, SAMPLE_OBJECTS))
    header = layout.header or tuple(dict.fromkeys(name for row, _ in sample for name in row))
    if sample and not header:
        raise RefusalError("holds no JSON objects, one a line: have it delivered as such")
    if not sample:
        raise RefusalError("is empty: have it delivered again, or take it out of the landing folder")
    return header, (
        record._replace(fields=[row.get(name) for name in header]) if record.problem is None else record
        for row, record in chain(sample, found)
    )


def _object(line: bytes, encoding: str) -> tuple[Mapping[str, str | None], Record]:
    text = decoded(line, encoding)
    if isinstance(text, Record):
        return {}, text
    try:
        # numbers keep their digits, but for exponents
        found = json.loads(
            text,
            parse_float=written_out,
            parse_int=str,
            # pandas' NaN is its null
            parse_constant=lambda name: None if name == "NaN" else name,
            object_pairs_hook=_each_once,
        )
        if not isinstance(found, dict):
            return {}, Record(None, "the row is no JSON object", text)
        row = _each_once(list(_flat("", found)))
        if "\\u" in text:
            json.dumps(row, ensure_ascii=False).encode()
    except json.JSONDecodeError as error:
        problem = f"the row is no JSON object ({error.msg} at position {error.pos + 1})"
        return {}, Record(None, problem, text)
    except _TwiceError:
        return {}, Record(None, "the row is a JSON object with a key twice", text)
    except (RecursionError, UnicodeEncodeError):
        return {}, Record(None, "the row is JSON, but nested too deeply or with half a character", text)
    return row, Record([], None, text)


class _TwiceError(Exception):
    """An object has a key twice."""


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise _TwiceError
    return found


def refuse_lists(header: Sequence[str]) -> None:
    """Refuse a file whose columns hold lists: of lines, most often."""
    if lists := [name.removesuffix(LIST) for name in header if name.endswith(LIST)]:
        raise RefusalError(
            f"holds nested lists in {shown_names(lists)}: lists of lines are not read; have it delivered "
            "with one row a line of an order, the order's own fields repeated in each"
        )


def _flat(prefix: str, value: Mapping[str, Any]) -> Iterator[tuple[str, str | None]]:
    """Nested objects as columns named ``outer.inner``; lists as JSON, those of objects under a name apart."""
    for name, inner in value.items():
        if isinstance(inner, dict):
            yield from _flat(f"{prefix}{name}.", inner)
        elif isinstance(inner, str) or inner is None:
            yield prefix + name, inner
        elif isinstance(inner, list) and any(isinstance(entry, dict | list) for entry in inner):
            yield prefix + name + LIST, json.dumps(inner, ensure_ascii=False)
        else:
            yield prefix + name, json.dumps(inner, ensure_ascii=False)


# filling down


def filled_down(rows: Iterable[Record], header: Sequence[str], rule: FillDown) -> Iterator[Record]:
    """Records whose empty columns are filled from the first row of those they belong to."""
    by, places = header.index(rule.by), [header.index(column) for column in rule.columns]
    first: Sequence[str | None] | None = None
    for record in rows:
        fields = record.fields
        if fields is None or any(map(names_a_total, fields)):
            # what follows may belong to the row that could not be read; a total belongs to no customer
            first = None
        elif fields[by] and (first is None or fields[by] != first[by]):
            first = fields
        elif first is not None:
            whole = list(fields)
            for n in places:
                whole[n] = fields[n] or first[n]
            record = record._replace(fields=whole)
        yield record

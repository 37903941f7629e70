"""How a text ends: with a line that has no end, which may be cut."""

from __future__ import annotations

import io
from pathlib import Path

from retail_pipeline.ingest.files.records import Layout
from retail_pipeline.ingest.profiles.dialects import Evidence
from retail_pipeline.ingest.text_rows import LongLineError, fixed_records, lines_of, records

TAIL_BYTES = 1 << 16
CUT = "may be cut"


def last_line(path: Path, layout: Layout) -> Evidence | None:
    """What there is to say of a file whose last line has no end; None where it has one.

    It may be cut if its last field is empty or shorter than all those above, or begins one of them and is
    not itself among them. Packed files are not looked at: they are whole, or no package.
    """
    if layout.packing:
        return None
    with path.open("rb") as stream:
        size = stream.seek(0, io.SEEK_END)
        start = max(0, size - TAIL_BYTES)
        stream.seek(start + start % 2)
        tail = stream.read()
    if not tail or tail.endswith((layout.line_end.encode(layout.encoding), b"\0")):
        return None
    lines = lines_of(io.BytesIO(tail), layout.encoding, layout.line_end)
    try:
        # the first may be cut itself, or be the header
        next(lines, None)
        fixed = fixed_records(lines, layout.widths, layout.encoding) if layout.widths else None
        rows = [r.fields for r in fixed or records(lines, layout.delimiter, None, layout.encoding)]
    except LongLineError:
        return None
    read = [row for row in rows if row is not None]
    if rows[-1:] == [None] or not any(len(row) == len(read[-1]) for row in read[:-1]):
        # one that lacks fields is refused as such
        return None
    *above, last = (row[-1] or "" for row in read)
    alike = last in above or not (
        not last or len(last) < min(map(len, above)) or any(text.startswith(last) for text in above)
    )
    if alike:
        return Evidence(
            what="last line",
            value="without an end",
            why="its last field is like those above",
            remark="the last line has no end: if the file was cut, a letter or digit of it may be lacking",
        )
    return Evidence(
        what="last line", value=CUT, why="it has no end, and its last field is unlike those above"
    )

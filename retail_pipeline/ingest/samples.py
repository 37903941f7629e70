"""The beginning of a file that no profile reads, and of the files beside it that may hold what it lacks."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path

from retail_pipeline.ingest.files.records import Layout, open_records, refuse_lists
from retail_pipeline.ingest.files.shapes import generic_layout
from retail_pipeline.ingest.files.texts import encoding_at, head_of
from retail_pipeline.ingest.files.unpacked import RefusalError, package
from retail_pipeline.ingest.profiles.dialects import Evidence
from retail_pipeline.ingest.profiles.draft_columns import Fact, scalar
from retail_pipeline.ingest.profiles.headers import widths_of

DRAFT_ROWS = 2_000
_KEYS = 50_000  # rows of a second file: as many keys as the sample of the first may name
_FILES = 30
_FOUND = 0.9  # of the sample's keys, where the rest may be sales that the second file does not know yet


@dataclass(frozen=True)
class Sample:
    """The beginning of a file that no profile reads; ``facts`` are what a profile must say of how it lies."""

    evidence: tuple[Evidence, ...]
    encoding: str | None
    delimiter: str | None
    header: tuple[str, ...]
    rows: Sequence[Sequence[str | None]]
    facts: tuple[Fact, ...] = ()
    second: tuple[str, ...] = field(default=())


def sample(path: Path, folder: Path, rows: int = DRAFT_ROWS) -> Sample:
    """The header and the first rows of a file, read without a profile; ``folder`` is for what is unpacked.

    Raises:
        RefusalError: it does not show how it is written.
    """
    facts: list[Fact] = []
    try:
        layout, evidence = generic_layout(path)
    except RefusalError:
        if (found := _of_widths(path)) is None:
            raise
        layout, evidence, facts = found
    above = next((e.value for e in evidence if e.what == "skip_rows"), "")
    if layout.widths and layout.skip_rows:
        above = str(layout.skip_rows)
    if above:
        facts.append(Fact("skip_rows", above))
    with open_records(path, layout, folder) as (header, records):
        refuse_lists(header)
        read = [record.fields for record in islice(records, rows) if record.fields is not None]
    is_text = layout.kind == "text"
    return Sample(
        evidence=evidence,
        encoding=layout.encoding if is_text else None,
        delimiter=layout.delimiter if is_text and not layout.widths else None,
        header=header,
        rows=read,
        facts=tuple(facts),
    )


def _of_widths(path: Path) -> tuple[Layout, tuple[Evidence, ...], list[Fact]] | None:
    """How a text of fixed widths lies, if blanks show it; a first line of words names its columns."""
    kind, packing = package(path)
    if kind != "text":
        return None
    encoding, why = encoding_at(path, packing)
    head, whole = head_of(path, packing)
    lines = head.decode(encoding, "replace").splitlines()[: None if whole else -1]
    if (widths := widths_of(lines)) is None:
        return None
    ends = [sum(widths[: n + 1]) for n in range(len(widths))]
    first = [lines[0][end - width : end].strip() for end, width in zip(ends, widths, strict=True)]
    named = all(re.fullmatch(r"[^\W\d]\w*", name) for name in first) and len(set(first)) == len(first)
    names = first if named else [f"c{n}" for n in range(1, len(widths) + 1)]
    layout = Layout(
        kind, packing, encoding, skip_rows=int(named), header=tuple(names), widths=widths, delimiter=","
    )
    suffixes = "".join(path.suffixes)
    pattern = re.sub(r"\d[\d_-]*", "*", path.name.removesuffix(suffixes)).rstrip("*") + "*" + suffixes
    asked = "" if named else "the columns have no names: what do they hold?"
    facts = [
        Fact("files", scalar(pattern), "which names have such files?", stands=True),
        Fact("header", f"[{', '.join(map(scalar, names))}]", asked, stands=True),
        Fact("widths", f"[{', '.join(map(str, widths))}]"),
    ]
    said = Evidence(what="widths", value=", ".join(map(str, widths)), why="blanks part the lines there")
    return layout, (Evidence(what="encoding", value=encoding, why=why), said), facts


def with_second_file(seen: Sample, path: Path, folder: Path, base: Path) -> list[Sample]:
    """The sample with the columns of a file beside it, once for each that shares a key with it.

    A key is a column of the same name in both that stands once in the other file and has nearly all that the
    first file says. ``base`` is the folder that the paths of lookups are relative to.
    """
    made = []
    others = [o for o in sorted(path.parent.iterdir()) if o.is_file() and o.name[0] not in "._" and o != path]
    for other in others[:_FILES]:
        with suppress(RefusalError, OSError):
            second = sample(other, folder, _KEYS)
            if (key := _key(seen, second)) is not None:
                made.append(_joined(seen, second, key, path, other, base))
    return made


def _key(first: Sample, second: Sample) -> str | None:
    for column in first.header:
        if second.header.count(column) == 1 == first.header.count(column):
            keys = [row[second.header.index(column)] for row in second.rows]
            at = first.header.index(column)
            said = [row[at] for row in first.rows if row[at]]
            if (
                said
                and len(set(keys)) == len(keys)
                and sum(key in set(keys) for key in set(said)) >= _FOUND * len(set(said))
            ):
                return column
    return None


def _joined(first: Sample, second: Sample, key: str, path: Path, other: Path, base: Path) -> Sample:
    name = "_".join(re.findall("[a-z]+", other.name.split(".")[0].lower())) or "other"
    at, of = second.header.index(key), first.header.index(key)
    rows: Mapping[str | None, Sequence[str | None]] = {row[at]: row for row in second.rows}
    nothing = [None] * len(second.header)
    lies = (other.relative_to(base) if other.is_relative_to(base) else other).as_posix()
    facts, question = [*first.facts], f"is {key} the same in both files"
    # lines_2024-03-05.csv and heads_2024-03-05.csv: each day has its own
    day = re.search(r"\d[\d_-]*\d", path.name)
    if day and day[0] in other.name:
        lies = other.name.replace(day[0], "{date}")
        files = scalar(path.name.replace(day[0], "{date}"))
        facts.append(Fact("files", files, "have such files these names?", stands=True))
        question += ", and does each file have its own?"
    else:
        question += f", and does one {other.name} come with all files of this kind?"
    written = f"{{path: {scalar(lies)}, key: {scalar(key)}, of: {scalar(key)}}}"
    added = [n for n in range(len(second.header)) if n != at]
    facts.append(Fact("lookups", f"{{{name}: {written}}}", question, stands=True))
    return replace(
        first,
        header=(*first.header, *(f"{name}.{second.header[n]}" for n in added)),
        rows=[[*row, *(rows.get(row[of], nothing)[n] for n in added)] for row in first.rows],
        facts=tuple(facts),
        second=tuple(f"{name}.{second.header[n]}" for n in added),
    )

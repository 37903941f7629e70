"""Which profile reads a file, and how its rows lie in it: found out from its name and its beginning."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import SequenceMatcher
from functools import partial
from itertools import islice
from math import inf
from operator import itemgetter
from pathlib import Path
from tempfile import TemporaryDirectory

from retail_pipeline.ingest.files.columnar import parquet_schema
from retail_pipeline.ingest.files.endings import CUT, last_line
from retail_pipeline.ingest.files.headers import columns_below, lines_above, settled_header
from retail_pipeline.ingest.files.records import (
    DELIMITERS,
    HEADER_LINES,
    Layout,
    Sheet,
    after_skipped,
    open_records,
    refuse_lists,
    sheets_of,
)
from retail_pipeline.ingest.files.texts import (
    encoding_at,
    head_encoding,
    head_of,
    json_encoding,
)
from retail_pipeline.ingest.files.unpacked import PACKINGS, Package, RefusalError, package
from retail_pipeline.ingest.profiles.dialects import DialectError, Evidence, delimiter_of
from retail_pipeline.ingest.profiles.headers import Columns, is_sure
from retail_pipeline.ingest.profiles.profile import (
    SourceProfile,
    UnknownColumnsError,
    clean_header,
    match,
    spelled,
)
from retail_pipeline.ingest.text_rows import lines_of
from retail_pipeline.planning.masking import shown_names

# of refusals the one tells most whose delimiter split the header, then why a header cannot be read at all
_UNREADABLE = 1.5
Settled = tuple[Layout, tuple[Evidence, ...]]
_GLUED = (
    "has one more field in every row than its header has names, an empty one at the end: either the rows end "
    "in a delimiter, or one is missing in the header. Have the header end so too, or name all the columns in "
    "the profile (`skip_rows: 1` and `header`)"
)
_NAMES = {"text": "delimited text", "json": "JSON lines", "excel": "a workbook", "parquet": "Parquet"}


@dataclass(frozen=True)
class Shape:
    """What files must share to be read together.

    ``header`` are the file's columns, ``types`` those of a Parquet file that the engine can read itself.
    ``evidence`` is what all of that was concluded from.
    """

    profile: str
    header: tuple[str, ...]
    layout: Layout
    types: str
    evidence: tuple[Evidence, ...] = field(compare=False, default=())

    @property
    def remarks(self) -> tuple[str, ...]:
        """What is to be said of a file that lands so."""
        return tuple(evidence.remark for evidence in self.evidence if evidence.remark)


class _RemediedError(RefusalError):
    """A refusal that is sure of the remedy, and tells more than any other."""


@dataclass(frozen=True)
class _Candidate:
    """One way to read a file's beginning: the header it gives, for the profiles that say so.

    ``settle`` gives the layout once one of them is chosen, and the evidence for it (None: as it is here).
    """

    header: tuple[str, ...]
    layout: Layout
    profiles: Mapping[str, SourceProfile]
    said: tuple[Evidence, ...] = ()
    settle: Callable[[SourceProfile], Settled] | None = None


def shape_of(path: Path, name: str, profiles: Mapping[str, SourceProfile], folder: Path) -> Shape:
    """How a file (``name`` under the landing folder) reads; what must be unpacked goes into ``folder``.

    Raises:
        RefusalError: it cannot be read, or no profile fits, or more than one.
    """
    named = {n: p for n, p in profiles.items() if p.is_for(name)}
    found = package(path)
    candidates = {
        "parquet": _in_parquet,
        "excel": _in_workbook,
        "json": _in_objects,
        "text": _in_text,
    }[found.kind](path, found, named, folder)
    profile, chosen = _chosen(list(candidates))
    fits = "its name fits" if profiles[profile].files else "all the columns it needs are there"
    layout, said = chosen.settle(profiles[profile]) if chosen.settle else (chosen.layout, chosen.said)
    layout = replace(layout, skip_last_rows=profiles[profile].skip_last_rows)
    if layout.kind == "text" and (cut := last_line(path, layout)):
        layout = replace(layout, cut=cut.value == CUT)
        said = (*said, cut)
    evidence = (_format(found), *said, _evidence("profile", profile, fits))
    needs_rows = profiles[profile].fill_down or profiles[profile].lookups or layout.skip_last_rows
    types = "" if found != ("parquet", "") or needs_rows else str(parquet_schema(path).types)
    return Shape(profile, spelled(chosen.header, profiles[profile]), layout, types, evidence)


def generic_layout(path: Path) -> tuple[Layout, tuple[Evidence, ...]]:
    """How a file of any kind lies, as far as it shows by itself, without a profile; and the evidence.

    Raises:
        RefusalError: it does not show.
    """
    found = package(path)
    layout, said = Layout(*found), _format(found)
    if found.kind == "excel":
        with TemporaryDirectory() as folder:
            book = sheets_of(path, layout, Path(folder))
        first = next((sheet for sheet in book if sheet.header and not sheet.hidden), None)
        if first is None:
            raise _no_sheet(book, None)
        read = tuple(s.name for s in book if s.header == first.header and not s.hidden)
        evidence = [said, _evidence("sheets", ", ".join(read), "they are shown, with the same columns")]
        if others := [s.name + (" (hidden)" if s.hidden else "") for s in book if s.name not in read]:
            evidence.append(_evidence("not read", ", ".join(others), "other sheets"))
        return replace(layout, sheets=read), tuple(evidence)
    if found.kind == "parquet":
        return layout, (said,)
    encoding, why = (json_encoding if found.kind == "json" else encoding_at)(path, found.packing)
    layout, evidence = replace(layout, encoding=encoding), [said, _evidence("encoding", encoding, why)]
    if found.kind == "text":
        head, whole = head_of(path, found.packing)
        content = head.decode(encoding, "replace")
        layout = replace(layout, line_end=_line_end(content))
        try:
            layout = replace(layout, delimiter=delimiter_of(content))
        except DialectError as error:
            raise RefusalError(str(error)) from error
        why = "it splits the lines into equally many fields"
        evidence += [_evidence("delimiter", layout.delimiter, why), *_of_line_end(layout)]
        if above := lines_above(_top(head, whole, layout)[0], layout):
            layout = replace(layout, skip_rows=above)
            evidence.append(
                _evidence("skip_rows", str(above), "the lines above the columns' names are no table")
            )
        top, stated = _top(head, whole, layout)
        if not stated:
            header, layout = settled_header(top, layout)
            evidence += _of_header(header, layout)
            if layout.surplus:
                raise RefusalError(_GLUED)
    return layout, tuple(evidence)


def _line_end(content: str) -> str:
    return "\n" if "\n" in content or "\r" not in content else "\r"


def _of_line_end(layout: Layout) -> tuple[Evidence, ...]:
    said = _evidence("line ends", "CR", "no line of its beginning ends in LF")
    return (said,) if layout.line_end == "\r" else ()


def _of_header(header: tuple[str, ...], layout: Layout) -> tuple[Evidence, ...]:
    said = _evidence("columns", str(len(header)), "so many fields have the rows: the header as such differs")
    return (said,) if layout.header is not None else ()


def _format(found: Package) -> Evidence:
    packed = f", packed with {PACKINGS[found.packing]}" if found.packing else ""
    return _evidence("format", _NAMES[found.kind] + packed, "its name says so")


def _evidence(what: str, value: str, why: str, remark: str = "") -> Evidence:
    return Evidence(what=what, value=value, why=why, remark=remark)


def _chosen(candidates: list[_Candidate | RefusalError]) -> tuple[str, _Candidate]:
    """The profile that fits, of several the one with most columns; a refusal tells of the widest header."""
    found = []
    refusals = [(0.0, RefusalError("has a name that no profile reads: mend `files` in the profile"))]
    for candidate in candidates:
        if isinstance(candidate, RefusalError):
            weight = inf if isinstance(candidate, _RemediedError) else _UNREADABLE
            refusals.append((weight, candidate))
            continue
        headless = sorted(n for n, p in candidate.profiles.items() if p.header)
        if len(headless) > 1:
            raise RefusalError(
                f"has a name that the profiles {' and '.join(headless)} both read: mend their `files`"
            )
        try:
            profile = headless[0] if headless else match(candidate.header, candidate.profiles)
        except UnknownColumnsError as error:
            refuse_lists(candidate.header)
            refusals.append((len(candidate.header), RefusalError(str(error))))
        else:
            # a profile for files without a header is for this name alone, which says more than columns
            rank = (bool(headless), len(candidate.profiles[profile].needs), len(candidate.header))
            found.append((rank, profile, candidate))
    if not found:
        raise max(refusals, key=itemgetter(0))[1]
    found.sort(key=lambda entry: entry[0], reverse=True)
    best, profile, candidate = found[0]
    if rivals := [p for weight, p, _ in found[1:] if weight[:2] == best[:2] and p != profile]:
        raise RefusalError(
            f"fits the profiles {profile} and {rivals[0]} equally well: take one away from `sources:` in "
            "retail_pipeline.yaml, or let one use another column"
        )
    return profile, candidate


def _with_header(profiles: Mapping[str, SourceProfile]) -> dict[str, SourceProfile]:
    return {name: profile for name, profile in profiles.items() if not profile.header}


def _in_parquet(
    path: Path, found: Package, profiles: Mapping[str, SourceProfile], folder: Path
) -> Iterator[_Candidate]:
    layout = Layout(*found)
    with open_records(path, layout, folder) as (header, _):
        yield _Candidate(header, layout, _with_header(profiles))


def _in_objects(
    path: Path, found: Package, profiles: Mapping[str, SourceProfile], folder: Path
) -> Iterator[_Candidate]:
    encoding, why = json_encoding(path, found.packing)
    layout = Layout(*found, encoding)
    with open_records(path, layout, folder) as (header, _):
        said = (_evidence("encoding", encoding, why),)
        known = _with_header(profiles)
        yield _Candidate(header, layout, known, said)
    if any(set(profile.needs) <= set(spelled(header, profile)) for profile in known.values()):
        return
    # what is null in every row is often left out of every object
    for name, profile in known.items():
        names = spelled(header, profile)
        lacking = [column for column in profile.needs if column not in names]
        other = [column for column in names if column not in profile.needs]
        if set(lacking) <= profile.optional and not _renamed(lacking, other):
            whole = (*header, *lacking)
            why = "no object has it: not given in any row"
            nulls = tuple(_evidence("column", column, why) for column in lacking)
            yield _Candidate(whole, replace(layout, header=whole), {name: profile}, (*said, *nulls))


def _renamed(lacking: Sequence[str], other: Sequence[str]) -> bool:
    """Whether one of the columns that are lacking may be there under another name."""
    return any(
        SequenceMatcher(None, a.lower(), b.lower()).ratio() > _ALIKE or a.lower() in b.lower()
        for a in lacking
        for b in other
    )


_ALIKE = 0.6


def _in_workbook(
    path: Path, found: Package, profiles: Mapping[str, SourceProfile], folder: Path
) -> Iterator[_Candidate | RefusalError]:
    layouts = {
        n: Layout(*found, skip_rows=p.skip_rows, header=p.header, sheets=(p.sheet,) if p.sheet else ())
        for n, p in profiles.items()
    }
    for layout in dict.fromkeys(layouts.values()):
        named = layout.sheets[0] if layout.sheets else None
        known = {n: p for n, p in profiles.items() if layouts[n] == layout}
        book = sheets_of(path, layout, folder)
        shown = [s for s in book if s.header and (s.name == named if named else not s.hidden)]
        if not shown:
            yield _no_sheet(book, named)
            continue
        for header in dict.fromkeys(sheet.header for sheet in shown):
            read = [sheet for sheet in shown if sheet.header == header]
            lain = replace(layout, sheets=tuple(sheet.name for sheet in read))
            settle = partial(_settled_book, lain, book, read, named)
            yield _Candidate(header, lain, known, settle=settle)
        for name, profile in known.items():
            for n, row in enumerate(shown[0].top):
                names = clean_header([cell or "" for cell in row])
                if n > layout.skip_rows and set(profile.needs) <= set(names):
                    yield _RemediedError(
                        f"has the columns that the profile {name} needs in row {n + 1}: say `skip_rows: {n}` "
                        "in the profile, or have it delivered without the rows above"
                    )


def _no_sheet(book: Sequence[Sheet], named: str | None) -> RefusalError:
    names = [sheet.name for sheet in book]
    if named is not None and named not in names:
        return RefusalError(f"has no sheet {named}, but {shown_names(names)}: mend `sheet` in the profile")
    hidden = [sheet.name for sheet in book if sheet.hidden and sheet.header]
    if hidden and named is None:
        return RefusalError(
            f"has rows in hidden sheets alone ({shown_names(hidden)}): say `sheet` in the profile if they "
            "count"
        )
    return RefusalError("has an empty sheet: have it delivered again, or name another in the profile")


def _settled_book(
    layout: Layout, book: Sequence[Sheet], read: Sequence[Sheet], named: str | None, profile: SourceProfile
) -> Settled:
    """The layout of a workbook, and what of it is read and what is not.

    Raises:
        RefusalError: another sheet may be meant as well, or a number is merged over several rows.
    """
    others = [sheet for sheet in book if sheet not in read and sheet.header]
    if named is None:
        rival = [
            s.name for s in others if not s.hidden and (profile.header or set(profile.needs) <= set(s.header))
        ]
        if profile.header and len(read) > 1:
            rival = [sheet.name for sheet in read[1:]]
        if rival:
            raise RefusalError(
                f"has the profile's columns in several sheets ({shown_names([read[0].name, *rival])}), not "
                "all with the same header: say `sheet` in the profile, or have it delivered with one header"
            )
    merged = {column for sheet in read for column in sheet.merged} & profile.counted
    if merged:
        raise RefusalError(
            f"has cells of the column {shown_names(sorted(merged))} merged over several rows: which of them "
            "the number is of does not show. Have it delivered without merged cells"
        )
    why = "the profile names it" if named else "all that are shown and have these columns"
    said = [_evidence("sheets" if len(read) > 1 else "sheet", ", ".join(s.name for s in read), why)]
    if filled := {column for sheet in read for column in sheet.merged} & set(profile.needs):
        why = "merged over several rows: the value stands in each"
        said.append(_evidence("merged", ", ".join(sorted(filled)), why))
    for hidden, why in ((False, "other columns"), (True, "hidden")):
        if names := [sheet.name for sheet in others if sheet.hidden == hidden]:
            why = why if named is None else "not named"
            remark = f"sheets that are not read ({why}): {shown_names(names)}"
            said.append(_evidence("not read", ", ".join(names), why, remark))
    return layout, tuple(said)


def _in_text(
    path: Path, found: Package, profiles: Mapping[str, SourceProfile], folder: Path
) -> Iterator[_Candidate | RefusalError]:
    head, whole = head_of(path, found.packing)

    encodings = {p.encoding: head_encoding(head, whole, p.encoding) for p in profiles.values()}

    def settled(
        header: tuple[str, ...], layout: Layout, stated: str | None, profile: SourceProfile
    ) -> Settled:
        if not is_sure(Columns(header, layout.surplus), profile.needs):
            raise RefusalError(_GLUED)
        codec, why = encoding_at(path, found.packing, profile.encoding)
        said = (
            _evidence("encoding", codec, why),
            *_of_delimiter(profile, layout, stated),
            *_of_line_end(layout),
            *(() if profile.header else _of_header(header, layout)),
        )
        return replace(layout, encoding=codec), said

    layouts = {}
    for name, profile in profiles.items():
        codec, _, _ = encodings[profile.encoding]
        layout = Layout(
            *found,
            encoding=codec,
            line_end=_line_end(head.decode(codec, "replace")),
            skip_rows=profile.skip_rows,
            header=profile.header,
            widths=profile.widths,
        )
        top, stated = _top(head, whole, layout)
        for delimiter in _delimiters(profile, stated, top, codec):
            layouts[name, delimiter] = replace(layout, delimiter=delimiter)
    fits, others = False, []
    for layout in dict.fromkeys(layouts.values()):
        alike = {name: profiles[name] for (name, _), other in layouts.items() if other == layout}
        top, stated = _top(head, whole, layout)
        try:
            header, lain = settled_header(top, layout)
        except RefusalError as refusal:
            yield refusal
            continue
        fits = fits or any(set(profile.needs) <= set(header) for profile in alike.values())
        others.append((top, layout, alike))
        yield _Candidate(header, lain, alike, settle=partial(settled, header, lain, stated))
    # to look in every line for every profile's columns takes long: only where it tells something
    for top, layout, alike in () if fits else others:
        for name, profile in alike.items():
            if n := columns_below(top, layout, profile.needs):
                lines = layout.skip_rows + n
                yield _RemediedError(
                    f"has the columns that the profile {name} needs in line {lines + 1}: say "
                    f"`skip_rows: {lines}` in the profile, or have it delivered without the lines above"
                )


def _of_delimiter(profile: SourceProfile, layout: Layout, stated: str | None) -> tuple[Evidence, ...]:
    if layout.widths:
        return (_evidence("widths", ", ".join(map(str, layout.widths)), "declared in the profile"),)
    why = "the profile's columns are there when it splits the header"
    if profile.header:
        why = "it splits the lines into equally many fields"
    if stated:
        why = "the first line says so"
    return (
        _evidence("delimiter", layout.delimiter, "declared in the profile" if profile.delimiter else why),
    )


def _top(head: bytes, whole: bool, layout: Layout) -> tuple[list[bytes], str | None]:
    """The first lines after those skipped, none of them cut; and the delimiter stated above them."""
    lines, stated = after_skipped(lines_of(io.BytesIO(head), layout.encoding, layout.line_end), layout)
    top = list(islice(lines, HEADER_LINES))
    if 1 < len(top) < HEADER_LINES and not whole:
        top.pop()
    return top, stated


def _delimiters(profile: SourceProfile, stated: str | None, top: list[bytes], encoding: str) -> str:
    """The delimiters to try: the header's columns tell which is right, where there is a header."""
    if profile.widths:
        return ","
    if profile.delimiter or stated:
        return profile.delimiter or stated or ""
    if not profile.header:
        return DELIMITERS
    try:
        return delimiter_of(b"".join(top).decode(encoding, "replace"))
    except DialectError as error:
        raise RefusalError(str(error)) from error

"""Which landed files count on which days: corrections replace, overlaps and unreadable files are held back.

Belongs here: that conclusion, drawn from the landed files' manifests and people's decisions, so that it is
the same whatever the order in which the files landed. Does not belong here: telling new files from known ones
(``arrivals.py``), or moving rows that do not count out of the tables (``lake/set_aside.py``).

Files are taken in the order in which they were last changed. A file whose profile says ``replaces:
same_name`` takes the place of the earlier file with its path, as does, whatever the profile says, one that
holds all lines of that file; ``same_days`` takes its days from all earlier files of its source system.
Otherwise a file adds, but for the days on which it shares too many lines with one that counts, and for those
that lie far before all the rest: these wait for a person.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from statistics import median

from retail_pipeline.planning.calendar import ranges
from retail_pipeline.planning.decisions import FileDecision
from retail_pipeline.planning.manifests import Manifest, Overlap

# a shop's own old years come in numbers; a mistyped date lies alone, further off than any pause
FAR = timedelta(days=366)


@dataclass(frozen=True)
class Limits:
    """What a file may be like and count without a person's word: see the settings of the same names."""

    max_unreadable_share: float = 1.0
    max_overlap_share: float = 1.0


NO_LIMITS = Limits()


@dataclass(frozen=True)
class Held:
    """Why a landed file's rows do not count, the files it overlaps with, and the days that wait.

    ``days`` is None when nothing of the file counts; ``lines`` are those that the other files have, too.
    """

    why: str
    overlaps: tuple[str, ...] = ()
    rejected: bool = False
    days: tuple[date, ...] | None = None
    lines: int = 0


@dataclass(frozen=True)
class Deliveries:
    """The files that count on each day, those replaced as a whole (and by which), and those held back."""

    by_day: Mapping[date, Mapping[str, Manifest]] = field(default_factory=dict)
    replaced: Mapping[str, str] = field(default_factory=dict)
    held: Mapping[str, Held] = field(default_factory=dict)

    def counts(self, source_id: str) -> bool:
        held = self.held.get(source_id)
        return source_id not in self.replaced and (held is None or held.days is not None)


Twins = Mapping[date, Mapping[str, Overlap]]


def deliveries(
    landed: Mapping[str, Manifest], decisions: Mapping[str, FileDecision], limits: Limits
) -> Deliveries:
    """Work out which landed files (by source_id) count on which days."""
    counting: dict[str, set[date]] = {}
    by_day: dict[tuple[str, date], set[str]] = {}
    by_name: dict[tuple[str, str], list[str]] = {}
    held: dict[str, Held] = {}
    replaced: dict[str, str] = {}
    accepted = {source_id for source_id, decision in decisions.items() if decision.verdict == "accept"}
    unfits = {s: bad for s, file in landed.items() if (bad := unfit(file, decisions.get(s), limits))}
    first_usual = first_usual_day(_lines_by_day(file for s, file in landed.items() if s not in unfits))
    shared = _overlaps(landed)
    for source_id in sorted(landed, key=lambda s: (landed[s].arrival.modified_ns, landed[s].arrival.path, s)):
        if source_id in unfits:
            held[source_id] = unfits[source_id]
            continue
        file, decision = landed[source_id], decisions.get(source_id)
        system, verdict = file.inputs["source_system"], decision.verdict if decision else ""
        is_taken = verdict in ("accept", "replace")
        taken = _taken(file, landed, counting, by_day, by_name, shared.get(source_id, {}))
        twins: dict[date, dict[str, Overlap]] = {}
        for other, overlap in shared.get(source_id, {}).items():
            if other in counting and not {source_id, other} & accepted:
                for day in (counting[other] - taken.get(other, set())) & file.parts.keys():
                    if overlap.on(day).lines > limits.max_overlap_share * overlap.on(day).of:
                        twins.setdefault(day, {})[other] = overlap.on(day)
        if verdict == "replace":
            for day, others in twins.items():
                for other in others:
                    taken.setdefault(other, set()).add(day)
            twins = {}
        far = {day for day in file.parts if first_usual and day < first_usual and not is_taken}
        left_out = set(decision.days) if decision and verdict == "reject" else set[date]()
        waits = (twins.keys() | far) - left_out
        days = set(file.parts) - waits - left_out
        if waits:
            against = {day: twins[day] for day in sorted(twins.keys() & waits)}
            held[source_id] = Held(
                _why(file, landed, against, far & waits, first_usual),
                tuple(sorted({other for of_day in against.values() for other in of_day})),
                days=tuple(sorted(waits)) if days else None,
                lines=sum(overlap.lines for of_day in against.values() for overlap in of_day.values()),
            )
        elif decision and left_out and not days:
            held[source_id] = Held(_rejected(decision), rejected=True)
        if file.parts and not days:
            continue
        for other, lost in taken.items():
            counting[other] -= lost - waits - left_out
            for day in lost - waits - left_out:
                by_day[system, day].discard(other)
            if not counting[other]:
                replaced[other] = source_id
                held.pop(other, None)
                del counting[other]
        counting[source_id] = days
        by_name.setdefault((system, file.arrival.path), []).append(source_id)
        for day in days:
            by_day.setdefault((system, day), set()).add(source_id)
    count: dict[date, dict[str, Manifest]] = {}
    for source_id in sorted(counting):
        for day in counting[source_id]:
            count.setdefault(day, {})[source_id] = landed[source_id]
    return Deliveries(count, replaced, held)


def _taken(
    file: Manifest,
    landed: Mapping[str, Manifest],
    counting: Mapping[str, set[date]],
    by_day: Mapping[tuple[str, date], set[str]],
    by_name: Mapping[tuple[str, str], list[str]],
    shared: Mapping[str, Overlap],
) -> dict[str, set[date]]:
    """The days that a file takes from those it holds as a whole, and by its profile's ``replaces``.

    What it replaced stays replaced when it is moved, and what comes under its old name later is another file.
    """
    system, taken = file.inputs["source_system"], dict[str, set[date]]()
    for name, changed in file.arrival.names.items():
        namesakes = by_name.get((system, name), [])
        for namesake in namesakes:
            is_replaced = (
                file.arrival.replaces == "same_name" and namesake == namesakes[-1]
            ) or _is_whole_of(file, landed[namesake], shared.get(namesake))
            if namesake in counting and landed[namesake].arrival.modified_ns <= changed and is_replaced:
                taken[namesake] = set(counting[namesake])
    if file.arrival.replaces == "same_days":
        for day in file.parts:
            for other in by_day.get((system, day), ()):
                taken.setdefault(other, set()).add(day)
    return taken


def _is_whole_of(file: Manifest, earlier: Manifest, shared: Overlap | None) -> bool:
    """True when a file holds all lines of an earlier one; its last may be cut, and so be another there."""
    return bool(
        shared
        and shared.lines >= max(1, earlier.counts["raw"] - 1)
        and file.counts["rows_read"] >= earlier.counts["rows_read"]
    )


def unfit(file: Manifest, decision: FileDecision | None, limits: Limits) -> Held | None:
    """Why a file does not count whatever the others are like; None when nothing of it speaks against it."""
    if decision and decision.leaves_all_out:
        return Held(_rejected(decision), rejected=True)
    read, unreadable = file.counts["rows_read"], file.counts["unreadable"]
    if unreadable > limits.max_unreadable_share * read and not (decision and decision.verdict != "reject"):
        return Held(
            f"{unreadable:,} of its {read:,} rows cannot be read, more than "
            f"checks.max_unreadable_share ({limits.max_unreadable_share:g})"
        )
    return None


def _rejected(decision: FileDecision) -> str:
    return f"rejected by {decision.by}: {decision.why}"


def _lines_by_day(files: Iterable[Manifest]) -> Counter[date]:
    lines = Counter[date]()
    for file in files:
        lines.update({day: part.rows for day, part in file.parts.items()})
    return lines


def first_usual_day(lines: Mapping[date, int]) -> date | None:
    """The first day but for those that lie alone: more than a year before all others, with few lines.

    Few are fewer lines, on all days up to the next such gap, than the others have on an ordinary day; and one
    line is few in any shop.
    """
    groups: list[list[date]] = []
    for day in sorted(lines):
        if groups and day - groups[-1][-1] <= FAR:
            groups[-1].append(day)
        else:
            groups.append([day])
    if not groups:
        return None
    usual = max(groups, key=lambda days: (sum(lines[day] for day in days), days))
    few = max(2, median(lines[day] for day in usual))
    return next(days[0] for days in groups if days is usual or sum(lines[day] for day in days) >= few)


def _overlaps(landed: Mapping[str, Manifest]) -> Mapping[str, Mapping[str, Overlap]]:
    """The overlaps of each file, whichever of the two files' manifests holds them."""
    found: dict[str, dict[str, Overlap]] = {}
    for source_id, file in landed.items():
        for other, overlap in file.arrival.overlaps.items():
            for one, two in ((source_id, other), (other, source_id)):
                known = found.setdefault(one, {}).get(two)
                found[one][two] = max(known, overlap, key=lambda o: o.lines) if known else overlap
    return found


def _why(
    file: Manifest, landed: Mapping[str, Manifest], twins: Twins, far: Collection[date], usual: date | None
) -> str:
    """What speaks against a file on some of its days, in words, and what a person can do."""
    said, waits = [], {*twins, *far}
    if twins:
        found: dict[str, list[Overlap]] = {}
        for others in twins.values():
            for other, overlap in others.items():
                found.setdefault(other, []).append(overlap)
        lines = [
            f"{sum(o.lines for o in common):,} lines that {landed[other].arrival.path or other} has, too "
            f"(of {sum(o.of for o in common):,} that the smaller has on their common days)"
            for other, common in sorted(found.items())
        ]
        said.append(f"holds {_few(lines)}, on {_spans(twins)}")
    if far:
        lines_of = sum(file.parts[day].rows for day in far)
        said.append(
            f"holds {lines_of:,} lines of {_spans(far)}, more than a year before all others ({usual} on)"
        )
    rest = len(file.parts) - len(waits)
    said.append(f"its other {rest:,} days count, these wait" if rest else "it waits")
    if twins:
        by = f" of {file.read_by}" if file.read_by else ""
        said.append(
            "if it corrects what came before, let it `replace` that, and if such files come again, say "
            f"`replaces: same_days` (or same_name) in the profile{by}"
        )
    else:
        said.append("is the date mistyped?")
    return "; ".join(said)


def _spans(days: Iterable[date]) -> str:
    return _few(str(first) if first == last else f"{first} to {last}" for first, last in ranges(days))


def _few(texts: Iterable[str], most: int = 3) -> str:
    found = list(texts)
    return "; ".join(found[:most]) + (f"; and {len(found) - most} more" if len(found) > most else "")

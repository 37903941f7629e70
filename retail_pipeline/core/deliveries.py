"""Which landed files count on which days: corrections replace, overlaps and unreadable files are held back.

Belongs here: that conclusion, drawn from the landed files' manifests and people's decisions, so that it is
the same whatever the order in which the files landed. Does not belong here: telling new files from known ones
(``arrivals.py``), or moving rows that do not count out of the tables (``lake/set_aside.py``).

Files are taken in the order in which they were last changed. A file whose profile says ``replaces:
same_name`` takes the place of the earlier file with its path; ``same_days`` takes its days from all earlier
files of its source system. Otherwise a file adds, unless it shares too many lines with one that counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date

from retail_pipeline.core.decisions import FileDecision
from retail_pipeline.core.manifests import Manifest, Overlap


@dataclass(frozen=True)
class Limits:
    """What a file may be like and count without a person's word: see the settings of the same names."""

    max_unreadable_share: float = 1.0
    max_overlap_share: float = 1.0


NO_LIMITS = Limits()


@dataclass(frozen=True)
class Held:
    """Why a landed file's rows do not count, and the files it overlaps with."""

    why: str
    overlaps: tuple[str, ...] = ()
    rejected: bool = False


@dataclass(frozen=True)
class Deliveries:
    """The files that count on each day, those replaced as a whole (and by which), and those held back."""

    by_day: Mapping[date, Mapping[str, Manifest]] = field(default_factory=dict)
    replaced: Mapping[str, str] = field(default_factory=dict)
    held: Mapping[str, Held] = field(default_factory=dict)

    def counts(self, source_id: str) -> bool:
        """True when the file counts, be it on some of its days only."""
        return source_id not in self.replaced and source_id not in self.held


def deliveries(
    landed: Mapping[str, Manifest], decisions: Mapping[str, FileDecision], limits: Limits
) -> Deliveries:
    """Work out which landed files (by source_id) count on which days."""
    counting: dict[str, set[date]] = {}
    by_day: dict[tuple[str, date], set[str]] = {}
    by_name: dict[tuple[str, str], str] = {}
    held: dict[str, Held] = {}
    replaced: dict[str, str] = {}
    accepted = {source_id for source_id, decision in decisions.items() if decision.verdict == "accept"}
    shared = _overlaps(landed)
    for source_id in sorted(landed, key=lambda s: (landed[s].arrival.modified_ns, landed[s].arrival.path, s)):
        file = landed[source_id]
        system = file.inputs["source_system"]
        taken = _taken(file, landed, counting, by_day, by_name)
        if why := unfit(file, decisions.get(source_id), limits):
            held[source_id] = why
            continue
        twins = {
            other: overlap
            for other, overlap in shared.get(source_id, {}).items()
            if other in counting
            and overlap.lines > limits.max_overlap_share * overlap.of
            and not {source_id, other} & accepted
            and (counting[other] - taken.get(other, set())) & file.parts.keys()
        }
        if twins:
            held[source_id] = Held(_overlapping(landed, twins), tuple(sorted(twins)))
            continue
        for other, days in taken.items():
            counting[other] -= days
            for day in days:
                by_day[system, day].discard(other)
            if not counting[other]:
                replaced[other] = source_id
                del counting[other]
        counting[source_id] = set(file.parts)
        by_name[system, file.arrival.path] = source_id
        for day in file.parts:
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
    by_name: Mapping[tuple[str, str], str],
) -> dict[str, set[date]]:
    """The days that a file takes from earlier ones by its profile's ``replaces``.

    What it replaced stays replaced when it is moved, and what comes under its old name later is another file.
    """
    system, taken = file.inputs["source_system"], dict[str, set[date]]()
    if file.arrival.replaces == "same_name":
        for name, changed in file.arrival.names.items():
            namesake = by_name.get((system, name), "")
            if namesake in counting and landed[namesake].arrival.modified_ns <= changed:
                taken[namesake] = set(counting[namesake])
    if file.arrival.replaces == "same_days":
        for day in file.parts:
            for other in by_day.get((system, day), ()):
                taken.setdefault(other, set()).add(day)
    return taken


def unfit(file: Manifest, decision: FileDecision | None, limits: Limits) -> Held | None:
    """Why a file does not count whatever the others are like; None when nothing of it speaks against it."""
    if decision is not None:
        return (
            Held(f"rejected by {decision.by}: {decision.why}", rejected=True)
            if (decision.verdict == "reject")
            else None
        )
    read, unreadable = file.counts["rows_read"], file.counts["unreadable"]
    if unreadable > limits.max_unreadable_share * read:
        return Held(
            f"{unreadable:,} of its {read:,} rows cannot be read, more than "
            f"checks.max_unreadable_share ({limits.max_unreadable_share:g})"
        )
    return None


def _overlaps(landed: Mapping[str, Manifest]) -> Mapping[str, Mapping[str, Overlap]]:
    """The overlaps of each file, whichever of the two files' manifests holds them."""
    found: dict[str, dict[str, Overlap]] = {}
    for source_id, file in landed.items():
        for other, overlap in file.arrival.overlaps.items():
            for one, two in ((source_id, other), (other, source_id)):
                known = found.setdefault(one, {}).get(two)
                found[one][two] = max(known, overlap, key=lambda o: o.lines) if known else overlap
    return found


def _overlapping(landed: Mapping[str, Manifest], twins: Mapping[str, Overlap]) -> str:
    said = [
        f"{overlap.lines:,} lines that {landed[other].arrival.path or other} has, too "
        f"(of {overlap.of:,} that the smaller has on their common days)"
        for other, overlap in sorted(twins.items())
    ]
    return f"holds {_few(said)}"


def _few(texts: Iterable[str], most: int = 3) -> str:
    found = list(texts)
    return "; ".join(found[:most]) + (f"; and {len(found) - most} more" if len(found) > most else "")

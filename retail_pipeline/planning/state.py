"""What is there, and under which settings: the two values that every decision on work compares.

Belongs here: manifests, files and decisions as read (``lake/state.py`` reads them), and what follows from
them alone: which files count, which days are held. Does not belong here: what must run (``plan.py``).
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from functools import cached_property
from itertools import accumulate, chain
from typing import Any, Literal

from retail_pipeline.planning.arrivals import FileSeen, Refusal
from retail_pipeline.planning.decisions import FileDecision
from retail_pipeline.planning.deliveries import NO_LIMITS, Deliveries, Limits, deliveries
from retail_pipeline.planning.manifests import Manifest, content_of, fingerprint
from retail_pipeline.planning.readiness import LEARNED, Delivered, Expected, Misplaced, Verdicts, judge
from retail_pipeline.tables import TABLES

DAYS_THAT_BLOCK_LISTS = 7
# a day is history when it came with, or after, days that are so much later; what came within a day (in
# nanoseconds) came together, and this share of a file's lines may be dated wrongly
HISTORY = timedelta(days=62)
_ONE_LOAD, _FEW = 86_400 * 10**9, 0.02
_DAY_IN_NAME = re.compile(r"(?<!\d)(20\d\d)[-_.]?([01]\d)[-_.]?([0-3]\d)(?!\d)")


@dataclass(frozen=True)
class Recipe:
    """The settings that shape the tables, as fingerprints by what they shape.

    ``profiles`` and ``cleaning`` go by the profile's name; the shop's own cleaning rules stand under "".
    ``patterns`` are the names of files that profiles are for. ``parameters`` are what
    tables declare, by table, as their statements know them.
    """

    profiles: Mapping[str, str]
    first_day: date
    last_day: date | None
    cleaning: Mapping[str, str]
    checks: str
    customer_days: str
    invoice_days: int
    features: str
    segmentations: Mapping[str, str]
    campaigns: Mapping[str, tuple[str, str]]
    model_timing: Literal["previous_month", "same_snapshot"]
    gates: str
    late_data: Literal["flag", "retrain"]
    restate: int | None
    report: str
    report_each_run: bool
    ids: Literal["warn", "hold", "ignore"] = "warn"
    max_customer_share: float = 1
    patterns: frozenset[str] = frozenset()
    steadiness: Mapping[str, str] = field(default_factory=dict)
    parameters: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def cleaning_of(self, landed: Manifest) -> str:
        """The cleaning rules for a landed file's rows: its profile's, or the shop's own if that is gone."""
        return self.cleaning.get(landed.read_by, self.cleaning.get("", ""))


@dataclass(frozen=True)
class State:
    """What is there: files in landing, what people decided, and the manifests of the lake's partitions."""

    seen: tuple[FileSeen, ...] = ()
    landed: Mapping[str, Manifest] = field(default_factory=dict)
    made: Mapping[str, Mapping[Any, Any]] = field(default_factory=dict)
    released: Mapping[date, str] = field(default_factory=dict)
    model_decisions: Mapping[str, str] = field(default_factory=dict)
    retrained: Mapping[str, str] = field(default_factory=dict)
    suppression: str = "none"
    refused: Mapping[str, Refusal] = field(default_factory=dict)
    set_aside: frozenset[str] = frozenset()
    file_decisions: Mapping[str, FileDecision] = field(default_factory=dict)
    limits: Limits = NO_LIMITS
    expected: Expected = LEARNED
    list_releases: Mapping[tuple[date, str], str] = field(default_factory=dict)
    list_markers: frozenset[tuple[date, str]] = frozenset()

    def __getitem__(self, table: str) -> Mapping[Any, Any]:
        """The manifests of a table by day, or by month; where days have names, too, by day and name.

        Raises:
            KeyError: there is no such table, or its manifests are not read: nothing is no answer.
        """
        if not TABLES[table].planned:
            raise KeyError(
                f"the manifests of {table} are no part of the state: it is made with another table"
            )
        return self.made.get(table, {})

    def partitions(self, table: str) -> list[Manifest]:
        return [
            manifest
            for of_day in self[table].values()
            for manifest in (of_day.values() if isinstance(of_day, Mapping) else [of_day])
        ]

    @cached_property
    def deliveries(self) -> Deliveries:
        return deliveries(self.landed, self.file_decisions, self.limits)

    @property
    def raw(self) -> Mapping[date, Mapping[str, Manifest]]:
        """The landed files whose rows count on each day, by day and source_id."""
        return self.deliveries.by_day

    @cached_property
    def counting(self) -> Mapping[str, Manifest]:
        """The landed files that count, be it on some of their days only, by source_id."""
        return {s: manifest for s, manifest in self.landed.items() if self.deliveries.counts(s)}

    @cached_property
    def quarantined(self) -> Mapping[str, str]:
        """The files that wait for a person or a better delivery, by source_id, and why.

        Those that could not be read while they lie in landing; those held back until a later file comes under
        their name; and none that somebody rejected.
        """
        present = {file.source_id for file in self.seen}
        healed: dict[str, int] = {}
        for manifest in self.counting.values():
            for path, changed in manifest.arrival.names.items():
                healed[path] = max(healed.get(path, changed), changed)
        return {
            source_id: refusal.reason
            for source_id, refusal in self.refused.items()
            if source_id in present and not self.is_rejected(source_id)
        } | {
            source_id: held.why
            for source_id, held in self.deliveries.held.items()
            if not held.rejected
            and (arrival := self.landed[source_id].arrival).modified_ns
            >= healed.get(arrival.path, arrival.modified_ns)
        }

    def is_rejected(self, source_id: str) -> bool:
        decision = self.file_decisions.get(source_id)
        return decision is not None and decision.leaves_all_out

    def waiting_days(self, source_id: str) -> tuple[date, ...]:
        """The days of a file that counts on others, which wait for a person or were left out by one."""
        held, decision = self.deliveries.held.get(source_id), self.file_decisions.get(source_id)
        days = held.days if held and held.days else ()
        left_out = decision.days if decision and self.deliveries.counts(source_id) else ()
        return tuple(sorted({*days, *left_out}))

    @cached_property
    def first_day(self) -> date | None:
        return min(self.raw, default=None)

    @property
    def last_day(self) -> date | None:
        """The last day of which anything was delivered, but for stray lines of later ones."""
        return self.readiness.last

    @cached_property
    def _newest(self) -> tuple[list[int], list[date]]:
        """When files came, in order, and the last day of which there was something by then."""
        files = sorted((m.arrival.modified_ns, _last_day_of(m)) for m in self.counting.values() if m.parts)
        return [came for came, _ in files], [*accumulate((day for _, day in files), max)]

    def _is_history(self, day: date, came: int) -> bool:
        """True when a day's file came together with, or after, something of a day long after."""
        times, newest = self._newest
        known = bisect_right(times, came + _ONE_LOAD)
        return known > 0 and newest[known - 1] - day > HISTORY

    @cached_property
    def misplaced(self) -> dict[date, Misplaced]:
        """Of days of which nothing came, a file that is named after the day, by day."""
        found = {}
        for manifest in self.landed.values():
            arrival, near = manifest.arrival, timedelta(days=3)
            names = _DAY_IN_NAME.findall(arrival.path.rpartition("/")[2])
            day = _day_of(names[0]) if len(names) == 1 else None
            if day and day not in self.raw and not any(abs(d - day) <= near for d in manifest.parts):
                is_old = self._is_history(day, arrival.modified_ns)
                found[day] = Misplaced(arrival.path, not manifest.parts, is_old)
        return dict(sorted(found.items()))

    @cached_property
    def delivered(self) -> Mapping[date, tuple[Delivered, ...]]:
        lines, last = Counter[tuple[date, str]](), dict[tuple[date, str], int]()
        for day, files in self.raw.items():
            for manifest in files.values():
                key, part = (day, manifest.inputs["source_system"]), manifest.parts[day]
                lines[key] += part.rows
                if part.last is not None:
                    last[key] = max(part.last, last.get(key, 0))
        came: dict[date, tuple[Delivered, ...]] = {}
        for day, system in sorted(lines):
            made = self["transactions"].get(day)
            value, kept = _kept(made, system)
            first_came = min(manifest.arrival.modified_ns for manifest in self.raw[day].values())
            came[day] = (
                *came.get(day, ()),
                Delivered(
                    day,
                    system,
                    lines[day, system],
                    value,
                    last.get((day, system)),
                    kept,
                    made.shapes.get(system) if made else None,
                    is_blocked=bool(made and made.blocked),
                    is_released=self.is_released(day),
                    is_history=self._is_history(day, first_came),
                ),
            )
        return came

    @cached_property
    def readiness(self) -> Verdicts:
        return judge(
            tuple(chain.from_iterable(self.delivered.values())), self.expected, tuple(self.misplaced.items())
        )

    def is_held(self, day: date) -> bool:
        """True when a blocking check failed on the day, or its deliveries are not as expected.

        Unless somebody released these rows.
        """
        manifest = self["transactions"].get(day)
        return bool(manifest and self.holds(day, manifest))

    def holds(self, day: date, made: Manifest) -> bool:
        """True when the day would be held with these transactions."""
        stands_against = made.blocked or any(finding.holds for finding in self.readiness.of(day))
        return stands_against and self.released.get(day) != made.content and self._is_delivered(day)

    def fails(self, day: date, made: Manifest) -> bool:
        return self.holds(day, made) and (made.blocked or any(f.fails for f in self.readiness.of(day)))

    def is_awaited(self, day: date) -> bool:
        """True when the day is held for nothing but deliveries that may still come."""
        return self.is_held(day) and not self.fails(day, self["transactions"][day])

    def is_released(self, day: date) -> bool:
        made = self["transactions"].get(day)
        return made is not None and self.released.get(day) == made.content

    def why_held(self, day: date) -> str:
        failed = self["transactions"][day].said_blocking
        missing = [finding.says for finding in self.readiness.of(day) if finding.holds]
        return "; ".join(filter(None, (failed, *missing)))

    def usable(self, day: date) -> bool:
        """True when the day's customer_days are made and may be read."""
        return day in self["customer_days"] and self.may_be_read("customer_days", day)

    def may_be_read(self, table: str, day: date) -> bool:
        """True but for what a table of days holds of a day that is held, or was not delivered."""
        is_snapshot = TABLES[table].partition_keys != ("date",)
        return is_snapshot or (self._is_delivered(day) and not self.is_held(day))

    @cached_property
    def _sold(self) -> tuple[list[date], list[str]]:
        days = [
            day
            for day, made in sorted(self["transactions"].items())
            if made.rows and self._is_delivered(day) and not self.holds(day, made)
        ]
        return days, [self["transactions"][day].content for day in days]

    def sold_before(self, day: date, days: int) -> list[tuple[date, str]]:
        """Those of so many days before a day whose transactions count, with their contents."""
        known, contents = self._sold
        found = slice(bisect_left(known, day - timedelta(days=days)), bisect_left(known, day))
        return list(zip(known[found], contents[found], strict=True))

    def _is_delivered(self, day: date) -> bool:
        # what was made of days before the first delivery is left from other settings
        return self.first_day is not None and day >= self.first_day

    def history(self, day: date) -> list[date]:
        """The days up to ``day`` whose customer_days may be read."""
        return [d for d in sorted(self["customer_days"]) if d <= day and self.usable(d)]

    def held_days(self, first: date, last: date) -> list[date]:
        return [d for d in sorted(self["transactions"]) if first <= d <= last and self.is_held(d)]

    def held_lately(self, day: date) -> list[date]:
        """The days that keep lists from being made for ``day``: those of its last 7 held or not made."""
        week = (day - timedelta(days=n) for n in reversed(range(DAYS_THAT_BLOCK_LISTS)))
        return [d for d in week if self._is_delivered(d) and not self.usable(d)]

    def released_lists(self, day: date) -> frozenset[str]:
        """The campaigns whose list of a day was handed over: such a list is never rewritten or removed."""
        return frozenset(
            name
            for name, made in self["campaign_lists"].get(day, {}).items()
            if (day, name) in self.list_markers or self.list_releases.get((day, name)) == made.content
        )

    def having(self, **made: Mapping[Any, Any]) -> State:
        """The state once tables have these manifests; what it knows of deliveries is not worked out anew."""
        after = replace(self, made={**self.made, **made})
        kept = {"deliveries", "quarantined", "first_day", "_newest", "misplaced"}
        kept |= set() if "transactions" in made else {"delivered", "readiness", "_sold"}
        after.__dict__.update({name: self.__dict__[name] for name in kept & self.__dict__.keys()})
        if "transactions" not in made:
            after._histories.update({name: of for name, of in self._histories.items() if name not in made})
        return after

    def history_fingerprint(self, day: date, table: str = "customer_days") -> str:
        """Names all that is read of a table's days up to ``day``."""
        if table not in self._histories:
            chain, days, chains = "", sorted(self[table]), []
            for each in days:
                if self.may_be_read(table, each):
                    chain = fingerprint(chain, each, content_of(self[table][each]))
                chains.append(chain)
            self._histories[table] = (days, chains)
        days, chains = self._histories[table]
        known = bisect_right(days, day)
        return chains[known - 1] if known else ""

    @cached_property
    def _histories(self) -> dict[str, tuple[list[date], list[str]]]:
        return {}


def _kept(made: Manifest | None, system: str) -> tuple[int | None, int | None]:
    """What the lines of a source system that the cleaning keeps of a day are worth, and their number.

    None where it is not known: the day is not made, or was made before that was noted.
    """
    if made is None:
        return None, None
    if shape := made.shapes.get(system):
        return shape.counts["value"], shape.counts["lines"]
    return (0, 0) if made.shapes or not made.rows else (made.counts.get(f"value of {system}"), None)


def _last_day_of(file: Manifest) -> date:
    """The last day of a landed file, but for a few lines that may be dated wrongly."""
    rest, days = _FEW * sum(part.rows for part in file.parts.values()), sorted(file.parts)
    while len(days) > 1 and (rest := rest - file.parts[days[-1]].rows) >= 0:
        days.pop()
    return days[-1]


def _day_of(named: tuple[str, str, str]) -> date | None:
    try:
        return date(*map(int, named))
    except ValueError:
        return None

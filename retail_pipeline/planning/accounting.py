"""Where every row that was read has gone, over all that was delivered."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container
from dataclasses import dataclass
from datetime import date

from retail_pipeline.planning.manifests import Manifest
from retail_pipeline.planning.reconciliation import Tally, together
from retail_pipeline.planning.state import State

# "set aside" are rows whose place a later file took, or that somebody rejected
BECAME = (
    "transactions", "on held days", "refused", "unreadable", "left out", "waiting in quarantine", "set aside",
    "still to clean",
)  # fmt: skip
# where the rows of everything that was delivered lie, as the report has it; a file stands at the first that
# has rows of it
HELD = "on held days"
PLACES = (
    "used", HELD, "in quarantine", "rejected", "replaced", "not cleaned", "refused", "unreadable",
    "left out", "of later days",
)  # fmt: skip
# what is always said, be it none; the rest only where there is some
ALWAYS = ("transactions", "refused", "unreadable")


@dataclass(frozen=True)
class Account:
    """Rows of the files that count or wait for a person: how many were read, and what became of them.

    The value of those left out is in whole currency units.
    """

    files: int
    rows_read: int
    became: dict[str, int]
    value_left_out: int
    tally: Tally

    @property
    def unaccounted(self) -> int:
        """Rows that are in none of these, or in two: never any but for a damaged lake."""
        return self.rows_read - sum(self.became.values())

    @property
    def says(self) -> str:
        parts = [f"{name} {rows:,}" for name, rows in self.became.items() if rows or name in ALWAYS]
        return f"files {self.files:,}, rows read {self.rows_read:,}: {', '.join(parts)}"


def account(state: State) -> Account:
    became = Counter[str]()
    waiting = state.landed.keys() & state.quarantined.keys()
    files = {**state.counting, **{source_id: state.landed[source_id] for source_id in sorted(waiting)}}
    for source_id, manifest in files.items():
        if source_id not in state.counting:
            became["waiting in quarantine"] += manifest.counts["rows_read"]
            continue
        became["unreadable"] += manifest.counts["unreadable"]
        became["left out"] += manifest.counts.get("left_out", 0)
        held = state.deliveries.held.get(source_id)
        disputed = set(held.days or ()) if held and source_id in waiting else set()
        for day, part in manifest.parts.items():
            if source_id not in state.raw.get(day, {}):
                became["waiting in quarantine" if day in disputed else "set aside"] += part.rows
    made = days_made(state)
    for day, delivered in state.raw.items():
        if day in made:
            became["refused"] += made[day].counts.get("rejected", 0)
            became["on held days" if state.is_held(day) else "transactions"] += made[day].rows
        else:
            became["still to clean"] += sum(manifest.parts[day].rows for manifest in delivered.values())
    return Account(
        files=len(files),
        rows_read=sum(manifest.counts["rows_read"] for manifest in files.values()),
        became={name: became[name] for name in BECAME},
        value_left_out=sum(manifest.counts.get("value_left_out", 0) for manifest in state.counting.values()),
        tally=together(manifest.till for manifest in made.values()),
    )


def places(state: State, through: date) -> dict[str, tuple[int, int]]:
    """The files and the rows of all that was delivered up to a day, by where they lie: both add up.

    Of a file of which nothing counts all rows lie where it does.
    """
    made, files, rows = days_made(state), Counter[str](), Counter[str]()
    for source_id, manifest in state.landed.items():
        if manifest.parts and min(manifest.parts) > through:
            continue
        found = _places(state, source_id, made, through)
        files[next((place for place in PLACES if found[place]), "used")] += 1
        rows.update(found)
    for day, cleaned in made.items():
        if day <= through:
            rejected = cleaned.counts.get("rejected", 0)
            rows["refused"] += rejected
            rows[HELD if state.is_held(day) else "used"] -= rejected
    return {place: (files[place], rows[place]) for place in PLACES if files[place] or rows[place]}


def _places(state: State, source_id: str, made: Container[date], through: date) -> Counter[str]:
    """Where the rows of one file lie; those that a rule refused with the others of their day."""
    manifest, held = state.landed[source_id], state.deliveries.held.get(source_id)
    waits = "rejected" if held and held.rejected else "in quarantine"
    if source_id not in state.counting:
        return Counter({waits if held else "replaced": manifest.counts["rows_read"]})
    decision = state.file_decisions.get(source_id)
    left_out = decision.days if decision else ()
    found = Counter(unreadable=manifest.counts["unreadable"])
    found["left out"] = manifest.counts.get("left_out", 0)
    for day, part in manifest.parts.items():
        if day > through:
            place = "of later days"
        elif source_id in state.raw.get(day, {}):
            place = "not cleaned" if day not in made else HELD if state.is_held(day) else "used"
        elif held and day in (held.days or ()):
            place = waits
        else:
            place = "rejected" if day in left_out else "replaced"
        found[place] += part.rows
    return found


def days_made(state: State) -> dict[date, Manifest]:
    """The days of which something was delivered and all of it is cleaned, with their transactions."""
    return {
        day: made
        for day, delivered in sorted(state.raw.items())
        if (made := state["transactions"].get(day))
        and made.counts.get("raw") == sum(manifest.parts[day].rows for manifest in delivered.values())
    }

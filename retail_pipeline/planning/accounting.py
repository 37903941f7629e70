"""Where every row that was read has gone, over all that was delivered."""

from __future__ import annotations

from collections import Counter
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


def days_made(state: State) -> dict[date, Manifest]:
    """The days of which something was delivered and all of it is cleaned, with their transactions."""
    return {
        day: made
        for day, delivered in sorted(state.raw.items())
        if (made := state["transactions"].get(day))
        and made.counts.get("raw") == sum(manifest.parts[day].rows for manifest in delivered.values())
    }

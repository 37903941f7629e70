"""What is odd about the customers of a snapshot, which no row of it shows.

What is found is kept as figures in the snapshot's manifest; whether they are said depends on the settings.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from math import sqrt
from typing import Any

from retail_pipeline.planning.masking import mask

ALIKE, SHARE, UNSEEN, CAME = "ids alike", "largest share in ‰", "customers unseen", "customers came"
SHARE_DAYS = 28
SMALLEST_SHARE = 0.05
USUAL_DAYS = 56
FEWEST_DAYS = 14  # days with customers, before it can be said what is usual
TIMES_AVERAGE = 10  # a share is outlandish if it is so many times the average customer's, too
DEVIATIONS = 5
FEWEST_UNSEEN = 8
MOST_EXAMPLES = 5


@dataclass(frozen=True)
class Oddities:
    """What was found on a day: figures by name, and examples with masked ids."""

    counts: Mapping[str, int] = field(default_factory=dict)
    examples: Mapping[str, str] = field(default_factory=dict)


def oddities(
    days: Iterable[date],
    alike: Sequence[Mapping[str, Any]],
    shares: Sequence[Mapping[str, Any]],
    seen: Sequence[Mapping[str, Any]],
) -> dict[date, Oddities]:
    """What is odd about the customers of the snapshots of some days.

    ``alike``, ``shares`` and ``seen`` are the rows of the three statements; a day without a finding has no
    figures.
    """
    came = {row["date"]: (row["customers"], row["unseen"]) for row in seen}
    largest = {row["snapshot_date"]: row for row in shares}
    found = {}
    for day in days:
        counts: dict[str, int] = {}
        examples: dict[str, str] = {}
        clashes = [row for row in alike if row["date"] <= day]
        if clashes:
            counts[ALIKE] = sum(row["ids"] for row in clashes)
            pairs = (f"{mask(row['one'])} and {mask(row['other'])}" for row in clashes[-MOST_EXAMPLES:])
            examples["such as"] = "; ".join(dict.fromkeys(pairs))
        if (top := largest.get(day)) and is_outlandish(top["share"], top["customers"]):
            counts[SHARE] = round(top["share"] * 1000)
            examples["who has the largest share"] = mask(top["customer_id"])
        if unseen := too_many_unseen(day, came):
            counts |= {CAME: unseen[0], UNSEEN: unseen[1]}
        found[day] = Oddities(counts, examples)
    return found


def is_outlandish(share: float, customers: int) -> bool:
    """True when one of so many customers has a share far above the average one's."""
    return share * customers > TIMES_AVERAGE


def too_many_unseen(day: date, came: Mapping[Any, tuple[int, int]]) -> tuple[int, int] | None:
    """The customers who came on a day and those never seen before, if these are far more than usual.

    That is: more than half of those who usually are not, and beyond chance. A day with few customers is
    looked at with the six before it.
    """
    before = [came[d] for n in range(7, USUAL_DAYS) if (d := day - timedelta(days=n)) in came]
    if day not in came or len(before) < FEWEST_DAYS:
        return None
    usual = sum(new for _, new in before) / sum(customers for customers, _ in before)
    week = [came[d] for n in range(7) if (d := day - timedelta(days=n)) in came]
    for customers, new in (came[day], (sum(c for c, _ in week), sum(n for _, n in week))):
        chance = DEVIATIONS * sqrt(customers * usual * (1 - usual))
        beyond = new - customers * usual > chance and new >= FEWEST_UNSEEN
        if beyond and new > customers * (1 + usual) / 2:
            return customers, new
    return None


def said(counts: Mapping[str, int], max_share: float) -> dict[str, str]:
    """What a snapshot's figures say, in words by kind, as far as a share is above ``max_share``."""
    words = {}
    if alike := counts.get(ALIKE):
        words["alike"] = (
            f"{alike:,} customer ids differ from another only by letter case, leading zeros or separators: "
            "have the profile write them alike"
        )
    if (share := counts.get(SHARE, 0)) > max_share * 1000:
        words["share"] = (
            f"one customer has {share / 10:.0f} % of the lines, orders or value of {SHARE_DAYS} days: name "
            "the id in `cleaning.anonymous_ids` if it is the till's default card"
        )
    if unseen := counts.get(UNSEEN):
        words["unseen"] = (
            f"{unseen:,} of {counts[CAME]:,} customers were never seen before, far more than usual: ask "
            "whether the source writes its ids in another way"
        )
    return words

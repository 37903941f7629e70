"""Days and months: what belongs to which, and what follows what."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, timedelta
from itertools import groupby


def month_of(day: date) -> str:
    return f"{day:%Y-%m}"


def close_before(month: str) -> date:
    """The last day of the month before: the day that the month's models are trained through."""
    return date.fromisoformat(f"{month}-01") - timedelta(days=1)


def last_of_month(day: date) -> date:
    return (day.replace(day=1) + timedelta(days=31)).replace(day=1) - timedelta(days=1)


def months_in_force(first_day: date, through: date) -> list[str]:
    """The months up to ``through`` that have a month before them in the data, and so a model of their own."""
    months, day = [], through
    while month_of(day) > month_of(first_day):
        months.append(month_of(day))
        day = close_before(month_of(day))
    return months[::-1]


def every_day(first: date, last: date) -> list[date]:
    return [first + timedelta(days=n) for n in range((last - first).days + 1)]


def ranges(days: Iterable[date]) -> list[tuple[date, date]]:
    """Days as contiguous ranges, first and last included."""
    runs = groupby(enumerate(sorted(days)), key=lambda pair: pair[1] - timedelta(days=pair[0]))
    return [((members := [day for _, day in run])[0], members[-1]) for _, run in runs]

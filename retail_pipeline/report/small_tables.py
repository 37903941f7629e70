"""What the report's tables need and SQL cannot say: fixed rows, round limits, a rectangle, figures' names."""

from __future__ import annotations

from calendar import monthrange
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal
from itertools import accumulate, combinations

import pyarrow as pa

from retail_pipeline.tables import TABLES
from retail_pipeline.tables.columns import DAY, INTEGER, MONEY, STRING

WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
ORDERS_EDGES = ((1, 1), (2, 2), (3, 3), (4, 5), (6, 10), (11, 20), (21, None))
MONTHS_SHOWN = 25
SEASONS = ("Spring (Mar-May)", "Summer (Jun-Aug)", "Autumn (Sep-Nov)", "Winter (Dec-Feb)")

# unit and meaning of each column of key_figures.sql, in the order of the report
FIGURES: Mapping[str, tuple[str, str]] = {
    "customers": ("customers", "Everyone who ever bought"),
    "active_customers": ("customers", "Customers with an order in the window"),
    "lapsed_customers": ("customers", "Customers without one"),
    "orders": ("orders", "Sale invoices of known customers in the window"),
    "revenue": ("currency", "Sales less returns in the window, anonymous ones included"),
    "customer_revenue": ("currency", "Sum of monetary over the active customers"),
    "avg_order_value": ("currency", "Gross value of an order of a known customer"),
    "repeat_revenue_share": ("1", "Share of customer_revenue from customers with more than one order"),
    "next_month_share": (
        "1",
        "Share of those who bought in a month who bought in the next, over the last 12 pairs of whole months",
    ),
    "lost_share_of_year": (
        "1",
        "Share of the customers of the 365 days before the last 365 who bought in none of the last 365; null "
        "when history does not reach back over both",
    ),
    "one_order_share": ("1", "Share of the active customers who ordered once"),
    "big_spenders_one_order_share": ("1", "Share who ordered once among the tenth that spent most"),
    "big_spenders_revenue_share": ("1", "Share of customer_revenue from the tenth that spent most"),
    "big_orders_one_order_share": (
        "1",
        "Share who ordered once among the tenth with the highest average order value",
    ),
    "most_frequent_avg_order_value": (
        "currency",
        "Gross value of an order of the tenth with the most orders",
    ),
    "others_avg_order_value": ("currency", "Gross value of an order of the other customers"),
    "anonymous_revenue_share": ("1", "Share of the gross sales in the window that have no customer"),
    "returned_share": ("1", "Value of the returns in the window / gross sales"),
}


def positions() -> pa.Table:
    """Every row of sales_trends: dimension, position, label (``positions`` of its statement)."""
    hours = [f"{hour:02}:00" for hour in range(24)]
    dimensions = {"hour": (hours, 0), "month": (MONTHS, 1), "season": (SEASONS, 1), "weekday": (WEEKDAYS, 1)}
    rows = [
        {"dimension": dimension, "position": position, "label": label}
        for dimension, (labels, first) in dimensions.items()
        for position, label in enumerate(labels, first)
    ]
    schema = pa.schema([("dimension", STRING), ("position", INTEGER), ("label", STRING)])
    return pa.Table.from_pylist(rows, schema=schema)


def months(first: date, last: date, counting: Collection[date]) -> pa.Table:
    """Every month from that of ``first`` to that of ``last`` (``months`` of the statements), and if whole.

    It is when each of its days counts: none is to come, before the first, held or not made.
    """
    numbers = range(first.year * 12 + first.month - 1, last.year * 12 + last.month)
    names = [f"{number // 12:04}-{number % 12 + 1:02}" for number in numbers]
    there = Counter(day.year * 12 + day.month - 1 for day in set(counting))
    whole = [there[number] == monthrange(number // 12, number % 12 + 1)[1] for number in numbers]
    columns = {"month": pa.array(names, STRING), "number": pa.array(numbers, INTEGER)}
    return pa.table({**columns, "whole": pa.array(whole, pa.bool_())})


def periods(first: date, day: date, counting: Collection[date]) -> pa.Table:
    """The days of each period of sales_periods (``periods`` there): none begins before ``first``."""
    weeks = [timedelta(days=n) for n in (27, 55, 27 + 364)]
    spans = [
        (kind, day - back, day - back + weeks[0])
        for kind, back in zip(("last", "before", "year_before"), weeks, strict=True)
    ]
    start = day.replace(day=1)
    for _ in range(MONTHS_SHOWN):
        end = start.replace(day=monthrange(start.year, start.month)[1])
        spans.append(("month", max(start, first), end))
        start = (start - timedelta(days=1)).replace(day=1)
    there, rows = set(counting), []
    for kind, start, end in spans:
        if first <= start <= end:
            dates = [start + timedelta(days=n) for n in range((end - start).days + 1)]
            whole = there.issuperset(dates) and (kind != "month" or start.day == 1)
            span = {"kind": kind, "first_day": start, "last_day": min(end, day), "whole": whole}
            rows += [{**span, "date": date} for date in dates]
    columns = {"kind": STRING, "first_day": DAY, "last_day": DAY, "whole": pa.bool_(), "date": DAY}
    return pa.Table.from_pylist(rows, schema=pa.schema(list(columns.items())))


def calendar(counting: Collection[date]) -> pa.Table:
    """The days that count, with their places in the week and the year (``calendar`` of the statements).

    A month or season is whole when all its days are among them; winter is December to February.
    """
    days = sorted(set(counting))
    there = Counter((day.year, day.month) for day in days)
    whole = {month for month, n in there.items() if n == monthrange(*month)[1]}

    def season(day: date) -> list[tuple[int, int]]:
        first = day.year * 12 + day.month - 1 - day.month % 3
        return [divmod(number, 12) for number in range(first, first + 3)]

    columns = {
        "date": pa.array(days, DAY),
        "weekday": pa.array([day.isoweekday() for day in days], INTEGER),
        "month": pa.array([day.month for day in days], INTEGER),
        "season": pa.array([(day.month // 3 + 3) % 4 + 1 for day in days], INTEGER),
        "whole_month": pa.array([(day.year, day.month) in whole for day in days], pa.bool_()),
        "whole_season": pa.array(
            [all((year, month + 1) in whole for year, month in season(day)) for day in days], pa.bool_()
        ),
    }
    return pa.table(columns)


def orders_edges() -> pa.Table:
    """The limits of spend_distribution's cells by orders, both included."""
    start, end = zip(*ORDERS_EDGES, strict=True)
    return pa.table({"orders_from": pa.array(start, INTEGER), "orders_to": pa.array(end, INTEGER)})


def spend_edges(lowest: float | None, upper_quartile: float | None, highest: float | None) -> pa.Table:
    """The limits of spend_distribution's cells by spend: from (included) and to (excluded).

    All are round: 10 to 26 cells of one width (1, 2 or 5 times a power of ten) up to the upper quartile, then
    1, 2, 5, 10 … up to ten times as much, one cell for the rest, and one for those who spent less than
    nothing. The arguments are the row of ``spend_range.sql``; None when nobody is active.
    """
    low, quartile, high = (Decimal(repr(value or 0.0)) for value in (lowest, upper_quartile, highest))
    edges = [Decimal(0)]
    if quartile >= Decimal("0.1"):
        width = max(_round_numbers(quartile / 10))
        edges += [width * step for step in range(1, int(quartile // width) + 2)]
        edges += [number for number in _round_numbers(min(10 * quartile, high)) if number > edges[-1]]
    if low < 0:
        edges.insert(0, -next(n for n in _round_numbers(1 - 10 * low) if n >= -low))
    return pa.table({"spend_from": pa.array(edges, MONEY), "spend_to": pa.array([*edges[1:], None], MONEY)})


def _round_numbers(most: Decimal) -> Iterator[Decimal]:
    """1, 2 and 5 times the powers of ten from a hundredth up to ``most``, ascending."""
    for power in range(-2, most.adjusted() + 1):
        for digit in (1, 2, 5):
            if (number := Decimal(digit).scaleb(power)) <= most:
                yield number


def with_densest(cells: pa.Table) -> pa.Table:
    """The cells of ``spend_distribution.sql`` with ``densest``: the smallest rectangle with half of all.

    It counts in cells; of equal ones it is that with the most customers, then that with the fewest orders and
    the least spend. Without customers there is none.
    """
    width = len(cells["spend_from"].unique())
    counts = cells["customers"].to_pylist()
    grid = [counts[start : start + width] for start in range(0, len(counts), width)]
    rows, columns = _densest(grid) if any(counts) else (range(0), range(0))
    marks = [row in rows and column in columns for row in range(len(grid)) for column in range(width)]
    return cells.append_column("densest", pa.array(marks, pa.bool_()))


def _densest(grid: Sequence[Sequence[int]]) -> tuple[range, range]:
    """The rows and the columns of the smallest rectangle that holds at least half of the grid's sum."""
    half = sum(map(sum, grid)) / 2
    found = []
    for top, bottom in combinations(range(len(grid) + 1), 2):
        sums = [0, *accumulate(map(sum, zip(*grid[top:bottom], strict=True)))]
        for left, right in combinations(range(len(sums)), 2):
            if (held := sums[right] - sums[left]) >= half:
                found.append(((bottom - top) * (right - left), -held, top, left, bottom, right))
    _, _, top, left, bottom, right = min(found)
    return range(top, bottom), range(left, right)


def key_figures(figures: pa.Table) -> pa.Table:
    rows = [
        {"figure": figure, "value": figures[figure][0].as_py(), "unit": unit, "meaning": meaning}
        for figure, (unit, meaning) in sorted(FIGURES.items())
    ]
    return pa.Table.from_pylist(rows, schema=TABLES["key_figures"].arrow)

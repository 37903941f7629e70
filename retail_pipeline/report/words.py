"""The report in words: sentences made from the numbers.

A word that compares (largest, fewest, more) stands only where the comparison was computed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import pandas as pd

from retail_pipeline.report.data import NEW, ReportData
from retail_pipeline.report.formats import (
    DASH,
    MONTHS,
    WEEKDAYS,
    ago,
    count,
    customers,
    day,
    days,
    known,
    listed,
    money,
    month,
    number,
    percent,
    plural,
    records,
    sentence,
)
from retail_pipeline.segmentation import LAPSED

# a segment slips away when its mean recency is at least this many times that of the average customer
SLIPPING = 1.2
# two figures less than this part of the larger apart are about the same
ABOUT = 0.1
# a figure of fewer customers than this is no sentence
SMALL = 20
# flows named in one sentence
MOST_NAMED = 3
NO_COMPARISON = "There is no snapshot of 30 days ago to compare with."
Row = Mapping[Any, Any] | pd.Series
# the months after a first purchase that a sentence names
RETURNS = {
    1: "buy again in the first month after it",
    3: "in the third",
    6: "in the sixth",
    12: "in the twelfth",
}


@dataclass(frozen=True)
class Point:
    """One thing to know: what it is about, and what the numbers say."""

    head: str
    text: str


def _of_revenue(part: float, before: str = ", ") -> str:
    """A part of revenue; nothing where there is no revenue to be a part of."""
    return f"{before}{percent(part)} of revenue" if known(part) else ""


def _only(rows: pd.DataFrame, column: str, lowest: bool = False) -> str | None:
    """The segment that alone has the highest (lowest) value of a column.

    None where the next is about the same, and for a mean of fewer than SMALL customers.
    """
    ordered = rows.assign(value=rows[column].astype("float64")).dropna(subset=["value"])
    ordered = ordered.sort_values("value", ascending=lowest)
    if ordered.empty or (column.endswith("_mean") and ordered["customers"].iloc[0] < SMALL):
        return None
    first, *others = ordered["value"]
    if others and _against(first, others[0], "more", "less", "") == "":
        return None
    return str(ordered["segment"].iloc[0])


def _mean(rows: pd.DataFrame, feature: str) -> float:
    """The mean of a feature over the customers of some segments."""
    return float((rows[f"{feature}_mean"] * rows["customers"]).sum() / rows["customers"].sum())


def _against(value: float, other: float, more: str, less: str, same: str) -> str:
    """The word for a value beside another one; less than ABOUT of the larger apart, they are the same."""
    if abs(value - other) < ABOUT * max(abs(value), abs(other)) or value == other:
        return same
    return more if value > other else less


# the most valuable, and those who slip away


def in_a_line(row: Row) -> str:
    return f"{row['segment']}: {_size(row)}{_of_revenue(row['revenue_share'])}"


def _size(row: Row) -> str:
    return f"{customers(row['customers'])}, {percent(row['share'])} of all"


def most_valuable(data: ReportData, segmentation: str) -> Point | None:
    active = data.active(segmentation)
    if active.empty:
        return None
    top, average = active.iloc[0], _mean(active, "monetary")
    bring = ", brings " if top["customers"] == 1 else ", bring "
    mean, median = (money(top[f"monetary_{kind}"], data.currency) for kind in ("mean", "median"))
    said = f"{_size(top)}{_of_revenue(top['revenue_share'], bring)}: {mean} each on average (median {median})"
    if len(active) > 1 and average > 0:
        times = number(top["monetary_mean"] / average)
        said += f", {times} times the average customer ({money(average, data.currency)})"
    orders, last = number(top["frequency_mean"]), ago(top["recency_days_mean"])
    said += f". They placed {orders} orders on average, the last {last}."
    biggest = active.sort_values(["revenue", "segment"], ascending=[False, True]).iloc[0]
    if len(active) == 1:
        said += " Every customer who bought in the window is in this one segment."
    elif biggest["segment"] != top["segment"]:
        revenue, who = money(biggest["revenue"], data.currency), customers(biggest["customers"])
        said += f" More revenue in all comes from {biggest['segment']}: {revenue} from {who}."
    return Point(str(top["segment"]), said)


def slipping(data: ReportData, segmentation: str) -> pd.DataFrame:
    """The segments that have not bought for clearly longer than the average customer.

    "Clearly" is SLIPPING times the mean recency of all who bought in the window. The first is that with whose
    customers most is about to be lost.
    """
    active = data.active(segmentation)
    if active.empty:
        return active
    late = active["recency_days_mean"] >= SLIPPING * _mean(active, "recency_days")
    found = active[late & (active["recency_days_mean"] > 0)]
    return found.sort_values("slipping_share", ascending=False, kind="stable").reset_index(drop=True)


def slipping_away(data: ReportData, segmentation: str) -> list[Point]:
    active, points = data.active(segmentation), []
    for row in records(slipping(data, segmentation)):
        spent, usual = row["monetary_mean"], _mean(active, "monetary")
        more = _against(spent, usual, "more than", "less than", "about as much as")
        share = _of_revenue(row["revenue_share"], ", and ")
        said = (
            f"{_size(row)}, last bought {ago(row['recency_days_mean'])} on average (the average customer: "
            f"{ago(_mean(active, 'recency_days'))}). They spent {money(spent, data.currency)} each on "
            f"average, {more} the average customer{f'{share} in all' if share else ''}."
        )
        if known(row["slipping_share"]):
            said += (
                f" With them lies {percent(row['slipping_share'])} of what is about to be lost: their own "
                "gaps since the last order, times what they spend a day."
            )
        points.append(Point(str(row["segment"]), said))
    return points


def nobody_slips(data: ReportData, segmentation: str) -> str:
    active = data.active(segmentation)
    if active.empty:
        return "Nobody bought in the window, so nobody can slip away."
    return (
        f"Nobody: no segment's last order lies {percent(SLIPPING - 1)} longer back than that of the average "
        f"customer ({ago(_mean(active, 'recency_days'))})."
    )


# the profile of a segmentation


def shares_title(data: ReportData, segmentation: str) -> str:
    top = data.active(segmentation).iloc[0]
    revenue = _of_revenue(top["revenue_share"], " and bring ")
    return f"{top['segment']} are {percent(top['share'])} of customers{revenue}"


def sizes_title(data: ReportData, segmentation: str, feature: str) -> str:
    """The largest segment, and the first by a feature that the figure shows: last order, or orders."""
    active = data.active(segmentation)
    if len(active) == 1:
        return f"{active.iloc[0]['segment']} is the only segment: {customers(active.iloc[0]['customers'])}"
    recency = feature == "recency_days"
    largest, first = _only(active, "customers"), _only(active, f"{feature}_mean", lowest=recency)
    most = "the most recent buyers" if recency else "the most frequent buyers"
    if largest and largest == first:
        return f"{largest} are the largest segment and {most}"
    said = f"{largest} are the largest segment" if largest else "No segment is larger than all others"
    return f"{said}, {first} {most}" if first else said


def grid_title(cells: pd.DataFrame) -> str:
    order = ["customers", "recency_score", "other_score"]
    first = cells.sort_values(order, ascending=[False, True, True]).iloc[0]
    return (
        f"The fullest cell is {first['segment']}: {customers(first['customers'])} score "
        f"{first['recency_score']} on recency and {first['other_score']} on orders and spend"
    )


def _came_back(row: Row) -> bool:
    """Is it sure that returns took back more than half of what a segment ordered?

    Who bought has at least one order, so what they ordered is on average no less than the mean order value.
    """
    return bool(row["avg_order_value_mean"] > 2 * row["monetary_mean"])


def profile_words(data: ReportData, segmentation: str) -> list[tuple[str, list[str]]]:
    active, currency = data.active(segmentation), data.currency

    def only(name: str, column: str, most: str, least: str, of: str) -> str:
        if len(active) > 1 and _only(active, column) == name:
            return f", the {most} {of}"
        return f", the {least} {of}" if len(active) > 1 and _only(active, column, lowest=True) == name else ""

    paragraphs = []
    for row in records(active):
        name, value = row["segment"], row["avg_order_value_mean"]
        size = only(name, "customers", "largest", "smallest", "group")
        orders = only(name, "frequency_mean", "most", "fewest", "of all groups")
        spend = only(name, "monetary_mean", "most", "least", "of all groups")
        brings = _of_revenue(row["revenue_share"], ", and bring ")
        said = [
            f"{_size(row)}{size}.",
            f"They place {number(row['frequency_mean'])} orders on average{orders}.",
            f"They spend {money(row['monetary_mean'], currency)} each on average{spend}{brings}.",
        ]
        if known(value):
            largest = only(name, "avg_order_value_mean", "largest", "smallest", "orders of all")
            said.append(f"An order is {money(value, currency)} on average{largest}.")
        if _came_back(row):
            said.append("Most of what they ordered came back: find out why before offering them anything.")
        paragraphs.append((name, said))
    return paragraphs


def profile_takeaways(data: ReportData, segmentation: str) -> list[Point]:
    """What the profile adds up to, at most a point a segment.

    Who drives revenue, who is worth most each and who comes next, who is many, whose orders are large.
    """
    active = data.active(segmentation)
    if len(active) < 2:
        return []
    rows = {row["segment"]: row for row in records(active)}
    average, usual = _mean(active, "monetary"), _mean(active, "frequency")
    largest, smallest = _only(active, "customers"), _only(active, "customers", lowest=True)
    said: dict[str, str] = {}
    if driver := _only(active, "revenue"):
        size = {largest: " and the largest group", smallest: " and the smallest group"}.get(driver, "")
        brings = _of_revenue(rows[driver]["revenue_share"], "") or "the most revenue"
        part = percent(rows[driver]["share"])
        said[driver] = f"the biggest revenue driver{size}: {brings} from {part} of customers"
    if (top := _only(active, "monetary_mean")) and average > 0:
        each = rows[top]["monetary_mean"]
        times = f"{number(each / average)} times the average customer"
        said.setdefault(top, f"worth most on average: {money(each, data.currency)} each, {times}")
    if largest:
        least = _only(active, "frequency_mean", lowest=True) == largest
        who = f"the largest group{' and the least engaged' if least else ''}"
        size, orders = customers(rows[largest]["customers"]), number(rows[largest]["frequency_mean"])
        said.setdefault(largest, f"{who}: {size}, {orders} orders on average")
    if bigger := _only(active, "avg_order_value_mean"):
        orders, value = (
            rows[bigger]["frequency_mean"],
            money(rows[bigger]["avg_order_value_mean"], data.currency),
        )
        often = _against(orders, usual, "more often than", "less often than", "about as often as")
        text = (
            f"the largest orders of all ({value}), placed {often} the average customer "
            f"does ({number(orders)} orders against {number(usual)})"
        )
        if _came_back(rows[bigger]):
            spent = money(rows[bigger]["monetary_mean"], data.currency)
            text = f"most of what they ordered came back: {value} an order, but {spent} spent on average"
        said.setdefault(bigger, text)
    first, second = active["segment"].iloc[:2]
    spent = money(rows[second]["monetary_mean"], data.currency)
    said.setdefault(second, f"next in spend after {first}: {spent} each on average")
    return [Point(segment, sentence(text)) for segment, text in said.items()]


# what changed


@dataclass(frozen=True)
class Change:
    """The moves since an earlier day, added up; who is new has not moved.

    ``lapsed`` and ``returned`` are among the ``moved``, each of whom moved by orders or returns, by time or
    by the model.
    """

    since: date
    then: int
    now: int
    joined: int
    lapsed: int
    returned: int
    moved: int
    by_orders: int
    by_time: int
    by_model: int


def flows(moves: pd.DataFrame) -> pd.DataFrame:
    """The moves proper, without those who stayed; the largest first, the new customers' last."""
    away = moves[moves["from_segment"] != moves["to_segment"]]
    return (
        away.assign(new=away["from_segment"] == NEW)
        .sort_values(["new", "customers", "from_segment", "to_segment"], ascending=[True, False, True, True])
        .drop(columns="new")
    )


def change(data: ReportData, segmentation: str) -> Change | None:
    moves = data.moves(segmentation)
    if moves.empty:
        return None
    new, away = moves["from_segment"] == NEW, moves["from_segment"] != moves["to_segment"]

    def total(rows: Any, column: str = "customers") -> int:
        return int(moves.loc[rows, column].sum())

    return Change(
        since=pd.Timestamp(moves["compared_day"].iloc[0]).date(),
        then=total(~new),
        now=int(moves["customers"].sum()),
        joined=total(new),
        lapsed=total(away & ~new & (moves["to_segment"] == LAPSED)),
        returned=total(away & (moves["from_segment"] == LAPSED)),
        moved=total(away & ~new),
        by_orders=total(away & ~new, "by_orders"),
        by_time=total(away & ~new, "by_time"),
        by_model=total(away & ~new, "by_model"),
    )


def changes(data: ReportData, segmentation: str) -> list[Point]:
    total = change(data, segmentation)
    if total is None:
        return [Point("No comparison yet", NO_COMPARISON)]
    since = day(total.since)
    points = [
        Point(f"{customers(total.joined)} joined", f"{count(total.then)} on {since}, {count(total.now)} now.")
    ]
    if total.lapsed:
        text = "Their last order is now older than the window."
        points.append(Point(f"{customers(total.lapsed)} lapsed", text))
    if total.returned:
        points.append(Point(f"{customers(total.returned)} returned", "They had lapsed, and bought again."))
    if not total.moved:
        text = f"All who were customers on {since} are where they were."
        return [*points, Point("Nobody changed segment", text)]
    text = (
        f"{percent(total.moved / total.then)} of those who were there: {count(total.by_orders)} by what they "
        f"ordered or sent back, {count(total.by_time)} by time passing, {count(total.by_model)} because a "
        "newer model draws its lines elsewhere."
    )
    moves = flows(data.moves(segmentation))
    first = records(moves[moves["from_segment"] != NEW].head(MOST_NAMED))
    largest = [f"{row['from_segment']} to {row['to_segment']} ({count(row['customers'])})" for row in first]
    head = "The largest flows" if len(first) > 1 else "The only flow"
    points += [
        Point(f"{customers(total.moved)} changed segment", text),
        Point(head, f"{listed(largest)}."),
    ]
    return points + _gains(moves, data, segmentation)


def _gains(moves: pd.DataFrame, data: ReportData, segmentation: str) -> list[Point]:
    slips, points = list(slipping(data, segmentation)["segment"]), []
    for segment in dict.fromkeys([*data.active(segmentation)["segment"].head(1), *slips]):
        gained = moves.loc[moves["to_segment"] == segment, "customers"].sum()
        lost = moves.loc[moves["from_segment"] == segment, "customers"].sum()
        what = "slipping away" if segment in slips else "the most valuable"
        sign = "+" if gained > lost else ""
        text = f"{count(gained)} came in, {count(lost)} left: {sign}{count(gained - lost)}."
        points.append(Point(f"{segment} ({what})", text))
    return points


def flows_title(data: ReportData, segmentation: str) -> str:
    total = change(data, segmentation)
    if total is None or not total.moved:
        return f"Nobody changed segment since {day(total.since)}" if total else NO_COMPARISON
    first = flows(data.moves(segmentation)).iloc[0]
    return (
        f"{count(total.moved)} of {customers(total.then)} changed segment since {day(total.since)}: "
        f"most from {first['from_segment']} to {first['to_segment']} ({count(first['customers'])})"
    )


# the whole shop


def takeaways(data: ReportData) -> list[Point]:
    if not data.segmentations:
        return [Point("No customers yet", f"Nobody has bought anything up to {day(data.day)}.")]
    leading = data.segmentations[0]
    active, points = data.active(leading), []
    if len(active):
        points.append(Point("Most valuable", f"{in_a_line(active.iloc[0])}."))
        others = active.iloc[1:]
        largest = others[others["segment"] == _only(active, "customers")]
        points += [Point("Largest group", f"{in_a_line(row)}.") for row in records(largest)]
    points.append(Point("Slipping away", _slipping_words(data, leading)))
    if total := change(data, leading):
        lapsed = f"{count(total.lapsed)} lapsed, " if total.lapsed else ""
        by = (
            f"{count(total.by_orders)} by orders or returns, {count(total.by_time)} by time, "
            f"{count(total.by_model)} by a newer model"
        )
        moved = f"{count(total.moved)} changed segment{f' ({by})' if total.moved else ''}"
        text = f"{customers(total.joined)} joined, {lapsed}{moved}."
        points.append(Point(f"Since {day(total.since)}", text))
    else:
        points.append(Point("Since last month", NO_COMPARISON))
    points.append(Point("Revenue", revenue_words(data)))
    points.append(Point("Coming back", " ".join(retention_words(data))))
    return [*points, Point("Lists", lists_words(data))]


def _slipping_words(data: ReportData, segmentation: str) -> str:
    gone, active = slipping(data, segmentation), data.active(segmentation)
    if gone.empty:
        return nobody_slips(data, segmentation)
    who = listed([f"{row['segment']} ({count(row['customers'])})" for row in records(gone)])
    share = _of_revenue(gone["revenue_share"].astype("float64").sum(skipna=False), " and ")
    theirs, usual = ago(_mean(gone, "recency_days")), ago(_mean(active, "recency_days"))
    part = percent(gone["share"].sum())
    return f"{who}: {part} of customers{share}, last bought {theirs} on average, against {usual} over all."


def coming_back(data: ReportData) -> list[str]:
    said = {
        "repeat_revenue_share": "{} of revenue comes from customers with more than one order.",
        "next_month_share": "Of those who buy in a month, {} buy in the next one, too.",
        "lost_share_of_year": "Of those who bought in the year before the last 365 days, {} have not since.",
        "one_order_share": "{} of customers have ordered once.",
    }
    shares = {figure: data.figure(figure) for figure in said}
    return [said[figure].format(percent(share)) for figure, share in shares.items() if share is not None]


def lists_words(data: ReportData) -> str:
    filled = [one for one in data.lists if one.customers]
    if not filled and data.quality.held_days:
        return f"No lists were made. Held (see data quality): {days(data.quality.held_days)}."
    if not filled:
        return "No lists were made for this day."
    people, control = sum(one.customers for one in filled), sum(one.control for one in filled)
    are = "is" if len(filled) == 1 else "are"
    ready = f"{plural(len(filled), 'list')} with {customers(people)} {are} ready"
    empty = [one.campaign for one in data.lists if not one.customers]
    without = f" Nobody is on {listed(empty)}." if empty else ""
    return f"{ready}, {count(control)} of them held out as control.{without}"


# revenue over time


def _weeks(data: ReportData) -> dict[str, Row]:
    """The periods of four weeks that are whole, by kind."""
    table = data.table("sales_periods")
    return {row["kind"]: row for row in records(table[table["whole"].astype(bool)]) if row["kind"] != "month"}


def key_changes(data: ReportData) -> list[tuple[str, str, list[str]]]:
    """Each key figure of the last four weeks, and its change against those before and those a year before."""
    weeks = _weeks(data)
    if "last" not in weeks:
        return []

    def an_order(row: Row) -> float:
        return float(row["sales"]) / row["orders"] if row["orders"] else 0.0

    def amount(value: float) -> str:
        return money(value, data.currency)

    figures: dict[str, tuple[Callable[[Row], float], Callable[[float], str]]] = {
        "Revenue": (lambda row: float(row["revenue"]), amount),
        "Orders": (lambda row: float(row["orders"]), count),
        "Customers who bought": (lambda row: float(row["customers"]), count),
        "Sales an order": (an_order, amount),
    }
    rows = []
    for name, (value_of, written) in figures.items():
        now, against = value_of(weeks["last"]), []
        for kind in ("before", "year_before"):
            base = value_of(weeks[kind]) if kind in weeks and weeks[kind]["orders"] >= SMALL else 0.0
            change = percent(now / base - 1) if base > 0 else DASH
            against.append(f"+{change}" if base > 0 and now > base else change)
        rows.append((name, written(now), against))
    return rows


def revenue_words(data: ReportData) -> str:
    weeks = _weeks(data)
    if "last" not in weeks:
        return "The last four weeks are not whole: days of them are held, missing or before the data begin."
    now, said = float(weeks["last"]["revenue"]), []
    for kind, when in (("before", "the four weeks before"), ("year_before", "the same weeks a year before")):
        base = float(weeks[kind]["revenue"]) if kind in weeks and weeks[kind]["orders"] >= SMALL else 0.0
        if base > 0:
            said.append(f"{_change(now, base)} in {when}")
    against = f": {listed(said)}" if said else ""
    return f"{money(now, data.currency)} in the last four weeks{against}."


def _change(value: float, base: float) -> str:
    """12 % more than."""
    change = percent(abs(value / base - 1))
    return _against(value, base, f"{change} more than", f"{change} less than", "about as much as")


def revenue_title(data: ReportData) -> str:
    """The last whole month against the one before, by the day, for they differ in length."""
    table = data.table("sales_periods")
    months = table[(table["kind"] == "month") & table["whole"].astype(bool)].sort_values("first_day").tail(2)
    if months.empty:
        return "No month is whole yet"
    *before, last = records(months)
    said = f"{month(str(last['first_day']))} brought {money(last['revenue'], data.currency)}"
    if not before or (last["first_day"] - before[0]["last_day"]).days != 1 or before[0]["revenue"] <= 0:
        return said
    now, base = (float(row["revenue"]) / (row["last_day"].day) for row in (last, before[0]))
    return f"{said}, a day {_change(now, base)} {month(str(before[0]['first_day']))}"


# retention, trends


def _complete(cohorts: pd.DataFrame) -> pd.DataFrame:
    """The months after a first purchase that are whole, of customers who were new."""
    new = ~cohorts["left_censored"].astype(bool)
    return cohorts[new & cohorts["whole"].astype(bool) & (cohorts["months_since"] > 0)]


def retention_words(data: ReportData) -> list[str]:
    table = data.table("cohort_retention")
    complete, said = _complete(table), []
    for months, words in RETURNS.items():
        rows = complete[complete["months_since"] == months]
        if (of := rows["cohort_customers"].sum()) >= SMALL:
            said.append(f"{percent(rows['customers'].sum() / of)} (of {count(of)}) {words}")
    first = [f"Of a month's new customers, {listed(said)}."] if said else []
    return first + _left_out(table) or ["No month after a first purchase is complete yet."]


def _left_out(table: pd.DataFrame) -> list[str]:
    """Which months have no new customers to follow, because the data begin too late to know them."""
    cohorts = table.drop_duplicates("cohort_month").sort_values("cohort_month")
    old = cohorts[cohorts["left_censored"].astype(bool)]
    told = [percent(share) for share in old["old_share"].dropna()]
    part = told[0] if len(told) == 1 else f"{told[0]} down to {told[-1]}" if told else ""
    had = (
        f"as the gaps between purchases say, {part} of those first seen then had bought before the data begin"
    )
    if old.empty:
        return []
    if not told:
        return ["The data are too young to tell new customers from those who had bought before they begin."]
    if len(old) == len(cohorts):
        return [f"No month counts as one of new customers: {had}."]
    months = "first month is" if len(old) == 1 else f"first {len(old)} months are"
    return [
        f"The {months} left out: {had} (in the month after: {percent(cohorts['old_share'].iloc[len(old)])})."
    ]


def retention_title(data: ReportData) -> str:
    """The largest month of new customers, and how many of them bought in its last whole month."""
    complete = _complete(data.cohorts())
    complete = complete[complete["cohort_customers"] >= SMALL]
    if complete.empty:
        first = data.cohorts().iloc[0]
        return f"{customers(first['cohort_customers'])} were first seen in {month(first['cohort_month'])}"
    order = ["cohort_customers", "cohort_month", "month"]
    last = complete.sort_values(order, ascending=[False, True, False]).iloc[0]
    return (
        f"Of {customers(last['cohort_customers'])} who first bought in {month(last['cohort_month'])}, "
        f"{percent(last['rate'])} bought in {month(last['month'])}"
    )


def compared(data: ReportData, dimension: str) -> pd.DataFrame:
    """The rows of a dimension that can be compared, with orders and sales a day; of hours, in all."""
    table = data.table("sales_trends")
    rows = table[(table["dimension"] == dimension) & (table["days"] > 0)].sort_values("position")
    per = rows["days"] if dimension != "hour" else 1
    return rows.assign(
        orders=rows["orders_of_days"] / per, sales=rows["sales_of_days"].astype("float64") / per
    )


def trend_title(data: ReportData, dimension: str) -> str:
    """Who stands out by orders a day: those near the highest, when it is clearly above the average."""
    rows = compared(data, dimension)
    if len(rows) < 2:
        return f"No two {dimension}s are whole yet, so that they could be compared"
    orders, days = rows["orders_of_days"].sum(), rows["days"].sum()
    most, usual = rows["orders"].max(), orders / (days if dimension != "hour" else len(rows))
    top = rows[rows["orders"] > (1 - ABOUT) * most]
    counted = top["orders_of_days"].sum()
    expected = orders * (top["days"].sum() / days)
    if most * (1 - ABOUT) < usual or counted < expected + 3 * expected**0.5 or len(top) > MOST_NAMED:
        low, high = number(rows["orders"].min()), number(most)
        a_day = " a day" if dimension != "hour" else ""
        return f"No {dimension} stands out: {low} to {high} orders{a_day}"
    named = listed([_when(dimension, row) for row in records(top)])
    said = f"{named} {'is' if len(top) == 1 else 'are'} the busiest: "
    if dimension == "hour":
        return f"{said}{percent(counted / orders)} of all orders"
    each = number(counted / top["days"].sum())
    return (
        f"{said}{each} orders a day, {percent(counted / orders)} of orders in "
        f"{percent(top['days'].sum() / days)} of the days"
    )


def _when(dimension: str, row: Row) -> str:
    position = int(row["position"])
    if dimension == "weekday":
        return WEEKDAYS[position - 1]
    if dimension == "month":
        return MONTHS[position - 1]
    return f"{position}:00 to {position + 1}:00" if dimension == "hour" else str(row["label"]).split(" (")[0]


def whole_words(data: ReportData) -> str:
    """How many days stand in no whole month, or season, and are not compared."""
    table = data.table("sales_trends")
    days = table.groupby("dimension")["days"].sum()
    if not days.get("weekday", 0):
        return ""
    out = {
        name: int(days["weekday"] - days[name])
        for name in ("month", "season")
        if days["weekday"] > days[name]
    }
    if not out:
        return f"All of the {plural(days['weekday'], 'day')} stand in whole months and seasons."
    said = listed([f"{plural(n, 'day')} in no whole {name}" for name, n in out.items()])
    return f"Of the {plural(days['weekday'], 'day')}, {said} are left out of that comparison."


# rankings, distribution, outliers


def ranking_title(data: ReportData, ranking: str, shown: int) -> str:
    table = data.table("customer_rankings")
    rows = table[(table["rank"] <= shown) & (table["ranking"] == ranking)]
    who = "customer" if len(rows) == 1 else f"{len(rows)} customers"
    if ranking == "average":
        low, high = (
            money(value, data.currency)
            for value in (rows["spend_per_order"].min(), rows["spend_per_order"].max())
        )
        return (
            f"The {who} with the largest orders spent {low if low == high else f'{low} to {high}'} an order"
        )
    if ranking == "orders":
        orders = data.figure("orders")
        share = (
            f" placed {percent(rows['frequency'].sum() / orders)} of all orders of customers"
            if orders
            else ""
        )
        return f"The {who} who order most often{share}"
    revenue = data.figure("customer_revenue")
    share = _of_revenue(rows["monetary"].sum() / revenue, " brought ") if revenue else ""
    return f"The {who} who spent most{share}"


def product(row: Row) -> str:
    return str(row["description"] if known(row["description"]) else row["product_id"])


def product_net(row: Row, ranking: str) -> float:
    """What a product is ranked by: its revenue, or its units or invoices less those that came back."""
    back = {"revenue": 0, "units": row["returned_units"], "invoices": row["returns"]}
    return float(row[ranking] - back[ranking])


def product_value(row: Row, ranking: str, currency: str) -> str:
    net = product_net(row, ranking)
    return money(net, currency) if ranking == "revenue" else plural(net, ranking.removesuffix("s"))


def product_title(data: ReportData, ranking: str) -> str:
    table = data.table("product_rankings")
    (first,) = records(table[(table["ranking"] == ranking) & (table["rank"] == 1)])
    said = f"{product(first)} leads by {ranking}: "
    if ranking == "invoices":
        return f"{said}{count(first['invoices'])} sold it, {count(first['returns'])} took it back"
    back = ", returns taken off" if first["returned_units"] else ""
    return f"{said}{product_value(first, ranking, data.currency)}{back}"


def densest(data: ReportData) -> tuple[str, str] | None:
    cells = data.table("spend_distribution")
    dense = cells[cells["densest"].astype(bool)]
    if dense.empty:
        return None
    low, high = int(dense["orders_from"].min()), dense["orders_to"].max(skipna=False)
    if not known(high):
        orders = f"{low} orders and more"
    else:
        between = "or" if high == low + 1 else "to"
        orders = plural(low, "order") if high == low else f"{low} {between} {int(high)} orders"
    start, end = money(dense["spend_from"].min(), data.currency), dense["spend_to"].max(skipna=False)
    return orders, f"{start} to {money(end, data.currency)}" if known(end) else f"{start} and more"


def distribution_title(data: ReportData) -> str:
    cells, region = data.table("spend_distribution"), densest(data)
    everyone = cells["customers"].sum()
    if region is None:
        return f"Where {customers(everyone)} stand by orders and spend"
    inside = cells.loc[cells["densest"].astype(bool), "customers"].sum()
    return f"{percent(inside / everyone)} of customers place {region[0]} and spend {region[1]}"


def top_tenth(data: ReportData) -> list[Point]:
    """What the tenth at the top amounts to.

    That big spenders come back more often is no news: who comes back spends more. Nor that those with the
    largest mean orders come back less: the mean of one order strays further than that of ten.
    """
    points, active = [], data.figure("active_customers") or 0
    brings = data.figure("big_spenders_revenue_share")
    if active < 10 * SMALL:
        return [
            Point(
                "Too few customers", f"A tenth of {customers(active)} is too few to compare with the others."
            )
        ]
    if brings is not None:
        points.append(Point("Spend most", f"The tenth who spend most bring {percent(brings)} of revenue."))
    frequent, rest = data.figure("most_frequent_avg_order_value"), data.figure("others_avg_order_value")
    if frequent is not None and rest is not None:
        a, b = money(frequent, data.currency), money(rest, data.currency)
        pay = _against(frequent, rest, "more", "less", "about as much")
        said = (
            f"An order of the tenth who order most often is {a} on average before returns, of the others {b}"
        )
        points.append(Point("Order most often", f"{said}: they pay {pay} for an order."))
    return points


# the state of the data, the models


def window_words(data: ReportData) -> str:
    """The days that orders and spend are of."""
    first = data.first_day
    if data.window_days is None or (data.day - first).days < data.window_days:
        return f"of the {plural((data.day - first).days + 1, 'day')} since {day(first)}, when the data begin"
    return f"of the last {plural(data.window_days, 'day')}"


# what is said of where rows lie (planning/accounting.py says which there are)
_PLACES = {
    "used": "in these figures",
    "on held days": "not in these figures until other rows are delivered or somebody releases them",
    "in quarantine": "waits until somebody accepts or rejects it, or a better file comes",
    "rejected": "by a person",
    "replaced": "by a later file",
    "not cleaned": "of days outside first_day to last_day, or not made yet",
    "refused": "by a cleaning rule",
    "unreadable": "no value, type or date that could be read",
    "left out": "by keep_rows or as totals",
    "of later days": "after the day of this page",
}


def quality_rows(data: ReportData) -> list[tuple[str, str, str, str]]:
    """Where all that was delivered lies: place, files, rows, what that means; the last row is the sum."""
    quality, found = data.quality, dict(data.quality.places)
    files, rows = (sum(place[i] for place in found.values()) for i in (0, 1))
    if (files, rows) != (quality.files, quality.rows_read):
        found["unaccounted for"] = quality.files - files, quality.rows_read - rows
    meaning = {**_PLACES, "unaccounted for": "the lake may be damaged: retail-pipeline check says more"}
    last = f"the last of {day(quality.last_delivered)}" if quality.last_delivered else ""
    said = [(sentence(at)[:-1], count(n), count(rows), meaning[at]) for at, (n, rows) in found.items()]
    return [*said, ("Delivered", count(quality.files), count(quality.rows_read), last)]


def quality_words(data: ReportData) -> list[Point]:
    quality, points = data.quality, []
    if quality.refused:
        most_first = sorted(quality.refused.items(), key=lambda rule: (-rule[1], rule[0]))
        rules = "; ".join(f"{rule.replace('_', ' ')} {count(rows)}" for rule, rows in most_first)
        points.append(Point("Refused by", f"{rules}. A row that breaks two rules counts under both."))
    if quality.held_days:
        points.append(Point("Held days", f"{days(quality.held_days)}."))
    if quality.unread:
        files, named = plural(len(quality.unread), "more file"), listed(quality.unread[:MOST_NAMED])
        text = f"{files} could not be read, so nobody knows their rows: {named}."
        points.append(Point("Not read at all", text))
    if quality.anonymous_share is not None:
        sales = data.figure("anonymous_revenue_share")
        worth = "" if sales is None else f", {percent(sales)} of sales"
        text = f"{percent(quality.anonymous_share)} of lines{worth}: in the trends, in no segment."
        points.append(Point("Without a customer", text))
    if quality.last_delivered and quality.last_delivered < data.day:
        late = (data.day - quality.last_delivered).days
        points.append(Point("Late", f"Nothing was delivered for the last {plural(late, 'day')}."))
    return points + [Point("Warning", sentence(warning)) for warning in quality.warnings]


def curve_title(points: Sequence[Any], used: int) -> str:
    measured = [point for point in points if point.silhouette is not None]
    in_use = f"{plural(used, 'cluster')} in use" if used else "no clusters in use"
    if not measured:
        return sentence(in_use).removesuffix(".")
    best = max(measured, key=lambda point: (point.silhouette, -point.k))
    said = f"The silhouette is highest with {plural(best.k, 'cluster')} ({best.silhouette:.2f})"
    return f"{said}, the number in use" if used == best.k else f"{said}; {in_use}"

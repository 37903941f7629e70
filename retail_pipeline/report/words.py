"""The report in words: sentences made from the numbers.

Belongs here: every sentence whose content depends on the data. A word that compares (largest, fewest, more)
stands only where the comparison was computed. Does not belong here: how one number is written
(``formats.py``), fixed explanations (``page.html``), drawing (``figures.py``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import pandas as pd

from retail_pipeline.report.data import NEW, ReportData
from retail_pipeline.report.formats import (
    MONTHS,
    WEEKDAYS,
    ago,
    count,
    customers,
    day,
    listed,
    money,
    month,
    number,
    percent,
    plural,
    sentence,
)
from retail_pipeline.segmentation import LAPSED

# a segment slips away when its mean recency is at least this many times that of the average customer
SLIPPING = 1.2
# two figures less than this part of the larger apart are about the same
ABOUT = 0.1
# flows named in one sentence
MOST_NAMED = 3
NO_COMPARISON = "There is no snapshot of 30 days ago to compare with."
_TIMES = {1: "once", 2: "twice"}
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


def _known(value: Any) -> bool:
    return not pd.isna(value)


def _records(rows: pd.DataFrame) -> list[dict[Any, Any]]:
    return rows.to_dict("records")


def _only(rows: pd.DataFrame, column: str, lowest: bool = False) -> str | None:
    """The segment that alone has the highest (lowest) value of a column; None for a tie or no value."""
    values = rows[column].astype("float64")
    found = rows.loc[values == (values.min() if lowest else values.max()), "segment"]
    return str(found.iloc[0]) if len(found) == 1 else None


def _mean(rows: pd.DataFrame, feature: str) -> float:
    """The mean of a feature over the customers of some segments."""
    return float((rows[f"{feature}_mean"] * rows["customers"]).sum() / rows["customers"].sum())


def _against(value: float, other: float, more: str, less: str, same: str) -> str:
    """The word for a value beside another one; less than ABOUT of the larger apart, they are the same."""
    if abs(value - other) < ABOUT * max(abs(value), abs(other)) or value == other:
        return same
    return more if value > other else less


# the most valuable, and those who slip away


def in_a_line(row: Mapping[Any, Any] | pd.Series[Any]) -> str:
    """A segment of a profile: how many, their part of all, and of revenue."""
    revenue = f", {percent(row['revenue_share'])} of revenue" if _known(row["revenue_share"]) else ""
    return f"{row['segment']}: {customers(row['customers'])}, {percent(row['share'])} of all{revenue}"


def most_valuable(data: ReportData, segmentation: str) -> Point | None:
    """The segment of the highest mean spend: how many, what they bring, against the average customer."""
    active = data.active(segmentation)
    if active.empty:
        return None
    top, average = active.iloc[0], _mean(active, "monetary")
    said = f"{customers(top['customers'])}, {percent(top['share'])} of all"
    if _known(top["revenue_share"]):
        bring = "brings" if top["customers"] == 1 else "bring"
        said += f", {bring} {percent(top['revenue_share'])} of revenue"
    mean, median = (money(top[f"monetary_{kind}"], data.currency) for kind in ("mean", "median"))
    said += f": {mean} each on average (median {median})"
    if len(active) > 1 and average > 0:
        times = number(top["monetary_mean"] / average)
        said += f", {times} times the average customer ({money(average, data.currency)})"
    said += (
        f". They placed {number(top['frequency_mean'])} orders on average, the last "
        f"{ago(top['recency_days_mean'])}."
    )
    biggest = active.sort_values(["revenue", "segment"], ascending=[False, True]).iloc[0]
    if len(active) == 1:
        said += " Every customer who bought in the window is in this one segment."
    elif biggest["segment"] != top["segment"]:
        said += (
            f" More revenue in all comes from {biggest['segment']}: "
            f"{money(biggest['revenue'], data.currency)} from {customers(biggest['customers'])}."
        )
    return Point(str(top["segment"]), said)


def slipping(data: ReportData, segmentation: str) -> pd.DataFrame:
    """The segments that have not bought for clearly longer than the average customer; worth most each first.

    "Clearly" is SLIPPING times the mean recency of all who bought in the window.
    """
    active = data.active(segmentation)
    if active.empty:
        return active
    late = active["recency_days_mean"] >= SLIPPING * _mean(active, "recency_days")
    return active[late & (active["recency_days_mean"] > 0)].reset_index(drop=True)


def slipping_away(data: ReportData, segmentation: str) -> list[Point]:
    """A point for each segment that slips away: how many, how long ago, what is at stake."""
    active = data.active(segmentation)
    points = []
    for row in _records(slipping(data, segmentation)):
        more = _against(
            row["monetary_mean"], _mean(active, "monetary"), "more than", "less than", "about as much as"
        )
        said = (
            f"{customers(row['customers'])}, {percent(row['share'])} of all, last bought "
            f"{ago(row['recency_days_mean'])} on average (the average customer: "
            f"{ago(_mean(active, 'recency_days'))}). They spent {money(row['monetary_mean'], data.currency)} "
            f"each on average, {more} the average customer"
        )
        if _known(row["revenue_share"]):
            said += f", and {percent(row['revenue_share'])} of revenue in all"
        points.append(Point(str(row["segment"]), said + "."))
    return points


def nobody_slips(data: ReportData, segmentation: str) -> str:
    """What to say where no segment slips away."""
    active = data.active(segmentation)
    if active.empty:
        return "Nobody bought in the window, so nobody can slip away."
    return (
        f"Nobody: no segment's last order lies {percent(SLIPPING - 1)} longer back than that of the average "
        f"customer ({ago(_mean(active, 'recency_days'))})."
    )


# the profile of a segmentation


def shares_title(data: ReportData, segmentation: str) -> str:
    """The most valuable segment's part of customers and revenue."""
    top = data.active(segmentation).iloc[0]
    said = f"{top['segment']} are {percent(top['share'])} of customers"
    if _known(top["revenue_share"]):
        said += f" and bring {percent(top['revenue_share'])} of revenue"
    return said


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
    """The fullest cell of the grid of scores."""
    first = cells.sort_values(
        ["customers", "recency_score", "other_score"], ascending=[False, True, True]
    ).iloc[0]
    return (
        f"The fullest cell is {first['segment']}: {customers(first['customers'])} score "
        f"{first['recency_score']} on recency and {first['other_score']} on orders and spend"
    )


def _came_back(row: Mapping[Any, Any]) -> bool:
    """Is it sure that returns took back more than half of what a segment ordered?

    Who bought has at least one order, so what they ordered is on average no less than the mean order value.
    """
    return bool(row["avg_order_value_mean"] > 2 * row["monetary_mean"])


def profile_words(data: ReportData, segmentation: str) -> list[tuple[str, list[str]]]:
    """A paragraph a segment: how many, purchases, spend, order size; comparisons where they hold."""
    active, currency = data.active(segmentation), data.currency

    def only(name: str, column: str, most: str, least: str) -> str:
        if len(active) > 1 and _only(active, column) == name:
            return f", {most}"
        return f", {least}" if len(active) > 1 and _only(active, column, lowest=True) == name else ""

    paragraphs = []
    for row in _records(active):
        name = row["segment"]
        size = only(name, "customers", "the largest group", "the smallest group")
        orders = only(name, "frequency_mean", "the most of all groups", "the fewest of all groups")
        spend = only(name, "monetary_mean", "the most of all groups", "the least of all groups")
        brings = (
            f", and bring {percent(row['revenue_share'])} of revenue" if _known(row["revenue_share"]) else ""
        )
        said = [
            f"{customers(row['customers'])}, {percent(row['share'])} of all{size}.",
            f"They place {number(row['frequency_mean'])} orders on average{orders}.",
            f"They spend {money(row['monetary_mean'], currency)} each on average{spend}{brings}.",
        ]
        if _known(row["avg_order_value_mean"]):
            value = only(
                name, "avg_order_value_mean", "the largest orders of all", "the smallest orders of all"
            )
            said.append(f"An order is {money(row['avg_order_value_mean'], currency)} on average{value}.")
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
    rows: Mapping[str, dict[Any, Any]] = {row["segment"]: row for row in _records(active)}
    average, usual = _mean(active, "monetary"), _mean(active, "frequency")
    largest, smallest = _only(active, "customers"), _only(active, "customers", lowest=True)
    said: dict[str, str] = {}
    if driver := _only(active, "revenue"):
        part = rows[driver]["revenue_share"]
        size = {largest: " and the largest group", smallest: " and the smallest group"}.get(driver, "")
        brings = f"{percent(part)} of revenue" if _known(part) else "the most revenue"
        said[driver] = (
            f"the biggest revenue driver{size}: {brings} from {percent(rows[driver]['share'])} of customers"
        )
    if (top := _only(active, "monetary_mean")) and average > 0:
        each = rows[top]["monetary_mean"]
        times = f"{number(each / average)} times the average customer"
        text = f"worth most on average: {money(each, data.currency)} each, {times}"
        said.setdefault(top, text)
    if largest:
        least = _only(active, "frequency_mean", lowest=True) == largest
        text = (
            f"the largest group{' and the least engaged' if least else ''}: "
            f"{customers(rows[largest]['customers'])}, {number(rows[largest]['frequency_mean'])} orders "
            "on average"
        )
        said.setdefault(largest, text)
    if bigger := _only(active, "avg_order_value_mean"):
        orders, value = rows[bigger]["frequency_mean"], rows[bigger]["avg_order_value_mean"]
        often = _against(orders, usual, "more often than", "less often than", "about as often as")
        text = (
            f"the largest orders of all ({money(value, data.currency)}), placed {often} the average customer "
            f"does ({number(orders)} orders against {number(usual)})"
        )
        if _came_back(rows[bigger]):
            text = (
                f"most of what they ordered came back: {money(value, data.currency)} an order, but "
                f"{money(rows[bigger]['monetary_mean'], data.currency)} spent on average"
            )
        said.setdefault(bigger, text)
    first, second = active["segment"].iloc[:2]
    text = (
        f"next in spend after {first}: {money(rows[second]['monetary_mean'], data.currency)} each on average"
    )
    said.setdefault(second, text)
    return [Point(segment, sentence(text)) for segment, text in said.items()]


# what changed


@dataclass(frozen=True)
class Change:
    """The moves since an earlier day, added up; who is new has not moved.

    ``lapsed`` and ``returned`` are among the ``moved``, and each of these moved by behaviour or by the model.
    """

    since: date
    then: int
    now: int
    joined: int
    lapsed: int
    returned: int
    moved: int
    by_behaviour: int
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
    """The moves of one segmentation since a month ago; None without an earlier snapshot."""
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
        by_behaviour=total(away & ~new, "by_behaviour"),
        by_model=total(away & ~new, "by_model"),
    )


def changes(data: ReportData, segmentation: str) -> list[Point]:
    """What changed since a month ago, for the reader who looks once a month."""
    total = change(data, segmentation)
    if total is None:
        return [Point("No comparison yet", NO_COMPARISON)]
    since = day(total.since)
    points = [
        Point(f"{customers(total.joined)} joined", f"{count(total.then)} on {since}, {count(total.now)} now.")
    ]
    if total.lapsed:
        points.append(
            Point(f"{customers(total.lapsed)} lapsed", "Their last order is now older than the window.")
        )
    if total.returned:
        points.append(Point(f"{customers(total.returned)} returned", "They had lapsed, and bought again."))
    if not total.moved:
        text = f"All who were customers on {since} are where they were."
        return [*points, Point("Nobody changed segment", text)]
    text = (
        f"{percent(total.moved / total.then)} of those who were there: {count(total.by_behaviour)} by their "
        f"behaviour, {count(total.by_model)} because a newer model draws its lines elsewhere."
    )
    moves = flows(data.moves(segmentation))
    first = _records(moves[moves["from_segment"] != NEW].head(MOST_NAMED))
    largest = [f"{row['from_segment']} to {row['to_segment']} ({count(row['customers'])})" for row in first]
    head = "The largest flows" if len(first) > 1 else "The only flow"
    points += [
        Point(f"{customers(total.moved)} changed segment", text),
        Point(head, f"{listed(largest)}."),
    ]
    return points + _gains(data, segmentation)


def _gains(data: ReportData, segmentation: str) -> list[Point]:
    """How many the most valuable segment, and those slipping away, gained and lost."""
    moves, slips = flows(data.moves(segmentation)), list(slipping(data, segmentation)["segment"])
    points = []
    for segment in dict.fromkeys([*data.active(segmentation)["segment"].head(1), *slips]):
        gained = moves.loc[moves["to_segment"] == segment, "customers"].sum()
        lost = moves.loc[moves["from_segment"] == segment, "customers"].sum()
        what = "slipping away" if segment in slips else "the most valuable"
        sign = "+" if gained > lost else ""
        text = f"{count(gained)} came in, {count(lost)} left: {sign}{count(gained - lost)}."
        points.append(Point(f"{segment} ({what})", text))
    return points


def flows_title(data: ReportData, segmentation: str) -> str:
    """How many moved, and the largest flow."""
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
    """The page in a few sentences."""
    if not data.segmentations:
        return [Point("No customers yet", f"Nobody has bought anything up to {day(data.day)}.")]
    leading = data.segmentations[0]
    active, points = data.active(leading), []
    if len(active):
        points.append(Point("Most valuable", f"{in_a_line(active.iloc[0])}."))
        others = active.iloc[1:]
        largest = others[others["segment"] == _only(active, "customers")]
        points += [Point("Largest group", f"{in_a_line(row)}.") for row in _records(largest)]
    points.append(Point("Slipping away", _slipping_words(data, leading)))
    if total := change(data, leading):
        text = f"{customers(total.joined)} joined, "
        text += f"{count(total.lapsed)} lapsed, " if total.lapsed else ""
        text += f"{count(total.moved)} changed segment"
        if total.moved:
            text += (
                f" ({count(total.by_behaviour)} by their behaviour, {count(total.by_model)} by a newer model)"
            )
        points.append(Point(f"Since {day(total.since)}", f"{text}."))
    else:
        points.append(Point("Since last month", NO_COMPARISON))
    points.append(Point("Coming back", " ".join(retention_words(data))))
    return [*points, Point("Lists", lists_words(data))]


def _slipping_words(data: ReportData, segmentation: str) -> str:
    gone, active = slipping(data, segmentation), data.active(segmentation)
    if gone.empty:
        return nobody_slips(data, segmentation)
    who = listed([f"{row['segment']} ({count(row['customers'])})" for row in _records(gone)])
    brings = gone["revenue_share"]
    share = f" and {percent(brings.sum())} of revenue" if brings.notna().all() else ""
    theirs, usual = ago(_mean(gone, "recency_days")), ago(_mean(active, "recency_days"))
    part = percent(gone["share"].sum())
    return f"{who}: {part} of customers{share}, last bought {theirs} on average, against {usual} over all."


def coming_back(data: ReportData) -> list[str]:
    """Revenue from repeat customers, the customers lost within a year, and those who ordered once."""
    said = []
    if (repeat := data.figure("repeat_revenue_share")) is not None:
        said.append(f"{percent(repeat)} of revenue comes from customers with more than one order.")
    if (lost := data.figure("lost_share_of_year")) is not None:
        said.append(
            f"Of those who bought in the year before the last 365 days, {percent(lost)} have not since."
        )
    if (once := data.figure("one_order_share")) is not None:
        said.append(f"{percent(once)} of customers have ordered once.")
    return said


def lists_words(data: ReportData) -> str:
    """How many lists are ready, for how many customers."""
    filled = [one for one in data.lists if one.customers]
    if not filled and data.quality.held_days:
        held = listed([day(one) for one in data.quality.held_days])
        return f"No lists were made. Held back (see data quality): {held}."
    if not filled:
        return "No lists were made for this day."
    people, control = sum(one.customers for one in filled), sum(one.control for one in filled)
    ready = (
        f"{plural(len(filled), 'list')} with {customers(people)} {'is' if len(filled) == 1 else 'are'} ready"
    )
    empty = [one.campaign for one in data.lists if not one.customers]
    without = f" Nobody is on {listed(empty)}." if empty else ""
    return f"{ready}, {count(control)} of them held out as control.{without}"


# retention, trends


def month_under_way(on: date) -> str:
    """The month that is not over on a day; the month after where the day is its month's last."""
    return (on + timedelta(days=1)).isoformat()[:7]


def _complete(data: ReportData, cohorts: pd.DataFrame) -> pd.DataFrame:
    """The months after a first purchase that are over."""
    return cohorts[(cohorts["month"] < month_under_way(data.day)) & (cohorts["months_since"] > 0)]


def retention_words(data: ReportData) -> list[str]:
    """How many of a month's new customers buy again one, three, six and twelve months later."""
    complete = _complete(data, data.table("cohort_retention"))
    said = []
    for months, when in RETURNS.items():
        rows = complete[complete["months_since"] == months]
        if len(rows):
            said.append(f"{percent(rows['customers'].sum() / rows['cohort_customers'].sum())} {when}")
    if not said:
        return ["No month after a first purchase is complete yet."]
    return [f"Of a month's new customers, {listed(said)}."]


def retention_title(data: ReportData) -> str:
    """The largest month of new customers, and how many of them bought in its last complete month."""
    complete = _complete(data, data.cohorts())
    if complete.empty:
        first = data.cohorts().iloc[0]
        return f"{customers(first['cohort_customers'])} bought first in {month(first['cohort_month'])}"
    order = ["cohort_customers", "cohort_month", "month"]
    last = complete.sort_values(order, ascending=[False, True, False]).iloc[0]
    return (
        f"Of {customers(last['cohort_customers'])} who first bought in {month(last['cohort_month'])}, "
        f"{percent(last['rate'])} bought in {month(last['month'])}"
    )


def trend_title(data: ReportData, dimension: str) -> str:
    """When the shop has most invoices."""
    table = data.table("sales_trends")
    rows = table[table["dimension"] == dimension].sort_values("position")
    most = rows["invoices"].max()
    top = [_when(dimension, row) for row in _records(rows[rows["invoices"] == most])]
    share = f"{percent(most / rows['invoices'].sum())} of all"
    if len(top) > 1:
        return f"{listed(top)} are the busiest: {plural(most, 'invoice')} each, {share}"
    return f"{top[0]} is the busiest: {plural(most, 'invoice')}, {share}"


def _when(dimension: str, row: Mapping[Any, Any]) -> str:
    position = int(row["position"])
    if dimension == "weekday":
        return WEEKDAYS[position - 1]
    if dimension == "month":
        return MONTHS[position - 1]
    return f"{position}:00 to {position + 1}:00" if dimension == "hour" else str(row["label"]).split(" (")[0]


def uneven_months(data: ReportData) -> str:
    """A caution where some months of the year stand in the window more often than others."""
    months = data.table("cohort_retention")["month"]
    if months.empty:
        return ""
    first = pd.Timestamp(f"{months.min()}-01")
    if data.window_days is not None:
        first = max(first, pd.Timestamp(data.day) - pd.Timedelta(days=data.window_days - 1))
    seen = pd.Series(pd.period_range(first, pd.Timestamp(data.day), freq="M").month).value_counts()
    most = sorted(int(position) for position in seen.index[seen == seen.max()])
    if seen.max() == 1 or len(most) == 12:
        return ""
    names = listed([MONTHS[position - 1] for position in most])
    times, fewer = (_TIMES.get(int(n), f"{n} times") for n in (seen.max(), seen.max() - 1))
    return f"The window has {names} {times} and the other months {fewer}: compare months with care."


# rankings, distribution, outliers


def ranking_title(data: ReportData, ranking: str, shown: int) -> str:
    """What the first customers of a ranking say about being first."""
    table = data.table("customer_rankings")
    table = table[table["rank"] <= shown]
    rows = table[table["ranking"] == ranking]
    who = "customer" if len(rows) == 1 else f"{len(rows)} customers"
    if ranking == "average":
        once = int((rows["frequency"] == 1).sum()) or "none"
        return f"Of the {who} with the largest orders, {once} ordered only once"
    spenders = table[table["ranking"] == "total"]
    if ranking == "orders":
        both = len(set(rows["customer_id"]) & set(spenders["customer_id"])) or "none"
        verb = "is" if both == 1 else "are"
        return f"Of the {who} who order most often, {both} {verb} among those who spend most"
    revenue = data.figure("customer_revenue")
    share = f" brought {percent(spenders['monetary'].sum() / revenue)} of revenue" if revenue else ""
    return f"The {who} who spent most{share}"


def product(row: Mapping[Any, Any]) -> str:
    """A product's description, or its code where it has none."""
    return str(row["description"] if _known(row["description"]) else row["product_id"])


def product_value(row: Mapping[Any, Any], ranking: str, currency: str) -> str:
    """What a product is ranked by, in words."""
    if ranking == "revenue":
        return money(row["revenue"], currency)
    return plural(row[ranking], ranking.removesuffix("s"))


def product_title(data: ReportData, ranking: str) -> str:
    """The first product of a ranking."""
    table = data.table("product_rankings")
    (first,) = _records(table[(table["ranking"] == ranking) & (table["rank"] == 1)])
    return f"{product(first)} leads by {ranking}: {product_value(first, ranking, data.currency)}"


def densest(data: ReportData) -> tuple[str, str] | None:
    """Where customers crowd: the range of orders, and that of spend."""
    cells = data.table("spend_distribution")
    dense = cells[cells["densest"].astype(bool)]
    if dense.empty:
        return None
    low, high = int(dense["orders_from"].min()), dense["orders_to"].max(skipna=False)
    if not _known(high):
        orders = f"{low} orders and more"
    else:
        between = "or" if high == low + 1 else "to"
        orders = plural(low, "order") if high == low else f"{low} {between} {int(high)} orders"
    start, end = money(dense["spend_from"].min(), data.currency), dense["spend_to"].max(skipna=False)
    return orders, f"{start} to {money(end, data.currency)}" if _known(end) else f"{start} and more"


def distribution_title(data: ReportData) -> str:
    """The densest region, in words."""
    cells, region = data.table("spend_distribution"), densest(data)
    everyone = cells["customers"].sum()
    if region is None:
        return f"Where {customers(everyone)} stand by orders and spend"
    inside = cells.loc[cells["densest"].astype(bool), "customers"].sum()
    return f"{percent(inside / everyone)} of customers place {region[0]} and spend {region[1]}"


def outliers(data: ReportData) -> list[Point]:
    """Do the biggest spenders and the largest orders come back; do the most frequent pay more?"""
    once = data.figure("one_order_share")
    points = []
    for figure, question, who in (
        ("big_spenders_one_order_share", "Do the biggest spenders come back?", "spend most"),
        (
            "big_orders_one_order_share",
            "Do those with the largest orders come back?",
            "have the largest orders",
        ),
    ):
        theirs = data.figure(figure)
        if theirs is not None and once is not None:
            often = _against(theirs, once, "less often", "more often", "about as often")
            said = (
                f"Of the tenth of customers who {who}, {percent(theirs)} ordered once, against "
                f"{percent(once)} of all: they come back {often}."
            )
            points.append(Point(question, said))
    frequent, rest = data.figure("most_frequent_avg_order_value"), data.figure("others_avg_order_value")
    if frequent is not None and rest is not None:
        a, b = money(frequent, data.currency), money(rest, data.currency)
        pay = _against(frequent, rest, "more", "less", "about as much")
        said = f"An order of the tenth who order most often is {a} on average, of the others {b}"
        points.append(Point("Do the most frequent pay more?", f"{said}: they pay {pay} for an order."))
    return points


# the state of the data, the models


def quality_words(data: ReportData) -> list[Point]:
    """What arrived, what was refused, what is held back."""
    quality = data.quality
    last = f", the last for {day(quality.last_delivered)}" if quality.last_delivered else ""
    rows = f"{plural(quality.files, 'file')} with {plural(quality.rows_read, 'row')}{last}."
    points = [
        Point("Delivered", rows),
        Point("Used", f"{plural(quality.transactions, 'transaction line')}."),
    ]
    if quality.refused:
        most_first = sorted(quality.refused.items(), key=lambda rule: (-rule[1], rule[0]))
        rules = "; ".join(f"{rule.replace('_', ' ')} {count(rows)}" for rule, rows in most_first)
        rows = f"{plural(quality.refused_rows, 'row')}. By rule: {rules}."
        points.append(Point("Refused", f"{rows} A row that breaks two rules counts under both."))
    else:
        points.append(Point("Refused", "None."))
    unreadable = f"{plural(quality.unreadable, 'row')}." if quality.unreadable else "None."
    points.append(Point("Unreadable", unreadable))
    if quality.left_out:
        points.append(Point("Left out", f"{plural(quality.left_out, 'row')}, by keep_rows or as totals."))
    if quality.held_days:
        held = listed([day(one) for one in quality.held_days])
        lines = plural(quality.held_lines, "line")
        points.append(
            Point("Held back", f"{held}, {lines}: not in these figures until somebody releases them.")
        )
    titles = {"in quarantine": "Held in quarantine", "rejected": "Rejected", "replaced": "Replaced"}
    for why, title in titles.items():
        if why in quality.apart:
            files, apart = quality.apart[why]
            points.append(Point(title, f"{plural(files, 'file')}, {plural(apart, 'row')}."))
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
    """The number of clusters with the highest silhouette, and the number in use."""
    measured = [point for point in points if point.silhouette is not None]
    in_use = f"{plural(used, 'cluster')} in use" if used else "no clusters in use"
    if not measured:
        return sentence(in_use).removesuffix(".")
    best = max(measured, key=lambda point: (point.silhouette, -point.k))
    said = f"The silhouette is highest with {plural(best.k, 'cluster')} ({best.silhouette:.2f})"
    return f"{said}, the number in use" if used == best.k else f"{said}; {in_use}"

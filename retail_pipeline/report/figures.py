"""The report's figures: which pictures belong to a table, and how each is drawn."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from retail_pipeline.planning.masking import mask
from retail_pipeline.report import formats, words
from retail_pipeline.report.data import NEW, ReportData
from retail_pipeline.report.drawing import (
    LABELS,
    PHONE,
    SMALL,
    TEXT,
    Drawing,
    baseline,
    cell,
    column_labels,
    frame,
    label,
    matrix,
    note,
    panel,
    png,
    row_labels,
    rows_panel,
    shades,
    sheet,
    style,
    wrapped,
)
from retail_pipeline.report.formats import known, records
from retail_pipeline.report.palette import (
    ACCENT,
    ALARM,
    EMPTY,
    FAINT,
    INK,
    MUTED,
    PALE_ACCENT,
    PAPER,
    colours,
    on,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

RANKED = 10
# columns of a grid whose cells have room for a name
NAMED = 6
PRODUCT_LETTERS = 25
# of customers: by which column
RANKINGS = {"total": "monetary", "average": "spend_per_order", "orders": "frequency"}

# draws one of something's figures, by name, where there is anything to draw
Draw = Callable[[ReportData, str], Drawing | None]

# the features a method looks at: the lines of its figure of sizes
LINES = {
    "spend_profile": ("frequency", "monetary", "avg_order_value"),
    "spend_tiers": ("frequency", "monetary", "avg_order_value"),
}
RFM_LINES = ("recency_days", "frequency", "monetary")
FEATURES = {
    "recency_days": "last order,\ndays ago",
    "frequency": "orders",
    "monetary": "spend,\n{}",
    "avg_order_value": "per order,\n{}",
}


@lru_cache(maxsize=16)  # the page and the Dagster UI show the same figures, and drawing takes the longest
def drawings(table: str, data: ReportData) -> tuple[Drawing, ...]:
    """The figures that belong to a table, in the page's order; none where there is nothing to draw."""
    made = []
    with style():
        for draw, over in FIGURES.get(table, ()):
            made += [draw(data, name) for name in (getattr(data, over) if isinstance(over, str) else over)]
    return tuple(drawing for drawing in made if drawing)


def figures_of(table: str, data: ReportData) -> Mapping[str, bytes]:
    return {drawing.heading: png(drawing) for drawing in drawings(table, data)}


def _colours(data: ReportData, segmentation: str) -> dict[str, str]:
    return colours(data.method(segmentation), data.names(segmentation))


def _alt(parts: Iterable[str]) -> str:
    return f"{'; '.join(parts)}."


# segment_profiles


def _shares(data: ReportData, segmentation: str) -> Drawing | None:
    """Two bars a segment: its share of the customers, and that of the revenue."""
    if data.active(segmentation).empty:
        return None
    profile, colour = data.profile(segmentation), _colours(data, segmentation)
    revenue = profile["revenue_share"].astype("float64").fillna(0.0)
    height, said = 32.0, []
    figure = sheet(22 + height * len(profile))
    ends = (min(0.0, revenue.min()), max(profile["share"].max(), revenue.max(), 0.01))
    axes = rows_panel(figure, LABELS, 20, PHONE - LABELS - 78, height, len(profile), ends)
    for i, row in enumerate(records(profile)):
        fill = colour[row["segment"]]
        size, brings = formats.percent(row["share"]), formats.label_money(row["revenue"], data.currency)
        text = f"{row['segment']}: {size} of customers"
        if known(row["revenue_share"]):
            part = formats.percent(row["revenue_share"])
            brings, text = f"{part} · {brings}", f"{text}, {part} of revenue"
        said.append(text)
        axes.plot([0, 0], [i - 0.37, i + 0.37], color=fill, linewidth=1.5, solid_capstyle="butt")
        for y, value, shown, alpha in (
            (i - 0.2, row["share"], f"{size} · {formats.short_count(row['customers'])}", 0.35),
            (i + 0.2, revenue[i], brings, 1.0),
        ):
            axes.barh(y, value, 0.34, color=fill, alpha=alpha, edgecolor=MUTED, linewidth=0.5)
            label(axes, shown, (max(value, 0), y), (4, 0))
    row_labels(axes, list(profile["segment"]))
    note(figure, LABELS, 4, f"light: of customers · solid: of revenue, {data.currency}")
    title = words.shares_title(data, segmentation)
    return Drawing(f"shares-{segmentation}", title, _alt(said), figure, segmentation)


def _sizes(data: ReportData, segmentation: str) -> Drawing | None:
    """Bars of the segments' sizes, and beside them a line for the mean of each feature."""
    active = data.active(segmentation)
    if active.empty:
        return None
    fills = [_colours(data, segmentation)[segment] for segment in active["segment"]]
    features = LINES.get(data.method(segmentation), RFM_LINES)
    height, wide, top = 28.0, 57.0, 28.0
    bars = PHONE - LABELS - len(features) * wide
    figure = sheet(top + height * len(active) + 4)
    axes = rows_panel(figure, LABELS, top, bars - 30, height, len(active), (0, active["customers"].max()))
    axes.barh(range(len(active)), active["customers"], 0.62, color=fills, edgecolor=MUTED, linewidth=0.5)
    for i, size in enumerate(active["customers"]):
        label(axes, formats.short_count(size), (size, i), (3, 0))
    row_labels(axes, list(active["segment"]))
    note(figure, LABELS, 4, "customers")
    for k, feature in enumerate(features):
        values = active[f"{feature}_mean"].astype("float64")
        left = LABELS + bars + k * wide
        ends = (min(0.0, values.min()), max(values.max(), 1e-9))
        line = rows_panel(figure, left + 8, top, wide - 14, height, len(active), ends)
        baseline(line, vertical=True)
        line.plot(values, range(len(active)), color=MUTED, linewidth=1)
        line.scatter(values, range(len(active)), s=22, color=fills, edgecolors=INK, linewidths=0.5, zorder=3)
        for i, value in enumerate(values):
            right = value > sum(ends) / 2
            align, shift = ("right", -6) if right else ("left", 6)
            behind = {"facecolor": PAPER, "edgecolor": "none", "pad": 1.5}
            text = _feature_text(feature, value, data.currency)
            label(line, text, (value, i), (shift, 0), align=align, bbox=behind)
        note(figure, left + 6, 4, FEATURES[feature].format(data.currency))
    heads = {feature: " ".join(FEATURES[feature].format(data.currency).split()) for feature in features}
    said = [
        f"{row['segment']}: {formats.customers(row['customers'])}; "
        + ", ".join(
            f"{head} {_feature_text(feature, row[f'{feature}_mean'], data.currency)}"
            for feature, head in heads.items()
        )
        for row in records(active)
    ]
    title = words.sizes_title(data, segmentation, features[0])
    return Drawing(f"sizes-{segmentation}", title, _alt(said), figure, segmentation)


def _feature_text(feature: str, value: float, currency: str) -> str:
    if feature in ("monetary", "avg_order_value"):
        return formats.label_money(value, currency)
    return formats.number(value)


def _grid(data: ReportData, segmentation: str) -> Drawing | None:
    """Customers by score of recency and by the other score; a cell is named after its commonest segment."""
    table, by = data.table("rf_grid"), ["recency_score", "other_score"]
    cells = table[table["segmentation"] == segmentation]
    if cells.empty:
        return None
    ordered = cells.sort_values([*by, "customers", "segment"], ascending=[True, True, False, True])
    merged = ordered.groupby(by, as_index=False).agg({"customers": "sum", "segment": "first"})
    recent = sorted(int(score) for score in merged["recency_score"].unique())
    others = sorted((int(score) for score in merged["other_score"].unique()), reverse=True)
    colour, height = _colours(data, segmentation), 46.0
    figure = sheet(height * len(others) + 40)
    axes = matrix(figure, 36, 4, len(recent), len(others), height)
    named = len(recent) <= NAMED
    for row, shade in zip(records(merged), shades(merged["customers"]), strict=True):
        x, y = recent.index(row["recency_score"]), others.index(row["other_score"])
        cell(axes, x, y, shade)
        look: dict[str, Any] = {"color": on(shade), "align": "center"}
        label(axes, formats.short_count(row["customers"]), (x, y), (0, 8 * named), size=TEXT, **look)
        if named:
            label(axes, wrapped(row["segment"], 12), (x, y), (0, -9), size=7, **look)
        line = colour.get(row["segment"], MUTED)
        axes.plot([x - 0.46, x + 0.46], [y - 0.45] * 2, color=line, linewidth=3, solid_capstyle="butt")
    column_labels(axes, [str(score) for score in recent], size=TEXT)
    row_labels(axes, [str(score) for score in others], color=MUTED)
    note(figure, 36, height * len(others) + 24, "score of recency (highest: bought last)")
    side = {"rotation": 90, "color": MUTED, "va": "center"}
    label(axes, "score of orders and spend", (0, (len(others) - 1) / 2), (-24, 0), "row", "center", **side)
    said = [
        f"recency {row['recency_score']}, other {row['other_score']}: {formats.count(row['customers'])} "
        f"({row['segment']})"
        for row in records(merged)
    ]
    return Drawing(f"grid-{segmentation}", words.grid_title(merged), _alt(said), figure, segmentation)


# segment_migration


def _flows(data: ReportData, segmentation: str) -> Drawing | None:
    """From (rows) and to (columns); who stayed is grey, so that the moves show."""
    moves = data.moves(segmentation)
    if moves.empty:
        return None
    left, arrived = set(moves["from_segment"]), set(moves["to_segment"])
    profiled = list(data.profile(segmentation)["segment"])
    order = [NEW, *profiled, *sorted((left | arrived) - {NEW, *profiled})]
    rows, columns = [s for s in order if s in left], [s for s in order if s in arrived]
    head, height = 92.0, 22.0
    figure = sheet(head + height * len(rows) + 4)
    axes = matrix(figure, LABELS, head, len(columns), len(rows), height)
    away = words.flows(moves)
    shade = dict(zip(away.index, shades(away["customers"]), strict=True))
    frame(axes, 0, 0, len(columns) - 1, len(rows) - 1, facecolor=EMPTY)
    for at, row in moves.iterrows():
        x, y = columns.index(row["to_segment"]), rows.index(row["from_segment"])
        look = {} if at in shade else {"color": MUTED}
        cell(axes, x, y, shade.get(at, FAINT), formats.short_count(row["customers"]), **look)
    row_labels(axes, rows)
    column_labels(axes, [wrapped(name) for name in columns], above=True, rotation=90, size=TEXT, color=INK)
    note(figure, 4, head - 36, "from (row)\nto (column)\ngrey: stayed")
    said = [
        f"{row['from_segment']} to {row['to_segment']}: {formats.count(row['customers'])}"
        for row in records(away.head(RANKED))
    ] or ["nobody moved"]
    title = words.flows_title(data, segmentation)
    return Drawing(f"flows-{segmentation}", title, _alt(said), figure, segmentation)


# cohort_retention


def _cohorts(data: ReportData, name: str) -> Drawing | None:
    """A row a month of first purchase, a column a month since; what is not whole, or not new, is grey."""
    cohorts = data.cohorts()
    if cohorts.empty:
        return None
    sizes = cohorts.drop_duplicates("cohort_month").set_index("cohort_month")["cohort_customers"].sort_index()
    months = int(cohorts["months_since"].max())
    shown = cohorts[cohorts["months_since"] > 0]
    rows, height, left = list(sizes.index), 19.0, 80.0
    figure = sheet(22 + height * len(rows) + 4)
    axes = matrix(figure, left, 20, max(months, 1), len(rows), height)
    # squared, because shades take the square root: rates are to be compared as they are
    for row, shade in zip(records(shown), shades(shown["rate"] ** 2), strict=True):
        counts = row["whole"] and not row["left_censored"]
        look = {} if counts else {"color": MUTED, "style": "normal" if row["whole"] else "italic"}
        x, y = int(row["months_since"]) - 1, rows.index(row["cohort_month"])
        cell(axes, x, y, EMPTY if look else shade, f"{100 * row['rate']:.0f}", **look)
    for y, (month, size) in enumerate(sizes.items()):
        label(axes, str(month), (0, y), (4 - left, 0), "row", size=TEXT)
        label(axes, formats.short_count(size), (0, y), (-5, 0), "row", "right", color=MUTED)
    column_labels(axes, [f"+{x + 1}" for x in range(months)], above=True)
    note(figure, 4, 6, "first bought, new")
    first = shown[shown["cohort_month"] == rows[0]]
    said = [
        f"{row['cohort_month']} in {row['month']}: {formats.percent(row['rate'])}" for row in records(first)
    ]
    alt = f"Rows: month of the first purchase; columns: months since; per cent who bought. {'; '.join(said)}."
    return Drawing(name, words.retention_title(data), alt, figure)


# sales_periods


def _revenue(data: ReportData, name: str) -> Drawing | None:
    """A bar a month; those that are not whole are pale."""
    table = data.table("sales_periods")
    rows = table[table["kind"] == "month"].sort_values("first_day").reset_index(drop=True)
    values = rows["revenue"].astype("float64")
    if not values.any():
        return None
    figure = sheet(140)
    ends = (min(0.0, values.min()), max(1.15 * values.max(), 1e-9))
    axes = panel(figure, 4, 18, PHONE - 8, 90, (-0.5, len(rows) - 0.5), ends)
    axes.bar(
        range(len(rows)), values, 0.72, color=[ACCENT if whole else PALE_ACCENT for whole in rows["whole"]]
    )
    baseline(axes)
    note(figure, 4, 2, f"revenue, {data.currency}; pale: not whole")
    for x, value in enumerate(values):
        if len(rows) <= 8 or value == values.max() or x == len(rows) - 1:
            text = formats.label_money(value, data.currency, 1e3)
            label(axes, text, (x, max(value, 0)), (0, 2), align="center", va="bottom")
    each = 1 + (len(rows) - 1) // 13
    names = [
        f"{formats.MONTHS[first.month - 1][:3]}\n{first.year}" if (len(rows) - 1 - x) % each == 0 else ""
        for x, first in enumerate(rows["first_day"])
    ]
    column_labels(axes, names, size=SMALL - 1.4 * (len(rows) > 8))
    said = [
        f"{formats.month(str(row['first_day']))}: {formats.money(row['revenue'], data.currency)}"
        + ("" if row["whole"] else ", not whole")
        for row in records(rows)
    ]
    return Drawing(name, words.revenue_title(data), _alt(said), figure)


# sales_trends


def _trend(data: ReportData, dimension: str) -> Drawing | None:
    """Bars of the orders and of the sales a day; of hours, in all."""
    rows = words.compared(data, dimension).reset_index(drop=True)
    if not (rows["orders"] > 0).any():
        return None
    names = [str(name).replace(" (", "\n(") for name in rows["label"]]
    a_day = " a day"
    if dimension == "hour":
        sold, a_day = rows.index[rows["orders"] > 0], ""
        rows = rows.loc[sold.min() : sold.max()].reset_index(drop=True)
        names = ["" if len(rows) > 12 and i % 2 else str(hour) for i, hour in enumerate(rows["position"])]
    elif dimension != "season":
        names = [
            f"{name}\n{days}{' d' * (len(rows) < 9)}" for name, days in zip(names, rows["days"], strict=True)
        ]
    figure = sheet(178)
    for column, top, tall, fill, head in (
        ("orders", 18.0, 74.0, ACCENT, f"orders{a_day}"),
        ("sales", 114.0, 40.0, PALE_ACCENT, f"sales{a_day}, {data.currency}"),
    ):
        values = rows[column].astype("float64")
        ends = (0.0, max(1.15 * values.max(), 1e-9))
        axes = panel(figure, 4, top, PHONE - 8, tall, (-0.5, len(rows) - 0.5), ends)
        axes.bar(range(len(rows)), values, 0.72, color=fill)
        baseline(axes)
        note(figure, 4, top - 16, head)
        for x, value in enumerate(values):
            if len(rows) <= 12 or value == values.max():
                count = formats.number if value < 100 and dimension != "hour" else formats.short_count
                text = formats.label_money(value, data.currency) if column == "sales" else count(value)
                size = SMALL - 0.8 * (len(rows) > 7)
                label(axes, text, (x, value), (0, 2), align="center", va="bottom", size=size)
    column_labels(axes, names)
    said = [
        f"{row['label']}: {formats.number(row['orders'])} orders{a_day}, "
        f"{formats.money(row['sales'], data.currency)}, {formats.plural(row['days'], 'day')}"
        for row in records(rows)
    ]
    return Drawing(f"trend-{dimension}", words.trend_title(data, dimension), _alt(said), figure)


# customer_rankings, product_rankings


def _bars(
    name: str, title: str, names: Sequence[str], values: Sequence[float], texts: Sequence[str], left: float
) -> Drawing:
    height = 20.0
    figure = sheet(height * len(names) + 4)
    ends = (0.0, max(*values, 1e-9))
    axes = rows_panel(figure, left, 2, PHONE - left - 96, height, len(names), ends)
    lengths = [max(value, 0.0) for value in values]
    axes.barh(range(len(names)), lengths, 0.66, color=ACCENT)
    for y, (named, length, text) in enumerate(zip(names, lengths, texts, strict=True)):
        label(axes, named, (0, y), (3 - left, 0), "row", size=TEXT if left < LABELS else SMALL - 0.6)
        label(axes, text, (length, y), (4, 0))
    said = [f"{named}: {text}" for named, text in zip(names, texts, strict=True)]
    return Drawing(name, title, _alt(said), figure)


def _customers(data: ReportData, ranking: str) -> Drawing | None:
    table, currency = data.table("customer_rankings"), data.currency
    rows = records(table[table["ranking"] == ranking].sort_values("rank").head(RANKED))
    if not rows:
        return None
    column, texts = RANKINGS[ranking], []
    for row in rows:
        orders = formats.plural(row["frequency"], "order")
        spend = formats.label_money(row["monetary"], currency)
        value = formats.label_money(row[column], currency, 1e6)
        texts.append(f"{orders}, {spend}" if ranking == "orders" else f"{value}, {orders}")
    names = [f"#{row['rank']}  {mask(str(row['customer_id']))}" for row in rows]
    title, values = words.ranking_title(data, ranking, RANKED), [float(row[column]) for row in rows]
    return _bars(f"customers-{ranking}", title, names, values, texts, 66)


def _products(data: ReportData, ranking: str) -> Drawing | None:
    table = data.table("product_rankings")
    rows = records(table[table["ranking"] == ranking].sort_values("rank").head(RANKED))
    if not rows:
        return None
    names = [words.product(row) for row in rows]
    short = [n if len(n) <= PRODUCT_LETTERS else f"{n[: PRODUCT_LETTERS - 1].rstrip()}…" for n in names]
    texts = [words.product_value(row, ranking, data.currency) for row in rows]
    title, values = words.product_title(data, ranking), [words.product_net(row, ranking) for row in rows]
    return _bars(f"products-{ranking}", title, short, values, texts, 140)


# spend_distribution


def _distribution(data: ReportData, name: str) -> Drawing | None:
    """Customers over orders (across) and spend (up), the densest region outlined."""
    cells = data.table("spend_distribution")
    if not cells["customers"].sum():
        return None
    orders = cells[["orders_from", "orders_to"]].drop_duplicates().sort_values("orders_from")
    spends = cells[["spend_from", "spend_to"]].drop_duplicates().sort_values("spend_from", ascending=False)
    columns, rows = list(orders["orders_from"]), list(spends["spend_from"])
    height, left = 19.0, 92.0
    figure = sheet(height * len(rows) + 36)
    axes = matrix(figure, left, 4, len(columns), len(rows), height)
    for row, shade in zip(records(cells), shades(cells["customers"]), strict=True):
        text = formats.short_count(row["customers"]) if row["customers"] else ""
        at = columns.index(row["orders_from"]), rows.index(row["spend_from"])
        cell(axes, *at, shade if row["customers"] else EMPTY, text)
    dense = cells[cells["densest"].astype(bool)]
    if len(dense):
        x = [columns.index(value) for value in dense["orders_from"]]
        y = [rows.index(value) for value in dense["spend_from"]]
        frame(axes, min(x), min(y), max(x), max(y), fill=False, edgecolor=ALARM, linewidth=2.2, zorder=5)
    counts = [formats.span(row["orders_from"], row["orders_to"]) for row in records(orders)]
    ranges = [formats.spend_span(r["spend_from"], r["spend_to"], data.currency) for r in records(spends)]
    column_labels(axes, counts, size=TEXT)
    row_labels(axes, ranges, size=SMALL, color=MUTED)
    text = f"orders (across), spend (up, {data.currency}); outlined: the densest"
    note(figure, left, height * len(rows) + 22, text)
    fullest = cells.sort_values(["customers", "orders_from"], ascending=[False, True]).head(RANKED)
    said = [
        f"{counts[columns.index(row['orders_from'])]} orders, {ranges[rows.index(row['spend_from'])]}: "
        f"{formats.customers(row['customers'])}"
        for row in records(fullest)
    ]
    return Drawing(name, words.distribution_title(data), _alt(said), figure)


# segmentation_models


def _curve(data: ReportData, segmentation: str) -> Drawing | None:
    model: Any = data.models[segmentation]
    if not model.card.curve:
        return None
    curve = sorted(model.card.curve, key=lambda point: point.k)
    measured = [point for point in curve if point.silhouette is not None]
    used = len(model.clustering.clusters) if model.clustering else 0
    figure = sheet(132)
    panels = {
        "inertia (lower: tighter)": [(point.k, point.inertia) for point in curve],
        "silhouette (higher: better apart)": [(point.k, point.silhouette) for point in measured],
    }
    for left, (head, points) in zip((4, 168), panels.items(), strict=True):
        note(figure, left, 4, head)
        if points:
            _curve_panel(figure, left + 4, points, used)
    note(figure, 4, 121, "number of clusters")
    numbers = [
        f"{point.k} clusters: inertia {point.inertia:.4g}"
        + ("" if point.silhouette is None else f", silhouette {point.silhouette:.2f}")
        for point in curve
    ]
    title = words.curve_title(curve, used)
    return Drawing(f"curve-{segmentation}", title, _alt(numbers), figure, segmentation)


def _curve_panel(figure: Figure, left: float, points: Sequence[tuple[int, float]], used: int) -> None:
    ks, values = zip(*points, strict=True)
    room = (max(values) - min(values) or 1.0) * 0.12
    ends = (min(values) - room, max(values) + room)
    axes = panel(figure, left, 26, 142, 80, (min(ks) - 0.4, max(ks) + 0.4), ends)
    axes.axhline(ends[0], color=FAINT, linewidth=0.8)
    axes.plot(ks, values, color=ACCENT, linewidth=1.6, marker="o", markersize=3.5)
    for k, value in points:
        label(axes, str(k), (k, 0), (0, -4), "column", "center", va="top", color=MUTED)
        if k == used:
            axes.axvline(used, color=ALARM, linewidth=1, linestyle=(0, (3, 2)))
            text = formats.count(value) if value >= 10 else f"{value:.2f}"
            label(axes, text, (used, value), (5, 7), size=TEXT)


# of each table: what is drawn, over what: names, or those of a field of the data
FIGURES: Mapping[str, Sequence[tuple[Draw, str | Iterable[str]]]] = {
    "segment_profiles": ((_shares, "segmentations"), (_sizes, "segmentations"), (_grid, "segmentations")),
    "segment_migration": ((_flows, "segmentations"),),
    "cohort_retention": ((_cohorts, ["cohorts"]),),
    "sales_periods": ((_revenue, ["revenue"]),),
    "sales_trends": ((_trend, ("weekday", "month", "season", "hour")),),
    "customer_rankings": ((_customers, RANKINGS),),
    "product_rankings": ((_products, ("revenue", "units", "invoices")),),
    "spend_distribution": ((_distribution, ["distribution"]),),
    "segmentation_models": ((_curve, "models"),),
}

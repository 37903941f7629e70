"""The report's figures: which pictures belong to a table, and how each is drawn."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import pandas as pd

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

Draw = Callable[[ReportData], list[Drawing]]

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
    with style():
        return tuple(drawing for draw in FIGURES.get(table, ()) for drawing in draw(data))


def figures_of(table: str, data: ReportData) -> Mapping[str, bytes]:
    """The table's figures as PNG by title, for the Dagster UI."""
    return {drawing.heading: png(drawing) for drawing in drawings(table, data)}


def _records(frame_: pd.DataFrame) -> list[dict[Any, Any]]:
    return frame_.to_dict("records")


def _colours(data: ReportData, segmentation: str) -> dict[str, str]:
    return colours(data.method(segmentation), data.names(segmentation))


# segment_profiles


def _shares(data: ReportData) -> list[Drawing]:
    return [_share_bars(data, name) for name in data.segmentations if len(data.active(name))]


def _share_bars(data: ReportData, segmentation: str) -> Drawing:
    """Two bars a segment: its share of the customers, and that of the revenue."""
    profile = data.profile(segmentation)
    colour = _colours(data, segmentation)
    revenue = profile["revenue_share"].astype("float64").fillna(0.0)
    height = 32.0
    figure = sheet(22 + height * len(profile))
    ends = (min(0.0, revenue.min()), max(profile["share"].max(), revenue.max(), 0.01))
    axes = rows_panel(figure, LABELS, 20, PHONE - LABELS - 78, height, len(profile), ends)
    said = []
    for i, row in enumerate(_records(profile)):
        fill = colour[row["segment"]]
        size, brings = formats.percent(row["share"]), formats.label_money(row["revenue"], data.currency)
        text = f"{row['segment']}: {size} of customers"
        if not pd.isna(row["revenue_share"]):
            part = formats.percent(row["revenue_share"])
            brings, text = f"{part} · {brings}", f"{text}, {part} of revenue"
        said.append(text)
        axes.plot([0, 0], [i - 0.37, i + 0.37], color=fill, linewidth=1.5, solid_capstyle="butt")
        for y, value, shown, alpha in (
            (i - 0.2, row["share"], f"{size} · {formats.short_count(row['customers'])}", 0.35),
            (i + 0.2, revenue[i], brings, 1.0),
        ):
            axes.barh(y, value, 0.34, color=fill, alpha=alpha, linewidth=0)
            label(axes, shown, (max(value, 0), y), (4, 0))
    row_labels(axes, list(profile["segment"]))
    note(figure, LABELS, 4, f"light: of customers · solid: of revenue, {data.currency}")
    title = words.shares_title(data, segmentation)
    return Drawing(f"shares-{segmentation}", title, "; ".join(said) + ".", figure, segmentation)


def _sizes(data: ReportData) -> list[Drawing]:
    return [_size_lines(data, name) for name in data.segmentations if len(data.active(name))]


def _size_lines(data: ReportData, segmentation: str) -> Drawing:
    """Bars of the segments' sizes, and beside them a line for the mean of each feature."""
    active = data.active(segmentation)
    fills = [_colours(data, segmentation)[segment] for segment in active["segment"]]
    features = LINES.get(data.method(segmentation), RFM_LINES)
    height, wide, top = 28.0, 57.0, 28.0
    bars = PHONE - LABELS - len(features) * wide
    figure = sheet(top + height * len(active) + 4)
    axes = rows_panel(figure, LABELS, top, bars - 30, height, len(active), (0, active["customers"].max()))
    axes.barh(range(len(active)), active["customers"], 0.62, color=fills)
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
            behind = {"facecolor": PAPER, "edgecolor": "none", "pad": 1.5}
            text = _feature_text(feature, value, data.currency)
            label(
                line,
                text,
                (value, i),
                (-6 if right else 6, 0),
                align="right" if right else "left",
                bbox=behind,
            )
        note(figure, left + 6, 4, FEATURES[feature].format(data.currency))
    heads = {feature: " ".join(FEATURES[feature].format(data.currency).split()) for feature in features}
    said = [
        f"{row['segment']}: {formats.customers(row['customers'])}; "
        + ", ".join(
            f"{head} {_feature_text(feature, row[f'{feature}_mean'], data.currency)}"
            for feature, head in heads.items()
        )
        for row in _records(active)
    ]
    title = words.sizes_title(data, segmentation, features[0])
    return Drawing(f"sizes-{segmentation}", title, "; ".join(said) + ".", figure, segmentation)


def _feature_text(feature: str, value: float, currency: str) -> str:
    if feature in ("monetary", "avg_order_value"):
        return formats.label_money(value, currency)
    return formats.number(value)


def _grids(data: ReportData) -> list[Drawing]:
    table = data.table("rf_grid")
    found = [name for name in data.segmentations if (table["segmentation"] == name).any()]
    return [_grid(data, name, table[table["segmentation"] == name]) for name in found]


def _grid(data: ReportData, segmentation: str, cells: pd.DataFrame) -> Drawing:
    """Customers by score of recency and by the other score; a cell is named after its commonest segment."""
    by = ["recency_score", "other_score"]
    ordered = cells.sort_values([*by, "customers", "segment"], ascending=[True, True, False, True])
    merged = ordered.groupby(by, as_index=False).agg({"customers": "sum", "segment": "first"})
    recent = sorted(int(score) for score in merged["recency_score"].unique())
    others = sorted((int(score) for score in merged["other_score"].unique()), reverse=True)
    colour, height = _colours(data, segmentation), 46.0
    figure = sheet(height * len(others) + 40)
    axes = matrix(figure, 36, 4, len(recent), len(others), height)
    named = len(recent) <= NAMED
    for row, shade in zip(_records(merged), shades(merged["customers"]), strict=True):
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
        for row in _records(merged)
    ]
    return Drawing(
        f"grid-{segmentation}", words.grid_title(merged), "; ".join(said) + ".", figure, segmentation
    )


# segment_migration


def _flows(data: ReportData) -> list[Drawing]:
    return [_flow_matrix(data, name) for name in data.segmentations if len(data.moves(name))]


def _flow_matrix(data: ReportData, segmentation: str) -> Drawing:
    """From (rows) and to (columns); who stayed is grey, so that the moves show."""
    moves = data.moves(segmentation)
    left, arrived = set(moves["from_segment"]), set(moves["to_segment"])
    known = list(data.profile(segmentation)["segment"])
    order = [NEW, *known, *sorted((left | arrived) - {NEW, *known})]
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
        for row in _records(away.head(RANKED))
    ] or ["nobody moved"]
    title = words.flows_title(data, segmentation)
    return Drawing(f"flows-{segmentation}", title, "; ".join(said) + ".", figure, segmentation)


# cohort_retention


def _cohorts(data: ReportData) -> list[Drawing]:
    """A row a month of first purchase, a column a month since; the month under way is grey."""
    cohorts = data.cohorts()
    if cohorts.empty:
        return []
    sizes = cohorts.drop_duplicates("cohort_month").set_index("cohort_month")["cohort_customers"].sort_index()
    months = int(cohorts["months_since"].max())
    shown = cohorts[cohorts["months_since"] > 0]
    rows, height, left = list(sizes.index), 19.0, 80.0
    figure = sheet(22 + height * len(rows) + 4)
    axes = matrix(figure, left, 20, max(months, 1), len(rows), height)
    under_way = words.month_under_way(data.day)
    # squared, because shades take the square root: rates are to be compared as they are
    for row, shade in zip(_records(shown), shades(shown["rate"] ** 2), strict=True):
        look = {"style": "italic", "color": MUTED} if row["month"] >= under_way else {}
        x, y = int(row["months_since"]) - 1, rows.index(row["cohort_month"])
        cell(axes, x, y, EMPTY if look else shade, f"{100 * row['rate']:.0f}", **look)
    for y, (month, size) in enumerate(sizes.items()):
        label(axes, str(month), (0, y), (4 - left, 0), "row", size=TEXT)
        label(axes, formats.short_count(size), (0, y), (-5, 0), "row", "right", color=MUTED)
    column_labels(axes, [f"+{x + 1}" for x in range(months)], above=True)
    note(figure, 4, 6, "first bought, new")
    first = shown[shown["cohort_month"] == rows[0]]
    said = [
        f"{row['cohort_month']} in {row['month']}: {formats.percent(row['rate'])}" for row in _records(first)
    ]
    alt = f"Rows: month of the first purchase; columns: months since; per cent who bought. {'; '.join(said)}."
    return [Drawing("cohorts", words.retention_title(data), alt, figure)]


# sales_trends


def _trends(data: ReportData) -> list[Drawing]:
    table = data.table("sales_trends")
    sold = set(table.loc[table["invoices"] > 0, "dimension"])
    return [_trend(data, by) for by in ("weekday", "month", "season", "hour") if by in sold]


def _trend(data: ReportData, dimension: str) -> Drawing:
    """Invoices as bars, and below them the revenue."""
    table = data.table("sales_trends")
    rows = table[table["dimension"] == dimension].sort_values("position").reset_index(drop=True)
    names = [str(name).replace(" (", "\n(") for name in rows["label"]]
    if dimension == "hour":
        sold = rows.index[rows["invoices"] > 0]
        rows = rows.loc[sold.min() : sold.max()].reset_index(drop=True)
        names = ["" if len(rows) > 12 and i % 2 else str(hour) for i, hour in enumerate(rows["position"])]
    figure = sheet(178)
    for column, top, tall, fill, head in (
        ("invoices", 18.0, 74.0, ACCENT, "invoices"),
        ("revenue", 114.0, 40.0, PALE_ACCENT, f"revenue, {data.currency}"),
    ):
        values = rows[column].astype("float64")
        ends = (min(0.0, values.min()), max(values.max(), 1e-9))
        axes = panel(figure, 4, top, PHONE - 8, tall, (-0.5, len(rows) - 0.5), ends)
        axes.bar(range(len(rows)), values, 0.72, color=fill)
        baseline(axes)
        note(figure, 4, top - 16, head)
        for x, value in enumerate(values):
            if len(rows) <= 12 or value == ends[1]:
                money = formats.label_money(value, data.currency)
                text = money if column == "revenue" else formats.short_count(value)
                size = SMALL - 0.8 * (len(rows) > 7)
                label(axes, text, (x, max(value, 0)), (0, 2), align="center", va="bottom", size=size)
    column_labels(axes, names)
    said = [
        f"{row['label']}: {formats.plural(row['invoices'], 'invoice')}, "
        f"{formats.money(row['revenue'], data.currency)}"
        for row in _records(rows)
    ]
    return Drawing(f"trend-{dimension}", words.trend_title(data, dimension), "; ".join(said) + ".", figure)


# customer_rankings, product_rankings


def _bars(
    name: str, title: str, names: Sequence[str], values: Sequence[float], texts: Sequence[str], left: float
) -> Drawing:
    """Horizontal bars, the first on top, each with its name and its value."""
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
    return Drawing(name, title, "; ".join(said) + ".", figure)


def _customers(data: ReportData) -> list[Drawing]:
    table, currency = data.table("customer_rankings"), data.currency
    made = []
    for ranking, column in (("total", "monetary"), ("average", "avg_order_value"), ("orders", "frequency")):
        rows = _records(table[table["ranking"] == ranking].sort_values("rank").head(RANKED))
        if rows:
            names = [f"#{row['rank']}  {mask(str(row['customer_id']))}" for row in rows]
            orders = [formats.plural(row["frequency"], "order") for row in rows]
            spend = [formats.label_money(row["monetary"], currency) for row in rows]
            value = [formats.label_money(row[column], currency, 1e6) for row in rows]
            pairs = (
                zip(orders, spend, strict=True) if ranking == "orders" else zip(value, orders, strict=True)
            )
            title = words.ranking_title(data, ranking, RANKED)
            values = [float(row[column]) for row in rows]
            made.append(
                _bars(f"customers-{ranking}", title, names, values, [f"{a}, {b}" for a, b in pairs], 66)
            )
    return made


def _products(data: ReportData) -> list[Drawing]:
    table = data.table("product_rankings")
    made = []
    for ranking in ("revenue", "units", "invoices"):
        rows = _records(table[table["ranking"] == ranking].sort_values("rank").head(RANKED))
        if rows:
            names = [words.product(row) for row in rows]
            names = [
                n if len(n) <= PRODUCT_LETTERS else f"{n[: PRODUCT_LETTERS - 1].rstrip()}…" for n in names
            ]
            texts = [words.product_value(row, ranking, data.currency) for row in rows]
            title, values = words.product_title(data, ranking), [float(row[ranking]) for row in rows]
            made.append(_bars(f"products-{ranking}", title, names, values, texts, 140))
    return made


# spend_distribution


def _distribution(data: ReportData) -> list[Drawing]:
    """Customers over orders (across) and spend (up), the densest region outlined."""
    cells = data.table("spend_distribution")
    if not cells["customers"].sum():
        return []
    orders = cells[["orders_from", "orders_to"]].drop_duplicates().sort_values("orders_from")
    spends = cells[["spend_from", "spend_to"]].drop_duplicates().sort_values("spend_from", ascending=False)
    columns, rows = list(orders["orders_from"]), list(spends["spend_from"])
    height, left = 19.0, 92.0
    figure = sheet(height * len(rows) + 36)
    axes = matrix(figure, left, 4, len(columns), len(rows), height)
    for row, shade in zip(_records(cells), shades(cells["customers"]), strict=True):
        text = formats.short_count(row["customers"]) if row["customers"] else ""
        at = columns.index(row["orders_from"]), rows.index(row["spend_from"])
        cell(axes, *at, shade if row["customers"] else EMPTY, text)
    dense = cells[cells["densest"].astype(bool)]
    if len(dense):
        x = [columns.index(value) for value in dense["orders_from"]]
        y = [rows.index(value) for value in dense["spend_from"]]
        frame(axes, min(x), min(y), max(x), max(y), fill=False, edgecolor=ALARM, linewidth=2.2, zorder=5)
    counts = [formats.span(row["orders_from"], row["orders_to"]) for row in _records(orders)]
    ranges = [formats.spend_span(r["spend_from"], r["spend_to"], data.currency) for r in _records(spends)]
    column_labels(axes, counts, size=TEXT)
    row_labels(axes, ranges, size=SMALL, color=MUTED)
    note(
        figure,
        left,
        height * len(rows) + 22,
        f"orders (across), spend (up, {data.currency}); outlined: the densest",
    )
    fullest = cells.sort_values(["customers", "orders_from"], ascending=[False, True]).head(RANKED)
    said = [
        f"{formats.span(row['orders_from'], row['orders_to'])} orders, "
        f"{formats.spend_span(row['spend_from'], row['spend_to'], data.currency)}: "
        f"{formats.customers(row['customers'])}"
        for row in _records(fullest)
    ]
    return [Drawing("distribution", words.distribution_title(data), "; ".join(said) + ".", figure)]


# segmentation_models


def _curves(data: ReportData) -> list[Drawing]:
    return [_curve(name, model) for name, model in data.models.items() if model.card.curve]


def _curve(segmentation: str, model: Any) -> Drawing:
    """Elbow and silhouette over the number of clusters, the one in use marked."""
    curve = sorted(model.card.curve, key=lambda point: point.k)
    used = len(model.clustering.clusters) if model.clustering else 0
    figure = sheet(132)
    for i, (said, points) in enumerate(
        (
            ("inertia (lower: tighter)", [(point.k, point.inertia) for point in curve]),
            (
                "silhouette (higher: better apart)",
                [(point.k, point.silhouette) for point in curve if point.silhouette is not None],
            ),
        )
    ):
        note(figure, 4 + i * 164, 4, said)
        if points:
            _curve_panel(figure, 8 + i * 164, points, used)
    note(figure, 4, 121, "number of clusters")
    numbers = [
        f"{point.k} clusters: inertia {point.inertia:.4g}"
        + ("" if point.silhouette is None else f", silhouette {point.silhouette:.2f}")
        for point in curve
    ]
    title = words.curve_title(curve, used)
    return Drawing(f"curve-{segmentation}", title, "; ".join(numbers) + ".", figure, segmentation)


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


FIGURES: Mapping[str, tuple[Draw, ...]] = {
    "segment_profiles": (_shares, _sizes, _grids),
    "segment_migration": (_flows,),
    "cohort_retention": (_cohorts,),
    "sales_trends": (_trends,),
    "customer_rankings": (_customers,),
    "product_rankings": (_products,),
    "spend_distribution": (_distribution,),
    "segmentation_models": (_curves,),
}

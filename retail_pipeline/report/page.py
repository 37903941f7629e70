"""The report of one day as one HTML page that needs nothing but itself.

Everything that comes from data is escaped by the template; only the figures, which escape for themselves, and
the style sheet are put in as they are.
"""

from __future__ import annotations

from importlib.resources import files
from typing import Any

import pandas as pd
from jinja2 import Environment, StrictUndefined

from retail_pipeline.campaigns.lists import CONTROLS_TO_MEASURE
from retail_pipeline.report import figures, formats, words
from retail_pipeline.report.data import ReportData
from retail_pipeline.report.drawing import svg
from retail_pipeline.report.palette import PALE, colours

TILES = 6  # two or three a row on a phone, six on a desktop
COUNTRIES = 2  # named in a row of a profile
TITLES = {
    "behaviour": "Behaviour",
    "spend_profile": "Spend profile",
    "value_score": "Value score",
    "rfm_grid": "RFM grid",
    "spend_tiers": "Spend tiers",
}


def page(data: ReportData) -> str:
    """The whole page: UTF-8 HTML without a link to anything outside itself."""
    source = files("retail_pipeline.report")
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    template = environment.from_string(source.joinpath("page.html").read_text(encoding="utf-8"))
    drawn = {
        drawing.name: {"title": drawing.title, "svg": svg(drawing)}
        for table in figures.FIGURES
        for drawing in figures.drawings(table, data)
    }
    titles = {name: TITLES.get(name, name) for name in (*data.segmentations, *data.models)}
    return template.render(
        css=source.joinpath("page.css").read_text(encoding="utf-8"),
        data=data,
        words=words,
        formats=formats,
        figures=drawn,
        titles=titles,
        leading=data.segmentations[0] if data.segmentations else None,
        tiles=_tiles(data),
        views=_other_views(data),
        segmentations=[_segmentation(data, name) for name in data.segmentations],
        cohorts=_cohort_counts(data),
        controls_to_measure=CONTROLS_TO_MEASURE,
        snippet=_snippet(data),
    )


def _tiles(data: ReportData) -> list[tuple[str, str]]:
    """The few single figures on top: value and what it is."""
    if not data.segmentations:
        return []
    leading = data.segmentations[0]
    active = data.active(leading)
    tiles = [
        (formats.count(active["customers"].sum()), "customers who bought"),
        (formats.short_money(active["revenue"].sum(), data.currency), "revenue from them"),
    ]
    for figure, label in (
        ("repeat_revenue_share", "of revenue from repeat customers"),
        ("one_order_share", "of customers ordered once"),
        ("lost_share_of_year", "lost within a year"),
    ):
        if (value := data.figure(figure)) is not None:
            tiles.append((formats.percent(value), label))
    if total := words.change(data, leading):
        since = formats.day(total.since)
        tiles.append((formats.count(total.joined), f"first seen since {since}"))
    return tiles[:TILES]


def _other_views(data: ReportData) -> dict[str, tuple[str, str]]:
    """Who is most valuable, and who slips away, under the other segmentations."""
    views = {}
    for name in data.segmentations[1:]:
        if len(active := data.active(name)):
            gone = words.slipping(data, name)[["segment", "customers"]].itertuples(index=False)
            slips = "; ".join(f"{segment}: {formats.customers(size)}" for segment, size in gone)
            views[name] = words.in_a_line(active.iloc[0]), slips or "nobody"
    return views


def _segmentation(data: ReportData, name: str) -> dict[str, Any]:
    method = data.method(name)
    colour = colours(method, data.names(name))
    paragraphs = words.profile_words(data, name) if method == "spend_profile" else []
    return {
        "name": name,
        "method": method,
        "colour": colour,
        "rows": [_row(data, row, colour) for row in data.profile(name).to_dict("records")],
        "paragraphs": paragraphs,
        "takeaways": words.profile_takeaways(data, name) if paragraphs else [],
    }


def _row(data: ReportData, row: dict[Any, Any], colour: dict[str, str]) -> dict[str, Any]:
    def typical(feature: str) -> tuple[str, str]:
        mean, median = row[f"{feature}_mean"], row[f"{feature}_median"]
        if pd.isna(mean):
            return formats.DASH, ""
        if feature in ("monetary", "avg_order_value"):
            return formats.money(mean, data.currency), formats.money(median, data.currency)
        return formats.number(mean), formats.number(median)

    countries = list(zip(row["top_countries"], row["top_country_shares"], strict=True))[:COUNTRIES]
    return {
        "segment": row["segment"],
        "colour": colour.get(row["segment"], PALE),
        "countries": ", ".join(f"{country} {formats.percent(share)}" for country, share in countries),
        "customers": formats.count(row["customers"]),
        "share": formats.percent(row["share"]),
        "revenue": formats.DASH if pd.isna(row["revenue_share"]) else formats.percent(row["revenue_share"]),
        "revenue_total": formats.short_money(row["revenue"], data.currency),
        "typical": {
            "Last, days ago": typical("recency_days"),
            "Orders": typical("frequency"),
            "Spend": typical("monetary"),
            "Order value": typical("avg_order_value"),
        },
    }


def _cohort_counts(data: ReportData) -> dict[str, Any] | None:
    """The counts behind the figure of cohorts: a row a cohort, a column a month since."""
    cohorts = data.cohorts()
    if cohorts.empty:
        return None
    wide = cohorts.pivot_table(
        index="cohort_month", columns="months_since", values="customers", aggfunc="sum"
    )
    rows = [
        (month, ["" if pd.isna(value) else formats.count(value) for value in wide.loc[month]])
        for month in wide.index
    ]
    return {"months": [int(m) for m in wide.columns], "rows": rows}


def _snippet(data: ReportData) -> str:
    first = next((one for one in data.lists if one.customers), None)
    if first is None:
        return ""
    return (
        "import pandas as pd\n\n"
        "# in the lake's folder\n"
        f"listed = pd.read_parquet({first.path!r})\n"
        'to_contact = listed[listed["arm"] == "treatment"].sort_values("rank")\n'
        'held_out = listed[listed["arm"] == "control"]'
    )

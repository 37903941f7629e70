"""A small shop's report data, made by hand, so that every sentence's numbers can be worked out on paper."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from typing import Any

import pandas as pd

from retail_pipeline.report.data import ListSummary, Quality, ReportData
from retail_pipeline.report.small_tables import positions

DAY = date(2021, 3, 10)
CUSTOMERS = ("83741", "95520", "61007")

Segment = tuple[int, float, float, float, float]

BEHAVIOUR: Mapping[str, Segment] = {
    # customers, mean spend, mean recency, mean orders, mean order value
    "DELIGHT": (10, 900.0, 5.0, 12.0, 75.0),
    "NURTURE": (60, 50.0, 20.0, 1.5, 30.0),
    "RE-ENGAGE": (30, 200.0, 90.0, 2.0, 100.0),
}
SPEND: Mapping[str, Segment] = {
    "VIP": (5, 1000.0, 5.0, 20.0, 50.0),
    "Regular, Mid-Spending": (20, 300.0, 20.0, 6.0, 50.0),
    "Occasional, Higher Order Value": (15, 160.0, 40.0, 1.6, 100.0),
    "Infrequent, Low Spenders": (60, 60.0, 40.0, 1.2, 50.0),
}


def profiles(segmentation: str, segments: Mapping[str, Segment]) -> pd.DataFrame:
    """``segment_profiles`` of one segmentation; a mean is its median too."""
    everyone = sum(segment[0] for segment in segments.values())
    revenue = sum(segment[0] * segment[1] for segment in segments.values())
    slipping = sum(customers * spend * recency for customers, spend, recency, *_ in segments.values())
    rows = []
    for name, (customers, spend, recency, orders, value) in segments.items():
        means = {"recency_days": recency, "frequency": orders, "monetary": spend, "avg_order_value": value}
        rows.append(
            {
                "segmentation": segmentation,
                "segment": name,
                "customers": customers,
                "share": customers / everyone,
                "revenue": customers * spend,
                "revenue_share": customers * spend / revenue if revenue else None,
                "slipping_share": customers * spend * recency / slipping if slipping else None,
                **{f"{feature}_mean": mean for feature, mean in means.items()},
                **{f"{feature}_median": mean for feature, mean in means.items()},
                "top_countries": ["Norway", "Chad"],
                "top_country_shares": [0.8, 0.2],
            }
        )
    return pd.DataFrame(rows)


def migration(segmentation: str, *moves: tuple[str, str, int, int, int]) -> pd.DataFrame:
    """``segment_migration`` against 30 days before: from, to, customers, by behaviour (orders), by model."""
    columns = ["from_segment", "to_segment", "customers", "by_behaviour", "by_model"]
    rows = pd.DataFrame(moves, columns=columns)
    return rows.assign(by_orders=rows["by_behaviour"], by_time=0).assign(
        bought=0,
        segmentation=segmentation,
        compared_with="30_days_before",
        compared_day=date(2021, 2, 8),
        revenue=1.0,
    )


def cohorts() -> pd.DataFrame:
    """Three months of new customers; March is under way. In December nobody knows who is new."""
    rows = [
        ("2020-12", "2020-12", 0, 90, 90),
        ("2020-12", "2021-01", 1, 90, 80),
        ("2021-01", "2021-01", 0, 40, 40),
        ("2021-01", "2021-02", 1, 40, 10),
        ("2021-01", "2021-03", 2, 40, 4),
        ("2021-02", "2021-02", 0, 50, 50),
        ("2021-02", "2021-03", 1, 50, 5),
        ("2021-03", "2021-03", 0, 10, 10),
    ]
    columns = ["cohort_month", "month", "months_since", "cohort_customers", "customers"]
    frame = pd.DataFrame(rows, columns=columns)
    old = frame["cohort_month"] == "2020-12"
    return frame.assign(
        rate=frame["customers"] / frame["cohort_customers"],
        whole=frame["month"] < "2021-03",
        old_share=old.map({True: 0.8, False: 0.1}),
        left_censored=old,
    )


def periods() -> pd.DataFrame:
    """Two whole months, January twice as good by the day, and four weeks better than those before."""
    rows = [
        ("before", date(2021, 1, 14), date(2021, 2, 10), True, 100, 40, 900.0, 800.0),
        ("last", date(2021, 2, 11), date(2021, 3, 10), True, 150, 42, 1200.0, 1000.0),
        ("month", date(2020, 12, 30), date(2020, 12, 31), False, 5, 4, 50.0, 50.0),
        ("month", date(2021, 1, 1), date(2021, 1, 31), True, 200, 60, 3500.0, 3100.0),
        ("month", date(2021, 2, 1), date(2021, 2, 28), True, 150, 50, 1500.0, 1400.0),
        ("month", date(2021, 3, 1), date(2021, 3, 10), False, 40, 30, 400.0, 400.0),
        ("year_before", date(2020, 2, 13), date(2020, 3, 11), False, 0, 0, 0.0, 0.0),
    ]
    return pd.DataFrame(
        rows, columns=["kind", "first_day", "last_day", "whole", "orders", "customers", "sales", "revenue"]
    )


def trends() -> pd.DataFrame:
    """Sales on weekdays (most on Tuesday) and from eight to eleven; the rest is there, and zero.

    Of the 69 days January and February are whole months, and no season is.
    """
    sold = {
        "weekday": [10, 40, 20, 20, 10, 0, 0],
        "month": [50, 30, 20, *[0] * 9],
        "season": [20, 0, 0, 80],
        "hour": [0] * 8 + [50, 0, 50] + [0] * 13,
    }
    rows: pd.DataFrame = positions().to_pandas()
    invoices = pd.Series([n for dimension in rows["dimension"].unique() for n in sold[dimension]])
    days = {"weekday": [10] * 6 + [9], "month": [31, 28, *[0] * 10], "season": [0] * 4, "hour": [69] * 24}
    lengths = pd.Series([n for dimension in rows["dimension"].unique() for n in days[dimension]])
    counted = invoices.where(lengths > 0, 0)
    rows = rows.assign(invoices=invoices + 3, orders=invoices, revenue=8.0 * invoices, days=lengths)
    return rows.assign(orders_of_days=counted, sales_of_days=10.0 * counted)


def rankings() -> pd.DataFrame:
    """Three customers: the one who spends most ordered once, the most frequent spends least."""
    facts = {"83741": (900.0, 1, 900.0), "95520": (600.0, 3, 200.0), "61007": (100.0, 10, 10.0)}
    orders = {
        "total": ("83741", "95520", "61007"),
        "average": ("83741", "95520", "61007"),
        "orders": ("61007", "95520", "83741"),
    }
    rows = [
        (ranking, rank, customer, *facts[customer], facts[customer][0] / facts[customer][1], 5)
        for ranking, ids in orders.items()
        for rank, customer in enumerate(ids, 1)
    ]
    columns = [
        "ranking", "rank", "customer_id", "monetary", "frequency", "avg_order_value", "spend_per_order",
        "recency_days",
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=columns)


def products(*names: str | None) -> pd.DataFrame:
    """The same products in every ranking, in their order."""
    rows = [
        (ranking, rank, f"P{rank}", name, 100.0 / rank, 50.0 / rank, 10 // rank, 2.0, 1)
        for ranking in ("revenue", "units", "invoices")
        for rank, name in enumerate(names, 1)
    ]
    columns = ["ranking", "rank", "product_id", "description", "revenue", "units", "invoices"]
    columns += ["returned_units", "returns"]
    return pd.DataFrame(rows, columns=columns)


def distribution() -> pd.DataFrame:
    """Six cells; the two of one and two orders below 100 are the densest."""
    rows = [
        (1, 1.0, 0.0, 100.0, 40, True),
        (1, 1.0, 100.0, None, 10, False),
        (2, 2.0, 0.0, 100.0, 20, True),
        (2, 2.0, 100.0, None, 10, False),
        (3, None, 0.0, 100.0, 0, False),
        (3, None, 100.0, None, 20, False),
    ]
    columns = ["orders_from", "orders_to", "spend_from", "spend_to", "customers", "densest"]
    return pd.DataFrame(rows, columns=columns).assign(revenue=1.0)


def key_figures(**values: float | None) -> pd.DataFrame:
    """``key_figures`` with some values changed."""
    figures: dict[str, float | None] = {
        "active_customers": 300.0,
        "orders": 28.0,
        "customer_revenue": 18_000.0,
        "repeat_revenue_share": 0.7,
        "one_order_share": 0.4,
        "lost_share_of_year": 0.25,
        "anonymous_revenue_share": 0.09,
        "big_spenders_one_order_share": 0.1,
        "big_spenders_revenue_share": 0.6,
        "big_orders_one_order_share": 0.6,
        "most_frequent_avg_order_value": 40.0,
        "others_avg_order_value": 80.0,
        **values,
    }
    frame = pd.DataFrame(
        {"figure": list(figures), "value": pd.Series(list(figures.values()), dtype="float64")}
    )
    return frame.assign(unit="", meaning="")


def campaign(name: str, segment: str, customers: int, control: int) -> ListSummary:
    """One list of the day."""
    path = f"lake/campaign_lists/snapshot_date={DAY}/campaign={name}/part-0.parquet"
    return ListSummary(name, (segment,), customers, control, "an_offer", "email", path, "lift not measurable")


def tables() -> dict[str, pd.DataFrame]:
    """Every table of the shop."""
    spend_moves = [(name, name, segment[0], 0, 0) for name, segment in SPEND.items()]
    moves = migration(
        "behaviour",
        ("DELIGHT", "DELIGHT", 7, 0, 0),
        ("NURTURE", "DELIGHT", 3, 2, 1),
        ("NURTURE", "NURTURE", 45, 0, 0),
        ("New", "NURTURE", 15, 0, 0),
        ("NURTURE", "RE-ENGAGE", 8, 8, 0),
        ("RE-ENGAGE", "RE-ENGAGE", 22, 0, 0),
    )
    return {
        "segment_profiles": pd.concat([profiles("behaviour", BEHAVIOUR), profiles("spend_profile", SPEND)]),
        "segment_migration": pd.concat([moves, migration("spend_profile", *spend_moves)]),
        "cohort_retention": cohorts(),
        "sales_trends": trends(),
        "sales_periods": periods(),
        "customer_rankings": rankings(),
        "product_rankings": products("LAMP", "CUP", None),
        "spend_distribution": distribution(),
        "key_figures": key_figures(),
    }


QUALITY = Quality(
    files=3,
    rows_read=1200,
    places={"used": (3, 1190), "refused": (0, 8), "unreadable": (0, 2)},
    refused={"zero_price": 8},
    anonymous_share=0.125,
    last_delivered=DAY,
)


def shop(
    changed: Mapping[str, pd.DataFrame] | None = None, without: Sequence[str] = (), **changes: Any
) -> ReportData:
    """The shop's data, with some tables changed or left out, and other fields changed."""
    kept = {name: frame for name, frame in {**tables(), **(changed or {})}.items() if name not in without}
    data = ReportData(
        day=DAY,
        first_day=date(2018, 1, 1),
        shop="Fjord & Sons",
        currency="EUR",
        window_days=730,
        tables=kept,
        models={},
        model_notes={},
        strategies={
            "behaviour": {"DELIGHT": "Thank them in person.", "RE-ENGAGE": "Write to them."},
            "spend_profile": {"VIP": "Early access."},
        },
        lists=[campaign("delight", "DELIGHT", 10, 1), campaign("re_engage", "RE-ENGAGE", 30, 3)],
        quality=QUALITY,
    )
    return replace(data, **changes)

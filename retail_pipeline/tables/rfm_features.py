"""Recency, frequency and monetary value of every customer, as of the end of a day."""

from retail_pipeline.tables.columns import CUSTOMER, INTEGER, MONEY, TIMESTAMP
from retail_pipeline.tables.expectations import at_least, between, first_before_last, true, zero
from retail_pipeline.tables.table import UP_TO, Check, Column, Cost, Reads, Table

_SINCE_LAST_SALE = "date_diff('day', cast(last_sold_at as date), cast(snapshot_date as date))"

TABLE = Table(
    __name__,
    __doc__,
    layer="features",
    partition_keys=("snapshot_date",),
    key=("customer_id",),
    expects=lambda rules: (
        true(
            "recency_days is not above the days since the last sale, and nothing is known of later days",
            f"recency_days <= {_SINCE_LAST_SALE}",
        )
        if rules.returns_are_visits
        else zero(
            "recency_days counts from the last sale to the snapshot, and nothing is known of later days",
            "recency_days_off",
            f"{_SINCE_LAST_SALE} - recency_days",
        ),
        at_least("recency_days is at most tenure_days", "tenure_days", "recency_days"),
        true("who has an active day has an order", "(frequency = 0) = (active_days = 0)"),
        between("avg_order_value is at least 0", "avg_order_value", min_value=0),
        true(
            "avg_order_value is null at frequency 0 and only there",
            "(frequency = 0) = (avg_order_value is null)",
        ),
        first_before_last(),
    ),
    reads=(Reads("customer_days", UP_TO),),
    made_from={"customer_days": Reads("customer_days", UP_TO), "features": "features"},
    columns=(
        CUSTOMER,
        Column("recency_days", INTEGER, "Snapshot day minus the day of the last sale", "days", minimum=0),
        Column("frequency", INTEGER, "Sale invoices in the window", "orders", minimum=0),
        Column("monetary", MONEY, "Value in the window, net of returns by default", "currency"),
        Column(
            "avg_order_value",
            MONEY,
            "Gross value / frequency in the window; null at frequency 0",
            "currency",
            True,
        ),
        Column("tenure_days", INTEGER, "Snapshot day minus the day of the first sale", "days", minimum=0),
        Column("active_days", INTEGER, "Days with a sale in the window", "days", minimum=0),
        Column(
            "first_sold_at", TIMESTAMP, "First sale over all history; null if only returns", nullable=True
        ),
        Column("last_sold_at", TIMESTAMP, "Last sale over all history; null if only returns", nullable=True),
    ),
    checks=(
        Check(
            "customers_are_told_apart",
            "No ids differ only by how they are written, no customer has an outlandish share of the last 28 "
            "days, and the day's customers are not nearly all new.",
            blocking=False,
        ),
    ),
    cost=Cost(6e-06, 32.0),
    code_version="2",
)

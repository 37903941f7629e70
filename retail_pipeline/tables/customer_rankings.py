"""The first hundred customers by spend, by spend an order and by orders, net of what came back."""

from retail_pipeline.tables.columns import CUSTOMER, INTEGER, MONEY, STRING
from retail_pipeline.tables.table import Column, Reads, Table

TABLE = Table(
    __name__,
    __doc__,
    layer="reports",
    partition_keys=("snapshot_date",),
    key=("ranking", "rank"),
    reads=(Reads("rfm_features"),),
    planned=False,
    code_version="2",
    columns=(
        Column("ranking", STRING, "What they are ranked by", values=("total", "average", "orders")),
        Column("rank", INTEGER, "1 is the first; ties by customer_id", minimum=1),
        CUSTOMER,
        Column("monetary", MONEY, "Value in the window, net of returns by default", "currency"),
        Column("frequency", INTEGER, "Sale invoices in the window", "orders", minimum=1),
        Column("avg_order_value", MONEY, "Gross value / frequency", "currency"),
        Column("recency_days", INTEGER, "Snapshot day minus the day of the last sale", "days", minimum=0),
        Column("spend_per_order", MONEY, "monetary / frequency", "currency"),
    ),
)

"""Orders, customers and revenue of each month, of the last four weeks and of those they compare with."""

import pyarrow as pa

from retail_pipeline.tables.columns import DAY, INTEGER, MONEY, STRING
from retail_pipeline.tables.table import UP_TO, Column, Reads, Table

TABLE = Table(
    __name__,
    __doc__,
    layer="reports",
    partition_keys=("snapshot_date",),
    key=("kind", "first_day"),
    reads=(Reads("customer_days", UP_TO), Reads("sales_hours", UP_TO)),
    planned=False,
    columns=(
        Column(
            "kind",
            STRING,
            "A month, or four weeks: the last, those before, and those 52 weeks before the last",
            values=("month", "last", "before", "year_before"),
        ),
        Column("first_day", DAY, "Its first day"),
        Column("last_day", DAY, "Its last day, or the day of the snapshot"),
        Column("whole", pa.bool_(), "Each of its days counts: none is to come, held or missing"),
        Column("orders", INTEGER, "Invoices with a sale, anonymous ones included", "orders", minimum=0),
        Column("customers", INTEGER, "Known customers who ordered", "customers", minimum=0),
        Column("sales", MONEY, "Value of the sales, before returns", "currency"),
        Column("revenue", MONEY, "Sales less returns (+ adjustments if set so)", "currency"),
    ),
)

"""Orders, invoices and revenue by weekday, month, season and hour; anonymous included."""

from retail_pipeline.tables.columns import INTEGER, MONEY, STRING
from retail_pipeline.tables.expectations import at_least
from retail_pipeline.tables.table import UP_TO, Column, Reads, Table

TABLE = Table(
    __name__,
    __doc__,
    layer="reports",
    partition_keys=("snapshot_date",),
    key=("dimension", "position"),
    reads=(Reads("sales_hours", UP_TO),),
    planned=False,
    columns=(
        Column("dimension", STRING, "What the rows are by", values=("weekday", "month", "season", "hour")),
        Column(
            "position",
            INTEGER,
            "weekday 1 (Monday) to 7, month, season 1 (spring) to 4, hour 0 to 23",
            minimum=0,
        ),
        Column("label", STRING, "Mon, Jan, Spring (Mar-May), 09:00"),
        Column("invoices", INTEGER, "Invoices of any kind, returns too", "invoices", minimum=0),
        Column("orders", INTEGER, "Invoices with a sale", "orders", minimum=0),
        Column(
            "revenue",
            MONEY,
            "Sales less returns (+ adjustments if set so)",
            "currency",
        ),
        Column("days", INTEGER, "Days that can be compared: of months and seasons the whole ones", "days"),
        Column("orders_of_days", INTEGER, "Orders of these days", "orders", minimum=0),
        Column("sales_of_days", MONEY, "Value of the sales of these days, before returns", "currency"),
    ),
    code_version="2",
    expects=lambda rules: (at_least("no more orders than invoices", "invoices", "orders"),),
)

"""What was sold of each product on a day, as sums that add up over days."""

from retail_pipeline.tables.columns import INTEGER, MONEY, QUANTITY, STRING
from retail_pipeline.tables.table import DAYS_BEFORE, Column, Reads, Table

TABLE = Table(
    __name__,
    __doc__,
    layer="reports",
    partition_keys=("date",),
    key=("product_id", "description"),
    reads=(Reads("transactions"),),
    made_from={
        "transactions": Reads("transactions"),
        "earlier": Reads("transactions", DAYS_BEFORE),
        "features": "sums",
    },
    beside="report",
    planned=False,
    columns=(
        Column("product_id", STRING, "Product code"),
        Column("description", STRING, "Product text; empty where there is none"),
        Column("sales", INTEGER, "Lines that sold it under this text", "lines", minimum=0),
        Column("revenue", MONEY, "Sum of amounts: sales less returns", "currency"),
        Column("units", QUANTITY, "Units sold, returns not taken off", "units"),
        Column(
            "invoices",
            INTEGER,
            "Invoices that sold it and had not on a day before; at its first text",
            "invoices",
            minimum=0,
        ),
        Column("returned_units", QUANTITY, "Units that came back, as a positive number", "units"),
        Column("returns", INTEGER, "Invoices that took it back; at its first text", "invoices", minimum=0),
    ),
    code_version="2",
)

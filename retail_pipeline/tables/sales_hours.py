"""What came in on a day by the hour its invoices began in, as sums that add up over days."""

from retail_pipeline.tables.columns import DAY, INTEGER, MONEY
from retail_pipeline.tables.table import DAYS_BEFORE, Column, Reads, Table

TABLE = Table(
    __name__,
    __doc__,
    layer="reports",
    partition_keys=("date",),
    key=("began_on", "hour"),
    reads=(Reads("transactions"),),
    made_from={
        "transactions": Reads("transactions"),
        "earlier": Reads("transactions", DAYS_BEFORE),
        "features": "sums",
    },
    beside="report",
    planned=False,
    columns=(
        Column("began_on", DAY, "Day on which the invoices of the lines began, as a rule the same"),
        Column("hour", INTEGER, "Hour in which they began", "hours", minimum=0),
        Column("invoices", INTEGER, "Those that begin on the day, returns too", "invoices", minimum=0),
        Column("orders", INTEGER, "Those whose first sale is of the day", "orders", minimum=0),
        Column("revenue", MONEY, "Sales less returns (+ adjustments if set so)", "currency"),
        Column("gross_amount", MONEY, "Value of the sales", "currency"),
        Column("anonymous_amount", MONEY, "Of these without a customer", "currency"),
        Column("returned_amount", MONEY, "Value of the returns, as a positive number", "currency"),
    ),
)

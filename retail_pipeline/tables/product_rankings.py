"""The first hundred products sold, by revenue, units and invoices, net of what came back."""

from retail_pipeline.tables.columns import INTEGER, MONEY, QUANTITY, STRING
from retail_pipeline.tables.table import UP_TO, Column, Reads, Table

TABLE = Table(
    __name__,
    __doc__,
    layer="reports",
    partition_keys=("snapshot_date",),
    key=("ranking", "rank"),
    reads=(Reads("product_days", UP_TO),),
    planned=False,
    code_version="2",
    columns=(
        Column("ranking", STRING, "What they are ranked by", values=("revenue", "units", "invoices")),
        Column("rank", INTEGER, "1 is the first; ties by product_id", minimum=1),
        Column("product_id", STRING, "Product code"),
        Column("description", STRING, "Its commonest description", nullable=True),
        Column("revenue", MONEY, "Sum of amounts: sales less returns", "currency"),
        Column("units", QUANTITY, "Units sold, returns not taken off", "units"),
        Column("invoices", INTEGER, "Distinct invoices that sold it", "invoices", minimum=1),
        Column("returned_units", QUANTITY, "Units that came back, as a positive number", "units"),
        Column("returns", INTEGER, "Invoices that took it back", "invoices", minimum=0),
    ),
)

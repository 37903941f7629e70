"""Where each known customer last bought on a day."""

from retail_pipeline.tables.columns import CUSTOMER, STRING
from retail_pipeline.tables.table import Column, Reads, Table

TABLE = Table(
    __name__,
    __doc__,
    layer="reports",
    partition_keys=("date",),
    key=("customer_id",),
    reads=(Reads("transactions"),),
    beside="report",
    planned=False,
    columns=(
        CUSTOMER,
        Column("country", STRING, "That of the day's last sale that names one"),
    ),
)

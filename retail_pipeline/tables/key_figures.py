"""The report's single figures as of the end of a day."""

from retail_pipeline.tables.columns import FRACTION, STRING
from retail_pipeline.tables.table import UP_TO, Column, Reads, Table

TABLE = Table(
    __name__,
    __doc__,
    layer="reports",
    partition_keys=("snapshot_date",),
    key=("figure",),
    reads=(Reads("rfm_features"), Reads("customer_days", UP_TO), Reads("sales_hours", UP_TO)),
    planned=False,
    code_version="2",
    columns=(
        Column("figure", STRING, "Name of the figure"),
        Column("value", FRACTION, "Null when there is nothing to measure", "", True),
        Column("unit", STRING, "Its unit"),
        Column("meaning", STRING, "What it says"),
    ),
)

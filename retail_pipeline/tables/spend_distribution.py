"""Customers over orders and spend, as cells of a grid; the densest region is marked."""

import pyarrow as pa

from retail_pipeline.tables.columns import INTEGER, MONEY
from retail_pipeline.tables.expectations import at_least, true
from retail_pipeline.tables.table import Column, Reads, Table

TABLE = Table(
    __name__,
    __doc__,
    layer="reports",
    partition_keys=("snapshot_date",),
    key=("orders_from", "spend_from"),
    reads=(Reads("rfm_features"),),
    planned=False,
    columns=(
        Column("orders_from", INTEGER, "Orders from (included)", "orders", minimum=1),
        Column("orders_to", INTEGER, "Orders to (included); null: no limit", "orders", True),
        Column("spend_from", MONEY, "Monetary from (included)", "currency"),
        Column("spend_to", MONEY, "Monetary to (excluded); null: no limit", "currency", True),
        Column("customers", INTEGER, "Customers in the cell", "customers", minimum=0),
        Column("revenue", MONEY, "Sum of their monetary", "currency"),
        Column(
            "densest",
            pa.bool_(),
            "In the smallest rectangle with at least half of the customers",
        ),
    ),
    expects=lambda rules: (
        at_least("orders_to is at least orders_from", "orders_to", "orders_from"),
        true("spend_to is above spend_from", "spend_to > spend_from"),
    ),
)

"""Readable rows of a day that the cleaning rules refuse, with every reason that applies."""

import pyarrow as pa

from retail_pipeline.tables.columns import RAW, STRING
from retail_pipeline.tables.raw_transactions import expects
from retail_pipeline.tables.table import Column, Table

TABLE = Table(
    __name__,
    __doc__,
    layer="transactions",
    partition_keys=("date",),
    key=("source_id", "source_row"),
    beside="transactions",
    planned=False,
    columns=(*RAW, Column("reasons", pa.list_(STRING), "All rules that refuse the row")),
    expects=expects,
)

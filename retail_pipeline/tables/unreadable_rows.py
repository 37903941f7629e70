"""Rows whose types or date could not be read, with the reasons and their original text."""

import pyarrow as pa

from retail_pipeline.tables.columns import FILES_KEPT, INTEGER, STRING
from retail_pipeline.tables.table import Column, Table

TABLE = Table(
    __name__,
    __doc__,
    layer="landing",
    partition_keys=("file",),
    key=("source_id", "source_row"),
    beside="landed_files",
    planned=False,
    columns=(
        Column("source_id", STRING, "First 16 hex digits of its file's sha256"),
        Column("source_row", INTEGER, "Row number in the file; 1 is the first data row", minimum=1),
        Column("reasons", pa.list_(STRING), "Everything that is wrong with the row"),
        Column("payload", STRING, "The row's text as it stood", personal=True),
    ),
    kept=FILES_KEPT,
    code_version="2",
)

"""Types and columns that several tables share."""

from __future__ import annotations

import pyarrow as pa

from retail_pipeline.tables.table import Column

QUANTITY = pa.decimal128(18, 3)
MONEY = pa.decimal128(18, 4)
TIMESTAMP = pa.timestamp("us")
STRING = pa.string()
INTEGER = pa.int64()
DAY = pa.date32()
FRACTION = pa.float64()
FILES_KEPT = "for good, under set_aside/ while the file does not count"

RAW = (
    Column("source_id", STRING, "First 16 hex digits of its file's sha256"),
    Column("source_row", INTEGER, "Row number in the file; 1 is the first data row", minimum=1),
    Column("source_system", STRING, "The shop or till system, as its profile names it"),
    Column("invoice_id", STRING, "Invoice, basket or order number", nullable=True),
    Column(
        "product_id",
        STRING,
        "Product code, letter case as delivered",
        nullable=True,
    ),
    Column("description", STRING, "Product text", nullable=True),
    Column("quantity", QUANTITY, "Units sold; negative when goods come back", "units"),
    Column("unit_price", MONEY, "Price of one unit; null where only totals are reported", "currency", True),
    Column("amount", MONEY, "Line total; null where only prices are reported", "currency", True),
    Column("sold_at", TIMESTAMP, "When it was sold, in business time"),
    Column(
        "customer_id",
        STRING,
        "Customer; null for an anonymous sale",
        nullable=True,
        personal=True,
    ),
    Column("country", STRING, "Of the sale or the customer", nullable=True),
    Column("currency", STRING, "ISO 4217 code"),
)


def with_columns(columns: tuple[Column, ...], **replaced: Column) -> tuple[Column, ...]:
    return tuple(replaced.get(c.name, c) for c in columns)


CUSTOMER = Column("customer_id", STRING, "Customer", personal=True)
ON_LIST = (
    Column("segment", STRING, "What put the customer on the list"),
    Column(
        "arm",
        STRING,
        "treatment: gets the offer; control: held out, to measure by",
        values=("treatment", "control"),
    ),
    Column("rank", INTEGER, "1 is the first by the campaign's ranking", minimum=1),
    Column("offer", STRING, "The offer"),
    Column("channel", STRING, "The channel"),
    Column("reason", STRING, "Why this customer, in words"),
)

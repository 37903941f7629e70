"""Clean transaction lines of a day: what the shop sold, took back and adjusted."""

from retail_pipeline.tables.columns import MONEY, RAW, STRING, with_columns
from retail_pipeline.tables.expectations import (
    LARGEST_PLAUSIBLE_QUANTITY,
    between,
    one_of,
    sold_on_its_day,
    true,
)
from retail_pipeline.tables.table import EVERY_FILE, Check, Column, Cost, Reads, Table

TABLE = Table(
    __name__,
    __doc__,
    layer="transactions",
    partition_keys=("date",),
    key=("source_id", "source_row"),
    reads=(Reads("raw_transactions", EVERY_FILE),),
    made_from={
        "raw_transactions": Reads("raw_transactions", EVERY_FILE),
        "cleaning": "cleaning",
        "checks": "checks",
    },
    columns=(
        *with_columns(
            RAW,
            invoice_id=Column("invoice_id", STRING, "Invoice, basket or order number"),
            product_id=Column(
                "product_id", STRING, "Product code, tidied (padding off, upper case)", nullable=True
            ),
            unit_price=Column(
                "unit_price",
                MONEY,
                "As reported, or amount / quantity; null when quantity is 0",
                "currency",
                True,
            ),
            amount=Column(
                "amount",
                MONEY,
                "As reported, else quantity x unit_price; negative for a return",
                "currency",
            ),
        ),
        Column(
            "line_kind",
            STRING,
            "sale; return (goods or money back); adjustment (postage, fees, discounts)",
            values=("sale", "return", "adjustment"),
        ),
    ),
    expects=lambda rules: (
        sold_on_its_day(),
        one_of(f"currency is {rules.currency}", "currency", (rules.currency,)),
        true("the amount of a sale is not negative", "line_kind <> 'sale' or amount >= 0"),
        true("the amount of a return is not positive", "line_kind <> 'return' or amount <= 0"),
        # A unit price made from a line total is rounded to four decimals: the gap grows with the quantity.
        true(
            "amount is quantity x unit_price to half a cent",
            "abs(amount - quantity * unit_price) <= 0.005 + abs(quantity) * 0.00005",
            blocking=False,
        ),
        between(
            f"quantity is plausible (at most {LARGEST_PLAUSIBLE_QUANTITY:,} either way)",
            "quantity",
            min_value=-LARGEST_PLAUSIBLE_QUANTITY,
            max_value=LARGEST_PLAUSIBLE_QUANTITY,
            blocking=False,
        ),
    ),
    checks=(
        Check("no_row_is_lost", "Raw rows = transactions + rejected rows."),
        Check(
            "deliveries_are_complete",
            "Every source delivered what it does on such a weekday, or what is set for it.",
        ),
    ),
    cost=Cost(1e-05, 20.0),
    code_version="2",
)

"""What each known customer did on a day, as sums that add up over days."""

from retail_pipeline.tables.columns import CUSTOMER, INTEGER, MONEY, QUANTITY, TIMESTAMP
from retail_pipeline.tables.expectations import at_least, between, first_before_last, true, zero
from retail_pipeline.tables.table import DAYS_BEFORE, Column, Cost, Reads, Table

_NET = zero(
    "net_amount is gross_amount less returned_amount",
    "amount_unaccounted_for",
    "net_amount - gross_amount + returned_amount",
)
TABLE = Table(
    __name__,
    __doc__,
    layer="features",
    partition_keys=("date",),
    key=("customer_id",),
    reads=(Reads("transactions"),),
    made_from={
        "transactions": Reads("transactions"),
        "earlier": Reads("transactions", DAYS_BEFORE),
        "features": "sums",
    },
    kept="for good, taken away while the day is held",
    columns=(
        CUSTOMER,
        Column(
            "orders",
            INTEGER,
            "Sale invoices that begin on the day, per source system",
            "orders",
            minimum=0,
        ),
        Column("lines", INTEGER, "Lines of any kind", "lines", minimum=1),
        Column("units", QUANTITY, "Units sold, returns not taken off", "units"),
        Column("gross_amount", MONEY, "Value of the sales", "currency", minimum=0),
        Column("returned_amount", MONEY, "Value of the returns, as a positive number", "currency"),
        Column("net_amount", MONEY, "gross_amount - returned_amount (+ adjustments if set so)", "currency"),
        Column("first_sold_at", TIMESTAMP, "First sale of the day; null if only returns", nullable=True),
        Column("last_sold_at", TIMESTAMP, "Last sale of the day; null if only returns", nullable=True),
        Column(
            "visits",
            INTEGER,
            "Sale or return invoices that begin on the day, per source system",
            "visits",
            minimum=0,
        ),
        Column("first_visit_at", TIMESTAMP, "First sale or return of the day", nullable=True),
        Column("last_visit_at", TIMESTAMP, "Last sale or return of the day", nullable=True),
    ),
    expects=lambda rules: (
        between("returned_amount is at least 0", "returned_amount", min_value=0),
        at_least("a customer has no more orders than lines", "lines", "orders"),
        at_least("a customer has no more visits than lines", "lines", "visits"),
        first_before_last(),
        true("a day with orders has a first sale", "orders = 0 or first_sold_at is not null"),
        true("a day with a first sale has a visit", "first_sold_at is null or first_visit_at is not null"),
        *(() if rules.adjustments_in_net else (_NET,)),
    ),
    cost=Cost(0.0, 90.0),
    code_version="2",
)

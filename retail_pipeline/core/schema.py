"""Every table of the lake, once: columns, types, units, meaning, keys.

Belongs here: what a reader of the lake may rely on. Everything that needs a table's shape (writers, checks,
the column schema shown in the UI, ``docs/tables.md``) derives it from here. Does not belong here: how a table
is made (``sql/``) or where it lies (``lake/partitions.py``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import pyarrow as pa

QUANTITY = pa.decimal128(18, 3)
MONEY = pa.decimal128(18, 4)
TIMESTAMP = pa.timestamp("us")
STRING = pa.string()
INTEGER = pa.int64()
DAY = pa.date32()
FRACTION = pa.float64()


@dataclass(frozen=True)
class Column:
    """One column.

    Its Arrow type, its unit (empty where there is none), what it means, and what may stand in it.
    """

    name: str
    type: pa.DataType
    meaning: str
    unit: str = ""
    nullable: bool = False
    values: tuple[str, ...] = ()
    minimum: int | None = None


@dataclass(frozen=True)
class Table:
    """One table: its columns, the hive keys of its partitions, its primary key inside a partition, its layer.

    ``code_version`` rises whenever the same inputs would give other rows; partitions made by another version
    are stale.
    """

    name: str
    meaning: str
    layer: str
    partition_keys: tuple[str, ...]
    key: tuple[str, ...]
    columns: tuple[Column, ...]
    code_version: str = "1"
    holds_customers: bool = False

    @cached_property
    def arrow(self) -> pa.Schema:
        """The Arrow schema of the table's files (hive keys stand in the path, not in the file)."""
        return pa.schema([pa.field(c.name, c.type, nullable=c.nullable) for c in self.columns])

    @property
    def names(self) -> list[str]:
        """The column names, in file order."""
        return [c.name for c in self.columns]


_RAW = (
    Column("source_id", STRING, "First 16 hex digits of the sha256 of the file the row came in"),
    Column("source_row", INTEGER, "Row number in the file; 1 is the first data row", minimum=1),
    Column("source_system", STRING, "The shop or till system, as the source profile names it"),
    Column("invoice_id", STRING, "Invoice, basket or order number, without decoration", nullable=True),
    Column(
        "product_id",
        STRING,
        "Product code, without decoration; letter case as delivered until cleaning",
        nullable=True,
    ),
    Column("description", STRING, "Product text", nullable=True),
    Column("quantity", QUANTITY, "Units sold; negative when goods come back", "units"),
    Column(
        "unit_price", MONEY, "Price of one unit; null where the shop reports line totals", "currency", True
    ),
    Column("amount", MONEY, "Line total; null where the shop reports unit prices", "currency", True),
    Column("sold_at", TIMESTAMP, "When it was sold, in the business time zone, without offset"),
    Column("customer_id", STRING, "Customer, without decoration; null for an anonymous sale", nullable=True),
    Column("country", STRING, "Country of the sale or the customer", nullable=True),
    Column("currency", STRING, "ISO 4217 code"),
)


def _with(columns: tuple[Column, ...], **replaced: Column) -> tuple[Column, ...]:
    return tuple(replaced.get(c.name, c) for c in columns)


CUSTOMER = Column("customer_id", STRING, "Customer")
FIRST_SOLD_AT = Column(
    "first_sold_at", TIMESTAMP, "First sale (over all history in a snapshot)", nullable=True
)
LAST_SOLD_AT = Column("last_sold_at", TIMESTAMP, "Last sale (over all history in a snapshot)", nullable=True)
_ON_LIST = (
    Column("segment", STRING, "Segment that put the customer on the list"),
    Column(
        "arm",
        STRING,
        "treatment: gets the offer; control: held out, to measure by",
        values=("treatment", "control"),
    ),
    Column("rank", INTEGER, "1 is the first by the campaign's ranking", minimum=1),
    Column("offer", STRING, "The offer"),
    Column("channel", STRING, "The channel"),
    Column("reason", STRING, "Why this customer is on this list, in words"),
)

TABLES: Mapping[str, Table] = {
    t.name: t
    for t in (
        Table(
            "landed_files",
            "One row for each file that has landed: where it came from, what it held, which days it touches.",
            "landing",
            ("file",),
            ("source_id",),
            (
                Column("source_id", STRING, "First 16 hex digits of the file's sha256"),
                Column("path", STRING, "Path under the landing folder when it landed"),
                Column("size_bytes", INTEGER, "Size of the file", "bytes", minimum=0),
                Column("sha256", STRING, "sha256 of the file's bytes, in hex"),
                Column("profile", STRING, "The source profile that read it"),
                Column("encoding", STRING, "Text encoding, or `binary` for Parquet"),
                Column("rows_read", INTEGER, "Data rows in the file", "rows", minimum=0),
                Column("rows_accepted", INTEGER, "Rows in raw_transactions", "rows", minimum=0),
                Column("rows_rejected", INTEGER, "Rows in unreadable_rows", "rows", minimum=0),
                Column(
                    "rows_left_out",
                    INTEGER,
                    "Rows that `keep_rows` does not keep, and totals: in no table",
                    "rows",
                    minimum=0,
                ),
                Column("first_day", DAY, "First business day in the file", nullable=True),
                Column("last_day", DAY, "Last business day in the file", nullable=True),
                Column("days_touched", pa.list_(DAY), "Every business day in the file, ascending"),
            ),
            code_version="2",
        ),
        Table(
            "raw_transactions",
            "The shop's transaction lines as delivered, in canonical types; nothing judged yet.",
            "landing",
            ("date",),
            ("source_id", "source_row"),
            _RAW,
            code_version="2",
            holds_customers=True,
        ),
        Table(
            "unreadable_rows",
            "Rows whose types or date could not be read, with the reasons and their original text.",
            "landing",
            ("file",),
            ("source_id", "source_row"),
            (
                Column("source_id", STRING, "First 16 hex digits of the file's sha256"),
                Column("source_row", INTEGER, "Row number in the file; 1 is the first data row", minimum=1),
                Column("reasons", pa.list_(STRING), "Everything that is wrong with the row"),
                Column("payload", STRING, "The row's text as it stood"),
            ),
            code_version="2",
            holds_customers=True,
        ),
        Table(
            "transactions",
            "Clean transaction lines of a day: what the shop sold, took back and adjusted.",
            "transactions",
            ("date",),
            ("source_id", "source_row"),
            (
                *_with(
                    _RAW,
                    invoice_id=Column("invoice_id", STRING, "Invoice, basket or order number"),
                    product_id=Column(
                        "product_id", STRING, "Product code, tidied (padding off, upper case)", nullable=True
                    ),
                    unit_price=Column(
                        "unit_price",
                        MONEY,
                        "Price of one unit, as reported or amount / quantity; null when quantity is 0",
                        "currency",
                        True,
                    ),
                    amount=Column(
                        "amount",
                        MONEY,
                        "Line total, as reported, else quantity x unit_price; negative for a return",
                        "currency",
                    ),
                ),
                Column(
                    "line_kind",
                    STRING,
                    "sale; return (goods or money back); adjustment (postage, fees, discounts: no product)",
                    values=("sale", "return", "adjustment"),
                ),
            ),
            code_version="2",
            holds_customers=True,
        ),
        Table(
            "rejected_rows",
            "Readable rows of a day that the cleaning rules refuse, with every reason that applies.",
            "transactions",
            ("date",),
            ("source_id", "source_row"),
            (*_RAW, Column("reasons", pa.list_(STRING), "The names of all the rules that refuse the row")),
            holds_customers=True,
        ),
        Table(
            "customer_days",
            "What each known customer did on a day, as sums that add up over days.",
            "features",
            ("date",),
            ("customer_id",),
            (
                CUSTOMER,
                Column(
                    "orders",
                    INTEGER,
                    "Distinct sale invoices that begin on the day, per source system",
                    "orders",
                    minimum=0,
                ),
                Column("lines", INTEGER, "Lines of any kind", "lines", minimum=1),
                Column("units", QUANTITY, "Units sold, returns not taken off", "units"),
                Column("gross_amount", MONEY, "Value of the sales", "currency", minimum=0),
                Column("returned_amount", MONEY, "Value of the returns, as a positive number", "currency"),
                Column(
                    "net_amount",
                    MONEY,
                    "gross_amount - returned_amount (+ adjustments if set so)",
                    "currency",
                ),
                Column(
                    "first_sold_at", TIMESTAMP, "First sale of the day; null if only returns", nullable=True
                ),
                Column(
                    "last_sold_at", TIMESTAMP, "Last sale of the day; null if only returns", nullable=True
                ),
                Column(
                    "visits",
                    INTEGER,
                    "Distinct invoices with a sale or a return that begin on the day, per source system",
                    "visits",
                    minimum=0,
                ),
                Column("first_visit_at", TIMESTAMP, "First sale or return of the day", nullable=True),
                Column("last_visit_at", TIMESTAMP, "Last sale or return of the day", nullable=True),
            ),
            code_version="2",
            holds_customers=True,
        ),
        Table(
            "rfm_features",
            "Recency, frequency and monetary value of every customer, as of the end of a day.",
            "features",
            ("snapshot_date",),
            ("customer_id",),
            (
                CUSTOMER,
                Column(
                    "recency_days", INTEGER, "Snapshot day minus the day of the last sale", "days", minimum=0
                ),
                Column("frequency", INTEGER, "Sale invoices in the window", "orders", minimum=0),
                Column("monetary", MONEY, "Value in the window, net of returns by default", "currency"),
                Column(
                    "avg_order_value",
                    MONEY,
                    "Gross value / frequency in the window; null at frequency 0",
                    "currency",
                    True,
                ),
                Column(
                    "tenure_days", INTEGER, "Snapshot day minus the day of the first sale", "days", minimum=0
                ),
                Column("active_days", INTEGER, "Days with a sale in the window", "days", minimum=0),
                Column(
                    "first_sold_at",
                    TIMESTAMP,
                    "First sale over all history; null if only returns",
                    nullable=True,
                ),
                Column(
                    "last_sold_at",
                    TIMESTAMP,
                    "Last sale over all history; null if only returns",
                    nullable=True,
                ),
            ),
            code_version="2",
            holds_customers=True,
        ),
        Table(
            "segmentation_models",
            "The models in force in a month: one JSON a segmentation, trained on the days before the month.",
            "segments",
            ("month",),
            ("segmentation",),
            (
                Column("segmentation", STRING, "Name of the segmentation"),
                Column("model", STRING, "The fitted model with its card, as JSON"),
            ),
            code_version="2",
        ),
        Table(
            "model_candidates",
            "What was fitted for a month, with its gates: in force since, or kept and refused.",
            "segments",
            ("month",),
            ("segmentation",),
            (
                Column("segmentation", STRING, "Name of the segmentation"),
                Column("candidate", STRING, "The fitted model, its gates' figures and the verdict, as JSON"),
            ),
        ),
        Table(
            "segment_assignments",
            "The segment of every customer under one segmentation, as of the end of a day, and why.",
            "segments",
            ("snapshot_date", "segmentation"),
            ("customer_id",),
            (
                CUSTOMER,
                Column("segment", STRING, "Segment name; `Lapsed` when nothing was bought in the window"),
                Column(
                    "score", pa.float64(), "The method's own score (docs/segmentations.md)", nullable=True
                ),
                Column("reason", STRING, "Why this segment, in figures"),
                Column(
                    "previous_segment",
                    STRING,
                    "Segment at the last month close before the day",
                    nullable=True,
                ),
                Column(
                    "segment_since",
                    DAY,
                    "First month close of the unbroken spell in this segment",
                    nullable=True,
                ),
                Column(
                    "model_month", STRING, "Month whose model was in force; `bootstrap` or `same_snapshot`"
                ),
            ),
            holds_customers=True,
        ),
        Table(
            "campaign_lists",
            "Who gets which offer through which channel, ranked, with a control group.",
            "campaigns",
            ("snapshot_date", "campaign"),
            ("customer_id",),
            (CUSTOMER, *_ON_LIST),
            holds_customers=True,
        ),
        Table(
            "restated_lists",
            "What a list that was handed over would be today, customer by customer: the difference.",
            "campaigns",
            ("snapshot_date", "campaign"),
            ("customer_id",),
            (
                CUSTOMER,
                Column(
                    "change",
                    STRING,
                    "added, removed, same, or changed (segment, arm, rank, offer or channel)",
                    values=("same", "added", "removed", "changed"),
                ),
                *(
                    Column(column.name, column.type, column.meaning + "; null where removed", nullable=True)
                    for column in _ON_LIST
                ),
                *(
                    Column(
                        f"released_{name}", type_, f"The {name} handed over; null where added", nullable=True
                    )
                    for name, type_ in (("segment", STRING), ("arm", STRING), ("rank", INTEGER))
                ),
            ),
            holds_customers=True,
        ),
        Table(
            "segment_profiles",
            "Each segment as of the end of a day: size, money, typical customer, countries.",
            "reports",
            ("snapshot_date",),
            ("segmentation", "segment"),
            (
                Column("segmentation", STRING, "Name of the segmentation"),
                Column("segment", STRING, "Segment name"),
                Column("customers", INTEGER, "Customers in the segment", "customers", minimum=1),
                Column("share", FRACTION, "Customers / all customers of the snapshot", "1"),
                Column("revenue", MONEY, "Sum of monetary", "currency"),
                Column(
                    "revenue_share", FRACTION, "Revenue / that of all segments; null if that is 0", "1", True
                ),
                *(
                    Column(f"{feature}_{figure}", FRACTION, f"{figure.title()} of {feature}", unit, nullable)
                    for feature, unit, nullable in (
                        ("recency_days", "days", False),
                        ("frequency", "orders", False),
                        ("monetary", "currency", False),
                        ("avg_order_value", "currency", True),
                    )
                    for figure in ("mean", "median")
                ),
                Column(
                    "top_countries",
                    pa.list_(STRING),
                    "The up to three countries most of its customers last bought in, commonest first; empty "
                    "when none is known in the window",
                ),
                Column(
                    "top_country_shares", pa.list_(FRACTION), "Their shares of the segment's customers", "1"
                ),
            ),
        ),
        Table(
            "segment_migration",
            "Moves between segments since an earlier day: customers, their worth, what moved them.",
            "reports",
            ("snapshot_date",),
            ("segmentation", "compared_with", "from_segment", "to_segment"),
            (
                Column("segmentation", STRING, "Name of the segmentation"),
                Column(
                    "compared_with",
                    STRING,
                    "The earlier snapshot: that of the day before, or of 30 days before",
                    values=("previous_day", "30_days_before"),
                ),
                Column("compared_day", DAY, "The day of the earlier snapshot"),
                Column("from_segment", STRING, "Segment then; `New` for those who were no customers yet"),
                Column("to_segment", STRING, "Segment now"),
                Column("customers", INTEGER, "Customers, those who stayed included", "customers", minimum=1),
                Column("revenue", MONEY, "Sum of their monetary now", "currency"),
                Column(
                    "by_behaviour",
                    INTEGER,
                    "Moved because their features crossed a boundary: the earlier model moves them too",
                    "customers",
                    minimum=0,
                ),
                Column(
                    "by_model",
                    INTEGER,
                    "Moved because the boundary crossed them: the earlier model leaves them",
                    "customers",
                    minimum=0,
                ),
            ),
        ),
        Table(
            "cohort_retention",
            "How many of those who first bought in a month bought again in each later month.",
            "reports",
            ("snapshot_date",),
            ("cohort_month", "month"),
            (
                Column("cohort_month", STRING, "Month of the first sale, YYYY-MM"),
                Column("month", STRING, "Month observed, YYYY-MM; the last may be under way"),
                Column("months_since", INTEGER, "Months between the two", "months", minimum=0),
                Column("cohort_customers", INTEGER, "Customers of the cohort", "customers", minimum=1),
                Column("customers", INTEGER, "Those of them who bought in the month", "customers", minimum=0),
                Column("rate", FRACTION, "customers / cohort_customers", "1"),
            ),
        ),
        Table(
            "sales_trends",
            "Distinct invoices and revenue by weekday, month, season and hour; anonymous included.",
            "reports",
            ("snapshot_date",),
            ("dimension", "position"),
            (
                Column(
                    "dimension",
                    STRING,
                    "What the rows are by",
                    values=("weekday", "month", "season", "hour"),
                ),
                Column(
                    "position",
                    INTEGER,
                    "weekday 1 (Monday) to 7, month 1 to 12, season 1 (spring) to 4 (winter), hour 0 to 23",
                    minimum=0,
                ),
                Column("label", STRING, "Its name: Mon, Jan, Spring (Mar-May), 09:00"),
                Column(
                    "invoices", INTEGER, "Distinct invoices of any kind, returns too", "invoices", minimum=0
                ),
                Column("orders", INTEGER, "Distinct invoices with a sale", "orders", minimum=0),
                Column(
                    "revenue",
                    MONEY,
                    "Sales less returns of these invoices (+ adjustments if set so)",
                    "currency",
                ),
            ),
        ),
        Table(
            "customer_rankings",
            "The first hundred customers by total spend, by average order value and by number of orders.",
            "reports",
            ("snapshot_date",),
            ("ranking", "rank"),
            (
                Column("ranking", STRING, "What they are ranked by", values=("total", "average", "orders")),
                Column("rank", INTEGER, "1 is the first; ties by customer_id", minimum=1),
                CUSTOMER,
                Column("monetary", MONEY, "Value in the window", "currency"),
                Column("frequency", INTEGER, "Sale invoices in the window", "orders", minimum=1),
                Column("avg_order_value", MONEY, "Gross value / frequency", "currency"),
                Column("recency_days", INTEGER, "Days since the last sale", "days", minimum=0),
            ),
            holds_customers=True,
        ),
        Table(
            "spend_distribution",
            "Customers over orders and spend, as cells of a grid; the densest region is marked.",
            "reports",
            ("snapshot_date",),
            ("orders_from", "spend_from"),
            (
                Column("orders_from", INTEGER, "Orders from (included)", "orders", minimum=1),
                Column("orders_to", INTEGER, "Orders to (included); null: no limit", "orders", True),
                Column("spend_from", MONEY, "Monetary from (included)", "currency"),
                Column("spend_to", MONEY, "Monetary to (excluded); null: no limit", "currency", True),
                Column("customers", INTEGER, "Customers in the cell", "customers", minimum=0),
                Column("revenue", MONEY, "Sum of their monetary", "currency"),
                Column(
                    "densest",
                    pa.bool_(),
                    "In the smallest rectangle of cells that holds at least half of the customers",
                ),
            ),
        ),
        Table(
            "product_rankings",
            "The first hundred products sold, by revenue, by units and by invoices.",
            "reports",
            ("snapshot_date",),
            ("ranking", "rank"),
            (
                Column("ranking", STRING, "What they are ranked by", values=("revenue", "units", "invoices")),
                Column("rank", INTEGER, "1 is the first; ties by product_id", minimum=1),
                Column("product_id", STRING, "Product code"),
                Column("description", STRING, "Its commonest description", nullable=True),
                Column("revenue", MONEY, "Sum of amounts: sales less returns", "currency"),
                Column("units", QUANTITY, "Units sold, returns not taken off", "units"),
                Column("invoices", INTEGER, "Distinct invoices that sold it", "invoices", minimum=1),
            ),
        ),
        Table(
            "key_figures",
            "The report's single figures as of the end of a day.",
            "reports",
            ("snapshot_date",),
            ("figure",),
            (
                Column("figure", STRING, "Name of the figure (docs/report.md lists them)"),
                Column("value", FRACTION, "Its value; null when there is nothing to measure", "", True),
                Column("unit", STRING, "Its unit"),
                Column("meaning", STRING, "What it says"),
            ),
        ),
    )
}

REPORT = Table(
    "report",
    "The page of a day, one HTML file: the customer base, what changed, what to do.",
    "reports",
    ("snapshot_date",),
    (),
    (),
)

LAYERS = ("landing", "transactions", "features", "segments", "campaigns", "reports")

"""The baseline the pipeline is measured against: the same tables, from the same files, without orchestration.

    python plain_script.py LANDING OUT --through 2011-12-09

One malformed row stops it.

Descriptions lose their outer blanks and keep inner runs of them.
"""

import argparse
import re
import resource
import time
from datetime import date, timedelta
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import psutil
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from sklearn.cluster import KMeans

QUANTITY, MONEY, TIMESTAMP = pa.decimal128(18, 3), pa.decimal128(18, 4), pa.timestamp("us")

# Column: (type, nullable), in file order.
TRANSACTIONS = {
    "source_id": (pa.string(), False),
    "source_row": (pa.int64(), False),
    "source_system": (pa.string(), False),
    "invoice_id": (pa.string(), False),
    "product_id": (pa.string(), True),
    "description": (pa.string(), True),
    "quantity": (QUANTITY, False),
    "unit_price": (MONEY, True),
    "amount": (MONEY, False),
    "sold_at": (TIMESTAMP, False),
    "customer_id": (pa.string(), True),
    "country": (pa.string(), True),
    "currency": (pa.string(), False),
    "line_kind": (pa.string(), False),
}
CUSTOMER_DAYS = {
    "customer_id": (pa.string(), False),
    "orders": (pa.int64(), False),
    "lines": (pa.int64(), False),
    "units": (QUANTITY, False),
    "gross_amount": (MONEY, False),
    "returned_amount": (MONEY, False),
    "net_amount": (MONEY, False),
    "first_sold_at": (TIMESTAMP, True),
    "last_sold_at": (TIMESTAMP, True),
    "visits": (pa.int64(), False),
    "first_visit_at": (TIMESTAMP, True),
    "last_visit_at": (TIMESTAMP, True),
}
RFM_FEATURES = {
    "customer_id": (pa.string(), False),
    "recency_days": (pa.int64(), False),
    "frequency": (pa.int64(), False),
    "monetary": (MONEY, False),
    "avg_order_value": (MONEY, True),
    "tenure_days": (pa.int64(), False),
    "active_days": (pa.int64(), False),
    "first_sold_at": (TIMESTAMP, True),
    "last_sold_at": (TIMESTAMP, True),
}
SEGMENTS = {name: (pa.string(), False) for name in ("customer_id", "behaviour", "rfm_grid")}

# A row's number is its place in the whole reading, which keeps the files' order, less its file's first.
READ = """
create table lines as
with numbered as (
    select *, row_number() over () as place
    from read_csv($files, filename = true, header = true, auto_detect = false, delim = ',', quote = '"',
        escape = '"', columns = {
            InvoiceNo: 'varchar', StockCode: 'varchar', Description: 'varchar', Quantity: 'decimal(18,3)',
            InvoiceDate: 'timestamp', UnitPrice: 'decimal(18,4)', CustomerID: 'varchar', Country: 'varchar'})
),
files as (select filename, left(sha256(content), 16) as source_id from read_blob($files)),
firsts as (select filename, min(place) as first_place from numbered group by filename)
select source_id, place - first_place + 1 as source_row, numbered.* exclude (filename, place)
from numbered join files using (filename) join firsts using (filename)
"""

TRANSACTIONS_SQL = """
create table transactions as
select
    cast(InvoiceDate as date) as day, source_id, source_row, 'uci_online_retail' as source_system,
    trim(InvoiceNo) as invoice_id, upper(trim(StockCode)) as product_id,
    nullif(trim(Description), '') as description, Quantity as quantity, UnitPrice as unit_price,
    cast(Quantity * UnitPrice as decimal(18, 4)) as amount, InvoiceDate as sold_at,
    nullif(regexp_replace(trim(CustomerID), '[.]0$', ''), '') as customer_id,
    nullif(trim(Country), '') as country, 'GBP' as currency,
    case when Quantity > 0 then 'sale' else 'return' end as line_kind
from lines
where regexp_matches(trim(InvoiceNo), '^[0-9]{6}$')
    and regexp_matches(upper(trim(StockCode)), '^([0-9]{5}[A-Z]*|PADS)$')
    and UnitPrice > 0 and cast(InvoiceDate as date) <= $through
"""

CUSTOMER_DAYS_SQL = """
create table customer_days as
with known as (
    select
        *, min(day) over (partition by customer_id, invoice_id) as began,
        min(day) filter (where line_kind = 'sale') over (partition by customer_id, invoice_id) as ordered
    from transactions where customer_id is not null
)
select
    day, customer_id,
    count(distinct invoice_id) filter (where line_kind = 'sale' and ordered = day) as orders,
    count(*) as lines,
    coalesce(sum(quantity) filter (where line_kind = 'sale'), 0) as units,
    coalesce(sum(amount) filter (where line_kind = 'sale'), 0) as gross_amount,
    coalesce(-sum(amount) filter (where line_kind = 'return'), 0) as returned_amount,
    sum(amount) as net_amount,
    min(sold_at) filter (where line_kind = 'sale') as first_sold_at,
    max(sold_at) filter (where line_kind = 'sale') as last_sold_at,
    count(distinct invoice_id) filter (where began = day) as visits,
    min(sold_at) as first_visit_at, max(sold_at) as last_visit_at
from known group by day, customer_id
"""

FEATURES_SQL = """
select
    customer_id, date_diff('day', cast(max(last_sold_at) as date), $through) as recency_days,
    sum(orders) as frequency, sum(net_amount) as monetary,
    cast(sum(gross_amount) / sum(orders) as decimal(18, 4)) as avg_order_value,
    date_diff('day', cast(min(first_sold_at) as date), $through) as tenure_days,
    count(*) filter (where orders > 0) as active_days,
    min(first_sold_at) as first_sold_at, max(last_sold_at) as last_sold_at
from customer_days group by customer_id having sum(orders) > 0 order by customer_id
"""

# On the digits (recency, mean of frequency and monetary), 5 best; the first match wins.
GRID_RULES = {
    "[12][12]": "Hibernating",
    "[12][34]": "At Risk",
    "[12]5": "Can't Lose Them",
    "3[12]": "About To Sleep",
    "33": "Need Attention",
    "[34][45]": "Loyal Customers",
    "41": "Promising",
    "51": "New Customers",
    "[45][23]": "Potential Loyalists",
    "5[45]": "Champions",
}


def typed(data: pa.Table, columns: dict[str, tuple[pa.DataType, bool]]) -> pa.Table:
    """Give the table its columns, in order and with their types; a null where none may stand is an error."""
    schema = pa.schema([pa.field(name, kind, nullable) for name, (kind, nullable) in columns.items()])
    return data.select(schema.names).cast(schema)


def write(data: pa.Table, path: Path) -> None:
    """Write one Parquet file, compressed as the pipeline's are."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(data, path, compression="zstd", compression_level=1)


def write_days(
    data: pa.Table, columns: dict[str, tuple[pa.DataType, bool]], days: list[date], to: Path
) -> None:
    """Write one file a calendar day, empty ones included, from a table ordered by day."""
    rows_of = {c["values"].as_py(): c["counts"].as_py() for c in pc.value_counts(data["day"])}
    rows, start = typed(data, columns).combine_chunks(), 0
    for day in days:
        count = rows_of.get(day, 0)
        write(rows.slice(start, count), to / f"date={day}" / "part-0.parquet")
        start += count


def above_fence(values: pd.Series) -> pd.Series:
    """Strictly above Q3 + 1.5 IQR."""
    q1, q3 = values.quantile(0.25), values.quantile(0.75)
    return values > q3 + 1.5 * (q3 - q1)


def fifth(values: pd.Series) -> np.ndarray:
    """Scores 1 to 5: one more than the quantile edges strictly below the value; ties stay together."""
    edges = values.quantile([0.2, 0.4, 0.6, 0.8]).to_numpy()
    return 1 + np.searchsorted(edges, values.to_numpy(), side="left")


def behaviour(rfm: pd.DataFrame) -> pd.Series:
    """Outlier groups on monetary and frequency; four clusters of the rest, named from their centroids."""
    big, frequent = above_fence(rfm["monetary"]), above_fence(rfm["frequency"])
    core = rfm.loc[~(big | frequent), ["monetary", "frequency", "recency_days"]]
    clusters = KMeans(4, n_init=10, random_state=0).fit_predict((core - core.mean()) / core.std(ddof=0))
    centroids = core.groupby(clusters).mean()
    least_recent = centroids["recency_days"].idxmax()
    by_value = centroids.drop(least_recent)["monetary"].sort_values().index
    names = {least_recent: "RE-ENGAGE", **dict(zip(by_value, ("NURTURE", "RETAIN", "REWARD"), strict=True))}
    segment = pd.Series(clusters, core.index).map(names).reindex(rfm.index)
    return segment.mask(big, "PAMPER").mask(frequent, "UPSELL").mask(big & frequent, "DELIGHT")


def rfm_grid(rfm: pd.DataFrame) -> pd.Series:
    """The default grid: recency against the mean of the frequency and monetary scores, rounded half up."""
    recency = 6 - fifth(rfm["recency_days"])
    other = (fifth(rfm["frequency"]) + fifth(rfm["monetary"]) + 1) // 2
    digits = pd.Series(recency, rfm.index).astype(str) + pd.Series(other, rfm.index).astype(str)
    names = {
        cell: next(name for rule, name in GRID_RULES.items() if re.fullmatch(rule, cell))
        for cell in digits.unique()
    }
    return digits.map(names)


def main() -> None:
    """Make the four tables and print what they hold, the seconds of each phase and the peak memory."""
    parser = argparse.ArgumentParser(description="The baseline: DuckDB and pandas, without orchestration.")
    parser.add_argument("landing", type=Path, help="folder of the UCI Online Retail files, one CSV a day")
    parser.add_argument("out", type=Path, help="folder for the tables")
    parser.add_argument("--through", type=date.fromisoformat, required=True, help="last day, YYYY-MM-DD")
    args = parser.parse_args()

    seconds: dict[str, float] = {}
    begun = psutil.Process().create_time()

    def phase_ends(name: str) -> None:
        seconds[name] = time.time() - begun - sum(seconds.values())

    phase_ends("start and imports")
    engine = duckdb.connect()
    engine.execute(READ, {"files": str(args.landing / "*.csv")})
    phase_ends("read")
    engine.execute(TRANSACTIONS_SQL, {"through": args.through})
    transactions = engine.sql("from transactions order by day, source_id, source_row").to_arrow_table()
    phase_ends("transactions")
    engine.execute(CUSTOMER_DAYS_SQL)
    customer_days = engine.sql("from customer_days order by day, customer_id").to_arrow_table()
    phase_ends("customer_days")
    features = typed(
        engine.sql(FEATURES_SQL, params={"through": args.through}).to_arrow_table(), RFM_FEATURES
    )
    phase_ends("rfm_features")
    rfm = (
        features.to_pandas().set_index("customer_id")[["recency_days", "frequency", "monetary"]].astype(float)
    )
    segments = pd.DataFrame({"behaviour": behaviour(rfm), "rfm_grid": rfm_grid(rfm)}).reset_index()
    phase_ends("segments")
    first = pc.min(transactions["day"]).as_py()
    days = [first + timedelta(n) for n in range((args.through - first).days + 1)]
    write_days(transactions, TRANSACTIONS, days, args.out / "transactions")
    write_days(customer_days, CUSTOMER_DAYS, days, args.out / "customer_days")
    write(features, args.out / "rfm_features.parquet")
    write(
        typed(pa.Table.from_pandas(segments, preserve_index=False), SEGMENTS), args.out / "segments.parquet"
    )
    phase_ends("write")

    known = transactions.num_rows - transactions["customer_id"].null_count
    print(
        f"{len(days)} days, {transactions.num_rows:,} transactions ({known:,} of a known customer),", end=" "
    )
    print(f"{customer_days.num_rows:,} customer days, {features.num_rows:,} customers")
    for name in ("behaviour", "rfm_grid"):
        print(f"{name}: {segments[name].value_counts().to_dict()}")
    for name, spent in seconds.items():
        print(f"{name:<18}{spent:7.2f} s")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{'total':<18}{sum(seconds.values()):7.2f} s, peak {peak:,.0f} MB")


if __name__ == "__main__":
    main()

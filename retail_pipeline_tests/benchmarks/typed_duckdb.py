"""The peer of ``scale.py``: what DuckDB alone needs from CSV files in UCI's columns to RFM features.

    python typed_duckdb.py LANDING OUT

It reads with types, so a row that does not fit them is dropped; it writes no manifest and checks nothing.
"""

import argparse
import time
from pathlib import Path

import duckdb

COLUMNS = {
    "InvoiceNo": "varchar",
    "StockCode": "varchar",
    "Description": "varchar",
    "Quantity": "decimal(18, 3)",
    "InvoiceDate": "timestamp",
    "UnitPrice": "decimal(18, 4)",
    "CustomerID": "varchar",
    "Country": "varchar",
}
NO_PRODUCTS = "^(POST|D|M|DOT|BANK CHARGES|CRUK|AMAZONFEE|C2|PADS|S)$"

TRANSACTIONS = """
select
    cast(InvoiceDate as date) as date, parse_filename(filename) as source_id, trim(InvoiceNo) as invoice_id,
    upper(trim(StockCode)) as product_id, nullif(trim(Description), '') as description,
    Quantity as quantity, UnitPrice as unit_price, cast(Quantity * UnitPrice as decimal(18, 4)) as amount,
    InvoiceDate as sold_at, nullif(regexp_replace(trim(CustomerID), '[.]0$', ''), '') as customer_id,
    nullif(trim(Country), '') as country, case when Quantity > 0 then 'sale' else 'return' end as line_kind
from raw
where UnitPrice > 0 and Quantity <> 0 and not regexp_matches(upper(trim(StockCode)), $no_products)
"""
CUSTOMER_DAYS = """
select
    date, customer_id, count(distinct invoice_id) filter (line_kind = 'sale') as orders, count(*) as lines,
    sum(amount) as net_amount, sum(amount) filter (line_kind = 'sale') as gross_amount,
    min(sold_at) filter (line_kind = 'sale') as first_sold_at,
    max(sold_at) filter (line_kind = 'sale') as last_sold_at
from transactions where customer_id is not null
group by date, customer_id order by date, customer_id
"""
RFM = """
select
    customer_id, date_diff('day', cast(max(last_sold_at) as date), (select max(date) from customer_days))
        as recency_days,
    sum(orders) as frequency, sum(net_amount) as monetary, sum(gross_amount) / sum(orders) as avg_order_value
from customer_days group by customer_id having sum(orders) > 0 order by customer_id
"""


def main() -> None:
    """Write the three tables and print the seconds of each."""
    parser = argparse.ArgumentParser(description="The peer: DuckDB's own typed Parquet and RFM.")
    parser.add_argument("landing", type=Path)
    parser.add_argument("out", type=Path)
    asked = parser.parse_args()
    asked.out.mkdir(parents=True)
    # DuckDB as a careful user would set it: the order of rows within a day does not matter here
    settings = {"threads": 2, "memory_limit": "2GB", "preserve_insertion_order": False}
    connection = duckdb.connect(config=settings)
    raw = connection.read_csv(
        f"{asked.landing}/*.csv", filename=True, header=True, columns=COLUMNS, sep=",", quotechar='"',
        escapechar='"', store_rejects=True,
    )  # fmt: skip
    raw.create_view("raw")
    seconds = []
    for name, select, parameters in (
        ("transactions", TRANSACTIONS, {"no_products": NO_PRODUCTS}),
        ("customer_days", CUSTOMER_DAYS, {}),
        ("rfm_features", RFM, {}),
    ):
        began, target = time.perf_counter(), asked.out / name
        options = "format parquet, compression zstd, compression_level 1"
        if name != "rfm_features":
            options += ", partition_by (date)"
        connection.execute(f"copy ({select}) to $path ({options})", {**parameters, "path": str(target)})
        files = f"{target}/*/*.parquet" if target.is_dir() else str(target)
        connection.read_parquet(files, hive_partitioning=True).create_view(name)
        seconds.append(f"{name} {time.perf_counter() - began:.1f} s")
    found = connection.execute("select count(*), sum(frequency), sum(monetary) from rfm_features").fetchone()
    print(*seconds, *found, sep=", ")


if __name__ == "__main__":
    main()

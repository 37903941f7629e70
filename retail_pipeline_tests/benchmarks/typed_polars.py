"""The other peer of ``scale.py``: what Polars alone needs from CSV files in UCI's columns to RFM features.

    python typed_polars.py LANDING OUT

Money is a double here, a row whose figures do not fit is dropped, and there is one Parquet file.
"""

import argparse
import time
from pathlib import Path

import polars as pl

COLUMNS = (
    "InvoiceNo",
    "StockCode",
    "Description",
    "Quantity",
    "InvoiceDate",
    "UnitPrice",
    "CustomerID",
    "Country",
)


def main() -> None:
    """Write transactions and RFM features and print the seconds of each."""
    parser = argparse.ArgumentParser(description="The peer: Polars' own Parquet and RFM.")
    parser.add_argument("landing", type=Path)
    parser.add_argument("out", type=Path)
    asked = parser.parse_args()
    asked.out.mkdir(parents=True)
    began = time.perf_counter()
    text = pl.scan_csv(f"{asked.landing}/*.csv", schema=dict.fromkeys(COLUMNS, pl.String()))
    lines = text.select(
        invoice_id=pl.col("InvoiceNo").str.strip_chars(),
        product_id=pl.col("StockCode").str.strip_chars().str.to_uppercase(),
        description=pl.col("Description"),
        quantity=pl.col("Quantity").cast(pl.Float64, strict=False),
        unit_price=pl.col("UnitPrice").cast(pl.Float64, strict=False),
        sold_at=pl.col("InvoiceDate").str.to_datetime(strict=False),
        customer_id=pl.col("CustomerID").str.strip_chars().str.replace(r"\.0$", ""),
        country=pl.col("Country"),
    )
    good = lines.filter(
        (pl.col("unit_price") > 0) & (pl.col("quantity") != 0) & pl.col("sold_at").is_not_null()
    ).with_columns(amount=pl.col("quantity") * pl.col("unit_price"))
    good.sink_parquet(asked.out / "transactions.parquet", compression="zstd", compression_level=1)
    written = time.perf_counter()
    is_sale = pl.col("quantity") > 0
    rfm = (
        pl.scan_parquet(asked.out / "transactions.parquet")
        .filter(pl.col("customer_id") != "")
        .group_by("customer_id")
        .agg(
            last_sold_at=pl.col("sold_at").filter(is_sale).max(),
            frequency=pl.col("invoice_id").filter(is_sale).n_unique(),
            monetary=pl.col("amount").sum(),
        )
        .filter(pl.col("frequency") > 0)
        .sort("customer_id")
        .collect(engine="streaming")
    )
    rfm.write_parquet(asked.out / "rfm_features.parquet")
    made = time.perf_counter()
    print(f"transactions {written - began:.1f} s, rfm_features {made - written:.1f} s, {len(rfm)}")


if __name__ == "__main__":
    main()

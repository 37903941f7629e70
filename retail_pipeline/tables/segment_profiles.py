"""Each segment as of the end of a day: size, money, typical customer, countries."""

import pyarrow as pa

from retail_pipeline.tables.columns import FRACTION, INTEGER, MONEY, STRING
from retail_pipeline.tables.expectations import between, known_segment
from retail_pipeline.tables.table import UP_TO, Column, Reads, Table

TABLE = Table(
    __name__,
    __doc__,
    layer="reports",
    partition_keys=("snapshot_date",),
    key=("segmentation", "segment"),
    reads=(Reads("rfm_features"), Reads("segment_assignments"), Reads("customer_countries", UP_TO)),
    planned=False,
    columns=(
        Column("segmentation", STRING, "Its name"),
        Column("segment", STRING, "Its name"),
        Column("customers", INTEGER, "Customers in the segment", "customers", minimum=1),
        Column("share", FRACTION, "Customers / all customers", "1"),
        Column("revenue", MONEY, "Sum of monetary", "currency"),
        Column("revenue_share", FRACTION, "Revenue / that of all segments; null if that is 0", "1", True),
        Column(
            "slipping_share",
            FRACTION,
            "Of what is about to be lost: own gaps since the last order x revenue a day; null if nothing is",
            "1",
            True,
        ),
        *(
            Column(f"{feature}_{figure}", FRACTION, "Of the segment's customers", unit, nullable)
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
            "Up to three in which most of its customers last bought, commonest first",
        ),
        Column("top_country_shares", pa.list_(FRACTION), "Their shares of the segment's customers", "1"),
    ),
    expects=lambda rules: (
        *known_segment(rules.segments),
        between("share is at most 1", "share", max_value=1),
    ),
    code_version="2",
)

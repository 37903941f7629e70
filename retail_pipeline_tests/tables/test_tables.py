"""The tables are a contract with whoever reads the lake: columns, types and paths stand here once more."""

from __future__ import annotations

import pyarrow as pa
import pytest

from retail_pipeline.planning.inputs import _FACTS, by_statement
from retail_pipeline.tables import TABLES
from retail_pipeline.tables.table import LAYERS, Table

TABLE = pytest.mark.parametrize("table", TABLES.values(), ids=TABLES.keys())

RAW = (
    "source_id source_row source_system invoice_id product_id description quantity unit_price amount sold_at "
    "customer_id country currency"
)
CONTRACT = {
    "landed_files": (
        "file",
        "source_id path size_bytes sha256 profile encoding rows_read rows_accepted "
        "rows_rejected rows_left_out first_day last_day days_touched",
    ),
    "raw_transactions": ("date", RAW),
    "unreadable_rows": ("file", "source_id source_row reasons payload"),
    "transactions": ("date", f"{RAW} line_kind"),
    "rejected_rows": ("date", f"{RAW} reasons"),
    "customer_days": (
        "date",
        "customer_id orders lines units gross_amount returned_amount net_amount first_sold_at last_sold_at "
        "visits first_visit_at last_visit_at",
    ),
    "rfm_features": (
        "snapshot_date",
        "customer_id recency_days frequency monetary avg_order_value tenure_days "
        "active_days first_sold_at last_sold_at",
    ),
    "model_candidates": ("month", "segmentation candidate"),
    "segmentation_models": ("month", "segmentation model"),
    "segment_assignments": (
        "snapshot_date segmentation",
        "customer_id segment score reason previous_segment segment_since model_month raw_segment",
    ),
    "campaign_lists": ("snapshot_date campaign", "customer_id segment arm rank offer channel reason"),
    "restated_lists": (
        "snapshot_date campaign",
        "customer_id change segment arm rank offer channel reason released_segment released_arm "
        "released_rank",
    ),
    "product_days": ("date", "product_id description sales revenue units invoices returned_units returns"),
    "sales_hours": (
        "date",
        "began_on hour invoices orders revenue gross_amount anonymous_amount returned_amount",
    ),
    "customer_countries": ("date", "customer_id country"),
    "segment_profiles": (
        "snapshot_date",
        "segmentation segment customers share revenue revenue_share slipping_share recency_days_mean "
        "recency_days_median frequency_mean frequency_median monetary_mean monetary_median "
        "avg_order_value_mean avg_order_value_median top_countries top_country_shares",
    ),
    "segment_migration": (
        "snapshot_date",
        "segmentation compared_with compared_day from_segment to_segment bought customers revenue "
        "by_behaviour by_model by_orders by_time",
    ),
    "cohort_retention": (
        "snapshot_date",
        "cohort_month month months_since cohort_customers customers rate whole old_share left_censored",
    ),
    "sales_trends": (
        "snapshot_date",
        "dimension position label invoices orders revenue days orders_of_days sales_of_days",
    ),
    "sales_periods": ("snapshot_date", "kind first_day last_day whole orders customers sales revenue"),
    "customer_rankings": (
        "snapshot_date",
        "ranking rank customer_id monetary frequency avg_order_value recency_days spend_per_order",
    ),
    "spend_distribution": (
        "snapshot_date",
        "orders_from orders_to spend_from spend_to customers revenue densest",
    ),
    "product_rankings": (
        "snapshot_date",
        "ranking rank product_id description revenue units invoices returned_units returns",
    ),
    "key_figures": ("snapshot_date", "figure value unit meaning"),
    "report": ("snapshot_date", ""),
}


def test_the_tables_their_partitions_and_their_columns():
    assert {
        name: (" ".join(table.partition_keys), " ".join(table.names)) for name, table in TABLES.items()
    } == CONTRACT


@pytest.mark.parametrize(
    ("column", "kind"),
    [
        ("customer_id", pa.string()),
        ("invoice_id", pa.string()),
        ("quantity", pa.decimal128(18, 3)),
        ("units", pa.decimal128(18, 3)),
        ("amount", pa.decimal128(18, 4)),
        ("unit_price", pa.decimal128(18, 4)),
        ("gross_amount", pa.decimal128(18, 4)),
        ("monetary", pa.decimal128(18, 4)),
        ("sold_at", pa.timestamp("us")),
        ("last_sold_at", pa.timestamp("us")),
        ("segment_since", pa.date32()),
        ("reasons", pa.list_(pa.string())),
    ],
)
def test_a_column_has_one_type_wherever_it_stands(column: str, kind: pa.DataType):
    found = {c.type for table in TABLES.values() for c in table.columns if c.name == column}
    assert found == {kind}


def test_an_anonymous_sale_is_a_transaction_and_nobodys_feature():
    nullable = {
        name: t.arrow.field("customer_id").nullable for name, t in TABLES.items() if "customer_id" in t.names
    }
    assert {name for name, may_be in nullable.items() if may_be} == {
        "raw_transactions",
        "transactions",
        "rejected_rows",
    }


@TABLE
def test_every_table_with_customers_is_marked_so_that_they_can_be_erased(table: Table):
    personal = {"customer_id", "payload"} & set(table.names)
    assert set(table.personal) == personal


@TABLE
def test_keys_are_columns_that_are_never_null_and_hive_keys_are_none(table: Table):
    assert all(not table.arrow.field(name).nullable for name in table.key)
    assert not set(table.partition_keys) & set(table.names)
    assert len(set(table.names)) == len(table.names)


@TABLE
def test_every_table_and_column_says_what_it_means(table: Table):
    assert table.meaning
    assert all(column.meaning for column in table.columns)
    assert table.layer in LAYERS
    money = [c for c in table.columns if pa.types.is_decimal(c.type)]
    assert all(column.unit in ("currency", "units") for column in money)


@TABLE
def test_what_a_manifest_records_is_declared_and_can_be_found(table: Table):
    made_from = table.made_from or {}
    assert {made for made in made_from.values() if isinstance(made, str)} <= _FACTS.keys()
    assert {made.table for made in made_from.values() if not isinstance(made, str)} <= TABLES.keys()
    assert table.kept
    if table.is_its_statement and table.of_days:
        assert all(by_statement(reads) for reads in table.reads)

"""What the suites promise before any data is seen."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retail_pipeline.planning.masking import mask
from retail_pipeline.tables import TABLES
from retail_pipeline.tables.expectations import Rules
from retail_pipeline.tables.table import Table

EVERY_TABLE = pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)


def states(table: str, **settings) -> list[str]:
    return [e.states for e in TABLES[table].suite(Rules("GBP", **settings))]


@EVERY_TABLE
def test_a_suite_reads_only_columns_that_the_table_or_its_path_has(table: Table):
    known = {*table.names, *table.partition_keys}
    for expectation in table.suite(Rules("GBP", segments=["VIP"])):
        assert expectation.reads, expectation.states
        assert set(expectation.reads) <= known, expectation.states


@EVERY_TABLE
def test_no_two_expectations_of_a_table_state_the_same(table: Table):
    stated = states(table.name, segments=["VIP"])
    assert len(stated) == len(set(stated))


@EVERY_TABLE
def test_the_key_is_unique_within_a_partition_and_may_repeat_in_another(table: Table):
    unique = [e for e in table.suite(Rules("GBP")) if e.type == "expect_compound_columns_to_be_unique"]
    assert [*table.partition_keys, *table.key] in [e.kwargs["column_list"] for e in unique]


def test_a_foreign_currency_blocks_and_an_odd_quantity_warns():
    blocking = {e.states: e.blocking for e in TABLES["transactions"].suite(Rules("EUR"))}
    assert blocking["currency is EUR"]
    assert not blocking["quantity is plausible (at most 1,000,000 either way)"]
    assert not blocking["amount is quantity x unit_price to half a cent"]


def test_net_amounts_need_not_be_sales_less_returns_where_they_count_adjustments():
    net = "net_amount is gross_amount less returned_amount"
    assert net in states("customer_days")
    assert net not in states("customer_days", adjustments_in_net=True)


def test_any_segment_name_passes_where_none_are_known():
    assert "segment is one of Lapsed, VIP" in states("segment_assignments", segments={"VIP", "Lapsed"})
    assert not [s for s in states("segment_assignments") if s.startswith("segment is one of")]


@pytest.mark.parametrize(
    ("customer_id", "shown"), [("17850", "17***"), ("123", "***"), ("1234", "****"), ("", "")]
)
def test_a_masked_id_shows_two_characters_of_a_long_id_and_none_of_a_short_one(customer_id, shown):
    assert mask(customer_id) == shown


@given(st.text(min_size=1))
def test_a_mask_hides_most_of_any_id(customer_id: str):
    masked = mask(customer_id)
    assert len(masked) == len(customer_id)
    assert masked[2:] == "*" * (len(customer_id) - 2) or masked == "*" * len(customer_id)

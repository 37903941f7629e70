"""Fingerprints name values; a manifest is current for the inputs, code and schema that made it."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from datetime import date
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from retail_pipeline.planning.manifests import CheckOutcome, Manifest, Part, fingerprint, schema_fingerprint
from retail_pipeline.tables import TABLES

TABLE = TABLES["transactions"]
DAY = date(2011, 3, 5)
MADE = Manifest(
    table="transactions",
    partition={"date": "2011-03-05"},
    rows=2,
    content="abc",
    inputs={"raw_transactions": "x", "cleaning": "y"},
    code_version=TABLE.code_version,
    schema_fingerprint=schema_fingerprint(TABLE.arrow),
)

plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.dates(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


@settings(deadline=None)
@given(st.dictionaries(st.text(max_size=3), plain, max_size=5))
def test_the_order_of_a_mapping_does_not_matter(value: dict[str, Any]):
    assert fingerprint(value) == fingerprint(dict(reversed(value.items())))


def test_other_values_have_other_names():
    values: list[tuple[Any, ...]] = [
        (), (None,), ("",), (0,), ("0",), (False,), ([],), ({},), ("a", "b"), ("ab",), (["a", "b"],),
        (["b", "a"],),
        (DAY,), ({"a": 1},), ({"a": "1"},),
    ]  # fmt: skip
    assert len({fingerprint(*value) for value in values}) == len(values)


def test_a_fingerprint_is_the_same_in_every_process_and_version():
    assert fingerprint("transactions", {"b": 1, "a": DAY}) == "9cc777a7c5645fa7"
    code = "from retail_pipeline.planning.manifests import fingerprint as f; print(f(['x', {'b': 1}]))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == fingerprint(["x", {"b": 1}])


@pytest.mark.parametrize(
    "other",
    [
        pa.schema([("a", pa.int64()), ("c", pa.string())]),
        pa.schema([("b", pa.string()), ("a", pa.int64())]),
        pa.schema([("a", pa.int32()), ("b", pa.string())]),
        pa.schema([pa.field("a", pa.int64(), nullable=False), ("b", pa.string())]),
    ],
)
def test_a_schema_is_named_by_its_columns_types_order_and_nullability(other: pa.Schema):
    assert schema_fingerprint(pa.schema([("a", pa.int64()), ("b", pa.string())])) != schema_fingerprint(other)


@pytest.mark.parametrize(
    ("inputs", "table", "current"),
    [
        ({"cleaning": "y", "raw_transactions": "x"}, TABLE, True),
        ({"cleaning": "z", "raw_transactions": "x"}, TABLE, False),
        ({"raw_transactions": "x"}, TABLE, False),
        ({**MADE.inputs, "new": ""}, TABLE, False),
        (MADE.inputs, replace(TABLE, code_version="0"), False),
        (MADE.inputs, replace(TABLE, columns=TABLE.columns[:-1]), False),
    ],
)
def test_a_partition_is_current_for_what_it_was_made_from(inputs: dict[str, str], table: Any, current: bool):
    assert MADE.is_current(table, inputs) == current


def test_only_a_blocking_failure_blocks():
    amber = CheckOutcome(states="quantity is plausible", blocking=False, count=1)
    red = CheckOutcome(states="currency is GBP", blocking=True, count=1)
    assert not MADE.blocked
    assert not MADE.model_copy(update={"failures": (amber,)}).blocked
    assert MADE.model_copy(update={"failures": (amber, red)}).blocked


def test_a_manifest_comes_back_from_json_as_it_was():
    full = MADE.model_copy(
        update={
            "counts": {"raw": 3},
            "failures": (CheckOutcome(states="s", blocking=True, count=1),),
            "parts": {DAY: Part(rows=1, content="p")},
        }
    )
    assert Manifest.model_validate_json(full.model_dump_json(exclude_defaults=True)) == full


def test_a_manifest_of_another_shape_is_refused():
    with pytest.raises(ValidationError):
        Manifest.model_validate({**MADE.model_dump(), "made_at": "2011-03-05T12:00:00"})

"""What holds for every method: one segment a customer, lapsed customers apart, models kept as written."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from retail_pipeline.segmentation import (
    LAPSED,
    BehaviourParameters,
    FittedSegmentation,
    Guards,
    Parameters,
    RfmGridParameters,
    Scale,
    SpendProfileParameters,
    SpendTiersParameters,
    ValueScoreParameters,
    fit,
    fit_snapshot,
    from_json,
    segments,
    to_json,
    to_sql,
)
from retail_pipeline.segmentation import assign as assign_in_memory
from retail_pipeline.segmentation import snapshot as read
from retail_pipeline_tests.segmentation.support import assign, in_order, snapshot, snapshots

BY_RANK = RfmGridParameters(guards=None, frequency=Scale(bins=5, ties="rank"), other="frequency")
METHODS = [
    BehaviourParameters(guards=None, starts=2),
    BehaviourParameters(guards=None, clusters=3, starts=2, lower_fence=True),
    BehaviourParameters(guards=None, clusters=2, starts=2, outlier_iqr=0),
    BehaviourParameters(guards=None, clusters=6, starts=2),
    SpendProfileParameters(guards=None, starts=2),
    SpendProfileParameters(guards=None, clusters=6, starts=2),
    ValueScoreParameters(guards=None),
    ValueScoreParameters(guards=None, clusters=2, mid_from=1, high_from=3),
    RfmGridParameters(guards=None),
    RfmGridParameters(
        recency=Scale(bins=5, on_edge="above"), monetary=Scale(quantiles=(0.5,), on_edge="above")
    ),
    BY_RANK,
    SpendTiersParameters(guards=None),
    SpendTiersParameters(guards=None, high_share=0.5, low_share=0.5),
    *(
        method(guards=guards)
        for method in (BehaviourParameters, SpendProfileParameters, RfmGridParameters, SpendTiersParameters)
        for guards in (Guards(fewest=1), Guards())
    ),
]
SHOP = [
    (d, o, m) for d, o, m in zip(range(0, 300, 10), [1, 2, 3, 9, 40] * 6, range(10, 3010, 100), strict=True)
]
TIES_TOGETHER = [p for p in METHODS if p is not BY_RANK]
methods = st.sampled_from(METHODS)


def quick(features: pd.DataFrame, parameters: Parameters) -> FittedSegmentation:
    """A fit without the curve on its card."""
    return fit_snapshot(read(features), parameters, curve=False)


@settings(deadline=None, max_examples=60)
@given(snapshots(), methods)
def test_every_customer_gets_one_segment_that_the_method_names_and_the_card_and_the_model_know(
    features: pd.DataFrame, parameters: Parameters
) -> None:
    fitted = quick(features, parameters)
    found = assign(fitted, features)
    active = features.set_index("customer_id")["frequency"] > 0
    if active.any():
        assert list(found.index) == list(features["customer_id"])
        assert set(found["segment"][active]) <= set(segments(parameters))
        assert found["score"][active].notna().all()
    assert (found["segment"][~active] == LAPSED).all()
    assert found["score"][~active].isna().all()
    assert found["reason"].str.len().gt(0).all()
    counts = found["segment"].value_counts().to_dict()
    assert counts.pop(LAPSED, 0) == fitted.card.lapsed
    assert counts == {name: size for name, size in fitted.card.segments.items() if size}
    assert fitted.card.customers == sum(counts.values())
    in_memory = assign_in_memory(fitted, read(features))
    assert list(found["segment"].loc[in_order(features[active.to_numpy()])]) == list(in_memory)


@settings(deadline=None, max_examples=20)
@given(snapshots(), st.sampled_from(TIES_TOGETHER))
def test_equal_customers_get_equal_segments(features: pd.DataFrame, parameters: Parameters) -> None:
    twins = features.assign(customer_id="twin of " + features["customer_id"])
    both = pd.concat([features, twins], ignore_index=True)
    found = assign(quick(both, parameters), both)
    ours, theirs = found.loc[features["customer_id"]], found.loc[twins["customer_id"]]
    assert ours.reset_index(drop=True).equals(theirs.reset_index(drop=True))


@settings(deadline=None, max_examples=20)
@given(snapshots(min_size=0), methods)
def test_a_model_survives_json_and_gives_the_same_query(
    features: pd.DataFrame, parameters: Parameters
) -> None:
    fitted = quick(features, parameters)
    read_again = from_json(to_json(fitted))
    assert read_again == fitted
    assert to_json(read_again) == to_json(fitted)
    assert to_sql(read_again) == to_sql(fitted)


@pytest.mark.parametrize("parameters", METHODS)
def test_neither_the_order_of_the_rows_nor_lapsed_customers_move_the_fit(parameters: Parameters) -> None:
    alone = quick(snapshot(SHOP), parameters)
    assert to_json(quick(snapshot(SHOP).sample(frac=1, random_state=3), parameters)) == to_json(alone)
    crowded = quick(snapshot(SHOP + [(800, 0, 0)] * 50), parameters)
    assert crowded.card.lapsed == 50
    assert to_sql(crowded) == to_sql(alone)


def test_lapsed_customers_are_told_how_long_ago_they_bought() -> None:
    features = snapshot([*SHOP, (812, 0, 0), (1, 0, -5)])
    found = assign(fit(features, BehaviourParameters(guards=None)), features)
    assert found["reason"].iloc[-2] == "no order in the window; last seen 812 days ago"
    assert found["reason"].iloc[-1] == "no order in the window; last seen 1 day ago"


@pytest.mark.parametrize("parameters", METHODS)
def test_a_model_of_nobody_compiles_and_assigns_nobody(parameters: Parameters) -> None:
    for rows in ([], [(800, 0, 0)]):
        fitted = fit(snapshot(list(rows)), parameters)
        assert fitted.card.notes == ("no customer has an order in the window",)
        assert set(assign(fitted, snapshot([*SHOP, (800, 0, 0)]))["segment"]) == {LAPSED}
        assert set(assign_in_memory(fitted, read(snapshot(SHOP)))) == {""}


@pytest.mark.parametrize("parameters", TIES_TOGETHER)
@pytest.mark.parametrize("rows", [[(3, 2, 10)], [(3, 2, 10)] * 7], ids=["one customer", "all identical"])
def test_one_kind_of_customer_is_one_segment(
    rows: Sequence[tuple[object, ...]], parameters: Parameters
) -> None:
    fitted = quick(snapshot(rows), parameters)
    assert assign(fitted, snapshot(rows))["segment"].nunique() == 1
    assert fitted.card.notes, "the fall-back is not stated"


@pytest.mark.parametrize(
    ("column", "value"),
    [("monetary", np.nan), ("avg_order_value", np.nan), ("recency_days", np.inf), ("customer_id", None)],
)
def test_missing_values_are_refused_with_column_and_count(column: str, value: float | None) -> None:
    features = snapshot(SHOP).astype({"recency_days": float, "monetary": float, "customer_id": object})
    features["avg_order_value"] = features["avg_order_value"].astype(float)
    features.loc[[1, 4], column] = value
    with pytest.raises(ValueError, match=rf"rfm_features\.{column} is missing or infinite in 2 of 30 rows"):
        fit(features, BehaviourParameters(guards=None))


def test_an_absent_column_is_named() -> None:
    with pytest.raises(ValueError, match=r"lacks the columns \['monetary'\]"):
        fit(snapshot(SHOP).drop(columns="monetary"), RfmGridParameters(guards=None))


def test_two_snapshots_at_once_are_refused_without_telling_ids() -> None:
    with pytest.raises(
        ValueError, match="customer_id repeats in 30 of 60 rows; fit one snapshot_date"
    ) as error:
        fit(pd.concat([snapshot(SHOP)] * 2), RfmGridParameters(guards=None))
    assert "101" not in str(error.value)


def _altered(change: dict[str, object]) -> str:
    return json.dumps(json.loads(to_json(fit(snapshot(SHOP), BehaviourParameters(guards=None)))) | change)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (_altered({"schema_version": 3}), "schema_version 3, this program reads 2; upgrade"),
        (_altered({"schema_version": 1}), "schema_version 1, this program reads 2; fit the month again"),
        (_altered({"seed": 5}), "changed after it was written"),
        (_altered({"checksum": "0"}), "changed after it was written"),
        (_altered({"checksum": None}), "models are never edited"),
        ('{"method": ', "the model is no JSON: .* at line 1, column"),
        ("[]", "no JSON object"),
    ],
)
def test_a_model_that_is_not_as_written_is_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        from_json(text)


def test_json_may_be_laid_out_anew_but_not_changed() -> None:
    fitted = fit(snapshot(SHOP), RfmGridParameters(guards=None))
    assert from_json(json.dumps(json.loads(to_json(fitted)))) == fitted


def test_settings_choose_the_method_and_refuse_what_they_do_not_know() -> None:
    given_to = TypeAdapter[Parameters](Parameters).validate_python
    methods = {type(p) for p in METHODS}
    assert [type(given_to({"method": m.model_fields["method"].default})) for m in methods] == [*methods]
    assert given_to({"method": "behaviour", "clusters": 5}) == BehaviourParameters(clusters=5)
    with pytest.raises(ValidationError, match=r"(?s)behaviour.custers.*Extra inputs"):
        given_to({"method": "behaviour", "custers": 5})


def test_ids_that_are_no_numbers_rank_after_numbers() -> None:
    names = ["9", "10", "b", "100", "a", "09"]
    random.Random(1).shuffle(names)
    rules = tuple((f".{score}", f"place {score}") for score in range(1, 7))
    parameters = RfmGridParameters(
        guards=None, frequency=Scale(bins=6, ties="rank"), other="frequency", rules=rules
    )
    features = snapshot([(5, 1, 10)] * 6, names)
    found = assign(fit(features, parameters), features)["segment"]
    assert sorted(names, key=lambda n: (found[n], n)) == ["09", "9", "10", "100", "a", "b"]

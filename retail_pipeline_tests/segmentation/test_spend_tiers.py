"""The method `spend_tiers`: shares that are never exceeded, one-time big buyers apart from High-value."""

from __future__ import annotations

from decimal import Decimal

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retail_pipeline.segmentation import FittedSpendTiers, SpendTiersParameters, assign, fit
from retail_pipeline.segmentation import snapshot as read
from retail_pipeline_tests.segmentation import support
from retail_pipeline_tests.segmentation.support import in_order, snapshot, snapshots

# (recency, frequency, monetary): John once and much, Michel and Emily, and eight others
SHOP = [(9, 1, 900), (3, 4, 800), (5, 2, 640), *((20, 4, money) for money in range(100, 500, 50))]

shares = st.sampled_from([0.05, 0.1, 0.2, 0.3, 0.5])


def tiers(features: pd.DataFrame, **parameters: object) -> FittedSpendTiers:
    fitted = fit(features, SpendTiersParameters.model_validate({"guards": None, **parameters}))
    assert isinstance(fitted, FittedSpendTiers)
    return fitted


def found(features: pd.DataFrame, **parameters: object) -> pd.DataFrame:
    return support.assign(tiers(features, **parameters), features)


@settings(deadline=None, max_examples=50)
@given(snapshots(), shares, shares)
def test_a_tier_holds_those_who_fit_into_its_share_equal_customers_together(
    features: pd.DataFrame, high: float, low: float
) -> None:
    active = features[features["frequency"] > 0].set_index("customer_id")
    active = active.loc[in_order(active.reset_index())]
    if active.empty:
        return
    named = assign(tiers(features, high_share=high, low_share=low), read(features))
    total, average = active["monetary"].astype(float), active["avg_order_value"].astype(float)

    def top(values: pd.Series, share: float) -> pd.Series:
        """Those whom, with their equals and all above them, the share has room for."""
        return values.map(lambda value: (values >= value).sum() <= share * len(values))

    much, large, little = top(total, high), top(average, high), top(-total, low)
    once = active["frequency"] == 1
    expected = pd.Series("Mid-tier", active.index)
    expected[large] = "High-value"
    expected[little] = "Low-spending"
    expected[much] = "High-value"
    expected[much & once] = "One-time Big Buyer"
    assert list(named) == list(expected)


def test_john_bought_big_once_michel_in_all_and_emily_an_order() -> None:
    assert list(found(snapshot(SHOP))["segment"][:4]) == [
        "One-time Big Buyer",
        "High-value",
        "High-value",
        "Low-spending",
    ]


def test_reasons_name_the_limits_that_decided() -> None:
    reasons = found(snapshot([*SHOP, (1, 2, 1000)]))["reason"]
    assert reasons.iloc[0] == "total 900.00 above 850.00, the top 20 %, in 1 order"
    assert reasons.iloc[-1] == (
        "total 1000.00 above 850.00, the top 20 %, in 2 orders; "
        "average order 500.00 above 410.00, the top 20 %"
    )
    assert reasons.iloc[3] == "total 100.00 below 175.00, the bottom 20 %"
    assert reasons.iloc[2] == "total 640.00 from 175.00 up to 850.00; average order 320.00 up to 410.00"


def test_who_sends_most_of_it_back_is_not_high_value_for_a_large_gross_average() -> None:
    features = snapshot([*((20, 2, money) for money in range(100, 1000, 100)), (1, 2, -50, Decimal(5000))])
    back = found(features).iloc[-1]
    assert back["segment"] == "Low-spending"
    assert back["reason"] == "total -50.00 below 150.00, the bottom 20 %"


def test_the_score_is_one_at_the_limit_of_the_larger() -> None:
    features = snapshot([(1, 2, 100 * i, 10 * i) for i in range(1, 11)])
    fitted = tiers(features)
    assert fitted.limits is not None
    assert (fitted.limits.high_total, fitted.limits.high_average) == (850, 85)
    seen = support.assign(
        fitted, snapshot([(1, 2, 850, 1), (1, 2, 425, 85), (1, 2, 1700, 85), (1, 2, -10, 0)])
    )
    assert list(seen["score"]) == [1, 1, 2, 0]
    assert list(seen["segment"]) == ["Mid-tier", "Mid-tier", "High-value", "Low-spending"]


@pytest.mark.parametrize(
    ("rows", "segment", "notes"),
    [
        ([(3, 1, 20)], {"Mid-tier"}, 3),
        ([(3, 2, 20)] * 9, {"Mid-tier"}, 3),
        ([(3, 2, m, 10) for m in range(10)], {"High-value", "Mid-tier", "Low-spending"}, 1),
        ([(3, o, 50, 50 / o) for o in range(1, 11)], {"High-value", "Mid-tier"}, 2),
        ([(3, 2, 7)] * 4 + [(3, 2, 1)], {"Mid-tier", "Low-spending"}, 2),
    ],
    ids=["one customer", "all identical", "equal averages", "equal totals", "most are the best"],
)
def test_where_a_share_has_no_room_for_equals_nobody_is_in_it_and_the_card_says_so(
    rows: list[tuple[object, ...]], segment: set[str], notes: int
) -> None:
    features = snapshot(rows)
    fitted = tiers(features)
    assert set(support.assign(fitted, features)["segment"]) == segment
    assert len(fitted.card.notes) == notes
    assert all("share of the" in note for note in fitted.card.notes)


def test_a_shop_in_the_red_has_a_score_that_means_nothing_but_tiers_that_do() -> None:
    features = snapshot([(3, 2, -100 - m, 0) for m in range(10)])
    seen = found(features)
    assert list(seen["segment"][:2]) == ["High-value", "High-value"]
    assert set(seen["score"]) == {0}


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"high_share": 0}, "greater than 0"),
        ({"low_share": 1}, "less than 1"),
        ({"high_share": 20}, "less than 1"),
        (
            {"high_share": 0.7, "low_share": 0.4},
            "high_share 0.7 and low_share 0.4 overlap; together .* at most",
        ),
    ],
)
def test_impossible_settings_are_refused_with_the_remedy(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SpendTiersParameters.model_validate(wrong)

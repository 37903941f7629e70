"""Names that claim something are given to those of whom it is true by their own figures."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from retail_pipeline.segmentation import (
    BehaviourParameters,
    FittedSegmentation,
    Guards,
    Parameters,
    RfmGridParameters,
    SpendProfileParameters,
    SpendTiersParameters,
    ValueScoreParameters,
    fit,
    fit_snapshot,
    segments,
)
from retail_pipeline.segmentation import snapshot as read
from retail_pipeline.segmentation.compile import evaluated
from retail_pipeline.segmentation.guards import known, rhythm
from retail_pipeline_tests.segmentation.support import assign, snapshot

METHODS: list[Parameters] = [
    BehaviourParameters(), SpendProfileParameters(), ValueScoreParameters(), RfmGridParameters(),
    SpendTiersParameters(),
]  # fmt: skip


def shop(count: int, seed: int = 0) -> pd.DataFrame:
    """A third with one order; the others buy every 2 to 120 days, and half of them have stopped."""
    random = np.random.default_rng(seed)
    gap = np.exp(random.uniform(np.log(2), np.log(120), count))
    tenure = random.integers(1, 1500, count)
    recency = np.where(random.random(count) < 0.5, random.random(count) * tenure, gap * random.random(count))
    recency = np.minimum(recency.astype(int), tenure)
    days = 1 + ((tenure - recency) / gap).astype(int)
    once = random.random(count) < 0.33
    recency, days = np.where(once | (days == 1), tenure, recency), np.where(once, 1, days)
    orders = days + random.integers(0, 3, count) * (days > 1)
    average = random.lognormal(3, 0.8, count).round(2)
    frame = snapshot(list(zip(recency, orders, (orders * average).round(2), average, strict=True)))
    return frame.assign(tenure_days=tenure, active_days=days)


def facts(features: pd.DataFrame, fitted: FittedSegmentation) -> pd.DataFrame:
    """What is true of each customer, reckoned from the definitions."""
    guards, usual = fitted.parameters.guards, fitted.rhythm.usual_gap
    assert guards
    days, orders = features["active_days"], features["frequency"]
    span = features["tenure_days"] - features["recency_days"]
    gap = np.where(span > 0, span / (days - 1).clip(lower=1), usual)
    few, silent = orders <= guards.few_orders, features["recency_days"]
    return pd.DataFrame(
        {
            "new": few & (features["tenure_days"] <= guards.new_days),
            "few_orders": few,
            "once": (orders == 1) & (span == 0),
            "repeat": (orders > 1) | (span > 0),
            "seldom": few | (gap >= guards.seldom_days),
            "overdue": silent > gap,
            "late": silent > guards.late_by * gap,
        }
    ).set_axis(features["customer_id"])


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("parameters", METHODS, ids=lambda parameters: parameters.method)
def test_nobody_gets_a_name_that_their_own_figures_belie(parameters: Parameters, seed: int) -> None:
    features = shop(600, seed)
    fitted = fit_snapshot(read(features), parameters, curve=False)
    segment, true = assign(fitted, features)["segment"], facts(features, fitted)
    assert parameters.guards
    for name in segments(parameters):
        for claim in parameters.guards.claims(name):
            assert true.loc[segment[segment == name].index, claim].all(), (name, claim)


def test_the_least_of_steady_customers_are_neither_new_nor_promising() -> None:
    """All buy every 7 to 30 days for a year: by rank some are the least recent, the fewest, the smallest."""
    random = np.random.default_rng(1)
    gap = random.integers(7, 31, 400)
    orders, recency = 330 // gap, (gap * random.random(400)).astype(int)
    features = snapshot(list(zip(recency, orders, orders * 20, strict=True))).assign(
        active_days=orders, tenure_days=recency + gap * (orders - 1)
    )
    belied = {
        "New Customers",
        "Promising",
        "Hibernating",
        "At Risk",
        "Can't Lose Them",
        "About To Sleep",
        "RE-ENGAGE",
    }
    for parameters in (RfmGridParameters(), BehaviourParameters()):
        off = fit(features, parameters.model_copy(update={"guards": None}))
        assert belied & set(assign(off, features)["segment"])
        assert not belied & set(assign(fit(features, parameters), features)["segment"])


def test_a_name_that_is_not_true_gives_way_to_the_nearest_in_the_grid_that_is() -> None:
    names = RfmGridParameters().true_names
    assert names((5, 1)) == ("New Customers", "Promising", "Potential Loyalists")
    assert names((1, 1)) == ("Hibernating", "About To Sleep", "Promising", "Need Attention")
    assert names((1, 5)) == ("Can't Lose Them", "At Risk", "Loyal Customers", "Need Attention")
    assert names((5, 5)) == ("Champions", "Potential Loyalists")
    assert names((3, 3)) == ("Need Attention",)


def test_the_window_hides_earlier_orders_and_not_the_rhythm() -> None:
    """Weekly for five years and silent for 20 days: 102 days with an order lie in a window of 730."""
    weekly = snapshot([(20, 102, 2000)]).assign(tenure_days=1825, active_days=102)
    features = pd.concat([shop(300), weekly.assign(customer_id="weekly")], ignore_index=True)
    fitted = fit_snapshot(read(features), BehaviourParameters(), curve=False)
    windowed = fitted.model_copy(update={"rhythm": rhythm(read(features, 730), Guards())})
    stages, _ = known(windowed)
    gap = evaluated(stages, read(features))(stages["paced"].expressions[1])
    assert gap[list(read(features).ids).index("weekly")] == pytest.approx(710 / 102)


def test_who_bought_once_is_held_against_the_median_of_those_who_came_back() -> None:
    steady = snapshot([(10, 4, 40)] * 40).assign(tenure_days=10 + 3 * 50, active_days=4)
    once = snapshot([(99, 1, 10), (101, 1, 10)], ["early", "late"])
    features = pd.concat([steady, once], ignore_index=True)
    parameters = RfmGridParameters(guards=Guards(fewest=1))
    fitted = fit(features, parameters)
    assert fitted.rhythm.usual_gap == 50
    found = assign(fitted, features)["segment"]
    assert (found["early"] in {"Hibernating", "RE-ENGAGE"}, found["late"]) == (False, "Hibernating")


@pytest.mark.parametrize("parameters", METHODS, ids=lambda parameters: parameters.method)
def test_too_few_customers_are_named_by_their_own_figures_and_it_is_said(parameters: Parameters) -> None:
    features = shop(199)
    fitted = fit(features, parameters)
    assert fitted.card.notes[0].startswith(
        "199 customers are too few to draw lines between (`guards.fewest` is 200)"
    )
    found, true = assign(fitted, features), facts(features, fitted)
    assert found["reason"].str.startswith("too few customers to compare (199 of 200): ").all()
    for facts_needed, name in parameters.without_lines:
        assert true.loc[found.index[found["segment"] == name], list(facts_needed)].all(axis=None)
    enough = fit(shop(200), parameters)
    assert not enough.knows_too_few


def test_names_of_ones_own_claim_what_their_words_say() -> None:
    claims = Guards().claims
    assert claims("First-time buyers") == ("new",)
    assert claims("New & promising") == ("new", "few_orders")
    assert claims("Lost customers") == ("late",)
    assert claims("Potential Loyalists") == ()
    assert Guards(words={"fading": "overdue"}).claims("Fading stars") == ("overdue",)
    with pytest.raises(ValueError, match="every name claims something"):
        RfmGridParameters(rules=(("[45].", "New"), ("..", "Lost")))
    assert RfmGridParameters(rules=(("[45].", "New"), ("..", "Lost")), guards=None)

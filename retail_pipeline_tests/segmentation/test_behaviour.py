"""The method `behaviour`: the published figures, outliers, clusters, names and reasons."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings

from retail_pipeline.segmentation import BehaviourParameters, FittedBehaviour, fit, segments
from retail_pipeline_tests.segmentation.support import FEATURES, assign, snapshot, snapshots, uci

CORE = [
    (5, 4, 400), (9, 5, 500), (8, 2, 90), (12, 2, 110), (300, 1, 60), (290, 1, 70), (10, 3, 200), (6, 3, 240)
]  # fmt: skip
BY_METHODS_MD = """regexp_matches(invoice, '^[0-9]{6}$') and price > 0
    and (regexp_matches(product, '^[0-9]{5}[a-zA-Z]*$') or product = 'PADS')"""


def behaviour(features: pd.DataFrame, seed: int = 0, **parameters: object) -> FittedBehaviour:
    fitted = fit(features, BehaviourParameters.model_validate({"guards": None, **parameters}), seed)
    assert isinstance(fitted, FittedBehaviour)
    return fitted


def test_uci_gives_the_published_segments_for_any_seed(uci_dir: Path) -> None:
    features = uci(uci_dir, BY_METHODS_MD)
    fitted = behaviour(features)
    assert fitted.card.inertia == pytest.approx(2777.79, abs=0.005)
    assert assign(fitted, features)["segment"].value_counts().to_dict() == {
        "DELIGHT": 232, "PAMPER": 193, "UPSELL": 46,
        "NURTURE": 1547, "RE-ENGAGE": 944, "RETAIN": 890, "REWARD": 482,
    }  # fmt: skip
    assert all(behaviour(features, seed).clustering == fitted.clustering for seed in (1, 2))


@settings(deadline=None, max_examples=50)
@given(snapshots(min_size=2))
def test_the_query_agrees_with_the_interquartile_rule_and_the_nearest_centre(features: pd.DataFrame) -> None:
    fitted = behaviour(features, starts=2, cluster_range=(4, 4))
    active = features[features["frequency"] > 0]
    if active.empty or fitted.clustering is None:
        return
    found = assign(fitted, features).loc[active["customer_id"]]
    values = active[FEATURES].astype(float).to_numpy()

    def limit(column: int) -> float:
        first, third = np.quantile(values[:, column], [0.25, 0.75])
        return float(third + 1.5 * (third - first))

    # The model keeps 12 digits of a limit; a value on the limit must not fall on either side of the 13th.
    often = values[:, 1] > limit(1) * (1 + 1e-11)
    much = values[:, 2] > limit(2) + abs(limit(2)) * 1e-11
    groups = np.select([much & often, much, often], ["DELIGHT", "PAMPER", "UPSELL"], "")
    core = groups == ""
    assert list(found["segment"][~core]) == list(groups[~core])

    spread = values[core].std(axis=0)
    spread[np.ptp(values[core], axis=0) == 0] = np.inf
    centres = {c.name: np.array([c.centre[f] for f in FEATURES]) for c in fitted.clustering.clusters}
    for point, segment, score in zip(values[core], found["segment"][core], found["score"][core], strict=True):
        away = {name: float(np.linalg.norm((point - centre) / spread)) for name, centre in centres.items()}
        own = away.pop(segment)
        assert own <= min(away.values(), default=np.inf) + 1e-9
        clear = 1 - own / min(away.values()) if away else 1.0
        assert score == pytest.approx(clear, abs=1e-6)


def test_outliers_are_named_by_what_stands_out_and_say_so() -> None:
    features = snapshot([*CORE * 3, (5, 3, 5000), (5, 40, 300), (5, 40, 5000)])
    found = assign(behaviour(features), features).iloc[-3:]
    assert list(found["segment"]) == ["PAMPER", "UPSELL", "DELIGHT"]
    spend, orders, both = found["reason"]
    assert spend.startswith("spent 5000.00, above the outlier limit ")
    assert orders.startswith("40 orders, above the outlier limit ")
    assert both == f"{spend}; {orders.replace('the outlier limit ', '')}"
    assert found["score"].iloc[2] == pytest.approx(max(found["score"].iloc[:2]))
    assert (found["score"] > 1).all()


def test_a_value_on_the_limit_is_ordinary() -> None:
    features = snapshot([(1, 1, m) for m in (0, 1, 2, 3, 6)])
    fitted = behaviour(features)
    assert fitted.fences is not None
    assert fitted.fences.monetary.upper == 6
    assert {"PAMPER", "UPSELL", "DELIGHT"}.isdisjoint(assign(fitted, features)["segment"])


def test_large_refunds_are_pampered_only_when_the_lower_fence_is_on() -> None:
    features = snapshot([*CORE * 3, (5, 3, -9000)])
    assert assign(behaviour(features), features)["segment"].iloc[-1] != "PAMPER"
    refund = assign(behaviour(features, lower_fence=True), features).iloc[-1]
    assert refund["segment"] == "PAMPER"
    assert refund["reason"].startswith("spent -9000.00, below the outlier limit -")


def test_names_follow_the_centres_and_say_what_separates_them_from_the_runner_up() -> None:
    features = snapshot([(300, 1, 50), (10, 1, 40), (10, 3, 300), (10, 5, 900)] * 5)
    found = assign(behaviour(features), features)
    assert list(found["segment"][:4]) == ["RE-ENGAGE", "NURTURE", "RETAIN", "REWARD"]
    assert found["reason"].iloc[2] == (
        "like RETAIN: 3 orders, one every 7 days (RETAIN about 3.0); spent 300.00 (RETAIN about 300)"
    )


@pytest.mark.parametrize(
    ("clusters", "names"),
    [
        (2, ["RETAIN", "RE-ENGAGE"]),
        (3, ["REWARD", "NURTURE", "RE-ENGAGE"]),
        (6, ["REWARD", "RETAIN", "RETAIN 2", "RETAIN 3", "NURTURE", "RE-ENGAGE"]),
    ],
)
def test_any_number_of_clusters_has_names_by_falling_value(clusters: int, names: list[str]) -> None:
    features = snapshot([(d, o, 100 * o) for o in range(1, 9) for d in (5, 10, 200)])
    fitted = behaviour(features, clusters=clusters)
    assert fitted.clustering is not None
    assert list(fitted.clustering.names) == names
    spend = [c.centre["monetary"] for c in fitted.clustering.clusters[:-1]]
    assert spend == sorted(spend, reverse=True)
    recency = [c.centre["recency_days"] for c in fitted.clustering.clusters]
    assert recency[-1] == max(recency)
    assert set(names) <= set(segments(BehaviourParameters(guards=None, clusters=clusters)))


def test_fewer_kinds_of_customers_than_clusters_make_fewer_clusters() -> None:
    fitted = behaviour(snapshot([(5, 2, 100), (200, 2, 30)] * 4))
    assert fitted.clustering is not None
    assert fitted.clustering.names == ("RETAIN", "RE-ENGAGE")
    assert fitted.card.notes == (
        "frequency is the same for all customers and plays no part in the distances",
        "4 clusters asked, 2 made: the customers show no more distinct features",
    )


def test_where_every_customer_is_an_outlier_the_card_says_so() -> None:
    features = snapshot([(5, 1, 100), (5, 9, 10)])
    fitted = behaviour(features, outlier_iqr=0)
    assert list(assign(fitted, features)["segment"]) == ["PAMPER", "UPSELL"]
    assert "every customer is an outlier" in fitted.card.notes[-1]


@pytest.mark.parametrize("wrong", [{"outlier_iqr": -1}, {"outlier_iqr": "inf"}, {"k": 4}])
def test_impossible_settings_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        BehaviourParameters.model_validate(wrong)

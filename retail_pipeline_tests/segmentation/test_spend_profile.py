"""The method `spend_profile`: names from the centres, figures that no seed decides, reasons."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from retail_pipeline.segmentation import FittedSpendProfile, SpendProfileParameters, fit, segments
from retail_pipeline.segmentation.spend_profile import cluster_names
from retail_pipeline_tests.segmentation.support import assign, snapshot, uci

VIP, REGULAR = "VIP", "Regular, Mid-Spending"
OCCASIONAL, INFREQUENT = "Occasional, Higher Order Value", "Infrequent, Low Spenders"
# recency, orders, total spend: after the customers of seed 000
SHOP = [(9, 96, 5000), (9, 20, 1068), (9, 2, 74), (9, 2, 149)]


def spend_profile(features: pd.DataFrame, seed: int = 0, **parameters: object) -> FittedSpendProfile:
    fitted = fit(features, SpendProfileParameters.model_validate({"guards": None, **parameters}), seed)
    assert isinstance(fitted, FittedSpendProfile)
    return fitted


def test_on_uci_no_seed_changes_the_clusters_and_no_start_finds_better_ones(uci_dir: Path) -> None:
    features = uci(uci_dir, "quantity > 0 and price > 0")
    fitted = spend_profile(features)
    # the least that scikit-learn's KMeans finds in 1,500 random starts
    assert fitted.card.inertia == pytest.approx(3431.5601, abs=0.0001)
    assert fitted.card.segments == {VIP: 12, REGULAR: 2, OCCASIONAL: 213, INFREQUENT: 4111}
    assert all(spend_profile(features, seed).clustering == fitted.clustering for seed in (1, 2))


def test_a_large_order_value_alone_makes_no_vip() -> None:
    features = snapshot([(1, 40, 9000), (1, 10, 2000), (1, 1, 30), (1, 1, 0, 7000)] * 3)
    assert list(assign(spend_profile(features), features)["segment"][:4]) == [
        VIP,
        REGULAR,
        INFREQUENT,
        OCCASIONAL,
    ]


def test_a_customer_is_told_what_separates_the_own_cluster_from_the_runner_up() -> None:
    features = snapshot(SHOP * 5)
    found = assign(spend_profile(features), features).iloc[1]
    assert found["reason"] == (
        "like Regular, Mid-Spending: spent 1068.00 (Regular, Mid-Spending about 1068); "
        "53.40 an order (Regular, Mid-Spending about 53)"
    )
    assert found["score"] == 1


@pytest.mark.parametrize(
    ("clusters", "names"),
    [
        (2, (VIP, REGULAR)),
        (3, (VIP, REGULAR, INFREQUENT)),
        (4, (VIP, REGULAR, OCCASIONAL, INFREQUENT)),
        (6, (VIP, REGULAR, f"{REGULAR} 2", f"{REGULAR} 3", OCCASIONAL, INFREQUENT)),
    ],
)
def test_any_number_of_clusters_has_names_by_falling_spend(clusters: int, names: tuple[str, ...]) -> None:
    features = snapshot([(5, orders, 3**orders) for orders in range(1, 10) for _ in range(3)])
    fitted = spend_profile(features, clusters=clusters)
    assert fitted.clustering is not None
    assert fitted.clustering.names == names
    spend = [cluster.centre["monetary"] for cluster in fitted.clustering.clusters]
    assert spend[:-2] == sorted(spend[:-2], reverse=True)
    assert min(spend[:-2], default=spend[0]) >= max(spend[-2:]) or clusters < 4
    assert set(names) <= set(segments(SpendProfileParameters(guards=None, clusters=clusters)))


def test_what_a_fall_back_calls_its_clusters_is_among_the_names_of_more() -> None:
    for count in range(1, 10):
        assert set(cluster_names(count)) < set(cluster_names(count + 1))

"""What holds for every method built on k-means: how many clusters, which of many, and what the card says."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retail_pipeline.segmentation import (
    BehaviourParameters,
    FittedBehaviour,
    FittedSpendProfile,
    SpendProfileParameters,
    assign,
    fit,
    fit_snapshot,
    kmeans,
    segments,
    snapshot,
    to_json,
)
from retail_pipeline_tests.segmentation.support import snapshot as frame

Parameters = type[BehaviourParameters] | type[SpendProfileParameters]
METHODS: list[Parameters] = [BehaviourParameters, SpendProfileParameters]
both = pytest.mark.parametrize("method", METHODS)


def fitted(
    features: pd.DataFrame, method: Parameters, **given: object
) -> FittedBehaviour | FittedSpendProfile:
    model = fit(features, method.model_validate({"guards": None, **given}))
    assert isinstance(model, FittedBehaviour | FittedSpendProfile)
    return model


def shop(customers: int, seed: int = 0) -> pd.DataFrame:
    """Customers as shops have them: most order once or twice, a few spend a hundred times as much."""
    random = np.random.default_rng(seed)
    orders = np.minimum(random.zipf(1.9, customers), 400)
    average = np.exp(random.normal(4, 0.9, customers)).round(2)
    days = np.minimum(random.exponential(200 / np.sqrt(orders)), 729).astype(int)
    return pd.DataFrame(
        {
            "customer_id": np.arange(customers).astype(str),
            "recency_days": days,
            "frequency": orders,
            "monetary": (orders * average * random.uniform(0.8, 1.02, customers)).round(2),
            "avg_order_value": average,
            "tenure_days": days,
            "active_days": 1,
        }
    )


def blobs(count: int) -> pd.DataFrame:
    """So many tight groups of customers, far from each other in every feature, none an outlier."""
    rows = [
        (90 * group + i % 3, 4 * group + 1 + i % 2, 900 * group + 10 * i, 300 * (group % 3) + i)
        for group in range(count)
        for i in range(1, 21)
    ]
    return frame(rows)


@both
def test_the_weighted_grid_is_as_good_as_all_customers(method: Parameters) -> None:
    features = shop(30_000)
    full, on_grid = (
        fitted(features, method, grid_above=above, starts=1, cluster_range=(4, 4))
        for above in (30_000, 20_000)
    )
    assert full.card.inertia is not None
    assert on_grid.card.inertia is not None
    assert full.card.inertia <= on_grid.card.inertia <= full.card.inertia * 1.0005
    assert on_grid.card.curve[0].inertia == pytest.approx(on_grid.card.inertia, rel=0.001)
    found = str(full.card.fitted_on), str(on_grid.card.fitted_on)
    assert found[0].startswith("all ")
    assert found[1].startswith("a weighted grid of ")
    assert found[1].split(" for ")[1] == found[0].removeprefix("all ")
    customers = snapshot(features)
    assert (assign(full, customers) == assign(on_grid, customers)).mean() > 0.97


@both
@pytest.mark.parametrize(("groups", "low", "high"), [(2, 2, 8), (3, 2, 8), (5, 2, 8), (2, 4, 6)])
def test_auto_finds_the_groups_that_are_there_within_its_range(
    method: Parameters, groups: int, low: int, high: int
) -> None:
    model = fitted(blobs(groups), method, clusters="auto", cluster_range=(low, high))
    assert model.clustering is not None
    count = len(model.clustering.clusters)
    assert count == groups or groups < low <= count <= high
    assert [point.k for point in model.card.curve] == list(range(low, high + 1))
    assert model.card.silhouette == max(point.silhouette or -1 for point in model.card.curve)
    inertias = [point.inertia for point in model.card.curve]
    assert inertias == sorted(inertias, reverse=True)
    assert set(model.card.segments) <= set(segments(model.parameters))


def test_the_number_that_auto_chooses_is_searched_as_if_it_were_asked() -> None:
    features = shop(300, seed=39)
    chosen = fitted(features, SpendProfileParameters, clusters="auto", cluster_range=(4, 6))
    assert chosen.clustering is not None
    count = len(chosen.clustering.clusters)
    assert chosen.clustering == fitted(features, SpendProfileParameters, clusters=count).clustering


def test_the_curve_is_near_the_best_for_every_number() -> None:
    features = shop(300, seed=29)
    card = fitted(features, SpendProfileParameters).card
    curve, here = card.curve, card.curve[2]
    assert (here.k, here.silhouette) == (4, card.silhouette)
    assert here.inertia == pytest.approx(card.inertia, abs=1e-6)
    best = [fitted(features, SpendProfileParameters, clusters=k).card.inertia or 0.0 for k in range(2, 9)]
    assert all(point.inertia <= least * 1.05 for point, least in zip(curve, best, strict=True))


@settings(deadline=None, max_examples=20)
@given(st.lists(st.tuples(st.integers(1, 30), st.integers(0, 30)), min_size=4, max_size=6))
def test_no_way_to_part_a_few_customers_is_better(rows: list[tuple[int, int]]) -> None:
    features = frame([(5, orders, spend, 10) for orders, spend in rows])
    found = fit_snapshot(snapshot(features), SpendProfileParameters(guards=None, clusters=3), curve=False)
    values = np.array(rows, dtype=float)
    spread = np.where(np.ptp(values, axis=0) > 0, values.std(axis=0), 1)

    def inertia(labels: Sequence[int]) -> float:
        groups = [values[np.array(labels) == label] / spread for label in set(labels)]
        return sum(float(((group - group.mean(axis=0)) ** 2).sum()) for group in groups)

    least = min(inertia(labels) for labels in product(range(3), repeat=len(values)))
    assert found.card.inertia == pytest.approx(least, abs=1e-6)


@both
def test_no_order_of_clusters_changes_names_or_assignments(
    method: Parameters, monkeypatch: pytest.MonkeyPatch
) -> None:
    months = [shop(200, seed) for seed in range(3)]
    in_order = _chain(months, method)
    random, improved = np.random.default_rng(5), kmeans.improved

    def shuffled(points: kmeans.Points, *rest: object) -> kmeans.Solution:
        found = improved(points, *rest)  # type: ignore[arg-type]
        order = random.permutation(len(found.centres))
        return kmeans.Solution(np.argsort(order)[found.labels], found.centres[order], found.inertia)

    monkeypatch.setattr(kmeans, "improved", shuffled)
    assert _chain(months, method) == in_order


def _chain(months: list[pd.DataFrame], method: Parameters) -> list[tuple[str, list[str]]]:
    found, champion = [], None
    for features in months:
        champion = fit(features, method(guards=None, cluster_range=(4, 5)), champion=champion)
        found.append((to_json(champion), list(assign(champion, snapshot(features)))))
    return found


@both
def test_a_fit_without_the_curve_ends_its_search_early_and_close_to_the_best(method: Parameters) -> None:
    whole, bare = (
        fit_snapshot(snapshot(shop(300)), method(guards=None), curve=curve).card for curve in (True, False)
    )
    assert bare.segments.keys() == whole.segments.keys()
    assert whole.inertia
    assert bare.inertia
    assert whole.inertia <= bare.inertia <= 1.05 * whole.inertia
    assert bare.curve == ()
    assert bare.silhouette is None


@pytest.mark.parametrize(
    ("method", "name"), [(BehaviourParameters, "RETAIN"), (SpendProfileParameters, "Regular, Mid-Spending")]
)
@pytest.mark.parametrize("rows", [[(5, 2, 100)], [(5, 2, 100)] * 6], ids=["one customer", "all identical"])
def test_one_kind_of_customer_is_one_cluster(
    method: Parameters, name: str, rows: list[tuple[int, int, int]]
) -> None:
    model = fitted(frame(rows), method)
    assert set(assign(model, snapshot(frame(rows)))) == {name}
    assert model.card.silhouette is None
    assert model.card.curve == ()
    assert model.card.notes[-1] == ("4 clusters asked, 1 made: the customers show no more distinct features")
    alone = fitted(frame(rows), method, clusters="auto")
    assert alone.clustering == model.clustering
    assert alone.card.notes[-1].startswith("at least 2 clusters asked, 1 made")


@pytest.mark.parametrize(
    ("setting", "value", "said"),
    [
        ("clusters", 1, "give a number from 2 to 10, or auto; not 1"),
        ("clusters", 11, "give a number from 2 to 10, or auto; not 11"),
        ("clusters", "many", "give a number from 2 to 10, or auto; not 'many'"),
        ("clusters", True, "give a number from 2 to 10, or auto; not True"),
        ("cluster_range", (1, 5), "within 2 to 10"),
        ("cluster_range", (6, 5), "within 2 to 10"),
        ("starts", 0, "greater than or equal to 1"),
        ("grid_above", 0, "greater than or equal to 1"),
        ("identity_bound", -0.1, "greater than or equal to 0"),
    ],
)
def test_impossible_settings_are_refused(setting: str, value: object, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        BehaviourParameters.model_validate({setting: value})


@pytest.mark.parametrize(("given", "read"), [("auto", "auto"), ("5", 5), (5, 5)])
def test_the_number_of_clusters_may_come_as_text(given: object, read: object) -> None:
    assert BehaviourParameters.model_validate({"clusters": given}).clusters == read

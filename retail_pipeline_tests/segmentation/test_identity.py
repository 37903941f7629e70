"""A name means next month what it meant this month, or the card says why not."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retail_pipeline.segmentation import (
    BehaviourParameters,
    FittedBehaviour,
    RfmGridParameters,
    SpendProfileParameters,
    assign,
    fit,
    segments,
)
from retail_pipeline.segmentation import snapshot as customers
from retail_pipeline.segmentation.clusters import Cluster, Clustering
from retail_pipeline.segmentation.identity import GIVEN_AWAY, follow
from retail_pipeline_tests.segmentation.support import snapshot

NAMES = ("REWARD", "RETAIN", "NURTURE", "RE-ENGAGE")
SHOP = [(10, 5, 900), (10, 3, 300), (10, 1, 40), (300, 1, 50)]


def clustering(
    *centres: tuple[float, float], names: tuple[str, ...] = NAMES, spread: float = 1
) -> Clustering:
    """Clusters by (orders, spend)."""
    return Clustering(
        spread={"frequency": spread, "monetary": spread},
        clusters=tuple(
            Cluster(name=name, centre={"frequency": orders, "monetary": spend})
            for name, (orders, spend) in zip(names, centres, strict=False)
        ),
    )


CHAMPION = clustering((9, 90), (6, 60), (3, 30), (1, 10))


def test_names_follow_the_match_and_the_card_says_where_figures_disagree() -> None:
    # what was REWARD has become worth less than what was RETAIN
    found = clustering((6.2, 60.3), (9.1, 59.9), (3, 30), (1, 10))
    champion = clustering((9, 60), (6, 60), (3, 30), (1, 10))
    heirs = follow(found, champion, 0.5, NAMES)
    assert heirs.clustering.names == ("RETAIN", "REWARD", "NURTURE", "RE-ENGAGE")
    assert [cluster.centre for cluster in heirs.clustering.clusters] == [c.centre for c in found.clusters]
    assert [(m.name, m.champion, m.by_figures) for m in heirs.matches[:2]] == [
        ("RETAIN", "RETAIN", "REWARD"),
        ("REWARD", "REWARD", "RETAIN"),
    ]
    assert heirs.matches[0].cost == pytest.approx(0.3606, abs=1e-4)
    assert heirs.notes == (
        "RETAIN keeps its name: the champion's RETAIN is 0.36 spreads away; its figures say REWARD",
        "REWARD keeps its name: the champion's REWARD is 0.14 spreads away; its figures say RETAIN",
    )


def test_nothing_is_said_where_match_and_figures_agree() -> None:
    heirs = follow(clustering((9, 91), (6, 60), (3, 30), (1, 10)), CHAMPION, 1, NAMES)
    assert heirs.clustering.names == NAMES
    assert heirs.notes == ()


def test_distances_are_in_the_champions_spreads() -> None:
    far, near = (
        follow(clustering((9, 95), (6, 60), (3, 30), (1, 10)), champion, 1, NAMES)
        for champion in (CHAMPION, clustering((9, 90), (6, 60), (3, 30), (1, 10), spread=10))
    )
    assert far.matches[0].cost == 5
    assert near.matches[0].cost == 0.5


def test_a_cluster_beyond_the_bound_is_named_by_its_figures() -> None:
    heirs = follow(clustering((9, 190), (6, 60), (3, 30), (1, 10)), CHAMPION, 5, NAMES)
    assert heirs.clustering.names == NAMES
    assert heirs.notes == (
        "REWARD is named by its figures: the champion's REWARD is 100.00 spreads away, the bound is 5",
    )


def test_all_names_are_by_figures_where_a_new_cluster_would_take_one_that_is_kept() -> None:
    # the champion's REWARD lives on as the second best; above it is a cluster that was not there before
    champion = clustering((2, 12), (5, 6), (3, 3), (1, 1))
    heirs = follow(clustering((12, 13), (2.5, 11.5), (3, 3), (1, 1)), champion, 5, NAMES)
    assert heirs.clustering.names == NAMES
    assert heirs.notes == (
        GIVEN_AWAY,
        "REWARD is named by its figures: the champion's RETAIN is 9.90 spreads away, the bound is 5",
        "RETAIN is named by its figures: the champion's REWARD is 0.71 spreads away",
    )


def test_more_clusters_than_the_champion_had() -> None:
    champion = clustering((9, 90), (3, 30), (1, 10), names=("REWARD", "NURTURE", "RE-ENGAGE"))
    heirs = follow(clustering((9, 90), (6, 60), (3, 30), (1, 10)), champion, 1, NAMES)
    assert heirs.clustering.names == NAMES
    assert heirs.notes == ("RETAIN is new: the champion has no cluster left for it",)
    assert heirs.matches[1].cost is None


def test_fewer_clusters_than_the_champion_had() -> None:
    found = clustering((9, 90), (3, 30), (1, 10), names=("REWARD", "NURTURE", "RE-ENGAGE"))
    heirs = follow(found, CHAMPION, 1, NAMES)
    assert heirs.clustering.names == ("REWARD", "NURTURE", "RE-ENGAGE")
    assert heirs.notes == ("the champion's RETAIN has no heir",)


def test_names_that_the_settings_no_longer_know_have_no_heirs() -> None:
    champion = clustering(
        (9, 90), (6, 60), (3, 30), (1, 10), names=("REWARD", "RETAIN 2", "NURTURE", "RE-ENGAGE")
    )
    heirs = follow(clustering((9, 90), (6, 60), (3, 30), (1, 10)), champion, 1, NAMES)
    assert heirs.clustering.names == NAMES
    assert "the champion's RETAIN 2 has no heir" in heirs.notes


def test_other_features_than_the_champions_are_named_by_figures() -> None:
    flat = Clustering(
        spread={"monetary": 1.0},
        clusters=tuple(Cluster(name=n, centre={"monetary": m}) for n, m in (("RETAIN", 90), ("REWARD", 60))),
    )
    heirs = follow(clustering((9, 90), (6, 60)), flat, 100, NAMES)
    assert heirs.clustering.names == ("REWARD", "RETAIN")
    assert heirs.notes == (
        "names are by figures: the clusters differ in frequency, monetary, the champion's in monetary",
    )


@settings(max_examples=30, deadline=None)
@given(st.randoms(use_true_random=False), st.randoms(use_true_random=False))
def test_the_order_of_the_clusters_plays_no_part(one: random.Random, other: random.Random) -> None:
    def shuffled(given: Clustering, order: random.Random) -> Clustering:
        return given.model_copy(update={"clusters": tuple(order.sample(given.clusters, len(given.clusters)))})

    found = clustering((9, 61), (6.5, 60), (3, 33), (1, 12))
    expected = {c.name: c.centre for c in follow(found, CHAMPION, 40, NAMES).clustering.clusters}
    heirs = follow(shuffled(found, one), shuffled(CHAMPION, other), 40, NAMES)
    assert {cluster.name: cluster.centre for cluster in heirs.clustering.clusters} == expected


def test_customers_keep_their_segment_when_the_figures_alone_would_swap_the_names() -> None:
    champion = fit(snapshot(SHOP * 5), BehaviourParameters())
    features = snapshot([(10, 5, 600), (10, 3, 610), (10, 1, 40), (300, 1, 50)] * 5)
    alone = fit(features, BehaviourParameters())
    following = fit(features, BehaviourParameters(identity_bound=1), champion=champion)
    assert list(assign(alone, customers(features))[:2]) == ["RETAIN", "REWARD"]
    assert list(assign(following, customers(features))[:2]) == ["REWARD", "RETAIN"]
    assert [m.by_figures for m in following.card.matches if m.name == "REWARD"] == ["RETAIN"]
    assert any("its figures say" in note for note in following.card.notes)


def test_a_champion_of_another_method_is_ignored_and_the_card_says_so() -> None:
    features = snapshot(SHOP * 5)
    alone = fit(features, SpendProfileParameters())
    for other in (RfmGridParameters(), BehaviourParameters()):
        following = fit(features, SpendProfileParameters(), champion=fit(features, other))
        assert following.card.notes == ("names are by figures: the champion is of another method",)
        assert list(assign(following, customers(features))) == list(assign(alone, customers(features)))


def test_a_champion_of_nobody_is_ignored_and_the_card_says_so() -> None:
    following = fit(
        snapshot(SHOP), BehaviourParameters(), champion=fit(snapshot([(800, 0, 0)]), BehaviourParameters())
    )
    assert "names are by figures: the champion was fitted on nobody" in following.card.notes


def test_a_champion_of_more_clusters_hands_on_what_the_settings_know() -> None:
    features = snapshot([(d, o, 100 * o) for o in range(1, 9) for d in (5, 10, 200)])
    champion = fit(features, BehaviourParameters(clusters=6))
    parameters = BehaviourParameters(clusters=3)
    following = fit(features, parameters, champion=champion)
    assert isinstance(following, FittedBehaviour)
    assert following.clustering is not None
    assert set(following.clustering.names) <= set(segments(parameters))
    assert sum("has no heir" in note for note in following.card.notes) >= 3

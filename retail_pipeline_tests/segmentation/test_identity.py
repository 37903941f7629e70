"""A name means next month what it meant this month, or the card says why not."""

from __future__ import annotations

import random
from typing import NamedTuple

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
from retail_pipeline.segmentation.clusters import GIVEN_AWAY, Cluster, Clustering, follow
from retail_pipeline.segmentation.fitted import Match
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


class Heirs(NamedTuple):
    clustering: Clustering
    matches: tuple[Match, ...]
    notes: list[str]


def heirs_of(found: Clustering, champion: Clustering, bound: float) -> Heirs:
    return Heirs(*follow(found, champion, bound, NAMES))


def test_names_follow_the_match_and_the_card_says_where_figures_disagree() -> None:
    # what was REWARD has become worth less than what was RETAIN
    found = clustering((6.2, 60.3), (9.1, 59.9), (3, 30), (1, 10))
    champion = clustering((9, 60), (6, 60), (3, 30), (1, 10))
    heirs = heirs_of(found, champion, 0.5)
    assert heirs.clustering.names == ("RETAIN", "REWARD", "NURTURE", "RE-ENGAGE")
    assert [cluster.centre for cluster in heirs.clustering.clusters] == [c.centre for c in found.clusters]
    assert [(m.name, m.champion, m.by_figures) for m in heirs.matches[:2]] == [
        ("RETAIN", "RETAIN", "REWARD"),
        ("REWARD", "REWARD", "RETAIN"),
    ]
    assert heirs.matches[0].cost == pytest.approx(0.3606, abs=1e-4)
    assert heirs.notes == [
        "RETAIN keeps its name: the champion's RETAIN is 0.36 spreads away; its figures say REWARD",
        "REWARD keeps its name: the champion's REWARD is 0.14 spreads away; its figures say RETAIN",
    ]


def test_distances_are_in_the_champions_spreads() -> None:
    far, near = (
        heirs_of(clustering((9, 95), (6, 60), (3, 30), (1, 10)), champion, 1)
        for champion in (CHAMPION, clustering((9, 90), (6, 60), (3, 30), (1, 10), spread=10))
    )
    assert far.matches[0].cost == 5
    assert near.matches[0].cost == 0.5


@pytest.mark.parametrize(
    ("found", "champion", "notes"),
    [
        (clustering((9, 91), (6, 60), (3, 30), (1, 10)), CHAMPION, []),
        (
            clustering((9, 190), (6, 60), (3, 30), (1, 10)),
            CHAMPION,
            ["REWARD is named by its figures: the champion's REWARD is 100.00 spreads away, the bound is 5"],
        ),
        (
            CHAMPION,
            clustering((9, 90), (3, 30), (1, 10), names=("REWARD", "NURTURE", "RE-ENGAGE")),
            ["RETAIN is new: the champion has no cluster left for it"],
        ),
        (
            clustering((9, 90), (3, 30), (1, 10), names=("REWARD", "NURTURE", "RE-ENGAGE")),
            CHAMPION,
            ["the champion's RETAIN has no heir"],
        ),
        (
            CHAMPION,
            clustering((9, 90), (6, 60), (3, 30), (1, 10), names=("REWARD", "RETAIN 2", *NAMES[2:])),
            [
                "RETAIN is new: the champion has no cluster left for it",
                "the champion's RETAIN 2 has no heir",
            ],
        ),
        (
            # the champion's REWARD lives on as the second best; above it is a new cluster
            clustering((12, 13), (2.5, 11.5), (3, 3), (1, 1)),
            clustering((2, 12), (5, 6), (3, 3), (1, 1)),
            [
                GIVEN_AWAY,
                "REWARD is named by its figures: the champion's RETAIN is 9.90 spreads away, the bound is 5",
                "RETAIN is named by its figures: the champion's REWARD is 0.71 spreads away",
            ],
        ),
    ],
    ids=["agree", "beyond the bound", "more", "fewer", "a name that is no longer allowed", "given away"],
)
def test_names_are_those_of_the_figures_and_what_is_worth_a_word_is_said(
    found: Clustering, champion: Clustering, notes: list[str]
) -> None:
    heirs = heirs_of(found, champion, 5)
    assert heirs.clustering.names == found.names
    assert heirs.notes == notes
    assert [match.cost is None for match in heirs.matches] == [
        f"{n} is new" in " ".join(notes) for n in found.names
    ]


def test_other_features_than_the_champions_are_named_by_figures() -> None:
    flat = Clustering(
        spread={"monetary": 1.0},
        clusters=tuple(Cluster(name=n, centre={"monetary": m}) for n, m in (("RETAIN", 90), ("REWARD", 60))),
    )
    heirs = heirs_of(clustering((9, 90), (6, 60)), flat, 100)
    assert heirs.clustering.names == ("REWARD", "RETAIN")
    assert heirs.notes == [
        "names are by figures: the clusters differ in frequency, monetary, the champion's in monetary"
    ]


@settings(max_examples=30, deadline=None)
@given(st.randoms(use_true_random=False), st.randoms(use_true_random=False))
def test_the_order_of_the_clusters_plays_no_part(one: random.Random, other: random.Random) -> None:
    def shuffled(given: Clustering, order: random.Random) -> Clustering:
        return given.model_copy(update={"clusters": tuple(order.sample(given.clusters, len(given.clusters)))})

    found = clustering((9, 61), (6.5, 60), (3, 33), (1, 12))
    expected = {c.name: c.centre for c in heirs_of(found, CHAMPION, 40).clustering.clusters}
    heirs = heirs_of(shuffled(found, one), shuffled(CHAMPION, other), 40)
    assert {cluster.name: cluster.centre for cluster in heirs.clustering.clusters} == expected


def test_customers_keep_their_segment_when_the_figures_alone_would_swap_the_names() -> None:
    champion = fit(snapshot(SHOP * 5), BehaviourParameters(guards=None))
    features = snapshot([(10, 5, 600), (10, 3, 610), (10, 1, 40), (300, 1, 50)] * 5)
    alone = fit(features, BehaviourParameters(guards=None))
    following = fit(features, BehaviourParameters(guards=None, identity_bound=1), champion=champion)
    assert list(assign(alone, customers(features))[:2]) == ["RETAIN", "REWARD"]
    assert list(assign(following, customers(features))[:2]) == ["REWARD", "RETAIN"]
    assert [m.by_figures for m in following.card.matches if m.name == "REWARD"] == ["RETAIN"]
    assert any("its figures say" in note for note in following.card.notes)


def test_a_champion_of_another_method_is_ignored_and_the_card_says_so() -> None:
    features = snapshot(SHOP * 5)
    alone = fit(features, SpendProfileParameters(guards=None))
    for other in (RfmGridParameters(guards=None), BehaviourParameters(guards=None)):
        following = fit(features, SpendProfileParameters(guards=None), champion=fit(features, other))
        assert following.card.notes == ("names are by figures: the champion is of another method",)
        assert list(assign(following, customers(features))) == list(assign(alone, customers(features)))


def test_a_champion_of_nobody_is_ignored_and_the_card_says_so() -> None:
    following = fit(
        snapshot(SHOP),
        BehaviourParameters(guards=None),
        champion=fit(snapshot([(800, 0, 0)]), BehaviourParameters(guards=None)),
    )
    assert "names are by figures: the champion knew too few customers" in following.card.notes


def test_a_champion_of_more_clusters_hands_on_what_the_settings_know() -> None:
    features = snapshot([(d, o, 100 * o) for o in range(1, 9) for d in (5, 10, 200)])
    champion = fit(features, BehaviourParameters(guards=None, clusters=6))
    parameters = BehaviourParameters(guards=None, clusters=3)
    following = fit(features, parameters, champion=champion)
    assert isinstance(following, FittedBehaviour)
    assert following.clustering is not None
    assert set(following.clustering.names) <= set(segments(parameters))
    assert sum("has no heir" in note for note in following.card.notes) >= 3

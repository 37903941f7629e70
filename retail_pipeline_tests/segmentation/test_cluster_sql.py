"""Clusters as SQL: what the query says of a customer is what one would work out by hand from the centres."""

from __future__ import annotations

import re

import duckdb
import numpy as np
import pandas as pd
import pytest
import sqlglot
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sqlglot import exp

from retail_pipeline.segmentation import cluster_sql
from retail_pipeline.segmentation.clusters import Cluster, Clustering
from retail_pipeline.segmentation.compile import statement
from retail_pipeline.segmentation.fitted import FEATURES, Array
from retail_pipeline_tests.segmentation.support import snapshot

WORDS = {
    "recency_days": r"last order (?:(?P<recency_days>\d+) days? ago|today)",
    "frequency": r"(?P<frequency>\d+) orders?",
    "monetary": r"spent (?P<monetary>-?\d+\.\d\d)",
    "avg_order_value": r"(?P<avg_order_value>\d+\.\d\d) an order",
}

shops = st.lists(
    st.tuples(st.integers(0, 400), st.integers(1, 30), st.integers(-500, 9_000), st.integers(1, 900)),
    min_size=10,
    max_size=30,
).map(snapshot)
centres = st.tuples(*(st.floats(0, top) for top in (400, 30, 9_000, 900)))


@st.composite
def clusterings(draw: st.DrawFn) -> Clustering:
    used = draw(st.lists(st.sampled_from(FEATURES), min_size=1, unique=True))
    found = draw(st.lists(centres, min_size=2, max_size=5))
    return Clustering(
        spread={feature: draw(st.floats(0.5, 500)) for feature in used},
        clusters=tuple(
            Cluster(name=f"Group {place}, it's", centre=dict(zip(FEATURES, centre, strict=True)))
            for place, centre in enumerate(found)
        ),
    )


def explained(fitted: Clustering, features: pd.DataFrame) -> pd.DataFrame:
    """Segment, score and reason of every customer, in their order."""
    further, score, reason = cluster_sql.explained(fitted)
    paced = {"paced": sqlglot.select("*", "14.0 as gap", "frequency > 1 as own_gap").from_("active")}
    stages = paced | cluster_sql.stages(fitted, "paced") | further
    query = statement(stages, exp.column("own"), score, reason)
    with duckdb.connect() as connection:
        connection.register("rfm_features", features.astype({"monetary": float, "avg_order_value": float}))
        found: pd.DataFrame = connection.execute(query).df()
    return found.set_index("customer_id").loc[features["customer_id"]]


def away(fitted: Clustering, features: pd.DataFrame) -> Array:
    """Squared distance by customer, cluster and feature."""
    values = features[list(fitted.features)].to_numpy(float)
    points = np.array([[cluster.centre[f] for f in fitted.features] for cluster in fitted.clusters])
    spread = np.array([fitted.spread[f] for f in fitted.features])
    squared: Array = ((values[:, None] - points) / spread) ** 2
    return squared


@settings(deadline=None, max_examples=12)
@given(shops, clusterings())
def test_a_customer_belongs_to_the_nearest_centre_and_the_score_says_how_clearly(
    features: pd.DataFrame, fitted: Clustering
) -> None:
    found = explained(fitted, features)
    distance = np.sqrt(away(fitted, features).sum(axis=2))
    own = np.array([fitted.names.index(name) for name in found["segment"]])
    nearest, second = np.sort(distance, axis=1)[:, :2].T
    assert distance[np.arange(len(own)), own] == pytest.approx(nearest, rel=1e-9)
    expected = np.where(second > 0, 1 - nearest / np.where(second > 0, second, 1), 0)
    assert found["score"].to_numpy() == pytest.approx(expected, abs=1e-7)


@settings(deadline=None, max_examples=20)
@given(shops, clusterings())
def test_a_reason_names_only_figures_that_are_nearer_to_the_own_segment_than_to_any_other(
    features: pd.DataFrame, fitted: Clustering
) -> None:
    """At most two, those that most separate the two nearest centres; where there is none it says so."""
    aways = away(fitted, features)
    for place, (_, row) in enumerate(explained(fitted, features).iterrows()):
        own = fitted.names.index(row["segment"])
        ours, others = aways[place, own], np.delete(aways[place], own, axis=0)
        clear = {f: others[:, i].min() - ours[i] for i, f in enumerate(fitted.features)}
        assume(all(abs(nearer) > 1e-9 for nearer in clear.values()))  # else rounding decides
        named = []
        for said in row["reason"].removeprefix(f"like {row['segment']}: ").split("; "):
            for feature, words in WORDS.items():
                if found := re.match(words, said):
                    named.append(feature)
                    shown = float(found[feature] or 0)
                    assert shown == pytest.approx(float(features[feature].iloc[place]), abs=0.005)
        assert all(clear[feature] > 0 for feature in named)
        assert len(named) == min(2, sum(nearer > 0 for nearer in clear.values()))
        if not named:
            assert row["reason"].startswith(f"nearest to {row['segment']} in all taken together, then to ")


def test_a_customer_on_a_centre_scores_one_and_one_half_way_scores_zero() -> None:
    centre = dict.fromkeys(FEATURES, 10.0)
    clusters = tuple(
        Cluster(name=name, centre=centre | {"frequency": at}) for name, at in (("A", 2.0), ("B", 6.0))
    )
    fitted = Clustering(spread={"frequency": 1.5}, clusters=clusters)
    found = explained(fitted, snapshot([(1, 2, 10), (1, 4, 10), (1, 6, 10)]))
    assert list(found["segment"]) == ["A", "A", "B"]
    assert list(found["score"]) == [1, 0, 1]
    assert list(found["reason"]) == [
        "like A: 2 orders, one every 2 weeks (A about 2.0)",
        "nearest to A in all taken together, then to B",
        "like B: 6 orders, one every 2 weeks (B about 6.0)",
    ]


def test_equal_centres_are_told_apart_by_their_order() -> None:
    centre = dict.fromkeys(FEATURES, 10.0)
    fitted = Clustering(
        spread={"monetary": 1.0},
        clusters=tuple(Cluster(name=name, centre=centre) for name in ("B", "A", "C")),
    )
    found = explained(fitted, snapshot([(1, 1, 10), (1, 1, 12)]))
    assert list(found["segment"]) == ["B", "B"]
    assert list(found["score"]) == [0, 0]
    assert (found["reason"] == "nearest to B in all taken together, then to A").all()


def test_one_cluster_says_that_it_is_the_only_one() -> None:
    fitted = Clustering(spread={}, clusters=(Cluster(name="All", centre=dict.fromkeys(FEATURES, 1.0)),))
    found = explained(fitted, snapshot([(1, 1, "2.5")]))
    assert list(found["score"]) == [1]
    assert found["reason"].iloc[0] == ("All is the only group: last order 1 day ago; 1 order")

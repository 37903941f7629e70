"""Clusters as SQL: what the query says of a customer is what one would work out by hand from the centres."""

from __future__ import annotations

import re

import duckdb
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlglot import exp

from retail_pipeline.segmentation import cluster_sql
from retail_pipeline.segmentation.clusters import Cluster, Clustering
from retail_pipeline.segmentation.compile import statement
from retail_pipeline.segmentation.fitted import FEATURES, Array
from retail_pipeline_tests.segmentation.support import snapshot

WORDS = {
    "recency_days": r"(?P<recency_days>\d+) days? since last order",
    "frequency": r"(?P<frequency>\d+) orders?",
    "monetary": r"monetary (?P<monetary>-?\d+\.\d\d)",
    "avg_order_value": r"average order (?P<avg_order_value>\d+\.\d\d)",
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
    query = statement(cluster_sql.stages(fitted, "active") | further, exp.column("own"), score, reason)
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


@settings(deadline=None, max_examples=12)
@given(shops, clusterings())
def test_the_reason_names_the_two_features_that_most_separate_the_two_nearest_centres(
    features: pd.DataFrame, fitted: Clustering
) -> None:
    pulls = away(fitted, features)
    for place, (_, row) in enumerate(explained(fitted, features).iterrows()):
        said = re.fullmatch(
            r"closest to (?P<own>.*) rather than (?P<other>.*?): (?P<figures>.*)", row["reason"]
        )
        assert said, row["reason"]
        assert said["own"] == row["segment"] != said["other"]
        own, other = (fitted.names.index(said[name]) for name in ("own", "other"))
        pull = dict(zip(fitted.features, pulls[place, other] - pulls[place, own], strict=True))
        named = [name for name, words in WORDS.items() if re.search(words, said["figures"])]
        assert len(named) == min(2, len(pull))
        dropped = [pull[name] for name in pull if name not in named]
        assert all(pull[name] >= worst - 1e-9 * (1 + abs(worst)) for name in named for worst in dropped)
        for name in named:
            value = re.search(WORDS[name], said["figures"])
            assert value
            assert float(value[name]) == pytest.approx(float(features[name].iloc[place]), abs=0.005)


def test_a_customer_on_a_centre_scores_one_and_one_half_way_scores_zero() -> None:
    centre = dict.fromkeys(FEATURES, 10.0)
    clusters = tuple(
        Cluster(name=name, centre=centre | {"frequency": at}) for name, at in (("A", 2.0), ("B", 6.0))
    )
    fitted = Clustering(spread={"frequency": 1.5}, clusters=clusters)
    found = explained(fitted, snapshot([(1, 2, 10), (1, 4, 10), (1, 6, 10)]))
    assert list(found["segment"]) == ["A", "A", "B"]
    assert list(found["score"]) == [1, 0, 1]
    assert found["reason"].iloc[1] == "closest to A rather than B: 4 orders (A about 2.0, B about 6.0)"


def test_equal_centres_are_told_apart_by_their_order() -> None:
    centre = dict.fromkeys(FEATURES, 10.0)
    fitted = Clustering(
        spread={"monetary": 1.0},
        clusters=tuple(Cluster(name=name, centre=centre) for name in ("B", "A", "C")),
    )
    found = explained(fitted, snapshot([(1, 1, 10), (1, 1, 12)]))
    assert list(found["segment"]) == ["B", "B"]
    assert list(found["score"]) == [0, 0]
    assert found["reason"].str.startswith("closest to B rather than A: ").all()


def test_one_cluster_says_that_it_is_the_only_one() -> None:
    fitted = Clustering(spread={}, clusters=(Cluster(name="All", centre=dict.fromkeys(FEATURES, 1.0)),))
    found = explained(fitted, snapshot([(1, 1, "2.5")]))
    assert list(found["score"]) == [1]
    assert found["reason"].iloc[0] == (
        "All is the only group: 1 day since last order, 1 order, monetary 2.50, average order 2.50"
    )

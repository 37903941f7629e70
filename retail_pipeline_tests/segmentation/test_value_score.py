"""The method `value_score`: the best groups of each feature, whatever the start, and their scores in sum."""

from __future__ import annotations

from itertools import combinations, pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retail_pipeline.segmentation import FittedValueScore, ValueScoreParameters, fit, one_feature
from retail_pipeline.segmentation.fitted import Array
from retail_pipeline_tests.segmentation.support import FEATURES, assign, snapshot

# (recency, frequency, monetary): four kinds of each, far apart
SHOP = [
    (1, 1, 10), (2, 10, 12), (3, 20, 1000), (4, 30, 2000), (100, 1, 3000), (101, 10, 3001),
    (200, 20, 11), (300, 1, 9), (301, 30, 1001), (202, 11, 2001),
]  # fmt: skip

weighted = st.dictionaries(st.integers(-5000, 5000), st.integers(1, 20), min_size=1, max_size=9)


def score(features: pd.DataFrame, **parameters: object) -> FittedValueScore:
    fitted = fit(features, ValueScoreParameters.model_validate({"guards": None, **parameters}))
    assert isinstance(fitted, FittedValueScore)
    return fitted


def inertia(values: Array, weights: Array, centres: Array) -> float:
    return float((weights * ((values[:, None] - centres) ** 2).min(axis=1)).sum())


@settings(deadline=None, max_examples=150)
@given(weighted, st.integers(1, 5), st.sampled_from([0, 1e7]))
def test_no_other_way_to_cut_the_values_is_better(
    counted: dict[int, int], clusters: int, away: float
) -> None:
    values = np.array(sorted(counted)) / 10
    weights = np.array([counted[key] for key in sorted(counted)], dtype=float)
    clusters = min(clusters, len(values))
    found = one_feature.centres(values + away, weights, clusters) - away

    def within(cuts: tuple[int, ...]) -> float:
        runs = [slice(*run) for run in pairwise([0, *cuts, len(values)])]
        means = [np.average(values[run], weights=weights[run]) for run in runs]
        return sum(
            float((weights[run] * (values[run] - mean) ** 2).sum())
            for run, mean in zip(runs, means, strict=True)
        )

    best = min(within(cuts) for cuts in combinations(range(1, len(values)), clusters - 1))
    assert len(found) == clusters
    assert (np.diff(found) > 0).all()
    assert inertia(values, weights, found) == pytest.approx(best, rel=1e-9, abs=1e-6)


def test_a_grid_of_cells_is_as_good_for_a_crowd_with_a_heavy_tail(monkeypatch: pytest.MonkeyPatch) -> None:
    spend = np.round(np.random.default_rng(0).lognormal(6, 1.5, 30_000), 2)
    values, counts = np.unique([*spend, 1e6, 1e8], return_counts=True)
    weights = counts.astype(np.float64)
    monkeypatch.setattr(one_feature, "CELLS", 2000)
    cells, in_cells = one_feature.cells(values, weights)
    assert len(cells) < 4_100
    assert in_cells.sum() == weights.sum()
    exact = inertia(values, weights, one_feature.centres(values, weights, 6))
    assert inertia(values, weights, one_feature.centres(cells, in_cells, 6)) <= exact * 1.03


def test_the_card_says_when_a_grid_was_used() -> None:
    parameters = ValueScoreParameters(guards=None).model_copy(update={"grid_above": 50})
    features = snapshot([(d % 7, 1 + d % 3, d * d) for d in range(100)])
    notes = fit(features, parameters).card.notes
    assert "monetary was fitted on a weighted grid of 100 cells for 100 values" in notes
    assert not any("grid" in note and "monetary" not in note for note in notes)


def test_scores_count_from_the_worst_group_and_the_most_recent_are_the_best() -> None:
    fitted = score(snapshot(SHOP))
    found = assign(fitted, snapshot(SHOP))
    recency = [3, 3, 3, 3, 2, 2, 1, 0, 0, 1]
    frequency = [0, 1, 2, 3, 0, 1, 2, 0, 3, 1]
    monetary = [0, 0, 1, 2, 3, 3, 0, 0, 1, 2]
    sums = [sum(three) for three in zip(recency, frequency, monetary, strict=True)]
    assert list(found["score"]) == sums
    names = ["Low Value" if s < 3 else "Mid Value" if s < 5 else "High Value" for s in sums]
    assert list(found["segment"]) == names
    assert fitted.card.segments == {name: names.count(name) for name in set(names)}
    assert found["reason"].iloc[3] == (
        "last order 4 days ago (3 of 3); 30 orders (3 of 3), spent 2000.00 (2 of 3); sum 8"
    )


def test_where_mid_and_high_begin_are_settings() -> None:
    found = assign(score(snapshot(SHOP), mid_from=6, high_from=9), snapshot(SHOP))
    assert set(found["segment"][found["score"] < 6]) == {"Low Value"}
    assert set(found["segment"][found["score"] >= 6]) == {"Mid Value"}


def test_fewer_different_values_than_groups_give_fewer_scores_and_the_card_says_so() -> None:
    features = snapshot([(d, 1 + d % 2, 50) for d in range(20)])
    fitted = score(features)
    found = assign(fitted, features)
    assert fitted.card.notes == (
        "frequency has 2 of 4 groups, no more different values: its scores go from 0 to 1",
        "monetary has 1 of 4 groups, no more different values: its scores go from 0 to 0",
        "nobody can be High Value: the scores sum to 4 at most, it begins at 5",
    )
    assert found["reason"].iloc[0] == (
        "last order today (3 of 3); 1 order (0 of 1), spent 50.00 (0 of 0); sum 3"
    )
    assert found["score"].iloc[1] == 4
    assert set(found["segment"]) == {"Mid Value", "Low Value"}


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"clusters": 1}, "greater than or equal to 2"),
        ({"mid_from": 5}, "mid_from 5 must be below high_from 5"),
        ({"clusters": 2}, "high_from 5, and that at most 3: with 2 clusters the three scores sum to 0 to 3"),
        ({"mid_from": 0}, "greater than or equal to 1"),
        ({"high_from": 10}, "that at most 9"),
    ],
)
def test_impossible_settings_are_refused_with_the_remedy(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ValueScoreParameters.model_validate(wrong)


def test_groups_that_do_not_fit_together_are_no_model() -> None:
    body = score(snapshot(SHOP)).model_dump()
    for name in FEATURES:
        lacking = {**body, "groups": {other: of for other, of in body["groups"].items() if other != name}}
        with pytest.raises(ValueError, match="groups are of recency_days, frequency, monetary, not of"):
            FittedValueScore.model_validate(lacking)
    body["groups"]["frequency"]["cuts"] = (5, 15, 99)
    with pytest.raises(ValueError, match=r"the cuts \(5.0, 15.0, 99.0\) must lie between the centres"):
        FittedValueScore.model_validate(body)

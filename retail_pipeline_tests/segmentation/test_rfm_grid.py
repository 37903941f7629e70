"""The method `rfm_grid`: scores against pandas, rules that must be total, another shop's grid."""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retail_pipeline.segmentation import FittedRfmGrid, RfmGridParameters, Scale, fit, segments
from retail_pipeline.segmentation.rfm_grid import RULES
from retail_pipeline.settings import load_settings
from retail_pipeline_tests.segmentation.support import FEATURES, assign, in_order, snapshot, snapshots

kinds: st.SearchStrategy[Mapping[str, object]] = st.one_of(
    st.integers(2, 9).map(lambda bins: {"bins": bins}),
    st.lists(st.integers(1, 999), min_size=1, max_size=8, unique=True).map(
        lambda q: {"quantiles": [i / 1000 for i in sorted(q)]}
    ),
    st.lists(st.integers(-300, 9000), min_size=1, max_size=8, unique=True).map(lambda c: {"cuts": sorted(c)}),
)
sides: st.SearchStrategy[Mapping[str, object]] = st.sampled_from(
    [{}, {"ties": "rank"}, {"on_edge": "below"}, {"on_edge": "above"}]
)
scales = st.tuples(kinds, sides).map(
    lambda both: {**both[0], **({} if "cuts" in both[0] and "ties" in both[1] else both[1])}
)


def grid(features: pd.DataFrame, **parameters: object) -> FittedRfmGrid:
    fitted = fit(features, RfmGridParameters.model_validate({"guards": None, **parameters}))
    assert isinstance(fitted, FittedRfmGrid)
    return fitted


@settings(deadline=None, max_examples=60)
@given(snapshots(), st.tuples(scales, scales, scales))
def test_the_query_scores_as_pandas_does(
    features: pd.DataFrame, given_scales: tuple[dict[str, object], ...]
) -> None:
    recency, frequency, monetary = given_scales
    fitted = grid(
        features,
        recency=recency,
        frequency=frequency,
        monetary=monetary,
        pattern_on="rfm",
        rules=[("...", "everybody")],
    )
    active = features.set_index("customer_id", drop=False).loc[in_order(features)]
    active = active[active["frequency"] > 0]
    if active.empty:
        return

    def bins(name: str, scale: Scale) -> np.ndarray:
        values = active[name].astype(float)
        if scale.cuts:
            return np.asarray(np.digitize(values, scale.cuts, right=scale.on_edge == "below") + 1)
        shares = scale.quantiles or [i / (scale.bins or 1) for i in range(1, scale.bins or 1)]
        if scale.ties == "rank":
            values = values.rank(method="first")
        edges = np.quantile(values, shares)
        # An edge computed in floating point may miss the value it stands for by the last digits.
        if scale.on_edge == "above":
            return np.asarray(1 + sum((values.to_numpy() >= edge - abs(edge) * 1e-11) for edge in edges))
        return np.asarray(1 + sum((values.to_numpy() > edge + abs(edge) * 1e-11) for edge in edges))

    expected = {name: bins(name, scale) for name, scale in fitted.parameters.scales.items()}
    expected["recency_days"] = fitted.parameters.recency.size + 1 - expected["recency_days"]
    rows = [tuple(map(int, row)) for row in zip(*(expected[name] for name in FEATURES), strict=True)]
    found = assign(fitted, features).loc[active["customer_id"]]
    said = [tuple(map(int, re.findall(r"\((\d) of \d\)", reason))) for reason in found["reason"]]
    assert said == rows
    assert list(found["score"]) == pytest.approx([sum(row) / 3 for row in rows])


def test_a_shop_may_name_every_score() -> None:
    named = [(f"{r}{f}{m}", f"{r}-{f}-{m}") for r, f, m in product(range(1, 10), repeat=3)]
    nine = {"cuts": list(range(1, 9))}
    features = snapshot([(0, 3, 7), (8, 1, 0)])
    fitted = grid(features, recency=nine, frequency=nine, monetary=nine, pattern_on="rfm", rules=named)
    assert list(assign(fitted, features)["segment"]) == ["9-4-8", "1-2-1"]


@pytest.mark.parametrize("n", [5, 7, 11, 100, 4338])
def test_ranked_bins_are_those_of_qcut(n: int) -> None:
    features = snapshot([(0, 1, 1)] * n)
    parameters = {"frequency": {"bins": 5, "ties": "rank"}, "other": "frequency"}
    rules = [(f".{score}", str(score)) for score in range(1, 6)]
    found = assign(grid(features, **parameters, rules=rules), features)["segment"]
    rank = pd.Series(range(1, n + 1))
    # qcut's own edges carry rounding errors where they should be whole; these are the exact ones.
    exact = [max(1, -(-5 * (r - 1) // (n - 1))) for r in rank]
    assert list(found.astype(int)) == exact
    assert np.mean(np.array(exact) == pd.qcut(rank, 5, labels=False) + 1) >= 1 - 4 / n


def test_ties_stay_together_even_where_bins_run_out() -> None:
    features = snapshot([(d, 1, 10) for d in range(20)] + [(3, 9, 500)])
    fitted = grid(features)
    reasons = assign(fitted, features)["reason"]
    assert reasons.iloc[:20].str.contains("; 1 order (1 of 5), spent 10.00 (1 of 5)", regex=False).all()
    assert reasons.iloc[20].endswith("; 9 orders (5 of 5), spent 500.00 (5 of 5)")
    assert "frequency gives 2 of 5 scores: too many customers have the same value" in fitted.card.notes


def test_fixed_cuts_are_intervals_with_the_lower_end() -> None:
    features = snapshot([(1, 1, m) for m in (99, 100, 999, 1000)])
    rules = [("..1", "small"), ("..2", "middle"), ("..3", "large")]
    found = assign(grid(features, monetary={"cuts": [100, 1000]}, pattern_on="rfm", rules=rules), features)
    assert list(found["segment"]) == ["small", "middle", "middle", "large"]


ANOTHER_SHOP = """
segmentations:
  by_spend:
    method: rfm_grid
    recency: {cuts: [30, 365]}
    frequency: {bins: 2}
    monetary: {quantiles: [0.98, 0.995, 0.998], on_edge: above}
    pattern_on: rfm
    rules:
      - ["3..", Fresh]
      - ["1.4", Whales]
      - ["1.[23]", Big Fish]
      - ["[12]2.", Regulars]
      - ["...", "O'Brien's others"]
"""


def test_another_shop_needs_settings_alone(tmp_path: Path) -> None:
    """Of days 0 to 1000 the quantiles are 980, 995 and 998; intervals are [lower, upper)."""
    (tmp_path / "shop.yaml").write_text(ANOTHER_SHOP, encoding="utf-8")
    parameters = load_settings(tmp_path / "shop.yaml").segmentations["by_spend"]
    features = snapshot([(days, days + 1, 10 * days) for days in range(1001)])
    fitted = fit(features, parameters)
    found = assign(fitted, features)
    assert found["segment"].value_counts().to_dict() == {
        "Fresh": 30,  # days 0 to 29
        "O'Brien's others": 471,  # to 500
        "Regulars": 479,  # to 979
        "Big Fish": 18,  # to 997
        "Whales": 3,
    }
    assert found["reason"].iloc[980] == (
        "last order 980 days ago (1 of 3); 981 orders (2 of 2), spent 9800.00 (2 of 4)"
    )


def test_the_mean_of_frequency_and_monetary_rounds_a_half_up() -> None:
    features = snapshot([(1, f, m) for f, m in [(1, 5), (2, 4), (3, 3), (4, 2), (5, 1), (1, 2)]])
    cuts = {"cuts": [2, 3, 4, 5]}
    rules = [(f".{score}", str(score)) for score in range(1, 6)]
    found = assign(grid(features, frequency=cuts, monetary=cuts, rules=rules), features)["segment"]
    assert list(found) == ["3", "3", "3", "3", "3", "2"]


@settings(max_examples=60, deadline=None)
@given(st.sets(st.tuples(st.integers(1, 5), st.integers(1, 5)), min_size=1, max_size=24))
def test_rules_that_leave_a_score_out_are_refused_and_the_first_is_named(
    left_out: set[tuple[int, int]],
) -> None:
    rules = [(f"{r}{o}", "x") for r in range(1, 6) for o in range(1, 6) if (r, o) not in left_out] or [
        ("99", "x")
    ]
    r, o = min(left_out)
    with pytest.raises(
        ValueError, match=f"no rule matches the score {r}{o} .recency {r}, mean_fm {o}.; add a rule"
    ):
        RfmGridParameters.model_validate({"rules": rules})
    assert segments(RfmGridParameters.model_validate({"rules": [*rules, ("..", "rest")]}))[-1] == "rest"


def test_a_name_no_score_can_reach_is_not_promised() -> None:
    assert segments(RfmGridParameters(guards=None, rules=(("..", "all"), ("55", "never")))) == ("all",)
    assert segments(RfmGridParameters(guards=None)) == tuple(name for _, name in RULES)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"recency": {}}, "exactly one of bins, quantiles and cuts, not none"),
        ({"recency": {"bins": 5, "cuts": [1]}}, "not bins and cuts"),
        ({"recency": {"bins": 10}}, "less than or equal to 9"),
        ({"monetary": {"quantiles": [0.5, 0.2]}}, "quantiles must rise"),
        ({"monetary": {"quantiles": [20, 40]}}, "between 0 and 1"),
        ({"monetary": {"cuts": [5, 5]}}, "cuts must rise"),
        ({"frequency": {"cuts": [2], "ties": "rank"}}, "ties: rank needs bins or quantiles"),
        ({"frequency": {"bins": 5, "ties": "rank", "on_edge": "above"}}, "on_edge needs ties: together"),
        ({"frequency": {"bins": 5, "on_edge": "left"}}, "'below' or 'above'"),
        ({"rules": [("[45", "x")]}, "'\\[45' of 'x' is no pattern"),
        ({"rules": [("5+", "x")]}, "must be made of digits, classes"),
        ({"rules": [("...", "x")]}, "must have 2 positions: recency, mean_fm"),
        (
            {"rules": [("..", "x")], "pattern_on": "rfm"},
            "must have 3 positions: recency, frequency, monetary",
        ),
        ({"rules": [("..", "Lapsed")]}, "not Lapsed"),
        ({"rules": [("..", " ")]}, "not blank"),
    ],
)
def test_impossible_settings_are_refused_with_the_remedy(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        RfmGridParameters.model_validate(wrong)

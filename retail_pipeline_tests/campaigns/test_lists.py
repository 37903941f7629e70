"""Campaigns: defaults for every segment, a holdout that is a share, a lift claimed only if measurable."""

from __future__ import annotations

import duckdb
import numpy as np
import pytest
import sqlglot
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter
from sqlglot import exp

from retail_pipeline.campaigns.lists import (
    DEFAULTS,
    Campaign,
    candidates_sql,
    control_below,
    measurable_lift,
    smallest_lift,
)
from retail_pipeline.segmentation import LAPSED, Parameters, segments


@pytest.mark.parametrize("method", DEFAULTS)
def test_every_segment_has_one_default_campaign(method: str):
    parameters = TypeAdapter[Parameters](Parameters).validate_python({"method": method})
    served = [segment for campaign in DEFAULTS[method].values() for segment in campaign.segments]
    assert sorted(served) == sorted([*segments(parameters), LAPSED])
    assert {c.segmentation for c in DEFAULTS[method].values()} == {method}


def test_every_default_says_what_it_is_for_and_can_be_measured():
    campaigns = [campaign for defaults in DEFAULTS.values() for campaign in defaults.values()]
    assert all(campaign.strategy and campaign.offer and campaign.channel for campaign in campaigns)
    assert {campaign.holdout for campaign in campaigns} == {0.1}


def test_one_time_big_buyers_are_on_no_list_that_assumes_loyalty():
    """Their campaign is their own, and none of its words takes them for loyal."""
    (theirs,) = [c for c in DEFAULTS["spend_tiers"].values() if "One-time Big Buyer" in c.segments]
    assert theirs.segments == ("One-time Big Buyer",)
    assert not any(word in theirs.offer for word in ("loyal", "member", "points", "vip"))


@settings(deadline=None)
@given(st.floats(0, 1, exclude_max=True))
def test_the_threshold_is_the_holdouts_share_of_all_hashes(holdout: float):
    below = control_below(holdout)
    assert below == "g" or abs(int(below, 16) / 16**8 - holdout) <= 0.5 / 16**8


@settings(deadline=None)
@given(st.floats(0, 1, exclude_max=True), st.floats(0, 1, exclude_max=True))
def test_a_larger_holdout_keeps_every_control(one: float, other: float):
    assert (control_below(min(one, other))) <= control_below(max(one, other))


@pytest.mark.parametrize(
    ("treated", "controls", "base", "lift"),
    [
        (900, 99, 0.05, "not measurable; with 10 % held out 9.1 percentage points"),
        (60, 6, 0.5, "not measurable: the list is too small"),
        (900, 100, 0.5, "14.4 percentage points; with 50 % held out 8.8 percentage points"),
        (4_500, 500, 0.16, "5.2 percentage points; with 11 % held out 5.0 percentage points"),
        (9_000, 1_000, 0.5, "4.7 percentage points"),
        (900, 100, None, "14.4 percentage points or less"),
    ],
)
def test_the_smallest_lift_and_the_holdout_that_would_show_a_smaller(
    treated: int, controls: int, base: float | None, lift: str
):
    assert measurable_lift(treated, controls, base) == lift


@pytest.mark.parametrize("base", [0.05, 0.16, 0.5, 0.74])
def test_the_smallest_lift_is_found_four_times_out_of_five(base: float):
    treated, controls, rng = 4_500, 500, np.random.default_rng(7)
    lift = smallest_lift(treated, controls, base)
    assert lift is not None
    a = rng.binomial(treated, base + lift, 20_000) / treated
    b = rng.binomial(controls, base, 20_000) / controls
    both = (a * treated + b * controls) / (treated + controls)
    found = abs(a - b) > 1.96 * (both * (1 - both) * (1 / treated + 1 / controls)) ** 0.5
    assert abs(found.mean() - 0.8) < 0.03


def test_segments_enter_the_statement_as_literals_however_they_are_written():
    evil = "x'); drop table y; --"
    tree = sqlglot.parse_one(candidates_sql(Campaign(segments=(evil, "b"), offer="o"), None), read="duckdb")
    assert isinstance(tree, exp.Select)
    assert evil in {literal.this for literal in tree.find_all(exp.Literal)}


def test_an_offer_for_the_second_order_reaches_only_who_has_one_order():
    for name in ("nurture", "promising"):
        (campaign,) = [defaults[name] for defaults in DEFAULTS.values() if name in defaults]
        found = duckdb.execute(
            f"""with rfm_features as (
                  select *, date '2024-01-01' as snapshot_date
                  from (values ('one', 1, 9, 9), ('two', 2, 9, 9), ('one in the window', 1, 800, 9))
                    as t(customer_id, frequency, tenure_days, recency_days)
                ),
                segment_assignments as (
                  select snapshot_date, customer_id, '' as reason, '{campaign.segments[0]}' as segment
                  from rfm_features
                )
                select customer_id, offer
                from ({candidates_sql(campaign.model_copy(update={"rank_by": "frequency"}), None)})"""
        ).fetchall()
        assert dict(found) == {
            "one": "second_order_discount",
            "two": "next_order_discount",
            "one in the window": "next_order_discount",
        }
        without = candidates_sql(campaign.model_copy(update={"other_offer": None}), None)
        assert "frequency = 1" in without.split("WHERE")[1], (
            "whom the only offer does not fit is not on the list"
        )


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"offer_if": "frequency"}, "is no condition; write one such as frequency = 1"),
        ({"offer_if": "orders = 1"}, "names orders; it may use"),
        ({"other_offer": "tea"}, "say whom the offer fits"),
    ],
)
def test_a_condition_that_is_none_is_refused(given: dict[str, str], message: str):
    with pytest.raises(ValueError, match=message):
        Campaign.model_validate({"segments": ["A"], "offer": "tea", **given})


def test_slipping_is_own_gaps_missed_times_revenue_a_day():
    """Weekly buyers, silent for 14 days: two gaps, at 2 a day; a window changes nothing about it."""
    customers = {
        "weekly": (14, 52, 702, 371, 52),
        "weekly, for years": (14, 104, 1460, 2000, 104),
        "once": (90, 1, 90, 90, 1),
        "once, yesterday": (1, 1, 900, 1, 1),
        "gone": (800, 0, 0, 900, 0),
    }
    rows = ", ".join(f"('{name}', {', '.join(map(str, row))})" for name, row in customers.items())
    ranked = Campaign(segments=("A",), offer="o", rank_by="slipping")
    found = duckdb.execute(
        f"""with rfm_features as (
              select *, date '2024-01-01' as snapshot_date
              from (values {rows})
                as t(customer_id, recency_days, frequency, monetary, tenure_days, active_days)
            ),
            segment_assignments as (
              select snapshot_date, customer_id, '' as reason, 'A' as segment from rfm_features
            )
            select customer_id, rank_value from ({candidates_sql(ranked, 730)})"""
    ).fetchall()
    assert dict(found) == pytest.approx(
        {
            "weekly": 14 / 7 * 702 / 371,
            "weekly, for years": 14 / (716 / 104) * 2,
            "once": 1.0,
            "once, yesterday": 1 / 30 * 30,
            "gone": 0,
        }
    )

"""Late and missing deliveries hold their day, in whatever order they come; what is said of yesterday."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retail_pipeline.planning.freshness import yesterday_verdict
from retail_pipeline.planning.plan import plan
from retail_pipeline.planning.state import State
from retail_pipeline_tests.planning.test_plan import RECIPE, Delivery, Shop, bring_up_to_date, days

START = date(2024, 1, 1)
USUAL = days(START, date(2024, 3, 1))  # nine weeks of Mondays to Fridays, eight of weekends
DUE = date(2024, 3, 2)
AFTER = days(DUE, date(2024, 3, 10))
RECENT = replace(RECIPE, segmentations={"behaviour": "4 clusters"}, campaigns={"a": ("behaviour", "mail")})


def shop(delivered: list[date], broken: tuple[date, ...] = ()) -> Shop:
    files: dict[str, Delivery] = {"history.csv": dict.fromkeys(USUAL, "lines")}
    return files | {f"{day}.csv": {day: "broken" if day in broken else "lines"} for day in delivered}


@pytest.fixture(scope="module")
def usual() -> State:
    """A lake that is right through the last day of nine weeks on which something came every day."""
    return bring_up_to_date(State(), RECENT, shop([]), USUAL[-1])


def said(state: State, yesterday: date, overdue: bool = True) -> list[tuple[str, bool]]:
    return [(f.kind, f.holds) for f in yesterday_verdict(state, RECENT, yesterday, overdue)]


def test_a_late_day_has_its_snapshot_but_no_lists_and_heals_when_it_comes(usual: State):
    late = bring_up_to_date(usual, RECENT, shop([]), DUE)
    assert late.is_awaited(DUE)
    assert DUE in late["rfm_features"]
    assert DUE not in late["customer_days"]
    assert not late["campaign_lists"].get(DUE)
    assert not plan(late, RECENT, DUE)
    assert said(late, DUE) == [("late", True)]
    assert said(late, DUE, overdue=False) == [("late", False)]

    came = bring_up_to_date(late, RECENT, shop([DUE]), DUE)
    assert came["campaign_lists"][DUE]
    assert said(came, DUE) == []


def test_a_day_on_which_the_shop_was_closed_is_no_longer_held_when_the_next_one_comes(usual: State):
    late = bring_up_to_date(usual, RECENT, shop([]), DUE)
    opened = bring_up_to_date(late, RECENT, shop([AFTER[1]]), AFTER[1])
    assert not opened.is_held(DUE)
    assert opened.usable(DUE)
    assert opened["campaign_lists"][AFTER[1]]
    assert said(opened, AFTER[1]) == []
    assert said(opened, DUE) == [("closed", False)]


def test_a_released_day_without_deliveries_is_a_closed_one(usual: State):
    late = bring_up_to_date(usual, RECENT, shop([]), DUE)
    released = replace(late, released={DUE: late["transactions"][DUE].content})
    released = bring_up_to_date(released, RECENT, shop([]), DUE)
    assert released["campaign_lists"][DUE]
    assert said(released, DUE) == []


def test_what_is_not_made_or_held_is_said(usual: State):
    assert said(usual.having(campaign_lists={}), USUAL[-1]) == [("unmade", True)]
    assert said(usual.having(transactions={}), USUAL[-1]) == [("unmade", True)]
    bad = bring_up_to_date(usual, RECENT, shop([DUE], broken=(DUE,)), DUE)
    (held,) = yesterday_verdict(bad, RECENT, DUE, True)
    assert held.says == f"{DUE} is held: 3 rows against «currency is GBP»"
    worse = bring_up_to_date(bad, RECENT, shop([*AFTER[:2]], broken=(DUE,)), AFTER[1])
    assert [f.says for f in yesterday_verdict(worse, RECENT, AFTER[1], True)] == [
        f"no lists: {DUE} held or not made"
    ]


def test_of_a_lake_without_days_or_of_other_days_there_is_little_to_say(usual: State):
    assert said(State(), DUE) == [("late", False)]
    assert said(usual, USUAL[-1] + timedelta(32)) == [("late", False)]
    closed = replace(RECENT, last_day=USUAL[-1])
    assert not yesterday_verdict(usual, closed, DUE, True)
    assert not yesterday_verdict(usual, RECENT, RECENT.first_day - timedelta(1), True)


@settings(max_examples=6, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(AFTER), st.sampled_from([*AFTER, None])), min_size=1, max_size=5))
def test_whatever_comes_in_whatever_order_nothing_is_left_to_do_and_the_lake_is_the_same(
    usual: State, arrivals: list[tuple[date, date | None]]
):
    state, delivered, last = usual, list[date](), AFTER[-1]
    for through, came in arrivals:
        delivered += [came] if came else []
        state = bring_up_to_date(state, RECENT, shop(delivered), through)
        assert not plan(state, RECENT, through)
    state = bring_up_to_date(state, RECENT, shop(delivered), last)
    assert not plan(state, RECENT, last)
    fresh = bring_up_to_date(usual, RECENT, shop(delivered), last)
    assert state.held_days(date.min, date.max) == fresh.held_days(date.min, date.max)
    assert state["customer_days"] == fresh["customer_days"]
    assert (state["rfm_features"][last], state["campaign_lists"].get(last)) == (
        fresh["rfm_features"][last],
        fresh["campaign_lists"].get(last),
    )

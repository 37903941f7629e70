"""What late and corrected data make of snapshots that exist, and of lists that were handed over.

The lake is simulated as in ``test_plan.py``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import date, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retail_pipeline.planning import plan as planner
from retail_pipeline.planning.manifests import Manifest
from retail_pipeline.planning.pieces import Goal, Piece, next_pieces
from retail_pipeline.planning.plan import SNAPSHOT_TABLES, plan, stale_snapshots
from retail_pipeline.planning.state import Recipe, State
from retail_pipeline_tests.planning.test_plan import (
    CLOSE,
    FIRST,
    RECIPE,
    SHOP,
    THROUGH,
    Shop,
    bring_up_to_date,
    days,
    make,
    make_assignments,
    make_lists,
)

LAST = date(2024, 2, 12)
EVERYTHING, FLAG_ONLY, THREE_DAYS = (replace(RECIPE, restate=n) for n in (None, 0, 3))
HELD: Shop = {**SHOP, "broken.csv": {CLOSE: "broken"}}
LATE: Shop = {**SHOP, "late.csv": {date(2024, 2, 2): "late"}}


def day_by_day(state: State, recipe: Recipe, shop: Shop, wanted: Iterable[date] = days(FIRST, LAST)) -> State:
    """Each day brought up to date in turn, as a shop does in the mornings."""
    for day in wanted:
        state = bring_up_to_date(state, recipe, shop, day)
    return state


def snapshots_of(state: State, of: Iterable[date]) -> list[object]:
    return [
        (
            state["rfm_features"].get(day),
            state["segment_assignments"].get(day),
            state["campaign_lists"].get(day),
        )
        for day in of
    ]


EVERY_DAY = day_by_day(State(), EVERYTHING, SHOP)


@pytest.mark.parametrize(
    ("recipe", "anew"),
    [
        (EVERYTHING, days(date(2024, 2, 2), LAST)),
        (THREE_DAYS, days(date(2024, 2, 9), LAST)),
        (FLAG_ONLY, [LAST]),
    ],
)
def test_a_late_file_restates_the_snapshots_after_it_that_the_policy_reaches(
    recipe: Recipe, anew: list[date]
):
    late = bring_up_to_date(EVERY_DAY, recipe, LATE, LAST)
    fresh = day_by_day(State(), EVERYTHING, LATE)
    changed = [
        day for day in days(FIRST, LAST) if snapshots_of(late, [day]) != snapshots_of(EVERY_DAY, [day])
    ]
    assert changed == anew
    assert snapshots_of(late, anew) == snapshots_of(fresh, anew)
    left = tuple(day for day in days(date(2024, 2, 2), LAST) if day not in anew)
    assert stale_snapshots(late, recipe, date.min, LAST) == left
    assert not plan(late, recipe, LAST)


def test_what_planned_days_change_of_earlier_snapshots_is_planned_once_they_are_made():
    lost = EVERY_DAY.having(transactions={d: m for d, m in EVERY_DAY["transactions"].items() if d != THROUGH})
    assert plan(lost, EVERYTHING, LAST).days == tuple(days(THROUGH, LAST))
    assert plan(lost, EVERYTHING, LAST).snapshots == (LAST,)


@pytest.mark.parametrize(
    "change",
    [
        {"features": "other"},
        {"segmentations": {"behaviour": "5 clusters", "rfm_grid": "5 bins"}},
        {"campaigns": {"pamper": ("behaviour", "phone")}},
        {"campaigns": {**RECIPE.campaigns, "more": ("rfm_grid", "mail")}},
        {"campaigns": {"pamper": ("behaviour", "letter"), "champions": ("rfm_grid", "mail")}},
    ],
    ids=["features", "segmentation", "campaign off", "campaign on", "offer"],
)
def test_a_changed_setting_restates_as_late_data_do(change: dict[str, object]):
    changed = replace(THREE_DAYS, **change)  # type: ignore[arg-type]
    state = bring_up_to_date(EVERY_DAY, changed, SHOP, LAST)
    again, left = days(date(2024, 2, 9), LAST), days(FIRST, date(2024, 2, 8))
    assert snapshots_of(state, again) == snapshots_of(day_by_day(State(), changed, SHOP), again)
    # the features and segments of the month close are kept right for the month's sake, its lists are not
    assert set(left) - {CLOSE} <= set(stale_snapshots(state, changed, date.min, LAST)) <= set(left)


def test_another_model_makes_the_days_of_its_month_stale_and_no_others():
    models = {
        "2024-02": EVERY_DAY["segmentation_models"]["2024-02"].model_copy(update={"content": "promoted"})
    }
    state = EVERY_DAY.having(segmentation_models=models)
    assert stale_snapshots(state, EVERYTHING, date.min, LAST) == tuple(
        days(date(2024, 2, 1), date(2024, 2, 11))
    )


def test_another_month_close_makes_the_days_stale_that_look_back_on_it():
    other = {
        n: m.model_copy(update={"content": "other"})
        for n, m in EVERY_DAY["segment_assignments"][CLOSE].items()
    }
    state = EVERY_DAY.having(segment_assignments={**EVERY_DAY["segment_assignments"], CLOSE: other})
    stale = stale_snapshots(state, EVERYTHING, date.min, LAST)
    assert stale == (CLOSE, *days(date(2024, 2, 1), date(2024, 2, 11)))


def test_a_new_suppression_file_leaves_the_lists_of_days_gone_by_alone():
    state = replace(EVERY_DAY, suppression="another file")
    assert plan(state, EVERYTHING, LAST).snapshots == (LAST,)
    assert stale_snapshots(state, EVERYTHING, date.min, LAST) == ()


def test_lists_that_a_held_day_took_away_come_back_with_it_on_every_day_that_had_them():
    worse = {**HELD, "more.csv": {CLOSE: "more"}}
    held = bring_up_to_date(EVERY_DAY, EVERYTHING, HELD, LAST)
    blocked = days(CLOSE, CLOSE + timedelta(days=6))
    assert [day for day, lists in held["campaign_lists"].items() if not lists] == blocked
    assert not plan(held, EVERYTHING, LAST)
    released = replace(held, released={CLOSE: held["transactions"][CLOSE].content})
    back = bring_up_to_date(released, EVERYTHING, HELD, LAST)
    assert all(back["campaign_lists"][day].keys() == RECIPE.campaigns.keys() for day in blocked)
    assert bring_up_to_date(back, EVERYTHING, worse, LAST).is_held(CLOSE)


def test_only_the_tables_that_a_day_has_are_made_again():
    few = make(bring_up_to_date(State(), EVERYTHING, SHOP, LAST), EVERYTHING, "rfm_features", FIRST)
    some = date(2024, 2, 5)
    few = make_assignments(make(few, EVERYTHING, "rfm_features", some), EVERYTHING, some)
    other = replace(EVERYTHING, features="other")
    stale = stale_snapshots(few, other, date.min, LAST)
    assert stale == (FIRST, some)  # a month close without lists is its month's matter
    tried = [Piece("months", FIRST, FIRST)]
    assert next_pieces(few, other, Goal(LAST), tried) == [
        Piece("snapshots", FIRST, FIRST, SNAPSHOT_TABLES[:1]),
        Piece("snapshots", some, some, SNAPSHOT_TABLES[:2]),
        Piece("snapshots", LAST, LAST, SNAPSHOT_TABLES),
    ]


def test_a_day_before_the_first_delivery_is_left_from_other_settings_and_not_stale():
    early = make(EVERY_DAY, EVERYTHING, "rfm_features", FIRST - timedelta(days=9))
    assert stale_snapshots(early, replace(EVERYTHING, features="other"), date.min, FIRST) == ()
    assert stale_snapshots(State(), EVERYTHING, date.min, LAST) == ()


# lists that were handed over


def hand_over(state: State, day: date, campaign: str) -> State:
    content = state["campaign_lists"][day][campaign].content
    return replace(state, list_releases={**state.list_releases, (day, campaign): content})


def test_a_release_holds_for_the_content_that_was_handed_over():
    state = hand_over(EVERY_DAY, THROUGH, "pamper")
    assert state.released_lists(THROUGH) == {"pamper"}
    rebuilt = day_by_day(State(list_releases=state.list_releases), EVERYTHING, LATE)
    assert rebuilt.released_lists(THROUGH) == set()
    marked = replace(rebuilt, list_markers=frozenset({(THROUGH, "pamper"), (THROUGH, "no list")}))
    assert marked.released_lists(THROUGH) == {"pamper"}


def test_a_released_list_is_stale_until_what_it_would_be_today_lies_beside_it():
    state = hand_over(EVERY_DAY, THROUGH, "pamper")
    late = bring_up_to_date(state, FLAG_ONLY, LATE, LAST)
    late = make_assignments(make(late, FLAG_ONLY, "rfm_features", THROUGH), FLAG_ONLY, THROUGH)
    others = {
        **make_lists(late, FLAG_ONLY, THROUGH)["campaign_lists"][THROUGH],
        "pamper": state["campaign_lists"][THROUGH]["pamper"],
    }
    late = late.having(campaign_lists={**late["campaign_lists"], THROUGH: others})
    assert THROUGH in stale_snapshots(late, FLAG_ONLY, date.min, LAST)
    beside = restated(late, THROUGH, "pamper")
    assert THROUGH not in stale_snapshots(beside, FLAG_ONLY, date.min, LAST)
    again = beside.having(customer_days=EVERY_DAY["customer_days"])  # the correction is taken back
    assert THROUGH in stale_snapshots(again, FLAG_ONLY, date.min, LAST)


def restated(state: State, day: date, campaign: str, recipe: Recipe = EVERYTHING) -> State:
    return make(state, recipe, "restated_lists", day, [*state["restated_lists"].get(day, {}), campaign])


def test_a_released_list_stays_when_its_campaign_goes_or_a_day_is_held_and_nothing_lies_beside_it():
    state = hand_over(EVERY_DAY, THROUGH, "pamper")
    fewer = replace(EVERYTHING, campaigns={"champions": ("rfm_grid", "mail")})
    wanted = {n: EVERY_DAY["campaign_lists"][THROUGH][n] for n in ("pamper", "champions")}
    assert THROUGH not in stale_snapshots(with_lists(state, wanted), fewer, date.min, LAST)
    assert THROUGH in stale_snapshots(restated(state, THROUGH, "pamper"), fewer, date.min, LAST)
    assert THROUGH in stale_snapshots(EVERY_DAY, fewer, date.min, LAST)
    held = bring_up_to_date(state, FLAG_ONLY, HELD, LAST)
    held = make_assignments(make(held, FLAG_ONLY, "rfm_features", THROUGH), FLAG_ONLY, THROUGH)
    kept = with_lists(held, {"pamper": EVERY_DAY["campaign_lists"][THROUGH]["pamper"]})
    assert THROUGH not in stale_snapshots(kept, FLAG_ONLY, date.min, LAST)
    assert THROUGH in stale_snapshots(
        with_lists(held, EVERY_DAY["campaign_lists"][THROUGH]), FLAG_ONLY, date.min, LAST
    )


def with_lists(state: State, lists: Mapping[str, Manifest]) -> State:
    return state.having(campaign_lists={**state["campaign_lists"], THROUGH: lists})


def test_the_notes_of_a_days_lists_say_what_was_handed_over_and_what_is_other_now():
    state = restated(
        hand_over(hand_over(EVERY_DAY, THROUGH, "pamper"), THROUGH, "champions"), THROUGH, "pamper"
    )
    counts = {"added": 1200, "removed": 3, "changed": 40, "same": 7}
    counted = state["restated_lists"][THROUGH]["pamper"].model_copy(update={"counts": counts})
    assert planner.release_notes(state.having(restated_lists={THROUGH: {"pamper": counted}}), THROUGH) == {
        "champions": "released",
        "pamper": "released; restated beside it: +1,200 -3 changed 40",
    }


SOME = st.lists(st.sampled_from(days(FIRST, LAST)), min_size=1, max_size=4)


@settings(max_examples=25, deadline=None)
@given(
    made=SOME,
    reach=st.sampled_from([None, 0, 1, 5, 31]),
    late=st.dictionaries(st.sampled_from(days(FIRST, LAST)), st.sampled_from(["late", "broken"]), max_size=2),
    through=st.sampled_from(days(date(2024, 2, 3), LAST)),
)
def test_what_the_policy_reaches_is_as_if_made_anew_and_the_rest_of_what_is_stale_is_known(
    made: list[date], reach: int | None, late: dict[date, str], through: date
):
    recipe = replace(RECIPE, restate=reach)
    shop = {**SHOP, "late.csv": late} if late else SHOP
    state = bring_up_to_date(day_by_day(State(), recipe, SHOP, made), recipe, shop, through)
    assert not plan(state, recipe, through)
    fresh = day_by_day(State(), EVERYTHING, shop, sorted({*made, through}))
    stale = set(stale_snapshots(state, recipe, date.min, through))
    for day in {*made, through}:
        if day <= through:
            differs = snapshots_of(state, [day]) != snapshots_of(fresh, [day])
            assert differs == (day in stale)
            assert not (day in stale and (reach is None or (through - day).days <= reach))

"""What is expected of a source, what is amiss with a day, and that neither rests on the order of arrival."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, time, timedelta
from typing import Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from retail_pipeline.planning.manifests import Arrival, Manifest, Part
from retail_pipeline.planning.readiness import (
    LEARNED,
    Delivered,
    Delivers,
    Expected,
    Finding,
    Readiness,
    Verdicts,
    judge,
    usual_range,
)
from retail_pipeline.planning.state import HISTORY, State

MONDAY = date(2024, 1, 1)
WEEKS = 8
RULES = Readiness()

Shop = Mapping[str, Mapping[date, tuple[int, int]]]


def weeks(count: int, *weekdays: int) -> list[date]:
    """The given weekdays (0 is Monday) of the first weeks."""
    return [MONDAY + timedelta(7 * week + weekday) for week in range(count) for weekday in weekdays]


def steady(days: Iterable[date], lines: int = 1000) -> dict[date, tuple[int, int]]:
    """The same lines every day, each worth 3."""
    return dict.fromkeys(days, (lines, 3 * lines))


def verdicts(shop: Shop, **delivers: Delivers) -> Verdicts:
    came = [Delivered(day, system, *what) for system, days in shop.items() for day, what in days.items()]
    return judge(tuple(sorted(came)), Expected(rules=RULES, delivers=tuple(sorted(delivers.items()))))


def kinds(findings: Iterable[Finding]) -> list[tuple[str, bool, bool]]:
    return [(finding.kind, finding.holds, finding.waits) for finding in findings]


EVERY_DAY = weeks(WEEKS, *range(7))
NEXT = EVERY_DAY[-1] + timedelta(1)


@pytest.mark.parametrize("later", [[NEXT + timedelta(1)], []], ids=["for good", "it may still come"])
def test_a_source_that_always_delivers_on_a_weekday_is_missed_when_others_deliver(later: list[date]):
    shop = {"till": steady([*EVERY_DAY, NEXT]), "web": steady([*EVERY_DAY, *later])}
    says = "web delivered nothing, as it does on Mondays, though others did"
    assert verdicts(shop).of(NEXT) == (Finding("missing", says, holds=True, waits=not later, system="web"),)


def test_nothing_is_expected_before_there_is_history_enough():
    short = weeks(WEEKS - 1, *range(7))
    monday = short[-1] + timedelta(1)
    found = verdicts({"till": steady([*short, monday]), "web": steady(short)})
    assert not found.of(monday)
    assert not found.of(monday + timedelta(1))


def test_a_day_of_the_week_on_which_nobody_delivers_is_no_finding():
    found = verdicts({"till": steady(weeks(WEEKS, 0, 1, 2, 3, 4, 5))})
    saturday = EVERY_DAY[-2]
    sunday, monday = saturday + timedelta(1), saturday + timedelta(2)
    assert not found.of(sunday)
    assert kinds(found.of(monday)) == [("late", True, True)]


def test_an_empty_day_is_awaited_until_a_later_one_comes_and_then_the_shop_was_closed():
    awaited = verdicts({"till": steady(EVERY_DAY)})
    (late,) = awaited.of(NEXT)
    assert late.says == "the Monday's delivery of till has not come, nor any of a later day"
    assert (late.holds, late.waits) == (True, True)
    (closed,) = verdicts({"till": steady([*EVERY_DAY, NEXT + timedelta(1)])}).of(NEXT)
    assert closed.says == (
        "nobody delivered anything, though till should on a Monday; "
        "later days came, so it counts as a day on which the shop was closed"
    )
    assert (closed.kind, closed.holds) == ("closed", False)
    assert kinds(awaited.of(NEXT + timedelta(7 * 52))) == [("late", True, True)], "for as long as it takes"


def test_one_bank_holiday_in_eight_weeks_is_forgiven_and_two_are_not():
    mondays = weeks(WEEKS + 1, 0)
    for missing, expected in ((mondays[3:4], True), (mondays[3:5], False)):
        days = [day for day in [*EVERY_DAY, NEXT + timedelta(1)] if day not in missing]
        assert bool(verdicts({"till": steady(days)}).of(NEXT)) is expected


def test_a_shop_that_opened_later_is_not_missed_before():
    days = weeks(2 * WEEKS, *range(7))
    opened = days[60:]
    found = verdicts({"till": steady(days), "new": steady(opened)}, new=Delivers(weekdays=("mon", "tue")))
    assert not any(found.of(day) for day in days)


@pytest.mark.parametrize(
    ("lines", "amiss"),
    [(499, [("odd", True, False)]), (500, []), (1000, []), (5000, []), (5001, [("odd", True, False)])],
)
def test_lines_far_from_those_of_the_same_weekdays_are_odd(lines: int, amiss: list[tuple[str, bool, bool]]):
    shop = {"till": {**steady([*EVERY_DAY, NEXT + timedelta(1)]), NEXT: (lines, 3000)}}
    assert kinds(verdicts(shop).of(NEXT)) == amiss


def test_value_far_from_that_of_the_same_weekdays_is_odd_and_said_with_the_usual():
    shop = {"till": {**steady([*EVERY_DAY, NEXT + timedelta(1)]), NEXT: (1000, 300_000)}}
    (finding,) = verdicts(shop).of(NEXT)
    assert finding.says == (
        "till delivered lines worth 300,000, where 1,500 to 15,000 are usual by the last 8 Mondays"
    )


def test_too_few_lines_of_the_last_day_may_still_be_completed_too_many_not():
    few, many = ({"till": {**steady(EVERY_DAY), NEXT: (lines, 3000)}} for lines in (100, 90_000))
    assert kinds(verdicts(few).of(NEXT)) == [("odd", True, True)]
    assert kinds(verdicts(many).of(NEXT)) == [("odd", True, False)]


def test_another_weekdays_volume_does_not_count():
    sundays = {day: (300, 900) for day in EVERY_DAY if day.weekday() == 6}
    shop = {"till": steady(EVERY_DAY) | sundays | {NEXT + timedelta(6): (300, 900)}}
    assert not verdicts(shop).of(NEXT + timedelta(6))


def test_a_source_that_varies_is_given_more_room_within_bounds():
    assert usual_range(1000, [0.0] * 8, RULES) == (500, 5000)
    assert usual_range(1000, [0.2] * 7 + [9.0], RULES) == (306, 5000)
    assert usual_range(1000, [0.3] * 8, RULES) == (169, 5924)
    assert usual_range(1000, [2.0] * 8, RULES) == (100, 10_000)


def test_a_source_is_judged_by_how_far_its_days_were_off_what_was_usual():
    wild = {day: (1000 * (1 + day.toordinal() % 3), 3000) for day in EVERY_DAY}
    shop = {"wild": wild, "calm": steady(EVERY_DAY)}
    for system, amiss in (("wild", []), ("calm", [("odd", True, True)])):
        few = {s: {**days, NEXT: (400 if s == system else 1000, 3000)} for s, days in shop.items()}
        assert kinds(verdicts(few).of(NEXT)) == amiss


def test_a_source_of_a_few_lines_is_not_judged_by_its_volume():
    shop = {"till": steady([*EVERY_DAY, NEXT + timedelta(1)], 199) | {NEXT: (1, 2)}}
    assert not verdicts(shop).of(NEXT)


def test_what_is_set_beats_what_is_learned():
    shop = {"till": {**steady([*EVERY_DAY, NEXT + timedelta(1)]), NEXT: (400, 1200)}}
    assert not verdicts(shop, till=Delivers(lines=(300, 2000), value=(0, 9000))).of(NEXT)
    first = verdicts(shop, till=Delivers(lines=(1001, 2000))).of(MONDAY)
    assert [finding.says for finding in first] == ["till delivered 1,000 lines, where 1,001 to 2,000 are set"]
    late = NEXT + timedelta(2)
    assert not verdicts(shop, till=Delivers(weekdays=())).of(late)
    assert kinds(verdicts({"till": steady([MONDAY])}, till=Delivers(weekdays=("tue",))).of(EVERY_DAY[1])) == [
        ("late", True, True)
    ]


@pytest.mark.parametrize(
    "rules", [Readiness(learn=False), Readiness(hold=False)], ids=["not learned", "not held"]
)
def test_switched_off_nothing_is_held(rules: Readiness):
    shop = {"till": steady([*EVERY_DAY, NEXT]), "web": steady(EVERY_DAY) | {EVERY_DAY[-1]: (10, 30)}}
    came = tuple(Delivered(day, s, *what) for s, days in shop.items() for day, what in days.items())
    found = judge(came, Expected(rules=rules))
    amiss = [finding for day in [*EVERY_DAY, NEXT, NEXT + timedelta(1)] for finding in found.of(day)]
    assert not any(finding.holds for finding in amiss)
    assert bool(amiss) is rules.learn


def test_a_lake_that_did_not_count_the_value_is_judged_by_lines_alone():
    days = [*EVERY_DAY, NEXT, NEXT + timedelta(1)]
    came = [Delivered(day, "till", 1000, None if day < NEXT else 3) for day in days]
    assert not judge(tuple(came), Expected()).found


# whatever the order of arrival

DAYS = weeks(WEEKS + 3, *range(7))
shops = st.fixed_dictionaries(
    {
        system: st.dictionaries(
            st.sampled_from(DAYS),
            st.tuples(st.integers(1, 5000), st.integers(-100, 90_000)),
            min_size=50,
            max_size=len(DAYS),
        )
        for system in ("till", "web")
    }
)


@settings(max_examples=20, deadline=None)
@given(shops, st.sampled_from(DAYS), st.data())
def test_of_the_days_after_it_only_counts_that_they_came(shop: Shop, day: date, data: st.DataObject):
    later = [d for d in DAYS if d > day]
    upto = {system: {d: w for d, w in days.items() if d <= day} for system, days in shop.items()}
    others = data.draw(st.dictionaries(st.sampled_from(later or [day]), st.just((5000, 1)), max_size=9))
    one, two = (
        {**upto, "till": {**upto["till"], **{d: w for d, w in more.items() if d > day}}}
        for more in ({d: w for days in shop.values() for d, w in days.items()}, others)
    )
    came_later = [(found.last or day) > day for found in map(verdicts, (one, two))]
    if came_later[0] == came_later[1]:
        assert verdicts(one).of(day) == verdicts(two).of(day)


def landed(number: int, system: str, parts: Mapping[date, tuple[int, int]]) -> Manifest:
    return Manifest(
        table="landed_files",
        partition={"file": f"{number}"},
        rows=1,
        content="",
        inputs={"source_system": system},
        code_version="1",
        schema_fingerprint="",
        counts={"rows_read": 1, "unreadable": 0},
        parts={day: Part(rows=rows, content="", last=last) for day, (rows, last) in parts.items()},
    )


@settings(max_examples=20, deadline=None)
@given(shops, st.randoms())
def test_the_order_in_which_files_land_changes_no_verdict(shop: Shop, chance: object):
    files = {
        f"{number}": landed(number, system, {day: what})
        for number, (system, day, what) in enumerate(
            (system, day, what) for system, days in shop.items() for day, what in days.items()
        )
    }
    shuffled = list(files.items())
    chance.shuffle(shuffled)  # type: ignore[attr-defined]
    assert State(landed=files).readiness == State(landed=dict(shuffled)).readiness


def test_files_of_one_day_and_system_add_up_and_their_value_is_that_of_what_was_kept():
    halves = {"a": landed(1, "till", {MONDAY: (400, 700)}), "b": landed(2, "till", {MONDAY: (600, 1100)})}
    assert State(landed=halves).delivered == {MONDAY: (Delivered(MONDAY, "till", 1000, None, 1100),)}
    made = landed(3, "till", {}).model_copy(update={"counts": {"value of till": 3, "value of web": 9}})
    state = State(landed=halves).having(transactions={MONDAY: made})
    assert state.delivered == {MONDAY: (Delivered(MONDAY, "till", 1000, 3, 1100),)}


# stray lines


def came(days: Iterable[date], lines: int = 500, last: int | None = None) -> tuple[Delivered, ...]:
    return tuple(Delivered(day, "till", lines, None, last) for day in days)


def came_at(when: int, parts: Mapping[date, tuple[int, int]], path: str = "") -> Manifest:
    arrival = Arrival(path=path or f"{when}.csv", modified_ns=when)
    return landed(when, "till", parts).model_copy(update={"arrival": arrival})


@pytest.mark.parametrize("ahead", [2, 3, 365, 2_790_000])
def test_a_line_dated_ahead_does_not_say_that_a_later_delivery_came(ahead: int):
    stray = Delivered(NEXT + timedelta(ahead), "till", 1, None)
    found = judge((*came(EVERY_DAY), stray), LEARNED)
    assert found.last == EVERY_DAY[-1]
    assert kinds(found.of(NEXT)) == [("late", True, True)]
    assert kinds(found.of(stray.day)) == [("odd", True, True)], "what there is of it is too little"
    assert kinds(judge((*came([*EVERY_DAY, NEXT + timedelta(1)]), stray), LEARNED).of(NEXT)) == [
        ("closed", False, False)
    ]


def test_a_quiet_day_like_others_before_it_is_a_delivery():
    quiet = [day for day in EVERY_DAY if day.weekday() == 6]
    days = {entry.day: entry for entry in (*came(EVERY_DAY), *came(quiet, lines=20))}
    assert judge(tuple(days.values()), LEARNED).last == quiet[-1]


def test_the_last_day_of_what_was_delivered_is_no_stray_day():
    files = {f"{day}": landed(day.toordinal(), "till", {day: (500, 0)}) for day in EVERY_DAY}
    far = NEXT + timedelta(900)
    assert State(landed={**files, "stray": landed(1, "till", {far: (1, 0)})}).last_day == EVERY_DAY[-1]


# what is held teaches nothing, and old days are no news

LONG = weeks(28, *range(7))
BAD = LONG[100:]


def much(day: date, **more: Any) -> Delivered:
    """A day of 1,000 lines and a few; a hundred times as many on the bad days."""
    times = 100 if day in BAD else 1
    return Delivered(day, "till", times * (1000 + 7 * (day.toordinal() % 13)), None, **more)


def held(delivered: Iterable[Delivered], rules: Readiness = RULES) -> list[date]:
    found = judge(tuple(delivered), Expected(rules=rules))
    return [day for day in LONG if any(finding.holds for finding in found.of(day))]


def test_bad_weeks_never_become_usual():
    assert held(much(day) for day in LONG) == BAD


def test_what_somebody_released_is_usual_for_eight_weeks():
    assert held(much(day, is_released=day == BAD[0]) for day in LONG) == BAD[:1]


def test_rows_that_a_check_of_rows_holds_teach_nothing():
    days = [much(day, is_blocked=day in BAD[:60]) for day in LONG]
    assert held(days) == BAD


@pytest.mark.parametrize(("history", "expected"), [("warn", []), ("hold", BAD)])
def test_a_finding_of_old_history_warns_unless_it_is_set_to_hold(
    history: Literal["warn", "hold"], expected: list[date]
):
    days = tuple(much(day, is_history=True) for day in LONG)
    rules = Readiness(history=history)
    assert judge(days, Expected(rules=rules)).of(BAD[0])
    assert held(days, rules) == expected


def test_days_are_history_by_the_files_that_had_come_with_them_and_not_by_later_ones():
    whole_day = 25 * 3600 * 10**9
    together = {f"{day}": came_at(n, {day: (500, 0)}) for n, day in enumerate(LONG)}
    daily = {f"{day}": came_at(n * whole_day, {day: (500, 0)}) for n, day in enumerate(LONG)}
    whole = {"whole": came_at(1, dict.fromkeys(LONG, (500, 0)))}

    def history(files: dict[str, Manifest]) -> list[date]:
        delivered = State(landed=files).delivered
        return [day for day in LONG if delivered[day][0].is_history]

    assert history(together) == LONG[: -HISTORY.days - 1]
    assert history(whole) == LONG[: -HISTORY.days - 4], "a few lines may be dated wrongly"
    assert history(daily) == []
    stray = {"stray": came_at(2, {LONG[0]: (500, 0), LONG[-1] + timedelta(99): (1, 0)})}
    assert history({**together, **stray}) == history(together)


def test_what_the_cleaning_takes_out_does_not_count():
    usual = came([*EVERY_DAY, NEXT + timedelta(1)], 1000)
    few = Delivered(NEXT, "till", 1000, 3000, kept=400)
    (finding,) = judge((*usual, few), LEARNED).of(NEXT)
    assert finding.says == "till delivered 400 lines, where 500 to 5,000 are usual by the last 8 Mondays"


def test_the_same_season_a_year_before_is_usual():
    years = weeks(56, *range(7))
    rush = {day for day in years if 46 <= (day - MONDAY).days // 7 < 48}
    again = MONDAY + timedelta(7 * 99)
    days = [Delivered(day, "till", 9000 if day in rush else 1000, 3000) for day in weeks(99, *range(7))]
    rules = Readiness(hold=False)  # or the first rush would say nothing of the next
    for day, amiss in ((again, False), (again - timedelta(21), True)):
        before = tuple(one for one in days if one.day < day)
        found = judge((*before, Delivered(day, "till", 9000, 3000)), Expected(rules=rules)).of(day)
        assert bool(found) is amiss


def test_a_file_that_is_named_after_a_day_and_holds_other_days_is_asked_about():
    files = {f"{day}": landed(n, "till", {day: (500, 0)}) for n, day in enumerate(EVERY_DAY)}
    files["later"] = landed(100, "till", {NEXT + timedelta(1): (500, 0)})
    for parts, kind, holds in (
        ({MONDAY: (500, 0)}, "missing", True),
        ({}, "closed", False),
        ({NEXT - timedelta(1): (5, 0)}, "closed", False),
    ):
        odd = came_at(99, parts, f"till_{NEXT}.csv")
        (finding,) = State(landed={**files, "odd": odd}).readiness.of(NEXT)
        assert (finding.kind, finding.holds) == (kind, holds)
        assert finding.says.startswith("till_2") is (parts != {NEXT - timedelta(1): (5, 0)})


# half a day


@pytest.mark.parametrize(
    ("lines", "last", "amiss"),
    [
        (649, 760, [("odd", True, False)]),
        (651, 760, [("odd", False, False)]),
        (800, 760, []),
        (649, 1080, []),
        (649, None, []),
    ],
    ids=["half of it", "more of it", "most of it", "until the evening", "times unknown"],
)
def test_a_day_that_ends_at_noon_with_half_its_lines_is_half_a_day(
    lines: int, last: int | None, amiss: list[tuple[str, bool, bool]]
):
    usual = [*came(EVERY_DAY, 1000, 1100), *came([NEXT + timedelta(1)], 1000, 1100)]
    found = judge((*usual, *came([NEXT], lines, last)), LEARNED)
    assert kinds(found.of(NEXT)) == amiss
    if amiss:
        (finding,) = found.of(NEXT)
        assert finding.says == (
            f"till delivered {lines} lines up to 12:40, where the last 8 Mondays have 1,000 and go on to "
            "18:20 or later: is the file whole?"
        )


def test_half_of_the_last_day_may_still_become_a_whole_one_and_days_without_times_never_end_early():
    usual = {entry.day: entry for entry in came(EVERY_DAY, 1000, 1100)}
    half_holiday = {entry.day: entry for entry in came([EVERY_DAY[14]], 1000, 700)}
    for days in (usual, usual | half_holiday):
        found = judge((*days.values(), *came([NEXT], 540, 760)), LEARNED)
        assert kinds(found.of(NEXT)) == [("odd", True, True)]
    assert not judge((*came(EVERY_DAY, 1000, 0), *came([NEXT], 540, 0)), LEARNED).of(NEXT)


# settings


def test_a_deadline_reads_as_people_and_as_yaml_write_it():
    assert Delivers.model_validate({"by": "07:00"}).by == time(7)
    assert Delivers.model_validate({"by": "7:05"}).by == time(7, 5)
    assert Delivers.model_validate({"by": 18 * 60 + 30}).by == time(18, 30)  # YAML's reading of 18:30


@pytest.mark.parametrize(
    "wrong", [{"by": "7"}, {"by": "25:00"}, {"lines": [10, 1]}, {"weekdays": ["Monday"]}]
)
def test_what_no_source_can_deliver_is_refused(wrong: dict[str, object]):
    with pytest.raises(ValidationError):
        Delivers.model_validate(wrong)
    with pytest.raises(ValidationError):
        Readiness(lowest_share=0.6)


def test_what_a_source_delivers_survives_being_told_to_the_process_that_reads_its_files():
    delivers = Delivers.model_validate({"weekdays": ["mon"], "by": "7:05", "lines": [1, 2], "value": [0, 9]})
    assert Delivers.model_validate_json(delivers.model_dump_json()) == delivers

"""Which landed files count: corrections, overlaps, unreadable files, and people's words on them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retail_pipeline.planning.decisions import FileDecision
from retail_pipeline.planning.deliveries import Deliveries, Limits, deliveries
from retail_pipeline.planning.manifests import Arrival, Manifest, Overlap, Part

MONDAY = date(2024, 1, 1)
LIMITS = Limits(max_unreadable_share=0.05, max_overlap_share=0.1)


Common = tuple[int, int] | dict[int, tuple[int, int]]


def id_of(content: str) -> str:
    return sha256(content.encode()).hexdigest()[:16]


def overlap(common: Common) -> Overlap:
    """Lines in common and of how many, together or by day."""
    if isinstance(common, tuple):
        return Overlap(lines=common[0], of=common[1])
    lines, of = (sum(figures) for figures in zip(*common.values(), strict=True))
    days = {MONDAY + timedelta(n): both for n, both in common.items()}
    return Overlap(lines=lines, of=of, days=days)


def file(
    content: str,
    *days: int,
    at: int,
    path: str = "",
    replaces: str | None = None,
    overlaps: Mapping[str, Common] | None = None,
    unreadable: int = 0,
) -> dict[str, Manifest]:
    """A landed file of 100 rows a day, by source_id; ``at`` is when it was last changed."""
    rows = 100 * len(days)
    return {
        id_of(content): Manifest(
            table="landed_files",
            partition={"file": id_of(content)},
            rows=1,
            content="",
            inputs={"file": content, "source_system": "till"},
            code_version="1",
            schema_fingerprint="",
            counts={"rows_read": rows, "raw": rows - unreadable, "unreadable": unreadable},
            parts={MONDAY + timedelta(n): Part(rows=100, content="") for n in days},
            arrival=Arrival.model_validate(
                {
                    "path": path or f"{content}.csv",
                    "modified_ns": at,
                    "replaces": replaces,
                    "overlaps": {id_of(other): overlap(common) for other, common in (overlaps or {}).items()},
                }
            ),
        )
    }


def decided(verdict: str, *contents: str) -> dict[str, FileDecision]:
    return {
        id_of(content): FileDecision.model_validate(
            {"source_id": id_of(content), "verdict": verdict, "why": "said so", "by": "me"}
        )
        for content in contents
    }


def days_of(found: Deliveries) -> dict[int, set[str]]:
    return {(day - MONDAY).days: set(files) for day, files in found.by_day.items() if files}


def test_files_add_when_nothing_says_otherwise():
    landed = file("a", 0, 1, at=1) | file("b", 1, 2, at=2)
    found = deliveries(landed, {}, LIMITS)
    assert days_of(found) == {0: {id_of("a")}, 1: {id_of("a"), id_of("b")}, 2: {id_of("b")}}
    assert not found.held
    assert not found.replaced


def test_a_corrected_file_takes_the_place_of_the_one_with_its_path_and_of_no_other():
    landed = (
        file("first", 0, 1, at=1, path="monday/sales.csv", replaces="same_name")
        | file("other", 0, at=2, path="tuesday/sales.csv", replaces="same_name")
        | file("corrected", 1, at=3, path="monday/sales.csv", replaces="same_name")
    )
    found = deliveries(landed, {}, LIMITS)
    assert days_of(found) == {0: {id_of("other")}, 1: {id_of("corrected")}}
    assert found.replaced == {id_of("first"): id_of("corrected")}


def test_a_corrected_file_takes_its_days_and_leaves_the_others():
    landed = file("month", 0, 1, 2, at=1, replaces="same_days") | file(
        "one day", 1, at=2, replaces="same_days"
    )
    found = deliveries(landed, {}, LIMITS)
    assert days_of(found) == {0: {id_of("month")}, 1: {id_of("one day")}, 2: {id_of("month")}}
    assert not found.replaced


def test_a_correction_of_another_shop_system_takes_nothing():
    (till,) = file("till", 0, at=1).items()
    web = file("web", 0, at=2, replaces="same_days")[id_of("web")]
    landed = dict([till]) | {
        id_of("web"): web.model_copy(update={"inputs": web.inputs | {"source_system": "web"}})
    }
    assert days_of(deliveries(landed, {}, LIMITS)) == {0: {id_of("till"), id_of("web")}}


def test_a_rejected_correction_gives_the_days_back():
    landed = file("month", 0, 1, at=1) | file("wrong", 1, at=2, replaces="same_days")
    found = deliveries(landed, decided("reject", "wrong"), LIMITS)
    assert days_of(found) == {0: {id_of("month")}, 1: {id_of("month")}}
    assert found.held[id_of("wrong")].rejected


def test_of_two_overlapping_files_the_later_is_held_back_with_the_counts_whichever_landed_first():
    for first, second in (("a", "b"), ("b", "a")):
        landed = file(first, 0, at=1) | file(second, 0, at=2, overlaps={first: (90, 100)})
        # the figures may stand in either file's manifest
        mirrored = file(first, 0, at=1, overlaps={second: (90, 100)}) | file(second, 0, at=2)
        for there in (landed, mirrored):
            found = deliveries(there, {}, LIMITS)
            assert days_of(found) == {0: {id_of(first)}}
            assert found.held[id_of(second)].overlaps == (id_of(first),)
            assert f"90 lines that {first}.csv has, too (of 100 " in found.held[id_of(second)].why


def test_few_common_lines_hold_nothing_back():
    landed = file("a", 0, at=1) | file("b", 0, at=2, overlaps={"a": (10, 100)})
    assert days_of(deliveries(landed, {}, LIMITS)) == {0: {id_of("a"), id_of("b")}}


def test_either_of_two_overlapping_files_may_be_accepted_and_a_rejected_one_frees_the_other():
    landed = file("a", 0, at=1) | file("b", 0, at=2, overlaps={"a": (90, 100)})
    for content in ("a", "b"):
        assert days_of(deliveries(landed, decided("accept", content), LIMITS)) == {
            0: {id_of("a"), id_of("b")}
        }
    assert days_of(deliveries(landed, decided("reject", "a"), LIMITS)) == {0: {id_of("b")}}


def test_an_overlap_with_a_file_that_was_replaced_holds_nothing_back():
    landed = (
        file("old", 0, at=1, path="s.csv")
        | file("new", 0, at=2, path="s.csv", replaces="same_name")
        | file("late", 0, at=3, overlaps={"old": (100, 100)})
    )
    assert days_of(deliveries(landed, {}, LIMITS)) == {0: {id_of("new"), id_of("late")}}


def test_a_file_with_too_many_unreadable_rows_counts_only_when_somebody_accepts_it():
    landed = file("cut", 0, at=1, unreadable=6)
    found = deliveries(landed, {}, LIMITS)
    assert not days_of(found)
    assert "6 of its 100 rows cannot be read" in found.held[id_of("cut")].why
    assert days_of(deliveries(landed, decided("accept", "cut"), LIMITS)) == {0: {id_of("cut")}}
    assert days_of(deliveries(file("cut", 0, at=1, unreadable=5), {}, LIMITS)) == {0: {id_of("cut")}}


def test_a_held_file_replaces_nothing():
    landed = file("good", 0, at=1, path="s.csv") | file(
        "cut", 0, at=2, path="s.csv", replaces="same_name", unreadable=50
    )
    assert days_of(deliveries(landed, {}, LIMITS)) == {0: {id_of("good")}}


def test_only_the_days_wait_on_which_a_later_file_repeats_an_earlier_one():
    landed = file("day", 2, at=1) | file("month", 0, 1, 2, 3, at=2, overlaps={"day": {2: (100, 100)}})
    found = deliveries(landed, {}, LIMITS)
    month = id_of("month")
    assert days_of(found) == {0: {month}, 1: {month}, 2: {id_of("day")}, 3: {month}}
    held = found.held[month]
    assert held.days == (MONDAY + timedelta(2),)
    assert found.counts(month)
    for part in (
        "100 lines that day.csv has, too",
        "on 2024-01-03",
        "its other 3 days count",
        "replaces: same_days",
    ):
        assert part in held.why


def test_of_a_large_file_and_small_ones_that_repeat_its_days_the_later_wait():
    landed = file("month", 0, 1, 2, at=1) | file("day", 1, at=2, overlaps={"month": {1: (90, 100)}})
    found = deliveries(landed, {}, LIMITS)
    assert days_of(found) == {n: {id_of("month")} for n in range(3)}
    assert found.held[id_of("day")].days is None
    assert not found.counts(id_of("day"))


@pytest.mark.parametrize(
    ("verdict", "on_the_day"), [("accept", {"day", "month"}), ("replace", {"month"}), ("reject", {"day"})]
)
def test_a_word_on_a_file_decides_about_the_days_that_wait_and_no_others(verdict: str, on_the_day: set[str]):
    landed = file("day", 1, 2, at=1) | file("month", 0, 1, at=2, overlaps={"day": {1: (100, 100)}})
    said = decided(verdict, "month")
    if verdict == "reject":
        said = {s: d.model_copy(update={"days": (MONDAY + timedelta(1),)}) for s, d in said.items()}
    found = deliveries(landed, said, LIMITS)
    assert days_of(found) == {0: {id_of("month")}, 1: {*map(id_of, on_the_day)}, 2: {id_of("day")}}
    assert not found.held


def test_a_file_that_takes_the_last_day_of_another_replaces_it():
    landed = file("day", 1, at=1) | file("month", 0, 1, at=2, overlaps={"day": {1: (100, 100)}})
    found = deliveries(landed, decided("replace", "month"), LIMITS)
    assert found.replaced == {id_of("day"): id_of("month")}


@pytest.mark.parametrize("shared", [100, 99])
def test_the_whole_file_takes_the_place_of_its_half_under_the_same_name(shared: int):
    # the last line of the half may be cut in a field that still reads
    landed = file("half", 0, at=1, path="s.csv") | file(
        "whole", 0, 1, at=2, path="s.csv", overlaps={"half": {0: (shared, 100)}}
    )
    found = deliveries(landed, {}, LIMITS)
    assert days_of(found) == {0: {id_of("whole")}, 1: {id_of("whole")}}
    assert found.replaced == {id_of("half"): id_of("whole")}
    assert not found.held


@pytest.mark.parametrize(
    ("path", "shared", "days"),
    [("another.csv", 100, (0, 1)), ("s.csv", 98, (0, 1)), ("s.csv", 99, ())],
    ids=["another name", "lacks lines", "the half after the whole"],
)
def test_no_other_file_takes_the_place_of_one_that_it_repeats(path: str, shared: int, days: tuple[int, ...]):
    earlier = file("earlier", *(days[:1] or (0, 1)), at=1, path="s.csv")
    landed = earlier | file(
        "later", *(days or (0,)), at=2, path=path, overlaps={"earlier": {0: (shared, 100)}}
    )
    found = deliveries(landed, {}, LIMITS)
    assert id_of("earlier") in found.by_day[MONDAY]
    assert id_of("later") not in found.by_day[MONDAY]
    assert id_of("later") in found.held


def test_a_growing_file_is_replaced_by_each_of_its_versions():
    landed: dict[str, Manifest] = {}
    for at in range(4):
        earlier = {f"v{n}": dict.fromkeys(range(n + 1), (100, 100)) for n in range(at)}
        landed |= file(f"v{at}", *range(at + 1), at=at, path="sales.csv", overlaps=earlier)
    assert days_of(deliveries(landed, {}, LIMITS)) == {day: {id_of("v3")} for day in range(4)}


YEARS = 365 * 14


def test_a_few_lines_far_before_all_others_wait_and_the_rest_of_their_file_counts():
    landed = file("shop", *range(YEARS, YEARS + 9), at=1)
    landed |= small("typed", {0: 1, YEARS + 9: 80}, at=2) | small("alone", {5: 1}, at=3)
    found = deliveries(landed, {}, LIMITS)
    assert min(found.by_day) == MONDAY + timedelta(YEARS)
    assert found.held[id_of("typed")].days == (MONDAY,)
    assert "1 lines of 2024-01-01, more than a year before all others" in found.held[id_of("typed")].why
    assert found.held[id_of("alone")].days is None
    again = deliveries(landed, decided("accept", "typed") | decided("reject", "alone"), LIMITS)
    assert min(again.by_day) == MONDAY
    assert again.held[id_of("alone")].rejected


@pytest.mark.parametrize("lines", [{YEARS: 1}, {YEARS: 1, YEARS + 1: 1}, {YEARS + 1: 40}])
def test_one_line_years_before_all_others_waits_in_the_youngest_shop(lines):
    landed = small("first", lines, at=1) | small("typed", {0: 1, YEARS + 2: 1}, at=2)
    found = deliveries(landed, {}, LIMITS)
    assert found.held[id_of("typed")].days == (MONDAY,)
    assert found.by_day.keys() == {MONDAY + timedelta(day) for day in (*lines, YEARS + 2)}


@pytest.mark.parametrize("lines", [{0: 1}, {0: 1, 3: 1}, {0: 3, YEARS: 1}])
def test_a_shops_only_days_are_not_far_from_any(lines):
    assert not deliveries(small("all", lines, at=1), {}, LIMITS).held


def test_old_years_of_a_shop_and_the_first_day_after_a_pause_count():
    archive = file("archive", *range(9), at=1) | file("shop", *range(YEARS, YEARS + 30), at=2)
    pause = file("shop", *range(30), at=1) | small("again", {YEARS: 1}, at=2)
    near = file("shop", *range(366, 390), at=1) | small("a year", {0: 1}, at=2)
    for landed in (archive, pause, near):
        assert not deliveries(landed, {}, LIMITS).held


def small(content: str, lines: dict[int, int], at: int) -> dict[str, Manifest]:
    """A file of so many lines on each day."""
    made = file(content, *lines, at=at)[id_of(content)]
    parts = {MONDAY + timedelta(n): Part(rows=rows, content="") for n, rows in lines.items()}
    return {id_of(content): made.model_copy(update={"parts": parts})}


KINDS = st.tuples(
    st.integers(0, 5),
    st.sets(st.integers(0, 4), max_size=4),
    st.sampled_from([None, "same_name", "same_days"]),
)


VERDICTS = st.sampled_from(["accept", "replace", "reject", "reject a day", None, None, None])


@given(st.lists(KINDS, max_size=8), st.data(), st.randoms())
def test_what_counts_does_not_depend_on_the_order_in_which_files_landed(kinds, data, chance):
    landed: dict[str, Manifest] = {}
    said: dict[str, FileDecision] = {}
    for at, (name, days, replaces) in enumerate(kinds):
        shared = {
            f"content {n}": {day: (data.draw(st.sampled_from([0, 50, 100])), 100) for day in days & other}
            for n, (_, other, _) in enumerate(kinds[:at])
            if days & other
        }
        content = f"content {at}"
        landed |= file(content, *sorted(days), at=at, path=f"{name}.csv", replaces=replaces, overlaps=shared)
        if verdict := data.draw(VERDICTS):
            word = decided(verdict.split()[0], content)
            if verdict == "reject a day":
                word = {s: d.model_copy(update={"days": (MONDAY,)}) for s, d in word.items()}
            said |= word
    shuffled = list(landed)
    chance.shuffle(shuffled)
    found = deliveries(landed, said, LIMITS)
    assert deliveries({s: landed[s] for s in shuffled}, said, LIMITS) == found
    if any(replaces == "same_name" for _, _, replaces in kinds):
        return
    for source_id, manifest in landed.items():
        # each day of each file counts, waits with its file, or is somebody else's: nothing is lost silently
        held, decision = found.held.get(source_id), said.get(source_id)
        waits = set(manifest.parts if held and held.days is None else (held.days or ()) if held else ())
        lost = {day for day in manifest.parts if source_id not in found.by_day.get(day, {})} - waits
        left_out = set(decision.days) if decision else set()
        assert all(found.by_day.get(day) for day in lost - left_out)
    assert not [day for day, files in found.by_day.items() if not files]


@given(st.lists(KINDS, max_size=8))
def test_a_day_whose_last_file_corrects_days_counts_from_it_alone(kinds):
    landed: dict[str, Manifest] = {}
    for at, (name, days, _) in enumerate(kinds):
        landed |= file(f"content {at}", *sorted(days), at=at, path=f"{name}.csv", replaces="same_days")
    found = days_of(deliveries(landed, {}, LIMITS))
    last = {day: id_of(f"content {at}") for at, (_, days, _) in enumerate(kinds) for day in days}
    assert found == {day: {source_id} for day, source_id in last.items()}

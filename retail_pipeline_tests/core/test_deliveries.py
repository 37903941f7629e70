"""Which landed files count: corrections, overlaps, unreadable files, and people's words on them."""

from __future__ import annotations

from datetime import date, timedelta
from hashlib import sha256

from hypothesis import given
from hypothesis import strategies as st

from retail_pipeline.core.decisions import FileDecision
from retail_pipeline.core.deliveries import Deliveries, Limits, deliveries
from retail_pipeline.core.manifests import Arrival, Manifest, Overlap, Part

MONDAY = date(2024, 1, 1)
LIMITS = Limits(max_unreadable_share=0.05, max_overlap_share=0.1)


def id_of(content: str) -> str:
    return sha256(content.encode()).hexdigest()[:16]


def file(
    content: str,
    *days: int,
    at: int,
    path: str = "",
    replaces: str | None = None,
    overlaps: dict[str, tuple[int, int]] | None = None,
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
                    "overlaps": {
                        id_of(other): Overlap(lines=lines, of=of)
                        for other, (lines, of) in (overlaps or {}).items()
                    },
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


KINDS = st.tuples(
    st.integers(0, 5),
    st.sets(st.integers(0, 4), max_size=4),
    st.sampled_from([None, "same_name", "same_days"]),
)


@given(st.lists(KINDS, max_size=8), st.randoms())
def test_what_counts_does_not_depend_on_the_order_in_which_files_landed(kinds, chance):
    landed: dict[str, Manifest] = {}
    for at, (name, days, replaces) in enumerate(kinds):
        landed |= file(f"content {at}", *sorted(days), at=at, path=f"{name}.csv", replaces=replaces)
    shuffled = list(landed)
    chance.shuffle(shuffled)
    assert deliveries({s: landed[s] for s in shuffled}, {}, LIMITS) == deliveries(landed, {}, LIMITS)


@given(st.lists(KINDS, max_size=8))
def test_a_day_whose_last_file_corrects_days_counts_from_it_alone(kinds):
    landed: dict[str, Manifest] = {}
    for at, (name, days, _) in enumerate(kinds):
        landed |= file(f"content {at}", *sorted(days), at=at, path=f"{name}.csv", replaces="same_days")
    found = days_of(deliveries(landed, {}, LIMITS))
    last = {day: id_of(f"content {at}") for at, (_, days, _) in enumerate(kinds) for day in days}
    assert found == {day: {source_id} for day, source_id in last.items()}

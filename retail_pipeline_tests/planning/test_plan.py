"""What must run is what is missing or stale, and nothing else.

The lake is simulated: a partition's content is named by what it was made from, so that two lakes are equal
exactly when every partition was made from the same things.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import date, timedelta
from hashlib import sha256
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retail_pipeline.planning import calendar, costs, inputs
from retail_pipeline.planning import plan as planner
from retail_pipeline.planning.arrivals import FileSeen, landing_inputs
from retail_pipeline.planning.manifests import (
    Arrival,
    CheckOutcome,
    Manifest,
    Part,
    fingerprint,
    schema_fingerprint,
)
from retail_pipeline.planning.pieces import Goal, Piece, next_pieces
from retail_pipeline.planning.plan import Work, plan, plan_range
from retail_pipeline.planning.state import Recipe, State
from retail_pipeline.tables import TABLES
from retail_pipeline.tables.table import MONTH_IN_FORCE, UP_TO, Reads

FIRST, CLOSE, THROUGH = date(2024, 1, 29), date(2024, 1, 31), date(2024, 2, 3)
RECIPE = Recipe(
    profiles={"till": "profile"},
    first_day=date(2024, 1, 1),
    last_day=None,
    cleaning={"till": "rules", "": "the shop's"},
    checks="checks",
    customer_days="exclude",
    invoice_days=31,
    features="window",
    segmentations={"behaviour": "4 clusters", "rfm_grid": "5 bins"},
    campaigns={"pamper": ("behaviour", "phone"), "champions": ("rfm_grid", "mail")},
    model_timing="previous_month",
    gates="gates",
    late_data="retrain",
    restate=31,
    report="shop",
    report_each_run=True,
)
BROKEN = CheckOutcome(states="currency is GBP", blocking=True, count=3)

Delivery = Mapping[date, str]
Shop = Mapping[str, Delivery]


def days(first: date, last: date) -> list[date]:
    return [first + timedelta(n) for n in range((last - first).days + 1)]


SHOP: Shop = {f"{day}.csv": {day: "lines"} for day in days(FIRST, THROUGH)}
ALL = Work(
    files=tuple(
        FileSeen(path=p, size_bytes=1, sha256=sha256(repr(d).encode()).hexdigest()) for p, d in SHOP.items()
    ),
    days=tuple(days(FIRST, THROUGH)),
    months=("2024-02",),
    snapshots=(THROUGH,),
    reports=(THROUGH,),
)


def listing(shop: Shop) -> dict[FileSeen, Delivery]:
    return {
        FileSeen(path=path, size_bytes=1, sha256=sha256(repr(delivery).encode()).hexdigest()): delivery
        for path, delivery in shop.items()
    }


def manifest(table: str, partition: dict[str, str], inputs: Mapping[str, str]) -> Manifest:
    return Manifest(
        table=table,
        partition=partition,
        rows=1,
        content=fingerprint(table, partition, dict(inputs)),
        inputs=dict(inputs),
        code_version=TABLES[table].code_version,
        schema_fingerprint=schema_fingerprint(TABLES[table].arrow),
    )


def land(state: State, recipe: Recipe, shop: Shop, files: tuple[FileSeen, ...]) -> State:
    landed = dict(state.landed)
    for file in files:
        kept = {
            day: Part(rows=1, content=fingerprint(text, sorted(recipe.profiles.values())))
            for day, text in listing(shop)[file].items()
            if recipe.first_day <= day <= (recipe.last_day or date.max)
        }
        outside = len(listing(shop)[file]) - len(kept)
        read_by, profile = min(recipe.profiles.items())
        bounds = recipe.first_day, recipe.last_day
        inputs = landing_inputs(file, read_by, profile, outside, 0, *bounds)
        made = manifest("landed_files", {"file": file.source_id}, {**inputs, "source_system": "till"})
        arrival = Arrival(path=file.path, size_bytes=file.size_bytes, modified_ns=file.modified_ns)
        counts = {"rows_read": 1, "unreadable": 0}
        landed[file.source_id] = made.model_copy(update={"parts": kept, "arrival": arrival, "counts": counts})
    return replace(state, landed=landed)


def make(
    state: State, recipe: Recipe, table: str, key: date | str, names: Collection[str] | None = None
) -> State:
    """A table's partition of a day or month, or those of a day by name."""
    first, *second = TABLES[table].partition_keys
    made: dict[str, Manifest] = {}
    for name in ("",) if names is None else names:
        keys = {first: str(key), **dict.fromkeys(second, name)}
        made[name] = manifest(table, keys, inputs.inputs_of(state, recipe, table, key, name))
    return state.having(**{table: {**state[table], key: made[""] if names is None else made}})


def make_day(state: State, recipe: Recipe, day: date) -> State:
    """The day is broken where a delivery says so; a held day loses its customer_days."""
    state = make(state, recipe, "transactions", day)
    broken = fingerprint("broken", sorted(recipe.profiles.values()))
    if any(m.parts[day].content == broken for m in state.raw.get(day, {}).values()):
        made = state["transactions"][day].model_copy(update={"failures": (BROKEN,)})
        state = state.having(transactions={**state["transactions"], day: made})
    if not state.is_held(day):
        return make(state, recipe, "customer_days", day)
    return state.having(customer_days={d: m for d, m in state["customer_days"].items() if d != day})


def make_assignments(state: State, recipe: Recipe, day: date) -> State:
    return make(state, recipe, "segment_assignments", day, recipe.segmentations)


def make_month(state: State, recipe: Recipe, month: str) -> State:
    close = calendar.close_before(month)
    state = make(state, recipe, "rfm_features", close)
    if not inputs.candidates_are_current(state, recipe, month):
        state = make(state, recipe, "model_candidates", month)
    return make_assignments(make(state, recipe, "segmentation_models", month), recipe, close)


def make_lists(state: State, recipe: Recipe, day: date) -> State:
    return make(state, recipe, "campaign_lists", day, () if state.held_lately(day) else recipe.campaigns)


def carry_out(state: State, recipe: Recipe, goal: Goal, broken: Collection[date] = ()) -> State:
    """Make the pieces of a goal, planned anew before each layer, as the command does; broken days fail."""
    tried: list[Piece] = []
    while todo := next_pieces(state, recipe, goal, tried):
        for piece in todo:
            for day in piece.partitions:
                match piece.layer:
                    case "days":
                        state = state if day in broken else make_day(state, recipe, day)
                    case "months":
                        state = make_month(state, recipe, calendar.month_of(day))
                    case "reports":
                        state = make(state, recipe, "report", day)
                if "rfm_features" in piece.tables:
                    state = make(state, recipe, "rfm_features", day)
                if "segment_assignments" in piece.tables:
                    state = make_assignments(state, recipe, day)
                if "campaign_lists" in piece.tables:
                    state = make_lists(state, recipe, day)
        tried += todo
    return state


def bring_up_to_date(
    state: State, recipe: Recipe = RECIPE, shop: Shop = SHOP, through: date = THROUGH
) -> State:
    """Land what is new and make everything through a day."""
    state = replace(state, seen=tuple(listing(shop)))
    state = land(state, recipe, shop, plan(state, recipe, through).files)
    return carry_out(state, recipe, Goal(through))


def without(state: State, part: str, key: object) -> State:
    return replace(state, made={**state.made, part: {k: v for k, v in state[part].items() if k != key}})


def test_files_land_first_then_all_else_must_run_from_the_first_delivery_on():
    seen = State(seen=tuple(listing(SHOP)))
    assert not plan(State(), RECIPE, THROUGH)
    assert plan(seen, RECIPE, THROUGH) == Work(files=ALL.files)
    landed = land(seen, RECIPE, SHOP, ALL.files)
    assert plan(landed, RECIPE, THROUGH) == replace(ALL, files=())
    assert not plan(landed, RECIPE, FIRST - timedelta(1))


def test_a_day_without_deliveries_is_made_too():
    shop = {"a.csv": {FIRST: "lines"}, "b.csv": {THROUGH: "lines"}}
    state = land(State(seen=tuple(listing(shop))), RECIPE, shop, tuple(listing(shop)))
    assert plan(state, RECIPE, THROUGH).days == ALL.days


@pytest.mark.parametrize(
    ("part", "key", "work"),
    [
        ("transactions", THROUGH, Work(days=(THROUGH,), snapshots=(THROUGH,), reports=(THROUGH,))),
        ("customer_days", THROUGH, Work(days=(THROUGH,), snapshots=(THROUGH,), reports=(THROUGH,))),
        (
            "customer_days",
            FIRST,
            Work(days=(FIRST,), months=("2024-02",), snapshots=(THROUGH,), reports=(THROUGH,)),
        ),
        ("rfm_features", THROUGH, Work(snapshots=(THROUGH,), reports=(THROUGH,))),
        ("segment_assignments", THROUGH, Work(snapshots=(THROUGH,), reports=(THROUGH,))),
        ("campaign_lists", THROUGH, Work(snapshots=(THROUGH,), reports=(THROUGH,))),
        ("rfm_features", CLOSE, Work(months=("2024-02",), snapshots=(THROUGH,), reports=(THROUGH,))),
        ("segment_assignments", CLOSE, Work(months=("2024-02",), snapshots=(THROUGH,), reports=(THROUGH,))),
        ("model_candidates", "2024-02", Work(months=("2024-02",), snapshots=(THROUGH,), reports=(THROUGH,))),
        ("report", THROUGH, Work(reports=(THROUGH,))),
        (
            "segmentation_models",
            "2024-02",
            Work(months=("2024-02",), snapshots=(THROUGH,), reports=(THROUGH,)),
        ),
    ],
)
def test_what_was_taken_away_is_made_again_with_what_rests_on_it(part: str, key: object, work: Work):
    assert plan(without(bring_up_to_date(State()), part, key), RECIPE, THROUGH) == work


@pytest.mark.parametrize(
    ("change", "work"),
    [
        ({"cleaning": {"till": "other"}}, replace(ALL, files=())),
        ({"checks": "other"}, replace(ALL, files=())),
        ({"customer_days": "include"}, replace(ALL, files=())),
        ({"features": "other"}, replace(ALL, files=(), days=())),
        (
            {"segmentations": {"behaviour": "5 clusters", "rfm_grid": "5 bins"}},
            replace(ALL, files=(), days=()),
        ),
        ({"segmentations": {"behaviour": "4 clusters"}}, replace(ALL, files=(), days=())),
        ({"campaigns": {"pamper": ("behaviour", "e-mail")}}, replace(ALL, files=(), days=(), months=())),
        ({"gates": "other"}, replace(ALL, files=(), days=())),
        ({"late_data": "flag"}, Work()),
        ({"report": "another shop"}, Work(reports=(THROUGH,))),
        ({"report_each_run": False}, Work()),
        ({"campaigns": {}}, Work(snapshots=(THROUGH,), reports=(THROUGH,))),
        ({"cleaning": {"till": "rules", "another till": "rules", "": "other"}}, Work()),
        ({"first_day": date(2024, 1, 2)}, Work()),
    ],
    ids=lambda value: "+".join(value) if isinstance(value, dict) else "",
)
def test_a_changed_setting_makes_what_it_shapes_and_what_rests_on_that(change: dict[str, object], work: Work):
    changed = replace(RECIPE, **change)  # type: ignore[arg-type]
    assert plan(bring_up_to_date(State()), changed, THROUGH) == work


@pytest.mark.parametrize("table", ["transactions", "customer_days", "rfm_features", "campaign_lists"])
def test_a_new_code_version_makes_the_table_stale(table: str, monkeypatch: pytest.MonkeyPatch):
    state = bring_up_to_date(State())
    assert not plan(state, RECIPE, THROUGH)
    tables = {**TABLES, table: replace(TABLES[table], code_version="other")}
    monkeypatch.setattr(planner, "TABLES", tables)
    assert plan(state, RECIPE, THROUGH).snapshots == (THROUGH,)
    assert bool(plan(state, RECIPE, THROUGH).days) == (table in ("transactions", "customer_days"))


def test_a_corrected_day_makes_exactly_that_day_stale_and_what_reads_it():
    state = bring_up_to_date(State())
    corrected = {**SHOP, "again.csv": {date(2024, 2, 2): "corrected"}}
    state = land(replace(state, seen=tuple(listing(corrected))), RECIPE, corrected, tuple(listing(corrected)))
    assert plan(state, RECIPE, THROUGH) == Work(
        days=(date(2024, 2, 2),), snapshots=(THROUGH,), reports=(THROUGH,)
    )


def test_the_customer_days_in_reach_of_a_corrected_day_are_made_anew_from_the_same_transactions():
    through, reach = date(2024, 4, 2), 31
    state = bring_up_to_date(State(), through=through)
    corrected = {**SHOP, "again.csv": {THROUGH: "corrected"}}
    state = land(replace(state, seen=tuple(listing(corrected))), RECIPE, corrected, tuple(listing(corrected)))
    assert plan(state, RECIPE, through).days == (THROUGH,)
    state = make_day(state, RECIPE, THROUGH)
    after = tuple(days(THROUGH + timedelta(1), THROUGH + timedelta(reach)))
    assert plan(state, RECIPE, through).days == after
    sums = Piece("days", after[0], after[-1], ("customer_days",))
    assert next_pieces(state, RECIPE, Goal(through)) == [sums]


def test_a_day_of_customer_days_needs_the_transactions_of_the_days_before_that_it_reads():
    day, near = THROUGH, replace(RECIPE, invoice_days=2)
    before = (date(2024, 2, 1), date(2024, 2, 2))
    assert plan_range(LANDED, near, day, day, "customer_days") == Work(days=(*before, day))
    assert plan_range(LANDED, replace(near, invoice_days=0), day, day, "customer_days") == Work(days=(day,))
    made = LANDED
    for each in (*before, day):
        made = make_day(made, near, each)
    assert not plan_range(made, near, day, day, "customer_days")


def test_a_late_day_leaves_the_months_closed_before_it_alone():
    state = bring_up_to_date(State(), through=date(2024, 4, 2))
    late = {**SHOP, "late.csv": {date(2024, 2, 20): "late"}}
    state = land(replace(state, seen=tuple(listing(late))), RECIPE, late, tuple(listing(late)))
    assert plan(state, RECIPE, date(2024, 4, 2)) == Work(
        days=(date(2024, 2, 20),),
        months=("2024-03", "2024-04"),
        snapshots=(date(2024, 4, 2),),
        reports=(date(2024, 4, 2),),
    )


def test_files_land_again_when_the_profile_changed_each_content_once_and_under_another_name_never():
    twice = {**SHOP, "copy.csv": SHOP[f"{FIRST}.csv"]}
    state = bring_up_to_date(State(), shop=twice)
    renamed = replace(state, seen=tuple(listing({f"renamed {name}": SHOP[name] for name in SHOP})))
    assert not plan(renamed, RECIPE, THROUGH).files
    again = plan(state, replace(RECIPE, profiles={"till": "mended"}), THROUGH).files
    assert [file.path for file in again] == sorted(SHOP)


def test_a_file_whose_rows_the_first_day_cut_off_lands_again_under_an_earlier_one():
    narrow = replace(RECIPE, first_day=date(2024, 1, 30))
    state = bring_up_to_date(State(), narrow)
    assert state.first_day == date(2024, 1, 30)
    assert [file.path for file in plan(state, RECIPE, THROUGH).files] == [f"{FIRST}.csv"]


def broken(day: date) -> Shop:
    return {**SHOP, f"{day}.csv": {day: "broken"}}


def test_a_held_day_is_read_by_nothing_and_is_not_tried_again():
    state = bring_up_to_date(State(), shop=broken(CLOSE))
    assert state.is_held(CLOSE)
    assert CLOSE not in state.history(THROUGH)
    assert not plan(state, RECIPE, THROUGH)
    good = bring_up_to_date(State())
    assert state["rfm_features"][THROUGH].inputs != good["rfm_features"][THROUGH].inputs


def test_a_statement_reads_no_held_day_either():
    """A table that is its declaration and its statement leaves out what all others leave out."""
    held = bring_up_to_date(State(), shop=broken(CLOSE))
    for table in ("transactions", "customer_days"):
        read = inputs.partitions_read(held, Reads(table, UP_TO), THROUGH)
        assert list(read) == [day for day in days(FIRST, THROUGH) if day != CLOSE]
        assert not inputs.partitions_read(held, Reads(table), CLOSE)
    assert list(inputs.partitions_read(bring_up_to_date(State()), Reads("transactions"), CLOSE)) == [CLOSE]


def test_a_held_day_makes_stale_what_a_statement_made_of_it(monkeypatch: pytest.MonkeyPatch):
    own = replace(TABLES["customer_days"], made_from=None, reads=(Reads("transactions"),), parameters=())
    monkeypatch.setattr(inputs, "TABLES", {**TABLES, "own": own})
    held = bring_up_to_date(State(), shop=broken(CLOSE))
    assert CLOSE in held["transactions"]
    nothing = inputs.inputs_of(State(), RECIPE, "own", CLOSE)
    assert inputs.inputs_of(held, RECIPE, "own", CLOSE) == nothing
    assert inputs.inputs_of(bring_up_to_date(State()), RECIPE, "own", CLOSE) != nothing


@pytest.mark.parametrize(
    "reads", [Reads("segmentation_models", MONTH_IN_FORCE), Reads("raw_transactions"), Reads("rejected_rows")]
)
def test_what_no_statement_can_read_alone_is_refused_by_name(reads: Reads):
    with pytest.raises(ValueError, match=f"{reads.table} .* needs code of its own"):
        inputs.partitions_read(State(), reads, THROUGH)


@pytest.mark.parametrize("table", ["rfm_featurs", "rejected_rows"])
def test_a_table_whose_manifests_nobody_read_is_not_taken_for_an_empty_one(table: str):
    with pytest.raises(KeyError, match=table):
        State()[table]


def test_a_new_version_of_one_of_the_reports_tables_makes_the_report_again(monkeypatch: pytest.MonkeyPatch):
    state = bring_up_to_date(State())
    monkeypatch.setitem(inputs._SHAPES, "key_figures", ["another version", ""])
    assert plan(state, RECIPE, THROUGH) == Work(reports=(THROUGH,))


def test_a_release_lets_the_day_in_and_holds_for_that_content_only():
    state = bring_up_to_date(State(), shop=broken(CLOSE))
    released = replace(state, released={CLOSE: state["transactions"][CLOSE].content})
    after = tuple(days(CLOSE, THROUGH))
    assert plan(released, RECIPE, THROUGH) == Work((), after, ("2024-02",), (THROUGH,), (THROUGH,))
    assert next_pieces(released, RECIPE, Goal(THROUGH)) == [Piece("days", CLOSE, THROUGH, ("customer_days",))]
    released = bring_up_to_date(released, shop=broken(CLOSE))
    assert CLOSE in released.history(THROUGH)
    worse = {**broken(CLOSE), "worse.csv": {CLOSE: "more"}}
    assert bring_up_to_date(released, shop=worse).is_held(CLOSE)
    assert plan(replace(released, released={}), RECIPE, THROUGH).days == after, "taken back"


def test_a_failed_check_that_does_not_block_holds_nothing():
    amber = BROKEN.model_copy(update={"blocking": False})
    state = bring_up_to_date(State())
    day = state["transactions"][CLOSE].model_copy(update={"failures": (amber,)})
    assert not state.having(transactions={**state["transactions"], CLOSE: day}).is_held(CLOSE)


def test_a_held_day_keeps_lists_from_being_made_for_seven_days():
    held, last = date(2024, 1, 30), date(2024, 2, 6)
    blocked = {
        day: bool(bring_up_to_date(State(), shop=broken(held), through=day).held_lately(day))
        for day in days(FIRST, last)
    }
    assert [day for day, is_blocked in blocked.items() if is_blocked] == days(held, date(2024, 2, 5))
    state = bring_up_to_date(State(), shop=broken(held), through=date(2024, 2, 5))
    assert not state["campaign_lists"][date(2024, 2, 5)]
    assert date(2024, 2, 5) in state["segment_assignments"]
    assert bring_up_to_date(state, shop=broken(held), through=last)["campaign_lists"][last]


def test_a_changed_suppression_file_makes_the_lists_again_and_nothing_before_them():
    state = replace(bring_up_to_date(State()), suppression="another file")
    assert plan(state, RECIPE, THROUGH) == Work(snapshots=(THROUGH,), reports=(THROUGH,))


def test_another_close_of_the_month_before_makes_the_segments_stale_that_look_back_on_it():
    state = bring_up_to_date(State())
    other = {
        name: m.model_copy(update={"content": "other"})
        for name, m in state["segment_assignments"][CLOSE].items()
    }
    state = state.having(segment_assignments={**state["segment_assignments"], CLOSE: other})
    assert plan(state, RECIPE, THROUGH) == Work(snapshots=(THROUGH,), reports=(THROUGH,))


FLAG = replace(RECIPE, late_data="flag")
APRIL = date(2024, 4, 2)
LATE: Shop = {**SHOP, "late.csv": {date(2024, 2, 20): "late"}}


def test_late_data_under_fitted_months_restate_the_closes_and_flag_the_models():
    state = bring_up_to_date(State(), FLAG, through=APRIL)
    late = bring_up_to_date(state, FLAG, LATE, APRIL)
    assert late["rfm_features"][date(2024, 2, 29)] != state["rfm_features"][date(2024, 2, 29)]
    assert (late["model_candidates"], late["segmentation_models"]) == (
        state["model_candidates"],
        state["segmentation_models"],
    )
    flagged = [month for month in late["segmentation_models"] if inputs.rests_on_other_data(late, month)]
    assert flagged == ["2024-03", "2024-04"]
    assert not plan(late, FLAG, APRIL)


def test_late_data_train_months_again_where_the_setting_says_so():
    late = bring_up_to_date(bring_up_to_date(State(), through=APRIL), RECIPE, LATE, APRIL)
    assert (
        late["segmentation_models"] == bring_up_to_date(State(), RECIPE, LATE, APRIL)["segmentation_models"]
    )
    assert not any(inputs.rests_on_other_data(late, month) for month in late["segmentation_models"])


def test_a_month_is_fitted_anew_when_somebody_asks_with_those_that_rest_on_it_until_data_change_again():
    late = bring_up_to_date(bring_up_to_date(State(), FLAG, through=APRIL), FLAG, LATE, APRIL)
    asked = replace(late, retrained={"2024-03": late["rfm_features"][date(2024, 2, 29)].content})
    assert plan(asked, FLAG, APRIL).months == ("2024-03", "2024-04")
    anew = bring_up_to_date(asked, FLAG, LATE, APRIL)
    assert anew["segmentation_models"] == bring_up_to_date(State(), FLAG, LATE, APRIL)["segmentation_models"]
    later = bring_up_to_date(anew, FLAG, {**LATE, "later.csv": {date(2024, 2, 21): "later"}}, APRIL)
    assert later["segmentation_models"] == anew["segmentation_models"]
    assert inputs.rests_on_other_data(later, "2024-03")


def test_a_decision_about_a_candidate_fits_nothing_anew_but_the_months_that_rest_on_it():
    state = bring_up_to_date(State(), through=APRIL)
    decided = replace(state, model_decisions={"2024-03": "promoted"})
    assert plan(decided, RECIPE, APRIL).months == ("2024-03", "2024-04")
    done = bring_up_to_date(decided, through=APRIL)
    same = [
        m for m in done["model_candidates"] if done["model_candidates"][m] == state["model_candidates"][m]
    ]
    assert same == ["2024-02", "2024-03"]
    assert [
        m
        for m in done["segmentation_models"]
        if done["segmentation_models"][m] == state["segmentation_models"][m]
    ] == ["2024-02"]
    rebuilt = bring_up_to_date(State(model_decisions=decided.model_decisions), through=APRIL)
    assert done["segmentation_models"] == rebuilt["segmentation_models"]


# a range


def make_range(
    state: State, first: date, last: date, table: str = "campaign_lists", broken: Collection[date] = ()
) -> State:
    """Make a table on every day of a range; the broken days cannot be made."""
    return carry_out(state, RECIPE, Goal(last, first, table), broken)


LANDED = land(State(seen=tuple(listing(SHOP))), RECIPE, SHOP, ALL.files)
EVERY_DAY = tuple(days(FIRST, THROUGH))


def test_of_a_range_every_snapshot_is_made_and_then_nothing_is_left():
    work = plan_range(LANDED, RECIPE, FIRST, THROUGH)
    assert work == Work(days=EVERY_DAY, months=("2024-02",), snapshots=EVERY_DAY)
    made = make_range(LANDED, FIRST, THROUGH)
    assert not plan_range(made, RECIPE, FIRST, THROUGH)
    assert not plan(made.having(report={}), replace(RECIPE, report_each_run=False), THROUGH)


def test_a_range_in_the_middle_needs_the_days_before_it_and_none_after_it():
    first, last = EVERY_DAY[2], EVERY_DAY[3]
    assert plan_range(LANDED, RECIPE, first, last) == Work(
        days=EVERY_DAY[:4], months=tuple(calendar.months_in_force(FIRST, last)), snapshots=(first, last)
    )
    assert plan_range(LANDED, RECIPE, first, last, "rfm_features").months == ()
    assert plan_range(LANDED, RECIPE, first, last, "transactions") == Work(days=(first, last))
    assert not plan_range(LANDED, RECIPE, FIRST - timedelta(9), FIRST - timedelta(1))


@pytest.mark.parametrize("table", planner.SNAPSHOT_TABLES)
def test_again_is_all_of_the_range_and_no_model_that_is_right(table: str):
    made = make_range(LANDED, FIRST, THROUGH)
    span = EVERY_DAY[1:4]
    work = plan_range(made, RECIPE, span[0], span[-1], table, again=True)
    assert work == Work(days=span, snapshots=span)
    goal = Goal(span[-1], span[0], table, again=True)
    redone = Piece("days", span[0], span[-1], planner.DAY_TABLES)
    assert next_pieces(made, RECIPE, goal) == [redone]
    tables = planner.SNAPSHOT_TABLES[: planner.SNAPSHOT_TABLES.index(table) + 1]
    assert next_pieces(made, RECIPE, goal, [redone]) == [Piece("snapshots", span[0], span[-1], tables)]


def test_a_retry_does_the_bad_day_and_once_it_is_good_what_rests_on_it():
    bad = EVERY_DAY[3]
    made = make_range(LANDED, FIRST, THROUGH, "segment_assignments", broken=[bad])
    again = plan_range(made, RECIPE, FIRST, THROUGH, "segment_assignments", given_up=[bad])
    assert not again, "without it everything is made"
    assert plan_range(made, RECIPE, FIRST, THROUGH, "customer_days") == Work(days=(bad,))
    healed = make_range(made, FIRST, THROUGH)
    assert healed["rfm_features"] == make_range(LANDED, FIRST, THROUGH)["rfm_features"]


def test_only_the_tables_from_the_first_stale_one_on_are_made():
    made = make_range(LANDED, FIRST, THROUGH)
    other = replace(RECIPE, campaigns={"pamper": ("behaviour", "e-mail")})
    work = plan_range(made, other, FIRST, THROUGH)
    assert work == Work(snapshots=EVERY_DAY)
    assert next_pieces(made, other, Goal(THROUGH, FIRST)) == [
        Piece("snapshots", FIRST, THROUGH, ("campaign_lists",))
    ]


def test_what_a_range_costs_grows_with_its_days_customers_and_tables():
    work = plan_range(LANDED, RECIPE, FIRST, THROUGH)
    cost = costs.cost_of(LANDED, RECIPE, work, "campaign_lists", {})
    fewer = costs.cost_of(LANDED, RECIPE, replace(work, snapshots=EVERY_DAY[:2]), "campaign_lists", {})
    features = costs.cost_of(LANDED, RECIPE, work, "rfm_features", {})
    wider = costs.cost_of(LANDED, RECIPE, work, "campaign_lists", {"rfm_features": 1000.0})
    assert max(fewer.seconds, features.seconds) < cost.seconds
    assert max(fewer.size_bytes, features.size_bytes) < cost.size_bytes < wider.size_bytes


def test_what_a_state_knows_of_deliveries_is_kept_when_partitions_are_made():
    state = make_range(LANDED, FIRST, THROUGH)
    known = (state.raw, state.first_day, state.readiness, state.history_fingerprint(THROUGH))
    after = state.having(rfm_features={})
    assert after == replace(state, made={**state.made, "rfm_features": {}})
    assert (after.raw, after.first_day, after.readiness, after.history_fingerprint(THROUGH)) == known
    fewer = state.having(customer_days={})
    anew = replace(state, made={**state.made, "customer_days": {}})
    assert fewer.history_fingerprint(THROUGH) == anew.history_fingerprint(THROUGH)


def test_where_a_model_comes_from():
    state = bring_up_to_date(State())
    found = [inputs.model_source(state, RECIPE, day) for day in (FIRST, CLOSE, THROUGH)]
    assert found == ["bootstrap", "bootstrap", "2024-02"]
    assert inputs.model_source(State(), RECIPE, THROUGH) == "bootstrap"
    study = replace(RECIPE, model_timing="same_snapshot")
    assert inputs.model_source(state, study, THROUGH) == "same_snapshot"
    assert plan(state, study, THROUGH) == Work(months=("2024-02",), snapshots=(THROUGH,), reports=(THROUGH,))


def test_an_earlier_first_delivery_brings_a_model_for_the_month_that_was_the_first():
    state = bring_up_to_date(State())
    earlier = {**SHOP, "old.csv": {date(2023, 12, 30): "old"}}
    recipe = replace(RECIPE, first_day=date(2023, 1, 1))
    assert bring_up_to_date(state, recipe, earlier)["segmentation_models"].keys() == {"2024-01", "2024-02"}


@pytest.mark.parametrize(
    ("first", "through", "months"),
    [
        ("2011-12-31", "2012-01-01", ["2012-01"]),
        ("2011-11-30", "2012-02-29", ["2011-12", "2012-01", "2012-02"]),
        ("2011-12-01", "2011-12-31", []),
        ("2012-01-01", "2011-12-31", []),
        ("2010-12-01", "2011-12-09", ["2010-12", *(f"2011-{m:02d}" for m in range(1, 13))][1:]),
    ],
)
def test_every_month_but_the_first_has_a_model(first: str, through: str, months: list[str]):
    assert calendar.months_in_force(date.fromisoformat(first), date.fromisoformat(through)) == months


def test_month_closes():
    assert calendar.close_before("2012-01") == date(2011, 12, 31)
    assert calendar.close_before("2012-03") == date(2012, 2, 29)
    assert [d.day for d in days(date(2012, 2, 27), date(2012, 3, 1)) if calendar.last_of_month(d) == d] == [
        29
    ]


@settings(deadline=None)
@given(st.sets(st.dates(date(2023, 12, 1), date(2024, 3, 31))))
def test_ranges_hold_every_day_once_and_do_not_touch(wanted: set[date]):
    found = calendar.ranges(wanted)
    assert [day for first, last in found for day in days(first, last)] == sorted(wanted)
    assert all((b[0] - a[1]).days > 1 for a, b in pairwise(found))


DAYS = days(date(2024, 1, 30), date(2024, 2, 3))
deliveries = st.dictionaries(
    st.sampled_from(DAYS), st.sampled_from(["lines", "other", "broken"]), min_size=1, max_size=3
)
DAY_AND_SNAPSHOT_TABLES = ["transactions", "customer_days", "rfm_features", "segment_assignments"]
changes = st.one_of(
    st.tuples(st.just("deliver"), st.sampled_from("abc"), deliveries),
    st.tuples(st.just("release"), st.sampled_from(DAYS)),
    st.tuples(
        st.just("change"), st.sampled_from(["features", "checks", "customer_days"]), st.sampled_from("xy")
    ),
    st.tuples(st.just("profile"), st.sampled_from("xy")),
    st.tuples(st.just("timing"), st.sampled_from(["previous_month", "same_snapshot"])),
    st.tuples(st.just("first_day"), st.sampled_from([date(2024, 1, 1), date(2024, 1, 31)])),
    st.tuples(st.just("segmentations"), st.sampled_from("xy")),
    st.tuples(st.just("lose"), st.sampled_from(DAY_AND_SNAPSHOT_TABLES)),
)


@settings(max_examples=30, deadline=None)
@given(st.lists(changes, min_size=1, max_size=6))
def test_doing_what_is_planned_leaves_nothing_to_do_and_the_lake_that_a_fresh_start_gives(
    history: list[tuple[Any, ...]],
):
    """Whatever happened, and in whatever order: a fixed point, equal to a lake rebuilt from nothing."""
    state, recipe, shop = State(), RECIPE, dict[str, Delivery](SHOP)
    for kind, *what in history:
        match kind:
            case "deliver":
                shop[f"{what[0]}-{len(shop)}.csv"] = what[1]
            case "release":
                made = state["transactions"].get(what[0])
                state = replace(state, released={what[0]: made.content} if made else {})
            case "change":
                recipe = replace(recipe, **{what[0]: what[1]})
            case "profile":
                recipe = replace(recipe, profiles={"till": str(what[0])})
            case "timing":
                recipe = replace(recipe, model_timing=what[0])
            case "first_day":
                recipe = replace(recipe, first_day=what[0])
            case "segmentations":
                recipe = replace(recipe, segmentations={"behaviour": str(what[0]), "rfm_grid": "5 bins"})
            case "lose":
                lost = max(state[str(what[0])], default=None)
                state = without(state, str(what[0]), lost)
        state = bring_up_to_date(state, recipe, shop)
        assert not plan(state, recipe, THROUGH)
    fresh = bring_up_to_date(State(released=state.released), recipe, shop)
    assert _of_use(state) == _of_use(fresh)


def _of_use(state: State) -> dict[str, object]:
    """What is read of a lake from now on: days before the first delivery and old snapshots are history."""
    own = state["segment_assignments"][THROUGH]["behaviour"].inputs["model"] == "same_snapshot"
    return {
        "history": {
            d: state["customer_days"][d] for d in state.history(THROUGH) if d >= (state.first_day or d)
        },
        "features": state["rfm_features"][THROUGH],
        "assignments": state["segment_assignments"][THROUGH],
        "lists": state["campaign_lists"].get(THROUGH),
        "models": None if own else state["segmentation_models"].get("2024-02"),
        "report": state["report"].get(THROUGH),
    }

"""Candidates: ordinary months pass their gates, nonsense does not, and a decision holds for one candidate."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from retail_pipeline.segmentation import (
    FittedSegmentation,
    Parameters,
    RfmGridParameters,
    Snapshot,
    fit_snapshot,
    snapshot,
    to_json,
)
from retail_pipeline.segmentation import gates as promotion
from retail_pipeline.segmentation.fitted import FEATURES, READ, Array
from retail_pipeline.segmentation.gates import (
    Candidate,
    Gate,
    Gates,
    Measured,
    ModelDecision,
    Verdict,
    assess,
    candidate_from_json,
    candidate_to_json,
    drift,
    stability_index,
    verdict,
)

METHODS = ["behaviour", "rfm_grid", "spend_profile", "value_score", "spend_tiers"]
GRID = RfmGridParameters()


def parameters(method: str, **given: object) -> Parameters:
    return TypeAdapter[Parameters](Parameters).validate_python({"method": method, **given})


def customers(count: int, seed: int = 0) -> Snapshot:
    """An ordinary shop: a third of the customers with one order, a long tail of spenders."""
    rng = np.random.default_rng(seed)
    orders = rng.geometric(0.33, count)
    spend = np.round(orders * rng.lognormal(3, 0.6, count), 2)
    frame = pd.DataFrame(
        {
            "customer_id": [str(1000 + i) for i in range(count)],
            "recency_days": rng.exponential(90, count).astype(int),
            "frequency": orders,
            "monetary": spend,
            "avg_order_value": spend / orders,
            "active_days": orders,
        }
    )
    frame["tenure_days"] = frame["recency_days"] + 30 * (orders - 1)
    return snapshot(frame)


def changed(shop: Snapshot, **columns: Callable[[Array], Array]) -> Snapshot:
    """The shop with some features made anew from what they were."""
    values = shop.values.copy()
    for name, made in columns.items():
        i = READ.index(name)
        values[:, i] = made(values[:, i])
    return replace(shop, values=values)


APRIL = customers(320)
MARCH = replace(APRIL, values=APRIL.values[:300])
NOBODY = replace(APRIL, values=APRIL.values[:0])


def measure(
    candidate: FittedSegmentation,
    shop: Snapshot,
    champion: FittedSegmentation | None = None,
    gates: Gates | None = None,
    odd_days: Sequence[date] = (),
) -> Candidate:
    return assess(
        "2011-05",
        "mine",
        date(2011, 4, 30),
        candidate,
        champion,
        "2011-04" if champion else None,
        shop,
        gates or Gates(),
        odd_days=odd_days,
    )


def test_a_month_with_odd_days_does_not_pass_unattended() -> None:
    fitted = fit_snapshot(MARCH, GRID)
    found = measure(fitted, MARCH, fitted, odd_days=[date(2011, 4, 7)])
    waits = verdict(found, None)
    assert (waits.in_force, waits.needs_person, waits.failed) == ("champion", True, ("odd_days",))
    assert "customers or invoices of 2011-04-07 are odd: see deliveries_are_complete" in found.notes
    assert verdict(found, decided(found, "promote")).in_force == "candidate"


@cache
def in_april(method: str) -> Candidate:
    """The candidate of an ordinary month."""
    shop = customers(850)  # of a few hundred the smallest segments are chance
    return after_march(method, shop, replace(shop, values=shop.values[:800]))


def after_march(method: str, shop: Snapshot, march: Snapshot = MARCH) -> Candidate:
    """A shop's candidate, beside a champion trained on the ordinary shop of March."""
    champion = fit_snapshot(march, parameters(method))
    return measure(fit_snapshot(shop, parameters(method), champion=champion), shop, champion)


def figures(candidate: Candidate) -> dict[str, float]:
    return {f"{m.gate} {m.of}".strip(): m.value for m in candidate.measured}


def decided(candidate: Candidate, what: str, **other: str) -> ModelDecision:
    about = {"month": candidate.month, "segmentation": candidate.segmentation, "content": candidate.content}
    return ModelDecision.model_validate({**about, "verdict": what, "why": "the fair", "by": "anna", **other})


# the gates


@pytest.mark.parametrize("method", METHODS)
def test_an_ordinary_month_passes_every_gate(method: str) -> None:
    candidate = in_april(method)
    assert verdict(candidate, None) == Verdict(
        in_force="candidate", why="it passes every gate", needs_person=False, failed=()
    )
    measured = {m.gate for m in candidate.measured}
    assert measured >= {
        "smallest_share", "stability", "segment_stability", "feature_drift", "share_drift", "changed",
    }  # fmt: skip
    assert ("silhouette" in measured) == (candidate.model.card.silhouette is not None)
    assert candidate.agreement
    assert 0.5 < candidate.agreement <= 1


@pytest.mark.parametrize("method", METHODS)
def test_a_month_of_one_kind_of_customer_leaves_the_champion_in_force(method: str) -> None:
    same = replace(APRIL, values=np.repeat(APRIL.values[:1], len(APRIL.values), axis=0))
    found = verdict(after_march(method, same), None)
    assert found.in_force == "champion"
    assert found.needs_person
    assert found.failed
    assert "the model of 2011-04 stays in force until a person decides" in found.why


@pytest.mark.parametrize("method", METHODS)
def test_half_of_the_customers_paid_in_another_currency_fail_a_gate(method: str) -> None:
    def in_thousandths(money: Array) -> Array:
        return np.where(np.arange(len(money)) % 2, money, money * 1000)

    candidate = after_march(method, changed(APRIL, monetary=in_thousandths, avg_order_value=in_thousandths))
    found = verdict(candidate, None)
    assert "feature_drift" in found.failed
    assert figures(candidate)["feature_drift monetary"] > 1
    # a grid takes money by rank: it moves fewer customers than an ordinary month of another method may
    assert found.in_force == ("candidate" if method == "rfm_grid" else "champion")


def test_a_segment_that_lost_all_its_customers_has_a_share_of_nothing() -> None:
    champion = fit_snapshot(MARCH, GRID)
    gone, taker, *_ = sorted(champion.card.segments, key=champion.card.segments.__getitem__, reverse=True)
    sizes = champion.card.segments | {gone: 0, taker: 0}
    sizes[taker] = len(MARCH.values) - sum(sizes.values())
    lost = champion.model_copy(update={"card": champion.card.model_copy(update={"segments": sizes})})
    found = next(m for m in measure(lost, MARCH, champion).measured if m.gate == "smallest_share")
    assert found.value == 0
    assert not found.passed


def test_a_segment_that_nobody_ever_had_is_no_loss() -> None:
    few = customers(40, seed=5)
    fitted = fit_snapshot(few, RfmGridParameters(guards=None))
    assert 0 in fitted.card.segments.values()
    assert figures(measure(fitted, few, fitted))["smallest_share"] == 1 / 40


def test_changed_counts_the_customers_whom_the_candidate_would_move() -> None:
    cuts = {
        "frequency": {"bins": 2}, "monetary": {"bins": 2}, "other": "frequency",
        "rules": [["2.", "new"], ["1.", "old"]],
    }  # fmt: skip
    shop = changed(MARCH, recency_days=lambda days: np.arange(len(days), dtype=float))
    champion, candidate = (
        fit_snapshot(shop, parameters("rfm_grid", guards=None, recency={"cuts": [edge]}, **cuts))
        for edge in (60, 135)
    )
    found = measure(candidate, shop, champion)
    assert figures(found)["changed"] == 75 / 300
    assert figures(found)["share_drift"] == pytest.approx(
        0.25 * np.log(0.45 / 0.2) + 0.25 * np.log(0.8 / 0.55)
    )


def test_a_segment_of_three_customers_is_chance_and_does_not_pass() -> None:
    shop = customers(320)
    fitted = fit_snapshot(shop, parameters("behaviour"))
    assert min(fitted.card.segments.values()) <= 3
    found = measure(fitted, shop)
    of = {m.of: m for m in found.measured if m.gate == "segment_stability"}
    assert set(of) == {name for name, size in fitted.card.segments.items() if size}
    assert found.model.card.stability == {name: m.value for name, m in of.items()}
    least = min(of, key=lambda name: of[name].value)
    assert fitted.card.segments[least] <= 3
    assert not of[least].passed
    assert "segment_stability" in verdict(found, None).failed


def test_how_like_the_likest_group_is() -> None:
    own, other = (np.array([*names], dtype=object) for names in ("aaaabbbc", "xxxyyyyy"))
    assert promotion._likest(own, other) == {"a": 3 / 4, "b": 3 / 5, "c": 1 / 5}


def test_a_gate_that_is_off_is_not_measured_and_the_same_model_changes_nobody() -> None:
    fitted = fit_snapshot(MARCH, GRID)
    found = measure(fitted, MARCH, fitted)
    assert (figures(found)["changed"], figures(found)["share_drift"], found.agreement) == (0, 0, 1)
    assert all(figures(found)[f"feature_drift {name}"] < 0.001 for name in FEATURES)
    off = Gates(stability=None, segment_stability=None, feature_drift=None, changed=None, odd_days=None)
    found = measure(fitted, MARCH, fitted, off)
    assert set(figures(found)) == {"smallest_share", "share_drift"}
    assert found.notes == ()


def test_figures_do_not_depend_on_threads_or_on_being_measured_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(promotion, "REFITS", 2)
    fitted = fit_snapshot(MARCH, parameters("behaviour"))
    texts = set()
    for threads in (1, 1, 2):
        with threadpool_limits(threads):
            texts.add(candidate_to_json(measure(fitted, MARCH)))
    assert len(texts) == 1


def test_a_large_shop_is_measured_on_a_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(promotion, "SAMPLE", 150)
    fitted, drawn, fit = fit_snapshot(MARCH, RfmGridParameters(guards=None)), [], RfmGridParameters.fit

    def counted(parameters: RfmGridParameters, shop: Snapshot, *rest: Any) -> FittedSegmentation:
        drawn.append(len(shop.values))
        return fit(parameters, shop, *rest)

    monkeypatch.setattr(RfmGridParameters, "fit", counted)
    found = measure(fitted, MARCH)
    assert drawn == [150] * promotion.REFITS
    assert 0.5 < figures(found)["stability"] < 1


# drift


def test_the_stability_index_of_shares_worked_out_by_hand() -> None:
    found = stability_index(np.array([0.5, 0.5]), np.array([0.25, 0.75]))
    assert found == pytest.approx(0.25 * np.log(2) + 0.25 * np.log(1.5))
    emptied = stability_index(np.array([0.1, 0.9]), np.array([0.0, 1.0]))
    assert emptied == pytest.approx(0.0999 * np.log(1000) + 0.1 * np.log(10 / 9))


def deciles(values: Array) -> list[float]:
    return list(np.quantile(values, np.linspace(0, 1, 11)))


@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(0, 12), min_size=150, max_size=300), st.integers(1, 3))
def test_the_same_customers_show_no_drift_however_many_share_a_value(numbers: list[int], times: int) -> None:
    values = np.array(numbers, dtype=float)
    assert drift(deciles(values), np.tile(values, times)) < 0.01


@pytest.mark.parametrize(
    ("later", "lowest"),
    [
        (lambda orders: orders * 3, 0.25),
        (lambda orders: np.ones(len(orders)), 0.25),
        (lambda orders: orders - 100, 0.25),
        (lambda orders: np.where(np.arange(len(orders)) % 5, orders, 1), 0.01),
    ],
    ids=["thrice", "all one", "below all before", "a fifth starts anew"],
)
def test_drift_shows_where_many_share_a_value(later: Callable[[Array], Array], lowest: float) -> None:
    orders = MARCH.feature("frequency")
    assert drift(deciles(orders), later(orders)) > lowest


def test_a_feature_that_was_the_same_for_all_has_no_drift_to_measure() -> None:
    champion = fit_snapshot(changed(MARCH, recency_days=np.zeros_like), GRID)
    found = measure(fit_snapshot(APRIL, GRID), APRIL, champion)
    assert {m.of for m in found.measured if m.gate == "feature_drift"} == set(FEATURES) - {"recency_days"}


# the settings


def test_a_part_of_a_gate_may_be_said_and_the_rest_stays() -> None:
    gates = Gates.model_validate(
        {"feature_drift": {"limit": 0.5}, "changed": {"blocks": False}, "stability": None}
    )
    assert gates.feature_drift == Gate(limit=0.5, blocks=False)
    assert gates.changed == Gate(limit=0.3, blocks=False)
    assert gates.stability is None
    assert gates.silhouette == Gates().silhouette


@pytest.mark.parametrize(
    ("gate", "limit", "message"),
    [
        ("changed", 30, "limit 30 of changed must lie between 0 and 1"),
        ("smallest_share", -0.1, "limit -0.1 of smallest_share must lie between 0 and 1"),
        ("silhouette", 2, "limit 2 of silhouette must lie between -1 and 1"),
        ("feature_drift", -1, "limit -1 of feature_drift must lie between 0 and inf"),
        ("stability", float("nan"), "finite"),
        ("steadiness", 0.5, "steadiness.*\n.*Extra inputs"),
    ],
)
def test_limits_that_nothing_could_reach_are_refused(gate: str, limit: float, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Gates.model_validate({gate: {"limit": limit}})


# the verdict


def candidate_with(*measured: Measured, champion_month: str | None = "2011-04") -> Candidate:
    found = measure(
        fit_snapshot(MARCH, GRID),
        MARCH,
        gates=Gates(stability=None, segment_stability=None, smallest_share=None),
    )
    return found.model_copy(update={"measured": measured, "champion_month": champion_month})


UNSTABLE = Measured(gate="stability", value=0.2, limit=0.3, blocks=True)
OLDER = Measured(gate="feature_drift", of="recency_days", value=0.68, limit=0.25, blocks=False)
FIRM = Measured(gate="stability", value=0.3, limit=0.3, blocks=True)
OLDER_SAID = "feature_drift of recency_days 0.68 (at most 0.25)"
STAYS = "the model of 2011-04 stays in force"


@pytest.mark.parametrize(
    ("measured", "champion_month", "what", "in_force", "why"),
    [
        ([FIRM], "2011-04", None, "candidate", "it passes every gate"),
        ([FIRM, OLDER], "2011-04", None, "candidate", f"it fails {OLDER_SAID}, which only warns"),
        (
            [UNSTABLE, OLDER],
            "2011-04",
            None,
            "champion",
            f"it fails stability 0.2 (at least 0.3) and {OLDER_SAID}; {STAYS} until a person decides",
        ),
        (
            [UNSTABLE],
            "2011-04",
            "promote",
            "candidate",
            "anna promoted it (the fair); it fails stability 0.2 (at least 0.3)",
        ),
        ([FIRM], "2011-04", "reject", "champion", f"anna rejected it (the fair); {STAYS}"),
        (
            [UNSTABLE],
            None,
            None,
            "candidate",
            "in force for want of another; it fails stability 0.2 (at least 0.3)",
        ),
        (
            [FIRM],
            None,
            "reject",
            "candidate",
            "anna rejected it (the fair), but it is in force for want of another; it passes every gate",
        ),
    ],
    ids=["passes", "warns", "blocked", "promoted", "rejected", "no other", "rejected without another"],
)
def test_who_is_in_force_and_why(
    measured: list[Measured], champion_month: str | None, what: str | None, in_force: str, why: str
) -> None:
    candidate = candidate_with(*measured, champion_month=champion_month)
    found = verdict(candidate, decided(candidate, what) if what else None)
    assert (found.in_force, found.why) == (in_force, why)
    assert found.needs_person == ("until a person decides" in why)
    assert list(found.failed) == [m.gate for m in measured if m is not FIRM]


def test_a_value_on_its_limit_passes() -> None:
    for gate in Gates.model_fields:
        assert Measured(gate=gate, value=0.4, limit=0.4, blocks=True).passed
    assert not Measured(gate="changed", value=0.41, limit=0.4, blocks=True).passed
    assert not Measured(gate="silhouette", value=0.39, limit=0.4, blocks=True).passed


def test_a_decision_about_another_candidate_is_set_aside_and_said_so() -> None:
    blocked = candidate_with(UNSTABLE)
    found = verdict(blocked, decided(blocked, "promote", content="0" * 16))
    assert found.in_force == "champion"
    assert found.needs_person
    assert found.why.endswith("; what anna decided was about another candidate")
    passing = candidate_with(FIRM)
    assert verdict(passing, decided(passing, "reject", content="0" * 16)).in_force == "candidate"


def test_a_decision_is_about_model_month_and_name_and_not_about_the_champion() -> None:
    first = candidate_with(FIRM)
    other_model = fit_snapshot(APRIL, GRID)
    assert first.model_copy(update={"champion_month": None, "measured": ()}).content == first.content
    others: list[dict[str, Any]] = [{"month": "2011-06"}, {"segmentation": "yours"}, {"model": other_model}]
    contents = {first.model_copy(update=update).content for update in others}
    assert len(contents | {first.content}) == 4


# bad input


@pytest.mark.parametrize("method", METHODS)
def test_a_candidate_of_nobody_never_replaces_a_champion(method: str) -> None:
    candidate = fit_snapshot(NOBODY, parameters(method))
    beside = measure(candidate, NOBODY, fit_snapshot(MARCH, parameters(method)))
    assert beside.measured == ()
    assert verdict(beside, None).in_force == "champion"
    assert verdict(beside, None).why == "it was fitted on nobody; the model of 2011-04 stays in force"
    assert verdict(measure(candidate, NOBODY), None).in_force == "candidate"


@pytest.mark.parametrize("method", METHODS)
def test_one_customer_can_be_measured(method: str) -> None:
    one = replace(MARCH, values=MARCH.values[:1])
    fitted = fit_snapshot(one, parameters(method, guards=None))
    found = measure(fitted, one, fitted)
    assert figures(found)["stability"] == 1
    assert figures(found)["smallest_share"] == 1
    assert found.agreement == 1
    assert candidate_from_json(candidate_to_json(found)) == found


TWO, ONE = {"rules": [["[12].", "Old"], ["..", "New"]]}, {"rules": [["..", "Everybody"]]}


@pytest.mark.parametrize(
    ("champion", "settings_now", "obstacle"),
    [
        (fit_snapshot(NOBODY, GRID), {}, "it was fitted on nobody"),
        (
            fit_snapshot(MARCH, parameters("spend_tiers")),
            {},
            "its method is spend_tiers, that of the settings rfm_grid",
        ),
        (
            fit_snapshot(MARCH, parameters("rfm_grid", **TWO)),
            ONE,
            "it gives segments that the settings do not: New, Old",
        ),
    ],
    ids=["of nobody", "of another method", "of names that are gone"],
)
def test_a_champion_that_cannot_stay_in_force_counts_as_none(
    champion: FittedSegmentation, settings_now: dict[str, object], obstacle: str
) -> None:
    found = measure(fit_snapshot(APRIL, parameters("rfm_grid", **settings_now)), APRIL, champion)
    assert found.champion_month is None
    assert f"not compared with the model of 2011-04: {obstacle}" in found.notes
    assert verdict(found, None).why.startswith("in force for want of another")


def test_a_candidate_fitted_on_others_is_refused() -> None:
    with pytest.raises(
        ValueError, match="fitted on 300 customers, these are 320; measure it on the snapshot"
    ):
        measure(fit_snapshot(MARCH, GRID), APRIL)


# JSON


@pytest.mark.parametrize("method", METHODS)
def test_a_candidate_survives_json_to_the_byte(method: str) -> None:
    candidate = in_april(method)
    text = candidate_to_json(candidate)
    read = candidate_from_json(text)
    assert read == candidate
    assert read.content == candidate.content
    assert candidate_to_json(read) == text


def test_a_candidate_that_is_not_as_written_is_refused() -> None:
    body = json.loads(candidate_to_json(candidate_with(FIRM)))
    body["measured"][0]["value"] = 0.9
    with pytest.raises(ValueError, match=r"the candidate was changed .* candidates are never edited"):
        candidate_from_json(json.dumps(body))
    with pytest.raises(ValueError, match=r"the candidate is not valid .*month: Field required"):
        candidate_from_json(to_json(fit_snapshot(MARCH, GRID)))

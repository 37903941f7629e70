"""The life of a month's models: fitted, measured, promoted or refused, and left alone afterwards."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from retail_pipeline.defs.resources import Pipeline
from retail_pipeline.defs.run_plan import bring_up_to_date, look
from retail_pipeline.lake.models import judged, read_model
from retail_pipeline.lake.records import record
from retail_pipeline.planning.decisions import DayRelease, ModelRetrain
from retail_pipeline.planning.inputs import rests_on_other_data
from retail_pipeline.planning.pieces import Goal
from retail_pipeline.segmentation.gates import Gates, ModelDecision
from retail_pipeline_tests.command import tree
from retail_pipeline_tests.defs.support import evaluations, land, open_pipeline, run, said
from retail_pipeline_tests.shop import Line, deliver, sales, span, write

DAYS = span(date(2024, 1, 25), 40)  # to 2024-03-04: models of February and March
THROUGH = DAYS[-1]
FEBRUARY, MARCH = "2024-02", "2024-03"
OPEN: dict[str, Any] = {"gates": dict.fromkeys(Gates.model_fields)}
# what no twelve customers can pass
STRICT = {"gates": OPEN["gates"] | {"silhouette": {"limit": 0.999, "blocks": True}}}
LATE = [line | {"price": "900.00"} for line in sales(date(2024, 2, 10))]


def shop(root: Path, days: Iterable[date] = DAYS, more: Iterable[Line] = (), **settings: Any) -> Pipeline:
    """A shop whose days have all been delivered in one file, and perhaps further lines in another."""
    pipeline = open_pipeline(root, **settings)
    write(pipeline.settings.landing / "all.csv", [line for day in days for line in sales(day)])
    if lines := list(more):
        write(pipeline.settings.landing / "more.csv", lines)
    return pipeline


def make(pipeline: Pipeline, instance: dg.DagsterInstance, through: date = THROUGH) -> None:
    assert bring_up_to_date(pipeline, instance, lambda: through).failures == []


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Pipeline, dg.DagsterInstance]]:
    """The shop with everything made and no gate in the way; to be looked at only."""
    with dg.DagsterInstance.ephemeral() as instance:
        pipeline = shop(tmp_path_factory.mktemp("shop"), models=OPEN)
        make(pipeline, instance)
        yield pipeline, instance


@pytest.fixture
def ours(finished: tuple[Pipeline, dg.DagsterInstance], tmp_path: Path) -> Pipeline:
    """A copy of it of one's own."""
    shutil.copytree(finished[0].lake.root.parent, tmp_path / "ours")
    return open_pipeline(tmp_path / "ours", models=OPEN)


def model(pipeline: Pipeline, month: str, name: str = "behaviour") -> bytes:
    return (pipeline.lake.partition("segmentation_models", {"month": month}) / f"{name}.json").read_bytes()


def check(instance: dg.DagsterInstance, table: str, name: str, month: str) -> dg.AssetCheckEvaluation:
    return evaluations(instance, table, name)[f"{month}-01"]


def decide(pipeline: Pipeline, month: str, verdict: Any) -> None:
    candidate, _ = judged(pipeline.lake, month)["behaviour"]
    decision = ModelDecision(
        month=month, segmentation="behaviour", verdict=verdict, content=candidate.content, why="seen", by="me"
    )
    record(pipeline.lake, decision)


def test_models_fitted_before_their_last_day_came_know_it_and_are_fitted_again_when_it_comes(
    tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    days, first = span(date(2024, 1, 26), 6), date(2024, 2, 1)
    pipeline = open_pipeline(tmp_path, segmentations={"spend_tiers": {}}, default_campaigns=None, models=OPEN)
    deliver(pipeline.settings.landing, days[:-1])
    make(pipeline, instance, days[-2])
    assert run(pipeline, instance, "monthly_model_job", first, first).success
    before, found = model(pipeline, FEBRUARY, "spend_tiers"), "models_rest_on_present_data"
    said = check(instance, "segmentation_models", found, FEBRUARY)
    assert not said.passed
    assert "the delivery of 2024-01-31 has come" in str(said.description)
    assert not look(pipeline, Goal(days[-2])), "it is not fitted again and again meanwhile"
    deliver(pipeline.settings.landing, days[-1:])
    make(pipeline, instance, first)
    assert model(pipeline, FEBRUARY, "spend_tiers") != before
    assert check(instance, "segmentation_models", found, FEBRUARY).passed
    assert not look(pipeline, Goal(first))
    # what comes after that is late, and changes no model by itself
    write(pipeline.settings.landing / "late.csv", [sales(days[-1])[0] | {"order": "late", "price": "900"}])
    fitted = model(pipeline, FEBRUARY, "spend_tiers")
    make(pipeline, instance, first)
    assert model(pipeline, FEBRUARY, "spend_tiers") == fitted


def test_a_last_day_on_which_the_shop_was_closed_is_not_waited_for(
    tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    days = span(date(2024, 1, 26), 8)
    pipeline = open_pipeline(tmp_path, segmentations={"spend_tiers": {}}, default_campaigns=None, models=OPEN)
    deliver(pipeline.settings.landing, [day for day in days if day != date(2024, 1, 31)])
    make(pipeline, instance, days[-1])
    assert check(instance, "segmentation_models", "models_rest_on_present_data", FEBRUARY).passed
    assert "lacks" not in pipeline.state()["model_candidates"][FEBRUARY].inputs


def test_no_model_is_fitted_while_a_day_that_it_rests_on_is_held_or_not_made(
    tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    days, first = span(date(2024, 1, 28), 6), date(2024, 2, 1)
    pipeline = open_pipeline(tmp_path, segmentations={"spend_tiers": {}}, default_campaigns=None, models=OPEN)
    deliver(pipeline.settings.landing, days)
    deliver(pipeline.settings.landing, [days[1]], currency="USD")
    land(pipeline, instance)
    waits = f"{FEBRUARY}: the models of {FEBRUARY} rest on days that are held or not made: "
    alone = run(pipeline, instance, "monthly_model_job", first, first)
    assert f"{waits}2024-01-28, 2024-01-29, 2024-01-30, 2024-01-31; they are fitted once" in said(alone)
    *_, of_models, of_snapshots = bring_up_to_date(pipeline, instance, lambda: days[-1]).failures
    assert f"{waits}2024-01-29; they are fitted once these are (`retail-pipeline status`" in of_models
    assert f"no model is in force in {FEBRUARY}: the models of {FEBRUARY} rest on days" in of_snapshots
    state = pipeline.state()
    assert not state["segmentation_models"]
    held = state["transactions"][days[1]].content
    record(pipeline.lake, DayRelease(day=days[1], content=held, why="ours", by="me"))
    make(pipeline, instance, days[-1])
    assert FEBRUARY in pipeline.state()["segmentation_models"]


def test_a_model_of_nobody_is_red_and_fitted_again_by_itself_when_somebody_buys(
    tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    days = span(date(2024, 1, 29), 5)
    pipeline = open_pipeline(tmp_path, segmentations={"behaviour": {}}, default_campaigns=None, models=OPEN)
    anonymous = [line | {"customer": ""} for day in days for line in sales(day)]
    write(pipeline.settings.landing / "all.csv", anonymous)
    make(pipeline, instance, days[-1])
    red = check(instance, "model_candidates", "candidates_pass_their_gates", FEBRUARY)
    assert not red.passed
    assert "behaviour: it was fitted on customers" in str(red.description)
    _, verdict = judged(pipeline.lake, FEBRUARY)["behaviour"]
    assert verdict.why.endswith("it was fitted on nobody and passes no gate")
    assert not look(pipeline, Goal(days[-1])), "it is not fitted again and again meanwhile"
    write(pipeline.settings.landing / "late.csv", [line | {"order": "late"} for line in sales(days[0])])
    make(pipeline, instance, days[-1])
    assert judged(pipeline.lake, FEBRUARY)["behaviour"][0].model.card.customers
    assert check(instance, "model_candidates", "candidates_pass_their_gates", FEBRUARY).passed


def test_a_candidate_that_passes_is_in_force_and_says_what_it_was_trained_through(
    finished: tuple[Pipeline, dg.DagsterInstance],
) -> None:
    pipeline, instance = finished
    for month, close in ((FEBRUARY, date(2024, 1, 31)), (MARCH, date(2024, 2, 29))):
        for name, (candidate, verdict) in judged(pipeline.lake, month).items():
            assert (verdict.in_force, candidate.trained_through) == ("candidate", close)
            assert read_model(pipeline.lake, month, name) == candidate.model
            assert candidate.model.card.trained_through == close
        assert check(instance, "model_candidates", "candidates_pass_their_gates", month).passed
        assert check(instance, "segmentation_models", "models_rest_on_present_data", month).passed


def test_a_refused_candidate_is_kept_and_the_champion_stays_until_somebody_promotes_it(
    tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    pipeline = shop(tmp_path / "first", models=STRICT)
    make(pipeline, instance)
    candidate, verdict = judged(pipeline.lake, MARCH)["behaviour"]
    assert (verdict.in_force, verdict.needs_person) == ("champion", True)
    assert model(pipeline, MARCH) == model(pipeline, FEBRUARY)
    red = check(instance, "model_candidates", "candidates_pass_their_gates", MARCH)
    assert (red.passed, red.severity) == (False, dg.AssetCheckSeverity.ERROR)
    assert "behaviour: silhouette" in str(red.description)
    # the first month has no champion to keep
    assert judged(pipeline.lake, FEBRUARY)["behaviour"][1].in_force == "candidate"

    decide(pipeline, MARCH, "promote")
    make(pipeline, instance)
    assert read_model(pipeline.lake, MARCH, "behaviour") == candidate.model
    amber = check(instance, "model_candidates", "candidates_pass_their_gates", MARCH)
    assert (amber.passed, amber.severity) == (False, dg.AssetCheckSeverity.WARN)

    rebuilt = shop(tmp_path / "rebuilt", models=STRICT)
    shutil.copytree(pipeline.lake.root / "decisions", rebuilt.lake.root / "decisions")
    make(rebuilt, instance)
    assert tree(rebuilt.lake.root) == tree(pipeline.lake.root)


def test_a_rejected_candidate_gives_way_to_the_champion(ours: Pipeline, instance: dg.DagsterInstance) -> None:
    assert model(ours, MARCH) != model(ours, FEBRUARY)
    decide(ours, MARCH, "reject")
    make(ours, instance)
    assert model(ours, MARCH) == model(ours, FEBRUARY)
    segments = ours.state()["segment_assignments"][THROUGH]["behaviour"]
    assert segments.inputs["model"] == ours.state()["segmentation_models"][MARCH].content


def test_late_data_flag_a_months_models_and_a_person_has_them_fitted_anew(
    ours: Pipeline, instance: dg.DagsterInstance
) -> None:
    before = {month: model(ours, month, "rfm_grid") for month in (FEBRUARY, MARCH)}
    write(ours.settings.landing / "late.csv", LATE)
    make(ours, instance)
    assert {month: model(ours, month, "rfm_grid") for month in before} == before
    amber = check(instance, "segmentation_models", "models_rest_on_present_data", MARCH)
    assert (amber.passed, amber.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert f"`retail-pipeline model retrain {MARCH}`" in str(amber.description)
    assert rests_on_other_data(ours.state(), MARCH)
    assert not rests_on_other_data(ours.state(), FEBRUARY)

    features = ours.state()["rfm_features"][date(2024, 2, 29)].content
    record(ours.lake, ModelRetrain(month=MARCH, rfm_features=features, why="seen", by="me"))
    make(ours, instance)
    assert model(ours, FEBRUARY, "rfm_grid") == before[FEBRUARY]
    assert model(ours, MARCH, "rfm_grid") != before[MARCH]
    assert check(instance, "segmentation_models", "models_rest_on_present_data", MARCH).passed


def test_late_data_train_the_month_again_where_the_setting_says_so(
    ours: Pipeline, tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    again = open_pipeline(ours.lake.root.parent, models=OPEN | {"late_data": "retrain"})
    write(again.settings.landing / "more.csv", LATE)
    make(again, instance)
    at_once = shop(tmp_path / "at_once", more=LATE, models=OPEN)
    make(at_once, instance)
    assert tree(again.lake.root) == tree(at_once.lake.root)


ABSURD = {"units": "99999", "price": "9999.00"}


@pytest.mark.parametrize("last", [date(2024, 1, 28), THROUGH], ids=["first month", "later month"])
def test_nothing_on_or_before_a_day_knows_what_comes_after_it(
    finished: tuple[Pipeline, dg.DagsterInstance], tmp_path: Path, instance: dg.DagsterInstance, last: date
) -> None:
    """The same days, and absurd ones after them: all that is made for days up to ``last`` is the same."""
    known = [day for day in DAYS if day <= last]
    plain = finished[0]
    if last < THROUGH:
        plain = shop(tmp_path / "plain", known, models=OPEN)
        make(plain, instance, last)
    absurd = [line | ABSURD for n in range(1, 9) for line in sales(last + timedelta(n))]
    planted = shop(tmp_path / "planted", known, absurd, models=OPEN)
    failures = bring_up_to_date(planted, instance, lambda: last + timedelta(8)).failures
    # once the shop is known, what is absurd is held
    assert not [failure for failure in failures if any(str(day) in failure for day in known)]
    result = run(planted, instance, "daily_job", last, last)
    assert result.success, said(result)

    def through(pipeline: Pipeline) -> dict[str, bytes]:
        days = {str(day) for day in known}
        return {
            path: content
            for path, content in tree(pipeline.lake.root).items()
            if any(part.partition("=")[2] in days for part in path.split("/"))
            or path.startswith(f"segmentation_models/month={last:%Y-%m}/")
        }

    assert through(plain)
    assert any("segment_assignments" in path for path in through(plain))
    assert through(planted) == through(plain)


def test_whom_the_new_model_alone_moves_is_told(
    finished: tuple[Pipeline, dg.DagsterInstance],
) -> None:
    _, instance = finished
    moves = check(instance, "segmentation_models", "customers_move_by_themselves", MARCH)
    table = str(moves.metadata["moves on 2024-03-01"].value)
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[2:]]
    assert sorted(row[0] for row in rows) == ["behaviour", "rfm_grid"]
    assert all(0 <= int(by_model) <= int(customers) for _, customers, by_model, *_ in rows)


def test_a_model_edited_by_hand_stops_the_days_that_use_it_and_says_so(
    ours: Pipeline, instance: dg.DagsterInstance
) -> None:
    path = ours.lake.partition("segmentation_models", {"month": MARCH}) / "behaviour.json"
    edited = json.loads(path.read_text()) | {"seed": 7}
    path.write_text(json.dumps(edited))
    result = run(ours, instance, "daily_job", THROUGH, THROUGH)
    assert not result.success
    (failed,) = result.get_step_failure_events()
    assert "behaviour.json: the model was changed after it was written" in str(failed.step_failure_data.error)

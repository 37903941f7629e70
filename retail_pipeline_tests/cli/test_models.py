"""The ``model`` and ``report`` commands as their users meet them."""

from __future__ import annotations

import json
import shutil
from datetime import date
from pathlib import Path

import dagster as dg
import duckdb
import pytest
from typer.testing import CliRunner, Result

from retail_pipeline.cli.main import app
from retail_pipeline.defs.run_plan import bring_up_to_date
from retail_pipeline.lake.models import judged
from retail_pipeline.lake.partitions import Lake
from retail_pipeline_tests.command import retail_pipeline
from retail_pipeline_tests.defs.support import open_pipeline
from retail_pipeline_tests.shop import sales, settings_file, span, write

DAYS = span(date(2024, 1, 25), 40)  # to 2024-03-04: models of February and March
THROUGH = DAYS[-1]
# no twelve customers pass it: March's candidate waits
MODELS = {"gates": {"silhouette": {"limit": 0.999}, "changed": None, "stability": None}}
MONTHS = ("2024-02", "2024-03")
BEHAVIOUR = ("--segmentation", "behaviour")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a shop with everything made; to be looked at only."""
    root = tmp_path_factory.mktemp("shop")
    pipeline = open_pipeline(root, models=MODELS)
    write(pipeline.settings.landing / "all.csv", [line for day in DAYS for line in sales(day)])
    with dg.DagsterInstance.ephemeral() as instance:
        assert bring_up_to_date(pipeline, instance, lambda: THROUGH).failures == []
    settings_file(root / "retail_pipeline.yaml", landing="landing", lake="lake", models=MODELS)
    return root


@pytest.fixture
def ours(finished: Path, tmp_path: Path) -> Path:
    """A copy of it of one's own."""
    return Path(shutil.copytree(finished, tmp_path / "ours"))


def call(root: Path, *arguments: object) -> Result:
    """The command within this process, under the shop's settings, on a wide terminal."""
    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(root)
        patched.setenv("RETAIL_PIPELINE_SETTINGS", str(root / "retail_pipeline.yaml"))
        patched.setenv("DAGSTER_HOME", str(root / "dagster_home"))
        patched.setenv("COLUMNS", "400")
        return CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)


def test_list_names_each_month_what_is_in_force_and_the_gates_that_failed(finished: Path):
    file = str(finished / "retail_pipeline.yaml")
    said = retail_pipeline("model", "list", *BEHAVIOUR, cwd=finished, RETAIL_PIPELINE_SETTINGS=file)
    assert said.returncode == 0
    february, march = (next(line for line in said.stdout.splitlines() if m in line) for m in MONTHS)
    assert "candidate" in february
    assert "champion" in march
    assert "silhouette" in march
    assert "at least 0.999" in march


def test_show_says_why_and_gives_the_model_as_it_is_stored(finished: Path):
    said = call(finished, "model", "show", "2024-03", *BEHAVIOUR)
    assert "the model of 2024-02 stays in force until a person decides" in said.stdout
    assert "failed silhouette" in said.stdout
    stored = finished / "lake" / "segmentation_models" / "month=2024-03" / "behaviour.json"
    assert call(finished, "model", "show", "2024-03", *BEHAVIOUR, "--json").stdout == stored.read_text()


def test_status_pages_while_a_candidate_waits_and_a_decision_settles_it(ours: Path):
    waiting = call(ours, "status", "--through", THROUGH)
    assert waiting.exit_code == 1
    assert "waits the candidate of 2024-03 for behaviour" in waiting.stdout
    ran = call(ours, "run", "--through", THROUGH)
    assert ran.exit_code == 1, "a timer stays red until somebody decides"
    assert "waits the candidate of 2024-03 for behaviour" in ran.stdout
    listed = json.loads(call(ours, "model", "list", *BEHAVIOUR, "--json").stdout)
    assert [(one["month"], one["needs_person"]) for one in listed] == [("2024-02", False), ("2024-03", True)]
    promoted = call(ours, "model", "promote", "2024-03", *BEHAVIOUR, "--why", "looked at it", "--by", "anna")
    assert promoted.exit_code == 0
    candidate, verdict = judged(Lake(ours / "lake"), "2024-03")["behaviour"]
    assert (verdict.in_force, verdict.needs_person) == ("candidate", False)
    assert "anna promoted it (looked at it)" in verdict.why
    assert call(ours, "model", "reject", "2024-03", *BEHAVIOUR, "--why", "after all not").exit_code == 0
    assert judged(Lake(ours / "lake"), "2024-03")["behaviour"][1].in_force == "champion"
    assert candidate.month == "2024-03"


@pytest.mark.parametrize(
    ("call_", "message"),
    [
        (
            ("promote", "2023-07", *BEHAVIOUR, "--why", "x"),
            "no models were trained for 2023-07; months with ",
        ),
        (("promote", "2024-03", "--segmentation", "value_score", "--why", "x"), "2024-03 has no model for "),
        (("show", "March", *BEHAVIOUR), "no models were trained for March"),
        (("sql", "--segmentation", "spend_tiers"), "spend_tiers is not switched on; the segmentations are "),
        (("sql", *BEHAVIOUR, "--dialect", "oracle"), "oracle"),
        (("retrain", "--why", "x"), "say which month, or --changed"),
        (("retrain", "2023-07", "--why", "x"), "no models were trained for 2023-07"),
    ],
    ids=lambda value: " ".join(value[:2]) if isinstance(value, tuple) else "",
)
def test_what_does_not_exist_is_refused_with_what_does(finished: Path, call_: tuple[str, ...], message: str):
    said = call(finished, "model", *call_)
    assert said.exit_code == 2
    assert message in said.stderr
    assert not (finished / "lake" / "decisions").exists()


def test_the_printed_query_gives_the_segments_of_the_lake(finished: Path):
    query = call(finished, "model", "sql", *BEHAVIOUR, "--month", "2024-03").stdout
    day = f"snapshot_date={THROUGH}"
    with duckdb.connect() as connection:
        connection.read_parquet(f"{finished}/lake/rfm_features/{day}/*.parquet").create_view("rfm_features")
        asked = dict(connection.execute(f"select customer_id, segment from ({query})").fetchall())
        kept = connection.execute(
            "select customer_id, segment from read_parquet(?)",
            [f"{finished}/lake/segment_assignments/{day}/segmentation=behaviour/*.parquet"],
        ).fetchall()
    assert asked == dict(kept)


def test_retrain_asks_for_the_months_whose_data_changed_and_the_next_run_fits_them(ours: Path):
    assert "no month rests on data that have changed" in call(
        ours, "model", "retrain", "--changed", "--why", "late files"
    ).stdout  # fmt: skip
    write(ours / "landing" / "late.csv", [line | {"price": "900.00"} for line in sales(date(2024, 2, 10))])
    call(ours, "run", "--through", THROUGH)
    flagged = call(ours, "status", "--through", THROUGH).stdout
    assert "changed data under the models of 2024-03: they stay as fitted" in flagged
    assert "2024-03: `retail-pipeline run` fits anew" in call(
        ours, "model", "retrain", "--changed", "--why", "late files"
    ).stdout  # fmt: skip
    call(ours, "run", "--through", THROUGH)
    assert "changed data under" not in call(ours, "status", "--through", THROUGH).stdout


def test_report_makes_the_page_of_a_day_that_has_segments_and_refuses_others(ours: Path):
    made = call(ours, "report", THROUGH)
    assert made.exit_code == 0
    page = Path(ours, made.stdout.strip())
    before = page.read_bytes()
    assert b"Key takeaways" in before
    assert call(ours, "report").exit_code == 0
    assert page.read_bytes() == before
    refused = call(ours, "report", "2024-03-01")
    assert refused.exit_code == 2
    assert "2024-03-01 has no segments yet: `retail-pipeline run --through 2024-03-01`" in refused.stderr

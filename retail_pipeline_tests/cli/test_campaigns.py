"""The ``campaigns`` commands, and what ``run`` and ``status`` say of late data, as their users meet them."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import dagster as dg
import pytest
from typer.testing import CliRunner, Result

from retail_pipeline.cli.main import app
from retail_pipeline.lake.partitions import Lake
from retail_pipeline.lake.state import RELEASED_FILE
from retail_pipeline_tests.defs.support import land, make_days, make_snapshots, open_pipeline
from retail_pipeline_tests.shop import FIRST, deliver, settings_file, span

DAYS = span(FIRST, 3)
LAST = DAYS[-1]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A shop whose lists of two days are made."""
    root = tmp_path_factory.mktemp("shop")
    pipeline = open_pipeline(root)
    deliver(pipeline.settings.landing, DAYS)
    with dg.DagsterInstance.ephemeral() as instance:
        land(pipeline, instance)
        make_days(pipeline, instance, DAYS)
        assert make_snapshots(pipeline, instance, DAYS[1:]).success
    settings_file(root / "retail_pipeline.yaml", landing="landing", lake="lake")
    return root


def call(root: Path, *arguments: object, **environment: str) -> Result:
    """The command within this process, under the shop's settings, on a wide terminal."""
    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(root)
        patched.setenv("RETAIL_PIPELINE_SETTINGS", str(root / "retail_pipeline.yaml"))
        patched.setenv("DAGSTER_HOME", str(root / "dagster_home"))
        patched.setenv("COLUMNS", "300")
        for name, value in environment.items():
            patched.setenv(name, value)
        return CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)


def line_of(said: Result, campaign: str) -> str:
    (line,) = (line for line in said.stdout.splitlines() if f" {campaign} " in line)
    return line


def test_lists_are_released_with_a_reason_once_and_shown_so(shop: Path):
    said = call(shop, "campaigns", "release", DAYS[1], "retain", "--why", "mailing", "--by", "anna")
    assert (said.exit_code, said.stdout) == (
        0,
        f"released of {DAYS[1]}: retain; from now on they stay as they are\n",
    )
    record = shop / "lake" / "decisions" / "released_lists" / f"{DAYS[1]}.retain.json"
    assert json.loads(record.read_text())["why"] == "mailing"
    keys = {"snapshot_date": str(DAYS[1]), "campaign": "delight"}
    (Lake(shop / "lake").partition("campaign_lists", keys) / RELEASED_FILE).touch()
    again = call(shop, "campaigns", "release", DAYS[1], "retain", "delight", "--why", "again", "--by", "bert")
    assert again.stdout == f"the lists of {DAYS[1]} were released before\n"
    listed = call(shop, "campaigns", "list", DAYS[1])
    assert "released by anna: mailing" in line_of(listed, "retain")
    assert "released by a marker file" in line_of(listed, "delight")
    assert "released" not in line_of(listed, "reward")
    assert f"lists of {LAST}" in call(shop, "campaigns", "list").stdout
    assert "released" not in call(shop, "campaigns", "list").stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("release", LAST, "retian", "--why", "x"), f"{LAST} has no list retian; its lists are delight, "),
        (
            ("release", DAYS[0], "--why", "x"),
            f"{DAYS[0]} has no lists; the days with lists go from {DAYS[1]}",
        ),
        (
            ("list", date(2024, 3, 1)),
            f"2024-03-01 has no lists; the days with lists go from {DAYS[1]} to {LAST}",
        ),
    ],
    ids=["no such list", "release", "list"],
)
def test_a_list_that_is_not_there_is_refused_with_those_that_are(
    shop: Path, arguments: tuple[object, ...], message: str
):
    said = call(shop, "campaigns", *arguments)
    assert said.exit_code == 2
    assert message in said.stderr
    empty = call(shop, "campaigns", "list", "--lake", shop / "none")
    assert (empty.exit_code, "no lists are made yet" in empty.stderr) == (2, True)


def test_status_names_the_earlier_snapshots_that_the_policy_leaves_stale(shop: Path):
    changed = {"RETAIL_PIPELINE_FEATURES__WINDOW_DAYS": "400"}
    said = call(shop, "status", "--through", LAST, RETAIL_PIPELINE_RESTATE="0", **changed)
    assert f"stale 1 earlier snapshots, {DAYS[1]}, beyond `restate`; " in said.stdout
    assert f"`retail-pipeline backfill {DAYS[1]} {DAYS[1]}` makes them anew" in said.stdout
    planned = call(shop, "status", "--through", LAST, **changed)
    assert "earlier snapshots" not in planned.stdout
    assert f"{DAYS[1]} … {LAST}" in planned.stdout

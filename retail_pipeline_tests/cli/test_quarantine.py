"""What a person on call sees of files that wait, and what follows from what they decide."""

from __future__ import annotations

import io
import os
from pathlib import Path

import dagster as dg
import pytest
from rich.console import Console
from typer.testing import CliRunner, Result

from retail_pipeline.cli.main import app
from retail_pipeline.cli.status import print_summary
from retail_pipeline.defs.resources import Pipeline
from retail_pipeline_tests.defs.support import land, open_pipeline
from retail_pipeline_tests.shop import FIRST, sales, settings_file, span, write


@pytest.fixture
def shop(tmp_path: Path) -> Pipeline:
    """A landing with a whole file, a cut one, one that doubles the whole one, and rubbish; all tried."""
    landing, lines = tmp_path / "landing", sales(FIRST)
    write(landing / "whole.csv", lines)
    write(landing / "cut.csv", [line | {"order": f"c{line['order']}", "units": "?"} for line in lines])
    write(landing / "twice.csv", [*lines[1:], lines[0] | {"order": "other"}])
    (landing / "rubbish.csv").write_bytes(bytes(range(256)))
    settings_file(tmp_path / "settings.yaml", landing="landing", lake="lake")
    pipeline = open_pipeline(tmp_path)
    with dg.DagsterInstance.ephemeral() as instance:
        assert not land(pipeline, instance).success
    return pipeline


def call(shop: Pipeline, *arguments: str) -> Result:
    settings = shop.settings.lake.parent / "settings.yaml"
    return CliRunner(env={"COLUMNS": "200"}).invoke(
        app, ["quarantine", *arguments, "--settings", str(settings)], catch_exceptions=False
    )


def test_list_and_show_say_what_is_wrong_and_what_can_be_done_and_no_customer(shop: Pipeline):
    listed = call(shop, "list").output
    assert [name in listed for name in ("cut.csv", "twice.csv", "rubbish.csv")] == [True] * 3
    (whole,) = [s for s, m in shop.state().landed.items() if m.arrival.path == "whole.csv"]
    assert whole not in listed
    said = call(shop, "show", "cut.csv").output
    assert "row 1: quantity: '?' is not a number" in said
    assert "quarantine accept" in said
    assert "7000" not in said
    lines = len(sales(FIRST))
    assert f"shares {lines - 1} of {lines} lines with whole.csv" in call(shop, "show", "twice.csv").output
    assert "Mend the file and deliver it again" in call(shop, "show", "rubbish.csv").output
    for arguments, why in (
        (("show", "whole.csv"), "whole.csv is not in quarantine; files there: "),
        (("accept", "rubbish.csv", "--why", "please"), "has no row that could be read"),
    ):
        refused = call(shop, *arguments)
        assert refused.exit_code == 2
        assert why in refused.output
    assert not (shop.lake.root / "decisions").exists()


def test_what_is_accepted_counts_after_the_next_run_and_what_is_rejected_is_no_more_spoken_of(shop: Pipeline):
    assert call(shop, "accept", "twice.csv", "--why", "two tills").exit_code == 0
    assert call(shop, "reject", "cut.csv", "rubbish.csv", "--why", "tests").exit_code == 0
    with dg.DagsterInstance.ephemeral() as instance:
        assert land(shop, instance).success
    assert "no file is in quarantine" in call(shop, "list").output
    counting = {manifest.arrival.path for manifest in shop.state().counting.values()}
    assert counting == {"whole.csv", "twice.csv"}
    assert call(shop, "retry", "twice.csv", "rubbish.csv").exit_code == 0
    waiting = shop.state(tuple(shop.listing().files)).quarantined
    assert {shop.state().landed[s].arrival.path for s in waiting if s in shop.state().landed} == {"twice.csv"}
    with dg.DagsterInstance.ephemeral() as instance:
        assert not land(shop, instance).success, "rubbish is tried again, and refused again"


@pytest.mark.parametrize(
    ("verdict", "counts", "said"),
    [
        (["accept"], {"first.csv": (0, 1), "second.csv": (1, 2)}, "lines then count twice"),
        (["replace"], {"first.csv": (0,), "second.csv": (1, 2)}, "takes the place of what it repeats ("),
        (["reject"], {"first.csv": (0, 1), "second.csv": (2,)}, "rejected for 1 days, its others count"),
        (["reject", "--whole"], {"first.csv": (0, 1)}, "rejected ("),
    ],
)
def test_a_word_on_a_file_that_repeats_a_day_is_about_that_day(
    tmp_path: Path, verdict: list[str], counts: dict[str, tuple[int, ...]], said: str
):
    days = span(FIRST, 3)
    for name, some in (("first", days[:2]), ("second", days[1:])):
        write(tmp_path / "landing" / f"{name}.csv", [line for day in some for line in sales(day)])
    os.utime(tmp_path / "landing" / "first.csv", (1_720_000_000, 1_720_000_000))
    settings_file(tmp_path / "settings.yaml", landing="landing", lake="lake")
    pipeline = open_pipeline(tmp_path)
    with dg.DagsterInstance.ephemeral() as instance:
        land(pipeline, instance)
    listed = call(pipeline, "list").output
    assert "second.csv" in listed
    assert "replaces:" in listed
    assert "first.csv" in call(pipeline, "show", "second.csv").output
    assert said in call(pipeline, verdict[0], "second.csv", "--why", "seen", *verdict[1:]).output
    found: dict[str, tuple[int, ...]] = {}
    for day, files in sorted(pipeline.state().raw.items()):
        for manifest in files.values():
            path = manifest.arrival.path
            found[path] = (*found.get(path, ()), days.index(day))
    assert found == counts
    assert "no file is in quarantine" in call(pipeline, "list").output


def test_a_file_that_counts_can_be_rejected_too(shop: Pipeline):
    assert call(shop, "accept", "whole.csv", "--why", "never waited").exit_code == 2
    assert call(shop, "reject", "whole.csv", "--why", "of another shop").exit_code == 0
    with dg.DagsterInstance.ephemeral() as instance:
        land(shop, instance)
    counting = {manifest.arrival.path for manifest in shop.state().counting.values()}
    assert counting == {"twice.csv"}, "what repeated it stands alone now"


def test_a_run_says_how_many_more_wait_than_it_prints(tmp_path: Path):
    write(tmp_path / "landing" / "whole.csv", sales(FIRST))
    for number in range(8):
        (tmp_path / "landing" / f"{number}.csv").write_bytes(bytes([0, number]) * 99)
    pipeline = open_pipeline(tmp_path)
    with dg.DagsterInstance.ephemeral() as instance:
        land(pipeline, instance)
    console = Console(record=True, width=200, quiet=False, file=io.StringIO())
    assert print_summary(console, pipeline, FIRST, up_to_date=False)
    said = console.export_text()
    assert said.count("quarantine show") == 5
    assert "and 3 more in quarantine; `retail-pipeline quarantine list` shows all" in said

"""The ``alerts`` and ``lake`` commands."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from retail_pipeline.cli.main import app
from retail_pipeline.lake.alerts_sent import Told, write_told
from retail_pipeline.lake.partitions import Lake
from retail_pipeline.settings import ALERT_URLS
from retail_pipeline_tests.defs.test_alerts import webhook
from retail_pipeline_tests.shop import FIRST, settings_file


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A shop's folder, the working directory, with nothing delivered."""
    (tmp_path / "landing").mkdir()
    settings = settings_file(tmp_path / "retail_pipeline.yaml", landing="landing", lake="lake")
    monkeypatch.setenv("RETAIL_PIPELINE_SETTINGS", str(settings))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def call(*arguments: object) -> Result:
    """The command within this process."""
    return CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)


def test_a_test_alert_says_which_addresses_it_reached_and_shows_none(
    shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with webhook() as (url, received), webhook(works=False) as (down, _):
        monkeypatch.setenv(ALERT_URLS, url)
        well = call("alerts", "test")
        assert (well.exit_code, well.output) == (0, "address 1 (JSON): sent\n")
        monkeypatch.setenv(ALERT_URLS, f"{url} {down}")
        half = call("alerts", "test")
    assert half.exit_code == 1
    assert half.output.splitlines()[-1] == "address 2 (JSON): could not be reached"
    assert [message["title"] for message in received] == ["A test of the retail pipeline's alerts"] * 2
    assert "hook-token" not in well.output + half.output


def test_without_an_address_a_test_alert_is_a_wrong_call(shop: Path) -> None:
    said = call("alerts", "test")
    assert said.exit_code == 2
    assert ALERT_URLS in said.output
    assert "alerts.dry_run" in said.output


def test_the_dry_run_file_is_relative_to_the_settings_and_beats_the_addresses(
    shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings_file(shop / "retail_pipeline.yaml", alerts={"dry_run": "sent.jsonl"})
    monkeypatch.chdir("/")
    with webhook() as (url, received):
        monkeypatch.setenv(ALERT_URLS, url)
        assert call("alerts", "test").output == f"the file {shop / 'sent.jsonl'}: sent\n"
    assert not received
    assert "A test of the retail pipeline's alerts" in (shop / "sent.jsonl").read_text()


def test_the_list_says_what_stands_what_to_do_and_who_knows(shop: Path) -> None:
    assert (call("alerts", "list").exit_code, call("alerts", "list").output) == (0, "no problem stands\n")
    (shop / "landing").rmdir()
    listed = call("alerts", "list")
    assert listed.exit_code == 1
    assert listed.output.startswith("The landing folder cannot be read (not told yet): ")
    assert "Mount it or mend its permissions" in listed.output
    write_told(Lake(shop / "lake"), Told(key="landing_unreadable", what="", to=("somebody",)))
    assert "(told)" in call("alerts", "list").output


def test_another_instance_is_refused_by_run_until_it_adopts_the_lake(
    shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = ("run", "--through", FIRST)
    monkeypatch.setenv("DAGSTER_HOME", str(shop / "one"))
    first = call(*run)
    assert "belongs to" not in first.output
    monkeypatch.setenv("DAGSTER_HOME", str(shop / "two"))
    refused = call(*run)
    assert refused.exit_code == 1
    assert f"{shop / 'one'} on " in refused.output
    assert "`retail-pipeline lake adopt`" in refused.output
    adopted = call("lake", "adopt")
    assert adopted.exit_code == 0
    assert f"now belongs to {shop / 'two'} on " in adopted.output
    assert call(*run).exit_code == first.exit_code

"""The ``datasets`` commands: exit codes, one clear message, and never two data sets in one folder."""

import subprocess
import sys

import pytest
from typer.testing import CliRunner, Result

from retail_pipeline.datasets.commands import app

SYNTHETIC = ["synthetic", "--lines", "500", "--seed", "3"]


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_synthetic_says_what_landed_where(tmp_path):
    landing = tmp_path / "landing"
    days = ["--first-day", "2011-03-01", "--last-day", "2011-03-04"]
    result = run(*SYNTHETIC, "--like", "uci", "--landing", landing, *days)
    assert result.exit_code == 0, result.output
    assert f"4 files with 500 rows, 2011-03-01 to 2011-03-04, in {landing}" in result.output
    assert run(*SYNTHETIC, "--like", "uci", "--landing", landing, *days).exit_code == 0


@pytest.mark.parametrize("command", [SYNTHETIC, ["fetch", "uci"], ["fetch", "complete-journey"]])
def test_data_sets_are_not_mixed_in_one_folder(command, tmp_path):
    (tmp_path / "till_7.csv").write_text("x")
    result = run(*command, "--landing", tmp_path)
    assert result.exit_code == 2
    assert "till_7.csv" in result.output
    assert "--landing" in result.output
    assert [path.name for path in tmp_path.iterdir()] == ["till_7.csv"]


def test_an_expected_failure_is_one_message_and_no_traceback(tmp_path):
    (tmp_path / "page.zip").write_text("<html>")
    result = run("fetch", "uci", "--landing", tmp_path / "landing", "--from-file", tmp_path / "page.zip")
    assert result.exit_code == 1
    assert "neither a zip nor an xlsx" in result.output
    assert "Traceback" not in result.output


@pytest.mark.parametrize(
    "arguments",
    [
        ["fetch", "tesco"],
        ["fetch", "complete-journey", "--from-file", __file__],
        ["fetch", "uci", "--from-file", "no-such-file.zip"],
        ["synthetic", "--lines", "0"],
        ["synthetic", "--lines", "9", "--first-day", "1st May"],
    ],
)
def test_wrong_usage_exits_with_2(arguments, tmp_path):
    assert run(*arguments, "--landing", tmp_path / "landing").exit_code == 2


def test_the_commands_load_nothing_heavy():
    heavy = ["duckdb", "httpx", "numpy", "pandas", "pyarrow", "python_calamine"]
    code = f"import sys, retail_pipeline.datasets.commands; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

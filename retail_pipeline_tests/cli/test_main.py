"""The command as its users meet it: messages, exit codes, and what it leaves alone."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from datetime import date
from importlib import metadata
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from typer.testing import CliRunner, Result

from retail_pipeline.cli.main import app
from retail_pipeline.defs.run_plan import bring_up_to_date
from retail_pipeline.settings import load_settings
from retail_pipeline.tables import TABLES
from retail_pipeline_tests.command import made_once, retail_pipeline, start, touched, tree
from retail_pipeline_tests.defs.support import open_pipeline
from retail_pipeline_tests.processes import START_SECONDS, until
from retail_pipeline_tests.shop import FIRST, deliver, sales, settings_file, span, write

DAYS = span(FIRST, 3)
LAST = DAYS[-1]
OVER_A_MONTHS_END = span(date(2024, 1, 27), 8)


def shop(root: Path, **settings: object) -> Path:
    """A shop's folder: settings, and an empty landing folder."""
    (root / "landing").mkdir(parents=True)
    settings_file(root / "retail_pipeline.yaml", landing="landing", lake="lake", **settings)
    return root


def call(root: Path, *arguments: object) -> Result:
    """The command within this process, under the shop's settings."""
    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(root)
        patched.setenv("RETAIL_PIPELINE_SETTINGS", str(root / "retail_pipeline.yaml"))
        patched.setenv("DAGSTER_HOME", str(root / "dagster_home"))
        return CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)


def real(root: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own, under the shop's settings."""
    return retail_pipeline(*arguments, cwd=root, RETAIL_PIPELINE_SETTINGS=str(root / "retail_pipeline.yaml"))


# bad input

REFUSED = {
    "columns.csv": ("shelf,count\nA,1\n", "no profile fits the columns shelf, count; the nearest, "),
    "empty.csv": ("", "is empty: have it delivered again, or take it out of the landing folder"),
    "[bold].csv": ("\n\n", "is empty: have it delivered again"),
}
LINE = sales(FIRST)[0]
# files half of which can be read, or with a line that another has, count
LENIENT: dict[str, object] = {"checks": {"max_unreadable_share": 0.5}, "arrival": {"max_overlap_share": 1}}
CUT = ",".join(LINE.values())[:-20]
UNREADABLE = {
    "text.csv": (LINE | {"units": "a [/red] dozen"}, "quantity: 'a [/red] dozen' is not a number"),
    "date.csv": (LINE | {"at": "2024-02-30 10:00:00"}, "sold_at: '2024-02-30 10:00:00' is no date"),
    "early.csv": (
        LINE | {"at": "2023-12-31 23:59:59"},
        "sold_at 2023-12-31 is before the first day 2024-01-01: set first_day in retail_pipeline.yaml to an "
        "earlier day",
    ),
}


def test_files_that_cannot_be_taken_are_named_with_the_remedy_and_the_others_brought_up_to_the_lists(
    tmp_path: Path,
) -> None:
    root = shop(tmp_path / "shop")
    deliver(root / "landing", DAYS)
    for name, (text, _) in REFUSED.items():
        (root / "landing" / name).write_text(text)
    ran = real(root, "run", "--through", LAST)
    assert ran.returncode == 1
    assert "failed 3 files could not be made; the others are done." in ran.stderr
    assert "Traceback" not in ran.stderr
    rows = sum(len(sales(day)) for day in DAYS)
    assert f"files 3, rows read {rows}: transactions {rows}, refused 0, unreadable 0" in ran.stdout
    assert "lists 8" in ran.stdout
    pipeline = open_pipeline(root)
    assert set(pipeline.state()["campaign_lists"][LAST]) == set(pipeline.settings.campaigns_in_force)
    (root / "landing" / "[red]notes.pdf").touch()
    said = call(root, "status", "--through", LAST)
    assert said.exit_code == 1
    assert f"up to date through {LAST}" in said.output, "what was refused is not tried again and again"
    assert "ignored [red]notes.pdf: is none of .csv, " in said.output
    for name, (_, why) in REFUSED.items():
        shown = name.replace("[bold]", "_bold_")
        (line,) = [line for line in ran.stderr.splitlines() if line.startswith(f"{shown}@")]
        assert why in line
        assert f"quarantine {name}: {why}" in said.output


def test_what_cannot_be_read_is_named_with_file_row_column_value_and_remedy(tmp_path: Path) -> None:
    segmentations = {"behaviour": {}, "rfm_grid": {"rules": [["..", "Best [/b] buyers"]]}}
    root = shop(tmp_path / "shop", **LENIENT, segmentations=segmentations)
    landing = root / "landing"
    deliver(landing, DAYS)
    for name, (line, _) in UNREADABLE.items():
        write(landing / name, [LINE, line])
    write(landing / "header.csv", [])
    whole = write(landing / "cut.csv", [LINE | {"order": "x"}])
    whole.write_text(whole.read_text() + CUT)
    open_end = write(landing / "open.csv", [LINE | {"order": "y"}, LINE | {"order": "z"}])
    open_end.write_text(open_end.read_text().removesuffix("\n"))
    ran, status = real(root, "run", "--through", LAST), call(root, "status", "--through", LAST)
    assert (ran.returncode, status.exit_code) == (0, 0)
    printed = ran.stdout.splitlines()
    for expected in (
        *(f"unreadable {name}: 1 of 2 rows, first row 2: {why}" for name, (_, why) in UNREADABLE.items()),
        "unreadable cut.csv: 1 of 2 rows, first row 2: the row has 5 fields where the header has 7 "
        "(cut in the middle?)",
        "remark open.csv: the last line has no end: if the file was cut, a letter or digit of it may be "
        "lacking",
    ):
        assert expected in printed
        assert expected in status.output.splitlines()
    assert "  rfm_grid: Best [/b] buyers 12" in printed
    # a header without rows is a delivery of nothing
    rows = sum(len(sales(day)) for day in DAYS)
    assert f"files 9, rows read {rows + 10}: transactions {rows + 6}, refused 0, unreadable 4" in ran.stdout
    assert "header.csv" not in ran.stdout + ran.stderr


def test_a_missing_landing_folder(tmp_path: Path) -> None:
    root = shop(tmp_path / "shop")
    for command in ("run", "status"):
        said = call(root, command, "--through", LAST, "--landing", tmp_path / "nowhere")
        assert said.exit_code == 1
        assert (
            f"error the landing folder {tmp_path / 'nowhere'} cannot be read (No such file or directory): "
            "create it and put the shop's files there, or name another with --landing or the setting "
            "`landing`"
        ) in said.output


@pytest.mark.parametrize("home_elsewhere", [False, True])
def test_a_lake_that_cannot_be_written(tmp_path: Path, home_elsewhere: bool) -> None:
    root = shop(tmp_path / "shop")
    deliver(root / "landing", DAYS)
    (root / "file").touch()
    lake = root / "file" / "lake"
    elsewhere = {"DAGSTER_HOME": str(tmp_path / "home")} if home_elsewhere else {}
    said = retail_pipeline(
        "run", "--lake", lake, "--through", LAST, "--settings", root / "retail_pipeline.yaml", cwd=root,
        **elsewhere,
    )  # fmt: skip
    assert said.returncode == 1
    for words in (f"the lake {lake}", "cannot be written (Not a directory)", "name another", "--lake"):
        assert words in said.stderr
    assert "Traceback" not in said.stderr


def test_a_wrong_setting_or_variable_is_refused_with_its_name_and_value_and_nothing_done(
    tmp_path: Path,
) -> None:
    (tmp_path / "retail_pipeline.yaml").write_text("first_day: 2024-02-30\n")
    before = tree(tmp_path)
    for command in ("run", "status", "check"):
        said = call(tmp_path, command)
        assert said.exit_code == 2
        assert "retail_pipeline.yaml: first_day = '2024-02-30'" in said.output
    wrong = retail_pipeline("status", cwd=tmp_path, RETAIL_PIPELINE_LAKES="x")
    assert wrong.returncode == 2
    assert "RETAIL_PIPELINE_LAKES is no setting (did you mean RETAIL_PIPELINE_LAKE?)" in wrong.stderr
    assert tree(tmp_path) == before


# the call


def test_a_last_day_outside_the_partitions_is_refused(tmp_path: Path) -> None:
    root = shop(tmp_path / "shop")
    for command, day in (("run", date(2023, 12, 31)), ("status", date(2024, 4, 1))):
        said = call(root, command, "--through", day)
        assert said.exit_code == 2
        outside = f"--through {day} is outside the partitions, 2024-01-01 to 2024-03-31"
        assert f"{outside}: change first_day or last_day" in said.output
    for wrong in (("run", "--through", "yesterday"), ("runn",), ("run", "--trough", LAST)):
        assert call(root, *wrong).exit_code == 2


def test_without_a_last_day_a_lake_of_old_deliveries_is_not_filled_up_to_yesterday(tmp_path: Path) -> None:
    root = shop(tmp_path / "shop", last_day=None)
    deliver(root / "landing", DAYS)
    assert call(root, "run", "--through", LAST).exit_code == 0
    said = call(root, "run")
    assert said.exit_code == 2
    assert f"the last delivery is of {LAST}" in said.output
    assert f"--through {LAST}" in said.output


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ((), ["run", "status", "check", "datasets", "days", "segments and campaign lists"]),
        (("run",), ["--landing", "--lake", "--through", "--dry-run", "--settings", "Land what is new"]),
        (("status",), ["what is stale, what failed and why"]),
        (("check",), ["what is wrong and what to do"]),
        (("explain",), ["The customer's id", "A day whose snapshot is made", "--json", "features and what"]),
        (("days", "release"), ["The held day", "--why", "--by", "The decision holds for these rows"]),
        (("datasets",), ["fetch", "synthetic"]),
    ],
)
def test_help_says_what_each_command_does(command: tuple[str, ...], words: list[str]) -> None:
    said = CliRunner().invoke(app, [*command, "--help"], env={"COLUMNS": "200", "TERM": "dumb"})
    assert said.exit_code == 0
    flat = " ".join(said.output.split())
    assert [word for word in words if word not in flat] == []


def test_a_database_that_is_away_is_said_in_one_line_with_the_remedy(sound: Path, tmp_path: Path) -> None:
    root = shutil.copytree(sound, tmp_path / "shop")
    before = tree(root / "lake")
    home = tmp_path / "home"
    home.mkdir()
    shutil.copy(Path(__file__).parents[2] / "deploy" / "dagster.yaml", home / "dagster.yaml")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        away = {"HOST": "127.0.0.1", "PORT": taken.getsockname()[1], "DB": "x", "USERNAME": "x"}
        said = retail_pipeline(
            "run",
            cwd=root,
            RETAIL_PIPELINE_SETTINGS=str(root / "retail_pipeline.yaml"),
            DAGSTER_HOME=str(home),
            DAGSTER_COMPUTE_LOGS=str(tmp_path),
            DAGSTER_PG_PASSWORD="a secret",
            **{f"DAGSTER_PG_{name}": str(value) for name, value in away.items()},
        )
    assert said.returncode == 1
    (line,) = said.stderr.strip().splitlines()
    assert line.startswith("error Dagster's database does not answer (connection to server at ")
    assert "start it, or mend what dagster.yaml says of it" in line
    assert "a secret" not in line
    assert tree(root / "lake") == before


def test_short_help_and_the_version() -> None:
    assert CliRunner().invoke(app, ["days", "release", "-h"]).exit_code == 0
    said = CliRunner().invoke(app, ["--version"])
    assert said.output == f"retail-pipeline {metadata.version('retail-pipeline')}\n"
    assert said.exit_code == 0


def test_every_list_can_be_read_by_a_program(held: Path) -> None:
    (held / "landing" / "[red].csv").write_text("shelf,count\nA,1\n")
    call(held, "run", "--through", LAST)

    def read(code: int, *command: object) -> Any:
        said = call(held, *command, "--json")
        assert said.exit_code == code
        return json.loads(said.output)

    status = read(1, "status", "--through", LAST)
    assert (status["is_well"], status["through"]) == (False, str(LAST))
    assert status["held_days"] == [str(DAYS[1])]
    assert status["rows_read"] == sum(status["rows"].values()) == sum(len(sales(day)) for day in DAYS)
    assert status["stale"] == {name: [] for name in ("files", "days", "months", "snapshots", "reports")}
    (held_line,) = status["lines"]["held"]
    assert held_line.startswith(f"held {DAYS[1]}: ")
    (refused,) = status["lines"]["in quarantine"]
    assert refused.startswith("quarantine [red].csv: ")
    (waits,) = read(0, "quarantine", "list")
    assert waits["file"] == "[red].csv"
    (day,) = read(1, "days", "list")
    assert (day["day"], day["is"], day["delivered"]) == (str(DAYS[1]), "held", len(sales(DAYS[1])))
    assert [day["is"] for day in read(1, "days", "list", "--all")] == ["used", "held", "used"]
    assert {problem["problem"] for problem in read(1, "alerts", "list")} >= {"day_held", "file_refused"}
    assert "complete_journey" in read(0, "sources", "list")
    assert read(0, "check") == []
    call(held, "days", "release", DAYS[1], "--why", "ours")
    call(held, "run", "--through", LAST)
    assert [day["is"] for day in read(0, "days", "list")] == ["released"]
    lists = read(0, "campaigns", "list")
    assert lists["day"] == str(LAST)
    assert all(Path(one["file"]).exists() for one in lists["lists"])


def test_status_shows_five_lines_of_a_sort_unless_all_are_wanted(sound: Path, tmp_path: Path) -> None:
    root = shutil.copytree(sound, tmp_path / "shop")
    for number in range(8):
        (root / "landing" / f"{number}.doc").write_text("x")
    short, whole = call(root, "status", "--through", LAST), call(root, "status", "--through", LAST, "--all")
    assert short.output.count("  ignored ") == 5
    assert "  and 3 more ignored; `status --all` shows all" in short.output.splitlines()
    assert whole.output.count("  ignored ") == 8


def test_init_writes_settings_that_load_and_a_draft_and_overwrites_nothing(tmp_path: Path) -> None:
    sample = tmp_path / "orders.csv"
    sample.write_text("ORDER;SKU;QTY;PRICE;DATE;CLIENT\n1;A;2;3.50;2024-03-05;C1\n2;B;1;1.25;2024-03-06;C2\n")
    path = tmp_path / "retail_pipeline.yaml"
    zone = ("--time-zone", "Europe/London", "--settings", str(path))
    said = CliRunner().invoke(app, ["init", str(sample), *zone, "--currency", "GBP"])
    assert said.exit_code == 0, said.output
    settings = load_settings(path)
    assert (settings.time_zone, settings.currency) == ("Europe/London", "GBP")
    assert settings.sources["orders"].columns["customer_id"] == "CLIENT"
    again = CliRunner().invoke(app, ["init", *zone])
    assert again.exit_code == 2
    assert f"{path} is there already" in again.output
    path.unlink()
    assert CliRunner().invoke(app, ["init", *zone]).exit_code == 0
    assert load_settings(path).time_zone == "Europe/London"
    wrong = CliRunner().invoke(app, ["init", "--time-zone", "Mars", "--settings", str(tmp_path / "x.yaml")])
    assert wrong.exit_code == 2
    assert "time_zone" in wrong.output
    assert not (tmp_path / "x.yaml").exists()


def test_settings_are_listed_with_their_meaning() -> None:
    said = CliRunner().invoke(app, ["settings", "list", "features."])
    assert "- `features.window_days` (`730`): " in said.output
    assert said.output.count("\n- `") + 1 == said.output.count("- `features.")
    assert CliRunner().invoke(app, ["settings", "list", "nothing"]).exit_code == 2


def test_a_dry_run_prints_the_plan_and_writes_nothing(tmp_path: Path) -> None:
    root = shop(tmp_path / "shop")
    deliver(root / "landing", DAYS)
    before = tree(root)
    said = real(root, "run", "--through", LAST, "--dry-run")
    assert said.returncode == 0
    assert f"{DAYS[0]}.csv … {LAST}.csv" in said.stdout
    assert "files to land" in said.stdout
    assert "known once they have landed" in said.stdout
    assert tree(root) == before

    assert call(root, "run", "--through", LAST).exit_code == 0
    late = [line | {"order": f"late-{line['order']}"} for line in sales(DAYS[1])]
    write(root / "landing" / "late.csv", late)
    made = tree(root / "lake")
    assert "late.csv" in call(root, "run", "--through", LAST, "--dry-run").output
    later = call(root, "run", "--through", DAYS[-1].replace(day=5), "--dry-run")
    assert f"{DAYS[-1].replace(day=4)} … {DAYS[-1].replace(day=5)}" in later.output
    assert tree(root / "lake") == made


# status, check, held days


@pytest.fixture
def held(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A shop with one day in another currency, run once."""

    def make(folder: Path) -> None:
        root = shop(folder / "shop")
        deliver(root / "landing", DAYS)
        deliver(root / "landing", [DAYS[1]], currency="USD")
        ran = call(root, "run", "--through", LAST)
        assert ran.exit_code == 1
        assert f"no lists: {DAYS[1]} held" in ran.output

    return shutil.copytree(made_once(tmp_path_factory, "cli_held", make) / "shop", tmp_path / "shop")


def test_a_held_day_is_shown_until_somebody_releases_it(held: Path) -> None:
    rows = len(sales(DAYS[1]))
    said = call(held, "status", "--through", LAST)
    assert said.exit_code == 1
    assert (
        f"held {DAYS[1]}: {rows} rows against «currency is EUR»; "
        f"`retail-pipeline days release {DAYS[1]} --why …` accepts it"
    ) in said.output.splitlines()
    again = call(held, "run", "--through", LAST)
    assert again.exit_code == 1
    assert "everything was up to date" in again.output

    wrong = call(held, "days", "release", DAYS[0], "--why", "ours")
    assert wrong.exit_code == 2
    assert f"{DAYS[0]} is not held; held days: {DAYS[1]}" in wrong.output
    assert call(held, "days", "release", DAYS[1]).exit_code == 2

    released = call(held, "days", "release", DAYS[1], "--why", "our [Geneva] till", "--by", "ana")
    assert released.exit_code == 0
    (record,) = (held / "lake" / "decisions" / "released_days").glob("*.json")
    assert record.stem == str(DAYS[1])
    assert '"why": "our [Geneva] till"' in record.read_text()
    ran = call(held, "run", "--through", LAST)
    assert ran.exit_code == 0
    assert "lists 8" in ran.output
    assert call(held, "status", "--through", LAST).exit_code == 0


def test_a_run_ends_with_1_and_names_each_held_day_for_as_long_as_it_is_held(held: Path) -> None:
    """Also when it lies too far back to hold the lists."""
    later = span(FIRST, 12)
    deliver(held / "landing", later[3:])
    for _ in range(2):
        ran = call(held, "run", "--through", later[-1])
        assert "lists 8" in ran.output
        assert f"held {DAYS[1]}: {len(sales(DAYS[1]))} rows against «currency is EUR»" in ran.output
        assert ran.exit_code == 1
    assert call(held, "alerts", "list").exit_code == 1


def test_a_lake_made_anew_with_its_decisions_is_the_same(held: Path) -> None:
    call(held, "days", "release", DAYS[1], "--why", "ours", "--by", "ana")
    call(held, "run", "--through", LAST)
    before = tree(held / "lake")
    shutil.move(held / "lake", held / "old")
    shutil.rmtree(held / "dagster_home")
    (held / "lake").mkdir()
    shutil.copytree(held / "old" / "decisions", held / "lake" / "decisions")
    assert call(held, "run", "--through", LAST).exit_code == 0
    assert tree(held / "lake") == before


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A shop's lake of every table, models included, in which nothing is wrong."""

    def make(folder: Path) -> None:
        root = shop(folder / "shop", **LENIENT)
        deliver(root / "landing", OVER_A_MONTHS_END)
        line = sales(OVER_A_MONTHS_END[0])[0]
        write(root / "landing" / "unread.csv", [line | {"order": "u"}, line | {"units": "many"}])
        write(root / "landing" / "free.csv", [line | {"order": "f", "price": "0"}])
        with dg.DagsterInstance.ephemeral() as instance:
            pipeline = open_pipeline(root, **LENIENT)
            assert not bring_up_to_date(pipeline, instance, lambda: OVER_A_MONTHS_END[-1]).failures

    return made_once(tmp_path_factory, "cli_sound", make) / "shop"


# restated lists lie beside lists that were handed over only
CHECKED = [name for name, table in TABLES.items() if table.layer != "reports" and name != "restated_lists"]


@pytest.mark.xdist_group("cli_sound")
@pytest.mark.parametrize("table", CHECKED)
def test_check_names_what_is_damaged_or_missing_and_its_remedy_heals_the_lake(
    sound: Path, tmp_path: Path, table: str
) -> None:
    root = tmp_path / "shop"
    shutil.copytree(sound, root)
    assert "settings, folders and every partition of the lake are sound" in call(root, "check").output
    whole = tree(root / "lake")
    pattern = "*.json" if table in ("segmentation_models", "model_candidates") else "*.parquet"
    hit = max(
        path
        for path in (root / "lake" / table).rglob(pattern)
        if path.name[0] != "_" and path.stat().st_size > 100
    )
    content = bytearray(hit.read_bytes())
    content[len(content) // 2] ^= 1
    for harm in (hit.unlink, lambda: hit.write_bytes(content)):
        harm()
        said = call(root, "check")
        assert said.exit_code == 1
        (line,) = [line for line in said.output.splitlines() if line.startswith("✗")]
        assert str(hit if pattern == "*.parquet" else hit.parent) in line
    remove = Path(line.split(": remove ")[1].split(" and run again")[0])
    shutil.rmtree(remove)
    pipeline = open_pipeline(root, **LENIENT)
    with dg.DagsterInstance.ephemeral() as instance:
        outcome = bring_up_to_date(pipeline, instance, lambda: OVER_A_MONTHS_END[-1])
    assert not outcome.failures
    assert tree(root / "lake") == whole
    assert call(root, "check").exit_code == 0


def test_check_and_status_name_all_that_is_damaged_at_once(held: Path) -> None:
    lake = held / "lake"
    manifest = lake / "transactions" / f"date={LAST}" / "_manifest.json"
    manifest.write_text(manifest.read_text()[:40])
    (lake / "customer_days" / f"date={LAST}" / "part-0.parquet").unlink()
    decision = lake / "decisions" / "files" / "0.json"
    decision.parent.mkdir(parents=True)
    decision.write_text("{}")
    for command in (("check",), ("status", "--through", LAST)):
        said = call(held, *command)
        assert said.exit_code == 1
        for line in (
            f"{manifest} is not a manifest: remove {manifest.parent} and run again, it is made anew",
            f"{lake}/customer_days/date={LAST}/part-0.parquet is missing: remove {lake}/customer_days",
            f"{decision} is not a decision: restore or remove it (source_id: Field required; ",
        ):
            assert line in said.output
    ran = call(held, "run", "--through", LAST)
    assert ran.exit_code == 1
    assert f"{decision} is not a decision: restore or remove it" in ran.output.splitlines()[-1]
    decision.unlink()
    ran = call(held, "run", "--through", LAST)
    assert f"{manifest} is not a manifest (Invalid JSON" in ran.output.splitlines()[-1]
    assert "`retail-pipeline check` says how to mend it" in ran.output.splitlines()[-1]


def test_what_cannot_be_made_again_is_never_to_be_removed(sound: Path, tmp_path: Path) -> None:
    root = shutil.copytree(sound, tmp_path / "shop")
    lake, day = root / "lake", OVER_A_MONTHS_END[-1]
    released = call(root, "campaigns", "release", day, "reward", "--why", "mailing", "--by", "me")
    assert released.exit_code == 0
    (raw,) = (lake / "raw_transactions" / f"date={day}").glob("*.parquet")
    handed_over = lake / "campaign_lists" / f"snapshot_date={day}" / "campaign=reward"
    hit = [raw, lake / "transactions" / f"date={day}" / "part-0.parquet", handed_over / "part-0.parquet"]
    for path in hit:
        path.write_bytes(b"torn")
    delivery = root / "landing" / f"{day}.csv"
    delivery.rename(tmp_path / delivery.name)
    lines = {line.split()[2]: line for line in call(root, "check").output.splitlines()}
    assert not [line for line in lines.values() if f": remove {lake}" in line]
    of_raw, of_day, of_list = (lines[str(path)] for path in hit)
    assert f"remove nothing yet: {day}.csv is no longer in landing, and nothing else holds its rows" in of_raw
    assert "the rows that it was made from are damaged, too" in of_day
    assert "the list was handed over, and one made anew may be another" in of_list
    # its record gone, too
    shutil.rmtree(lake / "landed_files" / f"file={raw.stem}")
    assert (
        f"{raw} belongs to no file that landed, so its rows do not count: restore"
        in call(root, "check").output
    )
    shutil.rmtree(handed_over)
    assert f"{handed_over} is gone: the list was handed over" in call(root, "check").output


def test_check_says_that_there_is_no_lake_yet_and_no_landing(tmp_path: Path) -> None:
    root = shop(tmp_path / "shop", suppression={"path": "objected.csv"})
    (root / "landing").rmdir()
    said = call(root, "check")
    assert said.exit_code == 1
    for wrong in (
        "the landing folder",
        "the suppression file",
        "not exist yet; `retail-pipeline run` makes it",
    ):
        assert wrong in said.output


# interrupted, and two at once


@pytest.mark.usefixtures("ctrl_c")
def test_ctrl_c_is_one_line_and_code_130_and_reaches_what_the_command_has_started(tmp_path: Path) -> None:
    root = shop(tmp_path / "shop")
    deliver(root / "landing", span(FIRST, 60))
    environment = {"RETAIL_PIPELINE_SETTINGS": str(root / "retail_pipeline.yaml")}
    process = start("run", "--through", span(FIRST, 60)[-1], cwd=root, start_new_session=True, **environment)
    until(lambda: (root / "lake" / "raw_transactions").exists(), START_SECONDS, "nothing lands")
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=START_SECONDS)
    assert process.returncode == 130
    assert said.splitlines()[-1].startswith("interrupted: nothing is left half-written; call it again")
    assert "Traceback" not in said
    shown = call(root, "status", "--through", LAST)
    assert shown.exit_code == 1
    assert "it was interrupted; the next run goes on from there" in shown.output


def test_a_second_run_waits_for_the_first_and_says_so(tmp_path: Path) -> None:
    root = shop(tmp_path / "shop")
    deliver(root / "landing", DAYS)
    hold = (
        "import sys; from pathlib import Path; from retail_pipeline.lake.lock import writing; "
        "from retail_pipeline.lake.partitions import Lake\n"
        "with writing(Lake(Path(sys.argv[1]))): print('held', flush=True); sys.stdin.read()"
    )
    waiter = ("run", "--through", LAST)
    command = [sys.executable, "-c", hold, str(root / "lake")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdin
        assert holder.stdout
        assert holder.stdout.readline() == b"held\n"
        waiting = start(*waiter, cwd=root, RETAIL_PIPELINE_SETTINGS=str(root / "retail_pipeline.yaml"))
        assert waiting.stderr
        said = ""
        while "waiting for it to finish" not in said:
            line = waiting.stderr.readline()
            assert line, said
            said += line
        assert f"another process is writing to {root / 'lake'}; waiting for it to finish" in said
        assert not (root / "lake" / "transactions").exists()
        holder.stdin.close()
        waiting.communicate()
    assert waiting.returncode == 0
    assert LAST in open_pipeline(root).state()["campaign_lists"]
    before = touched(root / "lake")
    assert "everything was up to date" in call(root, *waiter).output
    assert touched(root / "lake") == before

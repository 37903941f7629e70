"""The documentation is true: its commands exist and print what it says, its settings load, its links resolve.

Also writes the tables of docs/tables.md from ``tables/`` and those of docs/settings.md from the settings'
descriptions: ``python -m retail_pipeline_tests.test_docs``.

The fenced blocks of a page say more than their language: ``csv data/landing/x.csv`` and
``yaml retail_pipeline.yaml`` are files, ``console`` is a session over them (``exit=1`` is the code of its
last command), and a line ``…`` in its output stands for lines left out.
"""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import dagster as dg
import pyarrow as pa
import pytest
import yaml
from typer.main import get_command

from retail_pipeline.cli.main import app
from retail_pipeline.definitions import build_defs
from retail_pipeline.defs.jobs import REPORT_TABLES
from retail_pipeline.ingest.profiles.shipped import SHIPPED
from retail_pipeline.planning.alerts import KINDS
from retail_pipeline.segmentation import BehaviourParameters, RfmGridParameters
from retail_pipeline.settings import Settings, load_settings
from retail_pipeline.settings_reference import setting_rows
from retail_pipeline.tables import TABLES
from retail_pipeline.tables.table import Column, Table
from retail_pipeline_tests.command import retail_pipeline

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
PAGES = (ROOT / "README.md", *sorted(DOCS.glob("*.md")), ROOT / "deploy" / "README.md")

BEGIN = "<!-- from tables/, by: python -m retail_pipeline_tests.test_docs -->"
END = "<!-- end -->"
SETTINGS = re.compile(r"<!--settings:([\w,]+)-->.*?<!--end-->", re.S)


class Block(NamedTuple):
    """A fenced block: its language, what else its opening line says, its text."""

    language: str
    info: str
    text: str


def blocks(page: Path) -> list[Block]:
    fenced = re.findall(r"^```(\w+) ?([^\n]*)\n(.*?)^```$", page.read_text(encoding="utf-8"), re.M | re.S)
    return [Block(*found) for found in fenced]


def commands(page: Path) -> Iterator[list[str]]:
    """The arguments of every retail-pipeline command that a page tells its reader to type."""
    for block in blocks(page):
        if block.language in ("sh", "console"):
            for line in re.findall(r"^(?:\$ )?retail-pipeline (.*)$", block.text, re.M):
                yield shlex.split(line, comments=True)


def by_name(value: Any) -> str:
    return str(value.relative_to(ROOT)) if isinstance(value, Path) else " ".join(value)


# the tables


def tables() -> str:
    """What docs/tables.md says of every table, from the schema."""
    return "\n\n".join([BEGIN, *map(_table, TABLES.values()), END])


def _table(table: Table) -> str:
    folders = "/".join(f"{key}=…" for key in table.partition_keys)
    facts = [
        f"`{table.name}/{folders}/{table.file}`",
        *([f"key {', '.join(table.key)}"] if table.key else []),
        *([f"kept {table.kept}"] if table.kept != "for good" else []),
    ]
    # what another table before this one has alike is told there; of a key the name says it
    names = list(TABLES)
    before = names[: names.index(table.name)] if TABLES.get(table.name) is table else []
    told = {_said(column): name for name in reversed(before) for column in TABLES[name].columns}
    alike: dict[str, list[str]] = {}
    own: dict[str, list[str]] = {}
    for column in table.columns:
        said, nullable = _said(column), "?" if column.nullable else ""
        if said in told and column.name in table.key:
            continue
        if said in told:
            alike.setdefault(told[said], []).append(f"{column.name}{nullable}")
        else:
            unit = (
                column.unit
                if column.unit and column.unit not in f"currency 1 {column.name} {column.meaning}"
                else ""
            )
            kind = ", ".join(filter(None, (f"{_arrow(column.type)}{nullable}", unit)))
            own.setdefault(f"{kind}: {column.meaning}", []).append(f"`{column.name}`")
    return "\n".join(
        [
            f"### {table.name}",
            "",
            f"{table.meaning} {'; '.join(facts)}.",
            *(f"As in [{name}](#{name}): {', '.join(columns)}." for name, columns in alike.items()),
            "",
            *(f"- {', '.join(columns)} {meaning}" for meaning, columns in own.items()),
        ]
    ).rstrip()


def _said(column: Column) -> tuple[str, pa.DataType, str]:
    return column.name, column.type, column.meaning


def _arrow(kind: pa.DataType) -> str:
    """An Arrow type as readers name it."""
    short = {"decimal128(18, 3)": "decimal(3)", "decimal128(18, 4)": "decimal(4)", "date32[day]": "date"}
    short["timestamp[us]"] = "timestamp"
    return f"list of {_arrow(kind.value_type)}" if pa.types.is_list(kind) else short.get(str(kind), str(kind))


def test_the_tables_in_the_docs_are_those_of_the_schema() -> None:
    page = (DOCS / "tables.md").read_text(encoding="utf-8")
    assert tables() in page, "regenerate them: python -m retail_pipeline_tests.test_docs"


def test_the_docs_name_every_table_that_holds_customers() -> None:
    page = (DOCS / "tables.md").read_text(encoding="utf-8")
    (sentence,) = re.findall(r"^Customer ids stand in (.*?)\.$", page, re.M | re.S)
    assert re.findall(r"`(\w+)`", sentence) == [t.name for t in TABLES.values() if t.personal]


# the settings


def with_settings(page: str) -> str:
    """The page with its lists of settings made anew from the settings' descriptions."""
    found = dict(setting_rows(Settings))
    return SETTINGS.sub(
        lambda mark: "\n".join(
            [
                f"<!--settings:{mark[1]}-->",
                "",
                *(row for name, row in found.items() if name.partition(".")[0] in mark[1].split(",")),
                "",
                "<!--end-->",
            ]
        ),
        page,
    )


def test_the_settings_in_the_docs_are_those_of_the_code() -> None:
    page = (DOCS / "settings.md").read_text(encoding="utf-8")
    assert with_settings(page) == page, "regenerate them: python -m retail_pipeline_tests.test_docs"
    silent = [name for name, row in setting_rows(Settings) if row.endswith(": ") and ".method" not in name]
    assert not silent, "they say nothing of what they mean"
    named = ",".join(SETTINGS.findall(page)).split(",")
    assert sorted(named) == sorted(Settings.model_fields)


def test_the_default_rules_of_the_grid_are_those_in_the_docs() -> None:
    (page,) = [b for b in blocks(DOCS / "segmentations.md") if b.info == "default rules"]
    written = yaml.safe_load(page.text)
    assert [tuple(rule) for rule in written] == list(RfmGridParameters().rules)
    assert BehaviourParameters().clusters == 4


@pytest.mark.parametrize(
    "block",
    [
        b
        for page in PAGES
        for b in blocks(page)
        if b.language == "yaml" and b.info in ("", "retail_pipeline.yaml")
    ],
    ids=lambda block: block.text.split(":")[0],
)
def test_settings_in_the_docs_load(block: Block, tmp_path: Path) -> None:
    (tmp_path / "retail_pipeline.yaml").write_text(block.text, encoding="utf-8")
    load_settings(tmp_path / "retail_pipeline.yaml")


def test_environment_variables_in_the_docs_are_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    (examples,) = [b.text for b in blocks(DOCS / "settings.md") if b.info == "environment"]
    for line in examples.splitlines():
        name, value = shlex.split(line, comments=True)[0].split("=", 1)
        monkeypatch.setenv(name, value)
    settings = load_settings()
    assert settings.features.window_days == 365
    assert settings.suppression
    assert settings.segmentations["behaviour"] == BehaviourParameters(clusters=5)


def test_every_shipped_profile_is_in_the_docs() -> None:
    page = (DOCS / "sources.md").read_text(encoding="utf-8")
    assert [name for name in SHIPPED if f"`{name}`" not in page] == []


# commands, sessions, links


@pytest.mark.parametrize("words", [c for page in PAGES for c in commands(page)], ids=by_name)
def test_commands_in_the_docs_exist(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("online+retail.zip").touch()  # the download that an example names
    command: Any = get_command(app)
    context = command.make_context("retail-pipeline", list(words), help_option_names=[])
    while hasattr(command, "resolve_command"):
        name, command, rest = command.resolve_command(context, [*context._protected_args, *context.args])
        context = command.make_context(name, rest, parent=context, help_option_names=[])


def follow(page: Path, folder: Path) -> None:
    """Write the files that a page shows and type its commands; what they print must be what it says."""
    for block in blocks(page):
        if block.language in ("csv", "yaml") and "." in block.info:
            (folder / block.info).parent.mkdir(parents=True, exist_ok=True)
            (folder / block.info).write_text(block.text, encoding="utf-8")
        if block.language == "console":
            _type(block, folder)


def _type(block: Block, folder: Path) -> None:
    code = 0
    for entry in re.split(r"^\$ ", block.text, flags=re.M)[1:]:
        line, _, said = entry.partition("\n")
        done = retail_pipeline(*shlex.split(line)[1:], cwd=folder, COLUMNS="100", USER="anna")
        code = done.returncode
        printed = iter([text.rstrip() for text in (done.stdout + done.stderr).splitlines()])
        for text in filter(None, map(str.rstrip, said.splitlines())):
            assert text.strip() == "…" or text in printed, (
                f"$ {line}\nprints no (more)\n{text}\nbut\n{done.stdout}{done.stderr}"
            )
    assert code == int(block.info.removeprefix("exit=") or 0), block.text


def test_the_command_prints_what_the_docs_show_and_the_lake_reads_as_they_say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RETAIL_PIPELINE_SETTINGS")
    follow(DOCS / "cli.md", tmp_path)
    programs = [block.text for page in PAGES for block in blocks(page) if block.language == "python"]
    assert len(programs) >= 4
    for text in programs:
        done = subprocess.run([sys.executable, "-c", text], cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, f"{text}\n{done.stderr}"


def test_the_worked_example_of_a_source_does_what_it_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RETAIL_PIPELINE_SETTINGS")
    shutil.copytree(ROOT / "retail_pipeline" / "samples", tmp_path / "retail_pipeline" / "samples")
    follow(DOCS / "sources.md", tmp_path)


def targets(page: Path) -> Iterable[str]:
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    return re.findall(r"\]\(([^)\s]+)\)", text)


@pytest.mark.parametrize("page", PAGES, ids=by_name)
def test_links_in_the_docs_resolve(page: Path) -> None:
    for target in targets(page):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        linked = (page.parent / path).resolve() if path else page
        assert linked.exists(), f"{page.name} links to {target}"
        if anchor:
            headings = re.findall(r"^#+ (.+)$", linked.read_text(encoding="utf-8"), re.M)
            slugs = {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
            assert anchor in slugs, f"{page.name} links to {target}"


def test_every_alert_and_every_check_is_in_the_runbook() -> None:
    page = (DOCS / "operations.md").read_text(encoding="utf-8")
    for name, kind in KINDS.items():
        assert f"| `{name}` | {kind.severity} | {kind.one} |" in page
    checks = {key.name for key in build_defs(load_settings()).resolve_asset_graph().asset_check_keys}
    reports = {f"{name}_are_valid" for name in REPORT_TABLES}
    assert {name for name in checks - reports if f"`{name}`" not in page} == set()


# deployment


def test_the_production_dagster_yaml_is_one_that_dagster_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("dagster_postgres", reason="needs the extra postgres")
    text = (ROOT / "deploy" / "dagster.yaml").read_text(encoding="utf-8")
    variables = set(re.findall(r"env: (\w+)", text))
    for name in variables:
        monkeypatch.setenv(name, "5432" if name.endswith("PORT") else str(tmp_path / name.lower()))
    config = yaml.safe_load(text)
    # without tables to create Dagster reads and checks the whole file, and asks no server
    config["storage"]["postgres"]["should_autocreate_tables"] = False
    (tmp_path / "dagster.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        assert instance.telemetry_enabled is False
        assert instance.run_monitoring_enabled
    readme = (ROOT / "deploy" / "README.md").read_text(encoding="utf-8")
    assert [name for name in sorted(variables) if name not in readme] == []


if __name__ == "__main__":
    tables_page = DOCS / "tables.md"
    before, rest = tables_page.read_text(encoding="utf-8").split(BEGIN)
    tables_page.write_text(before + tables() + rest.split(END)[1], encoding="utf-8")
    settings_page = DOCS / "settings.md"
    settings_page.write_text(with_settings(settings_page.read_text(encoding="utf-8")), encoding="utf-8")

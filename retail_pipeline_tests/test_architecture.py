"""The house rules: who may import whom, what no module does, and what loading the project costs."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import retail_pipeline

ROOT = Path(retail_pipeline.__file__).parent
MODULES = {
    ".".join(("retail_pipeline", *path.relative_to(ROOT).with_suffix("").parts)).removesuffix(
        ".__init__"
    ): path
    for path in sorted(ROOT.rglob("*.py"))
}
PURE_ROOMS = ("tables", "planning", "ingest.profiles", "segmentation", "campaigns", "report")
CORE = [name for name in MODULES if name.startswith(tuple(f"retail_pipeline.{room}" for room in PURE_ROOMS))]
PURE = {"pydantic", "numpy", "pandas", "pyarrow", "sqlglot", "sklearn", "scipy", "matplotlib", "jinja2"}
IO = {"io", "os", "pathlib", "shutil", "socket", "sqlite3", "subprocess", "tempfile", "time", "urllib"}
HEAVY = (
    "apprise", "great_expectations", "httpx", "matplotlib", "pyspark", "python_calamine", "scipy", "sklearn",
)  # fmt: skip
# what Dagster itself asks for by a private name: a storage that dagster.yaml may name
EVENT_STORAGE = "retail_pipeline.event_storage"
EXECUTABLE = {"cloudpickle", "dill", "joblib", "marshal", "pickle", "shelve"}

# what the modules of a part of the package may import of the package, besides their own part
MAY_IMPORT = {
    **{room: set(PURE_ROOMS) for room in PURE_ROOMS},
    "lake": {*PURE_ROOMS, "lake"},
    "engine": {*PURE_ROOMS, "lake.partitions", "engine"},
    "ingest": {*PURE_ROOMS, "lake", "engine", "ingest"},
    "datasets": {*PURE_ROOMS, "lake", "datasets"},
    "settings": set(PURE_ROOMS),
    "defs": {*PURE_ROOMS, "lake", "engine", "ingest", "settings", "defs", "definitions"},
    "definitions": {"settings", "defs"},
}


@cache
def tree(name: str) -> ast.Module:
    return ast.parse(MODULES[name].read_text(encoding="utf-8"))


def imports(name: str) -> Iterator[str]:
    """Every module that a module imports, and every name it takes from one, with dots."""
    for node in ast.walk(tree(name)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name} imports relatively"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def under(name: str, parents: set[str]) -> bool:
    return any(name == parent or name.startswith(f"{parent}.") for parent in parents)


def calls(name: str) -> set[str]:
    return {ast.unparse(node.func) for node in ast.walk(tree(name)) if isinstance(node, ast.Call)}


@pytest.mark.parametrize("name", CORE)
def test_core_imports_nothing_that_touches_the_world(name: str):
    found = {imported.split(".")[0] for imported in imports(name)}
    found -= {"retail_pipeline"}
    foreign = {module for module in found if module not in PURE and module not in sys.stdlib_module_names}
    assert not foreign
    assert not found & IO - {"io"}
    assert not any(
        under(imported, {"pyarrow.parquet", "pyarrow.fs", "pyarrow.csv"}) for imported in imports(name)
    )


@pytest.mark.parametrize("name", CORE)
def test_core_asks_no_clock_and_opens_no_file(name: str):
    clocks = ("now", "today", "utcnow", "fromtimestamp")
    forbidden = {call for call in calls(name) if call == "open" or call.rsplit(".", 1)[-1] in clocks}
    assert not forbidden


@pytest.mark.parametrize("name", MODULES)
def test_imports_run_one_way(name: str):
    part = name.split(".")[1] if "." in name else ""
    if part not in MAY_IMPORT:
        return
    own = {i.removeprefix("retail_pipeline.") for i in imports(name) if i.startswith("retail_pipeline.")}
    wrong = {imported for imported in own if not under(imported, MAY_IMPORT[part])}
    assert not wrong


def test_all_rows_of_a_statement_come_back_in_the_days_alone():
    """What else is asked of an engine is bounded, and what is made is written by it."""
    users = {n for n in MODULES if any(call.endswith("engine.run") for call in calls(n))}
    assert users == {"retail_pipeline.defs.assets.days"}


def test_a_partition_is_read_whole_only_to_show_unreadable_rows():
    users = {n for n in MODULES if "read_partition" in calls(n)}
    assert users == {f"retail_pipeline.{m}" for m in ("cli.quarantine", "cli.status", "defs.assets.landing")}


def test_data_sets_are_known_to_the_command_alone():
    users = {
        name
        for name in MODULES
        if not under(name, {"retail_pipeline.datasets"})
        and any(under(imported, {"retail_pipeline.datasets"}) for imported in imports(name))
    }
    assert users <= {"retail_pipeline.cli.main"}


def test_nothing_imports_the_command():
    assert not [n for n in MODULES if any(under(i, {"retail_pipeline.cli.main"}) for i in imports(n))]


@pytest.mark.parametrize("name", MODULES)
def test_only_public_dagster_and_nothing_executable(name: str):
    found = set(imports(name))
    private = {
        i for i in found if under(i, {"dagster"}) and any(part.startswith("_") for part in i.split("."))
    }
    assert not private or name == EVENT_STORAGE
    assert not {imported.split(".")[0] for imported in found} & EXECUTABLE
    assert not calls(name) & {"eval", "exec", "compile", "__import__"}


def test_what_leans_on_the_inside_of_dagster_is_loaded_by_its_yaml_alone():
    assert not [name for name in MODULES if any(under(i, {EVENT_STORAGE}) for i in imports(name))]


@pytest.mark.parametrize("name", MODULES)
def test_every_module_says_what_it_is(name: str):
    assert ast.get_docstring(tree(name))


@pytest.mark.parametrize("name", MODULES)
def test_heavy_packages_are_imported_inside_functions(name: str):
    top = [node for node in tree(name).body if isinstance(node, ast.Import | ast.ImportFrom)]
    named = {alias.name for node in top if isinstance(node, ast.Import) for alias in node.names}
    named |= {node.module or "" for node in top if isinstance(node, ast.ImportFrom)}
    assert not {imported for imported in named if under(imported, set(HEAVY))}


def run(code: str, cwd: Path) -> str:
    done = subprocess.run([sys.executable, "-c", code], cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Warning" not in done.stderr, done.stderr
    return done.stdout


def test_loading_the_definitions_imports_nothing_heavy_and_touches_no_data(tmp_path: Path):
    """Neither landing nor lake is there: nothing is read from them, and neither is made."""
    code = f"""
import sys, dagster as dg
from retail_pipeline.definitions import defs
loaded = defs()
heavy = {(*HEAVY, "pandas", "sqlalchemy")!r}
print(sorted({{name.split(".")[0] for name in sys.modules}} & set(heavy)))
dg.Definitions.validate_loadable(loaded)
"""
    assert run(code, tmp_path).split() == ["[]"]
    assert not list(tmp_path.iterdir())


def test_core_alone_loads_without_dagster_or_an_engine(tmp_path: Path):
    engines = "{'dagster', 'duckdb', 'pyspark'}"
    code = f"import sys, {', '.join(CORE)}; print(sorted({engines} & set(sys.modules)))"
    assert run(code, tmp_path).split() == ["[]"]

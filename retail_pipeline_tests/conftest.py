"""What all tests share: where the real data lies, and a lake of one's own."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

DEFAULT_UCI_DIR = Path(__file__).resolve().parents[2] / "shared" / "data" / "online_retail" / "by-day"
SETTINGS = Path(__file__).parent / "settings"
LONGEST = (
    "test_storm.py", "test_whole_runs.py", "test_same_bytes.py", "test_ui.py", "test_docs.py", "test_main.py",
    "test_spark.py",
)  # fmt: skip


@pytest.fixture(scope="session")
def uci_dir() -> Path:
    """UCI Online Retail, one CSV a trading day."""
    folder = Path(os.environ.get("RETAIL_PIPELINE_UCI_DIR", DEFAULT_UCI_DIR))
    if not folder.is_dir():
        pytest.skip(
            f"no UCI Online Retail in {folder}: set RETAIL_PIPELINE_UCI_DIR to a folder with its daily CSVs"
        )
    return folder


def pytest_configure(config: pytest.Config) -> None:
    """Keep a developer's own settings and Dagster instance out of the tests, and xdist to the order below."""
    config.option.loadscopereorder = False
    for name in list(os.environ):
        if name == "DAGSTER_HOME" or (
            name.startswith("RETAIL_PIPELINE_") and name != "RETAIL_PIPELINE_UCI_DIR"
        ):
            del os.environ[name]
    # what a test delivers is whole
    os.environ["RETAIL_PIPELINE_ARRIVAL__SETTLE_SECONDS"] = "0"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that take longest, so that none of them is left to one worker at the end."""
    items.sort(key=lambda item: LONGEST.index(item.path.name) if item.path.name in LONGEST else len(LONGEST))


@pytest.fixture(scope="session", autouse=True)
def _no_settings_file(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep the project's own retail_pipeline.yaml out, too: also of what a module's tests share."""
    empty = tmp_path_factory.getbasetemp() / "no_settings.yaml"
    empty.touch()
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("RETAIL_PIPELINE_SETTINGS", str(empty))
        yield


@pytest.fixture(scope="session", autouse=True)
def _files_are_read_near() -> None:
    """Spare most tests the process in which files are read: see ``near.py``."""
    from retail_pipeline_tests.near import read_near

    read_near()


@pytest.fixture
def ctrl_c() -> Iterator[None]:
    """Ctrl-C interrupts, also where the tests were started in a shell's background, which ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)

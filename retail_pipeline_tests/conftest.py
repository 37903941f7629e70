"""What all tests share: where the real data lies, and a lake of one's own."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

DEFAULT_UCI_DIR = Path(__file__).resolve().parents[2] / "shared" / "data" / "online_retail" / "by-day"
SETTINGS = Path(__file__).parent / "settings"


@pytest.fixture(scope="session")
def uci_dir() -> Path:
    """UCI Online Retail, one CSV a trading day."""
    folder = Path(os.environ.get("RETAIL_PIPELINE_UCI_DIR", DEFAULT_UCI_DIR))
    if not folder.is_dir():
        pytest.skip(
            f"no UCI Online Retail in {folder}: set RETAIL_PIPELINE_UCI_DIR to a folder with its daily CSVs"
        )
    return folder


def pytest_configure() -> None:
    """Keep a developer's own settings and Dagster instance out of the tests."""
    for name in list(os.environ):
        if name == "DAGSTER_HOME" or (
            name.startswith("RETAIL_PIPELINE_") and name != "RETAIL_PIPELINE_UCI_DIR"
        ):
            del os.environ[name]


@pytest.fixture(autouse=True)
def _no_settings_file(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Keep the project's own retail_pipeline.yaml out, too."""
    empty = tmp_path_factory.getbasetemp() / "no_settings.yaml"
    empty.touch()
    monkeypatch.setenv("RETAIL_PIPELINE_SETTINGS", str(empty))

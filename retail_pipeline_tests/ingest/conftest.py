"""Fixtures for tests of the engine."""

from __future__ import annotations

from pathlib import Path

import pytest

from retail_pipeline_tests.ingest.landing_shop import Shop


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)

"""A Dagster instance and a pipeline of one's own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from retail_pipeline.defs.resources import Pipeline
from retail_pipeline_tests.defs.support import open_pipeline


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    """An instance that is gone after the test."""
    with dg.DagsterInstance.ephemeral() as opened:
        yield opened


@pytest.fixture
def pipeline(tmp_path: Path) -> Pipeline:
    """The small shop's pipeline, with nothing delivered yet."""
    (tmp_path / "landing").mkdir()
    return open_pipeline(tmp_path)

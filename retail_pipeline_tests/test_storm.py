"""Whatever arrives in whatever order, and whatever is killed: the lake ends as a clean run makes it.

``python -m retail_pipeline_tests.storm --seed N --minutes 60`` lets the storm last an hour.
"""

from __future__ import annotations

from datetime import date
from itertools import islice
from pathlib import Path

import pytest

from retail_pipeline_tests.shop import span
from retail_pipeline_tests.storm.run import survived, weather_the_storm
from retail_pipeline_tests.storm.weather import Weather

DAYS = span(date(2024, 1, 15), 28)  # over the end of a month


@pytest.mark.slow
def test_after_a_storm_the_lake_is_that_of_a_clean_run(tmp_path: Path):
    storm = weather_the_storm(tmp_path / "storm", seed=262, days=DAYS, events=50)
    print(survived(storm))
    assert storm.tally["kills"]


def test_the_same_seed_is_the_same_storm():
    one, two = (list(islice(Weather(7, DAYS).blow(), 500)) for _ in range(2))
    assert one == two
    assert one != list(islice(Weather(8, DAYS).blow(), 500))

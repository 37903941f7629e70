"""``python -m retail_pipeline_tests.storm --seed N --minutes 60``: a long storm, and its tally."""

import argparse
import os
import tempfile
import time
from datetime import date
from pathlib import Path

from retail_pipeline_tests.shop import span
from retail_pipeline_tests.storm.run import survived, weather_the_storm


def main() -> None:
    """Weather one storm; print what it survived."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--days", type=int, default=70)
    parser.add_argument("--events", type=int, default=0, help="so many events instead of minutes")
    parser.add_argument("--folder", type=Path, help="a new folder; default: a temporary one, which is left")
    called = parser.parse_args()
    folder = called.folder or Path(tempfile.mkdtemp(prefix="storm"))
    os.nice(5)
    print(f"{time.strftime('%H:%M:%S')} seed {called.seed} in {folder}", flush=True)
    storm = weather_the_storm(
        folder / f"seed_{called.seed}",
        called.seed,
        span(date(2024, 1, 8), called.days),
        called.events,
        called.minutes,
    )
    print(survived(storm))


if __name__ == "__main__":
    main()

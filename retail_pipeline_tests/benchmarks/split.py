"""Runs the retail-pipeline command with a stopwatch on each kind of work, and prints the split as JSON.

A stopwatch that starts inside another stops the outer one, so the kinds add up to the whole.
"""

from __future__ import annotations

import functools
import importlib.machinery
import json
import resource
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any

BEGAN = time.perf_counter()
spent: defaultdict[str, float] = defaultdict(float)
running: list[str] = ["the rest of Python"]
since = BEGAN


def switch() -> None:
    """Book the time since the last switch on what was running."""
    global since
    now = time.perf_counter()
    spent[running[-1]] += now - since
    since = now


def timed(kind: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """The function with a stopwatch of a kind."""

    @functools.wraps(function)
    def wrapper(*arguments: Any, **named: Any) -> Any:
        switch()
        running.append(kind)
        try:
            return function(*arguments, **named)
        finally:
            switch()
            running.pop()

    return wrapper


def watch() -> None:
    """Put a stopwatch on imports, the engine, writing, checks, fitting and Dagster."""
    for loader in (importlib.machinery.SourceFileLoader, importlib.machinery.ExtensionFileLoader):
        loader.exec_module = timed("imports", loader.exec_module)  # type: ignore[method-assign]
    import dagster as dg

    from retail_pipeline import segmentation
    from retail_pipeline.defs import run_plan as driver
    from retail_pipeline.defs import runner
    from retail_pipeline.defs.assets import days, models, snapshots
    from retail_pipeline.defs.assets import released_lists as released
    from retail_pipeline.defs.resources import Pipeline
    from retail_pipeline.engine.duckdb import DuckDB
    from retail_pipeline.ingest import landing as landing_engine
    from retail_pipeline.lake import partitions

    dg.DagsterInstance.handle_new_event = timed("Dagster events", dg.DagsterInstance.handle_new_event)  # type: ignore[method-assign]
    dg.DagsterInstance.create_run_for_job = timed("Dagster runs", dg.DagsterInstance.create_run_for_job)  # type: ignore[method-assign]
    DuckDB.run = timed("engine", DuckDB.run)  # type: ignore[method-assign]
    DuckDB.keep = timed("engine", DuckDB.keep)  # type: ignore[method-assign]
    for name in ("_write_rows", "_commit"):
        setattr(landing_engine, name, timed("writing", getattr(landing_engine, name)))
    for module in (days, snapshots):
        module.validate = timed("checks", module.validate)  # type: ignore[attr-defined]
    # not in lake/partitions.py itself: its threads would stop each other's watches
    for name in ("replace_file", "write_partition", "write_partitions"):
        watched = timed("writing", getattr(partitions, name))
        for module in (landing_engine, days, snapshots, released, models):
            if hasattr(module, name):
                setattr(module, name, watched)
    snapshots.fit = timed("fitting", segmentation.fit)  # type: ignore[attr-defined]
    for name in ("fit_snapshot", "assess"):
        setattr(models, name, timed("fitting", getattr(models, name)))
    for name in ("to_sql", "of_each_day"):
        setattr(runner, name, timed("fitting", getattr(segmentation, name)))
    for name in ("look", "next_pieces"):
        setattr(driver, name, timed("planning", getattr(driver, name)))
    Pipeline.state = timed("planning", Pipeline.state)  # type: ignore[method-assign]


def main() -> None:
    """Run the command that the arguments give; the last line of standard output is the split."""
    watch()
    from retail_pipeline.cli.main import app

    code: object = 0
    try:
        app(sys.argv[1:])
    except SystemExit as stopped:
        code = stopped.code
    switch()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        json.dumps(
            {
                "exit": code,
                "peak_mb": peak,
                "cpu": time.process_time(),
                "seconds": dict(sorted(spent.items(), key=lambda pair: -pair[1])),
            }
        )
    )


if __name__ == "__main__":
    main()

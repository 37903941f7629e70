"""What a tick of each sensor costs over 10,000 files that have landed, and over 200 new ones beside them.

``python -m retail_pipeline_tests.benchmarks.ticks [FILES] [NEW]``. The lake is one of manifests: one file is
landed for real, the others are written after its likeness.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import dagster as dg

from retail_pipeline.definitions import build_defs
from retail_pipeline.defs.resources import Pipeline
from retail_pipeline.ingest.listing import list_files
from retail_pipeline.lake.partitions import write_manifest
from retail_pipeline.planning.arrivals import FileSeen
from retail_pipeline.planning.inputs import inputs_of
from retail_pipeline.planning.manifests import Manifest
from retail_pipeline.planning.state import State
from retail_pipeline_tests.defs.support import land, make_days, open_pipeline
from retail_pipeline_tests.shop import FIRST, deliver, sales, write

FILES, NEW, DAYS = 10_000, 200, 400
SENSORS = ("new_files_sensor", "stale_days_sensor", "failure_alert_sensor")


@contextmanager
def known(root: Path, files: int) -> Iterator[tuple[Pipeline, dg.DagsterInstance]]:
    """A lake with so many files on 400 days, each file and day landed and made, and their instance."""
    last = FIRST + timedelta(DAYS - 1)
    pipeline = open_pipeline(root, last_day=str(last), arrival={"complete_when": "renamed"})
    deliver(pipeline.settings.landing, [FIRST])
    (root / "home").mkdir()
    with dg.DagsterInstance.local_temp(str(root / "home")) as instance:
        land(pipeline, instance)
        make_days(pipeline, instance, [FIRST])
        state = pipeline.state()
        for number in range(1, files):
            line = sales(FIRST)[0] | {"order": f"{number}"}
            write(pipeline.settings.landing / f"{number // 1000:02}" / f"till_{number:05}.csv", [line])
        (example,) = state.landed.values()
        listed = list_files(pipeline.settings.landing).files
        for number, file in enumerate(listed):
            if file.source_id not in state.landed:
                write_manifest(pipeline.lake, like(example, file, FIRST + timedelta(number % DAYS)))
        make_all_days(pipeline, pipeline.state(tuple(listed)))
        instance.add_dynamic_partitions(pipeline.source_files, [file.partition_key for file in listed])
        yield pipeline, instance


def like(example: Manifest, file: FileSeen, day: date) -> Manifest:
    """The manifest of a file that gave the same rows as the example, but to another day."""
    seen = {"path": file.path, "size_bytes": file.size_bytes, "modified_ns": file.modified_ns}
    return example.model_copy(
        update={
            "partition": {"file": file.source_id},
            "inputs": {**example.inputs, "file": file.sha256},
            "parts": {day: next(iter(example.parts.values()))},
            "arrival": example.arrival.model_copy(update=seen),
        }
    )


def make_all_days(pipeline: Pipeline, state: State) -> None:
    """Write the manifests of every day's tables, as if they were made."""
    recipe, lake = pipeline.recipe, pipeline.lake
    transactions, summed = state["transactions"][FIRST], state["customer_days"][FIRST]
    for day in state.raw:
        made = {"partition": {"date": str(day)}, "inputs": inputs_of(state, recipe, "transactions", day)}
        write_manifest(lake, transactions.model_copy(update=made))
    state = pipeline.state()
    for day in state.raw:
        made = {"partition": {"date": str(day)}, "inputs": inputs_of(state, recipe, "customer_days", day)}
        write_manifest(lake, summed.model_copy(update=made))


def tick(pipeline: Pipeline, instance: dg.DagsterInstance, name: str) -> tuple[float, float, Any]:
    """The seconds that one tick takes, those of them that this process computed, and what came of it."""
    sensor = build_defs(pipeline.settings).get_repository_def().get_sensor_def(name)
    with dg.build_sensor_context(instance=instance, resources={"pipeline": pipeline}) as context:
        began, busy = time.perf_counter(), time.process_time()
        outcome = sensor.evaluate_tick(context)
        return time.perf_counter() - began, time.process_time() - busy, outcome


def main() -> None:
    """Build, measure, print."""
    given = [int(argument) for argument in sys.argv[1:]]
    files, new = [*given, *(FILES, NEW)[len(given) :]]
    with tempfile.TemporaryDirectory() as folder, known(Path(folder), files) as (pipeline, instance):
        report("first tick, nothing hashed yet", *tick(pipeline, instance, SENSORS[0]))
        for _ in range(3):
            for name in SENSORS:
                report(f"{name} over {files:,} known files", *tick(pipeline, instance, name))
        for number in range(new):
            line = sales(FIRST)[0] | {"order": f"new {number}"}
            write(pipeline.settings.landing / "new" / f"{number}.csv", [line])
        report(f"{new:,} new ones beside them", *tick(pipeline, instance, SENSORS[0]))


def report(what: str, seconds: float, busy: float, outcome: Any) -> None:
    """One line."""
    asked = f"{len(outcome.run_requests)} runs asked for" if outcome.run_requests else outcome.skip_message
    print(f"{what}: {seconds:.2f} s, {busy:.2f} s of it computing ({asked})", flush=True)


if __name__ == "__main__":
    main()

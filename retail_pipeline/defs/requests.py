"""From work to Dagster runs: partition ranges as tags, and the attempt that a run is.

Belongs here: the form of a request. Does not belong here: what must run (``core/planner.py``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import dagster as dg

from retail_pipeline.core.manifests import fingerprint

RANGE_START = "dagster/asset_partition_range_start"
RANGE_END = "dagster/asset_partition_range_end"
WORK = "retail_pipeline/work"
MOST_ATTEMPTS = 3


def range_tags(first: str, last: str) -> dict[str, str]:
    """The tags that make a run cover a range of partitions, both ends included."""
    return {RANGE_START: first, RANGE_END: last}


def file_ranges(wanted: Sequence[str], known: Sequence[str]) -> list[tuple[str, str]]:
    """Keys of file partitions as ranges that are contiguous in the order in which Dagster knows them."""
    position = {key: index for index, key in enumerate(known)}
    found: list[tuple[str, str]] = []
    last_index = -2
    for key in sorted(wanted, key=position.__getitem__):
        if position[key] == last_index + 1:
            found[-1] = (found[-1][0], key)
        else:
            found.append((key, key))
        last_index = position[key]
    return found


def attempt(instance: dg.DagsterInstance, work: str) -> int | None:
    """Which attempt at this work would come next, from 1.

    None while one is under way or when all are used up.
    """
    earlier = instance.get_run_records(dg.RunsFilter(tags={WORK: work}))
    if any(not record.dagster_run.is_finished for record in earlier) or len(earlier) >= MOST_ATTEMPTS:
        return None
    return len(earlier) + 1


def request(
    instance: dg.DagsterInstance,
    job: str,
    first: str,
    last: str,
    made_from: object,
    assets: Sequence[str] = (),
) -> dg.RunRequest | None:
    """A run of ``job`` over a range, unless the same work is under way or has failed too often.

    ``made_from`` names the inputs: other inputs are other work. The run key holds the attempt, since Dagster
    silently drops a run key that it has seen.
    """
    work = fingerprint(job, first, last, made_from, list(assets))
    number = attempt(instance, work)
    if number is None:
        return None
    tags: Mapping[str, str] = {**range_tags(first, last), WORK: work}
    selection = [dg.AssetKey(asset) for asset in assets] or None
    return dg.RunRequest(f"{work}-{number}", job_name=job, tags=tags, asset_selection=selection)

"""Lists that were handed over: they stay as they are, and what they would be today goes beside them."""

from collections.abc import Collection
from datetime import date

import pyarrow as pa
import pyarrow.compute as pc

from retail_pipeline.defs.runner import Run
from retail_pipeline.lake.partitions import read_partition, remove_partition, write_manifest, write_partition
from retail_pipeline.lake.state import RELEASED_FILE
from retail_pipeline.planning.inputs import inputs_of
from retail_pipeline.planning.manifests import Manifest, schema_fingerprint
from retail_pipeline.tables import TABLES

LISTS, RESTATED = TABLES["campaign_lists"], TABLES["restated_lists"]


def write_list(run: Run, day: date, campaign: str, rows: pa.Table) -> Manifest:
    """Write a campaign's list of a day and return its manifest; one that was handed over is left as it is."""
    if _is_released(run, day, campaign):
        return _restate(run, day, campaign, rows)
    _remove_restated(run, day, campaign)
    inputs = inputs_of(run.state, run.pipeline.recipe, LISTS.name, day, campaign)
    controls = pc.sum(pc.equal(rows["arm"], "control")).as_py() or 0
    keys = _keys(day, campaign)
    return write_partition(run.pipeline.lake, LISTS, keys, rows, inputs, counts={"control": controls})


def take_lists_away(run: Run, day: date, kept: Collection[str]) -> None:
    """Remove a day's lists but those kept: nobody may work with a list that would not be made today.

    What was handed over stays, without what it would be today. So does the day's folder, be it empty: it says
    that the day should have lists as soon as it may.
    """
    lists = dict(run.state["campaign_lists"].get(day, {}))
    for campaign in lists.keys() - kept:
        _remove_restated(run, day, campaign)
        if not _is_released(run, day, campaign):
            remove_partition(run.pipeline.lake, LISTS.name, _keys(day, campaign))
            del lists[campaign]
    run.pipeline.lake.partition(LISTS.name, {"snapshot_date": str(day)}).mkdir(parents=True, exist_ok=True)
    run.has("campaign_lists", {day: lists})


def _restate(run: Run, day: date, campaign: str, rows: pa.Table) -> Manifest:
    lake, keys = run.pipeline.lake, _keys(day, campaign)
    released: Manifest = run.state[LISTS.name][day][campaign]
    handed_over = read_partition(lake, LISTS, keys)
    compared = run.engine.run(RESTATED.name, {"restated": rows, "released": handed_over})
    tallied = {entry["values"]: entry["counts"] for entry in pc.value_counts(compared["change"]).to_pylist()}
    if tallied.keys() <= {"same"} and released.schema_fingerprint == schema_fingerprint(LISTS.arrow):
        inputs = inputs_of(run.state, run.pipeline.recipe, LISTS.name, day, campaign)
        # but for words in reasons the rows are those of these inputs too, which the manifest must learn
        released = released.model_copy(update={"inputs": inputs, "code_version": LISTS.code_version})
        write_manifest(lake, released)
        _remove_restated(run, day, campaign)
        return released
    inputs = inputs_of(run.state, run.pipeline.recipe, RESTATED.name, day, campaign)
    counts = {change: tallied.get(change, 0) for change in ("added", "removed", "changed", "same")}
    made = write_partition(lake, RESTATED, keys, compared, inputs, counts=counts)
    run.has("restated_lists", {day: {**run.state["restated_lists"].get(day, {}), campaign: made}})
    return released


def _remove_restated(run: Run, day: date, campaign: str) -> None:
    of_day = run.state["restated_lists"].get(day, {})
    if campaign in of_day:
        remove_partition(run.pipeline.lake, RESTATED.name, _keys(day, campaign))
        left = {name: manifest for name, manifest in of_day.items() if name != campaign}
        run.has("restated_lists", {day: left})


def _is_released(run: Run, day: date, campaign: str) -> bool:
    # the marker needs no lock, so it may have come since the run began
    marker = run.pipeline.lake.partition(LISTS.name, _keys(day, campaign)) / RELEASED_FILE
    is_made = campaign in run.state["campaign_lists"].get(day, {})
    return is_made and (campaign in run.state.released_lists(day) or marker.exists())


def _keys(day: date, campaign: str) -> dict[str, str]:
    return {"snapshot_date": str(day), "campaign": campaign}

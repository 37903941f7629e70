"""Lists that were handed over: they stay as they are, and what they would be today goes beside them."""

from collections.abc import Collection
from datetime import date

from retail_pipeline.defs.runner import Run
from retail_pipeline.engine import Target
from retail_pipeline.lake.partitions import remove_partition, write_manifest
from retail_pipeline.lake.state import RELEASED_FILE
from retail_pipeline.planning.inputs import inputs_of
from retail_pipeline.planning.manifests import Manifest, schema_fingerprint
from retail_pipeline.tables import TABLES

LISTS, RESTATED = TABLES["campaign_lists"], TABLES["restated_lists"]


def write_list(run: Run, day: date, campaign: str, kept: str, controls: int) -> Manifest:
    """Write a campaign's list of a day, kept by the engine under a name, and return its manifest.

    One that was handed over is left as it is.
    """
    if _is_released(run, day, campaign):
        return _restate(run, day, campaign, kept)
    _remove_restated(run, day, campaign)
    inputs = inputs_of(run.state, run.pipeline.recipe, LISTS.name, day, campaign)
    target = Target(_keys(day, campaign), inputs, {"counts": {"control": controls}}, day)
    return run.engine.make(run.pipeline.lake, LISTS, kept, [target])[0]


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


def _restate(run: Run, day: date, campaign: str, kept: str) -> Manifest:
    lake, keys = run.pipeline.lake, _keys(day, campaign)
    released: Manifest = run.state[LISTS.name][day][campaign]
    run.engine.keep("restated", f'select * from "{kept}" where snapshot_date = $day', {}, day=day)  # noqa: S608
    run.engine.keep("new_restated", RESTATED.name, {"released": [lake.data(LISTS.name, keys)]})
    tally = run.engine.ask("select change, count(*) as n from new_restated group by change").to_pylist()
    tallied = {row["change"]: row["n"] for row in tally}
    if tallied.keys() <= {"same"} and released.schema_fingerprint == schema_fingerprint(LISTS.arrow):
        inputs = inputs_of(run.state, run.pipeline.recipe, LISTS.name, day, campaign)
        # but for words in reasons the rows are those of these inputs too, which the manifest must learn
        released = released.model_copy(update={"inputs": inputs, "code_version": LISTS.code_version})
        write_manifest(lake, released)
        _remove_restated(run, day, campaign)
        return released
    inputs = inputs_of(run.state, run.pipeline.recipe, RESTATED.name, day, campaign)
    counts = {change: tallied.get(change, 0) for change in ("added", "removed", "changed", "same")}
    (made,) = run.engine.make(lake, RESTATED, "new_restated", [Target(keys, inputs, {"counts": counts})])
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

"""raw_transactions: lands files, each a partition of its own."""

from collections.abc import Collection, Iterator, Sequence

import dagster as dg

from retail_pipeline.defs.events import Log, Result, asset_specs, check_specs, log_check
from retail_pipeline.defs.instance import writing_step
from retail_pipeline.defs.jobs import DELIVERIES
from retail_pipeline.defs.resources import Pipeline
from retail_pipeline.defs.runner import Bad, fail_by_name
from retail_pipeline.engine.validation import Failure, counted
from retail_pipeline.ingest.isolation import allowance_of, land_apart
from retail_pipeline.ingest.landing import Landed, Refused
from retail_pipeline.lake.lock import shared_hold
from retail_pipeline.lake.partitions import prepare, read_partition
from retail_pipeline.lake.records import forget, record
from retail_pipeline.lake.set_aside import home_of, settle
from retail_pipeline.planning.arrivals import FileSeen, Refusal, reading, source_of
from retail_pipeline.planning.deliveries import unfit
from retail_pipeline.planning.manifests import Manifest
from retail_pipeline.planning.masking import without_values
from retail_pipeline.planning.plan import landed_file, lying
from retail_pipeline.planning.state import State
from retail_pipeline.tables import TABLES

REMEDY = "`retail-pipeline quarantine show {}` says more, `accept` or `reject` decides"


def landing_assets(pipeline: Pipeline) -> dg.AssetsDefinition:
    files = dg.DynamicPartitionsDefinition(name=pipeline.source_files)

    @dg.multi_asset(
        name="landing",
        specs=asset_specs(pipeline, ["raw_transactions"], files, [pipeline.key(DELIVERIES)]),
        check_specs=check_specs(pipeline, ["raw_transactions"], files),
        can_subset=True,
        backfill_policy=dg.BackfillPolicy.single_run(),
    )
    def land_files(
        context: dg.AssetExecutionContext, pipeline: dg.ResourceParam[Pipeline]
    ) -> Iterator[Result]:
        wanted = {source_of(key): key for key in context.partition_keys}
        with writing_step(context, pipeline) as log:
            prepare(pipeline.lake)
            state = pipeline.state(tuple(pipeline.in_landing()))
            there = lying(state, pipeline.recipe)
            bad: Bad[str] = {
                key: "is no longer in landing: deliver it again"
                for source_id, key in wanted.items()
                if source_id not in there and source_id not in state.landed
            }
            files = [there[s] for s in wanted if s in there]
            bad |= land_all(pipeline, state, sorted(files, key=lambda f: f.path), log)
            state = pipeline.state()
            moved = settle(pipeline.lake, state.landed, state.deliveries)
            for source_id in moved:
                if source_id not in there:
                    log_landed(pipeline, state, state.landed[source_id], log)
            bad |= log_counting(state, {*wanted, *moved} & state.landed.keys(), log)
        yield from log.results()
        fail_by_name(bad, "files")

    return land_files


def land_all(pipeline: Pipeline, state: State, files: Sequence[FileSeen], log: Log) -> Bad[str]:
    """Land files; return those of which nothing could be read, with why, and remember these."""
    settings = pipeline.settings
    bad: Bad[str] = {}
    for outcome in land_apart(
        files,
        settings.landing,
        pipeline.lake,
        settings.reading,
        landed=state.landed,
        allowance=allowance_of(settings.arrival, settings.engine.memory_limit),
        hold=shared_hold(pipeline.lake),
    ):
        file = outcome.file
        if isinstance(outcome, Landed):
            forget(pipeline.lake, Refusal, file.source_id)
            log_landed(pipeline, state, outcome.manifest, log)
        else:
            bad[file.partition_key] = outcome.reason
            unreadable = counted("the file can be read", 1, True, [{"why": outcome.reason}], "files")
            log_check(log, "raw_transactions", "rows_are_readable", file.partition_key, unreadable, {})
        if isinstance(outcome, Refused) and outcome.lasting:
            identity = file.model_dump(exclude={"modified_ns", "second"})
            tried, known = reading(pipeline.recipe.profiles), state.refused.get(file.source_id)
            also = known.names if known and known.tried_with == tried else ()
            also = tuple(name for name in also if name != file.path)
            refusal = Refusal(**identity, also=also, reason=outcome.reason, tried_with=tried)
            record(pipeline.lake, refusal)
        pipeline.on_made("raw_transactions", file.partition_key)
    return bad


def log_landed(pipeline: Pipeline, state: State, manifest: Manifest, log: Log) -> None:
    """Record a landed file, and whether all its rows are accounted for and readable."""
    counts, days = manifest.counts, sorted(manifest.parts)
    source_id, key = manifest.partition["file"], landed_file(manifest).partition_key
    if not unfit(manifest, state.file_decisions.get(source_id), state.limits):
        figures = {
            "dagster/partition_row_count": counts["raw"],
            "unreadable_rows": counts["unreadable"],
            "rows left out": counts.get("left_out", 0),
            "value left out": counts.get("value_left_out", 0),
            "first_day": str(days[0]) if days else "none",
            "last_day": str(days[-1]) if days else "none",
            "path in landing": manifest.arrival.path,
            "remarks": "; ".join(manifest.arrival.remarks) or "none",
            "source_id": source_id,
        }
        log.made("raw_transactions", key, figures)
    lost = abs(counts["rows_read"] - counts["raw"] - counts["unreadable"] - counts.get("left_out", 0))
    accounting = counted("rows read = raw + unreadable rows + rows left out", lost, True)
    log_check(log, "raw_transactions", "no_row_is_lost", key, accounting, counts)
    unreadable = _unreadable(pipeline, state, manifest)
    log_check(log, "raw_transactions", "rows_are_readable", key, unreadable, counts)


def log_counting(state: State, source_ids: Collection[str], log: Log) -> Bad[str]:
    """Record whether landed files count, what they replace and overlap with; return those held back."""
    bad: Bad[str] = {}
    found = state.deliveries
    for source_id in sorted(source_ids, key=lambda s: state.landed[s].arrival.path):
        manifest, held = state.landed[source_id], found.held.get(source_id)
        key = landed_file(manifest).partition_key
        if held and not held.rejected:
            bad[key] = f"{held.why}; {REMEDY.format(source_id)}"
        replaced = [state.landed[s].arrival.path for s, by in found.replaced.items() if by == source_id]
        figures = {
            "days": len(manifest.parts),
            "days that count": sum(source_id in found.by_day.get(day, {}) for day in manifest.parts),
            "lines in other files": sum(overlap.lines for overlap in manifest.arrival.overlaps.values()),
            "replaces": ", ".join(replaced) or "no other file",
        }
        overlapping = _overlapping(state, source_id)
        log_check(log, "raw_transactions", "deliveries_do_not_overlap", key, overlapping, figures)
    return bad


def _overlapping(state: State, source_id: str) -> list[Failure]:
    manifest, held = state.landed[source_id], state.deliveries.held.get(source_id)
    lines = sum(overlap.lines for overlap in manifest.arrival.overlaps.values())
    twins = held.overlaps if held else ()
    samples = [{"file": state.landed[s].arrival.path or s} for s in twins]
    if held and twins:
        holds = not held.rejected
        return counted("no line is in another file that counts", held.lines, holds, samples, "lines")
    return counted("no line is in another file", lines, False, of="lines")


def _unreadable(pipeline: Pipeline, state: State, manifest: Manifest) -> list[Failure]:
    counts, keys = manifest.counts, {"file": manifest.partition["file"]}
    if not counts["unreadable"]:
        return []
    table = TABLES["unreadable_rows"]
    rows = read_partition(home_of(pipeline.lake, table.name, keys), table, keys).slice(0, 5)
    samples = [
        {"source_row": str(row["source_row"]), "reasons": "; ".join(map(without_values, row["reasons"]))}
        for row in rows.select(["source_row", "reasons"]).to_pylist()
    ]
    held = unfit(manifest, state.file_decisions.get(keys["file"]), state.limits)
    blocking = held is not None and not held.rejected
    return counted("every row can be read", counts["unreadable"], blocking, samples)

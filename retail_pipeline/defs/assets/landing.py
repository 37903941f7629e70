"""raw_transactions: lands files, each a partition of its own.

Belongs here: handing the selected files to the landing engine and saying what became of each. Does not belong
here: reading files (``engine/landing.py``), mapping columns (``core/sources.py``).
"""

from collections.abc import Iterable, Iterator

import dagster as dg

from retail_pipeline.core.arrivals import FileSeen
from retail_pipeline.core.manifests import Manifest
from retail_pipeline.core.schema import TABLES
from retail_pipeline.defs.events import Log, asset_spec, check_spec, log_check
from retail_pipeline.defs.partitions import FILES
from retail_pipeline.defs.pipeline import Pipeline
from retail_pipeline.defs.runner import Bad, fail_by_name
from retail_pipeline.engine.landing import Landed, land
from retail_pipeline.engine.listing import list_files
from retail_pipeline.engine.validation import Failure, counted
from retail_pipeline.lake.lock import writing
from retail_pipeline.lake.partitions import prepare, read_partition


def landing_assets(pipeline: Pipeline) -> dg.AssetsDefinition:
    """The asset of landed files."""

    @dg.multi_asset(
        name="landing",
        specs=[asset_spec("raw_transactions", pipeline.lake, FILES)],
        check_specs=[
            check_spec("raw_transactions", "no_row_is_lost", "Rows read = raw + unreadable rows.", FILES),
            check_spec(
                "raw_transactions", "rows_are_readable", "Few or no rows of the file are unreadable.", FILES
            ),
        ],
        can_subset=True,
        backfill_policy=dg.BackfillPolicy.single_run(),
    )
    def land_files(
        context: dg.AssetExecutionContext, pipeline: dg.ResourceParam[Pipeline]
    ) -> Iterator[dg.MaterializeResult[None]]:
        wanted = set(context.partition_keys)
        with writing(pipeline.lake, context.log.info):
            prepare(pipeline.lake)
            seen = {file.partition_key: file for file in list_files(pipeline.settings.landing).files}
            bad: Bad[str] = dict.fromkeys(wanted - seen.keys(), "is no longer in landing: deliver it again")
            bad |= land_all(
                pipeline, [file for key, file in seen.items() if key in wanted], context.log_event
            )
        fail_by_name(bad, "files")
        yield from ()

    return land_files


def land_all(pipeline: Pipeline, files: Iterable[FileSeen], log: Log) -> Bad[str]:
    """Land files; return those that could not be, with why."""
    settings = pipeline.settings
    bad: Bad[str] = {}
    for outcome in land(
        list(files),
        settings.landing,
        pipeline.lake,
        settings.profiles,
        settings.time_zone,
        settings.currency,
        settings.first_day,
        settings.last_day,
        memory_limit=settings.engine.memory_limit,
        threads=settings.engine.threads,
    ):
        key = outcome.file.partition_key
        if isinstance(outcome, Landed):
            log_landed(pipeline, key, outcome.manifest, log)
        else:
            bad[key] = outcome.reason
        pipeline.on_made("raw_transactions", key)
    return bad


def log_landed(pipeline: Pipeline, key: str, manifest: Manifest, log: Log) -> None:
    """Record a landed file: its rows, its days, and whether all its rows are accounted for and readable."""
    counts = manifest.counts
    days = sorted(manifest.parts)
    log(
        dg.AssetMaterialization(
            "raw_transactions",
            partition=key,
            metadata={
                "dagster/partition_row_count": counts["raw"],
                "unreadable_rows": counts["unreadable"],
                "first_day": str(days[0]) if days else "none",
                "last_day": str(days[-1]) if days else "none",
                "source_id": manifest.partition["file"],
            },
        )
    )
    lost = abs(counts["rows_read"] - counts["raw"] - counts["unreadable"])
    accounting = counted("rows read = raw + unreadable rows", lost, True)
    log_check(log, "raw_transactions", "no_row_is_lost", key, accounting, counts)
    log_check(log, "raw_transactions", "rows_are_readable", key, _unreadable(pipeline, manifest), counts)


def _unreadable(pipeline: Pipeline, manifest: Manifest) -> list[Failure]:
    counts = manifest.counts
    if not counts["unreadable"]:
        return []
    rows = read_partition(
        pipeline.lake, TABLES["unreadable_rows"], {"file": manifest.partition["file"]}
    ).slice(0, 5)
    samples = [
        {"source_row": str(row["source_row"]), "reasons": "; ".join(row["reasons"])}
        for row in rows.select(["source_row", "reasons"]).to_pylist()
    ]
    blocking = counts["unreadable"] > pipeline.settings.checks.max_unreadable_share * counts["rows_read"]
    return counted("every row can be read", counts["unreadable"], blocking, samples)

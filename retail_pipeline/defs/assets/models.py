"""segmentation_models: the models in force in a month, trained through the close of the month before.

Belongs here: the month close that a model rests on (its snapshot and assignments), the fit, the JSON. Does
not belong here: the methods (``core/segmentation/``).
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date

import dagster as dg

from retail_pipeline.core.manifests import Manifest, fingerprint, schema_fingerprint
from retail_pipeline.core.planner import close_before, model_inputs
from retail_pipeline.core.segmentation import to_json
from retail_pipeline.defs.assets.snapshots import (
    FEATURES,
    MODELS,
    batches,
    fit_on,
    make_assignments,
    make_features,
)
from retail_pipeline.defs.events import asset_spec, log_made
from retail_pipeline.defs.partitions import MONTH_BEFORE
from retail_pipeline.defs.pipeline import Pipeline
from retail_pipeline.defs.runner import Bad, Run, fail_by_name, make_all
from retail_pipeline.lake.lock import writing
from retail_pipeline.lake.partitions import read_partition, replace_file, write_manifest


def model_assets(pipeline: Pipeline, months: dg.MonthlyPartitionsDefinition) -> dg.AssetsDefinition:
    """The asset of the monthly models."""
    rested_on = dg.AssetDep("customer_days", partition_mapping=MONTH_BEFORE)

    @dg.multi_asset(
        name="models",
        specs=[asset_spec("segmentation_models", pipeline.lake, months, [rested_on])],
        backfill_policy=dg.BackfillPolicy.single_run(),
    )
    def train_models(
        context: dg.AssetExecutionContext, pipeline: dg.ResourceParam[Pipeline]
    ) -> Iterator[dg.MaterializeResult[None]]:
        wanted = [key[:7] for key in context.partition_keys]
        with writing(pipeline.lake, context.log.info), pipeline.engine() as engine:
            run = Run(pipeline, engine, context.log_event, (), pipeline.state())
            bad = train(run, wanted)
        fail_by_name(bad, "months")
        yield from ()

    return train_models


def train(run: Run, months: Sequence[str]) -> Bad[str]:
    """Train months, and make the month closes they rest on.

    Features, then models, then the closes' assignments.
    """
    closes = {close_before(month): month for month in months}
    bad = make_all(list(batches(run, list(closes))), lambda batch: make_features(run, batch))
    for close, month in closes.items():
        if close not in bad:
            make_model(run, month, close)
    bad |= make_assignments(run, [close for close in closes if close not in bad])
    return {closes[close]: f"its month close {close}: {why}" for close, why in bad.items()}


def make_model(run: Run, month: str, close: date) -> None:
    """Fit every segmentation on the month close's features and write one JSON each, the manifest last."""
    lake, names = run.pipeline.lake, run.pipeline.settings.segmentations
    features = read_partition(lake, FEATURES, {"snapshot_date": str(close)})
    texts = {name: to_json(fit_on(run, close, name, features)) for name in names}
    folder = lake.partition(MODELS.name, {"month": month})
    for name, text in texts.items():
        replace_file(lake, folder / f"{name}.json", text.encode())
    for path in set(folder.glob("*.json")) - {folder / f"{name}.json" for name in names}:
        if not path.name.startswith("_"):
            path.unlink()
    manifest = Manifest(
        table=MODELS.name,
        partition={"month": month},
        rows=len(texts),
        content=fingerprint(texts),
        inputs=model_inputs(run.state, run.pipeline.recipe, month),
        code_version=MODELS.code_version,
        schema_fingerprint=schema_fingerprint(MODELS.arrow),
    )
    write_manifest(lake, manifest)
    run.state = replace(run.state, models={**run.state.models, month: manifest})
    log_made(
        run.log,
        lake,
        MODELS.name,
        f"{month}-01",
        len(texts),
        trained_through=str(close),
        customers=len(features),
    )
    run.pipeline.on_made(MODELS.name, month)

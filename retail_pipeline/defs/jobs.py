"""The jobs: landing files, a day from transactions to lists, a month's models, the report."""

from __future__ import annotations

from typing import Any

import dagster as dg

from retail_pipeline.defs.resources import Pipeline
from retail_pipeline.planning import pieces
from retail_pipeline.planning import plan as planner
from retail_pipeline.tables import TABLES

DAY_TABLES = planner.DAY_TABLES
MODEL_TABLES = ("model_candidates", "segmentation_models")
SNAPSHOT_TABLES = planner.SNAPSHOT_TABLES
REPORT_TABLES = tuple(name for name, table in TABLES.items() if table.layer == "reports" and table.is_checked)

DELIVERIES, YESTERDAY, WHOLE = "deliveries", "yesterday_is_there", "lake_is_whole"

LANDING, DAILY, MODELS, REPORTS = "landing_job", "daily_job", "monthly_model_job", "report_job"
LOOKS, DAMAGE = "yesterday_job", "damage_job"
JOB_OF = {pieces.DAYS: DAILY, pieces.MONTHS: MODELS, pieces.SNAPSHOTS: DAILY, pieces.REPORTS: REPORTS}
_ABOUT = {
    LANDING: (("raw_transactions",), "Lands files: one partition a file."),
    DAILY: (
        (*DAY_TABLES, *SNAPSHOT_TABLES),
        "A day: transactions and customer days, then the snapshot, segments and campaign lists.",
    ),
    MODELS: (MODEL_TABLES, "A month's models, with the month close they rest on."),
    REPORTS: (
        (*REPORT_TABLES, "report"),
        "The report of the last day of a range, or of every day if its config says so.",
    ),
}
MAKE_NOTHING = {
    LOOKS: (YESTERDAY, "Asks whether yesterday is there: delivered, made, not held, with its lists."),
    DAMAGE: (WHOLE, "Reads every file of the lake and asks whether it is what its manifest says."),
}


def jobs(pipeline: Pipeline) -> dict[str, Any]:
    """The jobs by name; their runs carry the lake's tag."""
    found = {
        name: dg.define_asset_job(
            name,
            dg.AssetSelection.assets(*map(pipeline.key, tables)),
            description=description,
            tags=pipeline.tags,
        )
        for name, (tables, description) in _ABOUT.items()
    }
    for name, (check, description) in MAKE_NOTHING.items():
        selected = dg.AssetSelection.checks(dg.AssetCheckKey(pipeline.key(DELIVERIES), check))
        found[name] = dg.define_asset_job(name, selected, description=description, tags=pipeline.tags)
    return found

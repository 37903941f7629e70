"""The jobs: landing files, a day from transactions to lists, a month's models.

Belongs here: which assets a job selects. Does not belong here: when it runs (``schedules.py``,
``sensors.py``).
"""

from __future__ import annotations

import dagster as dg

from retail_pipeline.core import planner
from retail_pipeline.core.schema import REPORT, TABLES

DAY_TABLES = planner.DAY_TABLES
MODEL_TABLES = ("model_candidates", "segmentation_models")
SNAPSHOT_TABLES = planner.SNAPSHOT_TABLES
REPORT_TABLES = tuple(name for name, table in TABLES.items() if table.layer == REPORT.layer)

YESTERDAY = dg.AssetCheckKey(dg.AssetKey("deliveries"), "yesterday_is_there")

landing_job = dg.define_asset_job(
    "landing_job",
    dg.AssetSelection.assets("raw_transactions"),
    description="Lands files: one partition a file.",
)
daily_job = dg.define_asset_job(
    "daily_job",
    dg.AssetSelection.assets(*DAY_TABLES, *SNAPSHOT_TABLES),
    description="A day: transactions and customer days, then the snapshot, segments and campaign lists.",
)
monthly_model_job = dg.define_asset_job(
    "monthly_model_job",
    dg.AssetSelection.assets(*MODEL_TABLES),
    description="A month's models, with the month close they rest on.",
)
report_job = dg.define_asset_job(
    "report_job",
    dg.AssetSelection.assets(*REPORT_TABLES, REPORT.name),
    description="The report of the last day of a range, or of every day if its config says so.",
)
WRITING_JOBS = (landing_job, daily_job, monthly_model_job, report_job)
yesterday_job = dg.define_asset_job(
    "yesterday_job",
    dg.AssetSelection.checks(YESTERDAY),
    description="Asks whether yesterday is there: delivered, made, not held, with its lists.",
)
JOBS = (*WRITING_JOBS, yesterday_job)

"""The jobs: landing files, a day from transactions to lists, a month's models.

Belongs here: which assets a job selects. Does not belong here: when it runs (``schedules.py``,
``sensors.py``).
"""

from __future__ import annotations

import dagster as dg

DAY_TABLES = ("transactions", "customer_days")
SNAPSHOT_TABLES = ("rfm_features", "segment_assignments", "campaign_lists")

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
    dg.AssetSelection.assets("segmentation_models"),
    description="A month's models, with the month close they rest on.",
)
JOBS = (landing_job, daily_job, monthly_model_job)

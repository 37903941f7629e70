"""What Dagster loads: ``build_defs`` and the one Definitions object; nothing else.

``build_defs`` takes settings and resources so that tests and the ``retail-pipeline`` command can run the same
graph on another lake.
"""

from __future__ import annotations

from collections.abc import Mapping

import dagster as dg

import retail_pipeline.defs
from retail_pipeline.defs import partitions
from retail_pipeline.defs.assets.daily import daily_assets
from retail_pipeline.defs.assets.freshness import damage_check, deliveries, yesterday_check
from retail_pipeline.defs.assets.landing import landing_assets
from retail_pipeline.defs.assets.models import model_assets
from retail_pipeline.defs.assets.reports import report_assets
from retail_pipeline.defs.jobs import jobs
from retail_pipeline.defs.resources import Pipeline
from retail_pipeline.defs.schedules import schedules
from retail_pipeline.defs.sensors import sensors
from retail_pipeline.settings import Settings, load_settings


def build_defs(settings: Settings, resource_overrides: Mapping[str, object] | None = None) -> dg.Definitions:
    """The whole project under some settings.

    ``resource_overrides`` replaces resources by name; there is one, ``pipeline``
    (``defs.resources.Pipeline``).
    """
    pipeline = Pipeline(settings)
    span = (settings.first_day, settings.last_day, settings.time_zone)
    made = jobs(pipeline)
    days, months = partitions.days(*span), partitions.months(*span)
    return dg.Definitions(
        assets=[
            deliveries(pipeline),
            landing_assets(pipeline),
            daily_assets(pipeline, days),
            model_assets(pipeline, months),
            report_assets(pipeline, days),
        ],
        asset_checks=[yesterday_check(pipeline), damage_check(pipeline)],
        jobs=list(made.values()),
        schedules=schedules(pipeline),
        sensors=sensors(pipeline, made),
        resources={"pipeline": pipeline, **(resource_overrides or {})},
        executor=dg.in_process_executor if settings.executor == "in_process" else dg.multiprocess_executor,
    )


@dg.definitions
def defs() -> dg.Definitions:
    """The project under the settings in force, which are read when Dagster loads it.

    With it what a module in the folder ``defs`` defines: a team's own assets, jobs and sensors join ours by
    lying there. One partitioned by day takes ``defs.partitions.days``; neither ``run`` nor our sensors
    make it.
    """
    return dg.Definitions.merge(
        build_defs(load_settings()), dg.load_definitions_from_package_module(retail_pipeline.defs)
    )

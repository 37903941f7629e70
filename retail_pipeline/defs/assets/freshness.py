"""yesterday_is_there and lake_is_whole, which no run over a day turns green.

The one: whether yesterday was delivered as expected, made, not held, and has its lists. The other: whether
every file of the lake is what its manifest says. Dagster adds to every run over an asset that asset's checks,
so these stand at the deliveries, which no run makes: their own jobs alone ask.
"""

from datetime import datetime, time, timedelta

import dagster as dg

from retail_pipeline.defs.events import said, severity
from retail_pipeline.defs.jobs import DELIVERIES, WHOLE, YESTERDAY
from retail_pipeline.defs.resources import Pipeline
from retail_pipeline.lake.damage import damage
from retail_pipeline.lake.lock import writing
from retail_pipeline.planning.freshness import yesterday_verdict
from retail_pipeline.settings import Settings

BY_DEFAULT = time(7, 30)
MOST_SHOWN = 5


def deadline(settings: Settings) -> time:
    """When the last source should have delivered yesterday, in the business time zone."""
    due = [profile.delivers.by for profile in settings.profiles.values() if profile.delivers]
    return max((by for by in due if by), default=BY_DEFAULT)


def deliveries(pipeline: Pipeline) -> dg.AssetSpec:
    return dg.AssetSpec(
        pipeline.key(DELIVERIES),
        description="The files that the shop's systems put into the landing folder.",
        group_name="landing",
        owners=pipeline.settings.owners,
        kinds={"file"},
        metadata={"dagster/uri": str(pipeline.settings.landing.resolve())},
    )


def yesterday_check(pipeline: Pipeline) -> dg.AssetChecksDefinition:
    """The check, which asks anew at every evaluation what day it is."""
    says = "Yesterday was delivered as expected, is made and not held, and has its lists."

    @dg.asset_check(asset=pipeline.key(DELIVERIES), name=YESTERDAY, description=says)
    def yesterday_is_there(
        context: dg.AssetCheckExecutionContext, pipeline: dg.ResourceParam[Pipeline]
    ) -> dg.AssetCheckResult:
        # what another run is just making is looked at when it is made
        with writing(pipeline.lake, context.log.info):
            return look_at_yesterday(pipeline, datetime.now(pipeline.settings.zone))

    return yesterday_is_there


def damage_check(pipeline: Pipeline) -> dg.AssetChecksDefinition:
    says = "Every file of the lake is there, and is what its manifest says."

    @dg.asset_check(asset=pipeline.key(DELIVERIES), name=WHOLE, description=says)
    def lake_is_whole(
        context: dg.AssetCheckExecutionContext, pipeline: dg.ResourceParam[Pipeline]
    ) -> dg.AssetCheckResult:
        in_landing = {file.source_id for file in pipeline.in_landing()}
        with writing(pipeline.lake, context.log.info):
            found = damage(pipeline.lake, in_landing, is_ours=True)
        return dg.AssetCheckResult(
            passed=not found,
            description="; ".join(found[:MOST_SHOWN]) or None,
            metadata={"damaged": len(found)},
        )

    return lake_is_whole


def look_at_yesterday(pipeline: Pipeline, now: datetime) -> dg.AssetCheckResult:
    """The verdict on the day before ``now``, a time in the business time zone."""
    yesterday = now.date() - timedelta(days=1)
    is_overdue = now.time() >= deadline(pipeline.settings)
    findings = yesterday_verdict(pipeline.state(), pipeline.recipe, yesterday, is_overdue)
    return dg.AssetCheckResult(
        passed=not findings,
        severity=severity(any(finding.fails for finding in findings)),
        description=said(findings),
        metadata={"yesterday": str(yesterday), "deadline": f"{deadline(pipeline.settings):%H:%M}"},
    )

"""The tables of a day, from transactions to campaign lists: one runner over a range of days.

Why one step and not two: a bad day in the first would keep the second from the others of its range.
"""

from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

import dagster as dg

from retail_pipeline.defs.assets.days import make_days
from retail_pipeline.defs.assets.snapshots import make_snapshots
from retail_pipeline.defs.events import Result, asset_specs, check_specs, log_check
from retail_pipeline.defs.instance import writing_step
from retail_pipeline.defs.jobs import DAY_TABLES, SNAPSHOT_TABLES
from retail_pipeline.defs.resources import Pipeline
from retail_pipeline.defs.runner import Bad, Run, fail_by_name
from retail_pipeline.engine.validation import counted
from retail_pipeline.lake.set_aside import settle
from retail_pipeline.planning.plan import stale_snapshots


def daily_assets(pipeline: Pipeline, days: dg.DailyPartitionsDefinition) -> dg.AssetsDefinition:
    """The assets of a day: clean transactions, what each customer did; then features, segments and lists."""
    names = (*DAY_TABLES, *SNAPSHOT_TABLES)

    @dg.multi_asset(
        name="daily",
        specs=asset_specs(pipeline, names, days),
        check_specs=[
            *check_specs(pipeline, names, days),
            dg.AssetCheckSpec(
                "is_up_to_date",
                asset=pipeline.key("rfm_features"),
                description="No snapshot, nor its segments and lists, rests on other data or settings than "
                "there are now.",
            ),
        ],
        can_subset=True,
        backfill_policy=dg.BackfillPolicy.single_run(),
    )
    def make_daily_tables(
        context: dg.AssetExecutionContext, pipeline: dg.ResourceParam[Pipeline]
    ) -> Iterator[Result]:
        selected = {key.path[-1] for key in context.selected_asset_keys}
        wanted = [date.fromisoformat(key) for key in context.partition_keys]
        bad: Bad[date] = {}
        with writing_step(context, pipeline) as log, pipeline.engine() as engine:
            run = Run(pipeline, engine, log, selected, pipeline.state())
            settle(pipeline.lake, run.state.landed, run.state.deliveries)
            if selected & set(DAY_TABLES):
                bad = make_days(run, wanted)
                run.state = pipeline.state()
            if selected & set(SNAPSHOT_TABLES):
                # what is wrong with a day's rows says more than that its lists are missing
                bad = make_snapshots(run, wanted) | bad
            if run.state["rfm_features"]:
                log_stale_snapshots(run)
        yield from log.results()
        fail_by_name(bad, "days" if selected & set(DAY_TABLES) else "snapshots")

    return make_daily_tables


def log_stale_snapshots(run: Run) -> None:
    """Record how many snapshots are stale, whichever tables the run made, and how many lists are restated.

    One event for all of them: a late file may reach back over years of snapshots.
    """
    made, restated = run.state["rfm_features"], sum(map(len, run.state["restated_lists"].values()))
    after_last = max(made) + timedelta(days=1)
    stale = stale_snapshots(run.state, run.pipeline.recipe, date.min, after_last)
    found = counted("every snapshot rests on what there is now", len(stale), False, [], "snapshots")
    figures: dict[str, Any] = {"snapshots": len(made), "released lists with a restated one": restated}
    if stale:
        figures |= {"stale snapshots": len(stale), "first": str(stale[0]), "last": str(stale[-1])}
    log_check(run.log, "rfm_features", "is_up_to_date", None, found, figures)

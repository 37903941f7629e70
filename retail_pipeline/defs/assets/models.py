"""model_candidates and segmentation_models: what was fitted for a month, and what is in force in it."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import date, timedelta
from typing import Any

import dagster as dg
import pyarrow as pa
import pyarrow.compute as pc

from retail_pipeline.defs.assets.snapshots import (
    assigned_file,
    batches,
    customers_of,
    dated,
    features_files,
    keep_segments,
    make_assignments,
    make_features,
)
from retail_pipeline.defs.events import Result, as_metadata, asset_specs, check_specs, log_check, log_made
from retail_pipeline.defs.instance import writing_step
from retail_pipeline.defs.resources import Pipeline
from retail_pipeline.defs.runner import Bad, Run, fail_by_name, make_all
from retail_pipeline.engine import Input
from retail_pipeline.engine.validation import Failure, counted
from retail_pipeline.lake.models import (
    CANDIDATES,
    MODELS,
    model_names,
    read_candidates,
    read_model,
    write_texts,
)
from retail_pipeline.lake.records import records
from retail_pipeline.planning.calendar import close_before, month_of
from retail_pipeline.planning.inputs import (
    SAME_SNAPSHOT,
    candidates_are_current,
    inputs_of,
    lacks_last_day,
    model_source,
    odd_days,
    rests_on_other_data,
    why_not_fitted,
)
from retail_pipeline.planning.masking import as_markdown
from retail_pipeline.segmentation import (
    FittedSegmentation,
    fit_snapshot,
    from_json,
    to_json,
)
from retail_pipeline.segmentation.gates import (
    Candidate,
    ModelDecision,
    Verdict,
    assess,
    candidate_to_json,
    verdict,
)
from retail_pipeline.tables import TABLES

_NOBODY = "select cast(null as varchar) as customer_id, cast(null as varchar) as segment where false"
_MOVED = """
    select n.customer_id, n.segment
    from under_new_model as n
    inner join closed as t on t.customer_id = n.customer_id
    where t.segment <> n.segment"""


def model_assets(pipeline: Pipeline, months: dg.MonthlyPartitionsDefinition) -> dg.AssetsDefinition:
    """The assets of a month's candidates and models."""
    names = (CANDIDATES.name, MODELS.name)

    @dg.multi_asset(
        name="models",
        specs=asset_specs(pipeline, names, months),
        check_specs=check_specs(pipeline, names, months),
        # both are made whatever is selected: one rests on the other
        can_subset=True,
        backfill_policy=dg.BackfillPolicy.single_run(),
    )
    def train_models(
        context: dg.AssetExecutionContext, pipeline: dg.ResourceParam[Pipeline]
    ) -> Iterator[Result]:
        wanted = [key[:7] for key in context.partition_keys]
        with writing_step(context, pipeline) as log, pipeline.engine() as engine:
            run = Run(pipeline, engine, log, (), pipeline.state())
            bad = train(run, wanted)
        yield from log.results()
        fail_by_name(bad, "months")

    return train_models


def train(run: Run, months: Sequence[str]) -> Bad[str]:
    """Fit months, choose who is in force, and make the month closes they rest on.

    Features, then candidates and models (each month's champion is the month before's), then the closes'
    assignments. Where each snapshot is fitted on itself, only the closes are made: nothing would use models.
    No model is fitted while a day that it rests on is held or not made.
    """
    closes = {close_before(month): month for month in months}
    bad = make_all(batches(run, list(closes)), lambda batch: make_features(run, batch))
    decisions = {(d.month, d.segmentation): d for d in records(run.pipeline.lake, ModelDecision)}
    own = run.pipeline.recipe.model_timing == SAME_SNAPSHOT
    unfitted: Bad[str] = {}
    for close, month in closes.items():
        if own or close in bad:
            continue
        why = why_not_fitted(run.state, month)
        if why and not candidates_are_current(run.state, run.pipeline.recipe, month):
            unfitted[month] = why
            continue
        candidates = make_candidates(run, month, close)
        about = {name: decisions.get((month, name)) for name in candidates}
        decided = [
            n for n, decision in about.items() if decision and decision.content == candidates[n].content
        ]
        log_gates(run, month, candidates, decided)
        verdicts = {name: verdict(candidate, about[name]) for name, candidate in candidates.items()}
        make_models(run, month, candidates, verdicts, drawn=month == months[-1])
    for batch in batches(run, [close for close in closes if close not in bad]):
        bad |= make_assignments(run, batch)
    for close, month in closes.items():
        if not own and close not in bad and month not in unfitted:
            log_moves(run, month, close)
    return unfitted | {closes[close]: f"its month close {close}: {why}" for close, why in bad.items()}


def make_candidates(run: Run, month: str, close: date) -> Mapping[str, Candidate]:
    """A month's candidates, one a segmentation: those there are, or fitted on the close and measured."""
    lake, settings = run.pipeline.lake, run.pipeline.settings
    if not candidates_are_current(run.state, run.pipeline.recipe, month):
        customers = customers_of(run, close)
        earlier = month_of(close)
        before = (
            customers_of(run, close_before(earlier)) if earlier in run.state["segmentation_models"] else None
        )
        texts = {}
        for name, parameters in settings.segmentations.items():
            champion = champion_of(run, month, name)
            candidate = dated(fit_snapshot(customers, parameters, champion=champion), close)
            measured = assess(
                month, name, close, candidate, champion, earlier if champion else None, customers,
                settings.models.gates, earlier=before, odd_days=odd_days(run.state, month),
            )  # fmt: skip
            texts[name] = candidate_to_json(measured)
        inputs = inputs_of(run.state, run.pipeline.recipe, CANDIDATES.name, month)
        made = write_texts(lake, CANDIDATES, month, texts, inputs)
        run.state = run.state.having(model_candidates={**run.state["model_candidates"], month: made})
    return read_candidates(lake, month)


def champion_of(run: Run, month: str, name: str) -> FittedSegmentation | None:
    """The model in force in the month before; None in the first month that has models, or for a new name."""
    earlier = month_of(close_before(month))
    had = earlier in run.state["segmentation_models"] and name in model_names(run.pipeline.lake, earlier)
    return read_model(run.pipeline.lake, earlier, name) if had else None


def make_models(
    run: Run, month: str, candidates: Mapping[str, Candidate], verdicts: Mapping[str, Verdict], drawn: bool
) -> None:
    """Put each segmentation's candidate or champion in force, as the verdict says.

    ``drawn``: with the curves of their cards, which take a second to draw.
    """
    lake, texts = run.pipeline.lake, dict[str, str]()
    for name, candidate in candidates.items():
        champion = champion_of(run, month, name) if verdicts[name].in_force == "champion" else None
        texts[name] = to_json(champion or candidate.model)
    made = write_texts(
        lake, MODELS, month, texts, inputs_of(run.state, run.pipeline.recipe, MODELS.name, month)
    )
    run.state = run.state.having(segmentation_models={**run.state["segmentation_models"], month: made})
    models = {name: from_json(text) for name, text in texts.items()}
    lines = ["| segmentation | in force | trained through | customers | why |", "|---|---|---|---:|---|"]
    lines += [
        f"| {name} | {verdicts[name].in_force} | {model.card.trained_through} | {model.card.customers:,} "
        f"| {verdicts[name].why} |"
        for name, model in models.items()
    ]
    figures = _curves(models) if drawn else {}
    table = dg.MetadataValue.md("\n".join(lines))
    log_made(run.log, MODELS.name, f"{month}-01", len(texts), models=table, **figures)
    states = (
        f"the data through {close_before(month)} are those the models were fitted on (data came late or were "
        f"changed: `retail-pipeline model retrain {month}` fits them anew)"
    )
    found = counted(states, int(rests_on_other_data(run.state, month)), False, of="months")
    come = f"the delivery of {close_before(month)} has come (the month is fitted again when it does)"
    found += counted(come, int(lacks_last_day(run.state, month)), False, of="months")
    log_check(run.log, MODELS.name, "models_rest_on_present_data", f"{month}-01", found, {})
    run.pipeline.on_made(MODELS.name, month)


def _curves(models: Mapping[str, FittedSegmentation]) -> Mapping[str, Any]:
    # pandas and matplotlib, which loading the definitions must not bring
    from retail_pipeline.defs.report_data import curves

    return as_metadata(curves(models))


def log_gates(run: Run, month: str, candidates: Mapping[str, Candidate], decided: Collection[str]) -> None:
    """Record a month's candidates, and what their gates measured.

    Red where a gate blocks, unless somebody has decided about the candidate.
    """
    lines = ["| segmentation | gate | measured | limit | |", "|---|---|---:|---:|---|"]
    found: list[Failure] = []
    for name, candidate in candidates.items():
        for m in candidate.measured:
            gate = as_markdown(f"{m.gate} of {m.of}") if m.of else m.gate
            lines.append(
                f"| {name} | {gate} | {m.value:.4g} | {m.limit:g} | {'' if m.passed else 'failed'} |"
            )
            if not m.passed:
                found += counted(f"{name}: {m.words}", 1, m.blocks and name not in decided, of="candidates")
        if not candidate.model.card.customers:
            found += counted(f"{name}: it was fitted on customers", 1, name not in decided, of="candidates")
        elif candidate.model.knows_too_few:
            enough = "it knows enough customers to draw lines between (`guards.fewest`)"
            found += counted(f"{name}: {enough}", 1, False, of="candidates")
    table = dg.MetadataValue.md("\n".join(lines))
    log_made(run.log, CANDIDATES.name, f"{month}-01", len(candidates), gates=table)
    log_check(run.log, CANDIDATES.name, "candidates_pass_their_gates", f"{month}-01", found, {"gates": table})


def log_moves(run: Run, month: str, close: date) -> None:
    """Record who the month's models move on its first day, and who moved since the close before, and why."""
    before, limit = close_before(month_of(close)), run.pipeline.settings.models.max_moved_by_model
    lines = [
        "| segmentation | customers | moved by the new model | since the close before: by orders or returns "
        "| by time | by that month's model |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    found: list[Failure] = []
    for name, manifest in run.state["segment_assignments"][close].items():
        by_new_model = keep_moved_by_model(run, name, [close])
        cells = ["", "", ""]
        if name in run.state["segment_assignments"].get(before, {}):
            then = [assigned_file(run, before, name)]
            keep_moved_by_model(run, name, [before])
            rows = migration(run, name, ("month_close", before), close, then)
            cells = [f"{pc.sum(rows[of]).as_py():,}" for of in ("by_orders", "by_time", "by_model")]
        lines.append(f"| {name} | {manifest.rows:,} | {by_new_model:,} | {' | '.join(cells)} |")
        if by_new_model > limit * manifest.rows:
            states = f"{name}: at most {limit:.0%} of the customers are moved by the model"
            found += counted(states, by_new_model, False, of="customers")
    figures = {f"moves on {month}-01": dg.MetadataValue.md("\n".join(lines))}
    log_check(run.log, MODELS.name, "customers_move_by_themselves", f"{month}-01", found, figures)


def keep_moved_by_model(run: Run, name: str, closes: Iterable[date]) -> int:
    """Have the engine keep as ``moved_by_model`` whom the next month's model moves, and where; how many.

    Each close is judged by itself: its features, under the model in force from the day after on.
    """
    parts = [_NOBODY]
    for n, close in enumerate(closes):
        source = model_source(run.state, run.pipeline.recipe, close + timedelta(1))
        known = source in run.state["segmentation_models"] and name in model_names(run.pipeline.lake, source)
        if known and name in run.state["segment_assignments"].get(close, {}):
            model = read_model(run.pipeline.lake, source, name)
            features = features_files(run, [close])
            keep_segments(
                run, "under_new_model", name, model, features, close, month_close=close, source=source
            )
            run.engine.keep(f"moved_at_close_{n}", _MOVED, {"closed": [assigned_file(run, close, name)]})
            parts.append(f"select customer_id, segment from moved_at_close_{n}")  # noqa: S608 - own names
    run.engine.keep("moved_by_model", " union ".join(parts), {})
    return int(run.engine.ask("select count(*) as n from moved_by_model")["n"][0].as_py())


def migration(run: Run, name: str, compared: tuple[str, date], day: date, then: Input) -> pa.Table:
    """The rows of segment_migration since an earlier day, ``compared``, under one segmentation.

    ``then``: the segments of the earlier day; the engine keeps ``moved_by_model``.
    """
    since = [d for d in run.state.history(day) if d > compared[1]]
    visits = [run.pipeline.lake.data("customer_days", {"date": str(d)}) for d in since]
    return run.engine.ask(
        "segment_migration",
        {
            "segment_assignments": [assigned_file(run, day, name)],
            "rfm_features": features_files(run, [day]),
            "earlier": then,
            "moved_by_model": "moved_by_model",
            "customer_days": visits or TABLES["customer_days"].arrow.empty_table(),
        },
        segmentation=name,
        compared_with=compared[0],
        compared_day=compared[1],
    )

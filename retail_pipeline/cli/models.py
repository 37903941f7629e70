"""The ``model`` commands: which models are in force and why, their SQL, and a person's say in it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.markup import escape
from rich.table import Table as Grid

from retail_pipeline.cli.console import (
    Json,
    LakeFolder,
    SettingsFile,
    err,
    expected_errors,
    out,
    print_json,
    read_settings,
    refuse,
)

if TYPE_CHECKING:
    from retail_pipeline.defs.resources import Pipeline
    from retail_pipeline.planning.state import State
    from retail_pipeline.segmentation import FittedSegmentation
    from retail_pipeline.segmentation.gates import Candidate, Verdict

app = typer.Typer(
    no_args_is_help=True, help="Look at the models of the months, take their SQL, decide about candidates."
)

Month = Annotated[str, typer.Argument(help="The month in force, YYYY-MM.")]
Segmentation = Annotated[str, typer.Option(help="Name of the segmentation.")]
Why = Annotated[str, typer.Option(help="Why; kept with the lake.")]
By = Annotated[str, typer.Option(envvar="USER", help="Who decides.")]


@app.command("list")
def list_models(
    segmentation: Annotated[str | None, typer.Option(help="Only this one.", show_default=False)] = None,
    json: Json = False,
    lake: LakeFolder = None,
    settings: SettingsFile = None,
) -> None:
    """A line a month and segmentation: what is in force, its segments, its gates, what names rest on."""
    from retail_pipeline.lake.models import judged
    from retail_pipeline.planning.inputs import rests_on_other_data

    with expected_errors():
        pipeline = _pipeline(settings, lake)
        state = pipeline.state()
        grid, found = Grid(), []
        for column in ("month", "segmentation", "in force", "segments", "gates", "match", "ARI"):
            grid.add_column(column, no_wrap=column not in ("segments", "gates"))
        for month in sorted(state["model_candidates"]):
            changed = "\n(other data since)" if rests_on_other_data(state, month) else ""
            for name, (candidate, verdict) in judged(pipeline.lake, month).items():
                if name != (segmentation or name):
                    continue
                card = candidate.model.card
                found.append(
                    {
                        "month": month,
                        "segmentation": name,
                        "in_force": verdict.in_force,
                        "needs_person": verdict.needs_person,
                        "segments": card.segments,
                        "failed_gates": [m.words for m in candidate.measured if not m.passed],
                        "rests_on_other_data": bool(changed),
                    }
                )
                costs = [m.cost for m in card.matches if m.cost is not None]
                grid.add_row(
                    month,
                    name,
                    verdict.in_force + changed,
                    escape(", ".join(f"{segment} {n:,}" for segment, n in card.segments.items())),
                    escape("; ".join(m.words for m in candidate.measured if not m.passed) or "all passed"),
                    f"{max(costs):.2f}" if costs else "",
                    "" if candidate.agreement is None else f"{candidate.agreement:.3f}",
                )
        if not grid.rows:
            refuse(
                f"no month of {segmentation or 'any segmentation'} has a model yet: `retail-pipeline run` "
                "trains them from the second month on; until then, or under model_timing: same_snapshot, a "
                "day is fitted on itself"
            )
        if json:
            print_json(found)
            return
        out.print(grid)
        out.print("match: farthest way of a cluster from the champion's, in spreads; ARI: agreement with the")
        out.print("champion on the same customers, 1 is complete")


@app.command()
def show(
    month: Month,
    segmentation: Segmentation,
    as_json: Annotated[bool, typer.Option("--json", help="The stored model in force, as it is.")] = False,
    lake: LakeFolder = None,
    settings: SettingsFile = None,
) -> None:
    """A month's model: what is in force and why, its candidate's gates, its card."""
    from retail_pipeline.lake.models import read_model
    from retail_pipeline.segmentation import to_json

    with expected_errors():
        pipeline = _pipeline(settings, lake)
        candidate, verdict = _of_month(pipeline, month, segmentation)
        if as_json:
            out.print(to_json(read_model(pipeline.lake, month, segmentation)), markup=False, end="")
            return
    card = candidate.model.card
    out.print(f"{month} {escape(segmentation)}: {escape(verdict.why)}")
    out.print(f"candidate trained through {candidate.trained_through} on {card.customers:,} customers")
    for name, size in card.segments.items():
        out.print(f"  {escape(name)}: {size:,}")
    for m in candidate.measured:
        colour = "green" if m.passed else "red" if m.blocks else "yellow"
        out.print(f"  [{colour}]{'passed' if m.passed else 'failed'}[/{colour}] {escape(m.words)}")
    if candidate.agreement is not None:
        out.print(f"agreement with the champion of {candidate.champion_month}: {candidate.agreement:.3f}")
    for note in (*card.notes, *candidate.notes):
        out.print(f"note: {escape(note)}")


@app.command()
def sql(
    segmentation: Segmentation,
    month: Annotated[str | None, typer.Option(help="Month in force. Default: the last.")] = None,
    dialect: Annotated[
        str,
        typer.Option(help="duckdb, spark or postgres (the tests run these); snowflake, bigquery or trino."),
    ] = "duckdb",
    lake: LakeFolder = None,
    settings: SettingsFile = None,
) -> None:
    """Print a query over one snapshot of rfm_features that gives what the model gives, for a warehouse."""
    from retail_pipeline.segmentation import to_sql

    with expected_errors():
        model = _in_force(_pipeline(settings, lake), month, segmentation)
        try:
            text = to_sql(model, dialect)
        except ValueError as error:
            refuse(str(error))
    out.print(text, markup=False)


def _decision(word: Literal["promote", "reject"]) -> Callable[..., None]:
    def decide(
        month: Month,
        segmentation: Segmentation,
        why: Why,
        by: By = "unknown",
        lake: LakeFolder = None,
        settings: SettingsFile = None,
    ) -> None:
        from retail_pipeline.lake.lock import writing
        from retail_pipeline.lake.records import record
        from retail_pipeline.segmentation.gates import ModelDecision

        with expected_errors():
            pipeline = _pipeline(settings, lake)
            with writing(pipeline.lake, err.print):
                candidate, _ = _of_month(pipeline, month, segmentation)
                about = {"month": month, "segmentation": segmentation, "content": candidate.content}
                path = record(pipeline.lake, ModelDecision(**about, verdict=word, why=why, by=by))
        out.print(
            f"the candidate of {month} for {escape(segmentation)} is {word.removesuffix('e')}ed ({path}); "
            "`retail-pipeline run` now makes what rests on it"
        )

    return decide


app.command(
    "promote", help="Put a candidate in force though a gate refused it. Holds for this candidate only."
)(_decision("promote"))
app.command(
    "reject",
    help="Keep the champion though the candidate passed its gates. Holds against this candidate only.",
)(_decision("reject"))


@app.command()
def retrain(
    why: Why,
    month: Annotated[
        str | None, typer.Argument(help="The month in force, YYYY-MM.", show_default=False)
    ] = None,
    changed: Annotated[
        bool, typer.Option("--changed", help="Every month whose data have changed since it was fitted.")
    ] = False,
    by: By = "unknown",
    lake: LakeFolder = None,
    settings: SettingsFile = None,
) -> None:
    """Fit months anew on the data as they are now: promoted models do not change by themselves."""
    from retail_pipeline.lake.lock import writing
    from retail_pipeline.lake.records import record
    from retail_pipeline.planning.calendar import close_before
    from retail_pipeline.planning.decisions import ModelRetrain
    from retail_pipeline.planning.inputs import rests_on_other_data

    with expected_errors():
        if (month is None) != changed:
            refuse("say which month, or --changed for every month whose data have changed")
        pipeline = _pipeline(settings, lake)
        with writing(pipeline.lake, err.print):
            state = pipeline.state()
            months = [month] if month else state["model_candidates"]
            wanted = [m for m in months if month or rests_on_other_data(state, m)]
            for chosen in wanted:
                _refuse_unknown(state, chosen)
                content = state["rfm_features"][close_before(chosen)].content
                record(pipeline.lake, ModelRetrain(month=chosen, rfm_features=content, why=why, by=by))
    if not wanted:
        out.print("no month rests on data that have changed")
        return
    out.print(f"{', '.join(wanted)}: `retail-pipeline run` fits anew, with the months that rest on them")


def _pipeline(settings: SettingsFile, lake: LakeFolder) -> Pipeline:
    from retail_pipeline.defs.resources import Pipeline

    return Pipeline(read_settings(settings, lake=lake))


def _of_month(pipeline: Pipeline, month: str, name: str) -> tuple[Candidate, Verdict]:
    from retail_pipeline.lake.models import judged

    _refuse_unknown(pipeline.state(), month)
    found = judged(pipeline.lake, month)
    if name not in found:
        refuse(f"{month} has no model for {name}; its segmentations are {', '.join(found)}")
    return found[name]


def _refuse_unknown(state: State, month: str) -> None:
    if month not in state["model_candidates"]:
        months = sorted(state["model_candidates"])
        known = f"{months[0]} to {months[-1]}" if months else "none"
        refuse(
            f"no models were trained for {month}; months with models: {known} (`retail-pipeline run "
            "--through` a day of the month trains them)"
        )


def _in_force(pipeline: Pipeline, month: str | None, name: str) -> FittedSegmentation:
    from retail_pipeline.lake.models import read_model, read_own_model

    state = pipeline.state()
    if name not in pipeline.settings.segmentations:
        known = ", ".join(sorted(pipeline.settings.segmentations))
        refuse(f"{name} is not switched on; the segmentations are {known}")
    if month:
        _refuse_unknown(state, month)
    chosen = month or max(state["segmentation_models"], default=None)
    if chosen:
        return read_model(pipeline.lake, chosen, name)
    days = [day for day, made in state["segment_assignments"].items() if name in made]
    if not days:
        refuse("nothing is fitted yet: `retail-pipeline run` first")
    return read_own_model(pipeline.lake, max(days), name)

"""What ``retail-pipeline explain`` knows of one customer: the rows, what was made of them, and why.

The id is the caller's own; nobody else's is given out.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import takewhile
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from retail_pipeline.defs.resources import Pipeline
from retail_pipeline.engine import Engine, EngineError
from retail_pipeline.engine.duckdb import connect
from retail_pipeline.lake.partitions import Lake, LakeError
from retail_pipeline.lake.suppression import SuppressionError, read_suppressed
from retail_pipeline.planning.calendar import close_before
from retail_pipeline.planning.inputs import BOOTSTRAP, SAME_SNAPSHOT
from retail_pipeline.planning.plan import is_current, odd_ids_that_hold, plan
from retail_pipeline.planning.state import State
from retail_pipeline.settings import Settings, recipe
from retail_pipeline.tables import TABLES

Row = Mapping[str, Any]
# what stands of a customer's day
COUNTS, AMOUNTS = ("orders", "lines", "units"), ("gross_amount", "returned_amount", "net_amount")

_DAYS = "select * from customer_days where customer_id = $customer order by date"
_LINES = """
    select date, source_id, min(currency) as currency, count(*) as lines
    from transactions where customer_id = $customer group by date, source_id order by date, source_id"""
_REFUSED = """
    select date, source_id, source_row, invoice_id, product_id, quantity, unit_price, amount, reasons
    from rejected_rows where trim(customer_id) = $customer order by date, source_id, source_row"""
_UNREADABLE = """
    select source_id, source_row, reasons
    from unreadable_rows where regexp_matches(payload, $pattern) order by source_id, source_row"""
_FILES = "select source_id, path from landed_files order by path"
_FEATURES = "select * from rfm_features where customer_id = $customer"
_SEGMENTS = "select * from segment_assignments where customer_id = $customer order by segmentation"
_LISTS = "select * from campaign_lists where customer_id = $customer order by campaign"
_OBJECTED = "select 1 from suppressed where customer_id = $customer"


class ExplainError(ValueError):
    """There is nothing to explain: no lake, no snapshot of the day, or nobody of that name."""


@dataclass(frozen=True)
class Explanation:
    """One customer as of the end of one day; ``docs/cli.md`` says what stands in each part.

    ``features`` is None when the customer is not in the snapshot, ``on_no_list`` when on a list.
    """

    customer_id: str
    day: date
    currency: str | None
    notes: tuple[str, ...]
    features: Mapping[str, Row] | None
    segments: Sequence[Row]
    lists: Sequence[Row]
    on_no_list: str | None
    days: Sequence[Row]
    left_out_days: Sequence[Row]
    files: Sequence[Row]
    rejected_rows: Sequence[Row]
    unreadable_rows: Sequence[Row]


@dataclass(frozen=True)
class _Search:
    """Where one customer's rows are looked for."""

    engine: Engine
    settings: Settings
    state: State
    day: date
    customer: str

    @property
    def lake(self) -> Lake:
        return Lake(self.settings.lake)

    def rows(self, sql: str, table: str, partitions: Iterable[Mapping[str, str]]) -> list[dict[str, Any]]:
        paths = [self.lake.data(table, keys) for keys in partitions]
        if not paths:
            return []
        answer = self.engine.ask(sql, {table: paths}, customer=self.customer, pattern=self.as_a_field)
        return list(answer.to_pylist())

    @property
    def as_a_field(self) -> str:
        """A pattern of the id as a whole field of a row's text, be it delimited or JSON."""
        delimiters = {p.delimiter or "" for p in self.settings.profiles.values()}
        ends = re.escape("".join(sorted({'"', *",;|\t", *delimiters})))
        return rf"(^|[{ends}])\s*{re.escape(self.customer)}([.]0)?\s*($|[{ends}])"


def explain(settings: Settings, customer: str, day: date) -> Explanation:
    """Everything the lake holds on one customer as of the end of a day, and what follows from it.

    Reads the manifests, and of the data only the partitions up to the day and the day's own snapshot.

    Raises:
        ExplainError: there is no lake, no snapshot of the day, or no row of the customer up to the day.
        LakeError, EngineError: a partition cannot be read.
    """
    lake = Lake(settings.lake)
    if not lake.root.is_dir():
        raise ExplainError(
            f"there is no lake {lake.root}: `retail-pipeline run` makes it; or name another with --lake or "
            "the setting `lake`"
        )
    for _ in range(2):
        # a run may take away what the state said was there
        with suppress(LakeError, EngineError):
            return _looked_up(settings, Pipeline(settings).state(), customer, day)
    return _looked_up(settings, Pipeline(settings).state(), customer, day)


def _looked_up(settings: Settings, state: State, customer: str, day: date) -> Explanation:
    if day not in state["rfm_features"]:
        raise ExplainError(_not_made(state, day))
    memory, threads = settings.engine.memory_limit, settings.engine.threads
    with TemporaryDirectory() as spill, connect(memory, threads, Path(spill)) as engine:
        for spelling in _spellings(customer):
            if found := _explained(_Search(engine, settings, state, day, spelling)):
                return found
    raise ExplainError(
        f"nothing up to {day} is of a customer {customer!r}; the snapshot of {day} has "
        f"{state['rfm_features'][day].rows:,} customers. Ids are matched as the lake writes "
        "them; anonymous sales belong to nobody"
    )


def _not_made(state: State, day: date) -> str:
    if state.first_day is None or day < state.first_day:
        return f"{day} is before the first delivery, {state.first_day or 'of which there is none'}"
    made = sorted(state["rfm_features"])
    nearest = [str(d) for d in (*[d for d in made if d < day][-1:], *[d for d in made if d > day][:1])]
    return (
        f"the snapshot of {day} is not made; the nearest made are {' and '.join(nearest) or 'none'}; "
        f"`retail-pipeline run --through {day}` makes it"
    )


def _spellings(customer: str) -> list[str]:
    """The id as typed, and without what a spreadsheet adds (as ``lake/suppression.py`` reads ids)."""
    bare = re.sub(r"^([0-9]+)[.]0$", r"\1", customer.strip())
    return list(dict.fromkeys(name for name in (customer, bare) if name))


def _explained(search: _Search) -> Explanation | None:
    state, day = search.state, search.day
    counted = [str(d) for d in state.history(day)]
    made = [str(d) for d in sorted(state["transactions"]) if state.first_day and state.first_day <= d <= day]
    delivered = [
        source_id
        for source_id, landed in state.counting.items()
        if landed.counts["unreadable"] and (not landed.parts or min(landed.parts) <= day)
    ]
    of_day = {"snapshot_date": str(day)}

    def named(table: str, key: str) -> list[dict[str, str]]:
        return [of_day | {key: name} for name in state[table].get(day, {})]

    days = search.rows(_DAYS, "customer_days", ({"date": d} for d in counted))
    lines = search.rows(_LINES, "transactions", ({"date": d} for d in made))
    refused = search.rows(_REFUSED, "rejected_rows", ({"date": d} for d in made))
    unreadable = search.rows(_UNREADABLE, "unreadable_rows", ({"file": s} for s in delivered))
    features = search.rows(_FEATURES, "rfm_features", [of_day])
    if not (days or lines or refused or unreadable or features):
        return None
    segments = search.rows(_SEGMENTS, "segment_assignments", named("segment_assignments", "segmentation"))
    lists = search.rows(_LISTS, "campaign_lists", named("campaign_lists", "campaign"))
    sources = sorted({row["source_id"] for row in (*lines, *refused, *unreadable)})
    landed = search.rows(_FILES, "landed_files", ({"file": source_id} for source_id in sources))
    paths = {row["source_id"]: row["path"] for row in landed}
    objection = _objection(search)
    return Explanation(
        customer_id=search.customer,
        day=day,
        currency=min((row["currency"] for row in lines), default=search.settings.currency),
        notes=tuple(_notes(search, bool(features), objection if lists else None)),
        features=_described(features[0]) if features else None,
        segments=[_segment(search, row) for row in segments],
        lists=[_on_list(search, row) for row in lists],
        on_no_list=None if lists else _why_on_none(search, segments, objection),
        days=[_day(search, row) for row in days],
        left_out_days=_left_out(search, lines, set(counted)),
        files=_files(paths, lines, refused, unreadable),
        rejected_rows=[{"path": paths[row["source_id"]], **row} for row in refused],
        unreadable_rows=[{"path": paths[row["source_id"]], **row} for row in unreadable],
    )


def _only(row: Row, *names: str) -> dict[str, Any]:
    return {name: row[name] for name in names}


def _notes(search: _Search, in_snapshot: bool, against_lists: str | None) -> Iterator[str]:
    day = search.day
    again = f"`retail-pipeline run --through {day}` makes it anew"
    if _is_stale(search):
        yield f"deliveries or settings have changed since this snapshot was made; {again}"
    if not in_snapshot:
        yield f"not in the snapshot, and so in no segment: no sale of this customer up to {day} was accepted"
    if against_lists:
        yield f"on lists that would not be made today: {against_lists}; {again}"


def _is_stale(search: _Search) -> bool:
    state, settings, day = search.state, recipe(search.settings), search.day
    work = plan(state, settings, day)
    # a month close has no lists, and is not stale for that
    return bool(
        work.days
        or work.months
        or (day in work.snapshots and state["campaign_lists"].get(day))
        or not is_current(state, settings, "rfm_features", day)
    )


def _described(row: Row) -> dict[str, Row]:
    """A snapshot's row with the meaning and unit of each feature."""
    return {
        column.name: {"value": row[column.name], "unit": column.unit, "meaning": column.meaning}
        for column in TABLES["rfm_features"].columns
        if column.name != "customer_id"
    }


def _segment(search: _Search, row: Row) -> Row:
    kept = ("segmentation", "segment", "score", "reason", "previous_segment", "segment_since")
    return _only(row, *kept) | {"model": _model(search, row["segmentation"], row["model_month"])}


def _model(search: _Search, segmentation: str, source: str) -> Row:
    """The model behind an assignment.

    A month that kept the model of the month before has the same bytes: it is in force since the first.
    """
    if source in (BOOTSTRAP, SAME_SNAPSHOT):
        own = {"snapshot_date": str(search.day), "segmentation": segmentation}
        path = search.lake.partition("segment_assignments", own) / "_model.json"
        return {"month": source, "in_force_since": None, "trained_through": search.day, "path": str(path)}

    def file(month: str) -> Path:
        return search.lake.partition("segmentation_models", {"month": month}) / f"{segmentation}.json"

    try:
        content = file(source).read_bytes()
    except OSError as error:
        raise LakeError(
            f"{file(source)} cannot be read ({error.strerror}): `retail-pipeline check` says how to mend it"
        ) from error
    earlier = sorted((m for m in search.state["segmentation_models"] if m <= source), reverse=True)
    since = min(
        takewhile(lambda month: file(month).exists() and file(month).read_bytes() == content, earlier)
    )
    return {
        "month": source,
        "in_force_since": since,
        "trained_through": close_before(since),
        "path": str(file(source)),
    }


def _on_list(search: _Search, row: Row) -> Row:
    manifest = search.state["campaign_lists"][search.day][row["campaign"]]
    path = str(search.lake.data("campaign_lists", manifest.partition))
    kept = _only(row, "campaign", "segment", "arm", "rank", "offer", "channel", "reason")
    return kept | {"customers": manifest.rows, "path": path}


def _objection(search: _Search) -> str | None:
    """Why nobody may write to the customer, or to anybody; None when nothing is known against it."""
    file = search.settings.suppression
    try:
        suppressed = read_suppressed(file, search.day)
    except SuppressionError as error:
        return str(error)
    found = search.engine.ask(_OBJECTED, {"suppressed": suppressed}, customer=search.customer)
    return f"the customer objected: the suppression file {file.path} has the id" if file and found else None


def _why_on_none(search: _Search, segments: Sequence[Row], objection: str | None) -> str:
    state, day = search.state, search.day
    if held := state.held_lately(day):
        return f"no lists for {day}: {', '.join(map(str, held))} held or not made"
    if odd := odd_ids_that_hold(state, recipe(search.settings), day):
        return f"no lists for {day}: {'; '.join(odd)}"
    if objection:
        return objection
    if not state["campaign_lists"].get(day):
        return f"no lists are made for {day}; `retail-pipeline run --through {day}` makes them"
    if not segments:
        return "the customer is in no segment"
    mine = {row["segmentation"]: row["segment"] for row in segments}
    campaigns = search.settings.campaigns_in_force
    if meant := [n for n, c in campaigns.items() if mine.get(c.segmentation) in c.segments]:
        return f"the lists were made from other settings or objections; now {', '.join(meant)} would apply"
    of = "; ".join(f"{name} {segment}" for name, segment in mine.items())
    return f"no campaign in force is for the customer's segments: {of}"


def _day(search: _Search, row: Row) -> Row:
    window = search.settings.features.window_days
    in_window = window is None or row["date"] > search.day - timedelta(days=window)
    return _only(row, "date", *COUNTS, *AMOUNTS) | {"in_window": in_window}


def _left_out(search: _Search, lines: Sequence[Row], counted: set[str]) -> list[Row]:
    out = Counter[date]()
    for row in lines:
        if str(row["date"]) not in counted:
            out[row["date"]] += row["lines"]
    return [
        {"date": d, "lines": n, "why": "held" if search.state.is_held(d) else "not made"}
        for d, n in out.items()
    ]


def _files(
    paths: Mapping[str, str], lines: Sequence[Row], refused: Sequence[Row], unreadable: Sequence[Row]
) -> list[Row]:
    return [
        {
            "path": path,
            "source_id": source_id,
            "lines": sum(row["lines"] for row in lines if row["source_id"] == source_id),
            "rejected": sum(row["source_id"] == source_id for row in refused),
            "unreadable": sum(row["source_id"] == source_id for row in unreadable),
        }
        for source_id, path in paths.items()
    ]


def as_json(explanation: Explanation) -> str:
    """The explanation as JSON; money and quantities are numbers, days are texts."""
    return json.dumps(asdict(explanation), indent=2, ensure_ascii=False, default=_plain)


def _plain(value: object) -> object:
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, date | datetime):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} has no JSON")

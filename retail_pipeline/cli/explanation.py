"""What ``retail-pipeline explain`` prints for a person: one customer on a page of 100 columns."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

from rich.box import SIMPLE_HEAD
from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.table import Table as Grid
from rich.text import Text

from retail_pipeline.cli.explain import AMOUNTS, COUNTS, Explanation, Row
from retail_pipeline.planning.inputs import BOOTSTRAP, SAME_SNAPSHOT

MOST_ROWS = 12
_ARMS = {"treatment": "treatment: gets the offer", "control": "control: held out, gets nothing"}


def print_explanation(console: Console, found: Explanation) -> None:
    """Print everything; of a long table the last rows and the sums."""

    def show(title: str, *parts: RenderableType) -> None:
        console.print(Text(f"\n{title}", "bold"))
        for part in parts:
            console.print(Padding(part, (0, 0, 0, 2), expand=False), soft_wrap=False)

    console.print(Text.assemble("customer ", (found.customer_id, "bold"), f" as of {found.day}"))
    for note in found.notes:
        console.print(Text(f"! {note}", "yellow"), soft_wrap=False)
    if found.features:
        show("features", _features(found))
    if found.segments:
        show("segments", *(_named(row["segmentation"], _segment(row)) for row in found.segments))
    lists = [_named(row["campaign"], _on_list(row)) for row in found.lists]
    show("campaign lists", *lists, *([Text(found.on_no_list)] if found.on_no_list else []))
    if found.days:
        show(f"days the features are made from: {len(found.days):,}", _days(found))
    if found.left_out_days:
        out = [[str(row["date"]), f"{row['lines']:,}", row["why"]] for row in found.left_out_days]
        show("days left out", _table(("date", "lines>", "why"), out))
    if found.files:
        headers = ("file", "source_id", "lines>", "rejected>", "unreadable>")
        counts = ("lines", "rejected", "unreadable")
        files = [[r["path"], r["source_id"], *(f"{r[name]:,}" for name in counts)] for r in found.files]
        show(f"files with lines of the customer: {len(files):,}", _table(headers, files))
    if found.rejected_rows:
        headers = ("date", "file", "invoice", "product", "refused by")
        rejected = [
            [str(r["date"]), _place(r), r["invoice_id"] or "", r["product_id"] or "", ", ".join(r["reasons"])]
            for r in found.rejected_rows
        ]
        show(f"rejected rows: {len(rejected):,}", _table(headers, rejected))
    if found.unreadable_rows:
        unreadable = [[_place(row), "; ".join(row["reasons"])] for row in found.unreadable_rows]
        title = f"unreadable rows with the id as a field: {len(unreadable):,}"
        show(title, _table(("file", "why"), unreadable))


def _features(found: Explanation) -> RenderableType:
    grid = Grid.grid(padding=(0, 2))
    for name, feature in (found.features or {}).items():
        unit = found.currency or "" if feature["unit"] == "currency" else feature["unit"]
        value = Text(_shown(feature["value"]), justify="right")
        grid.add_row(name, value, unit, Text(feature["meaning"], "dim"))
    return grid


def _shown(value: object) -> str:
    if isinstance(value, Decimal):
        return f"{value:,.2f}"
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M}"
    return "none" if value is None else f"{value:,}"


def _named(name: str, text: Text) -> RenderableType:
    grid = Grid.grid(padding=(0, 2))
    grid.add_column(width=max(16, len(name)), no_wrap=True)
    grid.add_row(Text(name), text)
    return grid


def _segment(row: Row) -> Text:
    score = "" if row["score"] is None else f", score {row['score']:.4g}"
    before = f"{row['previous_segment'] or 'no segment'} at the month close before"
    since = f"; in {row['segment']} since the close {row['segment_since']}" if row["segment_since"] else ""
    segment = (row["segment"] + score, "bold")
    return Text.assemble(segment, f"\n{row['reason']}\n{before}{since}\n{_model(row['model'])}")


def _model(model: Row) -> str:
    own = "model fitted on the day's own snapshot"
    if model["month"] == BOOTSTRAP:
        return f"{own}: the first month has no month before it (bootstrap)"
    if model["month"] == SAME_SNAPSHOT:
        return f"{own} (model_timing: same_snapshot)"
    kept = "" if model["in_force_since"] == model["month"] else f", still in force in {model['month']}"
    return f"model of {model['in_force_since']}{kept}; trained through {model['trained_through']}"


def _on_list(row: Row) -> Text:
    place = f"rank {row['rank']:,} of {row['customers']:,} for being {row['segment']}"
    return Text.assemble((_ARMS[row["arm"]], "bold"), f"\n{row['offer']} by {row['channel']}; {place}")


def _table(
    headers: Sequence[str], rows: Sequence[Sequence[str]], total: Sequence[str] = ()
) -> RenderableType:
    """The last rows, and their sums at the foot; a header that ends in ``>`` is of numbers."""
    grid = Grid(box=SIMPLE_HEAD, pad_edge=False, show_edge=False, show_footer=bool(total))
    for header, foot in zip(headers, total or [""] * len(headers), strict=True):
        name, bold = header.removesuffix(">"), Text(foot, "bold")
        grid.add_column(name, bold, justify="right" if header != name else "left", overflow="fold")
    if len(rows) > MOST_ROWS:
        grid.add_row(Text(f"… {len(rows) - MOST_ROWS:,} more", "dim"))
    for row in rows[-MOST_ROWS:]:
        grid.add_row(*map(Text, row))
    return grid


def _days(found: Explanation) -> RenderableType:
    def cells(row: Row) -> list[str]:
        counts = [f"{Decimal(row[name]).normalize():,f}" for name in COUNTS]
        return [*counts, *(_shown(row[name]) for name in AMOUNTS)]

    rows = [[str(row["date"]), *cells(row), "yes" if row["in_window"] else "no"] for row in found.days]
    sums = {name: sum((row[name] for row in found.days), Decimal()) for name in (*COUNTS, *AMOUNTS)}
    gross = f"gross {found.currency}>" if found.currency else "gross>"
    headers = ("date", "orders>", "lines>", "units>", gross, "returned>", "net>", "in window")
    return _table(headers, rows, ["in all", *cells(sums), ""])


def _place(row: Row) -> str:
    return f"{row['path']} row {row['source_row']:,}"

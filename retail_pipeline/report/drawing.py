"""What every figure is drawn on: a sheet of fixed size, labels and cells at points, SVG and PNG out of it.

A sheet is PHONE points wide, a little less than a phone's screen has pixels, so its text is never smaller
there than it is here, and it grows on a desktop. The layout is fixed: nothing is measured, so nothing depends
on the fonts of the machine.
"""

from __future__ import annotations

import html
import io
import re
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from retail_pipeline.report.palette import FAINT, INK, MUTED, PAPER, RAMP, on

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PHONE = 322.0
LABELS = 94.0
SMALL, TEXT = 8.4, 9.4
PNG_DPI = 84
# more columns than this, and a cell's text is a little smaller
WIDE = 8
TITLE_WIDTH = 50
# letters that fit a line of the labels left of the rows
LETTERS = 18

STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": TEXT,
    "text.color": INK,
    "text.parse_math": False,  # a product may be called "2 for $5, 3 for $7"
    "path.simplify": False,
    "svg.fonttype": "none",
    "svg.hashsalt": "retail_pipeline",
}

# where a label's x and y lie: both in data; a row's at the left edge; a column's at the bottom or the top
_PLACES: dict[str, Any] = {
    "data": "data",
    "row": ("axes fraction", "data"),
    "column": ("data", "axes fraction"),
}
Pair = tuple[float, float]


@dataclass(frozen=True)
class Drawing:
    """A figure with what it says (title), and what one who cannot see it should know (alt).

    ``of`` is the segmentation it shows, where it shows one.
    """

    name: str
    title: str
    alt: str
    figure: Figure
    of: str = ""

    @property
    def heading(self) -> str:
        return f"{self.of}: {self.title}" if self.of else self.title


@contextmanager
def style() -> Iterator[None]:
    """The look of all figures, while they are drawn and while they are written."""
    import matplotlib as mpl

    with mpl.rc_context(STYLE):
        yield


def _unclipped(figure: Figure) -> None:
    """Take the clipping off: the limits come from the data, so there is nothing to clip."""
    for axes in figure.axes:
        for artist in (*axes.patches, *axes.lines, *axes.collections, *axes.artists):
            artist.set_clip_on(False)


def svg(drawing: Drawing) -> str:
    """The figure as an SVG element for a page: the page's typeface, no title, the alt text as its label."""
    _unclipped(drawing.figure)
    with style(), io.StringIO() as written:
        drawing.figure.savefig(written, format="svg", transparent=True, metadata={"Date": None})
        text = written.getvalue()
    opening, _, body = text[text.index("<svg") :].partition(">")
    view = opening.partition('viewBox="')[2].partition('"')[0]
    body = re.sub(r"<(metadata|style)\b.*?</\1>", "", body, flags=re.S)
    body = re.sub(r'<g id="[^"]*">', "<g>", body)
    # widths are laid out for DejaVu Sans, which is wider than any typeface the page may have
    body = body.replace(" font-family: 'DejaVu Sans';", "")
    label = html.escape(f"{drawing.heading}. {drawing.alt}")
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
        f'viewBox="{view}" role="img" aria-label="{label}">{body.strip()}'
    )


def png(drawing: Drawing) -> bytes:
    from matplotlib.transforms import Bbox

    _unclipped(drawing.figure)
    figure, lines = drawing.figure, textwrap.wrap(drawing.heading, TITLE_WIDTH)
    width, height = figure.get_size_inches()
    head = (12 * len(lines) + 8) / 72
    bold: dict[str, Any] = {"size": 9.5, "weight": "bold", "va": "bottom", "linespacing": 1.15}
    with style(), io.BytesIO() as written:
        title = figure.text(0.01, 1 + 4 / 72 / height, "\n".join(lines), **bold)
        figure.savefig(
            written,
            format="png",
            dpi=PNG_DPI,
            facecolor=PAPER,
            metadata={"Software": None},
            bbox_inches=Bbox([[0, 0], [width, height + head]]),
        )
        title.remove()
        return written.getvalue()


def sheet(height: float) -> Figure:
    from matplotlib.figure import Figure

    return Figure(figsize=(PHONE / 72, height / 72))


def panel(figure: Figure, left: float, top: float, width: float, height: float, x: Pair, y: Pair) -> Axes:
    """Axes without frame and ticks, placed in points from the sheet's upper left corner."""
    tall = figure.get_size_inches()[1] * 72
    axes = figure.add_axes((left / PHONE, 1 - (top + height) / tall, width / PHONE, height / tall))
    axes.set_axis_off()
    axes.set_xlim(*x)
    axes.set_ylim(*y)
    return axes


def rows_panel(
    figure: Figure, left: float, top: float, width: float, height: float, rows: int, x: Pair
) -> Axes:
    """Axes whose rows are 0, 1, … from the top, each ``height`` points high."""
    return panel(figure, left, top, width, height * rows, x, (rows - 0.5, -0.5))


def matrix(figure: Figure, left: float, top: float, columns: int, rows: int, height: float) -> Axes:
    """Axes for cells, columns counted from the left and rows from the top, out to the sheet's right edge."""
    return rows_panel(figure, left, top, PHONE - left - 2, height, rows, (-0.5, columns - 0.5))


def label(
    axes: Axes,
    text: str,
    at: Pair,
    shift: Pair = (0, 0),
    where: Literal["data", "row", "column"] = "data",
    align: str = "left",
    **more: Any,
) -> None:
    """A text at a place, shifted by points; ``where`` says what the place's two numbers mean."""
    look = {"size": SMALL, "ha": align, "va": "center", "linespacing": 1.05, "annotation_clip": False, **more}
    axes.annotate(text, at, shift, xycoords=_PLACES[where], textcoords="offset points", **look)


def note(figure: Figure, left: float, top: float, text: str) -> None:
    tall = figure.get_size_inches()[1] * 72
    figure.text(left / PHONE, 1 - top / tall, text, size=SMALL, va="top", color=MUTED, linespacing=1.05)


def row_labels(axes: Axes, names: Sequence[str], **more: Any) -> None:
    for row, name in enumerate(names):
        size = TEXT if len(name) < LETTERS else SMALL
        label(axes, wrapped(name), (0, row), (-6, 0), "row", "right", **{"size": size, **more})


def column_labels(axes: Axes, names: Sequence[str], above: bool = False, **more: Any) -> None:
    """A name below (above) each column; a break in what is below starts a new line."""
    look = {"va": "bottom" if above else "baseline", "color": MUTED, "size": SMALL, **more}
    size = look["size"]
    for column, name in enumerate(names):
        shifts = [4] if above else [-3 - size, -4 - 2 * size]
        for line, shift in zip([name] if above else name.split("\n"), shifts, strict=False):
            label(axes, line, (column, int(above)), (0, shift), "column", "center", **look)


def wrapped(name: str, width: int = LETTERS) -> str:
    """A name in two lines of at most so many letters; what does not fit is left out."""
    return "\n".join(textwrap.wrap(name, width, max_lines=2, placeholder="…")) or name


def shades(values: Sequence[float] | pd.Series[float]) -> list[str]:
    """A colour for each value, darker with its square root, so that small ones differ too."""
    from matplotlib.colors import LinearSegmentedColormap, to_hex

    ramp = LinearSegmentedColormap.from_list("ramp", RAMP)
    parts = np.sqrt(np.clip(np.asarray(values, dtype="float64"), 0, None))
    most = parts.max(initial=0.0) or 1.0
    return [to_hex(ramp(float(part / most))) for part in parts]


def cell(axes: Axes, column: float, row: float, colour: str, text: str = "", **more: Any) -> None:
    """One cell of a matrix, with its text in ink or paper, whichever reads better."""
    frame(axes, column, row, column, row, facecolor=colour, edgecolor=PAPER, linewidth=1.2)
    size = SMALL - 0.7 * (axes.get_xlim()[1] > WIDE)
    look = {"size": size, "color": on(colour), "ha": "center", "va": "center", **more}
    axes.text(column, row, text, **look)


def frame(axes: Axes, left: float, top: float, right: float, bottom: float, **look: Any) -> None:
    from matplotlib.patches import Rectangle

    # add_artist, not add_patch: the limits are set, and working them out again takes most of the time
    axes.add_artist(Rectangle((left - 0.5, top - 0.5), right - left + 1, bottom - top + 1, **look))


def baseline(axes: Axes, vertical: bool = False) -> None:
    (axes.axvline if vertical else axes.axhline)(0, color=FAINT, linewidth=0.8)

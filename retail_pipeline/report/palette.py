"""The colours of the report: one for each segment, the same in every figure and table.

The hues are those of Okabe and Ito (Color Universal Design, 2008), told apart under every common colour
vision deficiency, with lighter and darker relatives where a method has more segments than hues. Blue and
green stand for those who buy, yellow for those between, orange and red for those who slip away, grey for the
gone. No figure relies on colour alone: names and numbers stand beside it.
"""

from __future__ import annotations

from collections.abc import Sequence

from retail_pipeline.segmentation import LAPSED

INK = "#1d2733"
MUTED = "#5d6875"
FAINT = "#d9dee4"
PAPER = "#ffffff"
EMPTY = "#f4f6f8"
ACCENT, PALE_ACCENT, ALARM = "#0a5c8f", "#8fb9d3", "#d55e00"
RAMP = (PAPER, "#dcebf5", "#a9cfe6", "#63a7cf", "#2a7fb0", ACCENT, "#003f6b")

DEEP_BLUE, BLUE, SKY = "#003f6b", "#0072b2", "#56b4e9"
GREEN, MINT = "#009e73", "#8fd3bd"
YELLOW, SAND = "#f0e442", "#c9a227"
ORANGE, VERMILION, WINE = "#e69f00", "#d55e00", "#8c2d4f"
PURPLE = "#cc79a7"
GREY, PALE = "#9aa3ad", "#c9ced5"

KNOWN = {
    "behaviour": {
        "DELIGHT": DEEP_BLUE,
        "PAMPER": BLUE,
        "UPSELL": SKY,
        "REWARD": GREEN,
        "RETAIN": SAND,
        "NURTURE": YELLOW,
        "RE-ENGAGE": VERMILION,
    },
    "spend_profile": {
        "VIP": DEEP_BLUE,
        "Regular, Mid-Spending": SKY,
        "Occasional, Higher Order Value": GREEN,
        "Infrequent, Low Spenders": ORANGE,
    },
    "value_score": {"High Value": DEEP_BLUE, "Mid Value": SKY, "Low Value": ORANGE},
    "rfm_grid": {
        "Champions": DEEP_BLUE,
        "Loyal Customers": BLUE,
        "Potential Loyalists": SKY,
        "New Customers": GREEN,
        "Promising": MINT,
        "Need Attention": YELLOW,
        "About To Sleep": ORANGE,
        "At Risk": VERMILION,
        "Can't Lose Them": WINE,
        "Hibernating": GREY,
    },
    "spend_tiers": {
        "High-value": DEEP_BLUE,
        "One-time Big Buyer": PURPLE,
        "Mid-tier": SKY,
        "Low-spending": ORANGE,
    },
}
_CYCLE = (DEEP_BLUE, SKY, GREEN, YELLOW, VERMILION, PURPLE, BLUE, MINT, SAND, WINE, ORANGE, GREY)


def colours(method: str, names: Sequence[str]) -> dict[str, str]:
    """The colour of each segment name of one segmentation, in the order of ``names``.

    A name the method is known by has its colour; names of a shop's own take those left, in order, and begin
    again when there are more names than colours.
    """
    known = {name: colour for name, colour in KNOWN.get(method, {}).items() if name in names}
    left = [colour for colour in _CYCLE if colour not in known.values()] or list(_CYCLE)
    own = [name for name in names if name not in known and name != LAPSED]
    given = {name: left[i % len(left)] for i, name in enumerate(own)}
    return {**{name: (known | given).get(name, PALE) for name in names}, LAPSED: PALE}


def on(colour: str) -> str:
    """Ink or paper, whichever reads better on a colour (relative luminance of WCAG 2.1)."""
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return INK if luminance > 0.2 else PAPER

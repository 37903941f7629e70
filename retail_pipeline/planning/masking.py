"""What of a delivery may be shown in messages, alerts, events, logs and records: names, and no values."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

SHOWN_CHARACTERS = 2
MOST_NAMES = 40
LONGEST_NAME = 60
_WHY = "has it lost its header, or is it no table at all?"
_IN_NAMES = frozenset(" _-./()[]#%€$£&+*:?'\u2019\"")
# no name of a column, but an id, a year with a month, a telephone number
_LONG_NUMBER = re.compile(r"\d{4}")
_QUOTED = re.compile(r"'.*'|\".*\"", re.DOTALL)
# what a Markdown reader would take for more than text
_MARKED = re.compile(r"([\\`*\[\]|~$&<>])")


def looks_like_name(text: str) -> bool:
    """True when a text may be the name of a column or sheet, rather than a value that stands there."""
    return (
        0 < len(text) <= LONGEST_NAME
        and any(char.isalpha() for char in text)
        and all(char in _IN_NAMES or unicodedata.category(char)[0] in "LMN" for char in text)
        and not _LONG_NUMBER.search(text)
    )


def shown_columns(header: Sequence[str]) -> str:
    """The columns of a header, for a message: by name, if all of it looks like a header.

    A number, a date or an e-mail address among them shows that it is a row of data.
    """
    names = [name for name in header if looks_like_name(name)]
    is_data = any(
        "@" in name or (any(map(str.isdigit, name)) and not any(map(str.isalpha, name))) for name in header
    )
    odd = sum(map(bool, header)) - len(names)
    if is_data or not names or odd > len(names):
        if len(header) == 1:
            return f"its one column, whose name does not look like a name ({_WHY})"
        return f"its {len(header)} columns, whose names do not look like names ({_WHY})"
    hidden = len(names) - MOST_NAMES + odd if len(names) > MOST_NAMES else odd
    return f"the columns {', '.join(names[:MOST_NAMES])}" + (f" and {hidden:,} more" if hidden else "")


def shown_names(names: Sequence[str]) -> str:
    return ", ".join(name if looks_like_name(name) else "***" for name in names[:MOST_NAMES])


def without_values(message: str) -> str:
    """A message with what it quotes as ``***``: for what a delivery holds comes in quotes."""
    return plain(_QUOTED.sub("'***'", message))


def plain(text: str) -> str:
    """A text without control characters, which could steer a terminal or turn its letters around."""
    return "".join(
        char
        if unicodedata.category(char) not in ("Cc", "Cf", "Cs", "Zl", "Zp") or char in "\n\t"
        else "\ufffd"
        for char in text
    )


def as_markdown(text: str) -> str:
    """A text as Markdown that shows it as it is, on one line."""
    return _MARKED.sub(r"\\\1", " ".join(plain(text).split())).replace("://", "&#58;//")


def mask(customer_id: str) -> str:
    """A customer id as it may be shown: ``17850`` is ``17***``, and of fewer than five characters none is."""
    shown = SHOWN_CHARACTERS if len(customer_id) > 2 * SHOWN_CHARACTERS else 0
    return customer_id[:shown] + "*" * (len(customer_id) - shown)

"""The columns of a file's sample, as a draft looks at them: their names, cells, and what those look like."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from types import MappingProxyType

from sqlglot import exp

from retail_pipeline.ingest.profiles.dialects import number_of
from retail_pipeline.ingest.profiles.draft_words import CODES
from retail_pipeline.ingest.profiles.ids import literal
from retail_pipeline.ingest.profiles.profile import DIALECT, parsed

MONEY = ("unit_price", "amount")
NUMBERS = ("quantity", *MONEY)
MOSTLY = 0.9  # of a sample, where the rest is taken for what a shop writes there once in a while
_LOOKS = 0.75  # of a column's texts, where the rest are mistakes that will be unreadable
_UNIT = r"(?:[A-Z]{3}|[Kk]r\.?|Fr\.?|zł|R\$|[$£€¥₹₺₽])"
NUMBER = re.compile(rf"[-+(]?\s*{_UNIT}?\s*[-+(]?\s*(?:\d[\d.,'\u2019\s]*|[.,]\d+)[-)]?\s*{_UNIT}?\s*[-)]?")
ZONED = re.compile(r":[\d.]+ *(?:[+-]\d|Z)")
PLAIN_ISO = re.compile(r"\d{4}[/-]\d")
NUMERIC_DATE = re.compile(r"(\d{1,4}[./-]\d{1,2}[./-]\d{1,4}|(?:19|20)\d\d[01]\d[0-3]\d)(?!\d)")
MONTHS = MappingProxyType(
    {r"\d{1,2} [A-Z][a-z]{2} \d{4}": "%d %b %Y", r"[A-Z][a-z]{2} \d{1,2}, \d{4}": "%b %d, %Y"}
)
_KINDS: Mapping[str, Callable[[str], object]] = MappingProxyType(
    {
        "date": re.compile("|".join((NUMERIC_DATE.pattern, *MONTHS))).match,
        "time": re.compile(r"\d{1,2}:\d{2}(:\d{2})?").fullmatch,
        "email": re.compile(r"[^@\s]+@[^@\s]+\.[A-Za-z]{2,}").fullmatch,
        "code": CODES.__contains__,
        "seconds": re.compile(r"1\d{9}(\d{3})?").fullmatch,
        "number": NUMBER.fullmatch,
    }
)
_NUMBER_KINDS = frozenset({"number", "seconds"})
# what a column must look like; an id may look like anything but a date or a time
MAY_BE = MappingProxyType(
    {
        "sold_at": frozenset({"date", "seconds"}),
        "time": frozenset({"time"}),
        "currency": frozenset({"code"}),
        "description": frozenset({"text", "number", "code"}),
        "country": frozenset({"text", "code"}),
    }
    | dict.fromkeys(NUMBERS, _NUMBER_KINDS)
)
ID = frozenset({"text", "number", "seconds", "email", "code"})
Style = tuple[str, str] | None


@dataclass(frozen=True)
class Column:
    """A column of the sample: its name as it stands and compact, its cells by row, what they look like."""

    name: str
    compact: str
    cells: tuple[str, ...]
    kind: str

    @cached_property
    def texts(self) -> list[str]:
        """The cells that are filled."""
        return [cell for cell in self.cells if cell]

    @property
    def reference(self) -> str:
        """The column's name as an expression writes it."""
        try:
            expression = parsed(self.name)
        except ValueError:
            expression = exp.null()
        bare = isinstance(expression, exp.Column) and expression.sql(DIALECT) == self.name
        return self.name if bare else exp.column(self.name, quoted=True).sql(DIALECT)

    def numbers(self, style: tuple[str, str]) -> list[Decimal | None]:
        """What the cells are worth without their signs."""
        return [number_of(cell, style) for cell in self.cells]


Found = dict[str, Column]


@dataclass(frozen=True)
class Fact:
    """A field of the profile, or one of its columns, as YAML.

    With a question it is a comment, unless it ``stands`` all the same: to take it blindly could be wrong
    without a sign of it. Without a value it is a remark; ``said`` is what to know about it.
    """

    name: str
    value: str
    question: str = ""
    stands: bool = False
    said: str = ""

    def __str__(self) -> str:
        """Its line of YAML, with what is asked or said as a comment."""
        question = "".join(char if char.isprintable() else " " for char in self.question)
        if not self.value:
            return f"# ? {self.name}: {question}"
        remark = f"  # ? {question}" if question else f"  # {self.said}" if self.said else ""
        return f"{'# ' if question and not self.stands else ''}{self.name}: {self.value}{remark}"


def columns_of(
    names: Sequence[str], rows: Sequence[Sequence[str | None]], second: Sequence[str] = ()
) -> list[Column]:
    """The columns that an expression can name: those whose name is not empty and stands once.

    ``second`` are those of a second file, called ``file.COLUMN``.
    """
    columns = []
    for n, name in enumerate(names):
        if name and names.count(name) == 1:
            cells = tuple((row[n] or "").strip() if n < len(row) else "" for row in rows)
            said = name.partition(".")[2] if name in second else name
            columns.append(Column(name, compact_name(said), cells, kind_of([cell for cell in cells if cell])))
    return columns


def compact_name(name: str) -> str:
    """A name in small letters and digits only; without accents and what stands in parentheses."""
    plain = unicodedata.normalize("NFKD", re.sub(r"[(\[].*?[)\]]", "", name))
    return "".join(c for c in plain.casefold() if c.isascii() and c.isalnum())


def kind_of(texts: Sequence[str]) -> str:
    """What most of these texts look like; ``empty`` without any."""
    if not texts:
        return "empty"
    fits = (
        kind for kind, looks in _KINDS.items() if sum(map(bool, map(looks, texts))) >= _LOOKS * len(texts)
    )
    return next(fits, "text")


def plain_number(expression: str, style: tuple[str, str]) -> str:
    """A number's text as expressions need it: no thousands mark, and a point before the decimals."""
    for mark, plain in ((style[1], ""), (style[0], ".")):
        if mark not in ("", plain):
            expression = f"replace({expression}, {literal(mark)}, '{plain}')"
    return expression


def lines_of_orders(column: Column, found: Found) -> list[list[str]]:
    """The column's cells in each order of several lines."""
    orders: dict[str, list[str]] = {}
    for invoice, cell in zip(found["invoice_id"].cells, column.cells, strict=True):
        orders.setdefault(invoice, []).append(cell)
    return [cells for cells in orders.values() if len(cells) > 1]


def scalar(text: str, expression: bool = False) -> str:
    """A text as YAML writes it: plain where nothing else can be read into it, otherwise in single quotes."""
    pattern = _EXPRESSION if expression else r"[A-Za-z_][A-Za-z0-9_]*"
    if re.fullmatch(pattern, text) and text.casefold() not in _WORDS:
        return text
    if not text.isprintable():
        plain = (c if c.isprintable() and c not in '"\\' else f"\\U{ord(c):08x}" for c in text)
        return f'"{"".join(plain)}"'
    return "'" + text.replace("'", "''") + "'"


_WORDS = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null"})
# an expression has no comment, no mapping and no line break in it
_EXPRESSION = r"[A-Za-z_(](?:[\w ()'\",./%|$+*=<>\[\]-]|:(?! |$))*(?<! )"

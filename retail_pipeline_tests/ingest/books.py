"""A shop's books, and files of them in every style that shops write: made apart from the product's code."""

from __future__ import annotations

import codecs
import gzip
import io
import json
import zipfile
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from functools import partial
from random import Random
from typing import Any
from xml.sax.saxutils import escape
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.parquet as pq
import zstandard

Cells = dict[str, Any]


@dataclass(frozen=True)
class Line:
    """One line of an order as the books have it: ``sold_at`` in business time, without a zone."""

    invoice_id: str
    product_id: str
    description: str | None
    quantity: Decimal
    unit_price: Decimal | None
    amount: Decimal | None
    sold_at: datetime
    customer_id: str | None
    country: str | None
    currency: str


COLUMNS = tuple(column.name for column in fields(Line))
NUMBERS = ("quantity", "unit_price", "amount")
_SIGNS = {"EUR": "€", "GBP": "£", "USD": "$", "JPY": "¥", "INR": "₹", "TRY": "₺"}

# ids that stay as they are, whatever they look like
_IDS = (
    "00123", "0", "7", "17850", "536365", "C-0103", "c-0103", "C0103", "2024-01-05", "05/03/2024", "1,234",
    "A;B", "A,B", "A|B", 'A"B', "O'Neil", "Ann Lee", "ann.lee@example.com", "Ann.Lee@Example.com", "Jürg",
    "Škoda", "Łódź", "日本-1", "مرحبا", "😀1", "\u00e9t\u00e9", "+4917012345", "#1001", "(12)", "1/2", "true",
    "0x1F", "1_2", "NaN-3", "Nullmann", "12345678901234567890123", "4006381333931", "1.2.3", "A--B", "@x",
    "v1:1", "ÄÖÜ", "a" * 60, "12-", "x=1", "no", "T", "Z9",
)  # fmt: skip
_NOBODY = ("", "", "", "NULL", "nan", "None", "\\N", "#N/A", "n/a", "-")
_WESTERN = ("Müller", "Café", "Señor", "naïve", "Größe", "crème brûlée")
_NAMES = {
    "utf-8": ("Müller", "Dvořák", "Łukasz", "Ñandú", "O\u2019Brien", "Ωmega", "Иван", "李", "Café"),
    "cp1252": (*_WESTERN, "Çelik", "Ørsted", "O\u2019Brien"),
    "latin-1": (*_WESTERN, "Ørsted"),
    "cp850": (*_WESTERN, "Käse"),
    "cp1250": ("Dvořák", "Łukasz", "Kovács", "Őrség", "Čapek", "Žižka", "Müller", "Żubr", "Größe", "Tomáš"),
}
_WORDS = ("Tee", "red mug", "Box 2x3", "A4 pad", "5 kg rice", "12,50 bag", "T-shirt", "50% off", "NULL cup")
_HOSTILE = (
    'a "quoted" word', '"', '""', '"all"', "tail ", " head", "a,b", "a;b", "a\tb", "a|b", "two\nlines",
    "two\r\nlines", "three\n\nlines\n", "one\rreturn", '"\n"', '",\n"', ';";', "-", "=1+1", "#N/A?", "\\",
    "\\n", 'back\\"slash', "a\u00a0b", "e\u0301", "\u202babc", "\U0001f469\u200d\U0001f467", "\u2028sep",
    "a\x0bb", "a\x0cb", "a\x85b", "sep=;", "Summe", "2024-01-01", "1.5", "''", "'x'", "None?", "x" * 300,
    "\u200b.", "é" * 20, ",", ";;;",
)  # fmt: skip
_PREAMBLE = (
    "Export of the shop",
    "",
    "from 1 to 31; all",
    "printed: 2024-03-05 10:00",
    '"Till 3, first floor"',
)
_HEADINGS = {
    "invoice_id": ("bill", "Invoice No", "order.id", "Beleg-Nr.", "N° ticket"),
    "product_id": ("sku", "Item code", "Artikel", "ean"),
    "description": ("title", "Item; name", "Text", "item_name"),
    "quantity": ("qty", "Quantity sold", "Menge", "units"),
    "unit_price": ("price", "Price, each", "Preis"),
    "amount": ("total", "Line Total", "Betrag"),
    "sold_at": ("sold", "Order Date", "Datum"),
    "customer_id": ("who", "Customer ID", "Kunde", "buyer.id"),
    "country": ("land", "Ship Country"),
    "currency": ("cur", "Currency Code"),
}


@dataclass(frozen=True)
class Entry:
    """A line as it is written: well, or with dirt in it, so that it cannot, or need not, be read.

    ``line`` is what it may be read as (None: as nothing at all); ``must`` says that it must be. ``odd`` are
    texts that stand in place of columns' own; ``damage`` is done to the record as a whole.
    """

    line: Line | None
    written: Line
    must: bool = True
    odd: Mapping[str, str] = field(default_factory=dict)
    damage: str = ""


@dataclass(frozen=True)
class Style:
    """One way to write files.

    ``profile`` is a complete profile of it, as a person would write it who knows all about the files;
    ``lines`` makes up some that can be written so, ``write`` writes them as one file. ``takes`` are the
    columns that any text can stand in which the file ``holds``.
    """

    kind: str
    suffix: str
    profile: dict[str, Any]
    business_zone: str
    lines: Callable[[Random, int], list[Line]]
    write: Callable[[Random, Sequence[Entry]], bytes]
    takes: tuple[str, ...]
    holds: Callable[[str], bool]


# lines


def _moment(chance: Random, floor: timedelta, zones: Sequence[str]) -> datetime:
    """A moment that every one of these zones' clocks shows once."""
    while True:
        moment = datetime(2012, 1, 1) + timedelta(seconds=chance.randrange(14 * 365 * 86400))  # noqa: DTZ001
        if chance.random() < 0.2:
            moment = moment.replace(hour=chance.choice((0, 12, 23)), minute=0, second=0)
        moment -= (moment - datetime(1970, 1, 1)) % floor  # noqa: DTZ001
        if all(_is_plain(moment, zones[0], zone) for zone in zones):
            return moment


def _near(chance: Random, near: datetime, spread: int, clock: _Clock, zone: str) -> datetime:
    """A moment at most so many days after another one."""
    for _ in range(20):
        moment = near + timedelta(days=chance.randint(0, spread), seconds=chance.randint(0, 30000))
        moment -= (moment - datetime(1970, 1, 1)) % clock.floor  # noqa: DTZ001
        if all(_is_plain(moment, zone, other) for other in (zone, *clock.zones)):
            return moment
    return near


def _is_plain(moment: datetime, business_zone: str, zone: str) -> bool:
    absolute = moment.replace(tzinfo=ZoneInfo(business_zone))
    there = absolute.astimezone(ZoneInfo(zone)).replace(tzinfo=None)
    twice = {there.replace(tzinfo=ZoneInfo(zone), fold=fold).utcoffset() for fold in (0, 1)}
    back = there.replace(tzinfo=ZoneInfo(zone)).astimezone(ZoneInfo(business_zone)).replace(tzinfo=None)
    return len(twice) == 1 and back == moment


def elsewhere(moment: datetime, business_zone: str, zone: str) -> datetime:
    """What the clock of a zone shows at a moment of business time."""
    return moment.replace(tzinfo=ZoneInfo(business_zone)).astimezone(ZoneInfo(zone))


def _text(chance: Random, codec: str, holds: Callable[[str], bool]) -> str | None:
    kind = chance.random()
    if kind < 0.1:
        return None
    name = f"{chance.choice(_NAMES.get(codec, _NAMES['utf-8']))} {chance.randint(1, 99)}"
    found = chance.choice(_HOSTILE) if kind < 0.45 else name if kind < 0.7 else chance.choice(_WORDS)
    return found if holds(found) else chance.choice(_WORDS)


def _id(chance: Random, holds: Callable[[str], bool]) -> str:
    if chance.random() < 0.4 and holds(found := chance.choice(_IDS)):
        return found
    return chance.choice(("{:d}", "{:06d}", "C-{:04d}", "K{:d}x")).format(chance.randint(0, 99999))


def _decimal(chance: Random, places: int, most: int) -> Decimal:
    digits = chance.randint(0, places)
    return Decimal(chance.randint(0, chance.choice((9, 200, 5000, most)) * 10**digits)).scaleb(-digits)


# numbers


@dataclass(frozen=True)
class _Numbers:
    decimal: str
    thousands: str
    lakhs: bool
    minus: str
    sign: str
    places: int | None

    def text(self, chance: Random, value: Decimal, money: bool) -> str:
        whole, _, part = f"{abs(value):f}".partition(".")
        if self.places is not None and money:
            part = part.rstrip("0").ljust(self.places, "0")
        if self.thousands and chance.random() < 0.8:
            whole = self._grouped(whole)
        digits = whole + (self.decimal + part if part else "")
        if not part and chance.random() < 0.05 and self.decimal:
            digits += self.decimal + "0"
        if value < 0:
            sign = self.sign if money else ""
            return {
                "before": f"-{sign}{digits}", "after": f"{digits}-", "parentheses": f"({digits})",
                "blank": f"- {digits}", "signed": f"{sign}-{digits}",
            }[self.minus]  # fmt: skip
        if money and self.sign and chance.random() < 0.8:
            return chance.choice((f"{self.sign}{digits}", f"{digits} {self.sign}", f"{self.sign} {digits}"))
        return f"+{digits}" if chance.random() < 0.03 else digits

    def _grouped(self, whole: str) -> str:
        head, groups = whole[:-3], [whole[-3:]]
        size = 2 if self.lakhs else 3
        while head:
            groups.insert(0, head[-size:])
            head = head[:-size]
        return self.thousands.join(groups)


_PLAIN = _Numbers(".", "", lakhs=False, minus="before", sign="", places=None)


def _numbers(chance: Random, currency: str, holds: Callable[[str], bool]) -> _Numbers:
    decimal = chance.choice(".,")
    thousands = chance.choice([*("", "", ",", ".", "'", " "), "\u00a0", "\u2019", "\u202f"])
    if thousands == decimal or not holds(thousands):
        thousands = ""
    sign = _SIGNS.get(currency, "") if chance.random() < 0.3 else ""
    return _Numbers(
        decimal,
        thousands,
        lakhs=chance.random() < 0.15,
        minus=chance.choice(("before", "before", "after", "parentheses", "blank", "signed")),
        sign=sign if holds(sign) else "",
        places=chance.choice((None, 2, 4)),
    )


_MARK = {"\u00a0": " ", "\u202f": " ", "\u2019": "'"}


# moments


@dataclass(frozen=True)
class _Clock:
    """How a moment is written: the cells of one line, its finest step, and what a profile says of it."""

    cells: Callable[[datetime], tuple[Any, ...]]
    floor: timedelta
    columns: tuple[str, ...]
    profile: dict[str, Any]
    expression: str | None = None
    zones: tuple[str, ...] = ()


def _clock(chance: Random, business_zone: str) -> _Clock:
    kind = chance.random()
    second, minute, tokyo = timedelta(seconds=1), timedelta(minutes=1), {"time_zone": "Asia/Tokyo"}
    if kind < 0.5:
        return _numeric(chance, business_zone)
    zone = chance.choice((business_zone, "UTC", "America/New_York", "Asia/Kolkata", "Pacific/Auckland"))

    def there(moment: datetime) -> datetime:
        return elsewhere(moment, business_zone, zone)

    if kind < 0.65:
        parting, form = chance.choice("T "), chance.choice(("", " "))

        def offset(moment: datetime) -> str:
            shown = there(moment).isoformat(parting)
            if zone == "UTC" and chance.random() < 0.5:
                return shown[:19] + "Z"
            return shown[:19] + form + (shown[19:] if chance.random() < 0.7 else shown[19:-3] + shown[-2:])

        extra = chance.choice(({}, tokyo))
        return _Clock(lambda m: (offset(m),), second, ("at",), {"date_order": None} | extra, zones=(zone,))
    if kind < 0.75:
        # epoch_ms gives a time without a zone: that of the profile, which says UTC
        factor, expression, extra = chance.choice(
            (
                (1000, 'epoch_ms(cast("{at}" as bigint))', {"time_zone": "UTC"}),
                (1, 'to_timestamp(cast("{at}" as double))', {}),
                (1, 'to_timestamp(cast("{at}" as double))', tokyo),
            )
        )

        def since_1970(moment: datetime) -> tuple[str]:
            return (str(int(elsewhere(moment, business_zone, "UTC").timestamp() * factor)),)

        return _Clock(since_1970, second, ("at",), extra, expression, ("UTC",))
    said = {"time_zone": zone} if zone != business_zone else {}
    if kind < 0.85:
        day, time = chance.choice(("%Y%m%d", "%d.%m.%Y", "%m/%d/%Y")), chance.choice(("%H%M", "%H:%M"))
        expression = f"strptime(\"{{day}}\" || ' ' || \"{{time}}\", '{day} {time}')"

        def apart(moment: datetime) -> tuple[str, ...]:
            return there(moment).strftime(day), there(moment).strftime(time)

        return _Clock(apart, minute, ("day", "time"), said, expression, (zone,))
    if kind < 0.93:
        form = chance.choice(("%d %b %Y %H:%M", "%B %d, %Y %H:%M:%S", "%d-%b-%y %I:%M %p"))
        expression, floor = f"strptime(\"{{at}}\", '{form}')", minute
    else:
        form, floor, said = chance.choice(("%Y-%m-%d %H:%M:%S%z", "%d/%m/%Y %H:%M:%S %z")), second, tokyo
        expression = f"try_strptime(\"{{at}}\", '{form}'), try_strptime(\"{{at}}\", '%Y-%m-%d %H:%M:%S%z')"
        expression = f"coalesce({expression})"
    return _Clock(lambda m: (there(m).strftime(form),), floor, ("at",), said, expression, (zone,))


def _typed_clock(chance: Random, business_zone: str, kind: str) -> _Clock | None:
    """Moments as values of their own type; None where a format has none, or shows them as texts."""
    if kind == "json" or chance.random() < 0.3:
        return None
    zone = chance.choice((business_zone, "America/New_York"))
    said: dict[str, Any] = {"time_zone": zone} if zone != business_zone else {}
    second, kinds = timedelta(seconds=1), chance.random()
    if kinds < 0.3:
        return _Clock(lambda m: (m.date(),), timedelta(days=1), ("at",), said)
    if kind == "parquet" and kinds < 0.6:
        return _Clock(lambda m: (elsewhere(m, business_zone, "UTC"),), second, ("at",), said, zones=("UTC",))

    def there(moment: datetime) -> tuple[datetime]:
        return (elsewhere(moment, business_zone, zone).replace(tzinfo=None),)

    return _Clock(there, second, ("at",), said, zones=(zone,))


def _numeric(chance: Random, business_zone: str) -> _Clock:
    year, mark = chance.choice(("%Y", "%Y", "%Y", "%y")), chance.choice("./-")
    order, parts = chance.choice(
        (
            ("day_first", ("%d", "%m", year)),
            ("month_first", ("%m", "%d", year)),
            ("year_first", ("%Y", "%m", "%d")),
        )
    )
    form = "%Y%m%d" if order == "year_first" and chance.random() < 0.2 else mark.join(parts)
    bare = chance.random() < 0.3 and form != "%Y%m%d"
    times = ["", " %H:%M", " %H:%M:%S", " %I:%M %p", " %I:%M:%S %p", " %H:%M:%S.%f"]
    if form == "%Y-%m-%d":
        times += ["T%H:%M:%S", "T%H:%M"]
    time = chance.choice(times)
    floor = timedelta(days=1) if not time else timedelta(seconds=1) if "%S" in time else timedelta(minutes=1)
    # a day without a time is that day everywhere
    zone = chance.choice((business_zone, business_zone, "UTC", "America/New_York"))
    said: dict[str, Any] = {"date_order": order} | ({"time_zone": zone} if zone != business_zone else {})

    def written(moment: datetime) -> tuple[str]:
        local = elsewhere(moment, business_zone, zone) if time else moment
        shown = local.strftime(form)
        if bare:
            days = (local.strftime(part).lstrip("0" if part in ("%d", "%m") else "") for part in parts)
            shown = mark.join(days)
        return (shown + local.strftime(time),)

    return _Clock(written, floor, ("at",), said, zones=(zone,) if time else ())


# styles


@dataclass(frozen=True)
class _Sheet:
    """What a maker of files needs to know: the columns in their order, and which of them hold what."""

    order: tuple[str, ...]
    headings: dict[str, str]
    codec: str
    typed: bool
    numeric_ids: bool
    calm: bool

    def names(self, *canonical: str) -> set[str]:
        return {self.headings[name] for name in canonical if name in self.headings}


Rows = Sequence[tuple[Cells, str]]
Packed = Callable[[Random, Rows], bytes]
Maker = Callable[[Random, _Sheet], tuple[str, dict[str, Any], Packed]]


def style(chance: Random, kind: str, calm: bool = False) -> Style:
    """A way to write files of a kind: ``text``, ``fixed``, ``json``, ``parquet`` or ``workbook``.

    ``calm`` files hold no quote in their texts.
    """
    business_zone = chance.choice(_ZONES)
    codec = chance.choice(_CODECS) if kind in ("text", "fixed") else "utf-8"
    currency = chance.choice(tuple(_SIGNS))
    holds = partial(_holds, kind, codec, calm)
    typed = kind in ("json", "parquet", "workbook") and chance.random() < 0.6
    numeric_ids = typed and chance.random() < 0.5
    money = chance.choice((("unit_price",), ("amount",), ("unit_price", "amount")))
    left_out = [name for name in ("description", "country", "currency") if chance.random() < 0.4]
    given = [name for name in COLUMNS if name not in left_out and (name in money or name not in NUMBERS[1:])]
    clock = _typed_clock(chance, business_zone, kind) if typed else None
    clock = clock or _clock(chance, business_zone)
    numbers = _PLAIN if typed else _numbers(chance, currency, holds)
    headings = {name: chance.choice(_HEADINGS[name]) for name in given if name != "sold_at"}
    headings = {name: text if holds(text) else _HEADINGS[name][0] for name, text in headings.items()}
    headings |= {name: chance.choice((f"sold_{name}", f"Sold {name}")) for name in clock.columns}
    extras = chance.sample(("note", "Shelf", "line no", "qty_old", "BILL"), chance.choice((0, 0, 1, 2)))
    order = [*headings.values(), *extras]
    chance.shuffle(order)
    columns = {name: _quoted(headings[name]) for name in given if name != "sold_at"}
    columns["sold_at"] = (clock.expression or '"{at}"').format(**{n: headings[n] for n in clock.columns})
    sheet = _Sheet(tuple(order), headings, codec, typed, numeric_ids, calm)
    suffix, more, pack = _MAKERS[kind](chance, sheet)
    profile: dict[str, Any] = {"source_system": "shop", "columns": columns, "currency": currency}
    profile |= {key: value for key, value in clock.profile.items() if value} | more
    profile |= {"decimal_mark": numbers.decimal}
    if numbers.thousands:
        profile["thousands_mark"] = _MARK.get(numbers.thousands, numbers.thousands)

    def cells(chance: Random, entry: Entry) -> Cells:
        line = entry.written
        found: Cells = dict(zip([headings[n] for n in clock.columns], clock.cells(line.sold_at), strict=True))
        for name in given:
            value = getattr(line, name)
            if name in NUMBERS:
                found[headings[name]] = value if typed else numbers.text(chance, value, name != "quantity")
            elif name == "customer_id" and value is None and not typed:
                found[headings[name]] = chance.choice(_NOBODY)
            elif name != "sold_at":
                found[headings[name]] = value
        found |= {headings["at" if name == "sold_at" else name]: text for name, text in entry.odd.items()}
        return found | {extra: chance.choice((None, "x", "1", "a b")) for extra in extras}

    def lines(chance: Random, count: int) -> list[Line]:
        near = _moment(chance, clock.floor, (business_zone, *clock.zones))
        moment = partial(_near, chance, near, chance.choice((0, 10, 400, 5000)), clock, business_zone)
        return [_line(chance, given, sheet, holds, currency, moment) for _ in range(count)]

    def written(chance: Random, entries: Sequence[Entry]) -> bytes:
        return pack(chance, [(cells(chance, entry), entry.damage) for entry in entries])

    takes = tuple(n for n in given if n != "sold_at" or clock.profile.get("date_order"))
    if typed and kind == "parquet":
        takes = ()
    return Style(kind, suffix, profile, business_zone, lines, written, takes, holds)


_ZONES = ("Europe/Berlin", "Europe/London", "America/New_York", "UTC", "Australia/Sydney")
_CODECS = ("utf-8", "utf-8", "utf-8-sig", "utf-16", "utf-16-be", "cp1252", "latin-1", "cp850", "cp1250")


def _holds(kind: str, codec: str, calm: bool, text: str) -> bool:
    """Whether a text can stand in such a file at all."""
    if calm and '"' in text:
        return False
    if kind == "fixed" and (text != text.strip() or len(text.splitlines()) > 1 or len(text) >= _WIDTH):
        return False
    if kind == "workbook" and any(ord(char) < 32 and char != "\n" for char in text):
        return False
    try:
        return text.encode(codec).decode(codec) == text
    except UnicodeError:
        return False


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _line(
    chance: Random,
    given: Sequence[str],
    sheet: _Sheet,
    holds: Callable[[str], bool],
    currency: str,
    moment: Callable[[], datetime],
) -> Line:
    quantity, price = _decimal(chance, 3, 20000), _decimal(chance, 4, 30000)
    if chance.random() < 0.2:
        quantity = -quantity
    amount = round(quantity * price, 4) if chance.random() < 0.8 else -_decimal(chance, 2, 900)

    def name() -> str:
        number = str(chance.randint(1, 10 ** chance.choice((3, 6, 13))))
        return number if sheet.numeric_ids else _id(chance, holds)

    return Line(
        invoice_id=name(),
        product_id=name(),
        description=_text(chance, sheet.codec, holds) if "description" in given else None,
        quantity=quantity + 0,
        unit_price=price if "unit_price" in given else None,
        amount=amount + 0 if "amount" in given else None,
        sold_at=moment(),
        customer_id=name() if chance.random() < 0.8 else None,
        country=chance.choice(("DE", "France", "UK", None)) if "country" in given else None,
        currency=currency,
    )


# dirt

_NO_NUMBERS = (
    "1_2", "0x10", "5 5", "(5", "5)", "--5", "+-5", "5-5", "-5-", "1/2", "NaN", "inf", "Infinity", "5%",
    "1.2.3", "1,2,3", "many", "#REF!", "#N/A", "-", ".", ",", "true", "5O", "1,23,4", "9" * 30, "$",
    "5 5 5", "1..5", "()", "1e", "e5", "5e+", "1 000 0", "12-3", "2024-01-05", "12:30", "'", '"', "=5+5",
    "None",
)  # fmt: skip
_ODD_NUMBERS = {
    "12,-": 12, "12.-": 12, "12,--": 12, "24,\u2013": 24, "\u22125": -5, "1e3": 1000, "1E+05": 100000,
    "(-5)": -5, "-(5)": -5, "5 pcs": 5, "\u0663": 3, "\uff15": 5, "5\u200b": 5, "\ufeff5": 5, "5\u00a0": 5,
    "'5": 5, '="5"': 5, "5.": 5, "½": Decimal("0.5"), "+5": 5, "005": 5, "5\x00": 5, "\t5": 5,
}  # fmt: skip
_NO_DATES = (
    "2024-02-30", "31.04.2024", "2024-13-01", "0000-00-00", "2024-03-05 25:00", "2024-03-05 10:61",
    "tomorrow", "now", "today", "epoch", "infinity", "-infinity", "5/3", "12:30", "2024", "45000",
    "1709600000", "March", "2024-03-05 10:00 BST", "2024-03-05 10:00 IST", "2024-03-05 10:00:00 NST",
    "2024-03-05 10:00 AST", "00.00.0000", "1.1.1", "29/02/2023", "20241301", "20240230", "99/99/9999",
    "2024-03-05T10:00:00+25:00", "", "10:00 2024-03-05", "2024-03", "null", "2024-00-10", "2024-01-00",
    "NaT", "1900-01-00", "32.01.2024", "0", "2024-03-05 10:00 Mars/City",
)  # fmt: skip
_NO_IDS = ("1.23E+05", "4.00638E+12", "1,23E+05", "4.00638e+12", "1.23457E+11")
_ODD_IDS = {
    "1.7850E4": "17850", '="00123"': "00123", "'00123": "00123", "17850.0": "17850", " C-77 ": "C-77",
    "\ufeffC-77": "C-77", "C-77\u200b": "C-77", "\u00a0C-77\u00a0": "C-77", "C-77\t": "C-77",
    "C-77\x00": "C-77", "Ju\u0308rg": "Jürg", "4006381333931.0": "4006381333931", "\u2060C-77": "C-77",
    "C-77\u3000": "C-77",
}  # fmt: skip


def spoilt(chance: Random, chosen: Style, lines: Sequence[Line], share: float) -> list[Entry]:
    """Entries of these lines, a share of them with dirt in one place."""
    return [_spoilt(chance, chosen, line) if chance.random() < share else Entry(line, line) for line in lines]


def _spoilt(chance: Random, chosen: Style, line: Line) -> Entry:
    if chosen.kind == "text" and chance.random() < 0.5:
        return Entry(line, line, False, damage=chance.choice(DAMAGES))
    if not chosen.takes:
        return Entry(line, line)
    name = chance.choice(chosen.takes)
    entry = _odd(chance, name, line)
    return entry if all(map(chosen.holds, entry.odd.values())) else Entry(line, line)


def _odd(chance: Random, name: str, line: Line) -> Entry:
    none: tuple[str, ...] = ()
    some: Mapping[str, Any] = {}
    if name in NUMBERS:
        none, some = _NO_NUMBERS, _ODD_NUMBERS
        if name != "quantity":
            none += tuple(sign + "5" for code, sign in _SIGNS.items() if code != line.currency)
    elif name == "sold_at":
        none = _NO_DATES
    elif name == "customer_id" or name in ("invoice_id", "product_id"):
        none, some = _NO_IDS, _ODD_IDS | dict.fromkeys(_NOBODY)
    if some and chance.random() < 0.5:
        text = chance.choice(list(some))
        value = some[text]
        read = Line(**vars(line) | {name: Decimal(value) if name in NUMBERS else value})
        return Entry(read, line, False, {name: text})
    if none:
        return Entry(None, line, False, {name: chance.choice(none)})
    return Entry(line, line)


# files


def _packed(suffix: str, content: bytes) -> bytes:
    if suffix.endswith(".gz"):
        return gzip.compress(content, 1, mtime=0)
    if suffix.endswith(".zst"):
        return zstandard.compress(content, 1)
    if suffix.endswith(".zip"):
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("export" + suffix.removesuffix(".zip"), content)
        return out.getvalue()
    return content


def _delimited(chance: Random, sheet: _Sheet) -> tuple[str, dict[str, Any], Packed]:
    delimiter, end = chance.choice(",,;;\t|~"), chance.choice(("\n", "\r\n"))
    kinds = (".tsv", ".csv", ".txt") if delimiter == "\t" else (".csv", ".txt")
    suffix = chance.choice(kinds) + chance.choice(("", "", "", ".gz", ".zst", ".zip"))
    quoting = chance.choice((0.0, 0.3, 1.0))
    codec = sheet.codec
    profile: dict[str, Any] = {"delimiter": delimiter}
    if not codec.startswith("utf-8") or chance.random() < 0.3:
        profile["encoding"] = codec.removesuffix("-sig")
    before, has_header = chance.choice((0, 0, 0, 1, 3)), chance.random() < 0.85
    above = "".join(chance.choice(_PREAMBLE) + end for _ in range(before))
    if before:
        profile["skip_rows"] = before
    if not has_header:
        profile |= {"header": sheet.order, "files": "*"}
    elif not before and chance.random() < 0.1 and not sheet.calm:
        above = f"sep={delimiter}{end}"

    def field(chance: Random, text: str | None, sloppy: bool) -> str:
        text = text or ""
        quoted = any(char in text for char in (delimiter, "\n", "\r"))
        if sloppy:
            # a quote inside a text, as in 5" pipe, without quotes around it
            quoted |= text.lstrip().startswith('"')
        else:
            quoted |= '"' in text or (bool(text) and chance.random() < quoting)
        return '"' + text.replace('"', '""') + '"' if quoted else text

    def pack(chance: Random, rows: Rows) -> bytes:
        lines = [([row[name] for name in sheet.order], damage) for row, damage in rows]
        if has_header:
            lines.insert(0, (list(sheet.order), ""))
        text = above
        for n, (cells, damage) in enumerate(lines):
            record = [field(chance, cell, damage == "sloppy") for cell in cells]
            text += _damaged(chance, record, damage, delimiter) + end
            # a file with such a line, or without its last end, is read alone, a hundred times as long
            if n and chance.random() < (0.004 if sheet.calm else 0.02):
                text += chance.choice(("", "", "  ", delimiter * (len(record) - 1))) + end
        if chance.random() < (0.01 if sheet.calm else 0.2):
            text = text.removesuffix(end)
        mark = codecs.BOM_UTF16_BE if codec == "utf-16-be" else b""
        return _packed(suffix, mark + text.encode(codec))

    return suffix, profile, pack


DAMAGES = (
    "trailing", "trailing", "extra", "extra text", "short", "cut", "open", "after", "sloppy",
    "blanks", "merged",
)  # fmt: skip


def _damaged(chance: Random, record: list[str], damage: str, delimiter: str) -> str:
    """A record with its delimiters or quotes in disorder."""
    at = chance.randrange(len(record))
    if damage == "trailing":
        record = record + [""] * chance.randint(1, 3)
    elif damage in ("extra", "extra text"):
        record = [*record[:at], "" if damage == "extra" else "x", *record[at:]]
    elif damage == "short":
        record = record[: chance.randrange(1, len(record))]
    elif damage == "merged":
        record = [*record[:at], "".join(record[at : at + 2]), *record[at + 2 :]]
    elif damage == "open":
        record[at] = '"' + record[at].strip('"')
    elif damage == "after":
        record[at] = f'"{record[at].strip(chr(34))}"x'
    elif damage == "blanks":
        record = [f" {cell} " if cell[:1] == '"' else cell for cell in record]
    text = delimiter.join(record)
    # what is cut inside its last field looks like a whole record
    return text[: chance.randrange(1, text.rindex(delimiter) + 1)] if damage == "cut" else text


_WIDTH = 64


def _fixed(chance: Random, sheet: _Sheet) -> tuple[str, dict[str, Any], Packed]:
    suffix, end = chance.choice((".txt", ".txt.gz")), chance.choice(("\n", "\r\n"))
    right, short = set(chance.sample(sheet.order, 2)), chance.random() < 0.5
    profile: dict[str, Any] = {"header": sheet.order, "files": "*", "widths": [_WIDTH] * len(sheet.order)}
    if not sheet.codec.startswith("utf-8"):
        profile["encoding"] = sheet.codec

    def pack(chance: Random, rows: Rows) -> bytes:
        text = ""
        for row, _ in rows:
            cells = ((name, row[name] or "") for name in sheet.order)
            line = "".join(c.rjust(_WIDTH) if name in right else c.ljust(_WIDTH) for name, c in cells)
            text += line[: max(len(line.rstrip()), len(line) - _WIDTH + 1)] + end if short else line + end
        mark = codecs.BOM_UTF16_BE if sheet.codec == "utf-16-be" else b""
        return _packed(suffix, mark + text.encode(sheet.codec))

    return suffix, profile, pack


def _objects(chance: Random, sheet: _Sheet) -> tuple[str, dict[str, Any], Packed]:
    suffix = chance.choice((".jsonl", ".ndjson")) + chance.choice(("", ".gz", ".zst", ".zip"))
    ids = sheet.names("invoice_id", "product_id", "customer_id") if sheet.numeric_ids else set()
    ascii_only = chance.random() < 0.5

    def value(name: str, cell: Any) -> str:
        if isinstance(cell, Decimal):
            is_whole = cell == int(cell) and "." not in str(cell)
            return f"{cell:f}" + (".0" if is_whole and chance.random() < 0.2 else "")
        return cell if name in ids and cell and cell.isdigit() else json.dumps(cell, ensure_ascii=ascii_only)

    def whole(pairs: dict[str, str]) -> str:
        inner: dict[str, dict[str, str]] = {}
        for name, text in pairs.items():
            outer, _, rest = name.partition(".") if name[-1] != "." else (name, "", "")
            inner.setdefault(outer, {})[rest] = text
        members = (
            f"{json.dumps(outer, ensure_ascii=False)}: {found[''] if '' in found else whole(found)}"
            for outer, found in inner.items()
        )
        return "{" + ", ".join(members) + "}"

    def pack(chance: Random, rows: Rows) -> bytes:
        text = ""
        for n, (row, _) in enumerate(rows):
            names = list(sheet.order)
            if n:
                chance.shuffle(names)
                names = [name for name in names if row[name] is not None or chance.random() < 0.5]
            text += whole({name: value(name, row[name]) for name in names})
            text += chance.choice(("\n", "\n", "\n\n"))
        return _packed(suffix, text.encode())

    return suffix, {}, pack


def _parquet(chance: Random, sheet: _Sheet) -> tuple[str, dict[str, Any], Packed]:
    suffix = chance.choice((".parquet", ".parquet", ".parquet.zip"))
    ids = sheet.names("invoice_id", "product_id", "customer_id")
    amounts = sheet.names(*NUMBERS)
    texts = (pa.string(), pa.string(), pa.large_string(), pa.dictionary(pa.int32(), pa.string()), pa.binary())
    kinds: dict[str, pa.DataType] = {}
    for name in sheet.order:
        if sheet.typed and name in amounts:
            kinds[name] = chance.choice((pa.decimal128(20, 4), pa.float64(), pa.decimal128(18, 6)))
        elif sheet.numeric_ids and name in ids:
            kinds[name] = chance.choice((pa.int64(), pa.float64(), pa.decimal128(20, 0), pa.int64()))
        else:
            kinds[name] = chance.choice(texts)
    moments = chance.choice((pa.timestamp("us"), pa.timestamp("ms"), pa.timestamp("ns"), pa.timestamp("s")))
    version = chance.choice(("1.0", "2.4", "2.6"))

    def column(name: str, rows: Sequence[Cells]) -> pa.Array:
        cells, kind = [row[name] for row in rows], kinds[name]
        stated = [cell for cell in cells if cell is not None]
        if stated and isinstance(stated[0], datetime):
            zoned = pa.timestamp(moments.unit, "UTC") if stated[0].tzinfo else moments
            return pa.array(cells, zoned)
        if stated and isinstance(stated[0], date):
            return pa.array(cells, pa.date32())
        made: tuple[tuple[Callable[[pa.DataType], bool], Callable[[Any], Any]], ...] = (
            (pa.types.is_decimal, Decimal), (pa.types.is_floating, float), (pa.types.is_integer, int),
            (pa.types.is_binary, str.encode),
        )  # fmt: skip
        if convert := next((convert for is_kind, convert in made if is_kind(kind)), None):
            return pa.array([None if c is None else convert(c) for c in cells], kind)
        return pa.array(cells, pa.string()).cast(kind)

    def pack(chance: Random, rows: Rows) -> bytes:
        out = io.BytesIO()
        table = pa.table({name: column(name, [row for row, _ in rows]) for name in sheet.order})
        pq.write_table(table, out, version=version, compression=chance.choice(("snappy", "zstd", "none")))
        return _packed(suffix, out.getvalue())

    return suffix, {}, pack


_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_RELATED = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006/relationships"


def book(
    sheets: Mapping[str, Sequence[Sequence[Any]]], hidden: Collection[str] = (), merged: Sequence[str] = ()
) -> bytes:
    """A workbook (xlsx); ``merged`` are ranges of its first sheet, such as ``A2:A4``."""
    pages = {
        f"xl/worksheets/sheet{n}.xml": f'<worksheet xmlns="{_MAIN}"><sheetData>'
        f"{''.join(map(_row, rows))}</sheetData>" + (_merged(merged) if n == 1 else "") + "</worksheet>"
        for n, rows in enumerate(sheets.values(), 1)
    }
    names = "".join(
        f'<sheet name="{escape(name)}" sheetId="{n}" r:id="r{n}" '
        f'state="{"hidden" if name in hidden else "visible"}"/>'
        for n, name in enumerate(sheets, 1)
    )
    links = "".join(
        f'<Relationship Id="r{n}" Target="worksheets/sheet{n}.xml" Type="{_RELATED}/worksheet"/>'
        for n, _ in enumerate(sheets, 1)
    )
    parts = pages | {
        "[Content_Types].xml": "",
        "_rels/.rels": f'<Relationships xmlns="{_PACKAGE}"><Relationship Id="r1" Target="xl/workbook.xml" '
        f'Type="{_RELATED}/officeDocument"/></Relationships>',
        "xl/workbook.xml": f'<workbook xmlns="{_MAIN}" xmlns:r="{_RELATED}"><sheets>{names}</sheets>'
        "</workbook>",
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{_PACKAGE}">{links}'
        f'<Relationship Id="s" Target="styles.xml" Type="{_RELATED}/styles"/></Relationships>',
        "xl/styles.xml": f'<styleSheet xmlns="{_MAIN}"><cellXfs><xf numFmtId="0"/><xf numFmtId="22"/>'
        '<xf numFmtId="14"/></cellXfs></styleSheet>',
    }
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return out.getvalue()


def _merged(ranges: Sequence[str]) -> str:
    cells = "".join(f'<mergeCell ref="{area}"/>' for area in ranges)
    return f'<mergeCells count="{len(ranges)}">{cells}</mergeCells>' if ranges else ""


def _row(cells: Sequence[Any]) -> str:
    return f"<row>{''.join(map(_cell, cells))}</row>"


def _cell(value: Any) -> str:
    if value is None:
        return "<c/>"
    if isinstance(value, date):
        moment = value if isinstance(value, datetime) else datetime.combine(value, time())
        days = (moment - datetime(1899, 12, 30)) / timedelta(days=1)  # noqa: DTZ001
        return f'<c s="{1 if isinstance(value, datetime) else 2}"><v>{days!r}</v></c>'
    if isinstance(value, int | float | Decimal):
        return f"<c><v>{value:f}</v></c>" if isinstance(value, Decimal) else f"<c><v>{value!r}</v></c>"
    return f'<c t="inlineStr"><is><t xml:space="preserve">{escape(value)}</t></is></c>'


def _workbook(chance: Random, sheet: _Sheet) -> tuple[str, dict[str, Any], Packed]:
    suffix = chance.choice((".xlsx", ".xlsx", ".xlsx.zip"))
    ids = sheet.names("invoice_id", "product_id", "customer_id") if sheet.numeric_ids else set()
    before, name = chance.choice((0, 0, 2)), chance.choice((None, "Sales & more"))
    profile: dict[str, Any] = ({"skip_rows": before} if before else {}) | ({"sheet": name} if name else {})

    def pack(chance: Random, rows: Rows) -> bytes:
        table: list[list[Any]] = [["Report"]] * before + [list(sheet.order)]
        for row, _ in rows:
            table.append([int(row[n]) if n in ids and str(row[n]).isdigit() else row[n] for n in sheet.order])
            if chance.random() < 0.05:
                table.append([])
        sheets = {name or "Sheet 1": table}
        if name and chance.random() < 0.5:
            sheets = {"Notes": [["nothing"]]} | sheets
        return _packed(suffix, book(sheets))

    return suffix, profile, pack


_MAKERS: dict[str, Maker] = {
    "text": _delimited, "fixed": _fixed, "json": _objects, "parquet": _parquet, "workbook": _workbook
}  # fmt: skip

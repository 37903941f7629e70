"""When a line was sold: texts and expressions of any kind -> business time.

A text or a value that says how far it is from UTC is a moment, and becomes business time; one that does not
is in the source's zone, and a day without a time stays that day whatever the zones.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from sqlglot import exp

from retail_pipeline.ingest.profiles.dialects import DateOrder
from retail_pipeline.ingest.profiles.ids import literal

# beyond these Python and Parquet readers have no dates; `infinity` lies beyond them as well
READABLE = "coalesce(sold_at between timestamp '0001-01-01' and timestamp '9999-12-31', false)"
# letters after a time that are no zone for certain: BST is one of Britain and of Bangladesh
ABBREVIATED = r"(?i):[0-9]{2}[0-9.,]*\s*(?:[AP]M)?\s*[(\[]?(?:[A-Z]{3,5}\b|Z[+-])"

# after a time anything else: `04:01:00Z`, `04:01+02`, `04:01:00 Europe/London`
_ZONED = r":[0-9]{2}[0-9.,]*\s*[^0-9.,:\s]"
_UTC = r"(?i)([0-9])\s*(?:Z|UTC|GMT)\s*$"
# no clock on Earth is further from UTC than 14 hours; the engine would take 25 or 99
_OFFSET = "[+-](?:0[0-9]|1[0-4])(?::?[0-5][0-9]){0,2}"
# the zone that Java writes behind an offset says nothing new
_MOMENT = (
    r":[0-9]{2}(?:[.][0-9]+)?"
    rf"(?:{_OFFSET}(?:\[[^\]]*\])?|\s*[A-Za-z]+(?:/[0-9A-Za-z_+-]+)+)\s*$"
)
_HALF_DAY = r"(?i)[0-9] *[ap]m *$"
# year, month and day in the texts of each order, and the rest; RE2 counts them
_ORDERED: Mapping[DateOrder, tuple[str, str]] = MappingProxyType(
    {
        "day_first": (r"([0-9]{1,2})[./-]([0-9]{1,2})[./-]YEAR", r"\3-\2-\1"),
        "month_first": (r"([0-9]{1,2})[./-]([0-9]{1,2})[./-]YEAR", r"\3-\1-\2"),
        "year_first": (r"YEAR[./-]([0-9]{1,2})[./-]([0-9]{1,2})", r"\1-\2-\3"),
    }
)
_COMPACT = "([0-9]{4})([0-9]{2})([0-9]{2})"
# of a year's last two digits, those from 70 are of the last century (as POSIX has it)
_YEARS = (("([0-9]{4})", ""), ("([0-6][0-9])", "20"), ("([7-9][0-9])", "19"))
# zone names that %Z may read; it would take an abbreviation for whatever zone comes first
_NAMED = r"(?i)(?:\b(?:Z|UTC|GMT)|[A-Z]+/[0-9A-Z_+/-]+)\s*$"
# what strptime reads of a day's time
_TIMES = ("%H", "%I", "%-H", "%-I", "%c", "%X", "%T", "%s")


def text_moment(text: str, order: DateOrder | None, zone: str | None, business_zone: str) -> str:
    """SQL (DuckDB) of the business time that a text means, null for none.

    ``zone`` is SQL of the zone of times that carry none (null: they are business time), ``order`` that of
    numeric dates (null: ISO alone).
    """
    local = f"try_cast({text} as timestamp)"
    # a cast knows `epoch` as well
    is_word = f"not regexp_matches({text}, '[0-9]')"
    is_zoned = f"regexp_matches({text}, {literal(_ZONED)})"
    if order is not None:
        is_zoned += f" and not regexp_matches({text}, {literal(_HALF_DAY)})"
        text = _as_iso(text, order)
        # a cast to timestamp would take 1:05 PM for five past one at night
        halves = ", ".join(f"'%Y-%m-%d %I:{minutes} %p'" for minutes in ("%M", "%M:%S"))
        local = (
            f"case when regexp_matches({text}, {literal(_HALF_DAY)}) "
            f"then try_strptime({text}, [{halves}]) else try_cast({text} as timestamp) end"
        )
    # a cast to timestamp would drop the offset that a text carries without a word; one to timestamptz wants
    # no blank before it and a colon in it
    offset = rf"regexp_replace({text}, {literal(_UTC)}, '\1+00:00')"
    offset = rf"regexp_replace({offset}, '\s+([+-][0-9])', '\1')"
    offset = rf"regexp_replace({offset}, '([+-][0-9][0-9])([0-9][0-9])\s*$', '\1:\2')"
    moment = (
        f"case when regexp_matches({offset}, {literal(_MOMENT)}) "
        rf"then try_cast(regexp_replace({offset}, '\[.*$', '') as timestamptz) end"
    )
    local = f"case when contains({text}, ':') then {_of_zone(local, zone, business_zone)} else {local} end"
    zoned = _absolute(moment, business_zone)
    return f"case when {is_word} then null when {is_zoned} then {zoned} else {local} end"


def expression_moment(
    expression: exp.Expr, order: DateOrder | None, zone: str | None, business_zone: str
) -> str:
    """SQL (DuckDB) of the business time that a profile's expression means.

    What stands where a moment is chosen or cast becomes business time before that, part by part: several
    kinds of moments would meet in one that has no zone, or in UTC. ``zone`` and ``order`` are as in
    ``text_moment``.
    """

    def of(node: exp.Expr, zone: str | None) -> str:
        match node:
            case exp.Paren() | exp.Try():
                return f"{'try' if isinstance(node, exp.Try) else ''}({of(node.this, zone)})"
            case exp.Coalesce() | exp.Greatest() | exp.Least():
                parts = ", ".join(of(part, zone) for part in (node.this, *node.expressions))
                return f"{node.key}({parts})"
            case exp.If():
                otherwise = node.args.get("false")
                last = f"else {of(otherwise, zone)}" if otherwise else ""
                return f"case when {_plain(node.this)} then {of(node.args['true'], zone)} {last} end"
            case exp.Case():
                ways = (
                    f"when {_plain(way.this)} then {of(way.args['true'], zone)} " for way in node.args["ifs"]
                )
                default = node.args.get("default")
                subject = f" {_plain(node.this)}" if node.this else ""
                return f"case{subject} {' '.join(ways)} {f'else {of(default, zone)}' if default else ''} end"
            case exp.Nullif():
                equal = f"{_plain(node.this)} = {_plain(node.expression)}"
                return f"case when {equal} then null else {of(node.this, zone)} end"
            case exp.TimestampTrunc():
                return f"date_trunc({literal(node.unit.name)}, {of(node.this, zone)})"
            case exp.Add() | exp.Sub() if isinstance(node.expression, exp.Interval):
                sign = "+" if isinstance(node, exp.Add) else "-"
                return f"({of(node.this, zone)} {sign} {_plain(node.expression)})"
            case exp.Cast() if _kind(node):
                moment = of(node.this, zone)
                return f"date_trunc('day', {moment})" if _kind(node) == "DATE" else moment
            case exp.AtTimeZone():
                return of(node.this, _plain(node.args["zone"]))
            case exp.UnixToTime():
                # counted in milliseconds or less, DuckDB takes it for a time without a zone
                since = _plain(node)
                since = f"timezone('UTC', {since})" if node.args.get("scale") else since
                return _absolute(since, business_zone)
            case exp.Null():
                return "cast(null as timestamp)"
        way = _format(node)
        return _leaf(node, zone) if way is None else _read(node, way, zone)

    def _read(node: exp.Expr, way: str, zone: str | None) -> str:
        value = _plain(node)
        text = _plain(node.expressions[0] if isinstance(node, exp.Anonymous) else node.this)
        if way.rstrip().endswith("%z"):
            offset = literal(rf"{_OFFSET}\s*$")
            value = f"case when regexp_matches({text}, {offset}) then {value} end"
        if "%Z" in way:
            value = f"case when regexp_matches({text}, {literal(_NAMED)}) then {value} end"
        if "%z" in way or "%Z" in way:
            return _absolute(value, business_zone)
        return _of_zone(value, zone, business_zone) if any(time in way for time in _TIMES) else value

    def _leaf(node: exp.Expr, zone: str | None) -> str:
        if isinstance(node, exp.Column):
            return text_moment(_plain(node), order, zone, business_zone)
        absolute = False

        def told(part: exp.Expr) -> exp.Expr:
            nonlocal absolute
            if isinstance(part, exp.UnixToTime | exp.AtTimeZone) or _kind(part) == "TIMESTAMPTZ":
                absolute = True
                return exp.Var(this=of(part, zone))
            if _kind(part) == "TIMESTAMP" and isinstance(part.this, exp.Column):
                # the cast would drop the offset that a text carries
                text = _plain(part.this)
                naive = f"case when not regexp_matches({text}, {literal(_ZONED)}) then {text} end"
                return exp.Var(this=f"cast({naive} as timestamp)")
            return part

        text = f"cast({_plain(node.copy().transform(told))} as varchar)"
        moment = text_moment("t", order, None if absolute else zone, business_zone)
        return f"list_transform([{text}], lambda t: {moment})[1]"

    return of(expression, zone)


def _plain(node: exp.Expr) -> str:
    return str(node.sql("duckdb", comments=False))


def _kind(node: exp.Expr) -> str | None:
    """What a cast makes: a DATE, a TIMESTAMP, a TIMESTAMPTZ, or None."""
    name = node.to.this.name if isinstance(node, exp.Cast) else ""
    if name in ("TIMESTAMPTZ", "TIMESTAMPLTZ", "DATE"):
        return "DATE" if name == "DATE" else "TIMESTAMPTZ"
    return "TIMESTAMP" if name.startswith(("TIMESTAMP", "DATETIME")) else None


def _format(node: exp.Expr) -> str | None:
    """The format of a ``strptime`` that is written out in the expression."""
    way = node.args.get("format") if isinstance(node, exp.StrToTime) else None
    if isinstance(node, exp.Anonymous) and node.name.upper() == "TRY_STRPTIME":
        way = node.expressions[1] if len(node.expressions) > 1 else None
    return way.name if isinstance(way, exp.Literal) else None


def _absolute(moment: str, business_zone: str) -> str:
    return f"timezone({literal(business_zone)}, {moment})"


def _of_zone(local: str, zone: str | None, business_zone: str) -> str:
    if zone is None or zone == literal(business_zone):
        return local
    return _absolute(f"timezone({zone}, {local})", business_zone)


def _as_iso(value: str, order: DateOrder) -> str:
    pattern, iso = _ORDERED[order]
    year_at = iso.index(r"\1" if order == "year_first" else r"\3")
    ways = [
        (pattern.replace("YEAR", year), iso[:year_at] + century + iso[year_at:]) for year, century in _YEARS
    ]
    for way, written in [*ways, (_COMPACT, r"\1-\2-\3")]:
        whole, written = literal(rf"^\s*{way}($|[^0-9].*)"), literal(rf"{written}\4")
        value = f"regexp_replace({value}, {whole}, {written})"
    return value

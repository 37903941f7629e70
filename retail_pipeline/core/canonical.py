"""The one SELECT that turns a file's texts into the canonical columns, with reasons where that fails.

Belongs here: how texts become numbers, times and texts under a source profile. Does not belong here: what a
profile may say (``sources.py``), reading a file's rows (``engine/``), or judging a readable row
(``sql/judged_rows.sql``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from types import MappingProxyType

from sqlglot import exp

from retail_pipeline.core.dialects import DateOrder
from retail_pipeline.core.sources import CANONICAL, DIALECT, SourceProfile, clean_header, parsed, references

TEXTS = ("invoice_id", "product_id", "description", "customer_id", "country", "currency")
NUMBERS = MappingProxyType(
    {"quantity": "decimal(18, 3)", "unit_price": "decimal(18, 4)", "amount": "decimal(18, 4)"}
)

# a time of day followed by an offset or the name of a zone: `04:01:00Z`, `04:01+02`, `04:01:00 Europe/London`
_ZONED = r":[0-9.]+ *[A-Za-z+-]"
_HALF_DAY = r"(?i)[0-9] *[ap]m *$"
# what may stand around a number's parts
_AROUND = r"[\s\pZ\p{Sc}]*"
_MARKS = MappingProxyType({" ": r"[ \x{a0}\x{2009}\x{202f}]", "'": r"['\x{2019}]"})
_MARKED = r"[0-9][.,\s\pZ\x{2019}]+[0-9]"
# the signs of one currency each; a dollar or a crown may be several countries'
_SIGNS = MappingProxyType({"€": "EUR", "£": "GBP", "₹": "INR", "₺": "TRY", "₽": "RUB", "₩": "KRW"})
# beyond these Python and Parquet readers have no dates; `infinity` lies beyond them as well
_READABLE_DATE = "coalesce(sold_at between timestamp '0001-01-01' and timestamp '9999-12-31', false)"

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


def positions(profile: SourceProfile, header: Sequence[str]) -> list[int]:
    """Where the columns that the profile reads stand in the header, ascending from 0."""
    names = clean_header(header)
    return sorted(names.index(column) for column in (*profile.needs, *profile.lookup_columns))


def date_column(profile: SourceProfile) -> str | None:
    """The column whose texts are the dates, if there is one."""
    expression = parsed(profile.columns["sold_at"])
    return expression.name if isinstance(expression, exp.Column) else None


def canonical_select(
    profile: SourceProfile,
    header: Sequence[str],
    *,
    business_zone: str,
    currency: str | None,
    first_day: date,
    last_day: date | None,
    date_order: DateOrder | None = None,
) -> str:
    """The SELECT that types the rows of ``lines`` (DuckDB; the session's TimeZone must be UTC).

    ``lines`` has file_no, problem (why a reader could not even split the row, or null), payload, and the
    header's n-th column as ``c<n>`` (text, null when empty; those of ``positions`` suffice). The result has
    file_no, the canonical columns, ``reasons`` (null for a readable row), ``outside`` (true when a day out of
    bounds is among them) and payload (null for a readable row). ``date_order`` is that found in the file;
    without it and the profile's, dates are ISO.
    """
    names = clean_header(header)
    expressions = {name: parsed(text) for name, text in profile.columns.items()}
    read = {name: [f"c{names.index(c)}" for c in references(e)] for name, e in expressions.items()}
    bare = {name for name, e in expressions.items() if isinstance(e, exp.Column)}

    def given(name: str) -> str:
        if name in bare:
            return read[name][0]
        # a struct tells an expression that fails (no struct) from one that says "not given" (a null inside)
        positional = expressions[name].transform(
            lambda node: exp.column(f"c{names.index(node.name)}") if isinstance(node, exp.Column) else node
        )
        return f"try({{'v': {positional.sql(DIALECT, comments=False)}}})"

    def value(name: str) -> str:
        if name not in expressions:
            return "null"
        return f"given_{name}" if name in bare else f"given_{name}.v"

    fallback = profile.currency or currency
    typed = {name: f"cast({value(name)} as varchar)" for name in TEXTS}
    typed["currency"] = f"coalesce(nullif(upper(trim({typed['currency']})), ''), {_literal(fallback)})"
    typed |= {name: f"try_cast({value(name)} as {kind})" for name, kind in NUMBERS.items()}
    typed |= {name: _number(name, profile, typed["currency"]) for name in bare & NUMBERS.keys()}
    typed["sold_at"] = _sold_at(
        value("sold_at"),
        "sold_at" in bare,
        profile.date_order or date_order,
        profile.time_zone,
        business_zone,
    )
    reasons = list(_reasons(expressions, read, bare, first_day, last_day))
    outside = _outside(first_day, last_day)
    # made of parsed expressions, of names fixed above and of dates: no text of a file or a setting as it came
    return f"""
with given as (select *, {", ".join(f"{given(name)} as given_{name}" for name in expressions)} from lines),
typed as (select *, {", ".join(f"{typed[name]} as {name}" for name in CANONICAL)} from given),
judged as (select *, problem is not null or {" or ".join(c for c, _ in reasons)} as bad from typed)
select
    file_no, {", ".join(CANONICAL)},
    case when problem is not null then [problem] when bad then list_filter(
        [{", ".join(f"case when {condition} then {text} end" for condition, text in reasons)}],
        lambda reason: reason is not null
    ) end as reasons,
    coalesce(problem is null and ({outside}), false) as outside,
    case when bad then payload end as payload
from judged"""  # noqa: S608


def _literal(value: str | None) -> str:
    return "cast(null as varchar)" if value is None else exp.Literal.string(value).sql(DIALECT)


def _number(name: str, profile: SourceProfile, currency: str) -> str:
    """A number as people write it: marks, currency signs, a sign on either side, accountants' parentheses."""
    value, kind = f"given_{name}", NUMBERS[name]
    decimal, thousands = profile.decimal_mark, profile.thousands_mark
    whole = "[0-9]+"
    if thousands:
        mark = _MARKS.get(thousands, f"[{thousands}]")
        # the last group has three digits, so that 1.50 is not taken for 150
        whole = f"(?:[0-9]{{1,3}}(?:{mark}[0-9]{{2,3}})*{mark}[0-9]{{3}}|[0-9]+)"
    number = f"(?:{whole}(?:[{decimal}][0-9]*)?|[{decimal}][0-9]+)"
    pattern = _literal(_AROUND.join(("^", "[-+(]?", number, "[-)]?", "$")))
    digits = f"replace(regexp_replace({value}, '[^0-9{decimal}]', '', 'g'), '{decimal}', '.')"
    foreign = (f"contains({value}, '{sign}') and {currency} <> '{code}'" for sign, code in _SIGNS.items())
    written = f"""case when not regexp_matches({value}, {pattern}) or {" or ".join(foreign)} then null
        else case regexp_replace({value}, '[^-+()]', '', 'g') when '' then 1 when '+' then 1 when '-' then -1
            when '()' then -1 end * try_cast({digits} as {kind}) end"""
    # the short way serves nearly all numbers of nearly all files
    is_plain = (decimal, thousands) == (".", None)
    number = f"coalesce(try_cast({value} as {kind}), {written})" if is_plain else written
    return f"try_cast({number} as {kind})"


def _sold_at(value: str, is_text: bool, order: DateOrder | None, zone: str | None, business_zone: str) -> str:
    def convert(moment: str) -> str:
        return f"timezone({_literal(business_zone)}, {moment})"

    local = f"try_cast({value} as timestamp)"
    if is_text and order is not None:
        value = _as_iso(value, order)
        # a cast to timestamp would take 1:05 PM for five past one at night
        halves = ", ".join(f"'%Y-%m-%d %I:{minutes} %p'" for minutes in ("%M", "%M:%S"))
        local = (
            f"case when regexp_matches({value}, {_literal(_HALF_DAY)}) "
            f"then try_strptime({value}, [{halves}]) else try_cast({value} as timestamp) end"
        )
    if zone is not None and zone != business_zone:
        local = convert(f"timezone({_literal(zone)}, {local})")
    if not is_text:
        return local
    # a cast to timestamp would drop the offset that a text carries without a word; one to timestamptz wants
    # no blank before it and a colon in it
    offset = rf"regexp_replace({value}, '\s+([+-][0-9])', '\1')"
    offset = rf"regexp_replace({offset}, '([+-][0-9][0-9])([0-9][0-9])$', '\1:\2')"
    zoned = convert(f"try_cast({offset} as timestamptz)")
    is_zoned = f"regexp_matches({value}, {_literal(_ZONED)})"
    if order is not None:
        is_zoned += f" and not regexp_matches({value}, {_literal(_HALF_DAY)})"
    return f"case when {is_zoned} then {zoned} else {local} end"


def _as_iso(value: str, order: DateOrder) -> str:
    pattern, iso = _ORDERED[order]
    year_at = iso.index(r"\1" if order == "year_first" else r"\3")
    ways = [
        (pattern.replace("YEAR", year), iso[:year_at] + century + iso[year_at:]) for year, century in _YEARS
    ]
    for way, written in [*ways, (_COMPACT, r"\1-\2-\3")]:
        whole, written = _literal(rf"^\s*{way}($|[^0-9].*)"), _literal(rf"{written}\4")
        value = f"regexp_replace({value}, {whole}, {written})"
    return value


def _outside(first_day: date, last_day: date | None) -> str:
    after = f" or sold_at >= date '{last_day}' + interval 1 day" if last_day else ""
    return f"{_READABLE_DATE} and (sold_at < date '{first_day}'{after})"


def _reasons(
    expressions: Mapping[str, exp.Expr],
    read: Mapping[str, Sequence[str]],
    bare: set[str],
    first_day: date,
    last_day: date | None,
) -> Iterator[tuple[str, str]]:
    """Pairs of SQL: when a row has the problem, and the text that says so."""

    personal = set(read.get("customer_id", ()))

    def shown(name: str) -> str:
        texts = ["'***'" if c in personal else f"'''' || left({c}, 80) || ''''" for c in read[name]]
        return f"concat_ws(', ', {', '.join(texts) or 'null'})"

    def unread(name: str, expected: str) -> str:
        blank = " and ".join(f"coalesce(trim({c}), '') = ''" for c in read[name]) or "true"
        wrong = f"'{name}: ' || {shown(name)} || {expected}"
        return f"case when {blank} then '{name} is missing' else {wrong} end"

    def no_number(name: str) -> str:
        if name not in bare:
            return "' is not a number'"
        signs, value = "".join(_SIGNS), f"given_{name}"
        return f"""case when regexp_matches({value}, '[{signs}]') then ' is not an amount in ' || currency
            when regexp_matches({value}, '{_MARKED}') then
                ' is not a number as the profile writes them (decimal_mark, thousands_mark)'
            else ' is not a number' end"""

    def failed(name: str) -> str:
        return "false" if name in bare else f"given_{name} is null"

    def not_a_number(name: str) -> str:
        stated = f"trim(given_{name}) <> ''" if name in bare else f"given_{name}.v is not null"
        return f"({failed(name)} or ({name} is null and coalesce({stated}, false)))"

    for name in TEXTS:
        if name in expressions and name not in bare:
            yield failed(name), unread(name, "' cannot be read by the profile'")
    yield "currency is null", "'currency is missing: set currency in retail_pipeline.yaml or in the source'"
    yield "quantity is null", unread("quantity", no_number("quantity"))
    prices = [name for name in ("unit_price", "amount") if name in expressions]
    for name in prices:
        yield not_a_number(name), unread(name, no_number(name))
    none_bad = " and ".join(f"not {not_a_number(name)}" for name in prices)
    missing = "unit_price and amount are both missing" if len(prices) > 1 else f"{prices[0]} is missing"
    yield f"(unit_price is null and amount is null and {none_bad})", f"'{missing}'"
    yield f"not {_READABLE_DATE}", unread("sold_at", "' is no date'")
    day = "'sold_at ' || cast(cast(sold_at as date) as varchar) || "
    yield (
        f"({_READABLE_DATE} and sold_at < date '{first_day}')",
        f"{day}' is before the first day {first_day}: "
        "set first_day in retail_pipeline.yaml to an earlier day'",
    )
    if last_day:
        yield (
            f"({_READABLE_DATE} and sold_at >= date '{last_day}' + interval 1 day)",
            f"{day}' is after the last day {last_day}: set last_day in retail_pipeline.yaml to a later day'",
        )

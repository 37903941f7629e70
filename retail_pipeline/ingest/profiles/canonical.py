"""The one SELECT that turns a file's texts into the canonical columns, with reasons where that fails."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from types import MappingProxyType

from sqlglot import exp

from retail_pipeline.ingest.profiles import amounts, totals
from retail_pipeline.ingest.profiles.dialects import DateOrder
from retail_pipeline.ingest.profiles.ids import MARK, bare_sql, id_sql, literal
from retail_pipeline.ingest.profiles.moments import ABBREVIATED, READABLE, expression_moment, text_moment
from retail_pipeline.ingest.profiles.profile import (
    CANONICAL,
    DIALECT,
    SourceProfile,
    clean_header,
    parsed,
    references,
)

IDS = ("invoice_id", "product_id", "customer_id")
TEXTS = ("description", "country", "currency")
ORDER_TOTAL = "order_total"
NUMBERS = MappingProxyType(
    {"quantity": "decimal(18, 3)", "unit_price": "decimal(18, 4)", "amount": "decimal(18, 4)"}
)

_LATE = f"({READABLE} and coalesce(sold_at >= latest, false))"


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

    ``lines`` has file_no, latest (the business time from which on the file cannot know of sales, or null),
    problem (why a reader could not even split the row, or null), payload, and the header's n-th column as
    ``c<n>`` (text, null when empty; those of ``positions`` suffice). The result has file_no, the canonical
    columns, ``reasons`` (null for a readable row), ``outside`` and ``late`` (true when a day out of bounds,
    or from ``latest`` on, is among them), ``left_out`` (a row that ``keep_rows`` does not keep, or that is no
    line of a sale; it has no reasons) and payload (null without reasons); under a profile with
    ``order_total`` that is there too, for ``order_totals.sql``, and every payload. ``date_order`` is that
    found in the file; without it and the profile's, dates are ISO.
    """
    names = clean_header(header)
    texts = profile.columns | ({ORDER_TOTAL: profile.order_total} if profile.order_total else {})
    expressions = {name: parsed(text) for name, text in texts.items()}
    total = [ORDER_TOTAL] if profile.order_total else []
    read = {name: [f"c{names.index(c)}" for c in references(e)] for name, e in expressions.items()}
    bare = {name for name, e in expressions.items() if isinstance(e, exp.Column)}
    order, zone = profile.date_order or date_order, profile.time_zone and literal(profile.time_zone)

    def placed(node: exp.Expr) -> exp.Expr:
        return exp.column(f"c{names.index(node.name)}") if isinstance(node, exp.Column) else node

    def tried(value: str) -> str:
        # a struct tells an expression that fails (no struct) from one that says "not given" (a null inside)
        return f"try({{'v': {value}}})"

    def given(name: str) -> str:
        if name in bare:
            return read[name][0]
        expression = expressions[name].transform(placed)
        if name == "sold_at":
            return tried(expression_moment(expression, profile.date_order, zone, business_zone))
        return tried(expression.sql(DIALECT, comments=False))

    def value(name: str) -> str:
        if name not in expressions:
            return "null"
        return f"given_{name}" if name in bare else f"given_{name}.v"

    def text(name: str) -> str:
        return f"cast({value(name)} as varchar)"

    def number(name: str) -> str:
        """The plain number that stands there; an expression gives one itself."""
        if name not in expressions:
            return "cast(null as varchar)"
        if name in bare:
            of = None if name == "quantity" else typed["currency"]
            return amounts.number_sql(value(name), profile.decimal_mark, profile.thousands_mark, of)
        plain = amounts.number_sql(f"trim({text(name)})", ".", None, None)
        return f"case when typeof({value(name)}) = 'VARCHAR' then {plain} else {text(name)} end"

    typed = {name: text(name) for name in TEXTS}
    fallback = profile.currency or currency
    otherwise = literal(fallback) if fallback else "cast(null as varchar)"
    typed["currency"] = f"coalesce(nullif(upper(trim({typed['currency']})), ''), {otherwise})"
    typed |= {name: f"case when not {_is_marked(name)} then read_{name} end" for name in IDS}
    typed |= {n: f"try_cast(read_{n} as {NUMBERS.get(n, 'decimal(18, 4)')})" for n in (*NUMBERS, *total)}
    typed["sold_at"] = f"try_cast({value('sold_at')} as timestamp)"
    if "sold_at" in bare:
        typed["sold_at"] = text_moment(value("sold_at"), order, zone, business_zone)
    # a step before: a lambda would compile its patterns anew for every 2,048 rows
    bares = {name: bare_sql(text(name)) for name in IDS}
    readings = {name: id_sql(text(name), f"bare_{name}") for name in IDS}
    readings |= {name: number(name) for name in (*NUMBERS, *total)}
    keep, not_kept = "true", "false"
    if profile.keep_rows is not None:
        keep = tried(f"({parsed(profile.keep_rows).transform(placed).sql(DIALECT, comments=False)})")
        not_kept = "(problem is null and keep is not null and not coalesce(keep.v, false))"
    reasons = list(_reasons(profile, expressions, read, bare, first_day, last_day))
    after = f" or sold_at >= date '{last_day}' + interval 1 day" if last_day else ""
    outside = f"{READABLE} and (sold_at < date '{first_day}'{after})"
    # made of parsed expressions, of names fixed above and of dates: no text of a file or a setting as it came
    return f"""
with given as (
    select *, {", ".join(f"{given(name)} as given_{name}" for name in expressions)}, {keep} as keep from lines
),
bared as (select *, {", ".join(f"{sql} as bare_{name}" for name, sql in bares.items())} from given),
readings as (select *, {", ".join(f"{sql} as read_{name}" for name, sql in readings.items())} from bared),
typed as (select *, {", ".join(f"{typed[name]} as {name}" for name in (*CANONICAL, *total))} from readings),
whole as (select * replace ({_amount(expressions)} as amount) from typed),
kept as (
    select *, {not_kept} or {totals.is_none(read["sold_at"])} as left_out from whole
),
judged as (
    select *, not left_out and (problem is not null or {" or ".join(c for c, _ in reasons)}) as bad from kept
)
select
    file_no, {", ".join(CANONICAL)},
    case when bad and problem is not null then [problem] when bad then list_filter(
        [{", ".join(f"case when {condition} then {text} end" for condition, text in reasons)}],
        lambda reason: reason is not null
    ) end as reasons,
    coalesce(bad and problem is null and ({outside}), false) as outside,
    coalesce(bad and problem is null and {_LATE}, false) as late,
    left_out, {"order_total, payload" if total else "case when bad then payload end as payload"}
from judged"""  # noqa: S608


def _amount(expressions: Mapping[str, exp.Expr]) -> str:
    """The line's total: as given, or quantity x price where one of them has more decimals than are kept."""
    if "unit_price" not in expressions:
        return "amount"
    # spice at 0.00349 a gram; a double's 2.5500000000000003 gives the same product as 2.55
    finer = " or ".join(
        f"(length(read_{name}) > {kept + 1} and regexp_matches(read_{name}, '[.][0-9]{{{kept + 1}}}|[eE]-'))"
        for name, kept in (("unit_price", 4), ("quantity", 3))
    )
    exact = "round(try_cast(read_quantity as double) * try_cast(read_unit_price as double), 4)"
    rounded = "try_cast(quantity * unit_price as decimal(18, 4))"
    return f"""coalesce(amount, case when {finer}
        then nullif(try_cast({exact} as decimal(18, 4)), {rounded}) end)"""


def _is_marked(name: str) -> str:
    return f"coalesce(starts_with(read_{name}, chr({ord(MARK)})), false)"


def _reasons(
    profile: SourceProfile,
    expressions: Mapping[str, exp.Expr],
    read: Mapping[str, Sequence[str]],
    bare: set[str],
    first_day: date,
    last_day: date | None,
) -> Iterator[tuple[str, str]]:
    """Pairs of SQL: when a row has the problem, and the text that says so."""

    personal = set(read.get("customer_id", ()))

    def shown(name: str) -> str:
        plain = r"'''' || regexp_replace(left(%s, 80), '\p{Cc}', ' ', 'g') || ''''"
        texts = ["'***'" if column in personal else plain % column for column in read[name]]
        return f"concat_ws(', ', {', '.join(texts) or 'null'})"

    def unread(name: str, expected: str) -> str:
        blank = " and ".join(f"coalesce(trim({c}), '') = ''" for c in read[name]) or "true"
        wrong = f"'{name}: ' || {shown(name)} || ' ' || {expected}"
        return f"case when {blank} then '{name} is missing' else {wrong} end"

    def failed(name: str) -> str:
        return "false" if name in bare else f"given_{name} is null"

    def why(name: str, otherwise: str) -> str:
        return f"case when {_is_marked(name)} then substr(read_{name}, 2) else {literal(otherwise)} end"

    def not_a_number(name: str) -> str:
        return f"({failed(name)} or ({name} is null and read_{name} is not null))"

    if profile.keep_rows is not None:
        yield "keep is null", "'keep_rows cannot be worked out for this row: mend it in the profile'"
    for name in IDS:
        yield (
            f"({failed(name)} or {_is_marked(name)})",
            unread(name, why(name, "cannot be read by the profile")),
        )
    for name in TEXTS:
        if name in expressions and name not in bare:
            yield failed(name), unread(name, "'cannot be read by the profile'")
    yield "currency is null", "'currency is missing: set currency in retail_pipeline.yaml or in the source'"
    otherwise = {
        name: "has more digits than are kept" if name in bare else amounts.NO_NUMBER for name in NUMBERS
    }
    yield "quantity is null", unread("quantity", why("quantity", otherwise["quantity"]))
    prices = [name for name in ("unit_price", "amount") if name in expressions]
    for name in prices:
        yield not_a_number(name), unread(name, why(name, otherwise[name]))
    if ORDER_TOTAL in expressions:
        yield not_a_number(ORDER_TOTAL), unread(ORDER_TOTAL, why(ORDER_TOTAL, amounts.NO_NUMBER))
    none_bad = " and ".join(f"not {not_a_number(name)}" for name in prices)
    missing = "unit_price and amount are both missing" if len(prices) > 1 else f"{prices[0]} is missing"
    yield f"(unit_price is null and amount is null and {none_bad})", f"'{missing}'"
    if "unit_price" in prices:
        yield (
            "(unit_price = 0 and try_cast(read_unit_price as double) <> 0)",
            unread("unit_price", "'is less than is kept of a price (0.0001): give the line total as amount'"),
        )
    zone = (
        f"regexp_matches(concat_ws(' ', '', {', '.join(read['sold_at']) or 'null'}), {literal(ABBREVIATED)})"
    )
    no_date = f"""case when {zone} then 'names a zone by letters that several zones share: have an offset '
            'such as +01:00 written, or cut the letters off and say time_zone in the profile'
        else 'is no date' end"""
    yield f"not {READABLE}", unread("sold_at", no_date)
    day = "'sold_at ' || cast(cast(sold_at as date) as varchar) || "
    yield (
        f"({READABLE} and sold_at < date '{first_day}')",
        f"{day}' is before the first day {first_day}: "
        "set first_day in retail_pipeline.yaml to an earlier day'",
    )
    if last_day:
        yield (
            f"({READABLE} and sold_at >= date '{last_day}' + interval 1 day)",
            f"{day}' is after the last day {last_day}: set last_day in retail_pipeline.yaml to a later day'",
        )
    yield (
        _LATE,
        f"{day}' is later than the day after the file was last changed (' "
        "|| cast(cast(latest - interval 2 day as date) as varchar) || '): mend the date'",
    )

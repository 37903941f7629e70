"""Source profiles: how any shop's file becomes the canonical columns of ``raw_transactions``.

Belongs here: the profiles that ship, what an expression may say, which profile fits a header, and the one
SELECT that turns a file's texts into typed columns with the reasons why a row cannot be read. Does not belong
here: opening files (``engine/landing.py``), or judging a readable row (``sql/judged_rows.sql``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from functools import cache
from types import MappingProxyType
from zoneinfo import ZoneInfo

import sqlglot
from pydantic import Field, ValidationInfo, field_validator
from sqlglot import exp

from retail_pipeline.core.cleaning import CleaningRules
from retail_pipeline.core.manifests import Frozen, fingerprint

DIALECT = "duckdb"
TEXTS = ("invoice_id", "product_id", "description", "customer_id", "country", "currency")
NUMBERS = MappingProxyType(
    {"quantity": "decimal(18, 3)", "unit_price": "decimal(18, 4)", "amount": "decimal(18, 4)"}
)
CANONICAL = (
    "invoice_id", "product_id", "description", "quantity", "unit_price", "amount", "sold_at", "customer_id",
    "country", "currency",
)  # fmt: skip
REQUIRED = ("invoice_id", "product_id", "quantity", "sold_at", "customer_id")
REMEDY = "add a profile for this file under `sources:` in retail_pipeline.yaml (docs/sources.md)"

# what an expression may be made of; anything else could read files, call the clock, or give several values
_SYNTAX = (
    exp.Column, exp.Identifier, exp.Literal, exp.Boolean, exp.Null, exp.Paren, exp.Neg, exp.Not, exp.And,
    exp.Or, exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.Is, exp.In, exp.Between, exp.Like,
    exp.ILike, exp.Add, exp.Sub, exp.Mul, exp.Div, exp.IntDiv, exp.Mod, exp.DPipe, exp.Interval, exp.Var,
    exp.DataType, exp.DataTypeParam, exp.AtTimeZone,
)  # fmt: skip
_FUNCTIONS = (
    exp.Case, exp.If, exp.Cast, exp.TryCast, exp.Try, exp.Coalesce, exp.Nullif, exp.Greatest, exp.Least,
    exp.Abs, exp.Round, exp.Trim, exp.Upper, exp.Lower, exp.Left, exp.Right, exp.Substring, exp.Replace,
    exp.Concat, exp.ConcatWs, exp.Length, exp.Pad, exp.SplitPart, exp.StartsWith, exp.Contains,
    exp.RegexpReplace, exp.RegexpExtract, exp.RegexpLike, exp.StrToTime, exp.TimeToStr, exp.TimestampTrunc,
    exp.UnixToTime, exp.DateFromParts, exp.TimestampFromParts,
)  # fmt: skip
_FUNCTIONS_BY_NAME = frozenset({"TRY_STRPTIME", "STRIP_ACCENTS"})

# a time of day followed by an offset or the name of a zone: `04:01:00Z`, `04:01+02`, `04:01:00 Europe/London`
_ZONED = r":[0-9.]+ *[A-Za-z+-]"


class UnknownColumnsError(ValueError):
    """No profile, or more than one, fits a file's header; the message names the columns and the remedy."""


class SourceProfile(Frozen):
    """How one kind of file reads.

    ``columns`` gives each canonical column as one SQL expression (DuckDB's dialect) over the file's columns,
    all text: a column's name, or a call such as ``strptime("ORDERDATE", '%m/%d/%Y')``. Null means "not
    given"; an expression that fails, or gives no number where one belongs, makes the row unreadable. Numbers
    are rounded to 3 (quantity) and 4 (money) decimals: files of floats hold 2.5500000000000003 for 2.55.
    ``time_zone`` is that of times that carry none themselves; without it they are in business time already.
    ``currency`` serves where no column gives one.
    """

    source_system: str = Field(pattern=r"^[^|\s]+$")
    columns: dict[str, str]
    currency: str | None = Field(default=None, pattern="^[A-Z]{3}$")
    time_zone: str | None = None
    delimiter: str = Field(default=",", pattern=r'^[^"\r\n ]$')
    cleaning: CleaningRules | None = None

    @field_validator("columns")
    @classmethod
    def _canonical(cls, columns: dict[str, str], info: ValidationInfo) -> dict[str, str]:
        source = info.data.get("source_system", "?")
        if unknown := sorted(columns.keys() - set(CANONICAL)):
            raise ValueError(f"source {source}: {', '.join(unknown)} is not one of {', '.join(CANONICAL)}")
        missing = [name for name in REQUIRED if name not in columns]
        if not columns.keys() & {"unit_price", "amount"}:
            missing.append("unit_price (or amount)")
        if missing:
            raise ValueError(f"source {source}: give an expression for {', '.join(missing)}")
        for name, text in columns.items():
            try:
                _parsed(text)
            except ValueError as error:
                raise ValueError(f"source {source}, {name}: {text!r} {error}") from error
        return columns

    @field_validator("time_zone")
    @classmethod
    def _zone(cls, zone: str | None) -> str | None:
        if zone is not None:
            try:
                ZoneInfo(zone)
            except (ValueError, OSError, KeyError) as error:
                raise ValueError(
                    f"{zone!r} is no time zone: write one such as Europe/London or UTC"
                ) from error
        return zone

    @property
    def needs(self) -> tuple[str, ...]:
        """The file's columns that the expressions read, sorted."""
        return tuple(
            sorted({column for text in self.columns.values() for column in _references(_parsed(text))})
        )


@cache
def _parsed(text: str) -> exp.Expr:
    """The one scalar expression that ``text`` holds; ValueError says what else it is."""
    try:
        statements = sqlglot.parse(text, dialect=DIALECT)
    except sqlglot.errors.SqlglotError as error:
        raise ValueError('is no SQL expression (a column with blanks is written "Customer ID")') from error
    if len(statements) != 1 or statements[0] is None:
        raise ValueError("must be exactly one expression")
    for node in statements[0].walk():
        if isinstance(node, exp.Anonymous):
            allowed = node.name.upper() in _FUNCTIONS_BY_NAME
        else:
            allowed = type(node) in _SYNTAX or type(node) in _FUNCTIONS
        if not allowed:
            raise ValueError(
                f"holds {node.sql(DIALECT, comments=False)[:60]}, which is not allowed: use the file's "
                "columns, operators, case and the functions listed in docs/sources.md"
            )
        if isinstance(node, exp.Column) and node.table:
            raise ValueError(f"names {node.sql(DIALECT)}: quote a column whose name holds a dot")
    return statements[0]


def _references(expression: exp.Expr) -> list[str]:
    return list(dict.fromkeys(column.name for column in expression.find_all(exp.Column)))


_CUSTOMER = r"regexp_replace(nullif(trim({}), ''), '^([0-9]+)[.]0$', '\1')"
_UCI_SOLD_AT = (
    "coalesce(try_strptime(InvoiceDate, '%Y-%m-%d %H:%M:%S'), try_strptime(InvoiceDate, '%m/%d/%Y %H:%M'))"
)
# codes come as both `m` and `M`; all DCGS codes (the gift shop's own, DCGSSBOY and DCGSSGIRL too) and the
# vouchers are no products; C3, ADJUST…, TEST… and plain GIFT occur in the second edition alone; PADS is a
# product, at 0.001
_UCI_CLEANING = CleaningRules.model_validate(
    {
        "cancellation_pattern": "^[Cc]",
        "bad_debt_pattern": "^A",
        "adjustment_pattern": (
            "(?i)^(POST|DOT|M|C2|C3|D|S|B|BANK CHARGES|AMAZONFEE|CRUK|ADJUST[0-9]*|TEST[0-9]+|DCGS.*|"
            "GIFT(_.*)?)$"
        ),
    }
)

SHIPPED: Mapping[str, SourceProfile] = MappingProxyType(
    {
        "uci_online_retail": SourceProfile(
            source_system="uci_online_retail",
            columns={
                "invoice_id": "InvoiceNo",
                "product_id": "StockCode",
                "description": "Description",
                "quantity": "Quantity",
                "unit_price": "UnitPrice",
                "sold_at": _UCI_SOLD_AT,
                "customer_id": _CUSTOMER.format("CustomerID"),
                "country": "Country",
            },
            currency="GBP",
            cleaning=_UCI_CLEANING,
        ),
        # the same shop in its second edition: one source system, so that an invoice in both is one invoice
        "uci_online_retail_ii": SourceProfile(
            source_system="uci_online_retail",
            columns={
                "invoice_id": "Invoice",
                "product_id": "StockCode",
                "description": "Description",
                "quantity": "Quantity",
                "unit_price": "Price",
                "sold_at": _UCI_SOLD_AT,
                "customer_id": _CUSTOMER.format('"Customer ID"'),
                "country": "Country",
            },
            currency="GBP",
            cleaning=_UCI_CLEANING,
        ),
        "complete_journey": SourceProfile(
            source_system="complete_journey",
            columns={
                "invoice_id": "basket_id",
                "product_id": "product_id",
                "quantity": "quantity",
                "amount": "sales_value",
                "sold_at": "transaction_timestamp",
                "customer_id": _CUSTOMER.format("household_id"),
            },
            currency="USD",
            time_zone="UTC",
        ),
    }
)


def clean_header(header: Sequence[str]) -> tuple[str, ...]:
    """The column names without byte order mark and surrounding blanks."""
    return tuple(name.removeprefix("\ufeff").strip() for name in header)


def match(header: Sequence[str], profiles: Mapping[str, SourceProfile]) -> str:
    """The name of the profile that fits a file with this header; of several the one with most columns.

    Raises:
        UnknownColumnsError: none fits, two fit equally well, or the header has a needed column twice.
    """
    names = clean_header(header)
    fits = {name: len(p.needs) for name, p in profiles.items() if set(p.needs) <= set(names)}
    shown = ", ".join(name[:60] for name in names[:40])
    if not fits:
        if not profiles:
            raise UnknownColumnsError(f"the columns are {shown} and there is no profile: {REMEDY}")
        nearest = min(
            sorted(profiles), key=lambda n: len(set(profiles[n].needs) - set(names)) / len(profiles[n].needs)
        )
        missing = ", ".join(c for c in profiles[nearest].needs if c not in names)
        raise UnknownColumnsError(
            f"no profile fits the columns {shown}; the nearest, {nearest}, also needs {missing}: {REMEDY}"
        )
    best = sorted(name for name, count in fits.items() if count == max(fits.values()))
    if len(best) > 1:
        raise UnknownColumnsError(
            f"the profiles {' and '.join(best)} fit the columns {shown} equally well: take one away from "
            "`sources:` in retail_pipeline.yaml, or let one use another column"
        )
    if twice := [column for column in profiles[best[0]].needs if names.count(column) > 1]:
        raise UnknownColumnsError(
            f"the column {', '.join(twice)} stands in the header more than once: rename one"
        )
    return best[0]


def profile_fingerprint(profile: SourceProfile, business_zone: str, currency: str | None) -> str:
    """Names all that decides how a file reads, except the bounds of the days; cleaning rules come later."""
    return fingerprint(profile.model_dump(exclude={"cleaning"}), business_zone, profile.currency or currency)


def positions(profile: SourceProfile, header: Sequence[str]) -> list[int]:
    """Where the columns that the profile reads stand in the header, ascending from 0."""
    names = clean_header(header)
    return sorted(names.index(column) for column in profile.needs)


def canonical_select(
    profile: SourceProfile,
    header: Sequence[str],
    *,
    business_zone: str,
    currency: str | None,
    first_day: date,
    last_day: date | None,
) -> str:
    """The SELECT that types the rows of ``lines`` (DuckDB; the session's TimeZone must be UTC).

    ``lines`` has file_no, problem (why a reader could not even split the row, or null), payload, and the
    header's n-th column as ``c<n>`` (text, null when empty; those of ``positions`` suffice). The result has
    file_no, the canonical columns, ``reasons`` (null for a readable row), ``outside`` (true when a day out of
    bounds is among them) and payload (null for a readable row).
    """
    names = clean_header(header)
    expressions = {name: _parsed(text) for name, text in profile.columns.items()}
    references = {name: [f"c{names.index(c)}" for c in _references(e)] for name, e in expressions.items()}
    bare = {name for name, e in expressions.items() if isinstance(e, exp.Column)}

    def given(name: str) -> str:
        if name in bare:
            return references[name][0]
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
    typed["sold_at"] = _sold_at(value("sold_at"), "sold_at" in bare, profile.time_zone, business_zone)
    reasons = list(_reasons(expressions, references, bare, first_day, last_day))
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


# beyond these Python and Parquet readers have no dates; `infinity` lies beyond them as well
_READABLE_DATE = "coalesce(sold_at between timestamp '0001-01-01' and timestamp '9999-12-31', false)"


def _literal(value: str | None) -> str:
    return "cast(null as varchar)" if value is None else exp.Literal.string(value).sql(DIALECT)


def _sold_at(value: str, is_text: bool, zone: str | None, business_zone: str) -> str:
    def convert(moment: str) -> str:
        return f"timezone({_literal(business_zone)}, {moment})"

    local = f"try_cast({value} as timestamp)"
    if zone is not None and zone != business_zone:
        local = convert(f"timezone({_literal(zone)}, {local})")
    if not is_text:
        return local
    # a cast to timestamp would drop the offset that a text carries without a word
    zoned = convert(f"try_cast({value} as timestamptz)")
    return f"case when regexp_matches({value}, {_literal(_ZONED)}) then {zoned} else {local} end"


def _outside(first_day: date, last_day: date | None) -> str:
    after = f" or sold_at >= date '{last_day}' + interval 1 day" if last_day else ""
    return f"{_READABLE_DATE} and (sold_at < date '{first_day}'{after})"


def _reasons(
    expressions: Mapping[str, exp.Expr],
    references: Mapping[str, Sequence[str]],
    bare: set[str],
    first_day: date,
    last_day: date | None,
) -> Iterator[tuple[str, str]]:
    """Pairs of SQL: when a row has the problem, and the text that says so."""

    personal = set(references.get("customer_id", ()))

    def shown(name: str) -> str:
        texts = ["'***'" if c in personal else f"'''' || left({c}, 80) || ''''" for c in references[name]]
        return f"concat_ws(', ', {', '.join(texts) or 'null'})"

    def unread(name: str, expected: str) -> str:
        blank = " and ".join(f"coalesce(trim({c}), '') = ''" for c in references[name]) or "true"
        wrong = f"'{name}: ' || {shown(name)} || ' {expected}'"
        return f"case when {blank} then '{name} is missing' else {wrong} end"

    def failed(name: str) -> str:
        return "false" if name in bare else f"given_{name} is null"

    def not_a_number(name: str) -> str:
        stated = f"trim(given_{name}) <> ''" if name in bare else f"given_{name}.v is not null"
        return f"({failed(name)} or ({name} is null and coalesce({stated}, false)))"

    for name in TEXTS:
        if name in expressions and name not in bare:
            yield failed(name), unread(name, "cannot be read by the profile")
    yield "currency is null", "'currency is missing: set currency in retail_pipeline.yaml or in the source'"
    yield "quantity is null", unread("quantity", "is not a number")
    prices = [name for name in ("unit_price", "amount") if name in expressions]
    for name in prices:
        yield not_a_number(name), unread(name, "is not a number")
    none_bad = " and ".join(f"not {not_a_number(name)}" for name in prices)
    missing = "unit_price and amount are both missing" if len(prices) > 1 else f"{prices[0]} is missing"
    yield f"(unit_price is null and amount is null and {none_bad})", f"'{missing}'"
    yield f"not {_READABLE_DATE}", unread("sold_at", "is no date")
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

"""Source profiles: how any shop's file becomes the canonical columns of ``raw_transactions``."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from fnmatch import translate
from functools import cache
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

import sqlglot
from pydantic import BeforeValidator, Field, ValidationInfo, field_validator, model_validator
from sqlglot import exp

from retail_pipeline.ingest.profiles.cleaning import CleaningRules
from retail_pipeline.planning.arrivals import PART, any_part, is_named
from retail_pipeline.planning.manifests import Frozen, fingerprint
from retail_pipeline.planning.masking import shown_columns
from retail_pipeline.planning.readiness import Delivers

_NEARLY = 0.3  # of a profile's columns may lack in a file that is nearly one of its own
DIALECT = "duckdb"
CANONICAL = (
    "invoice_id", "product_id", "description", "quantity", "unit_price", "amount", "sold_at", "customer_id",
    "country", "currency",
)  # fmt: skip
REQUIRED = ("invoice_id", "product_id", "quantity", "sold_at", "customer_id")
# what a row may lack
OPTIONAL = ("customer_id", "description", "country", "currency")
_WIDE = ("utf-16-le", "utf-16-be", "utf-16")
REMEDY = (
    "add a profile for this file under `sources:` in retail_pipeline.yaml (`retail-pipeline sources try "
    "FILE` drafts one)"
)

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


class UnknownColumnsError(ValueError):
    """No profile, or more than one, fits a file's header; the message names the columns and the remedy."""


class FillDown(Frozen):
    """Columns that stand on the first of several rows that belong together, and hold for the rows below it.

    Rows belong together while ``by`` says the same as in the row above, or nothing.
    """

    by: str = Field(description="The column by which lines belong together")
    columns: tuple[str, ...] = Field(min_length=1, description="The columns to fill")


# one letter is a drive, and a path has lost the second slash
ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):/")


def on_disk(value: Any) -> Any:
    """The value of a setting that names a file or folder, unless it is an address such as ``s3://…``.

    Raises:
        ValueError: it is one, which would become a folder of that name.
    """
    if found := ADDRESS.match(str(value)):
        raise ValueError(
            f"is an address ({found[1]}:), and only folders and files of this machine are read and written: "
            "give a path such as /srv/shop, where the bucket or share may be mounted"
        )
    return value


class Lookup(Frozen):
    """A second file: the row whose column ``key`` holds what the first file's column ``of`` says.

    A path with parts of the first file's name (``heads_{date}.csv``) lies beside the first file.
    """

    path: Annotated[str, Field(min_length=1), BeforeValidator(on_disk)] = Field(
        description="The file, relative to the settings file; with parts of the name of `files` in "
        "braces, beside the first"
    )
    key: str = Field(description="Its key column")
    of: str = Field(description="The first file's column with the key")

    @property
    def parts(self) -> list[str]:
        """The parts of the first file's name that stand in the path."""
        return re.findall(PART, self.path)


class SourceProfile(Frozen):
    """How one kind of file reads.

    Expressions are SQL (DuckDB's dialect) over the file's columns, all text: a column's name, or a call such
    as ``strptime("ORDERDATE", '%m/%d/%Y')``. Null means "not given"; one that fails, or gives no number where
    one belongs, makes the row unreadable. Numbers are rounded to 3 (quantity) and 4 (money) decimals: files
    of floats hold 2.5500000000000003 for 2.55.
    """

    source_system: str = Field(
        pattern=r"^[^|\s]+$", description="The shop or till system; invoices are counted within it"
    )
    columns: dict[str, str] = Field(description="Canonical column: SQL expression")
    currency: str | None = Field(
        default=None,
        pattern="^[A-Z]{3}$",
        description="Currency where no column says it; null: the setting `currency`",
    )
    time_zone: str | None = Field(None, description="Time zone of times that carry none; null: business time")
    files: str | None = Field(
        default=None,
        min_length=1,
        description="The files it is for, such as `sales_*.txt` (with a `/`: paths under landing); null: any",
    )
    encoding: str | None = Field(
        None, description="Encoding of other text than Unicode, such as `cp1252`; null: found out"
    )
    delimiter: str | None = Field(
        default=None, pattern=r'^[^"\r\n ]$', description="What separates fields; null: found out"
    )
    decimal_mark: Literal[".", ","] = Field(".", description="`.` or `,`")
    thousands_mark: Literal[".", ",", "'", " "] | None = Field(None, description="`.`, `,`, `'` or a blank")
    date_order: Literal["day_first", "month_first", "year_first"] | None = Field(
        None, description="`day_first`, `month_first` or `year_first`; null: found out"
    )
    skip_rows: int = Field(default=0, ge=0, le=1000, description="Lines before the header")
    skip_last_rows: int = Field(default=0, ge=0, le=1000, description="Rows at the end that are no data")
    header: tuple[str, ...] | None = Field(
        default=None,
        min_length=1,
        description="Column names of a file without a header; needs `files`",
    )
    widths: tuple[Annotated[int, Field(ge=1)], ...] | None = Field(
        default=None,
        min_length=1,
        description="Characters of each column of `header`",
    )
    sheet: str | None = Field(
        None,
        description="The only sheet to read; null: all shown that have the columns",
    )
    fill_down: FillDown | None = Field(None, description="What is filled on an order's first line only")
    keep_rows: str | None = Field(None, description="A condition; other rows are left out")
    order_total: str | None = Field(
        None, description="What an order's lines come to together; null: their sum"
    )
    lookups: dict[Annotated[str, Field(pattern="^[a-z][a-z0-9_]*$")], Lookup] = Field(
        default={}, description="Second files, by name"
    )
    cleaning: CleaningRules | None = Field(
        None, description="Cleaning rules of this shop; those under `cleaning` beat them"
    )
    replaces: Literal["same_name", "same_days"] | None = Field(
        None,
        description="`same_name` or `same_days`: what a corrected file takes the place of; null: nothing, "
        "it adds",
    )
    delivers: Delivers | None = Field(None, description="What it should deliver; null: learned")

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
            _check(f"source {source}, {name}", text)
        return columns

    @field_validator("keep_rows", "order_total")
    @classmethod
    def _expression(cls, text: str | None, info: ValidationInfo) -> str | None:
        if text is not None:
            _check(f"{info.field_name}", text)
        return text

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

    @field_validator("encoding")
    @classmethod
    def _codec(cls, encoding: str | None) -> str | None:
        if encoding is not None:
            try:
                known = "\n;".encode(encoding) in (b"\n;", *("\n;".encode(wide) for wide in _WIDE))
            except LookupError:
                known = False
            if not known:
                raise ValueError(
                    f"{encoding!r} is no encoding of text files: write one such as cp1252, cp850 or utf-16"
                )
        return encoding

    @model_validator(mode="after")
    def _layout(self) -> SourceProfile:
        header, widths = self.header or (), self.widths or ()
        lacking = [name for name in self.needs if name not in header] if header else []
        wrong = {
            f"decimal_mark and thousands_mark are both {self.decimal_mark!r}": (
                self.thousands_mark == self.decimal_mark
            ),
            f"widths needs as many names in `header` ({len(widths)})": widths and len(widths) != len(header),
            "give widths or a delimiter, not both": widths and self.delimiter,
            "a file without a header is known by its name: give `files`, such as sales_*.txt": (
                header and not self.files
            ),
            f"header lacks {', '.join(lacking)}, which the expressions read": lacking,
        }
        if said := next((why for why, is_so in wrong.items() if is_so), None):
            raise ValueError(f"source {self.source_system}: {said}")
        return self

    @model_validator(mode="after")
    def _second_files(self) -> SourceProfile:
        known = re.findall(PART, self.files or "")
        for name, lookup in self.lookups.items():
            said = None
            if unknown := sorted(set(lookup.parts) - set(known)):
                part = f"{{{unknown[0]}}}"
                said = f"{part} is no part of `files`: say there where it stands, such as lines_{part}.csv"
            elif lookup.parts and "/" in f"{lookup.path}{self.files}":
                said = "a second file by pattern lies beside the first: no folders"
            elif lookup.parts and not re.search("[A-Za-z0-9]", any_part(lookup.path).rpartition(".")[0]):
                said = f"{lookup.path} may be any file: say more of its name"
            if said:
                raise ValueError(f"lookups.{name}: {said}")
        if len(set(known)) < len(known):
            raise ValueError(f"source {self.source_system}: a part stands twice in `files`")
        return self

    def second_path(self, lookup: Lookup, path: str) -> str:
        """Where the second file of a file lies: where the profile says, by pattern beside the file."""
        if not lookup.parts:
            return lookup.path
        folder, slash, name = path.rpartition("/")
        pieces = re.split(r"(\{[a-z_]+\})", self.files or "")
        pattern = "".join(f"(?P<{p[1:-1]}>.+?)" if p[:1] == "{" else _plain(p) for p in pieces)
        found = re.fullmatch(pattern, name)
        return folder + slash + re.sub(PART, lambda part: found[part[1]] if found else "", lookup.path)

    @property
    def needs(self) -> tuple[str, ...]:
        """The file's columns that the profile reads, sorted."""
        looked_up = set(self.lookup_columns)
        used = {name.partition(".")[0] for name in looked_up}
        filled = (self.fill_down.by, *self.fill_down.columns) if self.fill_down else ()
        keys = (lookup.of for name, lookup in self.lookups.items() if name in used)
        return tuple(sorted({c for c in self._read if c not in looked_up} | {*filled, *keys}))

    @property
    def optional(self) -> frozenset[str]:
        """The columns that serve nothing but what a row may lack."""
        other = [text for name, text in self.columns.items() if name not in OPTIONAL]
        kept = {column for text in other for column in _columns_of(text)}
        kept |= {lookup.of for lookup in self.lookups.values()}
        kept |= {self.fill_down.by} if self.fill_down else set()
        return frozenset(set(self.needs) - kept)

    @property
    def counted(self) -> frozenset[str]:
        """The columns that numbers are made of."""
        numbers = (self.columns.get(name) for name in ("quantity", "unit_price", "amount"))
        return frozenset(column for text in numbers if text for column in _columns_of(text))

    @property
    def lookup_columns(self) -> tuple[str, ...]:
        """The lookups' columns that the expressions read, as ``name.COLUMN``, sorted."""
        return tuple(sorted(column for column in self._read if column.partition(".")[0] in self.lookups))

    @property
    def _read(self) -> set[str]:
        texts = (*self.columns.values(), self.keep_rows, self.order_total)
        return {column for text in texts if text for column in _columns_of(text)}

    def is_for(self, path: str) -> bool:
        """True when a file under this path may be read by the profile."""
        return self.files is None or is_named(path, self.files)


def _plain(glob: str) -> str:
    """A piece of a pattern of names as a regular expression."""
    found = translate(glob)
    return found[found.index(":") + 1 : found.rindex(")")]


def _check(what: str, text: str) -> None:
    try:
        parsed(text)
    except ValueError as error:
        raise ValueError(f"{what}: {text!r} {error}") from error


@cache
def parsed(text: str) -> exp.Expr:
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
                "columns, operators, case, and functions of texts, numbers and times such as trim, replace, "
                "split_part, regexp_extract, coalesce, cast, round, strptime, date_trunc"
            )
        if isinstance(node, exp.Column) and node.table:
            raise ValueError(f"names {node.sql(DIALECT)}: quote a column whose name holds a dot")
    return statements[0]


@cache
def _columns_of(text: str) -> tuple[str, ...]:
    return tuple(references(parsed(text)))


def references(expression: exp.Expr) -> list[str]:
    """The columns that an expression reads, each once, as they come."""
    return list(dict.fromkeys(column.name for column in expression.find_all(exp.Column)))


def clean_header(header: Sequence[str]) -> tuple[str, ...]:
    """The column names without byte order mark and surrounding blanks."""
    return tuple(name.removeprefix("\ufeff").strip() for name in header)


def spelled(header: Sequence[str], profile: SourceProfile) -> tuple[str, ...]:
    """The column names; one that differs from a profile's by letter case alone as the profile writes it."""
    names = clean_header(header)
    found = {n.casefold(): n for n in names if [m.casefold() for m in names].count(n.casefold()) == 1}
    written = {found[c.casefold()]: c for c in profile.needs if c not in names and c.casefold() in found}
    return tuple(written.get(name, name) for name in names)


def nearly(header: Sequence[str], profiles: Mapping[str, SourceProfile]) -> tuple[str, list[str]] | None:
    """The profile that most of whose columns, but not all, are in the header, and what it lacks."""
    found = []
    for name, profile in sorted(profiles.items()):
        names = spelled(header, profile)
        missing = [column for column in profile.needs if column not in names]
        if missing and len(missing) <= _NEARLY * len(profile.needs):
            found.append((len(missing), name, missing))
    return min(found)[1:] if found else None


def match(header: Sequence[str], profiles: Mapping[str, SourceProfile]) -> str:
    """The name of the profile that fits a file with this header; of several the one with most columns.

    Raises:
        UnknownColumnsError: none fits, two fit equally well, or the header has a needed column twice.
    """
    names = clean_header(header)
    needs = {name: profile.needs for name, profile in profiles.items()}
    fits = {n: len(needs[n]) for n in profiles if set(needs[n]) <= set(spelled(names, profiles[n]))}
    # what is no table at all may begin with anything, and a file without its header with a customer
    shown = shown_columns(names)
    if not fits:
        if not profiles:
            raise UnknownColumnsError(f"there is no profile, so none for {shown}: {REMEDY}")
        lacks = {name: [c for c in needs[name] if c not in names] for name in sorted(profiles)}
        nearest = min(lacks, key=lambda name: len(lacks[name]) / len(needs[name]))
        missing = ", ".join(lacks[nearest])
        if parts := [name for name in names if name.rpartition(".")[0] in lacks[nearest]]:
            missing += f' (which is nested: name a part of it, such as "{parts[0]}")'
        raise UnknownColumnsError(
            f"no profile fits {shown}; the nearest, {nearest}, also needs {missing}: {REMEDY}"
        )
    best = sorted(name for name, count in fits.items() if count == max(fits.values()))
    if len(best) > 1:
        raise UnknownColumnsError(
            f"the profiles {' and '.join(best)} fit {shown} equally well: take one away from "
            "`sources:` in retail_pipeline.yaml, or let one use another column"
        )
    if twice := [column for column in needs[best[0]] if names.count(column) > 1]:
        raise UnknownColumnsError(
            f"the column {', '.join(twice)} stands in the header more than once: rename one"
        )
    return best[0]


def profile_fingerprint(
    profile: SourceProfile, business_zone: str, currency: str | None, lookups: Mapping[str, str]
) -> str:
    """Names all that decides how a file reads, except the bounds of the days; cleaning rules come later.

    ``lookups`` names the content of each of the profile's second files; where they lie does not matter.
    """
    # what a profile does not say is left out, so that a new option does not read every file anew
    said = profile.model_dump(exclude={"cleaning", "lookups", "delivers"}, exclude_defaults=True)
    second = {
        n: (lookup.key, lookup.of, lookups.get(n, lookup.path)) for n, lookup in profile.lookups.items()
    }
    return fingerprint(said, second, business_zone, profile.currency or currency)

"""The settings: one frozen object, read from retail_pipeline.yaml and RETAIL_PIPELINE_* in the environment.

A value in the environment beats the file; relative paths in the file are relative to the file.
"""

from __future__ import annotations

import difflib
import hashlib
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, timedelta
from operator import attrgetter
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin
from zoneinfo import ZoneInfo, available_timezones

import yaml
from pydantic import (
    BaseModel,
    BeforeValidator,
    Field,
    PrivateAttr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, InitSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

from retail_pipeline.campaigns import lists as campaign_defaults
from retail_pipeline.campaigns.lists import Campaign
from retail_pipeline.ingest.profiles.cleaning import CleaningRules, rules_for
from retail_pipeline.ingest.profiles.profile import ADDRESS, SourceProfile, on_disk, profile_fingerprint
from retail_pipeline.ingest.profiles.reading import Reading
from retail_pipeline.ingest.profiles.shipped import SHIPPED, laid_over
from retail_pipeline.planning.manifests import Frozen, fingerprint
from retail_pipeline.planning.readiness import Expected, Readiness
from retail_pipeline.planning.state import Recipe
from retail_pipeline.segmentation import LAPSED, Parameters, segments
from retail_pipeline.segmentation.gates import Gates
from retail_pipeline.tables import TABLES

PREFIX = "RETAIL_PIPELINE_"
SETTINGS_FILE = "retail_pipeline.yaml"
ALERT_URLS = f"{PREFIX}ALERT_URLS"  # a secret: read when an alert is sent, and nowhere else
NOT_SETTINGS = {f"{PREFIX}SETTINGS", f"{PREFIX}UCI_DIR", ALERT_URLS}
CODE_LOCATION = "retail_pipeline"
FILE_SOURCE = "_file"
EVERYTHING = "everything"
MOST_DAYS = 36_500
# where a path stands that is relative to the file
PATHS = (
    ("landing",),
    ("lake",),
    ("suppression", "path"),
    ("alerts", "dry_run"),
    ("sources", "*", "lookups", "*", "path"),
)
OWNER = r"^(team:[A-Za-z0-9_.-]+|[^\s@:]+@[^\s@:]+\.[^\s@:]+)$"
MEMORY = r"^\d+(\.\d+)?\s?(MB|GB|MiB|GiB)$"
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
OnDisk = Annotated[Path, BeforeValidator(on_disk)]
_UNPARSED_VARIABLE = re.compile(r'error parsing value for field "(\w+)" from source "EnvSettingsSource"')


class SettingsError(ValueError):
    """One or more settings are wrong.

    Each line of the message names one, its value, and what would be right.
    """


class Part(Frozen, use_attribute_docstrings=True):
    """A group of settings; the text below each says in docs/settings.md what it means."""


class Features(Part):
    """How customers' days become RFM features."""

    window_days: int | None = Field(730, ge=1, le=36_500)
    """Days over which frequency and monetary count (recency: all history); null: all history"""
    returns: Literal["net", "exclude"] = "net"
    """`net`: returns reduce monetary on the day they come back; `exclude`: they do not. Order value stays
    gross"""
    adjustments: Literal["exclude", "include"] = "exclude"
    """Postage, fees and discounts in `customer_days`: `exclude` or `include`"""
    invoice_days: int = Field(31, ge=0, le=366)
    """An invoice with a sale on one of so many days before is the same order. If receipt numbers begin again
    sooner, make them unique in the profile (`concat(till, '-', receipt)`), or set 0"""
    visits: Literal["sales", "sales_and_returns"] = "sales"
    """What frequency, recency and tenure count: `sales` or `sales_and_returns`"""
    customers: Literal["buyers", "all"] = "buyers"
    """`all`: who only ever returned is a customer, too, `Lapsed` unless returns are visits"""


class Suppression(Part):
    """The customers who objected: a CSV or Parquet file with a column customer_id."""

    path: OnDisk
    """CSV or Parquet with a column `customer_id`"""
    max_age_days: int = Field(7, ge=0)
    """A file last changed more days than this before the list's day blocks the lists"""


class Checks(Part):
    """Where the checks draw their lines."""

    max_rejected_share: float = Field(0.9, gt=0, le=1)
    """A day with a larger share of refused rows is held"""
    max_unreadable_share: float = Field(0.05, ge=0, le=1)
    """A file with a larger share of unreadable rows goes into quarantine"""
    max_anonymous_share: float = Field(0.9, ge=0, le=1)
    """A day with a larger share of anonymous lines is amber"""
    ids: Literal["warn", "hold", "ignore"] = "warn"
    """Odd customer ids are amber (`warn`), hold the lists back (`hold`), or do nothing (`ignore`)"""
    max_customer_share: float = Field(0.15, ge=0.05, le=1)
    """A customer with a larger share of 28 days' lines, orders or value is odd"""


class Arrival(Part):
    """When a file in the landing folder is whole, and when it is too like another."""

    complete_when: Literal["stable", "renamed", "marker"] = "stable"
    """A file is whole when unchanged for `settle_seconds` (`stable`); when it has a whole file's name
    (`renamed`: not hidden, nor ending in .tmp, .part, .partial, .filepart, .crdownload); when
    `sales.csv.done` lies beside it (`marker`)"""
    settle_seconds: float = Field(5, ge=0, le=3600)
    """For `stable`"""
    marker_suffix: str = Field(".done", pattern=r"^\.[\w.-]+$")
    """For `marker`: what it adds to the file's name"""
    max_overlap_share: float = Field(0.1, ge=0, le=1)
    """A day on which a file shares a larger share of the lines (of the smaller one's) with another waits; 1:
    never"""
    max_memory: str | None = Field(None, pattern=MEMORY)
    """A file that needs more, such as `2GB`, is refused; null: `engine.memory_limit` and 1 GiB"""
    max_seconds: int = Field(60, ge=1, le=86_400)
    """CPU seconds for reading a file, and again for each 8 MiB of it"""


class Models(Part):
    """The life of a month's models (docs/models.md)."""

    gates: Gates = Gates()
    """What a candidate must pass to be in force"""
    late_data: Literal["flag", "retrain"] = "flag"
    """When data under fitted months change: `flag` or `retrain`"""
    max_moved_by_model: float = Field(0.2, ge=0, le=1)
    """A larger share of customers moved by the new model alone, on the first of a month, is amber"""


class Report(Part):
    """The page of a day."""

    shop: str = Field("Our shop", min_length=1)
    """The name in the page's title"""
    each_run: bool = True
    """`run` and the sensor make the last day's page"""
    url: str | None = Field(None, pattern=r"^https?://")
    """Where your web server shows the lake's folder `report`: the UI then links to each page"""


class Alerts(Part):
    """Telling people of problems. Where to is a secret: the environment's RETAIL_PIPELINE_ALERT_URLS."""

    ui: str | None = Field(None, pattern=r"^https?://")
    """Address of the Dagster UI, for links"""
    resolved: bool = False
    """Say, too, when a problem is gone"""
    dry_run: OnDisk | None = None
    """A file to which alerts go instead, a line of JSON each"""


class Sensors(Part):
    """How often the sensors look."""

    every_seconds: int = Field(30, ge=1, le=86_400)
    """Least seconds between two looks of a sensor"""


class Engine(Part):
    """What runs the SQL."""

    name: Literal["duckdb", "spark"] = "duckdb"
    """`duckdb` (in process) or `spark`"""
    memory_limit: str = Field("300MB", pattern=MEMORY)
    """DuckDB spills to the lake's `.staging` beyond this"""
    threads: int = Field(2, ge=1, le=256)
    """DuckDB's threads"""
    remote: str | None = Field(None, pattern=r"^sc://")
    """Spark Connect URL, such as `sc://host:15002`; needed for `spark`"""


def _days_or_everything(value: object) -> int | str:
    if value == EVERYTHING:
        return EVERYTHING
    if not isinstance(value, bool) and str(value).isdecimal() and int(str(value)) <= MOST_DAYS:
        return int(str(value))
    raise ValueError(f"is neither a number of days from 0 to {MOST_DAYS:,} nor {EVERYTHING}")


class Settings(BaseSettings):
    """Every setting. See docs/settings.md; a wrong one is refused before anything runs."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_nested_delimiter="__",
        env_parse_none_str="null",
        extra="forbid",
        frozen=True,
        use_attribute_docstrings=True,
    )

    _file: tuple[Path, str] | None = PrivateAttr(None)

    landing: OnDisk = Path("data/landing")
    """Folder where files arrive, read with its subfolders"""
    lake: OnDisk = Path("data/lake")
    """Folder of the tables, on a file system with atomic rename"""
    time_zone: str = "UTC"
    """Business time zone (IANA name): of a sale's day and of the schedules"""
    currency: str | None = Field(None, pattern=r"^[A-Z]{3}$")
    """ISO 4217 code; null: that of the first row delivered. Rows in another hold their day"""
    first_day: date = date(2010, 1, 1)
    """Rows before it are unreadable"""
    last_day: date | None = None
    """For a closed data set; null: yesterday"""
    sources: dict[Name, SourceProfile] = {}
    """Your source profiles, beside those shipped"""
    cleaning: CleaningRules = CleaningRules()
    features: Features = Features()
    model_timing: Literal["previous_month", "same_snapshot"] = "previous_month"
    """A day uses its month's model; `same_snapshot`: each day is fitted on itself, for studies"""
    segmentations: dict[Name, Parameters] = Field(
        default_factory=lambda: {"behaviour": {}, "rfm_grid": {}}, validate_default=True
    )
    """By name: `behaviour`, `spend_profile`, `value_score`, `rfm_grid`, `spend_tiers`; another name says its
    `method`"""
    models: Models = Models()
    restate: Annotated[int | Literal["everything"], BeforeValidator(_days_or_everything)] = 31
    """So many days before the last one, stale snapshots are made anew with their segments and lists;
    `everything`: all; 0: none"""
    default_campaigns: str | None = "behaviour"
    """The segmentation whose segments, and `Lapsed`, each get a default campaign; null, or `behaviour` while
    it is off: none"""
    campaigns: dict[Name, Campaign | None] = {}
    """By name; a default campaign's name replaces it, null drops it"""
    campaign_salt: str = Field("retail_pipeline", min_length=1)
    """Another value draws new control arms"""
    suppression: Suppression | None = None
    """The file of customers who objected"""
    report: Report = Report()
    arrival: Arrival = Arrival()
    readiness: Readiness = Readiness()
    checks: Checks = Checks()
    sensors: Sensors = Sensors()
    alerts: Alerts = Alerts()
    engine: Engine = Engine()
    executor: Literal["in_process", "multiprocess"] = "in_process"
    """Dagster's executor: `in_process`, or `multiprocess`, slower by seconds a step"""
    owners: list[Annotated[str, Field(pattern=OWNER)]] = ["team:data-platform"]
    """Whom the UI names as owners of the assets: e-mail addresses, or teams such as `team:data-platform`"""
    code_location: str = Field(CODE_LOCATION, pattern=r"^[A-Za-z0-9_]+$")
    """As in `workspace.yaml`; another begins asset keys and alerts"""

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        if value not in available_timezones():
            near = _did_you_mean(value, available_timezones())
            raise ValueError(f"is no time zone{near}: use an IANA name such as Europe/London")
        return value

    @field_validator("sources", mode="before")
    @classmethod
    def _over_the_shipped_ones(cls, value: Any) -> Any:
        return {n: laid_over(n, given) for n, given in value.items()} if isinstance(value, Mapping) else value

    @field_validator("segmentations", mode="before")
    @classmethod
    def _method_is_the_name(cls, value: Any) -> Any:
        if not isinstance(value, Mapping):
            return value
        return {
            name: {"method": name, **(parameters or {})}
            if isinstance(parameters, Mapping | None)
            else parameters
            for name, parameters in value.items()
        }

    @model_validator(mode="after")
    def _fits_together(self) -> Settings:
        if self.last_day and self.last_day < self.first_day:
            raise ValueError(f"last_day {self.last_day} is before first_day {self.first_day}")
        said: dict[str, str] = {}
        for name, profile in sorted(self.profiles.items()):
            if not profile.delivers:
                continue
            other = said.setdefault(profile.source_system, name)
            if profile.delivers != self.profiles[other].delivers:
                raise ValueError(
                    f"sources.{name}.delivers is not what sources.{other}.delivers says, and both read "
                    f"{profile.source_system}, which delivers once: say it in one of them"
                )
        if self.engine.name == "spark" and not self.engine.remote:
            raise ValueError("engine.remote is missing: engine spark needs the URL of a Spark Connect server")
        switched_on = f"is not switched on; segmentations has {', '.join(self.segmentations)}"
        chosen = self.default_campaigns
        if "default_campaigns" in self.model_fields_set and chosen not in (None, *self.segmentations):
            raise ValueError(f"default_campaigns {chosen!r} {switched_on}; null: no default campaigns")
        by_default, in_force = self.campaigns_by_default, self.campaigns_in_force
        for name in sorted(self.campaigns.keys() - in_force.keys() - by_default.keys()):
            raise ValueError(
                f"campaigns.{name} is null but no default campaign has that name"
                f"{_did_you_mean(name, by_default)}; they are {', '.join(by_default)}"
            )
        for name, campaign in in_force.items():
            if campaign.segmentation not in self.segmentations:
                raise ValueError(f"campaigns.{name}.segmentation {campaign.segmentation!r} {switched_on}")
            known = {*segments(self.segmentations[campaign.segmentation]), LAPSED}
            for segment in campaign.segments:
                if segment not in known:
                    raise ValueError(
                        f"campaigns.{name}.segments names {segment!r}{_did_you_mean(segment, known)}; "
                        f"{campaign.segmentation} has {', '.join(sorted(known))}"
                    )
        return self

    @property
    def profiles(self) -> dict[str, SourceProfile]:
        return {**SHIPPED, **self.sources}

    @property
    def reading(self) -> Reading:
        return Reading(
            profiles=self.profiles,
            business_zone=self.time_zone,
            currency=self.currency,
            first_day=self.first_day,
            last_day=self.last_day,
            memory_limit=self.engine.memory_limit,
            threads=self.engine.threads,
        )

    @property
    def campaigns_by_default(self) -> dict[str, Campaign]:
        """A campaign for each segment of the segmentation that ``default_campaigns`` names."""
        if not self.default_campaigns or self.default_campaigns not in self.segmentations:
            return {}
        parameters = self.segmentations[self.default_campaigns]
        known = {*segments(parameters), LAPSED}
        return {
            name: campaign.model_copy(update={"segmentation": self.default_campaigns})
            for name, campaign in campaign_defaults.DEFAULTS.get(parameters.method, {}).items()
            if set(campaign.segments) <= known
        }

    @property
    def campaigns_in_force(self) -> dict[str, Campaign]:
        """The campaigns by name: the defaults with the shop's own laid over them."""
        laid_over: dict[str, Campaign | None] = {**self.campaigns_by_default, **self.campaigns}
        return {name: campaign for name, campaign in laid_over.items() if campaign}

    def rules(self, profile: str | None) -> CleaningRules:
        found = self.profiles.get(profile) if profile else None
        return rules_for(self.cleaning, found.cleaning if found else None)

    def yesterday(self, now: date) -> date:
        """The last day that can be complete when it is ``now`` in the business time zone."""
        yesterday = now - timedelta(days=1)
        return min(yesterday, self.last_day) if self.last_day else yesterday

    @property
    def shop(self) -> str:
        """What begins the names of everything of this shop on a Dagster instance of several; else empty."""
        return "" if self.code_location == CODE_LOCATION else self.code_location

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.time_zone)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments beat the environment, which beats the file (handed over as the argument ``_file``)."""
        assert isinstance(init_settings, InitSettingsSource)
        given = dict(init_settings.init_kwargs)
        in_file = given.pop(FILE_SOURCE, {})
        return (
            InitSettingsSource(settings_cls, given),
            env_settings,
            InitSettingsSource(settings_cls, in_file),
        )


def load_settings(path: Path | None = None, **overrides: Any) -> Settings:
    """Read the settings.

    ``path`` is the settings file; by default the one that RETAIL_PIPELINE_SETTINGS names, else
    retail_pipeline.yaml in the working directory if there is one. ``overrides`` beat file and environment;
    None means not given.

    Raises:
        SettingsError: the file cannot be read, or a setting is unknown or wrong.
    """
    path = path or (Path(named) if (named := os.environ.get(f"{PREFIX}SETTINGS")) else None)
    if path is None and Path(SETTINGS_FILE).exists():
        path = Path(SETTINGS_FILE)
    file = (path.resolve(), _content(str(path))) if path else None
    in_file = _read(path) if path else {}
    _refuse_unknown_variables()
    given = {name: value for name, value in overrides.items() if value is not None}
    try:
        settings = Settings.model_validate({**given, FILE_SOURCE: in_file})
    except ValidationError as error:
        source = path.name if path else "settings"
        raise SettingsError("\n".join(_explain(e, source) for e in error.errors())) from error
    settings._file = file
    return settings


def outdated(settings: Settings) -> str:
    """That the file of the settings is no longer what they were read from, with what to do; else empty."""
    if settings._file is None or _content(str(settings._file[0])) == settings._file[1]:
        return ""
    return (
        f"{settings._file[0]} has changed since this code location was loaded: nothing is asked for until it "
        "is loaded anew, which the daemon does within a minute; restart a code server of your own"
    )


class _Loader(yaml.SafeLoader):
    """Leaves dates as text, so that an impossible one is refused with the setting's name."""

    yaml_implicit_resolvers = {  # noqa: RUF012
        first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


def _read(path: Path) -> dict[str, Any]:
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), _Loader)  # noqa: S506 - it is a SafeLoader
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} cannot be read ({error}): name another with --settings") from error
    except yaml.YAMLError as error:
        raise SettingsError(f"{path} is not YAML: {error}") from error
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise SettingsError(
            f"{path} must hold settings as `name: value` lines, not a {type(content).__name__}"
        )
    if wrong := [name for name in content if not isinstance(name, str)]:
        raise SettingsError(f"{path}: {wrong[0]!r} is no setting; `retail-pipeline settings list` has all")
    for *where, name in PATHS:
        # by identity: an anchor of YAML is one dictionary in several places
        for holder in {id(found): found for found in _at(content, where)}.values():
            named = holder.get(name)
            pattern = "lookups" in where and "{" in str(named)
            if isinstance(named, str) and not ADDRESS.match(named) and not pattern:
                holder[name] = str(path.parent / named)
    return content


def _at(value: Any, where: Sequence[str]) -> Iterator[dict[str, Any]]:
    """The dictionaries at a place of a settings file; ``*`` is every name."""
    if isinstance(value, dict) and where:
        for inner in value.values() if where[0] == "*" else [value.get(where[0])]:
            yield from _at(inner, where[1:])
    elif isinstance(value, dict):
        yield value


def _refuse_unknown_variables() -> None:
    known = {f"{PREFIX}{name.upper()}" for name in Settings.model_fields} | NOT_SETTINGS
    for variable in sorted(os.environ):
        if variable.startswith(PREFIX) and variable.split("__")[0] not in known:
            near = _did_you_mean(variable, known)
            raise SettingsError(
                f"{variable} is no setting{near}: unset it; `retail-pipeline settings list` has all"
            )


def _did_you_mean(word: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(word, known, 1)
    return f" (did you mean {near[0]}?)" if near else ""


def _explain(error: Any, file: str) -> str:
    """One pydantic error as: where the setting was read, its name, its value, what would be right."""
    where = [str(part) for part in error["loc"]]
    if where[:1] == ["segmentations"] and len(where) > 2:
        del where[2]  # pydantic names the method too
    name, message, value = ".".join(where), error["msg"].removeprefix("Value error, "), error.get("input")
    variable = PREFIX + "__".join(where).upper()
    source = variable if variable in os.environ else file
    if error["type"] == "extra_forbidden":
        near = _did_you_mean(where[-1], _names_at(where[:-1]))
        return f"{source}: {name} is no setting{near}; `retail-pipeline settings list` has all"
    if error["type"] == "union_tag_invalid":
        methods = re.findall(r"\w+", error["ctx"]["expected_tags"])
        tag = error["ctx"]["tag"]
        return (
            f"{source}: {name}: there is no method {tag!r}{_did_you_mean(tag, methods)}; "
            f"name the segmentation after one of {', '.join(methods)}, or give its `method`"
        )
    if unparsed := _UNPARSED_VARIABLE.match(message):
        variable = PREFIX + unparsed[1].upper()
        return (
            f"{variable} = {os.environ.get(variable)!r}: is not JSON; set one value each, as {variable}__NAME"
        )
    if not name:
        return f"{source}: {message}"
    written = str(value) if isinstance(value, Path) else value
    shown = "" if isinstance(value, dict | BaseModel) else f" = {written!r}"
    return f"{source}: {name}{shown}: {message}"


def _names_at(where: list[str]) -> list[str]:
    """The setting names that are allowed at a place, found by walking the models' annotations."""
    models: list[Any] = [Settings]
    for part in where:
        fields = [model.model_fields[part] for model in models if part in model.model_fields]
        models = [model for field in fields for model in _models_in(field.annotation)] or models
    return [name for model in models for name in model.model_fields]


def _models_in(annotation: Any) -> list[Any]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    if get_origin(annotation) in (Union, UnionType, Annotated, dict, tuple, list):
        return [model for argument in get_args(annotation) for model in _models_in(argument)]
    return []


def expected(settings: Settings) -> Expected:
    """What each source system should deliver of a day, as far as it is set, and how the rest is learned."""
    delivers = {p.source_system: p.delivers for _, p in sorted(settings.profiles.items()) if p.delivers}
    return Expected(rules=settings.readiness, delivers=tuple(sorted(delivers.items())))


def _content(path: str) -> str:
    try:
        if not os.path.isfile(path):  # a pipe would be waited for
            return "unreadable"
        with open(path, "rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()[:16]
    except OSError:
        # its absence is a state of its own; landing says so and takes no file that needs it
        return "unreadable"


def recipe(settings: Settings) -> Recipe:
    return Recipe(
        profiles={
            name: profile_fingerprint(
                profile,
                settings.time_zone,
                settings.currency,
                {
                    second: _content(lookup.path)
                    for second, lookup in profile.lookups.items()
                    if not lookup.parts
                },
            )
            for name, profile in settings.profiles.items()
        },
        first_day=settings.first_day,
        last_day=settings.last_day,
        cleaning={
            name: fingerprint(settings.rules(name).model_dump(mode="json"))
            for name in ("", *settings.profiles)
        },
        checks=fingerprint(
            settings.checks.model_dump(exclude={"ids", "max_customer_share"}), settings.currency
        ),
        ids=settings.checks.ids,
        max_customer_share=settings.checks.max_customer_share,
        customer_days=fingerprint(settings.features.adjustments, settings.features.invoice_days),
        invoice_days=settings.features.invoice_days,
        features=fingerprint(
            settings.features.model_dump(include={"window_days", "returns", "visits", "customers"})
        ),
        segmentations={n: fingerprint(p.model_dump(mode="json")) for n, p in settings.segmentations.items()},
        steadiness={
            n: fingerprint(p.margin, p.stay_days) for n, p in settings.segmentations.items() if p.is_steady
        },
        campaigns={
            name: (c.segmentation, fingerprint(c.model_dump(mode="json"), settings.campaign_salt))
            for name, c in settings.campaigns_in_force.items()
        },
        model_timing=settings.model_timing,
        gates=fingerprint(settings.models.gates.model_dump(mode="json")),
        late_data=settings.models.late_data,
        restate=settings.restate if isinstance(settings.restate, int) else None,
        report=fingerprint(
            settings.report.shop,
            settings.currency,
            {name: c.model_dump(mode="json") for name, c in settings.campaigns_in_force.items()},
        ),
        report_each_run=settings.report.each_run,
        patterns=frozenset(profile.files for profile in settings.profiles.values() if profile.files),
        parameters={
            table.name: {path.rpartition(".")[2]: attrgetter(path)(settings) for path in table.parameters}
            for table in TABLES.values()
            if table.parameters
        },
    )

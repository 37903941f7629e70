"""The settings: what is read from where, and what a wrong one is told."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml

from retail_pipeline.settings import Settings, SettingsError, load_settings, recipe
from retail_pipeline_tests.shop import PROFILE

PAMPER = {"segments": ["PAMPER"], "offer": "concierge"}
REPOSITORY = Path(__file__).resolve().parents[1]


def campaign(**changed: Any) -> dict[str, Any]:
    return {"campaigns": {"x": PAMPER | changed}}


@pytest.fixture
def load(tmp_path: Path):
    """Settings from a file that holds these, by name, or this text."""

    def from_file(content: str | None = None, **given: Any) -> Settings:
        path = tmp_path / "shop.yaml"
        path.write_text(yaml.safe_dump(given) if content is None else content, encoding="utf-8")
        return load_settings(path)

    return from_file


def refusal(load: Any, *content: str, **given: Any) -> str:
    with pytest.raises(SettingsError) as raised:
        load(*content, **given)
    return str(raised.value)


def test_without_a_file_there_are_defaults_as_with_an_empty_one(load: Any):
    settings = load_settings()
    assert (settings.lake, settings.time_zone, settings.executor) == (Path("data/lake"), "UTC", "in_process")
    assert list(settings.segmentations) == ["behaviour", "rfm_grid"]
    assert {c.segmentation for c in settings.campaigns_in_force.values()} == {"behaviour"}
    assert load("# nothing\n").model_dump() == settings.model_dump()


@pytest.mark.parametrize(
    "path",
    [
        REPOSITORY / "retail_pipeline.yaml",
        *(REPOSITORY / "retail_pipeline_tests" / "settings").glob("*.yaml"),
    ],
    ids=str,
)
def test_the_shipped_file_and_those_of_the_acceptance_runs_load(path: Path):
    assert load_settings(path).last_day


# every line: what stands in the file, and what the refusal must say: the name, the value, what would be right
WRONG: list[tuple[dict[str, Any], list[str]]] = [
    ({"landin": "x"}, ["landin is no setting", "did you mean landing?", "`retail-pipeline settings list`"]),
    ({"features": {"window": 5}}, ["features.window is no setting", "did you mean window_days?"]),
    ({"cleaning": {"duplicate": "keep"}}, ["cleaning.duplicate is no setting", "did you mean duplicates?"]),
    (campaign(hold_out=0.1), ["campaigns.x.hold_out is no", "did you mean holdout?"]),
    ({"segmentations": {"behaviour": {"clusers": 3}}}, ["behaviour.clusers is no", "did you mean clusters?"]),
    ({"time_zone": "Europe/Londn"}, ["time_zone = 'Europe/Londn'", "did you mean Europe/London?"]),
    ({"time_zone": "local"}, ["time_zone = 'local'", "IANA name such as Europe/London"]),
    ({"currency": "eur"}, ["currency = 'eur'", "^[A-Z]{3}$"]),
    ({"owners": ["anna"]}, ["owners", "'anna'", "team:"]),
    ({"first_day": "2011-02-30"}, ["first_day = '2011-02-30'", "day value is outside"]),
    ({"last_day": "2009-12-31"}, ["last_day 2009-12-31 is before first_day 2010-01-01"]),
    ({"features": {"window_days": 0}}, ["features.window_days = 0", "greater than or equal to 1"]),
    ({"features": {"window_days": 10**9}}, ["features.window_days = 1000000000", "less than or equal to"]),
    ({"features": {"returns": "gross"}}, ["features.returns = 'gross'", "'net' or 'exclude'"]),
    ({"features": 5}, ["features = 5", "dictionary"]),
    ({"lake": None}, ["lake = None", "path"]),
    ({"suppression": {"max_age_days": 3}}, ["suppression.path", "required"]),
    ({"restate": "all"}, ["restate = 'all'", "number of days from 0 to 36,500 nor everything"]),
    ({"restate": -1}, ["restate = -1", "nor everything"]),
    ({"executor": "k8s"}, ["executor = 'k8s'", "'in_process' or 'multiprocess'"]),
    ({"model_timing": "now"}, ["model_timing = 'now'", "'previous_month' or 'same_snapshot'"]),
    ({"engine": {"name": "spark"}}, ["engine.remote is missing", "Spark Connect"]),
    ({"engine": {"memory_limit": "lots"}}, ["engine.memory_limit = 'lots'", "MB|GB"]),
    ({"cleaning": {"invoice_pattern": "["}}, ["cleaning.invoice_pattern = '['", "^[0-9]{6}$"]),
    ({"cleaning": {"invoice_pattern": "^(?!C)"}}, ["cleaning.invoice_pattern = '^(?!C)'", "(?!", "without"]),
    ({"cleaning": {"minimum_price": -1}}, ["cleaning.minimum_price = -1", "greater than or equal to 0"]),
    ({"checks": {"max_rejected_share": 90}}, ["checks.max_rejected_share = 90", "less than or equal to 1"]),
    ({"segmentations": {"behavior": {}}}, ["segmentations.behavior", "did you mean behaviour?"]),
    ({"segmentations": {"mine": {"method": "k_means"}}}, ["segmentations.mine", "behaviour, spend_profile"]),
    ({"segmentations": ["behaviour"]}, ["segmentations = ['behaviour']", "dictionary"]),
    ({"default_campaigns": "behavior"}, ["default_campaigns 'behavior'", "behaviour, rfm_grid", "null"]),
    ({"campaigns": {"win_bakc": None}}, ["campaigns.win_bakc is null", "did you mean win_back?"]),
    ({"campaigns": {"Pamper!": PAMPER}}, ["campaigns.Pamper!", "^[a-z][a-z0-9_]*$"]),
    (campaign(segments=["PAMPR"]), ["campaigns.x.segments", "did you mean PAMPER?"]),
    (campaign(segments=[]), ["campaigns.x.segments = []", "at least 1"]),
    (campaign(segments=["Champions"]), ["'Champions'", "behaviour has DELIGHT, Lapsed"]),
    (campaign(segmentation="rfm"), ["'rfm' is not switched on", "behaviour, rfm_grid"]),
    (
        {"sources": {n: PROFILE | {"delivers": {"lines": [n == "b", 9]}} for n in "ab"}},
        ["sources.b.delivers", "sources.a.delivers says", "both read corner_shop", "one of them"],
    ),
    (campaign(holdout=1), ["campaigns.x.holdout = 1", "less than 1"]),
    (campaign(rank_by="frequenzy"), ["campaigns.x.rank_by", "frequenzy", "frequency"]),
]


@pytest.mark.parametrize(("given", "parts"), WRONG, ids=[str(given) for given, _ in WRONG])
def test_a_wrong_setting_is_refused_with_name_value_and_remedy(
    load: Any, given: dict[str, Any], parts: list[str]
):
    said = refusal(load, **given)
    assert said.startswith("shop.yaml: ")
    assert [part for part in parts if part not in said] == []


@pytest.mark.parametrize(
    "rank_by",
    [
        "(select max(monetary) from rfm_features)", "monetary in (select 1)", "sum(monetary)", "random()",
        "now()", "read_csv('x')", "corr(monetary, frequency)", "regexp_matches(score, 'a')", "customer_id",
        "a.monetary", "monetary; drop table x", "monetary desc", "monetary over ()", "'abc", "", "*", "$x",
        "monetary::text",
    ],
)  # fmt: skip
def test_a_ranking_may_compute_and_nothing_else(load: Any, rank_by: str):
    said = refusal(load, **campaign(rank_by=rank_by))
    assert said.startswith("shop.yaml: campaigns.x.rank_by = ")
    assert "it may use" in said or "write one over recency_days" in said


@pytest.mark.parametrize(
    "rank_by",
    [
        "-recency_days", "monetary / greatest(frequency, 1)", "ln(monetary + 1) ** 2",
        "coalesce(score, 0) % 3", "case when frequency > 3 and not score is null then monetary else 0 end",
        "sqrt(abs(monetary))",
    ],
)  # fmt: skip
def test_a_ranking_of_arithmetic_is_accepted(load: Any, rank_by: str):
    assert load(**campaign(rank_by=rank_by)).campaigns["x"].rank_by == rank_by


def test_all_that_is_wrong_is_said_at_once(load: Any):
    said = refusal(load, landin="x", time_zone="nowhere", executor="k8s").splitlines()
    assert len(said) == 3


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("- a", "must hold settings as `name: value` lines, not a list"),
        ("lake: [", "is not YAML"),
        ("1: 2", "1 is no setting"),
        ("_file: {lake: x}", "_file is no setting"),
    ],
)
def test_a_file_that_holds_no_settings_is_refused(load: Any, content: str, message: str):
    said = refusal(load, content)
    assert message in said
    assert "shop.yaml" in said


def test_a_file_that_is_not_there_or_no_text_is_refused_by_name(tmp_path: Path):
    with pytest.raises(SettingsError, match=r"gone.yaml cannot be read .*--settings"):
        load_settings(tmp_path / "gone.yaml")
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SettingsError, match=r"binary.yaml cannot be read"):
        load_settings(tmp_path / "binary.yaml")


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("landing", {"landing": "s3://shop/in"}),
        ("lake", {"lake": "gs://shop/lake"}),
        ("suppression.path", {"suppression": {"path": "https://shop/objections.csv"}}),
        ("alerts.dry_run", {"alerts": {"dry_run": "file:///tmp/alerts"}}),
        (
            "sources.till.lookups.x.path",
            {
                "sources": {
                    "till": PROFILE | {"lookups": {"x": {"path": "S3A://x/{a}", "key": "k", "of": "o"}}}
                }
            },
        ),
    ],
)
def test_an_address_is_no_folder(load: Any, name: str, given: dict[str, Any]):
    """It would be made as a folder ``s3:``, and nobody would find the lake."""
    said = refusal(load, **given)
    for words in (f"shop.yaml: {name} = '", "is an address (", "give a path", "mounted"):
        assert words in said


def test_an_address_is_no_folder_in_the_environment_or_of_an_option_either(monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(SettingsError, match=r"lake = 's3:/bucket/lake': is an address \(s3:\)"):
        load_settings(lake=Path("s3://bucket/lake"))
    monkeypatch.setenv("RETAIL_PIPELINE_LANDING", "abfss://in@shop")
    with pytest.raises(SettingsError, match=r"RETAIL_PIPELINE_LANDING: landing = 'abfss://in@shop'"):
        load_settings()


def test_relative_paths_in_the_file_are_relative_to_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path.parent)
    path = Path(tmp_path.name, "shop.yaml")
    lookups = "&two {x: {path: beside.csv, key: k, of: o}, y: {path: 'heads_{date}.csv', key: k, of: o}}"
    profile = PROFILE | {"files": "lines_{date}.csv"}
    sources = f"{{a: {profile | {'lookups': 'HERE'}}, b: {profile | {'lookups': '*two'}}}}"
    sources = sources.replace("'HERE'", lookups).replace("'*two'", "*two")
    path.write_text(f"landing: in\nlake: /abs/lake\nsuppression: {{path: no.csv}}\nsources: {sources}\n")
    settings = load_settings(path)
    assert (settings.landing, settings.lake) == (path.parent / "in", Path("/abs/lake"))
    assert settings.suppression
    assert settings.suppression.path == path.parent / "no.csv"
    for source in settings.sources.values():
        assert [lookup.path for lookup in source.lookups.values()] == [
            str(path.parent / "beside.csv"),
            "heads_{date}.csv",
        ]


def test_the_environment_beats_the_file_and_leaves_the_rest_of_it(load: Any, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("RETAIL_PIPELINE_LAKE", "elsewhere")
    monkeypatch.setenv("RETAIL_PIPELINE_FEATURES__WINDOW_DAYS", "30")
    settings = load(lake="lake", features={"window_days": 60, "returns": "exclude"}, currency="GBP")
    assert (settings.lake, settings.currency) == (Path("elsewhere"), "GBP")
    assert (settings.features.window_days, settings.features.returns) == (30, "exclude")


def test_an_argument_beats_the_environment_in_which_null_is_null(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("RETAIL_PIPELINE_LAKE", "elsewhere")
    monkeypatch.setenv("RETAIL_PIPELINE_FEATURES__WINDOW_DAYS", "null")
    settings = load_settings(lake=Path("here"), landing=None)
    assert (settings.lake, settings.landing) == (Path("here"), Path("data/landing"))
    assert settings.features.window_days is None


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("RETAIL_PIPELINE_LAK", "x", " is no setting (did you mean RETAIL_PIPELINE_LAKE?): unset it"),
        (
            "RETAIL_PIPELINE_FEATURES__WINDOW_DAY",
            "5",
            ": features.window_day is no setting (did you mean window_days?)",
        ),
        (
            "RETAIL_PIPELINE_FEATURES__WINDOW_DAYS",
            "x",
            ": features.window_days = 'x': Input should be a valid integer",
        ),
        ("RETAIL_PIPELINE_FEATURES", "x", " = 'x': is not JSON; set one value each"),
        ("RETAIL_PIPELINE_TIME_ZONE", "Mars", ": time_zone = 'Mars': is no time zone"),
    ],
)
def test_a_wrong_variable_is_refused_by_its_name(
    variable: str, value: str, message: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv(variable, value)
    with pytest.raises(SettingsError) as raised:
        load_settings()
    assert f"{variable}{message}" in str(raised.value)


def test_the_file_is_the_one_that_the_variable_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "named.yaml").write_text("currency: CHF\n")
    (tmp_path / "retail_pipeline.yaml").write_text("currency: SEK\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RETAIL_PIPELINE_SETTINGS", str(tmp_path / "named.yaml"))
    assert load_settings().currency == "CHF"
    monkeypatch.delenv("RETAIL_PIPELINE_SETTINGS")
    assert load_settings().currency == "SEK"
    monkeypatch.chdir("/")
    assert load_settings().currency is None


def test_campaigns_of_ones_own_are_laid_over_the_defaults_which_follow_a_segmentation(load: Any):
    mine = {**PAMPER, "segments": ["Lapsed"]}
    in_force = load(campaigns={"pamper": PAMPER, "win_back": None, "mine": mine}).campaigns_in_force
    assert in_force["pamper"].offer == "concierge"
    assert "win_back" not in in_force
    assert {"mine", "delight"} <= in_force.keys()
    assert load(default_campaigns=None).campaigns_in_force == {}
    other = load(segmentations={"mine": {"method": "rfm_grid"}}, default_campaigns="mine").campaigns_in_force
    assert {c.segmentation for c in other.values()} == {"mine"}
    assert "champions" in other


def test_a_sources_rules_hold_unless_the_shop_says_otherwise(load: Any):
    settings = load(cleaning={"bad_debt_pattern": None, "zero_price": "keep"})
    rules = settings.rules("uci_online_retail")
    assert (rules.cancellation_pattern, rules.bad_debt_pattern, rules.zero_price) == ("^[Cc]", None, "keep")
    assert settings.rules(None).cancellation_pattern is None


def test_a_field_of_a_shipped_profile_changes_alone(load: Any, monkeypatch: pytest.MonkeyPatch):
    shipped = load_settings().profiles["uci_online_retail"]
    monkeypatch.setenv("RETAIL_PIPELINE_SOURCES__UCI_ONLINE_RETAIL__CURRENCY", "EUR")
    changes = {"replaces": "same_days", "columns": {"country": None, "description": "upper(Description)"}}
    found = load(sources={"uci_online_retail": {**changes, "cleaning": {"bad_debt_pattern": None}}}).profiles[
        "uci_online_retail"
    ]
    assert (found.replaces, found.currency, found.needs) == (
        "same_days",
        "EUR",
        tuple(column for column in shipped.needs if column != "Country"),
    )
    assert found.columns["description"] == "upper(Description)"
    assert shipped.cleaning
    assert found.cleaning
    assert found.cleaning.adjustment_pattern == shipped.cleaning.adjustment_pattern
    assert found.cleaning.bad_debt_pattern is None


def test_a_profile_of_a_shipped_name_is_whole_or_a_change_of_that_one(load: Any):
    columns = dict.fromkeys(("invoice_id", "product_id", "quantity", "unit_price", "sold_at"), "X")
    mine = {"source_system": "mine", "columns": columns | {"customer_id": "null"}}
    assert load(sources={"sap_export": mine}).profiles["sap_export"].encoding is None
    said = refusal(load, sources={"uci_online": {"replaces": "same_days"}})
    assert "sources.uci_online.source_system: Field required" in said


def test_yesterday_is_never_after_the_last_day(load: Any):
    settings = load(last_day="2011-12-09")
    assert settings.yesterday(date(2011, 12, 1)) == date(2011, 11, 30)
    assert settings.yesterday(date(2024, 1, 1)) == date(2011, 12, 9)


# what the planner compares: a setting changes the fingerprint of what it shapes, and nothing else
SHAPES: list[tuple[dict[str, Any], set[str]]] = [
    ({"lake": "elsewhere"}, set()),
    ({"engine": {"threads": 1}}, set()),
    ({"executor": "multiprocess"}, set()),
    ({"suppression": {"path": "x.csv"}}, set()),
    ({"time_zone": "Europe/London"}, {"profiles"}),
    ({"currency": "GBP"}, {"profiles", "checks", "report"}),
    ({"first_day": "2010-12-01"}, {"first_day"}),
    ({"last_day": "2011-12-09"}, {"last_day"}),
    ({"cleaning": {"zero_price": "keep"}}, {"cleaning"}),
    ({"checks": {"max_rejected_share": 0.5}}, {"checks"}),
    ({"features": {"adjustments": "include"}}, {"customer_days"}),
    ({"features": {"window_days": 365}}, {"features"}),
    ({"features": {"returns": "exclude"}}, {"features"}),
    (
        {"segmentations": {"behaviour": {"clusters": 3}, "rfm_grid": {}}, "default_campaigns": None},
        {"segmentations", "campaigns", "report"},
    ),
    ({"campaigns": {"pamper": PAMPER}}, {"campaigns", "report"}),
    ({"campaign_salt": "other"}, {"campaigns"}),
    ({"model_timing": "same_snapshot"}, {"model_timing"}),
    ({"models": {"gates": {"changed": {"limit": 0.2}}}}, {"gates"}),
    ({"models": {"late_data": "retrain"}}, {"late_data"}),
    ({"restate": "everything"}, {"restate"}),
    ({"restate": 0}, {"restate"}),
    ({"models": {"max_moved_by_model": 0.5}}, set()),
    ({"report": {"shop": "Corner shop"}}, {"report"}),
    ({"report": {"each_run": False}}, {"report_each_run"}),
]


@pytest.mark.parametrize(("given", "shaped"), SHAPES, ids=[str(given) for given, _ in SHAPES])
def test_a_setting_makes_stale_what_it_shapes(load: Any, given: dict[str, Any], shaped: set[str]):
    before, after = vars(recipe(load_settings())), vars(recipe(load(**given)))
    assert {name for name in before if before[name] != after[name]} == shaped

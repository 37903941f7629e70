"""The rules as settings: their defaults, and whose word counts."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from retail_pipeline.ingest.profiles.cleaning import CleaningRules, rules_for


def rules(**given: object) -> CleaningRules:
    return CleaningRules.model_validate(given)


def test_by_default_revenue_is_kept_and_bookkeeping_refused():
    assert rules().model_dump(exclude_none=True) == {
        "anonymous": "keep",
        "anonymous_ids": (),
        "zero_price": "refuse",
        "negative_price": "refuse",
        "zero_quantity": "refuse",
        "duplicates": "keep",
        "tidy_text": True,
    }


def test_the_shop_beats_the_profile_beats_the_default_rule_by_rule():
    profile = rules(bad_debt_pattern="^A", cancellation_pattern="^C", zero_price="keep")
    laid = rules_for(rules(cancellation_pattern=None, duplicates="drop"), profile)
    assert laid == rules(
        bad_debt_pattern="^A", cancellation_pattern=None, zero_price="keep", duplicates="drop"
    )
    assert rules_for(rules(), profile) == profile
    assert rules_for(rules(anonymous="refuse"), None) == rules(anonymous="refuse")
    # a shop that states a default means it
    assert rules_for(rules(zero_price="refuse"), rules(zero_price="keep")).zero_price == "refuse"


@pytest.mark.parametrize(
    "pattern", ["[", "(", "*a", "^(?!C)", "(?=a)", "(?<=a)b", "(?<!a)b", "(?>a)", r"(a)\1"]
)
def test_a_pattern_that_no_engine_reads_is_refused(pattern: str):
    with pytest.raises(ValidationError, match=r"is no regular expression|regular expressions lack"):
        rules(invoice_pattern=pattern)


@pytest.mark.parametrize(
    "pattern",
    ["(?i)^(POST|DOT)$", "^([0-9]{5}[A-Z]*|PADS)$", r"\(\?=", r"^\d+\.\d+$", "(?:a|b)+", r"\(?=a"],
)
def test_a_pattern_that_every_engine_reads_is_accepted(pattern: str):
    assert rules(invoice_pattern=pattern).invoice_pattern == pattern


@pytest.mark.parametrize(
    "wrong", [{"minimum_price": "-0.01"}, {"minimum_price": "cheap"}, {"duplicates": "remove"}]
)
def test_a_rule_that_cannot_be_is_refused(wrong: dict[str, str]):
    with pytest.raises(ValidationError):
        rules(**wrong)


def test_ids_of_nobody_are_read_as_files_are_in_any_letter_case():
    found = rules(anonymous_ids=[0, "Walk-In ", "99999.0", "'007"]).anonymous_ids
    assert found == ("0", "walk-in", "99999", "007")

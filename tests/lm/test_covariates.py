"""What is counted in a text, and what likelihoods come to, by hand."""

from __future__ import annotations

import math

import pytest

from rlhf.lm.covariates import LIKELIHOOD, TEXT, likelihood_covariates, text_covariates


def test_a_text_is_counted() -> None:
    found = dict(zip(TEXT, text_covariates("Name the sea.", "The sea the sea\n1. the sea"), strict=True))
    assert found["repeated_words"] == pytest.approx(1 - 3 / 7)  # the, sea, 1 of seven words
    assert found["repeated_pairs"] == pytest.approx(1 - 4 / 6)  # the-sea, sea-the, sea-1, 1-the of six
    assert found["from_prompt"] == pytest.approx(6 / 7)
    assert found["prompt_covered"] == pytest.approx(2 / 3)
    assert (found["ends_well"], found["has_list"], found["empty"], found["has_code"]) == (0, 1, 0, 0)
    assert found["list_items"] == found["lines"] == pytest.approx(math.log(2))
    assert found["word_length"] == pytest.approx(19 / 7)
    assert found["variety"] == pytest.approx(3 / math.sqrt(7))


def test_chinese_is_counted_by_characters() -> None:
    found = dict(zip(TEXT, text_covariates("写句子", "写句。"), strict=True))
    assert found["from_prompt"] == 1 and found["ends_well"] == 1
    assert found["prompt_covered"] == pytest.approx(2 / 3)


def test_an_empty_text_has_numbers() -> None:
    found = dict(zip(TEXT, text_covariates("", ""), strict=True))
    assert found.pop("empty") == 1 and set(found.values()) == {0.0}


def test_likelihoods_are_summed_up_and_held_to_a_floor() -> None:
    found = dict(zip(LIKELIHOOD, likelihood_covariates([-1.0, -0.5, -90.0], -2.0), strict=True))
    assert found["mean"] == pytest.approx(-21.5 / 3)
    assert (found["lowest"], found["sure"], found["ends"]) == (-20.0, pytest.approx(1 / 3), -2.0)
    assert likelihood_covariates([], -3.0) == [0, 0, 0, 0, 0, -3.0]

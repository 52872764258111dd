"""How a text is written, counted by hand."""

from __future__ import annotations

import math

import pytest

from rlhf.lm.style import STYLE, style_covariates


def counted(prompt: str, completion: str) -> dict[str, float]:
    return dict(zip(STYLE, style_covariates(prompt, completion), strict=True))


def test_a_text_is_counted() -> None:
    found = counted("Where is it?", "Sure, I know! Do you see the **northern** sea, for example?")
    assert (found["questions"], found["exclamations"]) == (1 / 2, 1 / 2)
    assert (found["markup"], found["agrees"], found["refuses"], found["closes"]) == (1, 1, 0, 0)
    # sure i know do you see the northern sea for example: eleven words, two sentences, one line
    assert found["sentence_length"] == pytest.approx(math.log1p(5.5))
    assert found["line_length"] == pytest.approx(math.log1p(11))
    assert (found["first_person"], found["second_person"]) == (1 / 11, 1 / 11)
    assert found["connectives"] == 1 / 11
    assert found["long_words"] == pytest.approx(1 / math.sqrt(11))
    assert (found["capitals"], found["commas"]) == (3 / 59, 2 / 59)


@pytest.mark.parametrize("text", ["I'm sorry, as an AI I cannot say.", "抱歉，作为语言模型我无法回答。"])
def test_refusals_are_seen_in_both_languages(text: str) -> None:
    found = counted("?", text)
    assert (found["refuses"], found["of_models"]) == (1, 1)


def test_a_first_line_that_repeats_the_prompt_is_seen() -> None:
    assert counted("Write a poem about the sea.", "write a poem about the sea\nO sea")["echoes"] == 1
    assert counted("Write a poem about the sea.", "O sea, so wide and deep and far")["echoes"] == 0


def test_another_script_than_the_prompts_is_seen() -> None:
    assert counted("Translate: sea", "大海")["other_script"] == 1
    assert counted("翻译", "大海")["other_script"] == 0


def test_a_text_twice_as_long_in_the_same_manner_has_the_same_shares() -> None:
    text = "I see (the sea), because you ask. Is it blue?\n"
    once, twice = counted("?", text), counted("?", text * 2)
    assert twice["commas"] == pytest.approx(once["commas"], rel=0.05)  # the newline between is a character
    for name in ("questions", "sentence_length", "line_length", "first_person", "connectives"):
        assert twice[name] == pytest.approx(once[name])


def test_an_empty_text_has_numbers() -> None:
    assert set(style_covariates("?", " ")) == {0.0}

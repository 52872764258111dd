"""The language is seen where none is given, and not guessed where there is nothing to tell it by."""

import pytest

from annotator.prompts.records import Record
from annotator.prompts.steps.languages import LanguageStep, recognise


@pytest.mark.parametrize(
    ("text", "default", "language"),
    [
        ("请写出反义词", "en", "zh-hans"),
        ("把 JSON 改成 YAML 格式", "en", "zh-hans"),
        ("Write antonyms", "en", "en"),
        ("Write antonyms", "zh-hans", "en"),
        ("Écris le contraire", "fr", "fr"),
        ("", "en", "en"),
        ("Écris une lettre polie à un client mécontent de sa commande.", "en", "fr"),
        ("Schreibe eine freundliche Antwort an die Kundin.", "zh-hans", "de"),
        ("次の文章を読んで、丁寧な返事を書いてください。", "en", "ja"),
        ("다음 고객의 편지를 읽고 공손하게 답장을 써 주세요.", "en", "ko"),
        ("def f(x): return x + 1", "en", "en"),
        ("1 + 1 = 2, 2 + 2 = 4, 3 + 3 = 6", "de", "de"),
    ],
)
def test_it_is_recognised(text, default, language):
    assert recognise(text, default) == language


def test_a_fifth_of_han_is_chinese():
    assert recognise("词" + "a" * 4, "en") == "zh-hans"
    assert recognise("词" + "a" * 5, "en") == "en"


def test_long_texts_are_told_by_their_beginning():
    assert recognise("请写出反义词。" * 60 + "English " * 100_000, "en") == "zh-hans"


def test_what_the_file_says_stands():
    step = LanguageStep(default="en", wanted=())
    record = Record(1, "请写出反义词", language="ja")
    assert step.apply(record) is record
    assert step.changed == 0

"""The language of a task that names none: Chinese by its characters, others by n-grams (py3langid)."""

from __future__ import annotations

import re
from functools import cache

from py3langid.langid import MODEL_FILE, LanguageIdentifier

from annotator.prompts.records import Record, Rejected
from annotator.prompts.steps.step import Step

HAN_SHARE = 0.2
SURE = 0.9
"""Probability from which the model is believed where it says something else than the default."""
LETTERS = 20
"""Fewer tell nothing about a language."""
LOOKED_AT = 400
"""Characters of a text: more make it slower, and hardly ever surer."""
_HAN = re.compile(r"[\u3400-\u9fff]")
_KANA = re.compile(r"[\u3041-\u30fa]")
_LETTER = re.compile(r"[^\W\d_]")


def recognise(text: str, default: str) -> str:
    """The text's language as a code; `default` where it cannot be told, or English if that is Chinese."""
    text = text[:LOOKED_AT]
    if not text.isascii():
        han = len(_HAN.findall(text))
        if han >= HAN_SHARE * len(text) and len(_KANA.findall(text)) < HAN_SHARE * han:
            return "zh-hans"
    fallback = "en" if default == "zh-hans" else default
    if len(_LETTER.findall(text)) < LETTERS:
        return fallback
    language, probability = _identifier().classify(text)
    return str(language) if probability >= SURE and language != "zh" else fallback


class LanguageStep(Step):
    """Fills in the language, and leaves out tasks in others than those wanted."""

    name = "language"

    def __init__(self, *, default: str, wanted: tuple[str, ...]) -> None:
        super().__init__()
        self.default, self.wanted = default, wanted

    def apply(self, record: Record) -> Record | Rejected:
        """The record with its language."""
        if not record.language:
            language = recognise(_words(record), self.default)
            record = record.with_language(language)
            self.changed += 1
            self.counts[language] += 1
        if self.wanted and record.language not in self.wanted:
            self.keep_example(record.line, record.shown, "")
            return self.reject(record, "language", f"is {record.language}, not {' or '.join(self.wanted)}.")
        return record


def _words(record: Record) -> str:
    """What tells the language: the description, or else the instructions, or else the examples."""
    if record.text.strip():
        return record.text
    given = " ".join(given.text for given in record.given[:3])
    return given or record.shown


@cache
def _identifier() -> LanguageIdentifier:
    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)

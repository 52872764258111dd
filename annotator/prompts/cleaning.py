"""Cleaning of the texts that people and files bring: encoding damage, control characters, white space."""

from __future__ import annotations

import re

import ftfy

# Tab and newline stay. The others do nothing good on a page, and PostgreSQL refuses NUL,
# UTF-8 half a surrogate pair.
_CONTROL = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ufeff\ufffe\uffff\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)
_TRAILING = re.compile(r"(?<![ \t])[ \t]+(?=\n|$)")  # from the first only: a long run is looked at once
_BLANK_LINES = re.compile(r"\n{3,}")
FTFY = ftfy.TextFixerConfig(
    unescape_html=False,  # a task may be about HTML
    uncurl_quotes=False,
    fix_character_width=False,  # full-width punctuation is right in Chinese
    fix_latin_ligatures=False,
    remove_terminal_escapes=True,
    normalization="NFC",
)


def clean_text(text: str) -> str:
    """Repair mojibake, drop control characters, tidy white space; the words stay as they are."""
    text = ftfy.fix_text(text, config=FTFY)
    return strip_text(text)


def strip_text(text: str) -> str:
    """Drop control characters and tidy white space, without any repair: for what people type."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    text = _CONTROL.sub("", text)
    text = _TRAILING.sub("", text)
    return _BLANK_LINES.sub("\n\n", text).strip()

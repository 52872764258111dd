"""Personal data in texts: e-mail addresses, phone, Chinese identity and card numbers, flagged or masked."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date

from annotator.prompts.records import Record, map_texts, texts_of
from annotator.prompts.steps.step import Step

MASKS = {"email": "[email]", "id": "[ID]", "card": "[card]", "phone": "[phone]"}
"""What takes the place of each kind."""

_EMAIL = re.compile(
    r"(?<![\w.%+-])[A-Za-z0-9._%+-]{1,64}@(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24}(?![\w-])"
)
_ID = re.compile(r"(?<![0-9A-Za-z])[1-8][0-9]{16}[0-9Xx](?![0-9A-Za-z])")
_CARD = re.compile(r"(?<![0-9])(?<![0-9][ -])[2-6](?:[ -]?[0-9]){12,18}(?![ -]?[0-9])")
_PHONES = (
    re.compile(r"(?<![0-9+])(?:\+?86[ -]?)?1[3-9][0-9][ -]?[0-9]{4}[ -]?[0-9]{4}(?![0-9])"),  # Chinese mobile
    re.compile(
        r"(?<![0-9-])(?:\+?86[ -]?)?\(?0[1-9][0-9]{1,2}\)?[ -][2-9][0-9]{6,7}(?![0-9-])"
    ),  # and landline
    re.compile(
        r"(?<![0-9+])\+[1-9][0-9]{0,2}(?:[ .-]?\(?[0-9]{1,4}\)?){2,5}(?![0-9])"
    ),  # with a country's code
    re.compile(r"(?<![0-9-])\(?[0-9]{3}\)?[ .-][0-9]{3}[ .-][0-9]{4}(?![0-9-])"),  # North American
)
_DIGITS = re.compile(r"[0-9][0-9 .()-]{5}")
_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)


def is_id(number: str) -> bool:
    """Whether 18 characters are a Chinese identity number: a birthday, and the check digit (GB 11643)."""
    year, month, day = int(number[6:10]), int(number[10:12]), int(number[12:14])
    try:
        born = date(year, month, day)
    except ValueError:
        return False
    check = sum(weight * int(digit) for weight, digit in zip(_WEIGHTS, number, strict=False)) % 11
    return date(1900, 1, 1) <= born <= date.today() and "10X98765432"[check] == number[17].upper()


def is_card(number: str) -> bool:
    """Whether 13 to 19 digits, spaces and hyphens aside, are a card's number: Luhn's check digit."""
    digits = [int(character) for character in number if character.isdigit()]
    total = sum(digits[-1::-2]) + sum(sum(divmod(2 * digit, 10)) for digit in digits[-2::-2])
    return total % 10 == 0 and len(set(digits)) > 1


def found(text: str) -> set[str]:
    """The kinds of personal data in the text."""
    return {kind for kind, _, _ in _spans(text)}


def mask(text: str) -> str:
    """The text with a word in brackets in place of every piece of personal data."""
    parts, end = [], 0
    for kind, start, stop in _spans(text):
        parts += [text[end:start], MASKS[kind]]
        end = stop
    return "".join([*parts, text[end:]]) if parts else text


class PersonalStep(Step):
    """Flags records with personal data, and masks it where asked."""

    name = "personal"

    def __init__(self, *, masks: bool) -> None:
        super().__init__()
        self.masks = masks

    def apply(self, record: Record) -> Record:
        """The record with its flags. Examples show what is left when all is masked: a report is passed on."""
        kinds: set[str] = set()
        first = ""
        for text in texts_of(record):
            if kinds_here := found(text):
                kinds |= kinds_here
                first = first or text
        if not kinds:
            return record
        self.counts.update(kinds)
        masked = mask(first)
        self.keep_example(record.line, masked, masked)
        record = replace(record, flags=tuple(sorted({*record.flags, *kinds})))
        if not self.masks:
            return record
        self.changed += 1
        return map_texts(record, mask)


def _spans(text: str) -> Iterator[tuple[str, int, int]]:
    """Kind, beginning and end of every piece, in order and apart from each other."""
    spans: list[tuple[int, int, str]] = []
    if "@" in text:
        spans += _matches("email", _EMAIL, text)
    if _DIGITS.search(text):
        spans += _matches("id", _ID, text, is_id)
        spans += _matches("card", _CARD, text, is_card)
        for pattern in _PHONES:
            spans += _matches("phone", pattern, text, _is_phone)
    order = list(MASKS)
    end = 0
    for start, stop, kind in sorted(spans, key=lambda span: (span[0], order.index(span[2]))):
        if start >= end:
            yield kind, start, stop
            end = stop


def _matches(
    kind: str, pattern: re.Pattern[str], text: str, holds: Callable[[str], bool] = bool
) -> list[tuple[int, int, str]]:
    return [(m.start(), m.end(), kind) for m in pattern.finditer(text) if holds(m.group())]


def _is_phone(number: str) -> bool:
    return 8 <= sum(character.isdigit() for character in number) <= 15

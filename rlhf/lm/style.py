"""How a completion is written, counted without a model: manner rather than matter, in English and Chinese.

Beside covariates.py, which counts structure. Shares and means, no sums: none of them grows with length alone.
"""

from __future__ import annotations

import math
import re

from rlhf.lm import metrics

STYLE = (
    *("refuses", "of_models", "questions", "exclamations", "markup", "sentence_length", "line_length"),
    *("capitals", "commas", "brackets", "quotes", "first_person", "second_person", "agrees", "closes"),
    *("connectives", "echoes", "long_words", "other_script"),
)

REFUSAL = re.compile(
    r"\b(?:sorry|apologi[sz]e|unfortunately|unable to"
    r"|(?:cannot|can['’]?t|do not|don['’]?t) "
    r"(?:have|do|help|provide|access|assist|answer|determine|give|see|tell|write))\b"
    r"|抱歉|对不起|无法|不能",
    re.IGNORECASE,
)
MODEL = re.compile(r"\b(?:an ai|language model|ai assistant)\b|人工智能|语言模型", re.IGNORECASE)
SENTENCE = re.compile(r"[.!?…](?=\s|$)|[。！？]")
MARKUP = re.compile(r"^#+ |\*\*[^*]+\*\*|^\|.*\|$", re.MULTILINE)
AGREES = re.compile(
    r"\W*(?:(?:sure|certainly|absolutely|okay|great|yes|of course|here(?: is| are|['’]s))\b"
    r"|当然|好的|没问题|以下是)",
    re.IGNORECASE,
)
CLOSES = re.compile(
    r"hope (?:this|that|it)|let me know|feel free|in conclusion|in summary|overall,|总之|综上|希望|如果您",
    re.IGNORECASE,
)
CONNECTIVES = re.compile(
    r"\b(?:for example|for instance|such as|because|therefore|however|including|although|since)\b"
    r"|例如|比如|因为|因此|所以|但是|然而|包括",
    re.IGNORECASE,
)
FIRST = frozenset({"i", "me", "my", "mine", "we", "our", "us", "我"})
SECOND = frozenset({"you", "your", "yours", "你", "您"})
OPENING, CLOSING = 300, 250  # characters in which a beginning or an end is looked for
LONG_WORD = 8  # characters
ECHO = (20, 60)  # a first line so long at least, so much of it at most


def style_covariates(prompt: str, completion: str) -> list[float]:
    """The numbers named in STYLE. Of an empty completion all but `other_script` are 0."""
    text = completion.strip()
    words = metrics.words(text)
    lines = [line for line in text.splitlines() if line.strip()]
    size, count = max(len(text), 1), max(len(words), 1)
    sentences = max(len(SENTENCE.findall(text)), 1)
    first = lines[0].strip().casefold() if lines else ""
    return [
        float(bool(REFUSAL.search(text[:OPENING]))),
        float(bool(MODEL.search(text))),
        sum(text.count(mark) for mark in "?？") / sentences,
        sum(text.count(mark) for mark in "!！") / sentences,
        float(bool(MARKUP.search(text))),
        math.log1p(len(words) / sentences),
        math.log1p(len(words) / max(len(lines), 1)),
        sum(c.isupper() for c in text) / size,
        sum(c in ",;:，；：、" for c in text) / size,
        sum(c in "()[]{}（）【】" for c in text) / size,
        sum(c in "\"“”'‘’「」《》" for c in text) / size,
        sum(word in FIRST for word in words) / count,
        sum(word in SECOND for word in words) / count,
        float(bool(AGREES.match(text))),
        float(bool(CLOSES.search(text[-CLOSING:]))),
        len(CONNECTIVES.findall(text)) / count,
        float(len(first) >= ECHO[0] and first[: ECHO[1]] in prompt.casefold()),
        len({word for word in words if len(word) >= LONG_WORD}) / math.sqrt(count),
        _beyond_ascii(text) - _beyond_ascii(prompt),
    ]


def _beyond_ascii(text: str) -> float:
    return sum(not c.isascii() for c in text) / max(len(text), 1)

"""Texts repaired: mojibake, compatibility characters, HTML, control characters."""

from __future__ import annotations

import html
import re
import unicodedata

import ftfy
import nh3

from annotator.prompts.cleaning import FTFY, strip_text

# In texts of these alone there is nothing to repair; it is found out ten times faster than ftfy does.
_SOUND = re.compile(
    r"[\n\t\x20-\x7e\u00b7\u2014\u2018\u2019\u201c\u201d\u2026\u3000-\u3029\u4e00-\u9fff\uff01-\uff5e]*"
)
_TAGS = (
    "a|abbr|article|b|blockquote|body|br|center|code|div|em|font|footer|form|h[1-6]|head|header|hr|html|i|iframe|"
    "img|input|label|li|link|main|meta|nav|ol|option|p|pre|s|script|section|select|small|span|strong|style|sub|"
    "sup|svg|table|tbody|td|th|thead|title|tr|u|ul|video"
)
_TAG = re.compile(rf"</?(?:{_TAGS})(?:\s[^<>]*)?/?>|<!--", re.IGNORECASE)
_NO_TAG = re.compile(rf"<(?!/?(?:{_TAGS})(?:\s[^<>]*)?/?>|!--)", re.IGNORECASE)
_BREAKS = re.compile(
    r"<(?:br|hr)\s*/?>|</(?:p|div|li|tr|h[1-6]|blockquote|pre|table|ul|ol)\s*>", re.IGNORECASE
)
_SURROGATE = re.compile(r"[\ud800-\udfff]")  # half of a pair, which is no text to nh3
_ENTITY = re.compile(r"&(?:#[0-9]{1,7}|#x[0-9a-f]{1,6}|[a-z][a-z0-9]{1,30});", re.IGNORECASE)


def repair(text: str) -> str:
    """Mojibake and other damage undone, in normal form C."""
    if _SOUND.fullmatch(text):
        return text
    return str(ftfy.fix_text(text, config=FTFY))


def nfkc(text: str) -> str:
    """Compatibility characters as plain ones. In Chinese it takes full-width punctuation too."""
    return unicodedata.normalize("NFKC", text)


def without_html(text: str) -> str:
    """Tags out, scripts and styles with all in them, entities as characters; a block ends a line.

    A text without a tag of HTML and without entities stays as it is: x < y is none.
    """
    if "<" in text and _TAG.search(text):
        text = _NO_TAG.sub("&lt;", _SURROGATE.sub("", text))
        text = _BREAKS.sub(lambda found: "\n" + found.group(), text)
        return html.unescape(nh3.clean(text, tags=set(), attributes={}))
    if "&" in text and _ENTITY.search(text):
        return html.unescape(text)
    return text


def without_controls(text: str) -> str:
    """Control characters and needless white space out, as pages and databases need it."""
    return strip_text(text)

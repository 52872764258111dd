"""Filters of the model side's pages: events as sentences, figures with their intervals."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from django import template
from django.utils.dateformat import format as date_format
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.timezone import localtime
from django.utils.translation import gettext as _

from annotator.models import Event

register = template.Library()

# Written out, so that every language has its own order of words. Other verbs are shown as they are.
SENTENCES: dict[str, Callable[[], str]] = {
    "started": lambda: _("{actor} started {subject}"),
    "cancelled": lambda: _("{actor} cancelled {subject}"),
    "resumed": lambda: _("{actor} resumed {subject}"),
    "promoted": lambda: _("{actor} promoted {subject}"),
    "imported": lambda: _("{actor} imported {subject}"),
    "simulated": lambda: _("Simulated annotators gave {subject}"),
}


@register.filter
def event_text(event: Event) -> SafeString:
    """An event as a sentence, its subject linked."""
    subject: str = event.subject
    if event.url.startswith("/"):
        subject = format_html('<a href="{}">{}</a>', event.url, event.subject)
    sentence = SENTENCES[event.verb]() if event.verb in SENTENCES else "{actor} {verb} {subject}"
    return format_html(sentence, actor=event.actor or _("The site"), verb=event.verb, subject=subject)


@register.filter
def moment(time: datetime | None) -> SafeString | str:
    """A time as an element that times.js writes in the reader's zone; until then in the site's."""
    if time is None:
        return "–"
    here = localtime(time)
    # Translators: a date format of Django's, day and time without the year.
    words = date_format(here, _("j M, H:i"))
    return format_html('<time datetime="{}">{}</time>', here.isoformat(), words)


@register.filter
def figure(value: Any, digits: int = 2) -> str:
    """A number with so many decimals and a true minus sign. None → a dash."""
    return "–" if not isinstance(value, int | float) else f"{value:.{digits}f}".replace("-", "−")


@register.filter
def unlocalised(value: float) -> str:
    """A number for an attribute of SVG, whatever the language."""
    return f"{value:g}"

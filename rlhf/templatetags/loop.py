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
    "asked people about": lambda: _("{actor} asked annotators about {subject}"),
    "imported": lambda: _("{actor} imported {subject}"),
    "undid the import of": lambda: _("{actor} undid the import of {subject}"),
    "simulated": lambda: _("Simulated annotators gave {subject}"),
    "exported": lambda: _("{actor} exported {subject}"),
    "deleted the export": lambda: _("{actor} deleted the export {subject}"),
    "created the project": lambda: _("{actor} created the project {subject}"),
    "changed the settings": lambda: _("{actor} changed the settings: {subject}"),
    "added": lambda: _("{actor} added {subject} to the project"),
    "changed": lambda: _("{actor} changed the role of {subject}"),
    "removed": lambda: _("{actor} removed {subject} from the project"),
    "paused": lambda: _("{actor} paused {subject}"),
    "made an invitation": lambda: _("{actor} made an invitation: {subject}"),
    "revoked an invitation": lambda: _("{actor} revoked an invitation: {subject}"),
    "joined by invitation": lambda: _("{actor} joined by an invitation: {subject}"),
    "withdrew their judgments": lambda: _("{subject} withdrew their judgments"),
    "gave their judgments back": lambda: _("{subject} gave their judgments back"),
    "changed the image of": lambda: _("{actor} changed the image of task {subject}"),
    "removed the image of": lambda: _("{actor} removed the image of task {subject}"),
}
# The same where nothing names the subject: an invitation need not have a note.
WITHOUT_SUBJECT: dict[str, Callable[[], str]] = {
    "made an invitation": lambda: _("{actor} made an invitation"),
    "revoked an invitation": lambda: _("{actor} revoked an invitation"),
    "joined by invitation": lambda: _("{actor} joined by an invitation"),
}


@register.filter
def event_text(event: Event) -> SafeString:
    """An event as a sentence, its subject linked."""
    subject: str = event.subject
    if event.url.startswith("/"):
        subject = format_html('<a href="{}">{}</a>', event.url, event.subject)
    known = SENTENCES if event.subject else {**SENTENCES, **WITHOUT_SUBJECT}
    sentence = known[event.verb]() if event.verb in known else "{actor} {verb} {subject}"
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

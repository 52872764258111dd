"""Tags and filters that every page may use: icons, the project's navigation, Markdown, durations."""

from __future__ import annotations

from typing import Any

import nh3
from django import template
from django.templatetags.static import static
from django.urls import NoReverseMatch, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from markdown_it import MarkdownIt

from annotator.access import JUDGES, MANAGERS, STAFF, membership_of
from annotator.models import Membership, Project, Role
from annotator.quality import watch

register = template.Library()

EVERYBODY = tuple(Role)

IN_TASKS = ("prompt", "prompt-image-change", "import", "import-detail", "import-undo")

NAVIGATION = [
    # URL name, label, who sees it, other URL names under the same entry
    ("project", gettext_lazy("Overview"), EVERYBODY, ()),
    ("rank", gettext_lazy("Rank"), JUDGES, ()),
    ("guidelines", gettext_lazy("Guidelines"), EVERYBODY, ()),
    ("prompts", gettext_lazy("Tasks"), STAFF, IN_TASKS),
    ("comparisons", gettext_lazy("Comparisons"), STAFF, ("comparison",)),
    ("quality", gettext_lazy("Quality"), STAFF, ("gold",)),
    ("runs", gettext_lazy("Runs"), STAFF, ("run", "run-start", "evaluation")),
    ("models", gettext_lazy("Models"), STAFF, ("promote",)),
    ("exports", gettext_lazy("Exports"), STAFF, ("export",)),
    ("notes", gettext_lazy("Notes"), MANAGERS, ()),
    ("members", gettext_lazy("Members"), MANAGERS, ("member", "invite")),
    ("settings", gettext_lazy("Settings"), MANAGERS, ()),
]

FLAGS = {
    "harmful": gettext_lazy("harmful"),
    "biased": gettext_lazy("biased"),
    "personal data": gettext_lazy("personal data"),
    "wrong language": gettext_lazy("wrong language"),
    "broken": gettext_lazy("broken"),
}
"""The default flags in the reader's language; flags of a project's own are shown as they are."""

_markdown = MarkdownIt("commonmark", {"html": False}).enable("table").enable("strikethrough")


@register.simple_tag
def icon(name: str, label: str = "") -> SafeString:
    """An icon of static/icons.svg; silent for screen readers unless it has a label."""
    url = static("icons.svg")
    if label:
        return format_html(
            '<svg class="icon" role="img" aria-label="{}"><use href="{}#{}"></use></svg>', label, url, name
        )
    return format_html('<svg class="icon" aria-hidden="true"><use href="{}#{}"></use></svg>', url, name)


@register.inclusion_tag("_project_navigation.html", takes_context=True)
def project_navigation(context: dict[str, Any], project: Project) -> dict[str, Any]:
    """The project's pages that this user may open, the present one marked."""
    request = context["request"]
    membership = membership_of(request.user, project)
    role = membership.role if membership else None
    here = request.resolver_match.url_name if request.resolver_match else ""
    entries = []
    for name, label, roles, others in NAVIGATION:
        if not request.user.is_superuser and role not in roles:
            continue
        try:
            url = reverse(name, args=[project.slug])
        except NoReverseMatch:
            continue
        text = str(label)
        if name == "notes" and (waiting := project.notes.filter(done_at=None).count()):
            text = f"{label} ({waiting})"
        entries.append({"url": url, "label": text, "is_current": here == name or here in others})
    return {"entries": entries}


@register.filter
def markdown(text: str) -> SafeString:
    """Markdown as sanitised HTML; raw HTML in it is shown, not obeyed."""
    return mark_safe(nh3.clean(_markdown.render(text), link_rel="noopener noreferrer nofollow"))  # noqa: S308


@register.filter
def flag_label(flag: str) -> str:
    return str(FLAGS.get(flag, flag))


@register.filter
def pause_reason(membership: Membership) -> str:
    """Why somebody's part is paused, in the reader's language."""
    return watch.reason(membership)


@register.filter
def percent(fraction: float | None, digits: int = 0) -> str:
    """0.873 → 87 %. None → a dash."""
    return "–" if fraction is None else f"{100 * fraction:.{digits}f} %"


@register.filter
def duration(seconds: float | None) -> str:
    """Seconds as a person says them: 8 s, 3 min, 2 h 5 min. None → a dash."""
    if seconds is None:
        return "–"
    if seconds < 10:
        return _("%(n)s s") % {"n": f"{seconds:.1f}"}
    if seconds < 90:
        return _("%(n)s s") % {"n": round(seconds)}
    minutes = round(seconds / 60)
    if minutes < 90:
        return _("%(n)s min") % {"n": minutes}
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return _("%(hours)s h %(minutes)s min") % {"hours": hours, "minutes": minutes}
    days = round(hours / 24)
    return ngettext("%(n)s day", "%(n)s days", days) % {"n": days}

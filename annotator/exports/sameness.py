"""Whether an export made again is the same, and where it is not, why."""

from __future__ import annotations

from dataclasses import dataclass

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from annotator.models import Export


@dataclass(frozen=True)
class Comparison:
    """An export beside the one that it repeats."""

    earlier: Export
    is_same: bool
    reasons: list[str]


def beside_earlier(export: Export) -> Comparison | None:
    """None while there is nothing to compare."""
    earlier = export.repeats
    if earlier is None or export.state != Export.State.DONE or not earlier.sha256:
        return None
    is_same = export.sha256 == earlier.sha256
    return Comparison(earlier, is_same, [] if is_same else list(_reasons(export, earlier)))


def _reasons(export: Export, earlier: Export) -> list[str]:
    found = []
    now, before = (one.manifest.get("withdrawn", {}).get("judgments", 0) for one in (export, earlier))
    if now > before:
        words = ngettext(
            "%(n)d judgment has been withdrawn since by who gave it.",
            "%(n)d judgments have been withdrawn since by who gave them.",
            now - before,
        )
        found.append(words % {"n": now - before})
    elif now < before:
        words = ngettext(
            "%(n)d judgment that was withdrawn then may be used again.",
            "%(n)d judgments that were withdrawn then may be used again.",
            before - now,
        )
        found.append(words % {"n": before - now})
    made_by, made_before_by = (one.manifest.get("software", "") for one in (export, earlier))
    if made_by != made_before_by:
        words = _("It was made by %(now)s, the earlier one by %(before)s.")
        found.append(words % {"now": made_by, "before": made_before_by})
    return found or [
        _("Tasks were changed or removed since, or the site has a new secret key and so new pseudonyms.")
    ]

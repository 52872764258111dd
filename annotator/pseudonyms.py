"""What annotators are called in everything taken out."""

from __future__ import annotations

from django.utils.crypto import salted_hmac

from annotator.models import Project


def pseudonym(project: Project, user_id: int) -> str:
    """The annotator's name in exports: keyed with the site's secret, different in each project."""
    digest = salted_hmac("prefloop.exports.pseudonym", f"{project.pk}:{user_id}", algorithm="sha256")
    return f"annotator-{digest.hexdigest()[:16]}"

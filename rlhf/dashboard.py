"""The admin's first page: what waits, what is stuck, what has failed, and how full the disk is.

Nothing is counted beyond `MOST`, so that the page costs the same on a large site. Each figure leads to its
list, and is shown to those who may see that.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from celery import current_app
from django.conf import settings
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import number_format
from django.utils.translation import gettext as _
from kombu.exceptions import OperationalError

from annotator.audit_words import in_words
from annotator.models import AuditEntry, Comparison, Export, Membership, Project, PromptImport, Ranking
from annotator.periods import first_since
from annotator.ranking import leases
from rlhf.models import Run

MOST = 10_000
QUEUES = ("light", "model", "refit")
LATEST = 10
FAILED_FOR = timedelta(days=7)
LITTLE_SPACE = 0.1
"""A disk of which less than this share is free asks for attention."""
GIB = 1024**3
State = Run.State


@dataclass(frozen=True)
class Figure:
    label: str
    value: str
    link: str = ""
    note: str = ""
    attention: bool = False


def fill(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """Unfold's callback for the index: adds `dashboard` and `latest`."""
    user: Any = request.user
    parts = [(_("Work"), _work(user)), (_("Jobs"), _jobs(user)), (_("Site"), _site(user))]
    filled = [{"title": title, "figures": list(figures)} for title, figures in parts]
    context["dashboard"] = [part for part in filled if part["figures"]]
    if user.has_perm("annotator.view_auditentry"):
        context["latest"] = list(AuditEntry.objects.all()[:LATEST])
        for entry in context["latest"]:
            entry.words = in_words(entry.action)
    return context


def _work(user: Any) -> Iterator[Figure]:
    if user.has_perm("annotator.view_comparison"):
        yield Figure(_("Comparisons in the queue"), _count(Comparison.objects.open()), _list("comparison"))
    if user.has_perm("annotator.view_assignment"):
        held = _list("assignment", state="leased")
        yield Figure(_("Open leases"), _count(leases.held()), held)
        overdue = leases.expired().order_by()[:MOST].count()
        note = _("The sweep gives them back; is the worker running?") if overdue else ""
        yield Figure(_("Leases past their end"), _number(overdue), held, note, attention=overdue > 0)
    if user.has_perm("annotator.view_ranking"):
        day = first_since(Ranking.objects.all(), "created_at", timezone.now() - timedelta(days=1))
        yield Figure(
            _("Judgments in 24 hours"), _count(Ranking.objects.filter(pk__gte=day)), _list("ranking")
        )
    if user.has_perm("annotator.view_membership"):
        paused = Membership.objects.filter(paused_at__isnull=False)
        yield Figure(_("Paused people"), _count(paused), _list("membership", state="paused"))
    if user.has_perm("annotator.view_project"):
        paused_projects = Project.objects.filter(paused_at__isnull=False)
        yield Figure(_("Paused projects"), _count(paused_projects), _list("project", state="paused"))


def _jobs(user: Any) -> Iterator[Figure]:
    now = timezone.now()
    if user.has_perm("rlhf.view_run"):
        active = Run.objects.active()
        yield Figure(_("Runs under way"), _count(active), _list("run", app="rlhf"))
        silent = now - timedelta(seconds=settings.RUN_STALE_SECONDS)
        stuck = Run.objects.filter(state=State.RUNNING, heartbeat_at__lt=silent).count()
        link = _list("run", app="rlhf", state__exact=State.RUNNING)
        note = _("Their worker has gone silent.") if stuck else ""
        yield Figure(_("Stuck runs"), _number(stuck), link, note, attention=stuck > 0)
        failed = Run.objects.filter(state=State.FAILED, created_at__gte=now - FAILED_FOR).count()
        link = _list("run", app="rlhf", state__exact=State.FAILED)
        yield Figure(_("Failed runs in 7 days"), _number(failed), link, attention=failed > 0)
    if user.has_perm("annotator.view_promptimport"):
        imports = PromptImport.objects.filter(created_at__gte=now - FAILED_FOR)
        failed = imports.filter(state=PromptImport.State.FAILED).count()
        link = _list("promptimport", state__exact=PromptImport.State.FAILED)
        yield Figure(_("Failed imports in 7 days"), _number(failed), link, attention=failed > 0)
    if user.has_perm("annotator.view_export"):
        exports = Export.objects.filter(created_at__gte=now - FAILED_FOR)
        failed = exports.filter(state=Export.State.FAILED).count()
        link = _list("export", state__exact=Export.State.FAILED)
        yield Figure(_("Failed exports in 7 days"), _number(failed), link, attention=failed > 0)
    if user.is_superuser:
        yield from _waiting()


def _waiting() -> Iterator[Figure]:
    """Messages that no worker has taken yet, of each queue."""
    try:
        with current_app.connection_for_read() as connection:
            connection.ensure_connection(max_retries=1, interval_start=0, timeout=1)
            for name in QUEUES:
                redis: Any = connection.default_channel
                waiting = redis.client.llen(name)
                yield Figure(_("Waiting in “%s”") % name, _number(waiting))
    except (OperationalError, OSError) as error:
        yield Figure(_("Broker"), _("cannot be reached"), note=str(error)[:200], attention=True)


def _site(user: Any) -> Iterator[Figure]:
    if not user.is_superuser:
        return
    disk = shutil.disk_usage(settings.VAR)
    note = _("of %(total)s on the disk of var/") % {"total": _gib(disk.total)}
    few = disk.free < LITTLE_SPACE * disk.total
    yield Figure(_("Free space"), _gib(disk.free), note=note, attention=few)
    name = settings.DATABASES["default"]["NAME"]
    if settings.DATABASES["default"]["ENGINE"] == "annotator.site.sqlite" and Path(name).exists():
        yield Figure(_("Database"), _gib(Path(name).stat().st_size), note="SQLite")


def _list(model: str, *, app: str = "annotator", **query: str) -> str:
    """The address of a model's list, filtered."""
    return reverse(f"admin:{app}_{model}_changelist", query=query or None)


def _count(rows: QuerySet[Any]) -> str:
    count = rows.order_by()[:MOST].count()
    return f"{_number(count)}{'+' if count >= MOST else ''}"


def _number(count: int) -> str:
    return number_format(count, force_grouping=True)


def _gib(size: int) -> str:
    return f"{number_format(size / GIB, 2)} GiB"

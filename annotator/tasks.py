"""The human side's Celery tasks, all on the queue `light`. They carry ids only and may be repeated."""

from __future__ import annotations

from celery import shared_task

from annotator.api import idempotency
from annotator.models import Project
from annotator.prompts import importing
from annotator.quality import reports
from annotator.ranking import queue
from annotator.webhooks import delivering


@shared_task
def import_file(import_id: int) -> None:
    """Carry out one import."""
    importing.run_import(import_id)


@shared_task
def sweep_imports() -> None:
    """Send imports that the broker has not got, and those whose worker died."""
    for import_id in importing.requeue_stale():
        if not importing.send_import(import_id):
            return


@shared_task
def sweep_leases() -> int:
    """Give back comparisons whose lease has ended; the number of leases."""
    ended = 0
    while count := queue.sweep_expired():
        ended += count
    return ended


@shared_task
def compute_quality(project_id: int) -> None:
    """Compute one project's quality report."""
    project = Project.objects.filter(pk=project_id).first()
    if project is not None:
        reports.compute(project)


@shared_task
def sweep_quality() -> int:
    """Bring the reports of projects with new judgments up to date; how many."""
    projects = reports.due()
    for project_id in projects:
        compute_quality(project_id)
    return len(projects)


@shared_task
def deliver_webhook(delivery_id: int) -> None:
    """Make one attempt to deliver an event."""
    delivering.deliver(delivery_id)


@shared_task
def sweep_webhooks() -> None:
    """Send the deliveries that are due: another attempt, or one that the broker has lost."""
    delivering.sweep()


@shared_task
def sweep_answers() -> None:
    """Forget the answers of yesterday's requests, and old deliveries."""
    idempotency.sweep()
    delivering.forget_old()

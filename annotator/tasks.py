"""The human side's Celery tasks, all on the queue `light`. They carry ids only and may be repeated."""

from __future__ import annotations

from celery import shared_task

from annotator.exports import jobs, retention
from annotator.models import Project
from annotator.prompts import aside, importing
from annotator.quality import reports
from annotator.ranking import queue

CLEARING_SECONDS = 5.0
"""Of every sweep, for the removal of what an import that was undone had brought."""


@shared_task
def import_file(import_id: int) -> None:
    """Carry out the next step of one import: inspect it, or store what was inspected."""
    importing.run_import(import_id)


@shared_task
def sweep_imports() -> None:
    """Send imports that the broker has not got or whose worker died; remove what lies out of sight."""
    for import_id in importing.waiting():
        if not importing.send_import(import_id):
            break
    aside.clear_left(CLEARING_SECONDS)


@shared_task
def make_export(export_id: int) -> None:
    """Make one saved export."""
    jobs.run(export_id)


@shared_task
def sweep_exports() -> None:
    """Send exports that the broker has not got, and those whose worker died."""
    for export_id in jobs.requeue_stale():
        if not jobs.send(export_id):
            return


@shared_task
def sweep_export_files() -> int:
    """Delete files that are kept no longer; of how many exports."""
    return retention.delete_old_files()


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

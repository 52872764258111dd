"""How long the files of saved exports are kept: recipe, manifest and hash stay, and make them again."""

from __future__ import annotations

import shutil
from datetime import timedelta

from django.conf import settings
from django.utils import timezone

from annotator.exports.jobs import root_of
from annotator.models import Export


def delete_old_files() -> int:
    """Delete the files of exports older than EXPORT_KEEP_DAYS (0: never), and files of no export at all.

    Returns how many exports' files were deleted.
    """
    _delete_strays()
    if not settings.EXPORT_KEEP_DAYS:
        return 0
    now = timezone.now()
    old = Export.objects.filter(
        state=Export.State.DONE,
        files_deleted_at=None,
        finished_at__lt=now - timedelta(days=settings.EXPORT_KEEP_DAYS),
    )
    ids = list(old.values_list("pk", flat=True))
    for export_id in ids:
        # First the row: who asks meanwhile is told so, and not that a file is missing.
        Export.objects.filter(pk=export_id).update(files_deleted_at=now)
        shutil.rmtree(root_of(export_id), ignore_errors=True)
    return len(ids)


def _delete_strays() -> None:
    """Folders whose export is gone, with its project, say."""
    root = settings.EXPORTS_DIR
    if not root.is_dir():
        return
    there = {int(folder.name): folder for folder in root.iterdir() if folder.name.isdecimal()}
    known = set(Export.objects.filter(pk__in=there).values_list("pk", flat=True))
    for export_id in there.keys() - known:
        shutil.rmtree(there[export_id], ignore_errors=True)

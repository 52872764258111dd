"""Saved exports as jobs: made by a worker with progress, cancelled, taken up after a crash, made again.

As with imports, the row is the job: it is claimed by a conditional UPDATE, `claimed_at` is the claim's token
and heartbeat, and whoever no longer holds it (cancelled, or taken over after a crash) leaves nothing behind.
An export that is begun again is written anew: recipe and frozen point give the same bytes.
"""

from __future__ import annotations

import errno
import hashlib
import json
import logging
import shutil
import time
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from celery import current_app
from django.conf import settings
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _
from kombu.exceptions import OperationalError

from annotator import events
from annotator.exports.export import NothingToExport, judgments_up_to, write_export
from annotator.exports.recipe import Recipe
from annotator.exports.selection import Frozen
from annotator.models import Export, Project, User

log = logging.getLogger(__name__)

State = Export.State
BEAT_SECONDS = 1.0
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class Superseded(Exception):
    """The export was cancelled, or another worker has taken it over."""


class DiskFull(Exception):
    """Writing on would leave the site itself no room."""


def create(
    *,
    project: Project,
    recipe: Recipe,
    user: User | None,
    name: str = "",
    frozen: Frozen | None = None,
    repeats: Export | None = None,
    send_it: bool = True,
) -> Export:
    """Queue an export of the project as it is now (or `frozen`), sent to the broker on commit."""
    frozen = frozen or Frozen.now(project)
    export = Export.objects.create(
        project=project,
        name=name.strip()[:120] or recipe.format,
        recipe=recipe.to_json(),
        frozen=frozen.to_json(),
        repeats=repeats,
        created_by=user,
        of=judgments_up_to(project, frozen),
    )
    events.record(project, user, "exported", str(export), export.get_absolute_url())
    if send_it:
        transaction.on_commit(partial(send, export.pk))
    return export


def repeat(export: Export, user: User | None, *, send_it: bool = True) -> Export:
    """Queue the same export again: same recipe, same frozen point; who has withdrawn since is left out."""
    return create(
        project=export.project,
        recipe=Recipe.from_json(export.recipe),
        user=user,
        name=export.name,
        frozen=Frozen.from_json(export.frozen),
        repeats=export,
        send_it=send_it,
    )


def send(export_id: int) -> bool:
    """Put the export on the broker; False if that cannot be reached (the sweep tries again)."""
    try:
        current_app.send_task("annotator.tasks.make_export", [export_id])
    except OperationalError as error:
        log.warning("export %d waits for the broker: %s", export_id, error)
        return False
    return True


def cancel(export: Export) -> bool:
    """Stop an export that is not done; no file of it will be there. False if it has ended."""
    active = Export.objects.active().filter(pk=export.pk)
    return bool(active.update(state=State.CANCELLED, finished_at=timezone.now()))


def delete(export: Export, user: User | None) -> None:
    """Remove the export and its files. One that is being made is cancelled by that."""
    folder = root_of(export.pk)
    with transaction.atomic():
        Export.objects.filter(pk=export.pk).delete()
        events.record(export.project, user, "deleted the export", export.name)
    transaction.on_commit(lambda: shutil.rmtree(folder, ignore_errors=True))


def requeue_stale() -> list[int]:
    """Give exports whose worker died back to the queue; the ids of all that wait and should be sent."""
    now = timezone.now()
    stale = now - timedelta(seconds=settings.EXPORT_STALE_SECONDS)
    Export.objects.filter(state=State.RUNNING, claimed_at__lt=stale).update(
        state=State.QUEUED, claimed_at=None
    )
    waiting = Export.objects.filter(state=State.QUEUED, created_at__lt=now - timedelta(seconds=5))
    return list(waiting.order_by("pk").values_list("pk", flat=True))


def run(export_id: int) -> None:
    """Make a queued export; one that is not queued is left alone. Errors end in `error`."""
    claim = _Claim.take(export_id)
    if claim is None:
        return
    try:
        _make(claim)
    except Superseded:
        log.info("export %d was cancelled or taken over", export_id)
        claim.remove_files()
    except NothingToExport:
        claim.fail(_("There is nothing to export: the judgments that its filters take give no line."))
    except DiskFull as problem:
        claim.fail(str(problem))
    except Exception as error:
        if isinstance(error, OSError) and error.errno in FULL:
            claim.fail(_disk_full())
        elif claim.fail(f"The export failed: {type(error).__name__}: {error}"):
            raise


def root_of(export_id: int) -> Path:
    """The folder of an export: in it one of each attempt that was finished."""
    root: Path = settings.EXPORTS_DIR
    return root / str(export_id)


class _Claim:
    """One worker's hold on a running export."""

    def __init__(self, export: Export, token: datetime) -> None:
        self.export, self.token = export, token
        self.beaten = time.monotonic()

    @classmethod
    def take(cls, export_id: int) -> _Claim | None:
        now = timezone.now()
        export = Export.objects.select_related("project", "created_by").filter(pk=export_id).first()
        if export is None:
            return None
        attempts = export.attempts + 1
        queued = Export.objects.filter(pk=export_id, state=State.QUEUED, attempts=export.attempts)
        if not queued.update(
            state=State.RUNNING, claimed_at=now, consent_at=now, attempts=attempts, error="", read=0
        ):
            return None
        export.state, export.claimed_at, export.consent_at, export.attempts = (
            State.RUNNING,
            now,
            now,
            attempts,
        )
        return cls(export, now)

    def update(self, **values: Any) -> None:
        """Write to the export while it is ours. Raises Superseded if it is not any more."""
        mine = Export.objects.filter(pk=self.export.pk, state=State.RUNNING, claimed_at=self.token)
        if not mine.update(**values):
            raise Superseded

    def beat(self, read: int) -> None:
        """Show progress, and look whether there is still room; at most once in BEAT_SECONDS."""
        if time.monotonic() - self.beaten < BEAT_SECONDS:
            return
        if shutil.disk_usage(settings.EXPORTS_DIR).free < settings.EXPORT_KEEP_FREE_BYTES:
            raise DiskFull(_disk_full())
        now = timezone.now()
        self.update(read=read, claimed_at=now)
        self.token, self.beaten = now, time.monotonic()

    def fail(self, error: str) -> bool:
        """End it with an error and without files. False if it was cancelled or taken over before."""
        self.remove_files()
        try:
            self.update(state=State.FAILED, error=error, finished_at=timezone.now())
        except Superseded:
            log.info("export %d failed after it was cancelled: %s", self.export.pk, error)
            return False
        return True

    def remove_files(self) -> None:
        """Of this attempt alone: another worker may be writing beside it."""
        shutil.rmtree(self.export.folder, ignore_errors=True)
        with suppress(OSError):  # another attempt's files are there, or nothing is
            root_of(self.export.pk).rmdir()


def _make(claim: _Claim) -> None:
    export = claim.export
    settings.EXPORTS_DIR.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(root_of(export.pk), ignore_errors=True)  # left by an attempt whose worker died
    if shutil.disk_usage(settings.EXPORTS_DIR).free < settings.EXPORT_KEEP_FREE_BYTES:
        raise DiskFull(_disk_full())
    manifest = write_export(
        export.project,
        Recipe.from_json(export.recipe),
        frozen=Frozen.from_json(export.frozen),
        folder=export.folder,
        report=claim.beat,
    )
    written = {file.path: file for file in manifest.files}
    files = [
        {
            "name": file.path,
            "bytes": file.bytes,
            "sha256": file.sha256,
            "lines": file.lines,
            "split": file.split,
        }
        for file in manifest.files
    ]
    for path in sorted(export.folder.rglob("*")):
        name = path.relative_to(export.folder).as_posix()
        if path.is_file() and name not in written:
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            files.append({"name": name, "bytes": path.stat().st_size, "sha256": digest})
    claim.update(
        state=State.DONE,
        read=export.of,
        manifest=json.loads(manifest.to_json()),
        files=files,
        sha256=manifest.sha256,
        finished_at=timezone.now(),
    )


def _disk_full() -> str:
    free = shutil.disk_usage(settings.EXPORTS_DIR).free / 1024**2
    kept = settings.EXPORT_KEEP_FREE_BYTES / 1024**2
    return _(
        "The disk is full: %(free)d MB are free, and %(kept)d MB are kept for the site itself. Nothing of "
        "this export was stored. Delete old exports, or ask who runs the site for room, and make it again."
    ) % {"free": free, "kept": kept}

"""The doors of importing: a file is kept, inspected, looked at, imported, undone. Safe to repeat and to kill.

    queued → inspecting → ready → importing → done → undone, or failed, or cancelled on the way

A worker inspects, a manager looks at the preview and says go, a worker stores: all of it or nothing. How a
worker holds an import is in `claims`; reading and preparing in `inspecting`, storing in `storing`.
"""

from __future__ import annotations

import hashlib
import logging
import secrets
from functools import partial
from typing import Any

from celery import current_app
from django.conf import settings
from django.core.files import File
from django.db import DatabaseError, transaction
from django.db.models.functions import Now
from kombu.exceptions import OperationalError

from annotator.models import Project, PromptImport, User
from annotator.prompts import aside, claims, inspecting, kept, storing
from annotator.prompts.claims import Claim, Report, Superseded
from annotator.prompts.preparing import PreparationOptions
from annotator.prompts.reading import ImportProblem

log = logging.getLogger(__name__)

State = PromptImport.State
NO_ROOM = "There is no room left on the disk, so nothing was stored. Make some and inspect the file again."


def create_import(
    *,
    project: Project,
    name: str,
    file: File[bytes],
    user: User | None,
    default_domain: str,
    options: PreparationOptions | None = None,
    answers: bool = False,
    family: str = "",
    send: bool = True,
) -> PromptImport:
    """Keep the file and queue its inspection, sent to the broker on commit (unless `send` is false).

    Raises ImportProblem if the file is empty or too large, or there is no room for it.
    """
    if not file.size:
        raise ImportProblem(0, "", "it is empty.")
    if file.size > settings.IMPORT_MAX_BYTES:
        limit = settings.IMPORT_MAX_BYTES / 1024**2
        raise ImportProblem(0, "", f"it has {file.size / 1024**2:.1f} MB; {limit:.0f} MB are the most.")
    digest = hashlib.sha256()
    for chunk in file.chunks():
        digest.update(chunk)
    file.seek(0)
    batch = PromptImport(
        project=project,
        name=name[-200:],
        sha256=digest.hexdigest(),
        created_by=user,
        default_domain=default_domain,
        forced_format=family,
        options=inspecting.stored(options or PreparationOptions(), answers=answers),
    )
    stored_as = f"{secrets.token_hex(16)}.source"
    try:
        batch.file.save(stored_as, file, save=False)
        batch.save()
    except OSError as error:
        kept.forget(f"{kept.FOLDER}{stored_as}")
        if error.errno not in kept.FULL:
            raise
        raise ImportProblem(0, "", "there is no room for it on the disk.") from error
    if send:
        transaction.on_commit(partial(send_import, batch.pk))
    return batch


def inspect_again(
    batch: PromptImport,
    *,
    options: PreparationOptions,
    answers: bool = False,
    default_domain: str = "",
    family: str = "",
    send: bool = True,
) -> bool:
    """Inspect the file anew, with other steps; False if the import is under way or done meanwhile.

    `family` is the form of its rows where the content tells a wrong one (see `formats.families`).
    """
    chosen = {
        "options": inspecting.stored(options, answers=answers),
        "default_domain": default_domain or batch.default_domain,
        "forced_format": family,
    }
    return _wait(
        batch, State.QUEUED, [State.READY, State.FAILED, State.CANCELLED, State.UNDONE], send, **chosen
    )


def start_import(batch: PromptImport, *, send: bool = True) -> bool:
    """Import what the preview shows; False if it does not show anything any more."""
    return _wait(batch, State.IMPORTING, [State.READY], send)


def cancel_import(batch: PromptImport) -> bool:
    """Stop an import that is not done; nothing of it will be stored. False if it has ended."""
    going = [State.QUEUED, State.INSPECTING, State.READY, State.IMPORTING]
    cancelled = PromptImport.objects.filter(pk=batch.pk, state__in=going).update(
        state=State.CANCELLED, claim="", records="", progress={}, finished_at=Now()
    )
    if cancelled:
        kept.tidy(PromptImport.objects.get(pk=batch.pk))
    return bool(cancelled)


def send_import(import_id: int) -> bool:
    """Put the import on the broker; False if that cannot be reached (the sweep tries again)."""
    try:
        current_app.send_task("annotator.tasks.import_file", [import_id])
    except (OperationalError, OSError) as error:
        log.warning("import %d waits for the broker: %s", import_id, error)
        return False
    return True


def waiting() -> list[int]:
    """Take imports from workers that died; the ids of all that wait for one and should be sent."""
    for batch in claims.give_back_silent():
        kept.tidy(batch)
    found = PromptImport.objects.filter(state__in=claims.WORKING, claim="")
    return list(found.order_by("pk").values_list("pk", flat=True))


def run_import(import_id: int, report: Report | None = None) -> None:
    """Carry out the next step of an import that waits for a worker; others are left alone.

    Errors end in `error`; those that nobody foresaw are raised too.
    """
    claim = Claim.take(import_id, report)
    if claim is None:
        return
    step = inspecting.inspect if claim.batch.state == State.INSPECTING else storing.store
    try:
        step(claim)
    except Superseded:
        log.info("import %d was cancelled or taken over", import_id)
    except ImportProblem as problem:
        claim.end(State.FAILED, str(problem))
    except storing.Overtaken:
        claim.end(
            State.FAILED, "Others kept adding the same tasks to the project. Nothing was stored; try again."
        )
    except KeyboardInterrupt:
        claim.end(State.CANCELLED, "Interrupted; nothing was imported.")
        raise
    except Exception as error:
        if _is_full(error):
            log.error("import %d: %s", import_id, error)
            claim.end(State.FAILED, NO_ROOM)
        elif claim.end(State.FAILED, f"The import failed: {type(error).__name__}: {error}"):
            raise
    finally:
        _tidy(import_id)


def import_now(batch: PromptImport, report: Report | None = None) -> PromptImport:
    """Inspect and import in this process, without a look at the preview; the import as it ended."""
    run_import(batch.pk, report)
    batch.refresh_from_db()
    if batch.state == State.READY and start_import(batch, send=False):
        run_import(batch.pk, report)
        batch.refresh_from_db()
    return batch


def _wait(
    batch: PromptImport,
    state: PromptImport.State,
    before: list[PromptImport.State],
    send: bool,
    **values: Any,
) -> bool:
    changed = PromptImport.objects.filter(pk=batch.pk, state__in=before).update(
        state=state, claim="", attempts=0, progress={}, error="", finished_at=None, **values
    )
    if changed and send:
        transaction.on_commit(partial(send_import, batch.pk))
    return bool(changed)


def _tidy(import_id: int) -> None:
    """Nothing half-done stays: neither files nor rows out of sight."""
    batch = PromptImport.objects.filter(pk=import_id).first()
    if batch is None or batch.claim:
        return
    kept.tidy(batch)
    aside.clear_all(batch)


def _is_full(error: BaseException) -> bool:
    if isinstance(error, OSError):
        return error.errno in kept.FULL
    return isinstance(error, DatabaseError) and "full" in str(error)  # SQLite's and PostgreSQL's word for it

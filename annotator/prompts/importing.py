"""Importing a file of tasks: all of it or nothing, safe to repeat, with progress in `counts`.

A file is read, cleaned and checked before the first row is stored; storing is one transaction, which
also ends the import. `claimed_at` is the claim's token: it is renewed as a heartbeat, and whoever no
longer holds it (cancelled, or taken over after a crash) stores nothing.
"""

from __future__ import annotations

import hashlib
import logging
import random
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta
from functools import partial
from typing import Any, TypeVar

from celery import current_app
from django.conf import settings
from django.core.files import File
from django.db import transaction
from django.db.models import Max
from django.urls import reverse
from django.utils import timezone
from kombu.exceptions import OperationalError

from annotator import events
from annotator.models import Completion, Project, Prompt, PromptImport, User, hash_text
from annotator.prompts import reading
from annotator.prompts.reading import ImportProblem, TaskRow
from annotator.ranking import queue

log = logging.getLogger(__name__)

State = PromptImport.State
BEAT_SECONDS = 1.0
STALE = timedelta(minutes=3)
"""An import that has not beaten for so long has lost its worker."""
BATCH = 500
T = TypeVar("T")


class Superseded(Exception):
    """The import was cancelled, or another worker has taken it over."""


def create_import(
    *,
    project: Project,
    name: str,
    file: File[bytes],
    user: User | None,
    default_domain: str,
    send: bool = True,
) -> PromptImport:
    """Keep the file and queue its import, sent to the broker on commit (unless `send` is false).

    Raises ImportProblem if the file is empty or too large.
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
    )
    batch.file.save(f"{digest.hexdigest()[:16]}.txt", file, save=False)
    batch.save()
    if send:
        transaction.on_commit(partial(send_import, batch.pk))
    return batch


def send_import(import_id: int) -> bool:
    """Put the import on the broker; False if that cannot be reached (the sweep tries again)."""
    try:
        current_app.send_task("annotator.tasks.import_file", [import_id])
    except OperationalError as error:
        log.warning("import %d waits for the broker: %s", import_id, error)
        return False
    return True


def cancel_import(batch: PromptImport) -> bool:
    """Stop an import that is not done; nothing of it will be stored. False if it has ended."""
    active = PromptImport.objects.filter(pk=batch.pk, state__in=[State.QUEUED, State.RUNNING])
    return bool(active.update(state=State.CANCELLED, finished_at=timezone.now()))


def requeue_stale() -> list[int]:
    """Give imports whose worker died back to the queue; the ids of all that wait and should be sent."""
    now = timezone.now()
    PromptImport.objects.filter(state=State.RUNNING, claimed_at__lt=now - STALE).update(
        state=State.QUEUED, claimed_at=None
    )
    waiting = PromptImport.objects.filter(state=State.QUEUED, created_at__lt=now - timedelta(seconds=5))
    return list(waiting.order_by("pk").values_list("pk", flat=True))


def run_import(import_id: int, report: Callable[[int, int], None] | None = None) -> None:
    """Carry out a queued import; one that is not queued is left alone. Errors end in `error`.

    `report` is called now and then with the lines read and all lines.
    """
    claim = _Claim.take(import_id)
    if claim is None:
        return
    try:
        _run(claim, report)
    except Superseded:
        log.info("import %d was cancelled or taken over", import_id)
    except ImportProblem as problem:
        claim.end(State.FAILED, str(problem))
    except Exception as error:
        claim.end(State.FAILED, f"The import failed: {type(error).__name__}: {error}")
        raise
    except KeyboardInterrupt:
        claim.end(State.CANCELLED, "Interrupted; nothing was imported.")
        raise


class _Claim:
    """One worker's hold on a running import."""

    def __init__(self, batch: PromptImport, token: datetime) -> None:
        self.batch, self.token = batch, token
        self.beaten = time.monotonic()

    @classmethod
    def take(cls, import_id: int) -> _Claim | None:
        now = timezone.now()
        queued = PromptImport.objects.filter(pk=import_id, state=State.QUEUED)
        if not queued.update(state=State.RUNNING, claimed_at=now, error="", counts={}):
            return None
        batch = PromptImport.objects.select_related("project", "created_by").get(pk=import_id)
        return cls(batch, now)

    def update(self, **values: Any) -> None:
        """Write to the import while it is ours. Raises Superseded if it is not any more."""
        mine = PromptImport.objects.filter(pk=self.batch.pk, state=State.RUNNING, claimed_at=self.token)
        if not mine.update(**values):
            raise Superseded

    def beat(self, **counts: int) -> bool:
        """Show progress, at most once in BEAT_SECONDS; whether it was time."""
        if time.monotonic() - self.beaten < BEAT_SECONDS:
            return False
        now = timezone.now()
        self.update(counts=counts, claimed_at=now)
        self.token, self.beaten = now, time.monotonic()
        return True

    def end(self, state: PromptImport.State, error: str) -> None:
        try:
            self.update(state=state, error=error, finished_at=timezone.now())
        except Superseded:
            log.info("import %d ended after it was cancelled: %s", self.batch.pk, error)


def _run(claim: _Claim, report: Callable[[int, int], None] | None) -> None:
    batch = claim.batch
    with batch.file.open("rb") as file:
        lines = reading.split_lines(reading.decode(file.read()))
    kind = reading.recognise(lines)
    rows = []
    for row in reading.read_rows(lines, kind):
        rows.append(row)
        if claim.beat(lines=len(lines), read=len(rows)) and report:
            report(len(rows), len(lines))
    with transaction.atomic():
        counts = {"lines": len(lines), "read": len(rows), **_store(batch, rows)}
        has_instructions = any(row.instruction for row in rows)
        claim.update(
            state=State.DONE,
            format=f"{kind}-{'pairs' if has_instructions else 'tasks'}",
            counts=counts,
            finished_at=timezone.now(),
        )
        url = reverse("import-detail", args=[batch.project.slug, batch.pk])
        events.record(batch.project, batch.created_by, "imported", batch.name, url)


def _store(batch: PromptImport, rows: list[TaskRow]) -> dict[str, Any]:
    """Store what is new, and count what was not."""
    project = batch.project
    queue.locked(Project.objects.filter(pk=project.pk)).get()  # one import at a time in a project
    prompts: dict[str, Prompt] = {}
    texts: dict[str, dict[str, str]] = {}  # prompt hash → text hash → text
    seen: set[tuple[str, str]] = set()
    for row in rows:
        prompt = _prompt(batch, row)
        prompts.setdefault(prompt.hash, prompt)
        instruction_hash = hash_text(row.instruction) if row.instruction else ""
        seen.add((prompt.hash, instruction_hash))
        if row.instruction:
            texts.setdefault(prompt.hash, {}).setdefault(instruction_hash, row.instruction)
    known = _ids(project, prompts)
    new = [prompt for key, prompt in prompts.items() if key not in known]
    Prompt.objects.bulk_create(new, batch_size=BATCH)
    ids = known | {prompt.hash: prompt.pk for prompt in new}
    added, completions_known = _store_completions(batch, {ids[key]: given for key, given in texts.items()})
    return {
        "prompts": len(new),
        "held_out": sum(prompt.is_held_out for prompt in new),
        "known": len(known),
        "repeated": len(rows) - len(seen),
        "completions": len(added),
        "completions_known": completions_known,
        "comparisons": _compare(project, {ids[key] for key in texts}),
        "languages": Counter(prompt.language for prompt in new),
        "domains": Counter(prompt.domain for prompt in new),
        "ignored_fields": Counter(name for row in rows for name in row.ignored),
    }


def _prompt(batch: PromptImport, row: TaskRow) -> Prompt:
    project = batch.project
    shown = row.text or " ".join(example["input"] for example in row.examples)
    prompt = Prompt(
        project=project,
        batch=batch,
        text=row.text,
        examples=list(row.examples),
        held_out_examples=list(row.held_out_examples),
        reference=row.reference,
        domain=row.domain or batch.default_domain,
        language=row.language or reading.guess_language(shown, project.language),
    )
    prompt.fill_in()
    return prompt


def _ids(project: Project, hashes: Iterable[str]) -> dict[str, int]:
    """The ids of the project's prompts that have one of the hashes."""
    return {
        key: pk
        for some in _batches(hashes)
        for key, pk in Prompt.objects.filter(project=project, hash__in=some).values_list("hash", "pk")
    }


def _store_completions(batch: PromptImport, texts: dict[int, dict[str, str]]) -> tuple[list[Completion], int]:
    """Store the instructions that their prompts do not have yet; these, and how many they have."""
    known = {
        key
        for some in _batches(texts)
        for key in Completion.objects.filter(prompt__in=some).values_list("prompt", "text_hash")
    }
    iteration = _iteration(batch.project)
    given = [(prompt, key, text) for prompt, by_key in texts.items() for key, text in by_key.items()]
    new = [
        Completion(
            prompt_id=prompt,
            text=text,
            text_hash=key,
            source=Completion.Source.IMPORTED,
            batch=batch,
            iteration=iteration,
        )
        for prompt, key, text in given
        if (prompt, key) not in known
    ]
    return Completion.objects.bulk_create(new, batch_size=BATCH), len(given) - len(new)


def _compare(project: Project, prompt_ids: Iterable[int]) -> int:
    """Put the imported instructions of these prompts into the queue."""
    comparisons = []
    for some in _batches(sorted(prompt_ids)):
        of_prompt: dict[int, list[int]] = {}
        imported = Completion.objects.filter(prompt__in=some, source=Completion.Source.IMPORTED)
        for prompt_id, pk in imported.order_by("pk").values_list("prompt", "pk"):
            of_prompt.setdefault(prompt_id, []).append(pk)
        for prompt_id, pks in of_prompt.items():
            for chosen in chain(pks, project.completions_per_comparison, seed=prompt_id):
                comparisons.append(queue.NewComparison(prompt_id, chosen))
    return queue.add_comparisons(project=project, comparisons=comparisons, iteration=_iteration(project))


def chain(ids: list[int], k: int, *, seed: int) -> Iterator[tuple[int, ...]]:
    """Groups of k in which every id occurs and which hang together: each shares one id with the next."""
    if len(ids) < 2:
        return
    ring = random.Random(seed).sample(ids, len(ids))
    if len(ring) <= k:
        yield tuple(ring)
        return
    for start in range(0, len(ring), k - 1):
        yield tuple(ring[(start + step) % len(ring)] for step in range(k))


def _iteration(project: Project) -> int:
    """The loop's turn that the newest comparisons belong to."""
    latest: int | None = project.comparisons.aggregate(latest=Max("iteration"))["latest"]
    return latest or 1


def _batches(items: Iterable[T]) -> Iterator[list[T]]:
    rows = list(items)
    for start in range(0, len(rows), BATCH):
        yield rows[start : start + BATCH]

"""Where an import's rows lie out of sight: what comes in until all is there, what goes until all is gone.

It is a row of the projects' table that no page and no query of projects finds (`Project.objects`). Rows
come into it, and are removed from it, in short transactions, so that nobody who ranks meanwhile waits; to
show or to hide them all is one UPDATE. What a worker that died left there is removed by the sweep.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable

from django.core.files.storage import Storage
from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet, Subquery

from annotator.models import Comparison, Completion, Project, Prompt, PromptImport, Ranking, User

CHUNK = 200
"""Rows removed in one transaction, with all that hangs on them."""
State = PromptImport.State


def make(batch: PromptImport) -> Project:
    """A new place for rows of this import."""
    real = batch.project
    slug = f"aside-{secrets.token_hex(16)}"
    made: Project = Project.all_objects.create(
        name=slug, slug=slug, aside_of=batch, language=real.language, held_out_share=real.held_out_share
    )
    return made


def image_folder(aside: Project) -> str:
    """Where images lie that come in with this place's rows; it stays theirs when they are shown."""
    return f"{Prompt.image.field.upload_to}{aside.slug}/"


def shadow_of(prompt: Prompt, place: Project) -> Prompt:
    """An unsaved stand-in for a task that stays where it is: what joins it hangs here."""
    return Prompt(project=place, hash=prompt.hash, is_held_out=prompt.is_held_out)


def move(completions: QuerySet[Completion], comparisons: QuerySet[Comparison], to: Project) -> None:
    """Hang these on the prompts of the same hash in `to`, which must be there."""
    its_hash = Prompt.objects.filter(pk=OuterRef(OuterRef("prompt_id"))).values("hash")[:1]
    there = Subquery(Prompt.objects.filter(project=to, hash=Subquery(its_hash)).values("pk")[:1])
    comparisons.update(project=to, prompt=there)
    completions.update(prompt=there)


def clear(aside: Project, until: float = float("inf"), beat: Callable[[], None] = lambda: None) -> bool:
    """Remove all that lies there, and the place; False if that is not done by `until` (`time.monotonic`)."""
    storage = Prompt.image.field.storage
    comparisons = Comparison.objects.filter(project=aside)
    while pks := list(comparisons.values_list("pk", flat=True)[:CHUNK]):
        with transaction.atomic():
            Comparison.objects.filter(pk__in=pks).delete()
        beat()
        if time.monotonic() > until:
            return False
    prompts = Prompt.objects.filter(project=aside)
    while rows := list(prompts.only("pk", "image")[:CHUNK]):
        for row in rows:
            if row.image.name:
                storage.delete(row.image.name)
        with transaction.atomic():
            Prompt.objects.filter(pk__in=[row.pk for row in rows]).delete()
        beat()
        if time.monotonic() > until:
            return False
    _remove_folder(storage, image_folder(aside))
    with transaction.atomic():
        Project.all_objects.filter(pk=aside.pk).delete()
    _remove_unheard()
    return True


def clear_left(seconds: float) -> None:
    """Go on removing what is in nobody's hands, for so many seconds at most."""
    until = time.monotonic() + seconds
    left = Project.all_objects.exclude(aside_of=None).exclude(
        Q(aside_of__state=State.IMPORTING) & ~Q(aside_of__claim="")
    )
    for aside in left.order_by("pk"):
        if not clear(aside, until):
            return


def clear_all(batch: PromptImport, beat: Callable[[], None] = lambda: None) -> None:
    """Remove all that lies out of sight for this import; `beat` is called meanwhile."""
    for aside in Project.all_objects.filter(aside_of=batch):
        clear(aside, beat=beat)


def _remove_folder(storage: Storage, folder: str) -> None:
    """A worker that died may have left images there that no row names."""
    if storage.exists(folder):
        for name in storage.listdir(folder)[1]:
            storage.delete(f"{folder}{name}")
        storage.delete(folder)


def _remove_unheard() -> None:
    """Those who came with a file and of whom no judgment is left."""
    heard = Ranking.objects.filter(annotator=OuterRef("pk"))
    User.objects.filter(~Exists(heard), is_imported=True).delete()

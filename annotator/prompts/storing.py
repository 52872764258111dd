"""Storing an inspected import: its rows come in out of sight, a chunk at a time, and are shown all at once.

Until the last transaction nothing of it can be seen, and whoever no longer holds the import (it was
cancelled, or taken over after a crash) cannot get there.
"""

from __future__ import annotations

from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet
from django.db.models.functions import Now
from django.urls import reverse

from annotator import events
from annotator.models import Comparison, Completion, Project, Prompt, PromptImport
from annotator.prompts import aside, kept
from annotator.prompts.arriving import CHUNK, Arrival, batches
from annotator.prompts.claims import Claim
from annotator.ranking import queue

State = PromptImport.State
TRIES = 3


class Overtaken(Exception):
    """Meanwhile the project got a task or a text that this import was about to bring."""


def store(claim: Claim) -> None:
    """Bring in all that the inspection prepared. Raises Superseded where the import is not ours any more."""
    for last in (False,) * (TRIES - 1) + (True,):
        aside.clear_all(claim.batch, claim.beat)  # what a worker left that died, or an earlier try
        try:
            _store(claim)
        except Overtaken:
            if last:
                raise
        else:
            return


def _store(claim: Claim) -> None:
    batch = claim.batch
    place = aside.make(batch)
    total = batch.report.get("kept", 0)
    arrival = Arrival(batch, place, lambda: claim.update(beaten_at=Now()))
    done = 0
    for records in batches(kept.records_of(batch), CHUNK):
        arrival.add(records)
        done += len(records)
        claim.beat(done, total)
    for _ in arrival.compare():
        claim.beat(done, total)
    records_name = str(batch.records.name)
    with transaction.atomic():
        show(claim, place, arrival)
    kept.forget(records_name)


def show(claim: Claim, place: Project, arrival: Arrival) -> None:
    """Make all of it the project's, and end the import."""
    batch, project = claim.batch, claim.batch.project
    queue.locked(Project.objects.filter(pk=project.pk)).get()  # two imports must not bring the same task
    prompts = Prompt.objects.filter(project=place)
    new, stand_ins = prompts.filter(batch=batch), prompts.filter(batch=None)
    comparisons = Comparison.objects.filter(project=place)
    if _has_overtaken(project, new, stand_ins):
        raise Overtaken
    joined = Completion.objects.filter(prompt__in=stand_ins)
    if arrival.real:
        aside.move(joined, comparisons.filter(prompt__in=stand_ins), project)
        # Nothing refers to them any more, so there is nothing to look for.
        stand_ins._raw_delete(stand_ins.db)
    comparisons.update(project=project)
    prompts.update(project=project)
    arrival.rankings.add_late()
    Project.all_objects.filter(pk=place.pk).delete()
    url = reverse("import-detail", args=[project.slug, batch.pk])
    events.record(project, batch.created_by, "imported", batch.name, url)
    claim.update(
        state=State.DONE,
        counts=arrival.summary(),
        claim="",
        records="",
        progress={},
        error="",
        finished_at=Now(),
    )


def _has_overtaken(project: Project, new: QuerySet[Prompt], stand_ins: QuerySet[Prompt]) -> bool:
    there = Prompt.objects.filter(project=project, hash=OuterRef("hash"))
    if new.filter(Exists(there)).exists() or stand_ins.filter(~Exists(there)).exists():
        return True
    texts = Completion.objects.filter(
        prompt__project=project, prompt__hash=OuterRef("prompt__hash"), text_hash=OuterRef("text_hash")
    )
    return Completion.objects.filter(Exists(texts), prompt__in=stand_ins).exists()

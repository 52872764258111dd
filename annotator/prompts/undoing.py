"""Undoing an import: all that it brought goes as a whole, but for what people have worked with since."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from django.db import transaction
from django.db.models import Exists, F, OuterRef, Q, QuerySet
from django.db.models.functions import Now
from django.urls import reverse

from annotator import events
from annotator.models import (
    Assignment,
    Comparison,
    Completion,
    Project,
    Prompt,
    PromptImport,
    Ranking,
    User,
)
from annotator.prompts import aside
from annotator.prompts.arriving import batches
from annotator.ranking import queue

State = PromptImport.State
Rule = Comparison.Rule
CHUNK = 500
_JUDGES = Q(rule__in=[Rule.GOLD, Rule.EVALUATION])


@dataclass(frozen=True)
class Brought:
    """What would go, and what stands in the way of it."""

    prompts: int
    completions: int
    """Those that others wrote since for its tasks included."""
    written_since: int
    """Of the completions, those that a model or a later import wrote."""
    comparisons: int
    rankings: int
    used: int
    """Tasks, and instructions that joined tasks of others, that people have worked with."""
    judged: int
    """Judgments that people gave on them."""
    held: int
    """Comparisons that somebody has open now."""
    joined: int
    """Tasks for which another import brought more."""
    judging: int
    """Gold questions and evaluations that are made of them."""


class InUse(Exception):
    """People have worked with some of it."""

    def __init__(self, brought: Brought) -> None:
        self.brought = brought
        super().__init__("people have worked with some of what the import brought")


class NotDone(Exception):
    """There is nothing to undo: the import is not done, or was undone already."""


def brought_by(batch: PromptImport) -> Brought:
    """What the import brought that is still there."""
    used_prompts, used_texts = _used_prompts(batch), _used_texts(batch)
    prompts = batch.prompts.exclude(pk__in=used_prompts.values("pk"))
    completions = Completion.objects.filter(prompt__in=prompts)
    texts = _joined(batch).exclude(pk__in=used_texts.values("pk"))
    of_people = Ranking.objects.filter(_touched(batch, "comparison__")).exclude(batch=batch)
    held = Assignment.objects.filter(_touched(batch, "comparison__"), state=Assignment.State.LEASED)
    return Brought(
        prompts=prompts.count(),
        completions=completions.count() + texts.count(),
        written_since=completions.exclude(batch=batch).count(),
        comparisons=Comparison.objects.filter(prompt__in=prompts).count() + _of_texts(texts).count(),
        rankings=batch.rankings.count(),
        used=used_prompts.count() + used_texts.count(),
        judged=of_people.distinct().count(),
        held=held.distinct().count(),
        joined=_joined_by_others(batch).count(),
        judging=Comparison.objects.filter(_touched(batch), _JUDGES).distinct().count(),
    )


@transaction.atomic
def undo(batch: PromptImport, user: User | None, *, keep_used: bool = False) -> Brought:
    """Take out all that the import brought, at once; what people worked with stays if `keep_used`.

    Raises InUse where people have worked with some of it, NotDone where there is nothing to undo; then
    nothing changes. The rows are out of sight when this is committed, and are removed little by little.
    """
    project = batch.project
    queue.locked(Project.objects.filter(pk=project.pk)).get()
    if not PromptImport.objects.filter(pk=batch.pk, state=State.DONE).update(
        state=State.UNDONE, finished_at=Now(), attempts=0
    ):
        raise NotDone
    # Whoever is taking one of them now has it before we look, or finds it gone.
    touched = Comparison.objects.filter(pk__in=Comparison.objects.filter(_touched(batch)).values("pk"))
    for _ in queue.locked(touched).values_list("pk").iterator():
        pass
    brought = brought_by(batch)
    if brought.used and not keep_used:
        raise InUse(brought)
    place = aside.make(batch)
    _take_out_texts(batch, place)
    _take_out_judgments(batch)
    free = batch.prompts.exclude(pk__in=_used_prompts(batch).values("pk"))
    Comparison.objects.filter(prompt__in=free).update(project=place)
    free.update(project=place)
    PromptImport.objects.filter(pk=batch.pk).update(counts={**batch.counts, "kept": brought.used})
    url = reverse("import-detail", args=[project.slug, batch.pk])
    events.record(project, user, "undid the import of", batch.name, url)
    return brought


def _touched(batch: PromptImport, prefix: str = "") -> Q:
    """Comparisons of its tasks, or with its completions."""
    return Q(**{f"{prefix}prompt__batch": batch}) | Q(**{f"{prefix}slots__completion__batch": batch})


def _worked_with(batch: PromptImport) -> QuerySet[Comparison]:
    """Comparisons that somebody judged here or is judging, or that judge people or models."""
    others = Ranking.objects.filter(comparison=OuterRef("pk")).exclude(batch=batch)
    leases = Assignment.objects.filter(comparison=OuterRef("pk"), state=Assignment.State.LEASED)
    return Comparison.objects.filter(
        Exists(others) | Exists(leases) | Q(rule__in=[Rule.GOLD, Rule.EVALUATION])
    )


def _used_prompts(batch: PromptImport) -> QuerySet[Prompt]:
    """Its tasks that people worked with, or for which another import brought something."""
    worked = _worked_with(batch).filter(prompt=OuterRef("pk"))
    others = Completion.objects.filter(prompt=OuterRef("pk"), batch__isnull=False).exclude(batch=batch)
    return batch.prompts.filter(Exists(worked) | Exists(others))


def _joined_by_others(batch: PromptImport) -> QuerySet[Prompt]:
    others = Completion.objects.filter(prompt=OuterRef("pk"), batch__isnull=False).exclude(batch=batch)
    return batch.prompts.filter(Exists(others))


def _joined(batch: PromptImport) -> QuerySet[Completion]:
    """Its completions of tasks that others brought."""
    return batch.completions.filter(Q(prompt__batch=None) | ~Q(prompt__batch=batch))


def _used_texts(batch: PromptImport) -> QuerySet[Completion]:
    worked = _worked_with(batch).filter(slots__completion=OuterRef("pk"))
    return _joined(batch).filter(Exists(worked))


def _of_texts(texts: QuerySet[Completion]) -> QuerySet[Comparison]:
    return Comparison.objects.filter(pk__in=Comparison.objects.filter(completions__in=texts).values("pk"))


def _take_out_texts(batch: PromptImport, place: Project) -> None:
    """Its completions of tasks that others brought, with their comparisons."""
    free = _joined(batch).exclude(pk__in=_used_texts(batch).values("pk"))
    prompts = Prompt.objects.filter(pk__in=free.values("prompt"))
    for rows in batches(prompts.iterator(), CHUNK):
        Prompt.objects.bulk_create(aside.shadow_of(prompt, place) for prompt in rows)
    for pks in batches(list(free.values_list("pk", flat=True)), CHUNK):
        texts = Completion.objects.filter(pk__in=pks)
        aside.move(texts, _of_texts(texts), place)


def _take_out_judgments(batch: PromptImport) -> None:
    """Its judgments on texts that others brought; a comparison that was made for them alone goes too."""
    elsewhere = batch.rankings.filter(comparison__project=batch.project).exclude(
        comparison__prompt__batch=batch
    )
    for rows in batches(list(elsewhere.values_list("pk", "assignment", "comparison")), CHUNK):
        rankings, assignments, comparisons = (list(column) for column in zip(*rows, strict=True))
        Ranking.objects.filter(pk__in=rankings).delete()
        Assignment.objects.filter(pk__in=assignments).delete()
        for comparison, count in Counter(comparisons).items():
            Comparison.objects.filter(pk=comparison).update(
                judgments_taken=F("judgments_taken") - count, judgments_wanted=F("judgments_wanted") - count
            )
        left = Ranking.objects.filter(comparison=OuterRef("pk"))
        Comparison.objects.filter(~Exists(left), pk__in=comparisons, rule=Rule.IMPORTED).delete()

"""Which policy writes: promoting one by the figures of its evaluation, going back, and who did so when.

A policy that was never evaluated is promoted only by saying so. The base, and what wrote before, were known
already: going back to them asks nothing.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from django.db.models.functions import Now
from django.utils.translation import gettext as _

from annotator import events
from annotator.models import Project
from annotator.ranking.queue import locked
from rlhf import blind, gaming
from rlhf.models import Checkpoint, Evaluation, Promotion
from rlhf.runs import CannotStart, Person, checked, promoted_policy, saved


class NotEvaluated(CannotStart):
    """Nobody knows how good it is, and nobody said that this does not matter."""


class NotSeen(CannotStart):
    """There are other figures by now than those that were looked at."""


def evaluation_of(checkpoint: Checkpoint) -> Evaluation | None:
    """Its newest evaluation as the new policy."""
    return Evaluation.objects.filter(new=checkpoint).select_related("run__project", "old", "new").first()


def is_known(checkpoint: Checkpoint) -> bool:
    """Whether it can be gone back to: the base model, or one that wrote before."""
    return checkpoint.run_id is None or checkpoint.promoted_at is not None


def promote(
    checkpoint: Checkpoint, *, user: Person, seen: int | None = None, unevaluated: bool = False
) -> bool:
    """From now on this policy writes the completions; False if it does so already.

    `seen` is the evaluation whose figures were looked at: if given, it must be the newest.
    Raises CannotStart.
    """
    project = checkpoint.project
    checked(checkpoint, Checkpoint.Kind.POLICY, project)
    with transaction.atomic():
        locked(Project.objects.filter(pk=project.pk)).get()  # of two at once each names what it replaces
        former = promoted_policy(project)
        if former.pk == checkpoint.pk:
            return False
        evaluation = evaluation_of(checkpoint)
        if evaluation is None and not unevaluated and not is_known(checkpoint):
            raise NotEvaluated(
                _("%(name)s was never evaluated. Evaluate it, or say that you promote it without.")
                % {"name": checkpoint}
            )
        if seen is not None and (evaluation is None or evaluation.pk != seen):
            raise NotSeen(_("There is a newer evaluation of %(name)s; look at that.") % {"name": checkpoint})
        Checkpoint.objects.filter(pk=checkpoint.pk).update(promoted_at=Now(), promoted_by=saved(user))
        Promotion.objects.create(
            project=project,
            checkpoint=checkpoint,
            former=former,
            evaluation=evaluation,
            figures=figures_of(checkpoint, evaluation),
            promoted_by=saved(user),
            promoted_at=Now(),
        )
        events.record(
            project,
            user,
            "promoted",
            str(checkpoint),
            target=checkpoint,
            changes={"writes": [str(former), str(checkpoint)]},
            details={"evaluation": evaluation.pk if evaluation else None},
        )
    checkpoint.refresh_from_db()
    return True


def figures_of(checkpoint: Checkpoint, evaluation: Evaluation | None) -> dict[str, Any]:
    """What a promotion is decided by, as plain JSON; what there is not is left out."""
    figures: dict[str, Any] = {}
    if evaluation is not None:
        result = evaluation.result
        for name in ("gold", "reward"):
            figures[f"{name}_gain"] = (result.get(name) or {}).get("difference")
            won = (result.get("wins") or {}).get(name) or {}
            figures[f"{name}_wins"], figures[f"{name}_wins_at_length"] = (
                won.get("rate"),
                won.get("controlled"),
            )
        people = blind.progress(evaluation)
        if people is not None and people.wins is not None:
            controlled = people.wins.controlled
            figures["people_wins"] = dataclasses.asdict(people.wins.rate)
            figures["people_wins_at_length"] = dataclasses.asdict(controlled) if controlled else None
            figures["people_judgments"] = people.given
        figures["kl"] = result.get("kl")
    fall = gaming.fall_of(checkpoint.run) if checkpoint.run else None
    if fall is not None:
        figures["gamed"] = dataclasses.asdict(fall)
    return {name: value for name, value in figures.items() if value is not None}


def history(project: Project) -> QuerySet[Promotion]:
    """All promotions, the newest first."""
    return project.promotions.select_related("checkpoint", "former", "promoted_by", "evaluation__run")

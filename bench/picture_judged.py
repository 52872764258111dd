"""What managers see to, for pictures: a project with a disagreement, a decision, gold, notes, a pause."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from typing import Any

from django.utils import timezone
from picture_data import GUIDELINES, PASSWORD, TASKS, compare, make_project, make_task

from annotator import invitations
from annotator.models import (
    Comparison,
    Guideline,
    Invitation,
    Membership,
    Note,
    PauseKind,
    Project,
    Role,
    User,
)
from annotator.quality import gold
from annotator.ranking import queue
from annotator.ranking.adjudication import adjudicate
from annotator.ranking.submit import Judgment, submit, undo

JUDGED = "answers"
INVITATION = "for-pictures-only"


def numbers() -> dict[str, Any]:
    """What stands in the addresses of pages: rows of the project `answers`."""
    project = Project.objects.get(slug=JUDGED)
    rows = project.comparisons.filter(is_queued=True, judgments_taken__gte=2).order_by("pk")
    return {
        "disputed": rows.filter(is_adjudicated=False).values_list("pk", flat=True)[0],
        "decided": rows.filter(is_adjudicated=True).values_list("pk", flat=True)[0],
        "gold": project.comparisons.filter(rule=Comparison.Rule.GOLD).values_list("pk", flat=True)[0],
        "paused": project.memberships.exclude(paused_at=None).values_list("pk", flat=True)[0],
        "secret": INVITATION,
    }


def fill() -> None:
    """A project with what managers see to: a disagreement, a decision, gold, notes, a pause, invitations."""
    people = {user.username: user for user in User.objects.all()}
    alice, bob, carol = (people[name] for name in ("alice", "bob", "carol"))
    project = make_project(
        people,
        name="Answers to customers",
        slug=JUDGED,
        description="Instructions for a support team that answers by e-mail.",
        judgments_wanted=3,
        gold_rate=0.0,
        repeat_rate=0.0,
        attribute_scales=["clarity", "tone"],
    )
    Guideline.objects.create(project=project, version=1, text=GUIDELINES, created_by=alice)
    for task in (TASKS[0], TASKS[1], TASKS[4]):
        compare(project, make_task(project, *task), k=2)
    for person, firsts in ((bob, (0, 0, 0, 1)), (carol, (1, 1, 0, 1)), (people["sim-1"], (0, 1, 0, 0))):
        for number, first in enumerate(firsts):
            _say(project, person, first, number)
    hasty = project.comparisons.order_by("pk")[0].rankings.get(annotator=carol)
    undo(annotator=carol, ranking=hasty, idempotency_key="undo")
    _say(project, carol, 1, 9)
    decided = project.comparisons.order_by("pk")[1]
    ids = sorted(decided.slots.values_list("completion", flat=True))
    judgment = Judgment(ranks={ids[0]: 1, ids[1]: 2}, strength=2, rationale="The first fixes the form.")
    adjudicate(comparison=decided, manager=alice, judgment=judgment, idempotency_key="decision")
    for place in (2, 3):
        source = project.comparisons.filter(is_queued=True).order_by("pk")[place]
        ids = sorted(source.slots.values_list("completion", flat=True))
        gold.make(
            source,
            ranks={ids[0]: 1, ids[1]: 2},
            explanation="It says what to write and when to offer a repair.",
            by=alice,
        )
    for text, done in (
        ("The second instruction promises a refund; do the shop's rules allow that?", False),
        ("两条指令其实一样，只是标点不同。", False),
        ("The task has a typing error: “orginal packaging”.", True),
    ):
        Note.objects.create(
            project=project,
            author=bob,
            text=text,
            comparison=decided,
            done_at=timezone.now() if done else None,
            done_by=alice if done else None,
        )
    Membership.objects.create(
        project=project,
        user=User.objects.create_user("erin", password=PASSWORD),
        role=Role.ANNOTATOR,
        paused_at=timezone.now(),
        pause_kind=PauseKind.MANUAL,
        pause_reason="Please read rule 2 again: the form of the answer counts.",
    )
    made, _secret = invitations.make(
        project=project,
        by=alice,
        role=Role.ANNOTATOR,
        lasts=timedelta(days=7),
        places=5,
        note="team in Lyon",
    )
    known = hashlib.sha256(INVITATION.encode()).hexdigest()  # a link whose secret the pictures' script knows
    Invitation.objects.filter(pk=made.pk).update(secret_hash=known)
    invitations.make(
        project=project, by=alice, role=Role.RESEARCHER, lasts=timedelta(seconds=-1), note="dana"
    )


def _say(project: Project, person: User, first: int, number: int) -> None:
    """One judgment with all that a person may say beside the order."""
    held = queue.claim_next(annotator=person, project=project)
    assert held is not None
    best, other = sorted(held.order, key=lambda pk: pk != sorted(held.order)[first])
    talks = number in (0, 9)
    judgment = Judgment(
        ranks={best: 1, other: 2},
        strength=1 + (number + first) % 3,
        flags={other: ["broken"]} if talks and first else {},
        ratings={best: {"clarity": 5, "tone": 4}, other: {"clarity": 2, "tone": 4}} if talks else {},
        rationale="It says what to write, and what to do after 30 days." if talks and not first else "",
        improved_text="Decide by the shop's rules; ask for a photo; offer a label or a repair."
        if talks and person.username == "bob"
        else "",
        seconds=12.0 + 3 * number,
    )
    submit(assignment=held, judgment=judgment, idempotency_key=f"said-{number}")

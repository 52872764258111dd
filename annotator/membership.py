"""Who takes part in a project: joining, another role, leaving. A project is never without a manager."""

from __future__ import annotations

from django.db import transaction

from annotator import audit, events
from annotator.models import Assignment, Membership, Project, Role, User
from annotator.ranking import queue


class LastManager(Exception):
    """The project would have no manager any more."""


def is_last_manager(member: Membership) -> bool:
    managers = Membership.objects.filter(project=member.project_id, role=Role.MANAGER)
    return member.role == Role.MANAGER and not managers.exclude(pk=member.pk).exists()


@transaction.atomic
def add(*, project: Project, user: User, role: Role, by: User) -> Membership:
    """Make somebody a member who is none yet."""
    member = Membership.objects.create(project=project, user=user, role=role)
    changes: audit.Changes = {"role": [None, role]}
    events.record(project, by, "added", user.username, target=member, changes=changes)
    return member


@transaction.atomic
def change_role(member: Membership, role: Role, by: User) -> None:
    """Give a member another role. Raises LastManager."""
    queue.locked(Project.objects.filter(pk=member.project_id)).get()  # two managers do not both step down
    if role != Role.MANAGER and is_last_manager(member):
        raise LastManager
    changes: audit.Changes = {"role": [member.role, role]}
    member.role = role
    member.save(update_fields=["role"])
    events.record(member.project, by, "changed", member.user.username, target=member, changes=changes)


@transaction.atomic
def remove(member: Membership, by: User) -> None:
    """Take a member out; what they hold goes back, what they judged stays. Raises LastManager."""
    queue.locked(Project.objects.filter(pk=member.project_id)).get()
    if is_last_manager(member):
        raise LastManager
    held = Assignment.objects.filter(
        annotator=member.user, comparison__project=member.project, state=Assignment.State.LEASED
    )
    for assignment in held:
        queue.release(assignment)
    changes: audit.Changes = {"role": [member.role, None]}
    events.record(member.project, by, "removed", member.user.username, target=member, changes=changes)
    member.delete()

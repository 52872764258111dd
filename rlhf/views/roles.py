"""What the pages of the model side show to whom: everything to staff, buttons to managers."""

from __future__ import annotations

from annotator.access import membership_of
from annotator.models import Project, Role, User


def role_of(user: User, project: Project) -> str:
    """The role of somebody whom `project_for` has let in; a superuser manages."""
    membership = None if user.is_superuser else membership_of(user, project)
    return Role.MANAGER if membership is None else membership.role


def manages(user: User, project: Project) -> bool:
    return role_of(user, project) == Role.MANAGER

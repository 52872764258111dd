"""Who may do what in which project: the one loader that pages and API share.

An outsider gets a 404, as for a project that is not there; a member without the role gets a 403.
"""

from __future__ import annotations

from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import PermissionDenied
from django.db import models
from django.http import Http404
from django.utils.translation import gettext as _

from annotator.models import Membership, Project, Role, User
from annotator.prepared import Given, Select, an_id

Person = User | AnonymousUser

MANAGERS = (Role.MANAGER,)
"""Change a project, start runs, see everything."""
STAFF = (Role.MANAGER, Role.RESEARCHER)
"""See models, others' judgments and exports."""
JUDGES = (Role.ANNOTATOR, Role.MANAGER)
"""Give judgments."""

_PART = Select(
    lambda: Membership.objects.select_related("project").filter(
        user=an_id("user"), project__slug=Given("slug", models.CharField())
    )
)


_MEMBERSHIP = Select(lambda: Membership.objects.filter(user=an_id("user"), project=an_id("project")))


def membership_of(user: Person, project: Project) -> Membership | None:
    """The user's role in the project, or None for an outsider."""
    if not user.is_authenticated:
        return None
    return _MEMBERSHIP.first(user=user.pk, project=project.pk)


def has_role(user: Person, project: Project, *roles: Role) -> bool:
    """Whether the user has one of the roles (no roles: any) in the project; a superuser has all."""
    if not user.is_authenticated or not user.is_active:
        return False
    if user.is_superuser:
        return True
    membership = membership_of(user, project)
    return membership is not None and (not roles or membership.role in roles)


def entry(user: Person, slug: str, *roles: Role) -> tuple[Project, Membership | None]:
    """The project and the user's part in it (None: a superuser without one), by one query.

    Raises Http404 for outsiders and unknown slugs alike, PermissionDenied for members who have none
    of the roles (no roles: any will do).
    """
    project, membership = None, None
    if user.is_authenticated and user.is_active:
        membership = _PART.first(user=user.pk, slug=slug)
        if membership is not None:
            membership.user = user
            project = membership.project
        elif user.is_superuser:
            project = Project.objects.filter(slug=slug).first()
    if project is None:
        raise Http404(_("There is no such project, or you have no part in it."))
    if membership is not None and roles and membership.role not in roles and not user.is_superuser:
        raise PermissionDenied(_("Your role in this project does not allow this."))
    return project, membership


def project_for(user: Person, slug: str, *roles: Role) -> Project:
    """The project, for a user who has one of the roles in it (no roles: any); raises as `entry` does."""
    return entry(user, slug, *roles)[0]


def may_create_projects(user: Person) -> bool:
    """Managers of any project may found another; on a new site, those with Django's permission for it."""
    if not user.is_authenticated or not user.is_active:
        return False
    if user.has_perm("annotator.add_project"):
        return True
    return Membership.objects.filter(user=user, role=Role.MANAGER).exists()

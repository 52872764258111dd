"""Invitations: links that make whoever follows them a member, a limited number of times.

The secret in a link is shown once. Only its SHA-256 is stored: 32 random bytes need no slower hash.
"""

from __future__ import annotations

import hashlib
import secrets
from datetime import timedelta

from django.db import transaction
from django.db.models import F, QuerySet
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from annotator import audit, events
from annotator.models import Invitation, Membership, Project, Role, User

MOST_PLACES = 100

STATES = {
    "open": _("open"),
    "full": _("full"),
    "expired": _("expired"),
    "revoked": _("revoked"),
}


class NotOpen(Exception):
    """The invitation is full, expired or revoked; `state` says which."""

    def __init__(self, state: str) -> None:
        self.state = state
        super().__init__(f"the invitation is {state}")


def make(
    *, project: Project, by: User, role: Role, lasts: timedelta, places: int = 1, note: str = ""
) -> tuple[Invitation, str]:
    """A new invitation, and the secret of its link, which nothing can show again."""
    secret = secrets.token_urlsafe(32)
    with transaction.atomic():
        invitation = Invitation.objects.create(
            project=project,
            role=role,
            secret_hash=_hash(secret),
            note=note,
            expires_at=timezone.now() + lasts,
            places=places,
            created_by=by,
        )
        details = {"role": role, "places": places, "expires": invitation.expires_at}
        events.record(project, by, "made an invitation", note, target=invitation, details=details)
    return invitation, secret


def find(secret: str) -> Invitation | None:
    """The invitation with this secret, in whatever state."""
    return Invitation.objects.select_related("project").filter(secret_hash=_hash(secret)).first()


def state_of(invitation: Invitation) -> str:
    """One of `STATES`; a revoked one stays revoked, whatever else is true of it."""
    if invitation.revoked_at is not None:
        return "revoked"
    if invitation.expires_at <= timezone.now():
        return "expired"
    return "full" if invitation.places_taken >= invitation.places else "open"


def in_state(rows: QuerySet[Invitation], state: str) -> QuerySet[Invitation]:
    """Those that `state_of` would say are in this state; all of them where it is none of `STATES`."""
    now = timezone.now()
    valid = rows.filter(revoked_at=None)
    match state:
        case "revoked":
            return rows.exclude(revoked_at=None)
        case "expired":
            return valid.filter(expires_at__lte=now)
        case "full":
            return valid.filter(expires_at__gt=now, places_taken__gte=F("places"))
        case "open":
            return valid.filter(expires_at__gt=now, places_taken__lt=F("places"))
    return rows


@transaction.atomic
def accept(*, invitation: Invitation, user: User) -> Membership:
    """Make the user a member and take one place; a member stays what they are and takes none.

    Raises NotOpen if there is no place (any more).
    """
    known = Membership.objects.filter(project=invitation.project, user=user)
    if member := known.first():
        return member
    # The condition is looked at where the place is taken: of two at once, one gets the last place.
    taken = Invitation.objects.filter(
        pk=invitation.pk, revoked_at=None, expires_at__gt=timezone.now(), places_taken__lt=F("places")
    ).update(places_taken=F("places_taken") + 1)
    if not taken:
        if member := known.first():  # the same person, a moment ago, by a second press of the button
            return member
        invitation.refresh_from_db()
        raise NotOpen(state_of(invitation))
    member, is_new = Membership.objects.get_or_create(
        project=invitation.project, user=user, defaults={"role": invitation.role}
    )
    if is_new:
        changes: audit.Changes = {"role": [None, invitation.role]}
        events.record(
            invitation.project, user, "joined by invitation", invitation.note, target=member, changes=changes
        )
    else:
        Invitation.objects.filter(pk=invitation.pk).update(places_taken=F("places_taken") - 1)
    return member


@transaction.atomic
def revoke(*, invitation: Invitation, by: User) -> bool:
    """Let nobody join by it any more; False if it was revoked already. Who has joined stays."""
    changed = Invitation.objects.filter(pk=invitation.pk, revoked_at=None).update(revoked_at=timezone.now())
    if changed:
        events.record(invitation.project, by, "revoked an invitation", invitation.note, target=invitation)
    return bool(changed)


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()

"""What Django and axes tell of accounts, for the audit log: signing in and out, new accounts, passwords."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.contrib.auth.signals import user_logged_in, user_logged_out, user_login_failed
from django.db.models.signals import post_delete, post_migrate, post_save
from django.utils import timezone

from annotator import audit, audit_guard
from annotator.models import AuditEntry, User

LOCKED_OUT = "was locked out"


def connect(config: Any) -> None:
    """Called once, when the app is ready."""
    user_logged_in.connect(_signed_in, dispatch_uid="audit")
    user_logged_out.connect(_signed_out, dispatch_uid="audit")
    user_login_failed.connect(_failed, dispatch_uid="audit")
    post_save.connect(_saved, sender=User, dispatch_uid="audit")
    post_delete.connect(_deleted, sender=User, dispatch_uid="audit")
    post_migrate.connect(audit_guard.put_up, sender=config, dispatch_uid="audit")


def _signed_in(user: User, **kwargs: Any) -> None:
    audit.record("signed in", actor=user, target=user)


def _signed_out(user: User | None, **kwargs: Any) -> None:
    if user is not None:  # None: the session had ended already
        audit.record("signed out", actor=user, target=user)


def _failed(credentials: dict[str, Any], request: Any = None, **kwargs: Any) -> None:
    """Names that nobody has are not kept: people type their password into the wrong field."""
    user = User.objects.filter(username=credentials.get("username", "")).first()
    if not getattr(request, "axes_locked_out", False):
        audit.record("failed to sign in", actor=None, target=user)
    elif not _is_noted(user):
        audit.record(LOCKED_OUT, actor=None, target=user)


def _is_noted(user: User | None) -> bool:
    """Whether it is in the log already that this person is locked out: one entry, however often they try."""
    since = timezone.now() - timedelta(hours=settings.AXES_COOLOFF_TIME)
    object_id = str(user.pk) if user else ""
    return AuditEntry.objects.filter(action=LOCKED_OUT, object_id=object_id, at__gte=since).exists()


def _saved(instance: User, created: bool, **kwargs: Any) -> None:
    if created:
        rights = {name: True for name in ("is_staff", "is_superuser") if getattr(instance, name)}
        audit.record("made the account", target=instance, details=rights)
    elif getattr(instance, "_password", None) is not None:  # a new one, not only a stronger hash of the same
        audit.record("changed the password of", target=instance)


def _deleted(instance: User, **kwargs: Any) -> None:
    audit.record("deleted the account", target=instance)

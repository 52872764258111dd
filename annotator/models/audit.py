"""The audit log: who did what, when, from where, and what was there before and after. Only ever added to."""

from __future__ import annotations

from typing import Any, NoReturn

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _


class AppendOnly(TypeError):
    """Somebody tried to change or delete an entry of the audit log."""


def _refuse(*args: Any, **kwargs: Any) -> NoReturn:
    raise AppendOnly("an entry of the audit log is never changed or deleted; see `manage.py prune_audit`")


class AuditQuerySet(models.QuerySet["AuditEntry"]):
    update = delete = bulk_update = update_or_create = _refuse


class AuditEntry(models.Model):
    """One thing that somebody did. It outlives the people and things that it names.

    Hence keys without a constraint, and names beside them. The database itself refuses changes as well
    (annotator/audit_guard.py).
    """

    class Source(models.TextChoices):
        PAGE = "page", _("Page")
        ADMIN = "admin", _("Administration")
        API = "api", _("API")
        COMMAND = "command", _("Command")
        WORKER = "worker", _("Worker")

    at = models.DateTimeField(_("when"), auto_now_add=True)
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.DO_NOTHING,
        null=True,
        blank=True,
        db_constraint=False,
        db_index=False,
        related_name="+",
        verbose_name=_("who"),
        help_text=_("Empty: the site itself, or somebody without an account."),
    )
    actor_name = models.CharField(_("name then"), max_length=150, blank=True)
    source = models.CharField(_("by way of"), max_length=16, choices=Source)
    action = models.CharField(_("action"), max_length=64)
    project = models.ForeignKey(
        "annotator.Project",
        models.DO_NOTHING,
        null=True,
        blank=True,
        db_constraint=False,
        db_index=False,
        related_name="+",
        verbose_name=_("project"),
    )
    object_type = models.CharField(_("kind of object"), max_length=64, blank=True, help_text="app.model")
    object_id = models.CharField(_("number of the object"), max_length=64, blank=True)
    object_name = models.CharField(_("object"), max_length=300, blank=True)
    changes = models.JSONField(_("changes"), default=dict, blank=True, help_text="{field: [before, after]}")
    details = models.JSONField(_("details"), default=dict, blank=True)
    address = models.GenericIPAddressField(_("address"), null=True, blank=True)

    objects = AuditQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        verbose_name = _("audit entry")
        verbose_name_plural = _("audit log")
        indexes = [
            models.Index(fields=["actor", "-id"], name="audit_of_actor"),
            models.Index(fields=["project", "-id"], name="audit_of_project"),
            models.Index(fields=["action", "-id"], name="audit_of_action"),
            models.Index(fields=["source", "-id"], name="audit_of_source"),
            models.Index(fields=["object_type", "-id"], name="audit_of_object_type"),
            models.Index(fields=["object_type", "object_id", "-id"], name="audit_of_object"),
            models.Index(fields=["address", "-id"], name="audit_of_address"),
        ]

    def __str__(self) -> str:
        return " ".join(filter(None, [self.actor_name or "–", self.action, self.object_name]))

    def save(self, *args: Any, **kwargs: Any) -> None:
        if not self._state.adding:
            _refuse()
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> NoReturn:
        _refuse()

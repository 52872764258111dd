"""What programs are let in by, and what they are told: tokens, stored answers, webhooks and deliveries.

Secrets, their hashes and what they are made of are shown to nobody.
"""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_lazy
from unfold.contrib.filters.admin import (
    AutocompleteSelectFilter,
    BooleanRadioFilter,
    ChoicesDropdownFilter,
    RelatedDropdownFilter,
)

from annotator import tokens
from annotator.admin.actions import each
from annotator.admin.base import Group, Many, ReadOnly, SiteAdmin
from annotator.admin.filters import PeriodFilter, RareFilter
from annotator.models import StoredAnswer, Token, Webhook, WebhookDelivery
from annotator.webhooks import delivering


class TokenState(RareFilter):
    title = gettext_lazy("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("revoked", gettext_lazy("Revoked")), ("expired", gettext_lazy("Expired"))]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        match self.value():
            case "revoked":
                return queryset.exclude(revoked_at=None)
            case "expired":
                return queryset.filter(revoked_at=None, expires_at__lte=timezone.now())
        return queryset


@admin.register(Token)
class TokenAdmin(ReadOnly, SiteAdmin):
    group, icon = Group.PROGRAMS, "key"
    list_display = ["name", "hint", "owner", "scopes", "project", "expires_at", "last_used_at", "revoked_at"]
    list_filter = [
        TokenState,
        ("owner", AutocompleteSelectFilter),
        ("project", RelatedDropdownFilter),
        ("created_at", PeriodFilter),
    ]
    search_fields = ["=id", "name__icontains", "hint__startswith", "owner__username__istartswith"]
    list_select_related = ["owner", "project"]
    exclude = ["secret_hash"]
    actions = ["revoke"]

    @each(
        gettext_lazy("Revoke"),
        confirm=gettext_lazy("Programs are not let in by these tokens any more, which cannot be taken back."),
    )
    def revoke(self, request: HttpRequest, row: Token) -> bool:
        return tokens.revoke(row)


@admin.register(StoredAnswer)
class StoredAnswerAdmin(ReadOnly, Many, SiteAdmin):
    """Kept for a day. Their text is not shown: it may hold a secret that was to be read once."""

    group, icon = Group.PROGRAMS, "replay"
    list_display = ["id", "person", "key", "status", "created_at"]
    list_filter = [("person", AutocompleteSelectFilter), ("created_at", PeriodFilter)]
    search_names = {"person": "username"}
    search_help_text = gettext_lazy("Number of it, or a user name")
    list_select_related = ["person"]
    long_columns = ["body"]
    exclude = ["body", "location"]


@admin.register(Webhook)
class WebhookAdmin(ReadOnly, SiteAdmin):
    """Changed on its project's page, which checks the address."""

    group, icon = Group.PROGRAMS, "webhook"
    list_display = ["url", "project", "events", "is_active", "stopped_because", "created_by", "created_at"]
    list_filter = [("is_active", BooleanRadioFilter), ("project", RelatedDropdownFilter)]
    search_fields = ["=id", "url", "project__name__istartswith"]
    list_select_related = ["project", "created_by"]
    exclude = ["salt", "former_salt"]
    actions = ["stop"]

    @each(
        gettext_lazy("Stop"),
        confirm=gettext_lazy("Nothing is sent there until a manager of the project starts it again."),
        audited="stopped a webhook",
    )
    def stop(self, request: HttpRequest, row: Webhook) -> bool:
        return bool(Webhook.objects.filter(pk=row.pk, is_active=True).update(is_active=False))


@admin.register(WebhookDelivery)
class WebhookDeliveryAdmin(ReadOnly, Many, SiteAdmin):
    group, icon = Group.PROGRAMS, "outgoing_mail"
    list_display = ["id", "webhook", "event", "state", "due_at", "created_at"]
    list_filter = [("state", ChoicesDropdownFilter), ("created_at", PeriodFilter)]
    search_numbers = ["pk", "webhook"]
    search_help_text = gettext_lazy("Number of it or its webhook")
    list_select_related = ["webhook__project"]
    long_columns = ["body", "attempts"]
    actions = ["again"]

    @each(gettext_lazy("Send once more"), audited="sent again")
    def again(self, request: HttpRequest, row: WebhookDelivery) -> bool:
        delivering.again(row)
        return True

"""Webhooks of a project and the log of their deliveries."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from django.urls import reverse
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response

from annotator.access import MANAGERS
from annotator.api.problems import Conflict
from annotator.api.views import ById, NewestFirst, ProjectView, created, given
from annotator.models import Webhook, WebhookDelivery, WebhookEvent
from annotator.webhooks import addresses, delivering, keeping

OFFERED = [(event.value, event.label) for event in keeping.OFFERED]


class WebhookOutput(serializers.ModelSerializer[Webhook]):
    events = serializers.ListField(child=serializers.ChoiceField(choices=OFFERED))

    class Meta:
        model = Webhook
        fields = ["id", "url", "events", "is_active", "stopped_because", "former_until", "created_at"]


class SecretOutput(serializers.Serializer[Any]):
    webhook = WebhookOutput()
    secret = serializers.CharField(
        help_text="`whsec_…`, in this answer alone: what signatures are checked by."
    )


class WebhookInput(serializers.Serializer[None]):
    url = serializers.CharField(max_length=addresses.LONGEST)
    events = serializers.ListField(child=serializers.ChoiceField(choices=OFFERED), allow_empty=False)


class WebhookChange(serializers.Serializer[None]):
    url = serializers.CharField(max_length=addresses.LONGEST, required=False)
    events = serializers.ListField(
        child=serializers.ChoiceField(choices=OFFERED), allow_empty=False, required=False
    )
    is_active = serializers.BooleanField(required=False)


class AttemptOutput(serializers.Serializer[Any]):
    at = serializers.DateTimeField()
    status = serializers.IntegerField(allow_null=True)
    error = serializers.CharField()
    seconds = serializers.FloatField()
    answer = serializers.CharField()


class DeliveryOutput(serializers.ModelSerializer[WebhookDelivery]):
    event = serializers.ChoiceField(choices=WebhookEvent.choices)
    attempts = AttemptOutput(many=True)

    class Meta:
        model = WebhookDelivery
        fields = ["id", "event_id", "event", "body", "state", "attempts", "due_at", "created_at"]


class WebhookList(ProjectView, ListAPIView[Webhook]):
    tag = "webhooks"
    roles = MANAGERS
    queryset = Webhook.objects.all()
    serializer_class = WebhookOutput
    pagination_class = ById

    def get_queryset(self) -> QuerySet[Webhook]:
        return Webhook.objects.filter(project=self.project)

    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """The project's webhooks."""
        return super().get(request, *args, **kwargs)

    @extend_schema(request=WebhookInput, responses={201: SecretOutput})
    def post(self, request: Request, slug: str) -> Response:
        """Make one. Its secret is in this answer alone, so no Idempotency-Key repeats it."""
        values = given(WebhookInput, request)
        try:
            webhook, secret = keeping.make(
                project=self.project, url=values["url"], wanted=values["events"], by=self.person
            )
        except addresses.NotAllowed as error:
            raise ValidationError({"url": [str(error)]}) from error
        except keeping.TooMany as error:
            raise Conflict(str(error)) from error
        data = SecretOutput({"webhook": webhook, "secret": secret}).data
        return created(data, reverse("api-webhook", args=[slug, webhook.pk]))


class WebhookView(ProjectView):
    tag = "webhooks"
    roles = MANAGERS

    def webhook(self) -> Webhook:
        rows = Webhook.objects.filter(project=self.project).select_related("project")
        return get_object_or_404(rows, pk=self.kwargs["webhook_id"])


class WebhookDetail(WebhookView):
    @extend_schema(responses=WebhookOutput)
    def get(self, request: Request, slug: str, webhook_id: int) -> Response:
        """One webhook."""
        return Response(WebhookOutput(self.webhook()).data)

    @extend_schema(request=WebhookChange, responses=WebhookOutput)
    def patch(self, request: Request, slug: str, webhook_id: int) -> Response:
        """Change its address or events, switch it off or on."""
        webhook, values = self.webhook(), given(WebhookChange, request)
        try:
            keeping.change(
                webhook,
                self.person,
                url=values.get("url"),
                wanted=values.get("events"),
                active=values.get("is_active"),
            )
        except addresses.NotAllowed as error:
            raise ValidationError({"url": [str(error)]}) from error
        return Response(WebhookOutput(webhook).data)

    @extend_schema(request=None, responses={204: None})
    def delete(self, request: Request, slug: str, webhook_id: int) -> Response:
        """Delete it and its log."""
        keeping.delete(self.webhook(), self.person)
        return Response(status=204)


class WebhookRotate(WebhookView):
    @extend_schema(request=None, responses=SecretOutput)
    def post(self, request: Request, slug: str, webhook_id: int) -> Response:
        """Give it another secret; for a day the old one signs as well."""
        webhook = self.webhook()
        return Response(
            SecretOutput({"webhook": webhook, "secret": keeping.rotate(webhook, self.person)}).data
        )


class WebhookTest(WebhookView):
    @extend_schema(request=None, responses={201: DeliveryOutput})
    def post(self, request: Request, slug: str, webhook_id: int) -> Response:
        """Send a test event."""
        return created(DeliveryOutput(keeping.test(self.webhook())).data)


class DeliveryList(WebhookView, ListAPIView[WebhookDelivery]):
    queryset = WebhookDelivery.objects.all()
    serializer_class = DeliveryOutput
    pagination_class = NewestFirst

    def get_queryset(self) -> QuerySet[WebhookDelivery]:
        return self.webhook().deliveries.all()

    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """What was sent, and how each attempt went, the newest first."""
        return super().get(request, *args, **kwargs)


class DeliveryAgain(WebhookView):
    @extend_schema(request=None, responses=DeliveryOutput)
    def post(self, request: Request, slug: str, webhook_id: int, delivery_id: int) -> Response:
        """Send an event once more, with the same id."""
        delivery = get_object_or_404(self.webhook().deliveries, pk=delivery_id)
        return Response(DeliveryOutput(delivering.again(delivery)).data)

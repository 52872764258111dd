"""Comparisons: the list, one with its texts, new ones, and taking them out of the queue and back."""

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

from annotator.access import MANAGERS, STAFF
from annotator.api.idempotency import idempotent
from annotator.api.prompts import CompletionOutput
from annotator.api.views import ById, IdField, ProjectView, asked, created, given
from annotator.models import Comparison, Prompt, Scope
from annotator.prompts.adding import turn_of
from annotator.ranking import queue

MOST = 500


class ComparisonOutput(serializers.ModelSerializer[Comparison]):
    completions = serializers.SerializerMethodField()

    class Meta:
        model = Comparison
        fields = [
            *("id", "prompt", "completions", "rule", "priority", "iteration"),
            *("judgments_wanted", "judgments_taken", "is_closed"),
        ]

    def get_completions(self, comparison: Comparison) -> list[int]:
        return [slot.completion_id for slot in comparison.slots.all()]


class ComparedPromptOutput(serializers.ModelSerializer[Prompt]):
    class Meta:
        model = Prompt
        fields = ["id", "text", "domain", "language"]


class ComparisonDetailOutput(ComparisonOutput):
    prompt = ComparedPromptOutput()
    texts = serializers.SerializerMethodField()

    class Meta(ComparisonOutput.Meta):
        fields = [*ComparisonOutput.Meta.fields, "texts", "is_adjudicated", "is_queued", "created_at"]

    def get_texts(self, comparison: Comparison) -> Any:
        return CompletionOutput([slot.completion for slot in comparison.slots.all()], many=True).data

    get_texts.__annotations__["return"] = CompletionOutput(many=True)


class ComparisonFilter(serializers.Serializer[None]):
    open = serializers.BooleanField(
        required=False, allow_null=True, default=None, help_text="Whether it still wants judgments."
    )


class ComparisonInput(serializers.Serializer[None]):
    prompt = IdField()
    completions = serializers.ListField(child=IdField(), min_length=2, max_length=9)
    priority = serializers.FloatField(
        default=0.0, min_value=-1e9, max_value=1e9, help_text="Higher comes first."
    )


class ComparisonsInput(serializers.Serializer[None]):
    comparisons = ComparisonInput(many=True, allow_empty=False, max_length=MOST)  # type: ignore[call-arg]


class ComparisonsOutput(serializers.Serializer[Any]):
    created = serializers.IntegerField(help_text="How many are new; those that were there are asked once.")


class ComparisonList(ProjectView, ListAPIView[Comparison]):
    tag = "comparisons"
    scope = Scope.WRITE
    roles = STAFF
    writers = MANAGERS
    queryset = Comparison.objects.all()
    serializer_class = ComparisonOutput
    pagination_class = ById

    def get_queryset(self) -> QuerySet[Comparison]:
        wanted = asked(ComparisonFilter, self.request)
        comparisons: QuerySet[Comparison] = self.project.comparisons.prefetch_related("slots")
        if wanted["open"] is None:
            return comparisons
        still_open = Comparison.objects.open()
        if wanted["open"]:
            return comparisons & still_open
        return comparisons.exclude(pk__in=still_open.values("pk"))

    @extend_schema(parameters=[ComparisonFilter])
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """The project's comparisons."""
        return super().get(request, *args, **kwargs)

    @extend_schema(request=ComparisonsInput, responses={201: ComparisonsOutput})
    @idempotent
    def post(self, request: Request, slug: str) -> Response:
        """Put comparisons into the queue, all of them or none."""
        wanted = [
            queue.NewComparison(one["prompt"], tuple(one["completions"]), one["priority"])
            for one in given(ComparisonsInput, request)["comparisons"]
        ]
        try:
            added = queue.add_comparisons(
                project=self.project, comparisons=wanted, iteration=turn_of(self.project)
            )
        except ValueError as error:
            raise ValidationError({"comparisons": [str(error)]}) from error
        return created(ComparisonsOutput({"created": added}).data, reverse("api-comparisons", args=[slug]))


class ComparisonView(ProjectView):
    tag = "comparisons"
    scope = Scope.WRITE

    def comparison(self) -> Comparison:
        rows = self.project.comparisons.select_related("prompt").prefetch_related("slots__completion")
        return get_object_or_404(rows, pk=self.kwargs["comparison_id"])


class ComparisonDetail(ComparisonView):
    roles = STAFF

    @extend_schema(responses=ComparisonDetailOutput)
    def get(self, request: Request, slug: str, comparison_id: int) -> Response:
        """One comparison with its texts."""
        return Response(ComparisonDetailOutput(self.comparison()).data)


class ComparisonClose(ComparisonView):
    roles = MANAGERS
    closes = True

    @extend_schema(request=None, responses=ComparisonOutput)
    def post(self, request: Request, slug: str, comparison_id: int) -> Response:
        """Take a comparison out of the queue. Judgments that were given stay."""
        row = self.comparison()
        Comparison.objects.filter(pk=row.pk).update(is_closed=self.closes)
        row.is_closed = self.closes
        return Response(ComparisonOutput(row).data)


class ComparisonOpen(ComparisonClose):
    closes = False

    @extend_schema(request=None, responses=ComparisonOutput)
    def post(self, request: Request, slug: str, comparison_id: int) -> Response:
        """Put a comparison back into the queue."""
        return super().post(request, slug, comparison_id)

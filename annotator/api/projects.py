"""Projects, and for managers and researchers their tasks, instructions and comparisons."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from django.urls import reverse
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from annotator.access import STAFF
from annotator.api.views import ById, ProjectView
from annotator.models import Comparison, Completion, Domain, Project, Prompt, User


class ProjectOutput(serializers.ModelSerializer[Project]):
    class Meta:
        model = Project
        fields = [
            "slug",
            "name",
            "description",
            "language",
            "response_format",
            "completions_per_comparison",
            "strength_scale",
            "attribute_scales",
            "flags",
        ]


class CompletionOutput(serializers.ModelSerializer[Completion]):
    class Meta:
        model = Completion
        fields = ["id", "text", "source", "iteration"]


class PromptOutput(serializers.ModelSerializer[Prompt]):
    image = serializers.SerializerMethodField()

    class Meta:
        model = Prompt
        fields = [
            "id",
            "text",
            "examples",
            "held_out_examples",
            "reference",
            "image",
            "image_text",
            "domain",
            "language",
            "is_held_out",
        ]

    @extend_schema_field(serializers.URLField(allow_null=True, help_text="Null where the task has none."))
    def get_image(self, prompt: Prompt) -> str | None:
        """Where the image is, for members of the project."""
        if not prompt.image:
            return None
        path = reverse("prompt-image", args=[prompt.project.slug, prompt.pk])
        url: str = self.context["request"].build_absolute_uri(path)
        return url


class PromptDetailOutput(PromptOutput):
    completions = CompletionOutput(many=True)

    class Meta(PromptOutput.Meta):
        fields = [*PromptOutput.Meta.fields, "completions"]


class ComparisonOutput(serializers.ModelSerializer[Comparison]):
    completions = serializers.SerializerMethodField()

    class Meta:
        model = Comparison
        fields = [
            "id",
            "prompt",
            "completions",
            "rule",
            "priority",
            "iteration",
            "judgments_wanted",
            "judgments_taken",
            "is_closed",
        ]

    def get_completions(self, comparison: Comparison) -> list[int]:
        return [slot.completion_id for slot in comparison.slots.all()]


class PromptFilter(serializers.Serializer[None]):
    domain = serializers.ChoiceField(choices=Domain.choices, required=False)
    language = serializers.CharField(max_length=16, required=False)
    held_out = serializers.BooleanField(required=False, allow_null=True, default=None)


class ComparisonFilter(serializers.Serializer[None]):
    open = serializers.BooleanField(
        required=False, allow_null=True, default=None, help_text="Whether it still wants judgments."
    )


class ProjectList(APIView):
    @extend_schema(responses=ProjectOutput(many=True), operation_id="projects_list")
    def get(self, request: Request) -> Response:
        """The projects in which I have a role."""
        assert isinstance(request.user, User)  # noqa: S101  IsAuthenticated has seen to it
        return Response(ProjectOutput(Project.objects.visible_to(request.user), many=True).data)


class ProjectDetail(ProjectView):
    @extend_schema(responses=ProjectOutput)
    def get(self, request: Request, slug: str) -> Response:
        """One project."""
        return Response(ProjectOutput(self.project).data)


class PromptList(ProjectView, ListAPIView[Prompt]):
    roles = STAFF
    queryset = Prompt.objects.all()
    serializer_class = PromptOutput
    pagination_class = ById

    def get_queryset(self) -> QuerySet[Prompt]:
        wanted = PromptFilter(data=self.request.query_params)
        wanted.is_valid(raise_exception=True)
        prompts: QuerySet[Prompt] = self.project.prompts.all()
        for name, column in (("domain", "domain"), ("language", "language"), ("held_out", "is_held_out")):
            if wanted.validated_data.get(name) is not None:
                prompts = prompts.filter(**{column: wanted.validated_data[name]})
        return prompts

    @extend_schema(parameters=[PromptFilter])
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """The project's tasks."""
        return super().get(request, *args, **kwargs)


class PromptDetail(ProjectView):
    roles = STAFF

    @extend_schema(responses=PromptDetailOutput)
    def get(self, request: Request, slug: str, prompt_id: int) -> Response:
        """One task with its instructions."""
        prompt = get_object_or_404(self.project.prompts.prefetch_related("completions"), pk=prompt_id)
        return Response(PromptDetailOutput(prompt, context={"request": request}).data)


class ComparisonList(ProjectView, ListAPIView[Comparison]):
    roles = STAFF
    queryset = Comparison.objects.all()
    serializer_class = ComparisonOutput
    pagination_class = ById

    def get_queryset(self) -> QuerySet[Comparison]:
        wanted = ComparisonFilter(data=self.request.query_params)
        wanted.is_valid(raise_exception=True)
        comparisons: QuerySet[Comparison] = self.project.comparisons.prefetch_related("slots")
        if wanted.validated_data["open"] is None:
            return comparisons
        still_open = Comparison.objects.open()
        return (
            comparisons & still_open
            if wanted.validated_data["open"]
            else comparisons.exclude(pk__in=still_open.values("pk"))
        )

    @extend_schema(parameters=[ComparisonFilter])
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """The project's comparisons."""
        return super().get(request, *args, **kwargs)

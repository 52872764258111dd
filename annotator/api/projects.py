"""Projects: the list, founding one, reading and changing its settings, guidelines, progress, quality."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils.translation import gettext as _
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import PermissionDenied
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response

from annotator import events
from annotator.access import MANAGERS, STAFF, may_create_projects
from annotator.api.idempotency import idempotent
from annotator.api.views import ApiView, ById, NewestFirst, ProjectView, created
from annotator.models import Event, Guideline, Project, QualityReport, ResponseFormat
from annotator.project_form import MOST_SCALES, store
from annotator.quality import progress, tables

SETTINGS = [
    *("name", "description", "language", "response_format", "completions_per_comparison"),
    *("judgments_wanted", "strength_scale", "ask_tie", "ask_all_bad", "ask_rationale", "ask_improved"),
    *("flags", "attribute_scales", "show_reference", "show_own_quality", "gold_rate", "gold_feedback"),
    *("repeat_rate", "qualification_questions", "pass_share", "fewest_seconds", "auto_pause"),
    *("selection_strategy", "asks_reliable", "held_out_share", "lease_seconds", "model"),
]
ANNOTATORS_SEE = [
    *("slug", "name", "description", "language", "response_format", "completions_per_comparison"),
    *("strength_scale", "attribute_scales", "flags"),
]
EXAMPLE = {
    "name": "Refunds",
    "language": "en",
    "judgments_wanted": 3,
    "guidelines": "Prefer the clearer one.",
}
FEW = OpenApiExample("A project with three judgments a comparison", EXAMPLE, request_only=True)


class ProjectOutput(serializers.ModelSerializer[Project]):
    class Meta:
        model = Project
        fields = ANNOTATORS_SEE


class Lines(serializers.ListField):
    child = serializers.CharField(max_length=40)

    def to_internal_value(self, data: Any) -> list[str]:
        lines = [" ".join(line.split()) for line in super().to_internal_value(data)]
        return list(dict.fromkeys(line for line in lines if line))


class SettingsOutput(serializers.ModelSerializer[Project]):
    """The settings, for managers and researchers."""

    flags = serializers.ListField(child=serializers.CharField())
    attribute_scales = serializers.ListField(child=serializers.CharField())
    guidelines = serializers.SerializerMethodField()

    class Meta:
        model = Project
        fields = ["slug", *SETTINGS, "guidelines", "created_at"]

    def get_guidelines(self, project: Project) -> str:
        return project.guideline.text if project.guideline else ""


class SettingsInput(serializers.ModelSerializer[Project]):
    flags = Lines(max_length=12, required=False)
    attribute_scales = Lines(max_length=MOST_SCALES, required=False)
    lease_seconds = serializers.IntegerField(min_value=30, max_value=7 * 24 * 3600, required=False)
    guidelines = serializers.CharField(max_length=50_000, allow_blank=True, required=False)

    class Meta:
        model = Project
        fields = [*SETTINGS, "guidelines"]

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        def now(name: str) -> Any:
            known = getattr(self.instance, name, getattr(Project(), name))
            return attrs.get(name, known)

        k, kind = now("completions_per_comparison"), now("response_format")
        if (k == 2) != (kind == ResponseFormat.PAIRWISE):
            raise serializers.ValidationError(
                {"completions_per_comparison": [_("Pairs are of 2, rankings and best-worst of 3 to 9.")]}
            )
        return attrs


class GuidelineOutput(serializers.ModelSerializer[Guideline]):
    class Meta:
        model = Guideline
        fields = ["version", "text", "created_at"]


class ProgressOutput(serializers.Serializer[Any]):
    prompts = serializers.IntegerField()
    held_out = serializers.IntegerField()
    completions = serializers.IntegerField()
    comparisons = serializers.IntegerField()
    judgments = serializers.IntegerField()
    remaining = serializers.IntegerField(help_text="Judgments that are still wanted.")
    annotators = serializers.IntegerField()
    today = serializers.IntegerField()
    last_hour = serializers.IntegerField()
    seconds = serializers.FloatField(allow_null=True, help_text="Median of a judgment.")


class QualityOutput(serializers.ModelSerializer[QualityReport]):
    class Meta:
        model = QualityReport
        fields = ["computed_at", "last_ranking", "figures"]


class EventOutput(serializers.ModelSerializer[Event]):
    actor = serializers.CharField(source="actor.username", allow_null=True, default=None)

    class Meta:
        model = Event
        fields = ["id", "actor", "verb", "subject", "created_at"]


class ProjectList(ApiView, ListAPIView[Project]):
    queryset = Project.objects.all()
    serializer_class = ProjectOutput
    pagination_class = ById

    def get_queryset(self) -> QuerySet[Project]:
        mine: QuerySet[Project] = Project.objects.visible_to(self.person)
        return mine.filter(pk=self.only_project) if self.only_project else mine

    @extend_schema(operation_id="projects_list")
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """The projects in which I have a role."""
        return super().get(request, *args, **kwargs)

    @extend_schema(request=SettingsInput, responses={201: SettingsOutput}, examples=[FEW])
    @idempotent
    def post(self, request: Request) -> Response:
        """Found a project; its founder manages it."""
        if self.only_project or not may_create_projects(self.person):
            raise PermissionDenied(_("Only managers found projects."))
        form = SettingsInput(data=request.data)
        form.is_valid(raise_exception=True)
        values = dict(form.validated_data)
        guidelines = values.pop("guidelines", "")
        with transaction.atomic():
            project = store(Project(**values), self.person, guidelines=guidelines)
            events.record(project, self.person, "created the project", project.name)
        return created(SettingsOutput(project).data, reverse("api-project", args=[project.slug]))


class ProjectDetail(ProjectView):
    writers = MANAGERS

    @extend_schema(responses=ProjectOutput)
    def get(self, request: Request, slug: str) -> Response:
        """One project, as annotators see it."""
        return Response(ProjectOutput(self.project).data)


class ProjectSettings(ProjectView):
    roles = STAFF
    writers = MANAGERS

    @extend_schema(responses=SettingsOutput)
    def get(self, request: Request, slug: str) -> Response:
        """All settings of a project, with the guidelines in force."""
        return Response(SettingsOutput(self.project).data)

    @extend_schema(request=SettingsInput, responses=SettingsOutput)
    def patch(self, request: Request, slug: str) -> Response:
        """Change some settings. Guidelines that differ are a new version."""
        form = SettingsInput(self.project, data=request.data, partial=True)
        form.is_valid(raise_exception=True)
        values = dict(form.validated_data)
        guidelines = values.pop("guidelines", None)
        with transaction.atomic():
            for name, value in values.items():
                setattr(self.project, name, value)
            store(self.project, self.person, guidelines=guidelines)
            names = ", ".join(form.validated_data)
            events.record(self.project, self.person, "changed the settings", names)
        return Response(SettingsOutput(self.project).data)


class GuidelineList(ProjectView, ListAPIView[Guideline]):
    queryset = Guideline.objects.all()
    serializer_class = GuidelineOutput
    pagination_class = NewestFirst

    def get_queryset(self) -> QuerySet[Guideline]:
        return self.project.guidelines.all()

    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """The versions of the guidelines, the one in force first."""
        return super().get(request, *args, **kwargs)


class Progress(ProjectView):
    roles = STAFF

    @extend_schema(responses=ProgressOutput)
    def get(self, request: Request, slug: str) -> Response:
        """How far the project's judging has come."""
        return Response(ProgressOutput(asdict(progress.of_project(self.project))).data)


class Quality(ProjectView):
    roles = STAFF

    @extend_schema(responses=QualityOutput)
    def get(self, request: Request, slug: str) -> Response:
        """Agreement and reliability as last computed; 404 before the first time.

        `figures.people` is by user name for managers, by the pseudonyms of exports for researchers.
        """
        report = get_object_or_404(QualityReport, project=self.project)
        people = tables.people_for(self.project, report.figures, self.person)
        report.figures = {**report.figures, "people": people}
        return Response(QualityOutput(report).data)


class EventList(ProjectView, ListAPIView[Event]):
    roles = STAFF
    queryset = Event.objects.all()
    serializer_class = EventOutput
    pagination_class = NewestFirst

    def get_queryset(self) -> QuerySet[Event]:
        return events.seen_by(self.project, self.person)

    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Who did what in the project, the newest first; what names members is for managers."""
        return super().get(request, *args, **kwargs)

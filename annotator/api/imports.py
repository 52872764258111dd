"""Imports of files of tasks: upload, state, cancel."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils.translation import gettext as _
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.generics import ListAPIView
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response

from annotator.access import MANAGERS
from annotator.api.idempotency import idempotent
from annotator.api.problems import Conflict
from annotator.api.views import NewestFirst, ProjectView, created, given
from annotator.models import Domain, PromptImport, Scope
from annotator.prompts import importing
from annotator.prompts.reading import ImportProblem


class ImportOutput(serializers.ModelSerializer[PromptImport]):
    counts = serializers.DictField(help_text="How far it is, and in the end what it brought.")
    created_by = serializers.CharField(source="created_by.username", allow_null=True, default=None)

    class Meta:
        model = PromptImport
        fields = [
            *("id", "name", "state", "format", "counts", "error", "sha256", "default_domain"),
            *("created_by", "created_at", "finished_at"),
        ]


class ImportInput(serializers.Serializer[None]):
    file = serializers.FileField(allow_empty_file=True, max_length=200)
    default_domain = serializers.ChoiceField(
        choices=Domain.choices, default=Domain.GENERAL, help_text="For tasks whose line does not say."
    )


class ImportList(ProjectView, ListAPIView[PromptImport]):
    tag = "imports"
    scope = Scope.WRITE
    roles = MANAGERS
    queryset = PromptImport.objects.all()
    serializer_class = ImportOutput
    pagination_class = NewestFirst
    parser_classes = [MultiPartParser]

    def get_queryset(self) -> QuerySet[PromptImport]:
        return self.project.imports.select_related("created_by")

    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """The imports, the newest first."""
        return super().get(request, *args, **kwargs)

    @extend_schema(request={"multipart/form-data": ImportInput}, responses={201: ImportOutput})
    @idempotent
    def post(self, request: Request, slug: str) -> Response:
        """Upload a file of tasks. It is imported by a worker: look at its state until it has ended."""
        values = given(ImportInput, request)
        try:
            batch = importing.create_import(
                project=self.project,
                name=values["file"].name,
                file=values["file"],
                user=self.person,
                default_domain=values["default_domain"],
            )
        except ImportProblem as error:
            raise ValidationError({"file": [str(error)]}) from error
        return created(ImportOutput(batch).data, reverse("api-import", args=[slug, batch.pk]))


class ImportView(ProjectView):
    tag = "imports"
    scope = Scope.WRITE
    roles = MANAGERS

    def batch(self) -> PromptImport:
        rows = self.project.imports.select_related("created_by")
        return get_object_or_404(rows, pk=self.kwargs["import_id"])


class ImportDetail(ImportView):
    @extend_schema(responses=ImportOutput)
    def get(self, request: Request, slug: str, import_id: int) -> Response:
        """One import: its state, and what it brought."""
        return Response(ImportOutput(self.batch()).data)


class ImportCancel(ImportView):
    @extend_schema(request=None, responses=ImportOutput)
    def post(self, request: Request, slug: str, import_id: int) -> Response:
        """Stop an import that has not ended. Nothing of the file is stored."""
        if not importing.cancel_import(self.batch()):
            raise Conflict(_("This import had ended before it could be cancelled."))
        return Response(ImportOutput(self.batch()).data)

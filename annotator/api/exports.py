"""Exports over the API: everything at once, or saved ones, which are downloaded in ranges."""

from __future__ import annotations

from typing import Any

from django.http import Http404, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404
from django.utils.translation import gettext as _
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import PermissionDenied, ValidationError
from rest_framework.pagination import CursorPagination
from rest_framework.request import Request
from rest_framework.response import Response

from annotator.access import STAFF
from annotator.api.views import ProjectView
from annotator.exports import jobs, sameness, writing
from annotator.exports.checking import InvalidRequest
from annotator.exports.formats import FORMATS
from annotator.exports.recipe import Recipe
from annotator.models import Export
from annotator.views.saved_exports import file_response, may_change


class NewestFirst(CursorPagination):
    ordering = "-id"
    page_size = 50


class FileOutput(serializers.Serializer[Any]):
    name = serializers.CharField()
    bytes = serializers.IntegerField()
    sha256 = serializers.CharField()
    split = serializers.CharField(required=False)
    lines = serializers.IntegerField(required=False)


class ExportInput(serializers.Serializer[None]):
    name = serializers.CharField(max_length=120, required=False, allow_blank=True, default="")
    recipe = serializers.JSONField(
        help_text="format, and if you like rule, selection, splits, file_type, gzip and license."
    )


class ExportOutput(serializers.ModelSerializer[Export]):
    files = FileOutput(many=True)
    same_as_repeated = serializers.SerializerMethodField()
    recipe = serializers.DictField()
    manifest = serializers.DictField()

    class Meta:
        model = Export
        fields = [
            *("id", "name", "recipe", "state", "read", "of", "error", "repeats", "same_as_repeated"),
            *("sha256", "files", "files_deleted_at", "manifest", "created_at", "finished_at"),
        ]

    def get_same_as_repeated(self, export: Export) -> bool | None:
        """Whether it has the bytes of the export that it repeats; null where there is nothing to compare."""
        found = sameness.beside_earlier(export)
        return None if found is None else found.is_same


class ExportDownload(ProjectView):
    roles = STAFF

    @extend_schema(
        operation_id="exports_download",
        parameters=[OpenApiParameter("format_name", str, OpenApiParameter.PATH, enum=list(FORMATS))],
        responses={(200, "application/jsonl"): OpenApiResponse(OpenApiTypes.BINARY)},
    )
    def get(self, request: Request, slug: str, format_name: str) -> StreamingHttpResponse:
        """Everything in one format, at once: JSON Lines, or what the format's readers expect."""
        try:
            blocks = writing.blocks(self.project, format=format_name)
        except writing.UnknownFormat as error:
            raise Http404(str(error)) from error
        name = f'attachment; filename="{self.project.slug}-{format_name}.jsonl"'
        return StreamingHttpResponse(
            blocks, content_type="application/jsonl", headers={"Content-Disposition": name}
        )


class ExportList(ProjectView):
    roles = STAFF

    @extend_schema(responses=ExportOutput(many=True), operation_id="exports_list")
    def get(self, request: Request, slug: str) -> Response:
        """The project's saved exports, the newest first."""
        pages = NewestFirst()
        found = pages.paginate_queryset(self.project.exports.select_related("repeats"), request, view=self)
        return pages.get_paginated_response(ExportOutput(found, many=True).data)

    @extend_schema(request=ExportInput, responses={201: ExportOutput})
    def post(self, request: Request, slug: str) -> Response:
        """Ask for an export of the project as it is now; a worker makes it."""
        given = ExportInput(data=request.data)
        given.is_valid(raise_exception=True)
        try:
            recipe = Recipe.from_json(given.validated_data["recipe"])
        except InvalidRequest as problem:
            raise ValidationError({problem.field: [problem.message]}) from problem
        export = jobs.create(
            project=self.project, recipe=recipe, user=self.person, name=given.validated_data["name"]
        )
        return Response(ExportOutput(export).data, status=201)


class SavedExportView(ProjectView):
    roles = STAFF

    def export(self) -> Export:
        rows = self.project.exports.select_related("repeats")
        found: Export = get_object_or_404(rows, pk=self.kwargs["export_id"])
        found.project = self.project
        return found

    def changeable(self) -> Export:
        found = self.export()
        if not may_change(self.person, found):
            raise PermissionDenied(_("Only who made this export, or a manager, may do this."))
        return found


class ExportDetail(SavedExportView):
    @extend_schema(responses=ExportOutput)
    def get(self, request: Request, slug: str, export_id: int) -> Response:
        """One saved export: where its making stands, its files and its manifest."""
        return Response(ExportOutput(self.export()).data)

    @extend_schema(responses={204: None})
    def delete(self, request: Request, slug: str, export_id: int) -> Response:
        """Delete a saved export and its files: my own, or as a manager anybody's."""
        jobs.delete(self.changeable(), self.person)
        return Response(status=204)


class ExportRepeat(SavedExportView):
    @extend_schema(request=None, responses={201: ExportOutput})
    def post(self, request: Request, slug: str, export_id: int) -> Response:
        """Make an export again: the same bytes, but for what was withdrawn since."""
        return Response(ExportOutput(jobs.repeat(self.export(), self.person)).data, status=201)


class ExportCancel(SavedExportView):
    @extend_schema(request=None, responses=ExportOutput)
    def post(self, request: Request, slug: str, export_id: int) -> Response:
        """Stop an export that is being made; one that has ended stays as it is."""
        found = self.changeable()
        jobs.cancel(found)
        found.refresh_from_db()
        return Response(ExportOutput(found).data)


class ExportFile(SavedExportView):
    @extend_schema(
        parameters=[
            OpenApiParameter("name", str, OpenApiParameter.PATH, description="As `files` names it."),
            OpenApiParameter("Range", str, OpenApiParameter.HEADER, description="One range: bytes=1000-"),
        ],
        responses={
            (200, "application/octet-stream"): OpenApiResponse(OpenApiTypes.BINARY),
            (206, "application/octet-stream"): OpenApiResponse(OpenApiTypes.BINARY),
            304: None,
            410: OpenApiResponse(description="Deleted, or withdrawn from: make it again"),
            416: None,
        },
    )
    def get(self, request: Request, slug: str, export_id: int, name: str) -> HttpResponseBase:
        """A file of a saved export, or a range of it; its ETag is its SHA-256."""
        return file_response(request._request, self.export(), name)

    @extend_schema(exclude=True)
    def head(self, request: Request, slug: str, export_id: int, name: str) -> HttpResponseBase:
        return self.get(request, slug, export_id, name)

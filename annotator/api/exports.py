"""Exports over the API: which formats there are, and the data, streamed as JSON Lines."""

from __future__ import annotations

from typing import Any

from django.http import Http404, StreamingHttpResponse
from django.urls import reverse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from annotator import events
from annotator.access import STAFF
from annotator.api.views import ProjectView
from annotator.exports import writing
from annotator.exports.formats import FORMATS


class FormatOutput(serializers.Serializer[Any]):
    format = serializers.CharField()
    url = serializers.URLField()


class FormatList(ProjectView):
    tag = "exports"
    roles = STAFF

    @extend_schema(responses=FormatOutput(many=True))
    def get(self, request: Request, slug: str) -> Response:
        """The formats that the project's data can be had in."""
        data = [
            {"format": name, "url": request.build_absolute_uri(reverse("api-export", args=[slug, name]))}
            for name in FORMATS
        ]
        return Response(FormatOutput(data, many=True).data)


class ExportDownload(ProjectView):
    tag = "exports"
    roles = STAFF

    @extend_schema(
        parameters=[OpenApiParameter("format_name", str, OpenApiParameter.PATH, enum=list(FORMATS))],
        responses={(200, "application/jsonl"): OpenApiResponse(OpenApiTypes.BINARY)},
    )
    def get(self, request: Request, slug: str, format_name: str) -> StreamingHttpResponse:
        """The project's preferences (`trl`) or judgments (`raw`) as JSON Lines."""
        try:
            blocks = writing.blocks(self.project, format=format_name)
        except writing.UnknownFormat as error:
            raise Http404(str(error)) from error
        name = f"{self.project.slug}-{format_name}.jsonl"
        events.record(self.project, self.person, "exported", name)
        return StreamingHttpResponse(
            blocks,
            content_type="application/jsonl",
            headers={"Content-Disposition": f'attachment; filename="{name}"'},
        )

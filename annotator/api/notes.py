"""What annotators told the managers, over the API."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response

from annotator.access import MANAGERS
from annotator.api.views import ById, ProjectView, asked, given
from annotator.models import Note, Scope


class NoteOutput(serializers.ModelSerializer[Note]):
    author = serializers.CharField(source="author.username")
    done_by = serializers.CharField(source="done_by.username", allow_null=True, default=None)

    class Meta:
        model = Note
        fields = ["id", "comparison", "author", "text", "created_at", "done_at", "done_by"]


class NoteFilter(serializers.Serializer[None]):
    done = serializers.BooleanField(required=False, allow_null=True, default=None)


class DoneInput(serializers.Serializer[None]):
    is_done = serializers.BooleanField(default=True, help_text="False opens the note again.")


class NoteList(ProjectView, ListAPIView[Note]):
    tag = "notes"
    roles = MANAGERS
    queryset = Note.objects.all()
    serializer_class = NoteOutput
    pagination_class = ById

    def get_queryset(self) -> QuerySet[Note]:
        notes: QuerySet[Note] = self.project.notes.select_related("author", "done_by")
        done = asked(NoteFilter, self.request)["done"]
        return notes if done is None else notes.filter(done_at__isnull=not done)

    @extend_schema(parameters=[NoteFilter])
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """What annotators wrote to the managers."""
        return super().get(request, *args, **kwargs)


class NoteDone(ProjectView):
    tag = "notes"
    scope = Scope.WRITE
    roles = MANAGERS

    @extend_schema(request=DoneInput, responses=NoteOutput)
    def post(self, request: Request, slug: str, note_id: int) -> Response:
        """Mark a note as done, or open it again."""
        note = get_object_or_404(self.project.notes.select_related("author", "done_by"), pk=note_id)
        is_done = given(DoneInput, request)["is_done"]
        note.done_at = timezone.now() if is_done else None
        note.done_by = self.person if is_done else None
        note.save(update_fields=["done_at", "done_by"])
        return Response(NoteOutput(note).data)

"""Imports of files of tasks: upload, what the inspection found, start, cancel, undo."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from django.http import FileResponse, Http404
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils.translation import gettext as _
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse, extend_schema
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
from annotator.prompts import importing, kept, undoing
from annotator.prompts.formats import families
from annotator.prompts.preparing import PreparationOptions
from annotator.prompts.reading import ImportProblem


class InUse(Conflict):
    default_code = "in_use"


class ImportOutput(serializers.ModelSerializer[PromptImport]):
    """`ready` waits for `start`: the report says what would be stored."""

    counts = serializers.DictField(help_text="What it brought.")
    progress = serializers.DictField(help_text="How far a worker is now.")
    options = serializers.DictField(help_text="The steps of preparation as chosen.")
    created_by = serializers.CharField(source="created_by.username", allow_null=True, default=None)

    class Meta:
        model = PromptImport
        fields = [
            *(
                "id",
                "name",
                "state",
                "format",
                "encoding",
                "options",
                "progress",
                "counts",
                "error",
                "sha256",
            ),
            *("default_domain", "created_by", "created_at", "finished_at"),
        ]


class StepsInput(serializers.Serializer[None]):
    """The steps of preparation; what is not given is as on the page."""

    default_domain = serializers.ChoiceField(
        choices=Domain.choices, default=Domain.GENERAL, help_text="For tasks whose line does not say."
    )
    answers = serializers.BooleanField(default=False, help_text="Take answers of chats in as instructions.")
    repair = serializers.BooleanField(default=PreparationOptions.repair)
    nfkc = serializers.BooleanField(default=PreparationOptions.nfkc)
    strip_html = serializers.BooleanField(default=PreparationOptions.strip_html)
    languages = serializers.ListField(
        child=serializers.RegexField(r"^[a-z]{2,3}(-[a-z0-9]{2,8})*$", max_length=16),
        default=list,
        max_length=20,
        help_text="Only tasks in these; none named: all.",
    )
    duplicates = serializers.BooleanField(default=PreparationOptions.duplicates)
    near_duplicates = serializers.BooleanField(default=PreparationOptions.near_duplicates)
    similarity = serializers.FloatField(default=PreparationOptions.similarity, min_value=0.5, max_value=1)
    contamination = serializers.BooleanField(default=PreparationOptions.contamination)
    min_tokens = serializers.IntegerField(default=0, min_value=0, max_value=100_000)
    max_tokens = serializers.IntegerField(default=0, min_value=0, max_value=100_000)
    personal = serializers.ChoiceField(
        choices=["", "flag", "mask"], default=PreparationOptions.personal, allow_blank=True
    )


class ImportInput(StepsInput):
    file = serializers.FileField(allow_empty_file=True, max_length=200)


class InspectInput(StepsInput):
    format = serializers.CharField(
        max_length=32, allow_blank=True, default="", help_text="What the file is, where it was taken wrongly."
    )

    def validate_format(self, name: str) -> str:
        if name and name not in {family.name for family in families(answers=False)}:
            raise ValidationError(_("“%(name)s” is not a format.") % {"name": name})
        return name


class ImportUndoInput(serializers.Serializer[None]):
    keep_used = serializers.BooleanField(
        default=False, help_text="Leave what people have worked with, and take out the rest."
    )


class ReportOutput(serializers.Serializer[Any]):
    report = serializers.DictField(help_text="What each step did, with examples.")


class ImportList(ProjectView, ListAPIView[PromptImport]):
    tag = "imports"
    scope = Scope.WRITE
    roles = MANAGERS
    queryset = PromptImport.objects.all()
    serializer_class = ImportOutput
    pagination_class = NewestFirst
    parser_classes = [MultiPartParser]

    def get_queryset(self) -> QuerySet[PromptImport]:
        return self.project.imports.select_related("created_by").defer("report")

    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """The imports, the newest first."""
        return super().get(request, *args, **kwargs)

    @extend_schema(request={"multipart/form-data": ImportInput}, responses={201: ImportOutput})
    @idempotent
    def post(self, request: Request, slug: str) -> Response:
        """Upload a file of tasks. A worker inspects it; nothing is stored before it is told to start."""
        values = given(ImportInput, request)
        file, domain, answers = (values.pop(name) for name in ("file", "default_domain", "answers"))
        try:
            batch = importing.create_import(
                project=self.project,
                name=file.name,
                file=file,
                user=self.person,
                default_domain=domain,
                options=_options(values),
                answers=answers,
            )
        except ImportProblem as error:
            raise ValidationError({"file": [str(error)]}) from error
        return created(ImportOutput(batch).data, reverse("api-import", args=[slug, batch.pk]))


class ImportView(ProjectView):
    tag = "imports"
    scope = Scope.WRITE
    roles = MANAGERS

    def batch(self) -> PromptImport:
        rows = self.project.imports.select_related("created_by", "project")
        return get_object_or_404(rows, pk=self.kwargs["import_id"])

    def answer(self, changed: bool) -> Response:
        """Where it stands now. Raises Conflict unless something was changed."""
        if not changed:
            raise Conflict(_("This import has changed meanwhile."))
        return Response(ImportOutput(self.batch()).data)


class ImportDetail(ImportView):
    @extend_schema(responses=ImportOutput)
    def get(self, request: Request, slug: str, import_id: int) -> Response:
        """One import: its state, and what it brought."""
        return Response(ImportOutput(self.batch()).data)


class ImportReport(ImportView):
    @extend_schema(responses=ReportOutput)
    def get(self, request: Request, slug: str, import_id: int) -> Response:
        """What the inspection found: what each step did, with examples."""
        return Response(ReportOutput({"report": self.batch().report}).data)


class ImportRejects(ImportView):
    @extend_schema(responses={(200, "application/jsonl"): OpenApiResponse(OpenApiTypes.BINARY)})
    def get(self, request: Request, slug: str, import_id: int) -> HttpResponseBase:
        """The lines that bring nothing, as JSON Lines: line, field, why, how it began, which step it was."""
        batch = self.batch()
        path = kept.path_of(str(batch.rejects.name))
        if not batch.rejects or not path.is_file():
            raise Http404(_("No line was rejected."))
        return FileResponse(path.open("rb"), content_type="application/jsonl")


class ImportInspect(ImportView):
    @extend_schema(request=InspectInput, responses=ImportOutput)
    def post(self, request: Request, slug: str, import_id: int) -> Response:
        """Inspect the file anew, with other steps."""
        values = given(InspectInput, request)
        domain, answers, family = (values.pop(name) for name in ("default_domain", "answers", "format"))
        options = _options(values)
        return self.answer(
            importing.inspect_again(
                self.batch(), options=options, answers=answers, default_domain=domain, family=family
            )
        )


class ImportStart(ImportView):
    @extend_schema(request=None, responses=ImportOutput)
    def post(self, request: Request, slug: str, import_id: int) -> Response:
        """Store what the report shows; of an import that is `ready`."""
        return self.answer(importing.start_import(self.batch()))


class ImportCancel(ImportView):
    @extend_schema(request=None, responses=ImportOutput)
    def post(self, request: Request, slug: str, import_id: int) -> Response:
        """Stop an import that has not ended. Nothing of the file is stored."""
        if not importing.cancel_import(self.batch()):
            raise Conflict(_("This import had ended before it could be cancelled."))
        return Response(ImportOutput(self.batch()).data)


class ImportUndo(ImportView):
    @extend_schema(request=ImportUndoInput, responses=ImportOutput)
    def post(self, request: Request, slug: str, import_id: int) -> Response:
        """Take out all that an import brought."""
        keep_used = given(ImportUndoInput, request)["keep_used"]
        try:
            undoing.undo(self.batch(), self.person, keep_used=keep_used)
        except undoing.NotDone as error:
            raise Conflict(_("There is nothing of this import to take out.")) from error
        except undoing.InUse as error:
            raise InUse(_("People have worked with some of what the import brought.")) from error
        return Response(ImportOutput(self.batch()).data)


def _options(values: dict[str, Any]) -> PreparationOptions:
    return PreparationOptions(**{**values, "languages": tuple(values["languages"])})

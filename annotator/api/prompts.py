"""Tasks (prompts) and instructions (completions): reading, and bringing in, one by one or many at once."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils.translation import gettext as _
from drf_spectacular.utils import OpenApiExample, extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.generics import ListAPIView
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response

from annotator.access import MANAGERS, STAFF
from annotator.api.idempotency import idempotent
from annotator.api.views import ById, IdField, ProjectView, asked, created, given
from annotator.models import Completion, Domain, Prompt, Scope
from annotator.prompts import images
from annotator.prompts.adding import NewPrompt, add_prompts, turn_of
from annotator.prompts.cleaning import clean_text
from annotator.prompts.fields import MAX_EXAMPLES, MAX_TEXT
from annotator.ranking import queue

MOST = 1000
"""Tasks in one request."""
MOST_TEXTS = 100
"""Instructions of one task in one request."""


class CompletionOutput(serializers.ModelSerializer[Completion]):
    class Meta:
        model = Completion
        fields = ["id", "text", "source", "iteration"]


class CompletionRowOutput(serializers.ModelSerializer[Completion]):
    class Meta:
        model = Completion
        fields = ["id", "prompt", "text", "source", "iteration", "created_at"]


class PairOutput(serializers.Serializer[Any]):
    input = serializers.CharField()
    output = serializers.CharField()


class PromptOutput(serializers.ModelSerializer[Prompt]):
    examples = PairOutput(many=True)
    held_out_examples = PairOutput(many=True)
    image = serializers.SerializerMethodField()

    class Meta:
        model = Prompt
        fields = [
            *("id", "text", "examples", "held_out_examples", "reference", "image", "image_text"),
            *("domain", "language", "is_held_out"),
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


class CleanText(serializers.CharField):
    """A text as an import would clean it."""

    def to_internal_value(self, data: Any) -> str:
        return clean_text(super().to_internal_value(data))


class PairInput(serializers.Serializer[None]):
    input = CleanText(max_length=MAX_TEXT, allow_blank=True)
    output = CleanText(max_length=MAX_TEXT)


class PromptInput(serializers.Serializer[None]):
    text = CleanText(max_length=MAX_TEXT, allow_blank=True, default="", help_text="Or `examples`, or both.")
    examples = PairInput(many=True, default=list, max_length=MAX_EXAMPLES)  # type: ignore[call-arg]
    held_out_examples = PairInput(many=True, default=list, max_length=MAX_EXAMPLES)  # type: ignore[call-arg]
    reference = CleanText(max_length=MAX_TEXT, allow_blank=True, default="")
    domain = serializers.ChoiceField(choices=Domain.choices, default=Domain.GENERAL)
    language = serializers.RegexField(
        r"^[a-z]{2,3}(-[a-z0-9]{2,8})*$",
        max_length=16,
        default="",
        allow_blank=True,
        help_text="Empty: guessed.",
    )
    completions = serializers.ListField(
        child=CleanText(max_length=MAX_TEXT),
        default=list,
        max_length=MOST_TEXTS,
        help_text="Instructions for it.",
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if not attrs["text"] and not attrs["examples"]:
            raise ValidationError({"text": [_("A task needs a text or examples.")]})
        if not all(attrs["completions"]):
            raise ValidationError({"completions": [_("An instruction is empty.")]})
        return attrs


class PromptsInput(serializers.Serializer[None]):
    prompts = PromptInput(many=True, allow_empty=False, max_length=MOST)  # type: ignore[call-arg]


class PromptsOutput(serializers.Serializer[Any]):
    ids = serializers.ListField(child=serializers.IntegerField(), help_text="Of each task, in their order.")
    created = serializers.IntegerField(help_text="How many tasks were new.")
    completions = serializers.IntegerField(help_text="How many instructions were new.")


class PromptFilter(serializers.Serializer[None]):
    domain = serializers.ChoiceField(choices=Domain.choices, required=False)
    language = serializers.CharField(max_length=16, required=False)
    held_out = serializers.BooleanField(required=False, allow_null=True, default=None)


class CompletionFilter(serializers.Serializer[None]):
    prompt = IdField(required=False)
    source = serializers.ChoiceField(  # type: ignore[assignment]  # a field of the name that DRF uses itself
        choices=Completion.Source.choices, required=False
    )
    iteration = serializers.IntegerField(required=False, min_value=0, max_value=2**31 - 1)


class CompletionsOutput(serializers.Serializer[Any]):
    completions = CompletionRowOutput(many=True)


class CompletionsInput(serializers.Serializer[None]):
    prompt = IdField()
    texts = serializers.ListField(child=CleanText(max_length=MAX_TEXT), min_length=1, max_length=MOST_TEXTS)

    def validate_texts(self, texts: list[str]) -> list[str]:
        if not all(texts):
            raise ValidationError(_("An instruction is empty."))
        return texts


class ImageInput(serializers.Serializer[None]):
    file = serializers.FileField()
    image_text = serializers.CharField(max_length=2000)


ONE = OpenApiExample(
    "A task with two instructions",
    {
        "text": "Sort the names by surname.",
        "examples": [{"input": "Jane Austen", "output": "Austen, Jane"}],
        "domain": "general",
        "completions": ["Write the surname first.", "Turn the name around."],
    },
    request_only=True,
)


class PromptList(ProjectView, ListAPIView[Prompt]):
    tag = "tasks"
    scope = Scope.WRITE
    roles = STAFF
    writers = MANAGERS
    queryset = Prompt.objects.all()
    serializer_class = PromptOutput
    pagination_class = ById

    def get_queryset(self) -> QuerySet[Prompt]:
        wanted = asked(PromptFilter, self.request)
        prompts: QuerySet[Prompt] = self.project.prompts.select_related("project")
        for name, column in (("domain", "domain"), ("language", "language"), ("held_out", "is_held_out")):
            if wanted.get(name) is not None:
                prompts = prompts.filter(**{column: wanted[name]})
        return prompts

    @extend_schema(parameters=[PromptFilter])
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """The project's tasks."""
        return super().get(request, *args, **kwargs)

    @extend_schema(
        request=PromptInput, responses={200: PromptDetailOutput, 201: PromptDetailOutput}, examples=[ONE]
    )
    @idempotent
    def post(self, request: Request, slug: str) -> Response:
        """Add a task, with instructions if there are any. One that is there already is answered with 200."""
        values = given(PromptInput, request)
        added = add_prompts(self.project, [NewPrompt(**values)])
        prompt = self.project.prompts.prefetch_related("completions").get(pk=added.ids[0])
        data = PromptDetailOutput(prompt, context={"request": request}).data
        return (
            created(data, reverse("api-prompt", args=[slug, prompt.pk])) if added.created else Response(data)
        )


class PromptBulk(ProjectView):
    tag = "tasks"
    scope = Scope.WRITE
    roles = MANAGERS

    @extend_schema(request=PromptsInput, responses={200: PromptsOutput})
    @idempotent
    def post(self, request: Request, slug: str) -> Response:
        """Add up to 1000 tasks, all of them or none. What is there already is left as it is."""
        values = given(PromptsInput, request)["prompts"]
        added = add_prompts(self.project, [NewPrompt(**one) for one in values])
        return Response(PromptsOutput(added).data)


class PromptDetail(ProjectView):
    tag = "tasks"
    roles = STAFF

    @extend_schema(responses=PromptDetailOutput)
    def get(self, request: Request, slug: str, prompt_id: int) -> Response:
        """One task with its instructions."""
        prompt = get_object_or_404(self.project.prompts.prefetch_related("completions"), pk=prompt_id)
        return Response(PromptDetailOutput(prompt, context={"request": request}).data)


class PromptImage(ProjectView):
    tag = "tasks"
    scope = Scope.WRITE
    roles = MANAGERS
    parser_classes = [MultiPartParser]

    @extend_schema(request={"multipart/form-data": ImageInput}, responses=PromptOutput)
    def put(self, request: Request, slug: str, prompt_id: int) -> Response:
        """Give a task an image, or another one: PNG, JPEG or WebP, at most 5 MB."""
        prompt = get_object_or_404(self.project.prompts, pk=prompt_id)
        values = given(ImageInput, request)
        try:
            images.put(prompt, text=values["image_text"], file=values["file"])
        except images.ImageProblem as error:
            raise ValidationError({error.field: [str(error)]}) from error
        return Response(PromptOutput(prompt, context={"request": request}).data)

    @extend_schema(request=None, responses={204: None})
    def delete(self, request: Request, slug: str, prompt_id: int) -> Response:
        """Take a task's image away."""
        images.remove(get_object_or_404(self.project.prompts, pk=prompt_id))
        return Response(status=204)


class CompletionList(ProjectView, ListAPIView[Completion]):
    tag = "tasks"
    scope = Scope.WRITE
    roles = STAFF
    writers = MANAGERS
    queryset = Completion.objects.all()
    serializer_class = CompletionRowOutput
    pagination_class = ById

    def get_queryset(self) -> QuerySet[Completion]:
        wanted = {name: value for name, value in asked(CompletionFilter, self.request).items() if value != ""}
        return Completion.objects.filter(prompt__project=self.project, **wanted)

    @extend_schema(parameters=[CompletionFilter])
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """The project's instructions."""
        return super().get(request, *args, **kwargs)

    @extend_schema(request=CompletionsInput, responses={201: CompletionsOutput})
    @idempotent
    def post(self, request: Request, slug: str) -> Response:
        """Add instructions to a task, as imported ones. A text that it has already is answered as it is."""
        values = given(CompletionsInput, request)
        prompt = get_object_or_404(self.project.prompts, pk=values["prompt"])
        with transaction.atomic():
            rows = queue.add_completions(
                prompt=prompt,
                texts=values["texts"],
                source=Completion.Source.IMPORTED,
                iteration=turn_of(self.project),
                author=self.person,
            )
        return created(CompletionsOutput({"completions": rows}).data)

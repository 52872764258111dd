"""Giving judgments: claim, renew, submit, skip, undo. Repeating a request with its key changes nothing."""

from __future__ import annotations

from typing import Any, cast

from django.core.exceptions import PermissionDenied
from django.http import Http404
from django.shortcuts import get_object_or_404
from django.utils.translation import gettext as _
from drf_spectacular.utils import OpenApiResponse, extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from annotator import pausing
from annotator.access import JUDGES
from annotator.api.views import ProjectView, Refused, given
from annotator.models import Assignment, Completion, Ranking, Scope, Verdict
from annotator.ranking import leases, queue
from annotator.ranking.judgments import Judgment, SubmitError
from annotator.ranking.submit import feedback, skip, submit, undo


@extend_schema_field({"type": "object", "additionalProperties": {}})
class KeyedById(serializers.DictField):
    """An object keyed by completions' ids."""

    def to_internal_value(self, data: Any) -> dict[int, Any]:
        values = cast("dict[str, Any]", super().to_internal_value(data))
        if not all(key.isascii() and key.isdigit() and len(key) < 19 for key in values):
            raise serializers.ValidationError(_("The keys are the ids of instructions."))
        return {int(key): value for key, value in values.items()}


@extend_schema_field({"type": "object", "additionalProperties": {"type": "integer"}})
class RanksById(KeyedById):
    child = serializers.IntegerField()


@extend_schema_field(
    {"type": "object", "additionalProperties": {"type": "array", "items": {"type": "string"}}}
)
class FlagsById(KeyedById):
    child = serializers.ListField(child=serializers.CharField(max_length=100), max_length=50)


@extend_schema_field(
    {
        "type": "object",
        "additionalProperties": {"type": "object", "additionalProperties": {"type": "integer"}},
    }
)
class RatingsById(KeyedById):
    child = serializers.DictField(child=serializers.IntegerField())


class ClaimInput(serializers.Serializer[None]):
    holding = serializers.ListField(
        child=serializers.IntegerField(),
        default=list,
        max_length=50,
        help_text="Assignments that you have already, so that another one is given.",
    )


class ShownOutput(serializers.ModelSerializer[Completion]):
    """An instruction as annotators see it: never who or what wrote it."""

    class Meta:
        model = Completion
        fields = ["id", "text"]


_SHOWN = ShownOutput()


class TaskOutput(serializers.Serializer[Any]):
    text = serializers.CharField()
    examples = serializers.JSONField()
    domain = serializers.CharField()
    language = serializers.CharField()


class AssignmentOutput(serializers.ModelSerializer[Assignment]):
    task = TaskOutput(source="comparison.prompt")
    completions = serializers.SerializerMethodField()

    class Meta:
        model = Assignment
        fields = ["id", "task", "completions", "leased_until"]

    @extend_schema_field(ShownOutput(many=True))
    def get_completions(self, assignment: Assignment) -> Any:
        """The instructions in the order in which this annotator sees them."""
        return [_SHOWN.to_representation(completion) for completion in leases.shown(assignment)]


class JudgmentInput(serializers.Serializer[None]):
    assignment = serializers.IntegerField()
    idempotency_key = serializers.CharField(max_length=64)
    verdict = serializers.ChoiceField(choices=[v for v in Verdict.choices if v[0] != Verdict.UNDONE])
    ranks = RanksById(default=dict, help_text="{instruction id: rank}; 1 is best, equal ranks tie.")
    strength = serializers.IntegerField(required=False, allow_null=True, default=None)
    reason = serializers.CharField(allow_blank=True, default="")
    flags = FlagsById(default=dict, help_text="{instruction id: [flag]}")
    ratings = RatingsById(default=dict, help_text="{instruction id: {scale: 1 to 5}}")
    rationale = serializers.CharField(allow_blank=True, default="")
    improved_text = serializers.CharField(allow_blank=True, default="")
    seconds = serializers.FloatField(required=False, allow_null=True, default=None)


class FeedbackOutput(serializers.Serializer[Any]):
    is_right = serializers.BooleanField()
    score = serializers.FloatField(help_text="Share of the right order that was met, 0 to 1.")
    verdict = serializers.CharField(help_text="The right verdict.")
    ranks = RanksById(help_text="The right order: {instruction id: rank}; equal ranks: either is right.")
    explanation = serializers.CharField()


class RankingOutput(serializers.ModelSerializer[Ranking]):
    """A stored judgment, and how right it was where that is told; mostly it is not."""

    feedback = serializers.SerializerMethodField()

    class Meta:
        model = Ranking
        fields = [
            "id",
            "verdict",
            "ranks",
            "strength",
            "is_live",
            "supersedes",
            "created_at",
            "feedback",
        ]

    @extend_schema_field(FeedbackOutput(allow_null=True))
    def get_feedback(self, ranking: Ranking) -> Any:
        told = feedback(ranking)
        return FeedbackOutput(told).data if told else None


class SkipInput(serializers.Serializer[None]):
    assignment = serializers.IntegerField()
    reason = serializers.CharField(max_length=500)


class RenewInput(serializers.Serializer[None]):
    assignment = serializers.IntegerField()


class LeaseOutput(serializers.Serializer[Any]):
    is_yours = serializers.BooleanField()


class UndoInput(serializers.Serializer[None]):
    ranking = serializers.IntegerField()
    idempotency_key = serializers.CharField(max_length=64)


# Made once: a serializer copies all of its fields for each new instance, and these hold no request's data.
_CLAIM, _JUDGMENT = ClaimInput(), JudgmentInput()
_ASSIGNMENT, _RANKING = AssignmentOutput(), RankingOutput()


class JudgingView(ProjectView):
    """A view for those who judge in the project."""

    tag = "judging"
    scope = Scope.RANK
    roles = JUDGES

    def assignment(self, pk: int) -> Assignment:
        found = leases.assignment_of(self.person, self.project, pk)
        if found is None:
            raise Http404
        return found


class Claim(JudgingView):
    @extend_schema(
        request=ClaimInput,
        responses={
            200: AssignmentOutput,
            204: OpenApiResponse(
                description="Nothing left; with Retry-After (seconds) where only others are asked until then"
            ),
        },
    )
    def post(self, request: Request, slug: str) -> Response:
        """My next comparison."""
        values = _CLAIM.run_validation(request.data)
        if why := pausing.why(self.project, self.membership):
            raise PermissionDenied(why)
        assignment = queue.claim_next(
            annotator=self.person,
            project=self.project,
            holding=values["holding"],
            membership=self.membership,
        )
        if assignment is None:
            return Response(status=204, headers=queue.why_nothing(self.person, self.project, self.membership))
        return Response(_ASSIGNMENT.to_representation(assignment))


class Renew(JudgingView):
    @extend_schema(request=RenewInput, responses=LeaseOutput)
    def post(self, request: Request, slug: str) -> Response:
        """Keep my hold on a comparison."""
        values = given(RenewInput, request)
        return Response({"is_yours": queue.renew(self.assignment(values["assignment"]))})


class Submit(JudgingView):
    @extend_schema(request=JudgmentInput, responses={200: RankingOutput})
    def post(self, request: Request, slug: str) -> Response:
        """Store my judgment."""
        values = dict(_JUDGMENT.run_validation(request.data))
        assignment = self.assignment(values.pop("assignment"))
        key = values.pop("idempotency_key")
        try:
            ranking = submit(assignment=assignment, judgment=Judgment(**values), idempotency_key=key)
        except SubmitError as error:
            raise Refused(error) from error
        return Response(_RANKING.to_representation(ranking))


class Skip(JudgingView):
    @extend_schema(request=SkipInput, responses={204: None})
    def post(self, request: Request, slug: str) -> Response:
        """Leave a comparison to others."""
        values = given(SkipInput, request)
        try:
            skip(
                assignment=self.assignment(values["assignment"]),
                reason=values["reason"],
            )
        except SubmitError as error:
            raise Refused(error) from error
        return Response(status=204)


class Undo(JudgingView):
    @extend_schema(request=UndoInput, responses={200: RankingOutput})
    def post(self, request: Request, slug: str) -> Response:
        """Take my judgment back; the comparison comes to me again."""
        values = given(UndoInput, request)
        mine = Ranking.objects.filter(annotator=self.person, comparison__project=self.project)
        ranking = get_object_or_404(mine, pk=values["ranking"])
        try:
            undone = undo(
                annotator=self.person,
                ranking=ranking,
                idempotency_key=values["idempotency_key"],
            )
        except SubmitError as error:
            raise Refused(error) from error
        return Response(RankingOutput(undone).data)

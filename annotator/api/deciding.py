"""What managers do with comparisons: decide them, withdraw a decision, make and retire gold questions."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response

from annotator.access import MANAGERS, STAFF
from annotator.api.idempotency import idempotent
from annotator.api.ranking import FlagsById, RankingOutput, RanksById, RatingsById
from annotator.api.views import NewestFirst, ProjectView, Refused, given
from annotator.models import Comparison, GoldAnswer, Scope, Verdict
from annotator.quality import gold
from annotator.ranking.adjudication import adjudicate, withdraw
from annotator.ranking.judgments import Judgment, SubmitError

VERDICTS = [choice for choice in Verdict.choices if choice[0] != Verdict.UNDONE]


class DecisionInput(serializers.Serializer[None]):
    idempotency_key = serializers.CharField(max_length=64)
    verdict = serializers.ChoiceField(choices=VERDICTS)
    ranks = RanksById(default=dict, help_text="{instruction id: rank}; 1 is best, equal ranks tie.")
    strength = serializers.IntegerField(required=False, allow_null=True, default=None)
    reason = serializers.CharField(allow_blank=True, default="")
    flags = FlagsById(default=dict, help_text="{instruction id: [flag]}")
    ratings = RatingsById(default=dict, help_text="{instruction id: {scale: 1 to 5}}")
    rationale = serializers.CharField(allow_blank=True, default="")


class WithdrawalInput(serializers.Serializer[None]):
    idempotency_key = serializers.CharField(max_length=64)


class GoldInput(serializers.Serializer[None]):
    verdict = serializers.ChoiceField(choices=VERDICTS, default=Verdict.RANKED)
    ranks = RanksById(
        default=dict, help_text="The right order: {instruction id: rank}; equal ranks: either is right."
    )
    explanation = serializers.CharField(allow_blank=True, default="", max_length=2000)


class GoldOutput(serializers.ModelSerializer[GoldAnswer]):
    """A gold question; its comparison is a row of its own, beside the one it was made of."""

    prompt = serializers.IntegerField(source="comparison.prompt_id")
    is_retired = serializers.BooleanField(source="comparison.is_closed")

    class Meta:
        model = GoldAnswer
        fields = ["comparison", "prompt", "verdict", "ranks", "explanation", "is_retired", "created_at"]


class QuestionOutput(serializers.Serializer[Any]):
    question = GoldOutput(source="answer")
    asked = serializers.IntegerField(help_text="How often it was answered.")
    mean = serializers.FloatField(
        allow_null=True, help_text="The answers' mean score, 0 to 1. A low one may mean a wrong answer."
    )


class ManagedComparison(ProjectView):
    """A view of one comparison for managers."""

    tag = "comparisons"
    scope = Scope.WRITE
    roles = MANAGERS

    def comparison(self) -> Comparison:
        rows = self.project.comparisons.select_related("prompt")
        return get_object_or_404(rows, pk=self.kwargs["comparison_id"])


class Adjudicate(ManagedComparison):
    @extend_schema(request=DecisionInput, responses={200: RankingOutput})
    def post(self, request: Request, slug: str, comparison_id: int) -> Response:
        """Decide a comparison: my judgment stands in place of the annotators'."""
        row = self.comparison()
        values = given(DecisionInput, request)
        key = values.pop("idempotency_key")
        try:
            ranking = adjudicate(
                comparison=row, manager=self.person, judgment=Judgment(**values), idempotency_key=key
            )
        except SubmitError as error:
            raise Refused(error) from error
        return Response(RankingOutput(ranking).data)


class Withdraw(ManagedComparison):
    @extend_schema(request=WithdrawalInput, responses={200: RankingOutput})
    def post(self, request: Request, slug: str, comparison_id: int) -> Response:
        """Take the decision back: the annotators' judgments count again."""
        row = self.comparison()
        key = given(WithdrawalInput, request)["idempotency_key"]
        try:
            undone = withdraw(comparison=row, manager=self.person, idempotency_key=key)
        except SubmitError as error:
            raise Refused(error) from error
        return Response(RankingOutput(undone).data)


class GoldMake(ManagedComparison):
    @extend_schema(request=GoldInput, responses={201: GoldOutput})
    @idempotent
    def post(self, request: Request, slug: str, comparison_id: int) -> Response:
        """Make a gold question of a comparison's instructions; the comparison stays in the queue."""
        row = self.comparison()
        try:
            answer = gold.make(row, by=self.person, **given(GoldInput, request))
        except gold.GoldError as error:
            raise Refused(error) from error
        return Response(GoldOutput(answer).data, status=201)


class GoldList(ProjectView, ListAPIView[GoldAnswer]):
    tag = "comparisons"
    roles = STAFF
    queryset = GoldAnswer.objects.all()
    serializer_class = QuestionOutput
    pagination_class = NewestFirst

    def get_queryset(self) -> QuerySet[GoldAnswer]:
        return GoldAnswer.objects.filter(comparison__project=self.project).select_related("comparison")

    def paginate_queryset(self, queryset: Any) -> Any:
        return gold.questions(super().paginate_queryset(queryset) or [])

    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """The project's gold questions, newest first, retired ones too."""
        return super().get(request, *args, **kwargs)


class GoldView(ProjectView):
    """A view of one gold question for managers."""

    tag = "comparisons"
    scope = Scope.WRITE
    roles = MANAGERS

    def answer(self) -> GoldAnswer:
        answers = GoldAnswer.objects.filter(comparison__project=self.project).select_related("comparison")
        return get_object_or_404(answers, comparison=self.kwargs["comparison_id"])


class GoldRetire(GoldView):
    @extend_schema(request=None, responses=GoldOutput)
    def post(self, request: Request, slug: str, comparison_id: int) -> Response:
        """Ask a gold question no more. Its answers stay."""
        answer = self.answer()
        gold.retire(answer)
        return Response(GoldOutput(answer).data)


class GoldBringBack(GoldView):
    @extend_schema(request=None, responses=GoldOutput)
    def post(self, request: Request, slug: str, comparison_id: int) -> Response:
        """Ask a retired gold question again."""
        answer = self.answer()
        gold.bring_back(answer)
        return Response(GoldOutput(answer).data)

"""The judgments that were given: to researchers by pseudonym, to managers with the name."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response

from annotator.access import MANAGERS, STAFF, has_role
from annotator.api.views import ById, IdField, ProjectView, asked
from annotator.models import Ranking, Verdict
from annotator.pseudonyms import pseudonym


class RankingRowOutput(serializers.ModelSerializer[Ranking]):
    prompt = serializers.IntegerField(source="comparison.prompt_id")
    annotator = serializers.SerializerMethodField(help_text="The pseudonym that exports use too.")
    username = serializers.SerializerMethodField(help_text="For managers; null for researchers.")

    class Meta:
        model = Ranking
        fields = [
            *(
                "id",
                "comparison",
                "prompt",
                "annotator",
                "username",
                "verdict",
                "ranks",
                "strength",
                "reason",
            ),
            *("flags", "ratings", "rationale", "improved_text", "order", "seconds", "guideline_version"),
            *("is_live", "supersedes", "is_simulated", "is_adjudication", "created_at"),
        ]

    def get_annotator(self, ranking: Ranking) -> str:
        return pseudonym(self.context["project"], ranking.annotator_id)

    def get_username(self, ranking: Ranking) -> str | None:
        return ranking.annotator.username if self.context["manages"] else None


class RankingFilter(serializers.Serializer[None]):
    comparison = IdField(required=False)
    prompt = IdField(required=False)
    verdict = serializers.ChoiceField(choices=Verdict.choices, required=False)
    live = serializers.BooleanField(required=False, allow_null=True, default=None)
    votes = serializers.BooleanField(
        default=False, help_text="Only what models learn from: no gold questions, repeats, evaluations."
    )


class RankingList(ProjectView, ListAPIView[Ranking]):
    tag = "rankings"
    roles = STAFF
    queryset = Ranking.objects.all()
    serializer_class = RankingRowOutput
    pagination_class = ById

    def get_queryset(self) -> QuerySet[Ranking]:
        wanted = asked(RankingFilter, self.request)
        rows = Ranking.objects.votes() if wanted["votes"] else Ranking.objects.all()
        if not has_role(self.person, self.project, *MANAGERS):
            rows = rows.consented()  # whoever has withdrawn is nothing to researchers
        rows = rows.filter(comparison__project=self.project).select_related("comparison", "annotator")
        columns = {
            "comparison": "comparison",
            "prompt": "comparison__prompt",
            "verdict": "verdict",
            "live": "is_live",
        }
        for name, column in columns.items():
            if wanted.get(name) is not None:
                rows = rows.filter(**{column: wanted[name]})
        return rows

    def get_serializer_context(self) -> dict[str, Any]:
        context = dict(super().get_serializer_context())
        if not getattr(self, "swagger_fake_view", False):
            context["project"] = self.project
            context["manages"] = has_role(self.person, self.project, *MANAGERS)
        return context

    @extend_schema(parameters=[RankingFilter])
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Every judgment as it was given, superseded and undone ones too.

        Researchers do not get those of annotators who have withdrawn.
        """
        return super().get(request, *args, **kwargs)

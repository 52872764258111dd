"""Checkpoints: where each comes from and how good it is, promotion and the way back; scores."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from django.utils.translation import gettext as _
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response

from annotator.access import MANAGERS, STAFF
from annotator.api.problems import Conflict
from annotator.api.views import ById, IdField, NewestFirst, ProjectView, asked, given
from annotator.models import Role, Scope
from rlhf import leaderboards, live, promotion, runs
from rlhf.models import Checkpoint, Evaluation, LiveHeads, LiveScore, Promotion, Score, Snapshot


class CheckpointOutput(serializers.ModelSerializer[Checkpoint]):
    config = serializers.DictField()
    metrics = serializers.DictField()
    snapshot = serializers.CharField(source="snapshot.sha256", allow_null=True, default=None)
    promoted_by = serializers.CharField(source="promoted_by.username", allow_null=True, default=None)
    writes_now = serializers.SerializerMethodField(help_text="Whether it is the policy that writes now.")

    class Meta:
        model = Checkpoint
        fields = [
            *("id", "kind", "name", "base_model", "parent", "run", "snapshot", "iteration", "seed"),
            *("code_version", "config", "metrics", "promoted_at", "promoted_by", "writes_now", "created_at"),
        ]

    def get_writes_now(self, checkpoint: Checkpoint) -> bool:
        return checkpoint.pk == runs.promoted_policy(checkpoint.project).pk


class EvaluationOutput(serializers.ModelSerializer[Evaluation]):
    result = serializers.DictField()

    class Meta:
        model = Evaluation
        fields = ["id", "run", "old", "new", "result", "created_at"]


class SnapshotOutput(serializers.ModelSerializer[Snapshot]):
    counts = serializers.DictField(child=serializers.IntegerField())

    class Meta:
        model = Snapshot
        fields = ["id", "sha256", "last_ranking", "counts", "created_at"]


class PromotionOutput(serializers.ModelSerializer[Promotion]):
    promoted_by = serializers.CharField(source="promoted_by.username", allow_null=True, default=None)
    figures = serializers.DictField()

    class Meta:
        model = Promotion
        fields = ["id", "checkpoint", "former", "evaluation", "figures", "promoted_by", "promoted_at"]


class ScoreOutput(serializers.Serializer[Any]):
    completion = serializers.IntegerField(source="completion_id")
    checkpoint = serializers.IntegerField(source="checkpoint_id", allow_null=True, help_text="Null: gold.")
    mean = serializers.FloatField()
    std = serializers.FloatField()
    details = serializers.DictField()


class PromoteInput(serializers.Serializer[None]):
    seen = IdField(
        required=False, help_text="The evaluation that was looked at: refused if there is a newer one."
    )
    unevaluated = serializers.BooleanField(default=False, help_text="Promote it though nobody evaluated it.")


class CheckpointFilter(serializers.Serializer[None]):
    kind = serializers.ChoiceField(choices=Checkpoint.Kind.choices, required=False)


class ScoreFilter(serializers.Serializer[None]):
    kind = serializers.ChoiceField(
        choices=["gold", "reward", "live"],
        default="gold",
        help_text="The gold metric's, reward checkpoints', or the heads' as last refitted.",
    )
    prompt = IdField(required=False)
    completion = IdField(required=False)


class RefitsOutput(serializers.ModelSerializer[LiveHeads]):
    class Meta:
        model = LiveHeads
        fields = ["every", "refits", "rankings", "refitted_at", "seconds", "error"]


class RefitsInput(serializers.Serializer[None]):
    every = serializers.IntegerField(min_value=0, max_value=live.MOST)


class ModelsView(ProjectView):
    tag = "models"
    scope = Scope.RUN
    roles: ClassVar[tuple[Role, ...]] = STAFF


class CheckpointList(ModelsView, ListAPIView[Checkpoint]):
    queryset = Checkpoint.objects.all()
    serializer_class = CheckpointOutput
    pagination_class = NewestFirst

    def get_queryset(self) -> QuerySet[Checkpoint]:
        rows = self.project.checkpoints.select_related("snapshot", "promoted_by", "project")
        return rows.filter(**asked(CheckpointFilter, self.request))

    @extend_schema(parameters=[CheckpointFilter])
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """The checkpoints, the newest first."""
        return super().get(request, *args, **kwargs)


class CheckpointView(ModelsView):
    def checkpoint(self) -> Checkpoint:
        rows = self.project.checkpoints.select_related("snapshot", "promoted_by", "project", "run")
        return get_object_or_404(rows, pk=self.kwargs["checkpoint_id"])


class CheckpointDetail(CheckpointView):
    @extend_schema(responses=CheckpointOutput)
    def get(self, request: Request, slug: str, checkpoint_id: int) -> Response:
        """One checkpoint."""
        return Response(CheckpointOutput(self.checkpoint()).data)


class CheckpointPromote(CheckpointView):
    roles = MANAGERS

    @extend_schema(request=PromoteInput, responses=CheckpointOutput)
    def post(self, request: Request, slug: str, checkpoint_id: int) -> Response:
        """From now on this policy writes the instructions. Also the way back to any earlier one."""
        checkpoint, values = self.checkpoint(), given(PromoteInput, request)
        try:
            promotion.promote(checkpoint, user=self.person, **values)
        except runs.CannotStart as error:
            raise Conflict(str(error)) from error
        return Response(CheckpointOutput(checkpoint).data)


class Revert(ModelsView):
    roles = MANAGERS

    @extend_schema(request=None, responses=CheckpointOutput)
    def post(self, request: Request, slug: str) -> Response:
        """Take the last promotion back: what wrote before writes again."""
        last = promotion.history(self.project).first()
        if last is None or last.checkpoint_id != runs.promoted_policy(self.project).pk:
            raise Conflict(_("There is no promotion to take back."))
        try:
            promotion.promote(last.former, user=self.person)
        except runs.CannotStart as error:
            raise Conflict(str(error)) from error
        return Response(CheckpointOutput(last.former).data)


class PromotionList(ModelsView, ListAPIView[Promotion]):
    queryset = Promotion.objects.all()
    serializer_class = PromotionOutput
    pagination_class = NewestFirst

    def get_queryset(self) -> QuerySet[Promotion]:
        return promotion.history(self.project)

    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Who promoted what, by which figures."""
        return super().get(request, *args, **kwargs)


class EvaluationList(ModelsView, ListAPIView[Evaluation]):
    queryset = Evaluation.objects.all()
    serializer_class = EvaluationOutput
    pagination_class = NewestFirst

    def get_queryset(self) -> QuerySet[Evaluation]:
        return Evaluation.objects.filter(new__project=self.project)

    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Old policies against new ones."""
        return super().get(request, *args, **kwargs)


class SnapshotList(ModelsView, ListAPIView[Snapshot]):
    queryset = Snapshot.objects.all()
    serializer_class = SnapshotOutput
    pagination_class = NewestFirst

    def get_queryset(self) -> QuerySet[Snapshot]:
        return self.project.snapshots.all()

    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """The frozen data that training has read."""
        return super().get(request, *args, **kwargs)


class Leaderboards(ModelsView):
    @extend_schema(responses={200: {"type": "object", "additionalProperties": {"type": "object"}}})
    def get(self, request: Request, slug: str) -> Response:
        """The generators by people, by the gold metric, by the reward (Bradley-Terry with intervals)."""
        return Response(leaderboards.as_json(self.project))


class Scores(ModelsView, ListAPIView[Any]):
    queryset = Score.objects.all()
    serializer_class = ScoreOutput
    pagination_class = ById

    def get_queryset(self) -> QuerySet[Any]:
        wanted = asked(ScoreFilter, self.request)
        rows: QuerySet[Any]
        if wanted["kind"] == "live":
            rows = LiveScore.objects.filter(heads__project=self.project)
        else:
            rows = Score.objects.filter(completion__prompt__project=self.project)
            rows = rows.filter(checkpoint__isnull=wanted["kind"] == "gold")
        columns = {"prompt": "completion__prompt", "completion": "completion"}
        return rows.filter(**{column: wanted[name] for name, column in columns.items() if name in wanted})

    def paginate_queryset(self, queryset: Any) -> Any:
        rows = super().paginate_queryset(queryset)
        for row in rows or []:
            if isinstance(row, LiveScore):
                row.details = {"refit": row.refit}  # type: ignore[attr-defined]
        return rows

    @extend_schema(parameters=[ScoreFilter])
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """The stored scores of the project's instructions. New texts are scored by POST /api/score/."""
        return super().get(request, *args, **kwargs)


class Refits(ModelsView):
    writers = MANAGERS

    @extend_schema(responses=RefitsOutput)
    def get(self, request: Request, slug: str) -> Response:
        """The newest reward heads: fitted to how many rankings, when; 404 before the first reward model."""
        return Response(RefitsOutput(self.row()).data)

    @extend_schema(request=RefitsInput, responses=RefitsOutput)
    def put(self, request: Request, slug: str) -> Response:
        """After how many new rankings the heads are refitted; 0: never."""
        row = self.row()
        live.set_every(self.project, given(RefitsInput, request)["every"])
        row.refresh_from_db()
        return Response(RefitsOutput(row).data)

    def row(self) -> LiveHeads:
        found = live.of(self.project)
        if found is None:
            return get_object_or_404(LiveHeads, pk=None)
        return found

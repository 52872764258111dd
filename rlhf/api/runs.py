"""Runs: the list, starting one with its settings, following it, ending and resuming it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils.translation import gettext as _
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.generics import ListAPIView
from rest_framework.pagination import CursorPagination
from rest_framework.request import Request
from rest_framework.response import Response

from annotator.access import MANAGERS, STAFF
from annotator.api.idempotency import idempotent
from annotator.api.problems import Conflict, Unprocessable
from annotator.api.views import ById, IdField, NewestFirst, ProjectView, asked, created, given
from annotator.models import Project, Role, Scope
from rlhf import run_data, run_log, runs
from rlhf.models import Checkpoint, Run, RunRecord, RunSample

EXAMPLES = [
    OpenApiExample("A reward model", {"kind": "reward", "config": {"heads": 5}}, request_only=True),
    OpenApiExample(
        "RLOO, twenty steps",
        {"kind": "policy", "algorithm": "rloo", "config": {"steps": 20, "kl_coef": 0.05}},
        request_only=True,
    ),
    OpenApiExample("Two instructions for ten tasks", {"kind": "generation", "tasks": 10}, request_only=True),
]
ASKED_OF: dict[str, tuple[str, ...]] = {
    Run.Kind.GENERATION: ("completions_per_task", "tasks", "reward"),
    Run.Kind.REWARD: (),
    Run.Kind.POLICY: ("algorithm", "policy", "reward"),
    Run.Kind.EVALUATION: ("new", "old", "ask_people"),
    Run.Kind.SCORING: (),
}
START: dict[str, Callable[..., Run]] = {
    Run.Kind.GENERATION: runs.start_generation,
    Run.Kind.REWARD: runs.start_reward,
    Run.Kind.POLICY: runs.start_policy,
    Run.Kind.EVALUATION: runs.start_evaluation,
    Run.Kind.SCORING: runs.start_scoring,
}
CHECKPOINTS = ("policy", "reward", "new", "old")


class CannotStart(Unprocessable):
    default_code = "cannot_start"


class RunOutput(serializers.ModelSerializer[Run]):
    created_by = serializers.CharField(source="created_by.username", allow_null=True, default=None)
    config = serializers.DictField()
    checkpoint = serializers.SerializerMethodField(help_text="What it made.")
    is_active = serializers.BooleanField()

    class Meta:
        model = Run
        fields = [
            *(
                "id",
                "kind",
                "state",
                "is_active",
                "algorithm",
                "iteration",
                "step",
                "total",
                "message",
                "note",
            ),
            *("error", "attempts", "config", "policy", "old_policy", "reward", "snapshot", "checkpoint"),
            *("created_by", "created_at", "started_at", "finished_at"),
        ]

    algorithm = serializers.CharField()

    def get_checkpoint(self, run: Run) -> int | None:
        try:
            return run.checkpoint.pk
        except Checkpoint.DoesNotExist:
            return None


class ResultsOutput(serializers.Serializer[Any]):
    checkpoint = serializers.DictField(required=False)
    evaluation = serializers.DictField(required=False)
    samples = serializers.ListField(child=serializers.DictField())


class RecordOutput(serializers.ModelSerializer[RunRecord]):
    values = serializers.DictField(child=serializers.FloatField(allow_null=True))

    class Meta:
        model = RunRecord
        fields = ["step", "values", "created_at"]


class SampleOutput(serializers.ModelSerializer[RunSample]):
    values = serializers.DictField()

    class Meta:
        model = RunSample
        fields = ["id", "step", "prompt", "text", "reference_text", "values"]


class LogLineOutput(serializers.Serializer[Any]):
    at = serializers.DateTimeField()
    text = serializers.CharField()


class RunFilter(serializers.Serializer[None]):
    kind = serializers.ChoiceField(choices=Run.Kind.choices, required=False)
    state = serializers.ChoiceField(choices=Run.State.choices, required=False)


class RecordFilter(serializers.Serializer[None]):
    after = serializers.IntegerField(
        required=False, min_value=0, max_value=2**31 - 1, help_text="Only later steps."
    )


class RunInput(serializers.Serializer[None]):
    """What is not given is as the run's form has it; each kind takes its own."""

    kind = serializers.ChoiceField(choices=Run.Kind.choices)
    config = serializers.DictField(
        default=dict, help_text="Settings of the kind; docs/methods.md names them."
    )
    algorithm = serializers.CharField(max_length=32, required=False, help_text="Of a policy run.")
    completions_per_task = serializers.IntegerField(required=False, min_value=1, max_value=64)
    tasks = serializers.IntegerField(
        required=False, min_value=1, max_value=2**31 - 1, help_text="So many tasks only."
    )
    policy = IdField(required=False, help_text="A checkpoint: what is trained.")
    reward = IdField(
        required=False,
        help_text="A checkpoint: what a policy is trained against, or the best of some are kept by.",
    )
    new = IdField(required=False, help_text="A checkpoint to evaluate.")
    old = IdField(required=False, help_text="A checkpoint to compare it with.")
    ask_people = serializers.IntegerField(required=False, min_value=0, max_value=10_000)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        for name in set(attrs) - {"kind", "config", *ASKED_OF[attrs["kind"]]}:
            raise ValidationError({name: [_("A run of this kind does not take it.")]})
        return attrs


class BySteps(CursorPagination):
    ordering = "step"
    page_size_query_param = "page_size"
    max_page_size = 1000


class RunList(ProjectView, ListAPIView[Run]):
    tag = "runs"
    scope = Scope.RUN
    roles = STAFF
    writers = MANAGERS
    queryset = Run.objects.all()
    serializer_class = RunOutput
    pagination_class = NewestFirst

    def get_queryset(self) -> QuerySet[Run]:
        wanted = asked(RunFilter, self.request)
        return runs_of(self.project).filter(**wanted)

    @extend_schema(parameters=[RunFilter])
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """The runs, the newest first."""
        return super().get(request, *args, **kwargs)

    @extend_schema(request=RunInput, responses={201: RunOutput}, examples=EXAMPLES)
    @idempotent
    def post(self, request: Request, slug: str) -> Response:
        """Start a run. One of a kind at a time in a project."""
        values = given(RunInput, request)
        kind, config = values.pop("kind"), values.pop("config")
        for name in CHECKPOINTS:
            if name in values:
                values[name] = get_object_or_404(self.project.checkpoints, pk=values[name])
        try:
            run = START[kind](project=self.project, user=self.person, config=config, **values)
        except runs.CannotStart as error:
            raise CannotStart(str(error)) from error
        return created(RunOutput(run).data, reverse("api-run", args=[slug, run.pk]))


class RunView(ProjectView):
    tag = "runs"
    scope = Scope.RUN
    roles: ClassVar[tuple[Role, ...]] = STAFF
    run: Run

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        self.run = get_object_or_404(runs_of(self.project), pk=kwargs["run_id"])
        self.run.project = self.project


class RunDetail(RunView):
    @extend_schema(responses=RunOutput)
    def get(self, request: Request, slug: str, run_id: int) -> Response:
        """One run: its state, how far it is, what it was told."""
        return Response(RunOutput(self.run).data)


class RunResults(RunView):
    @extend_schema(responses=ResultsOutput)
    def get(self, request: Request, slug: str, run_id: int) -> Response:
        """What came of a run: its checkpoint, evaluation, samples, as far as there are."""
        return Response(run_data.results_json(self.run))


class RunRecords(RunView, ListAPIView[RunRecord]):
    queryset = RunRecord.objects.all()
    serializer_class = RecordOutput
    pagination_class = BySteps

    def get_queryset(self) -> QuerySet[RunRecord]:
        after = asked(RecordFilter, self.request).get("after")
        return self.run.records.all() if after is None else self.run.records.filter(step__gt=after)

    @extend_schema(parameters=[RecordFilter])
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """The numbers of each step."""
        return super().get(request, *args, **kwargs)


class RunSamples(RunView, ListAPIView[RunSample]):
    queryset = RunSample.objects.all()
    serializer_class = SampleOutput
    pagination_class = ById

    def get_queryset(self) -> QuerySet[RunSample]:
        return self.run.samples.all()

    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """What the policy wrote along the run, beside the reference."""
        return super().get(request, *args, **kwargs)


class RunLog(RunView):
    @extend_schema(responses=LogLineOutput(many=True))
    def get(self, request: Request, slug: str, run_id: int) -> Response:
        """The last 200 lines of a run's log, the newest first."""
        return Response(LogLineOutput(run_log.newest(self.run), many=True).data)


class RunCancel(RunView):
    roles = MANAGERS

    @extend_schema(request=None, responses=RunOutput)
    def post(self, request: Request, slug: str, run_id: int) -> Response:
        """End a run: a waiting one at once, a running one within its step."""
        if not runs.cancel(self.run, user=self.person):
            raise Conflict(_("The run had ended already."))
        return Response(RunOutput(self.run).data)


class RunResume(RunView):
    roles = MANAGERS

    @extend_schema(request=None, responses=RunOutput)
    def post(self, request: Request, slug: str, run_id: int) -> Response:
        """Let a failed or cancelled run go on from its last checkpoint."""
        try:
            runs.resume(self.run, user=self.person)
        except runs.CannotStart as error:
            raise Conflict(str(error)) from error
        return Response(RunOutput(self.run).data)


def runs_of(project: Project) -> QuerySet[Run]:
    return project.runs.select_related("created_by", "checkpoint")

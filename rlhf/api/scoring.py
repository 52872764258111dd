"""`POST /api/score/`: scores of texts, in the form in which OpenRLHF's `--reward.remote_url` asks and reads.

The form is that of OpenRLHF's single-turn executor (openrlhf/utils/agent.py): `query`, `prompts` and `labels`
go in; `rewards` is what it trains on, `scores` what it filters by, and each of `extra_logs` is logged.
"""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.http import Http404
from django.utils.translation import gettext as _
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from annotator.access import STAFF, entry
from annotator.api.limits import ScoreLimit
from annotator.api.problems import Conflict, Unavailable
from annotator.api.views import ApiView, IdField, asked, given
from annotator.models import Project, Scope
from rlhf import runs
from rlhf.lm.configs import PolicyConfig
from rlhf.models import Checkpoint
from rlhf.scoring import asking, reading

LONGEST = 40_000
"""Characters of a text: twice what a task or an instruction may have."""


class NoRewardModel(Conflict):
    default_code = "no_reward_model"


class QueryField(serializers.ListField):
    child = serializers.CharField(max_length=LONGEST, allow_blank=True, trim_whitespace=False)


class ScoreInput(serializers.Serializer[None]):
    """Texts to score."""

    query = QueryField(allow_empty=False, help_text="Prompt and response as one text; or the response alone.")
    prompts = QueryField(default=list, help_text="The prompts, one for each text, or none.")
    labels = serializers.ListField(
        child=serializers.JSONField(allow_null=True),
        default=list,
        help_text="One for each text, or none. A task's id says which task it is; anything else is left out.",
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        wanted, most = len(attrs["query"]), settings.SCORE_MAX_TEXTS
        if wanted > most:
            raise ValidationError({"query": [_("At most %(most)d texts in one request.") % {"most": most}]})
        for name in ("prompts", "labels"):
            if len(attrs[name]) not in (0, wanted):
                raise ValidationError({name: [_("None, or one for each text.")]})
        return attrs


class ScoreQuery(serializers.Serializer[None]):
    checkpoint = IdField(
        required=False,
        help_text="A reward model by its id; otherwise the project's newest, which the loop uses.",
    )
    live = serializers.BooleanField(
        default=False, help_text="By the heads as last refitted. They change while people rank."
    )
    pessimism = serializers.FloatField(
        default=PolicyConfig.pessimism,
        min_value=0,
        max_value=10,
        help_text="rewards = mean - pessimism * std, as in this site's own policy gradients.",
    )


class ProjectQuery(ScoreQuery):
    project = serializers.SlugField(
        required=False, max_length=80, help_text="Not needed by a token that is limited to one project."
    )


class LogsOutput(serializers.Serializer[Any]):
    reward_mean = serializers.ListField(child=serializers.FloatField())
    reward_std = serializers.ListField(child=serializers.FloatField())


class ScoresOutput(serializers.Serializer[Any]):
    """Of each text, in its order."""

    rewards = serializers.ListField(
        child=serializers.FloatField(), help_text="What to train on: pessimistic."
    )
    scores = serializers.ListField(child=serializers.FloatField(), help_text="The same, by OpenRLHF's name.")
    mean = serializers.ListField(child=serializers.FloatField(), help_text="Over the heads.")
    std = serializers.ListField(
        child=serializers.FloatField(), help_text="Over the heads: the model's doubt."
    )
    pessimistic = serializers.ListField(child=serializers.FloatField(), help_text="mean - pessimism * std")
    known = serializers.ListField(
        child=serializers.BooleanField(), help_text="Whether the text's task was found in the project."
    )
    checkpoint = serializers.IntegerField(help_text="Whose scores they are.")
    refit = serializers.IntegerField(allow_null=True, help_text="Which refit of the heads; null: its own.")
    extra_logs = LogsOutput()


EXAMPLE = OpenApiExample(
    "As OpenRLHF sends it",
    {
        "query": ["<|im_start|>user\nSort names.<|im_end|>\n<|im_start|>assistant\nSurname first.<|im_end|>"],
        "prompts": ["<|im_start|>user\nSort names.<|im_end|>\n<|im_start|>assistant\n"],
        "labels": ["12"],
    },
    request_only=True,
)


class Score(ApiView):
    tag = "scoring"
    scope = Scope.SCORE
    throttle_classes = [ScoreLimit]
    query_class: type[ScoreQuery] = ProjectQuery

    @extend_schema(
        request=ScoreInput,
        parameters=[ProjectQuery],
        responses=ScoresOutput,
        examples=[EXAMPLE],
        operation_id="score",
    )
    def post(self, request: Request) -> Response:
        """Score texts by the reward model, as OpenRLHF's `--reward.remote_url` asks."""
        wanted = asked(self.query_class, request)
        return self.scores(request, self.project(wanted.pop("project", "")), wanted)

    def project(self, slug: str) -> Project:
        """The one that is named, or the only one that there is for this token or person."""
        mine = Project.objects.visible_to(self.person)
        if self.only_project:
            mine = mine.filter(pk=self.only_project)
        if not slug:
            only = list(mine.values_list("slug", flat=True)[:2])
            if len(only) != 1:
                raise ValidationError({"project": [_("Say which project, or use a token of one project.")]})
            slug = only[0]
        project, _membership = entry(self.person, slug, *STAFF)
        if self.only_project not in (None, project.pk):
            raise Http404(_("There is no such project, or you have no part in it."))
        return project

    def scores(self, request: Request, project: Project, wanted: dict[str, Any]) -> Response:
        texts = reading.read(project, **given(ScoreInput, request))
        checkpoint = _reward(project, wanted.get("checkpoint"))
        try:
            found = asking.ask(checkpoint, texts, live=wanted["live"])
        except asking.NobodyAnswers as error:
            raise Unavailable(_("Nobody is there to score just now: the worker “refit” does it.")) from error
        except asking.CannotScore as error:
            raise Unavailable(_("This reward model cannot score: %(why)s") % {"why": error}, 60) from error
        rewards = [m - wanted["pessimism"] * s for m, s in zip(found.mean, found.std, strict=True)]
        data = {
            "rewards": rewards,
            "scores": rewards,
            "mean": found.mean,
            "std": found.std,
            "pessimistic": rewards,
            "known": [one.prompt is not None for one in texts],
            "checkpoint": checkpoint.pk,
            "refit": found.refit,
            "extra_logs": {"reward_mean": found.mean, "reward_std": found.std},
        }
        return Response(ScoresOutput(data).data)


class ScoreProject(Score):
    query_class = ScoreQuery

    @extend_schema(
        request=ScoreInput,
        parameters=[ScoreQuery],
        responses=ScoresOutput,
        examples=[EXAMPLE],
        operation_id="score_in_project",
    )
    def post(self, request: Request, slug: str) -> Response:  # type: ignore[override]
        """The same, of a project that the address names."""
        return self.scores(request, self.project(slug), asked(self.query_class, request))


def _reward(project: Project, pk: int | None) -> Checkpoint:
    if pk is None:
        found = runs.latest_reward(project)
        if found is None:
            raise NoRewardModel(_("There is no reward model yet. Train one first."))
        return found
    named = project.checkpoints.rewards().filter(pk=pk).first()
    if named is None:
        raise Http404(_("There is no such reward model in this project."))
    return named

"""The forms that start runs: a few fields, the rest folded away. An empty field means the default."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from annotator.models import Project, User
from rlhf import runs
from rlhf.live import MOST
from rlhf.lm.configs import EvaluationConfig, RewardConfig, SamplingConfig
from rlhf.lm.inputs import NAMES
from rlhf.models import Run
from rlhf.policy_form import PolicyForm
from rlhf.stage_configs import fill_in
from rlhf.start_form import CheckpointField, RewardField, StartForm


class GenerationForm(StartForm):
    config = SamplingConfig
    advanced = ("best_of", "reward", "temperature", "top_p", "max_new_tokens")

    completions_per_task = forms.IntegerField(
        label=_("Instructions a task"), help_text=_("More of them make better comparisons, and take longer.")
    )
    tasks = forms.IntegerField(
        label=_("Number of tasks"), min_value=1, help_text=_("Empty: all of them. Fewer are a quick trial.")
    )
    best_of = forms.IntegerField(
        label=_("Best of"),
        help_text=_("Above 1: so many are written for each instruction that the reward model has kept."),
    )
    reward = RewardField()
    temperature = forms.FloatField(
        label=_("Temperature"), help_text=_("Higher is more varied, and above 1 often nonsense.")
    )
    top_p = forms.FloatField(label=_("Top-p"), help_text=_("The share of likely words that are drawn from."))
    max_new_tokens = forms.IntegerField(label=_("Length limit"), help_text=_("In tokens."))

    def __init__(self, *args: Any, project: Project, **kwargs: Any) -> None:
        super().__init__(*args, project=project, **kwargs)
        shown = project.completions_per_comparison
        self.fields["completions_per_task"].initial = max(SamplingConfig.completions_per_task, shown)
        RewardField.offer(self)

    def given(self) -> dict[str, Any]:
        return {"completions_per_task": self.fields["completions_per_task"].initial, **super().given()}

    def planned(self) -> dict[str, Any]:
        return {**super().planned(), "tasks": self.given().get("tasks")}

    def start(self, user: User) -> Run:
        given = self.given()
        asked = {name: given.pop(name, None) for name in ("tasks", "reward")}
        count = given.pop("completions_per_task")
        return runs.start_generation(
            project=self.project, user=user, completions_per_task=count, **asked, config=given
        )


class RewardForm(StartForm):
    config = RewardConfig
    advanced = ("inputs", "tried_examples", "execution_weight", "heads", "l2", "steps", "seed")

    length = forms.ChoiceField(
        label=_("Length"),
        choices=[
            ("as_is", _("what the inputs hold of it")),
            ("given", _("given as an input")),
            ("balanced", _("balanced: the longer one wins half of the time")),
            ("removed", _("taken out of the inputs")),
        ],
        help_text=_(
            "People often like the longer text better. Given, it tempts the generator to write longer. "
            "Balanced costs little accuracy; taken out costs what length alone would explain."
        ),
    )
    inputs = forms.CharField(
        label=_("Inputs"),
        help_text=format_lazy(
            _("Names with commas between, of: {names}. Empty: what the models at hand give."),
            names=", ".join(NAMES),
        ),
    )
    tried_examples = forms.IntegerField(
        label=_("Examples tried"),
        help_text=_(
            "On so many of its task's examples an instruction is tried. More tell more and take longer."
        ),
    )
    execution_weight = forms.FloatField(
        label=_("Weight of what comes of it"),
        help_text=_("To choose the best of n: 30, with 12 examples tried and an L2 penalty of 1000000."),
    )
    heads = forms.IntegerField(
        label=_("Heads"), help_text=_("Models in the ensemble; their disagreement is its own doubt.")
    )
    l2 = forms.FloatField(label=_("L2 penalty"), min_value=0, help_text=_("Higher learns less by heart."))
    steps = forms.IntegerField(label=_("Steps"))
    seed = forms.IntegerField(label=_("Seed"), min_value=0)

    def start(self, user: User) -> Run:
        return runs.start_reward(project=self.project, user=user, config=self.given())


class EvaluationForm(StartForm):
    config = EvaluationConfig
    advanced = ("completions_per_task", "seed")

    new = CheckpointField(label=_("New generator"), empty_label=_("The newest"))
    old = CheckpointField(label=_("Old generator"), empty_label=_("The one it was trained from"))
    ask_people = forms.IntegerField(
        label=_("Ask people"),
        min_value=0,
        max_value=10_000,
        initial=0,
        help_text=_(
            "On so many held-out tasks, both generators' instructions are mixed into the annotators' queue, "
            "where nobody can tell them from other comparisons. Models never learn from what is said of them."
        ),
    )
    completions_per_task = forms.IntegerField(
        label=_("Instructions a task"), help_text=_("More of them make the interval narrower.")
    )
    seed = forms.IntegerField(label=_("Seed"), min_value=0)

    def __init__(self, *args: Any, project: Project, **kwargs: Any) -> None:
        super().__init__(*args, project=project, **kwargs)
        policies = project.checkpoints.policies()
        self.fields["new"].queryset = policies.exclude(run=None)  # type: ignore[attr-defined]
        self.fields["old"].queryset = policies  # type: ignore[attr-defined]

    def start(self, user: User) -> Run:
        given = self.given()
        asked = {name: given.pop(name, None) for name in ("new", "old")}
        ask_people = given.pop("ask_people", 0)
        return runs.start_evaluation(
            project=self.project, user=user, **asked, ask_people=ask_people, config=given
        )


class ScoringForm(StartForm):
    def planned(self) -> dict[str, Any]:
        return fill_in(EvaluationConfig, {})

    def start(self, user: User) -> Run:
        return runs.start_scoring(project=self.project, user=user)


FORMS: dict[str, type[StartForm]] = {
    Run.Kind.GENERATION: GenerationForm,
    Run.Kind.REWARD: RewardForm,
    Run.Kind.POLICY: PolicyForm,
    Run.Kind.EVALUATION: EvaluationForm,
    Run.Kind.SCORING: ScoringForm,
}


class AskForm(forms.Form):
    """On how many held-out tasks annotators are asked which generator is better."""

    tasks = forms.IntegerField(min_value=1, max_value=10_000)


class RefitForm(forms.Form):
    """After how many new rankings the reward heads are refitted."""

    every = forms.IntegerField(min_value=0, max_value=MOST)

"""The forms that start runs: a few fields, the rest folded away. An empty field means the default."""

from __future__ import annotations

from dataclasses import fields
from typing import Any, ClassVar

from django import forms
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from annotator.models import Project, User
from rlhf import runs
from rlhf.live import MOST
from rlhf.lm.config_bounds import BOUNDS
from rlhf.lm.configs import (
    ALGORITHMS,
    DPO,
    DR_GRPO,
    GRPO,
    ILQL,
    POLICY_CONFIGS,
    PPO,
    RLOO,
    SFT,
    EvaluationConfig,
    PolicyConfig,
    RewardConfig,
    SamplingConfig,
)
from rlhf.lm.inputs import NAMES
from rlhf.models import Checkpoint, Run
from rlhf.stage_configs import fill_in

GOLD_EVERY = 4
"""What the form offers; a run that is started by a command or by its code measures gold only if told to."""


class StartForm(forms.Form):
    """Starts one run of a project: the fields of its config, and what it is asked besides."""

    config: ClassVar[type[Any] | None] = None
    advanced: ClassVar[tuple[str, ...]] = ()

    def __init__(self, *args: Any, project: Project, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.project = project
        defaults = {f.name: f.default for f in fields(self.config)} if self.config else {}
        for name, field in self.fields.items():
            field.required = False
            if field.initial is None:
                field.initial = defaults.get(name)
            if name in BOUNDS and isinstance(field, forms.IntegerField | forms.FloatField):
                low, high = BOUNDS[name]
                field.widget.attrs |= {"min": low, "max": high}
            if isinstance(field, forms.FloatField):
                field.widget.attrs["step"] = "any"

    @property
    def plain_fields(self) -> list[forms.BoundField]:
        return [self[name] for name in self.fields if name not in self.advanced]

    @property
    def advanced_fields(self) -> list[forms.BoundField]:
        return [self[name] for name in self.advanced if name in self.fields]

    @property
    def advanced_has_errors(self) -> bool:
        return any(name in self.errors for name in self.advanced)

    def given(self) -> dict[str, Any]:
        """What was filled in."""
        return {name: value for name, value in self.cleaned_data.items() if value not in (None, "")}

    def planned(self) -> dict[str, Any]:
        """The whole config that a run would have, for the estimate of its time. Raises InvalidConfig."""
        if self.config is None:
            return {}
        known = {f.name for f in fields(self.config)}
        return fill_in(self.config, {k: v for k, v in self.given().items() if k in known})

    def start(self, user: User) -> Run:
        """Make the run. Raises CannotStart."""
        raise NotImplementedError


class CheckpointField(forms.ModelChoiceField):  # type: ignore[type-arg]
    """A checkpoint of the project, the newest first."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(queryset=Checkpoint.objects.none(), **kwargs)

    def label_from_instance(self, checkpoint: Any) -> str:
        return f"{checkpoint} · {checkpoint.pk}" if checkpoint.run_id else str(checkpoint)


class RewardField(CheckpointField):
    """Which reward model a run goes by; there is a choice where the project has several."""

    def __init__(self) -> None:
        super().__init__(label=_("Reward model"), empty_label=_("The newest"))

    @staticmethod
    def offer(form: StartForm) -> None:
        """Let it offer the project's, or take it off the form where there is none but the newest."""
        rewards = form.project.checkpoints.rewards()
        form.fields["reward"].queryset = rewards  # type: ignore[attr-defined]
        if rewards.count() < 2:
            del form.fields["reward"]


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

    def planned(self) -> dict[str, Any]:
        given = {"completions_per_task": self.fields["completions_per_task"].initial, **self.given()}
        tasks = given.pop("tasks", None)
        given.pop("reward", None)
        return {**fill_in(SamplingConfig, given), "tasks": tasks}

    def start(self, user: User) -> Run:
        given = self.given()
        count = given.pop("completions_per_task", self.fields["completions_per_task"].initial)
        tasks, reward = given.pop("tasks", None), given.pop("reward", None)
        return runs.start_generation(
            project=self.project,
            user=user,
            completions_per_task=count,
            tasks=tasks,
            reward=reward,
            config=given,
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


class PolicyForm(StartForm):
    """One form for all algorithms: it has the fields and defaults of the config of the one that is chosen."""

    advanced: ClassVar[tuple[str, ...]] = (
        "reward",
        "learning_rate",
        "kl_coef",
        "kl_budget",
        "prompts_per_step",
        "completions_per_prompt",
        "beta",
        "groups_per_step",
        "rewards",
        "samples_per_task",
        "tau",
        "cql_weight",
        "gold_every",
        "seed",
    )

    algorithm = forms.ChoiceField(
        label=_("Algorithm"),
        initial=PolicyConfig.algorithm,
        choices=[
            (RLOO, _("RLOO, against the reward model")),
            (GRPO, _("GRPO, against the reward model")),
            (DR_GRPO, _("Dr. GRPO, against the reward model")),
            (PPO, _("PPO, against the reward model")),
            (DPO, _("DPO, on the rankings themselves")),
            (SFT, _("SFT, on the best instructions")),
            (ILQL, _("Q-learning (ILQL), against the reward model or on the rankings")),
        ],
        help_text=_(
            "Against the reward model, several instructions are written for each task, and those above the "
            "others' mean are made likelier; RLOO weighs whole instructions, GRPO their tokens, and PPO the "
            "tokens by what it had expected of them. DPO makes preferred instructions likelier than the "
            "others, SFT repeats the best; both are quick. Q-learning leaves the generator as it is and "
            "learns what each next word is worth; it then writes by that."
        ),
    )
    reward = RewardField()
    steps = forms.IntegerField(
        label=_("Steps"),
        help_text=_("The time it takes grows with them."),
    )
    epochs = forms.IntegerField(
        label=_("Epochs"),
        help_text=_("How often it goes through all tasks."),
    )
    learning_rate = forms.FloatField(
        label=_("Learning rate"), help_text=_("Higher learns faster, and games the reward sooner.")
    )
    kl_coef = forms.FloatField(
        label=_("KL weight"),
        min_value=0,
        help_text=_("How strongly leaving the reference is punished."),
    )
    kl_budget = forms.FloatField(
        label=_("KL budget"),
        help_text=_("Nats an instruction; the run stops before it goes further."),
    )
    prompts_per_step = forms.IntegerField(label=_("Tasks a step"))
    completions_per_prompt = forms.IntegerField(label=_("Instructions a task"))
    beta = forms.FloatField(
        label=_("Beta"),
        help_text=_(
            "Of DPO: the smaller, the further it goes. Of Q-learning: the most that values may weigh in "
            "writing; smaller ones are tried too."
        ),
    )
    groups_per_step = forms.IntegerField(label=_("Tasks an update"))
    rewards = forms.ChoiceField(
        label=_("Rewards"),
        choices=[("model", _("from the reward model")), ("rankings", _("from the rankings"))],
    )
    samples_per_task = forms.IntegerField(
        label=_("Instructions to learn from"),
        help_text=_("Written for each task, beside those that were ranked."),
    )
    tau = forms.FloatField(
        label=_("Expectile"),
        help_text=_("At 0.5 a beginning is worth what follows on average, near 1 the best."),
    )
    cql_weight = forms.FloatField(
        label=_("CQL weight"),
        min_value=0,
        help_text=_("Holds down the value of words that it has not seen."),
    )
    gold_every = forms.IntegerField(
        label=_("Measure gold every"),
        min_value=0,
        help_text=_(
            "Steps, on held-out tasks: it shows whether the reward is being gamed. Each measurement costs "
            "about as much as evaluating 12 tasks with two instructions each. 0: never."
        ),
    )
    seed = forms.IntegerField(label=_("Seed"), min_value=0)

    def __init__(self, *args: Any, project: Project, **kwargs: Any) -> None:
        super().__init__(*args, project=project, **kwargs)
        asked = (self.data if self.is_bound else self.initial).get("algorithm")
        self.chosen = asked if asked in POLICY_CONFIGS else PolicyConfig.algorithm
        self.initial["algorithm"] = self.chosen
        defaults = {f.name: f.default for f in fields(POLICY_CONFIGS[self.chosen])}
        if "gold_every" in defaults:
            defaults["gold_every"] = GOLD_EVERY
        if self.chosen in (*ALGORITHMS, ILQL):
            RewardField.offer(self)
            defaults["reward"] = None
        for name in [name for name in self.fields if name not in defaults]:
            del self.fields[name]
        for name, field in self.fields.items():
            if name != "algorithm":
                field.initial = defaults[name]
        if self.is_online:
            self.fields["epochs"].label = _("Updates a step")
            self.fields["epochs"].help_text = _(
                "How often it learns from the same instructions; after the first time, clipped."
            )

    @property
    def is_online(self) -> bool:
        """Whether it learns from what it writes: then epochs are updates, and seldom changed."""
        return "completions_per_prompt" in self.fields

    @property
    def plain_fields(self) -> list[forms.BoundField]:
        hidden = "epochs" if self.is_online else ""
        return [field for field in super().plain_fields if field.name != hidden]

    @property
    def advanced_fields(self) -> list[forms.BoundField]:
        return [*super().advanced_fields, *([self["epochs"]] if self.is_online else [])]

    def given(self) -> dict[str, Any]:
        offered = {"gold_every": GOLD_EVERY} if "gold_every" in self.fields else {}
        return {**offered, **super().given()}

    def settings(self) -> dict[str, Any]:
        """What was filled in of the algorithm's config."""
        return {name: value for name, value in self.given().items() if name not in ("algorithm", "reward")}

    def planned(self) -> dict[str, Any]:
        return fill_in(POLICY_CONFIGS[self.chosen], {**self.settings(), "algorithm": self.chosen})

    def start(self, user: User) -> Run:
        return runs.start_policy(
            project=self.project,
            user=user,
            algorithm=self.chosen,
            config=self.settings(),
            reward=self.given().get("reward"),
        )


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

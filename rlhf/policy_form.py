"""The form that starts the fine-tuning of a generator, for every algorithm."""

from __future__ import annotations

from dataclasses import fields
from typing import Any, ClassVar

from django import forms
from django.utils.translation import gettext_lazy as _

from annotator.models import Project, User
from rlhf import runs
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
    PolicyConfig,
)
from rlhf.models import Run
from rlhf.stage_configs import fill_in
from rlhf.start_form import RewardField, StartForm

GOLD_EVERY = 4
"""What the form offers; a run that is started by a command or by its code measures gold only if told to."""


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

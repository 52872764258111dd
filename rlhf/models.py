"""Runs and what they leave behind: snapshots, checkpoints, generations, scores, evaluations."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

STOPPED = "stopped: "
"""How the note of a run begins that a guard has stopped."""
ALGORITHM_NAMES = {"dr_grpo": "Dr. GRPO", "best_of_n": "Best-of-n", "q_learning": "Q-learning"}


class Snapshot(models.Model):
    """The rankings of a project, frozen into a file with a hash. Training reads nothing else."""

    project = models.ForeignKey("annotator.Project", models.CASCADE, related_name="snapshots")
    file = models.CharField(max_length=300, help_text="Relative to the folder var/.")
    sha256 = models.CharField(max_length=64)
    last_ranking = models.PositiveBigIntegerField(default=0, help_text="The newest ranking that is in it.")
    counts = models.JSONField(default=dict)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(fields=["project", "sha256"], name="snapshot_hash_unique_per_project"),
        ]

    def __str__(self) -> str:
        return f"snapshot {self.sha256[:8]}"


class CheckpointQuerySet(models.QuerySet["Checkpoint"]):
    def policies(self) -> CheckpointQuerySet:
        return self.filter(kind=Checkpoint.Kind.POLICY)

    def rewards(self) -> CheckpointQuerySet:
        return self.filter(kind=Checkpoint.Kind.REWARD)


class Checkpoint(models.Model):
    """A model: the base (no run, no folder), a policy (adapters) or a reward model (heads)."""

    class Kind(models.TextChoices):
        POLICY = "policy", _("Policy")
        REWARD = "reward", _("Reward model")

    project = models.ForeignKey("annotator.Project", models.CASCADE, related_name="checkpoints")
    kind = models.CharField(max_length=16, choices=Kind)
    name = models.CharField(max_length=80)
    base_model = models.CharField(max_length=500)
    folder = models.CharField(
        max_length=300, blank=True, help_text="Relative to the folder var/. Empty: the base model itself."
    )
    parent = models.ForeignKey("self", models.PROTECT, null=True, blank=True, related_name="children")
    snapshot = models.ForeignKey(Snapshot, models.PROTECT, null=True, blank=True, related_name="checkpoints")
    run = models.OneToOneField("Run", models.PROTECT, null=True, blank=True, related_name="checkpoint")
    iteration = models.PositiveIntegerField(default=1)
    config = models.JSONField(default=dict)
    seed = models.BigIntegerField(default=0)
    code_version = models.CharField(max_length=64, blank=True)
    metrics = models.JSONField(default=dict)
    promoted_at = models.DateTimeField(null=True, blank=True)
    promoted_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)

    objects = CheckpointQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["project", "base_model"],
                condition=models.Q(kind="policy", run=None),
                name="checkpoint_one_base_per_project",
            ),
        ]

    def __str__(self) -> str:
        return self.name


class RunQuerySet(models.QuerySet["Run"]):
    def active(self) -> RunQuerySet:
        return self.filter(state__in=[Run.State.QUEUED, Run.State.RUNNING])


class Run(models.Model):
    """One piece of model work: queued by a person or a command, executed by the model worker."""

    class Kind(models.TextChoices):
        GENERATION = "generation", _("Generation")
        REWARD = "reward", _("Reward model")
        POLICY = "policy", _("Policy")
        EVALUATION = "evaluation", _("Evaluation")
        SCORING = "scoring", _("Gold scoring")

    class State(models.TextChoices):
        QUEUED = "queued", _("Waiting")
        RUNNING = "running", _("Running")
        DONE = "done", _("Done")
        FAILED = "failed", _("Failed")
        CANCELLED = "cancelled", _("Cancelled")

    project = models.ForeignKey("annotator.Project", models.CASCADE, related_name="runs")
    kind = models.CharField(max_length=16, choices=Kind)
    state = models.CharField(max_length=16, choices=State, default=State.QUEUED)
    config = models.JSONField(default=dict, help_text="The stage's config dataclass, and what it was asked.")
    iteration = models.PositiveIntegerField(default=1)
    policy = models.ForeignKey(Checkpoint, models.PROTECT, null=True, blank=True, related_name="policy_runs")
    old_policy = models.ForeignKey(
        Checkpoint, models.PROTECT, null=True, blank=True, related_name="old_policy_runs"
    )
    reward = models.ForeignKey(Checkpoint, models.PROTECT, null=True, blank=True, related_name="reward_runs")
    snapshot = models.ForeignKey(Snapshot, models.PROTECT, null=True, blank=True, related_name="runs")
    step = models.PositiveIntegerField(default=0)
    total = models.PositiveIntegerField(default=0)
    message = models.CharField(max_length=300, blank=True, help_text="What it is doing now.")
    note = models.CharField(max_length=300, blank=True, help_text="Why it stopped early, what it skipped.")
    error = models.TextField(blank=True)
    attempts = models.PositiveIntegerField(default=0, help_text="How often a worker has started it.")
    worker = models.CharField(max_length=200, blank=True)
    heartbeat_at = models.DateTimeField(null=True, blank=True)
    cancel_requested = models.BooleanField(default=False)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    sent_at = models.DateTimeField(null=True, blank=True, help_text="When it was last put on the broker.")

    objects = RunQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index(fields=["project", "-id"], name="run_of_project")]
        constraints = [
            # One run of a kind at a time in a project: a second click changes nothing.
            models.UniqueConstraint(
                fields=["project", "kind"],
                condition=models.Q(state__in=["queued", "running"]),
                name="run_one_active_per_kind",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.pk}"

    def get_absolute_url(self) -> str:
        return reverse("run", args=[self.project.slug, self.pk])

    @property
    def is_active(self) -> bool:
        return self.state in (self.State.QUEUED, self.State.RUNNING)

    @property
    def folder(self) -> str:
        """Where its checkpoints and results lie, relative to var/."""
        return f"runs/{self.pk}"

    @property
    def algorithm(self) -> str:
        """As people write it; empty where a kind has but one."""
        name = str(self.config.get("algorithm", ""))
        return ALGORITHM_NAMES.get(name, name.upper().replace("_", " "))

    @property
    def guard(self) -> str:
        """Why a guard stopped it, in the worker's words; empty where none did."""
        return self.note.removeprefix(STOPPED) if self.note.startswith(STOPPED) else ""

    @property
    def stopped_early(self) -> bool:
        return self.state == self.State.DONE and bool(self.guard)


class RunRecord(models.Model):
    """The numbers of one step of a run."""

    run = models.ForeignKey(Run, models.CASCADE, related_name="records")
    step = models.PositiveIntegerField()
    values = models.JSONField(default=dict)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["step"]
        constraints = [models.UniqueConstraint(fields=["run", "step"], name="record_one_per_step")]

    def __str__(self) -> str:
        return f"{self.run}, step {self.step}"


class RunSample(models.Model):
    """A text the policy wrote at one step, beside the reference's for the same prompt."""

    run = models.ForeignKey(Run, models.CASCADE, related_name="samples")
    step = models.PositiveIntegerField()
    prompt = models.ForeignKey("annotator.Prompt", models.CASCADE, related_name="+")
    text = models.TextField()
    reference_text = models.TextField(blank=True)
    values = models.JSONField(default=dict)

    class Meta:
        ordering = ["-step", "prompt_id"]
        constraints = [
            models.UniqueConstraint(fields=["run", "step", "prompt"], name="sample_one_per_step_and_prompt"),
        ]

    def __str__(self) -> str:
        return self.text[:80]


class Generation(models.Model):
    """How one completion was written: by which checkpoint, in which run, sampled how."""

    completion = models.OneToOneField("annotator.Completion", models.CASCADE, related_name="generation")
    run = models.ForeignKey(Run, models.PROTECT, related_name="generations")
    checkpoint = models.ForeignKey(Checkpoint, models.PROTECT, related_name="generations")
    sampling = models.JSONField(default=dict)
    logprob = models.FloatField(help_text="Sum over the completion's tokens, in nats.")
    tokens = models.PositiveIntegerField()
    finished = models.BooleanField(help_text="It ended by itself, not at the token limit.")

    class Meta:
        indexes = [
            # For the admin: those that were cut, which are few.
            models.Index(fields=["-id"], name="generation_cut", condition=models.Q(finished=False)),
        ]

    def __str__(self) -> str:
        return f"{self.completion_id} by {self.checkpoint}"


class Score(models.Model):
    """One number for a completion: the gold contrast, or a reward model's mean and spread."""

    completion = models.ForeignKey("annotator.Completion", models.CASCADE, related_name="scores")
    checkpoint = models.ForeignKey(
        Checkpoint, models.CASCADE, null=True, blank=True, related_name="scores", help_text="Empty: gold."
    )
    mean = models.FloatField()
    std = models.FloatField(default=0)
    details = models.JSONField(default=dict)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["completion", "checkpoint"], name="score_one_per_checkpoint"),
            models.UniqueConstraint(
                fields=["completion"], condition=models.Q(checkpoint=None), name="score_one_gold"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.mean:.3f}"


class LiveHeads(models.Model):
    """A project's newest reward heads, refitted while people rank; and whose turn that is (live.py)."""

    project = models.OneToOneField("annotator.Project", models.CASCADE, related_name="live_heads")
    every = models.PositiveIntegerField(help_text="Refitted after so many new rankings; 0: never.")
    fresh = models.PositiveIntegerField(default=0, help_text="Rankings that were given since the last refit.")
    counted = models.PositiveBigIntegerField(default=0, help_text="The newest ranking that was counted.")
    checkpoint = models.ForeignKey(
        Checkpoint, models.CASCADE, null=True, blank=True, related_name="+", help_text="Whose heads they are."
    )
    rankings = models.PositiveIntegerField(default=0, help_text="How many they were fitted to.")
    refits = models.PositiveIntegerField(default=0)
    refitted_at = models.DateTimeField(null=True, blank=True)
    seconds = models.FloatField(null=True, blank=True, help_text="From the claim to the stored scores.")
    error = models.CharField(max_length=300, blank=True, help_text="Why the last refit came to nothing.")
    sent_at = models.DateTimeField(null=True, blank=True, help_text="When it was last put on the broker.")
    worker = models.CharField(max_length=200, blank=True, help_text="Who refits them now.")
    heartbeat_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name_plural = "live heads"

    def __str__(self) -> str:
        return f"live heads of {self.project}"

    @property
    def folder(self) -> str:
        """Where they lie, relative to var/: beside the checkpoint whose heads they are."""
        return live_folder(self.checkpoint) if self.checkpoint else ""


def live_folder(checkpoint: Checkpoint) -> str:
    """Where the refitted heads of a reward checkpoint lie, relative to var/."""
    return f"{checkpoint.folder}-live"


class LiveScore(models.Model):
    """What the refitted heads say of a completion: the newest only, made by this refit of `heads`."""

    heads = models.ForeignKey(LiveHeads, models.CASCADE, related_name="scores")
    completion = models.OneToOneField("annotator.Completion", models.CASCADE, related_name="live_score")
    checkpoint = models.ForeignKey(Checkpoint, models.CASCADE, related_name="+")
    refit = models.PositiveIntegerField(help_text="The number of the refit, counted by the heads.")
    mean = models.FloatField()
    std = models.FloatField()

    def __str__(self) -> str:
        return f"{self.mean:.3f}"


class Evaluation(models.Model):
    """Old policy against new on held-out prompts."""

    run = models.OneToOneField(Run, models.CASCADE, related_name="evaluation")
    old = models.ForeignKey(Checkpoint, models.PROTECT, related_name="evaluations_as_old")
    new = models.ForeignKey(Checkpoint, models.PROTECT, related_name="evaluations_as_new")
    result = models.JSONField(default=dict)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.new} against {self.old}"


class BlindComparison(models.Model):
    """A comparison in the annotators' queue where the texts of an evaluation's two policies meet.

    Only here is it said which are whose: nothing that annotators are given depends on it.
    """

    evaluation = models.ForeignKey(Evaluation, models.CASCADE, related_name="blind")
    comparison = models.ForeignKey("annotator.Comparison", models.CASCADE, related_name="+")
    old = models.JSONField(help_text="Ids of the completions that the old policy wrote.")
    new = models.JSONField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["evaluation", "comparison"], name="blind_once_per_evaluation"),
        ]

    def __str__(self) -> str:
        return f"{self.evaluation}, {self.comparison}"


class Promotion(models.Model):
    """That a policy began to write: who decided so, in place of which one, and by what figures."""

    project = models.ForeignKey("annotator.Project", models.CASCADE, related_name="promotions")
    checkpoint = models.ForeignKey(Checkpoint, models.PROTECT, related_name="promotions")
    former = models.ForeignKey(Checkpoint, models.PROTECT, related_name="+", help_text="Which wrote before.")
    evaluation = models.ForeignKey(
        Evaluation, models.SET_NULL, null=True, blank=True, related_name="promotions"
    )
    figures = models.JSONField(default=dict, help_text="The evaluation's, as they were seen then.")
    promoted_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+"
    )
    promoted_at = models.DateTimeField()

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.checkpoint} in place of {self.former}"

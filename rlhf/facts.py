"""What a project has in the present iteration of its loop, read in a fixed number of queries."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import Count, F, Max, Q, QuerySet, Sum

from annotator.models import Comparison, Completion, Project, PromptImport, Ranking
from rlhf import runs
from rlhf.models import Checkpoint, Evaluation, Run, Snapshot

ENOUGH_RANKINGS = 150
"""So many new rankings are worth a reward model, however many more the queue could take."""


@dataclass(frozen=True)
class Facts:
    """Counts are of the present iteration, unless the name says otherwise."""

    iteration: int
    prompts: int
    held_out: int
    last_import: PromptImport | None
    completions: int
    comparisons: int
    wanted: int
    """Judgments that the iteration's comparisons ask for."""
    given: int
    all_rankings: int
    snapshot: Snapshot | None
    unfrozen: int
    """Rankings newer than the last snapshot."""
    runs: dict[str, Run]
    """Of each kind the active run, else the newest."""
    promoted: Checkpoint
    reward: Checkpoint | None
    policy: Checkpoint | None
    evaluation: Evaluation | None
    """Of the iteration's policy."""

    @property
    def enough(self) -> int:
        """Rankings after which the reward model's turn comes."""
        return min(self.wanted, ENOUGH_RANKINGS)

    @property
    def missing(self) -> int:
        return max(0, self.enough - self.given)

    def active(self, kind: Run.Kind) -> Run | None:
        run = self.runs.get(kind)
        return run if run is not None and run.is_active else None

    def failed(self, kind: Run.Kind) -> Run | None:
        """Of this iteration: what failed in an earlier one is past."""
        run = self.runs.get(kind)
        if run is None or run.state != Run.State.FAILED or run.iteration != self.iteration:
            return None
        return run


def gather(project: Project) -> Facts:
    """Read the facts. The cost does not depend on how many runs there have been."""
    promoted = runs.promoted_policy(project)
    iteration = runs.iteration_after(promoted)
    snapshot = project.snapshots.first()
    rankings = Ranking.objects.votes().filter(comparison__project=project)
    policy = _made_in(project, iteration, Checkpoint.Kind.POLICY)
    return Facts(
        iteration=iteration,
        last_import=project.imports.defer("error").first(),
        completions=Completion.objects.filter(prompt__project=project, iteration=iteration).count(),
        snapshot=snapshot,
        runs=_runs(project),
        promoted=promoted,
        policy=policy,
        reward=_made_in(project, iteration, Checkpoint.Kind.REWARD),
        evaluation=Evaluation.objects.filter(new=policy).select_related("run").first() if policy else None,
        **project.prompts.aggregate(prompts=Count("pk"), held_out=Count("pk", filter=Q(is_held_out=True))),
        **_asked(project, iteration),
        **rankings.aggregate(
            all_rankings=Count("pk"),
            given=Count("pk", filter=Q(comparison__iteration=iteration)),
            unfrozen=Count("pk", filter=Q(pk__gt=snapshot.last_ranking if snapshot else 0)),
        ),
    )


def _asked(project: Project, iteration: int) -> dict[str, int]:
    """A comparison that was closed wants no more than it has got. From evaluations nothing is learned."""
    queued = project.comparisons.filter(iteration=iteration, is_queued=True)
    asked = queued.exclude(rule=Comparison.Rule.EVALUATION).aggregate(
        comparisons=Count("pk"),
        still=Sum("judgments_wanted", filter=Q(is_closed=False)),
        closed=Sum(F("judgments_taken"), filter=Q(is_closed=True)),
    )
    return {
        "comparisons": asked["comparisons"],
        "wanted": (asked["still"] or 0) + (asked["closed"] or 0),
    }


def _runs(project: Project) -> dict[str, Run]:
    newest = project.runs.order_by().values("kind").annotate(newest=Max("pk")).values("newest")
    found: QuerySet[Run] = project.runs.filter(
        Q(pk__in=newest) | Q(state__in=[Run.State.QUEUED, Run.State.RUNNING])
    ).select_related("project")
    by_kind: dict[str, Run] = {}
    for run in found.order_by("pk"):
        known = by_kind.get(run.kind)
        if known is None or not known.is_active:
            by_kind[run.kind] = run
    return by_kind


def _made_in(project: Project, iteration: int, kind: Checkpoint.Kind) -> Checkpoint | None:
    """The newest checkpoint of a kind that a run of the iteration made."""
    made = project.checkpoints.filter(kind=kind, iteration=iteration).exclude(run=None)
    return made.order_by("-pk").first()

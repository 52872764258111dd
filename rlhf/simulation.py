"""Simulated annotators: each has a hidden skill, and prefers by the gold metric as often as that allows.

For demonstration and tests. Their users and rankings are marked as simulated, and they come in by the
same door as people: the queue hands out, `submit` stores.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from django.db import transaction

from annotator.models import Assignment, Comparison, Membership, Project, Role, User, Verdict
from annotator.ranking import queue
from annotator.ranking.judgments import Judgment
from annotator.ranking.submit import submit
from rlhf.models import Score

SPREAD = 0.5
"""Standard deviation of the annotators' skill around the mean, in log-odds of an error."""
MUCH, BETTER = 0.4, 0.15
"""Differences in gold from which a preference is "much better" and "better" (samples differ by 0.14)."""


@dataclass(frozen=True)
class Annotator:
    """A simulated annotator; `error` is how often a pair comes out the wrong way round."""

    user: User
    error: float
    seed: int


def annotators_for(project: Project, *, count: int, noise: float, seed: int) -> list[Annotator]:
    """The simulated annotators sim-1 … sim-`count` of the project; made where they are missing.

    Their errors lie around `noise`: some are careful, some careless. Raises ValueError on bad numbers.
    """
    if not 1 <= count <= 1000:
        raise ValueError(f"the number of annotators must lie between 1 and 1000, not {count}")
    if not 0 <= noise < 0.5:
        raise ValueError(f"noise must be at least 0 and below 0.5 (a coin), not {noise}")
    return [_annotator(project, number, noise, seed) for number in range(1, count + 1)]


def simulate(project: Project, annotators: Sequence[Annotator], *, rankings: int, seed: int) -> Iterator[int]:
    """Let the annotators work through the queue in random turns; yields how many votes there are.

    Gold questions, repeats and evaluations are judged in passing and are no votes. Ends early when the queue
    has nothing more for any of them. A comparison whose completions have no gold score is skipped.
    """
    turns = random.Random(f"turns:{seed}")
    chance = random.Random(f"dealing:{seed}")
    working = list(annotators)
    done = 0
    while working and done < rankings:
        annotator = turns.choice(working)
        assignment = queue.claim_next(annotator=annotator.user, project=project, chance=chance)
        if assignment is None:
            working.remove(annotator)
            continue
        gold = gold_of(assignment)
        if len(gold) < len(assignment.order):
            queue_skip(assignment)
            continue
        submit(
            assignment=assignment,
            judgment=judge(annotator, assignment, gold),
            idempotency_key=f"sim-{annotator.seed}-{assignment.pk}",
        )
        comparison = assignment.comparison
        if comparison.is_queued and comparison.rule != Comparison.Rule.EVALUATION:
            done += 1
            yield done


def judge(annotator: Annotator, assignment: Assignment, gold: Mapping[int, float]) -> Judgment:
    """What the annotator says of this comparison: the same whenever they are asked.

    The order is drawn from Mallows' model around the order by gold (Mallows 1957), by repeated
    insertion (Doignon et al. 2004): for a pair, it is wrong with probability `error`.
    """
    chance = random.Random(f"{annotator.seed}:{annotator.user.username}:{assignment.comparison_id}")
    ordered = mallows(sorted(gold, key=lambda c: (-gold[c], c)), annotator.error, chance)
    ranks = {completion: place for place, completion in enumerate(ordered, start=1)}
    if len(set(gold.values())) == 1:  # nothing to choose between
        ranks = dict.fromkeys(ranks, 1)
    return Judgment(
        verdict=Verdict.RANKED, ranks=ranks, strength=_strength(ranks, gold, assignment.comparison.project)
    )


def mallows(ordered: Sequence[int], error: float, chance: random.Random) -> list[int]:
    """A noisy copy of an order: neighbours swap with probability `error`, far ones ever more rarely."""
    dispersion = error / (1 - error)
    noisy: list[int] = []
    for item in ordered:
        # Inserted d places too early with a probability proportional to dispersion ** d.
        weights = [dispersion**d for d in range(len(noisy) + 1)]
        early = chance.choices(range(len(weights)), weights)[0]
        noisy.insert(len(noisy) - early, item)
    return noisy


def gold_of(assignment: Assignment) -> dict[int, float]:
    """The gold scores of the completions shown, by completion."""
    scores = Score.objects.filter(completion__in=assignment.order, checkpoint=None)
    return dict(scores.values_list("completion_id", "mean"))


def queue_skip(assignment: Assignment) -> None:
    """Leave a comparison that cannot be judged by gold to people."""
    queue.end_lease(assignment, Assignment.State.SKIPPED, skip_reason="no gold score")


def _strength(ranks: Mapping[int, int], gold: Mapping[int, float], project: Project) -> int | None:
    if not project.strength_scale or len(ranks) != 2 or len(set(ranks.values())) == 1:
        return None
    one, other = gold.values()
    difference = abs(one - other)
    return 3 if difference >= MUCH else 2 if difference >= BETTER else 1


@transaction.atomic
def _annotator(project: Project, number: int, noise: float, seed: int) -> Annotator:
    name = {"first_name": "Simulated", "last_name": str(number)}
    user, created = User.objects.get_or_create(
        username=f"sim-{number}", defaults={"is_simulated": True, **name}
    )
    if created:
        user.set_unusable_password()
        user.save(update_fields=["password"])
    elif not user.is_simulated:
        raise ValueError(f"the user {user.username} is a person, not a simulated annotator")
    Membership.objects.get_or_create(project=project, user=user, defaults={"role": Role.ANNOTATOR})
    return Annotator(user=user, error=_error(f"{seed}:{user.username}", noise), seed=seed)


def _error(key: str, noise: float) -> float:
    if noise == 0:
        return 0.0
    odds = math.log(noise / (1 - noise)) + random.Random(f"skill:{key}").gauss(0, SPREAD)
    return min(0.49, 1 / (1 + math.exp(-odds)))

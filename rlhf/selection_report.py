"""What each way of choosing comparisons has brought: judgments, ties, agreement, surprise, time.

A worker computes it with every reward model and keeps it with that: pages only read it. The surprise of
a judgment is its log-loss under the newest reward model that had not been trained on it.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import combinations
from typing import Any

import numpy as np

from annotator.models import Comparison, Project, Ranking, Verdict
from annotator.quality.agreement import credits
from annotator.quality.people import repeats_of
from rlhf.lm.metrics import bootstrap_mean, interval_of
from rlhf.models import Checkpoint, Score

RESAMPLES = 1000
DRAWS = 10_000_000
"""Resamples times tasks: with very many tasks fewer resamples are as good."""
FEWEST_TASKS = 3
"""An interval over fewer tasks says nothing."""


@dataclass
class Column:
    """Values of a rule's judgments, each with its task."""

    values: list[float] = field(default_factory=list)
    tasks: list[int] = field(default_factory=list)

    def add(self, value: float, task: int) -> None:
        self.values.append(value)
        self.tasks.append(task)

    def mean(self) -> dict[str, float | None] | None:
        """With an interval that resamples tasks; without one where there are too few."""
        if not self.values:
            return None
        tasks = len(set(self.tasks))
        if tasks < FEWEST_TASKS:
            return {"value": sum(self.values) / len(self.values), "low": None, "high": None}
        return asdict(bootstrap_mean(self.values, self.tasks, resamples=_resamples(tasks)))


@dataclass
class _Rule:
    """What is counted of one rule."""

    judged: set[int] = field(default_factory=set)
    judgments: int = 0
    ties: Column = field(default_factory=Column)
    cannot_judge: Column = field(default_factory=Column)
    agreement: Column = field(default_factory=Column)
    right: Column = field(default_factory=Column)
    surprise: Column = field(default_factory=Column)
    seconds: list[float] = field(default_factory=list)


def brought(project: Project) -> list[dict[str, Any]]:
    """A row for every rule by which comparisons were chosen, as plain JSON."""
    made: dict[str, int] = {
        rule: project.comparisons.filter(rule=rule).count() for rule in Comparison.Rule.values
    }
    rules: defaultdict[str, _Rule] = defaultdict(_Rule)
    models = _Models(project)
    before: list[dict[str, int]] = []
    last = 0
    for row in _judgments(project):
        rule, task = rules[row["comparison__rule"]], row["comparison__prompt"]
        rule.judgments += 1
        rule.judged.add(row["comparison"])
        rule.cannot_judge.add(float(row["verdict"] == Verdict.CANNOT_JUDGE), task)
        if row["seconds"] is not None:
            rule.seconds.append(row["seconds"])
        if row["comparison"] != last:
            before, last = [], row["comparison"]
        ranks = row["ranks"]
        if row["verdict"] != Verdict.RANKED or len(ranks) < 2:
            continue
        rule.ties.add(float(len(set(ranks.values())) < len(ranks)), task)
        for other in before:
            for credit in credits(ranks, other):
                rule.agreement.add(credit, task)
        before.append(ranks)
        foreseen = models.foresaw(row["pk"], ranks)
        if foreseen is not None:
            rule.right.add(foreseen[0], task)
            rule.surprise.add(foreseen[1], task)
    for annotator, now, earlier in repeats_of(project):  # people with themselves
        for credit in credits(now, earlier):
            rules[Comparison.Rule.REPEAT].agreement.add(credit, annotator)
    random = rules[Comparison.Rule.RANDOM].surprise
    return [
        {
            "rule": rule,
            "comparisons": count,
            "judged": len(rules[rule].judged),
            "judgments": rules[rule].judgments,
            "ties": rules[rule].ties.mean(),
            "cannot_judge": rules[rule].cannot_judge.mean(),
            "agreement": rules[rule].agreement.mean(),
            "seconds": median(rules[rule].seconds),
            "foreseen": len(rules[rule].surprise.values),
            "right": rules[rule].right.mean(),
            "surprise": rules[rule].surprise.mean(),
            "surprise_over_random": None
            if rule == Comparison.Rule.RANDOM
            else difference(random, rules[rule].surprise),
        }
        for rule, count in made.items()
        if count
    ]


def foresight(
    scores: Mapping[str, float], ranks: Mapping[str, int], temperature: float
) -> tuple[float, float]:
    """(share of the pairs ordered as the scores have it, log-loss in nats), means over a ranking's pairs.

    A tie is one half: half right, and half of each side's loss.
    """
    right, loss = [], []
    for first, second in combinations(sorted(ranks), 2):
        margin = (scores[first] - scores[second]) / temperature
        won = 0.5 if ranks[first] == ranks[second] else float(ranks[first] < ranks[second])
        sign = (margin > 0) - (margin < 0)
        right.append((1 + sign * np.sign(won - 0.5)) / 2)
        loss.append(won * np.logaddexp(0, -margin) + (1 - won) * np.logaddexp(0, margin))
    return float(np.mean(right)), float(np.mean(loss))


def median(values: Sequence[float]) -> dict[str, float | None] | None:
    """The median with the interval between two of the ordered values, as the binomial law has it."""
    if not values:
        return None
    ordered, n = sorted(values), len(values)
    reach = 1.96 * math.sqrt(n) / 2
    low, high = math.floor(n / 2 - reach), math.ceil(n / 2 + reach)
    is_known = low >= 0 and high < n
    return {
        "value": float(np.median(ordered)),
        "low": float(ordered[low]) if is_known else None,
        "high": float(ordered[high]) if is_known else None,
    }


def difference(one: Column, other: Column) -> dict[str, float] | None:
    """Mean of `other` less mean of `one`, both resampled by the same tasks; None where a side has too few."""
    tasks = sorted({*one.tasks, *other.tasks})
    if min(len(set(one.tasks)), len(set(other.tasks))) < FEWEST_TASKS:
        return None
    place = {task: number for number, task in enumerate(tasks)}
    sides = []
    for column in (one, other):
        index = np.array([place[task] for task in column.tasks])
        sides.append(
            (np.bincount(index, column.values, len(tasks)), np.bincount(index, minlength=len(tasks)))
        )
    drawn = np.random.default_rng(0).multinomial(
        len(tasks), np.full(len(tasks), 1 / len(tasks)), size=_resamples(len(tasks))
    )
    means = [(drawn @ sums) / np.maximum(drawn @ counts, 1) for sums, counts in sides]
    full = [(drawn @ counts) > 0 for _, counts in sides]
    known = (means[1] - means[0])[full[0] & full[1]]
    return asdict(interval_of(float(np.mean(other.values) - np.mean(one.values)), known))


class _Models:
    """The project's reward models, and what each says of the texts judged until the next was trained."""

    def __init__(self, project: Project) -> None:
        found = project.checkpoints.rewards().exclude(snapshot=None).select_related("snapshot")
        self.models: list[tuple[Checkpoint, int]] = [
            (row, row.snapshot.last_ranking)
            for row in found.order_by("snapshot__last_ranking", "pk")
            if row.snapshot is not None
        ]
        self.ends = [last for _, last in self.models]
        self.scores: list[dict[str, float] | None] = [None] * len(self.models)

    def foresaw(self, ranking: int, ranks: Mapping[str, int]) -> tuple[float, float] | None:
        """`foresight` of the newest model whose snapshot ends before this ranking; None if there is none."""
        number = bisect_left(self.ends, ranking) - 1
        if number < 0:
            return None
        scores = self.scores[number]
        if scores is None:
            scores = self.scores[number] = self._scores(number)
        if any(key not in scores for key in ranks):
            return None
        return foresight(scores, ranks, float(self.models[number][0].metrics.get("temperature", 1.0)))

    def _scores(self, number: int) -> dict[str, float]:
        checkpoint, last = self.models[number]
        judged = {"completion__slots__comparison__rankings__pk__gt": last}
        if number + 1 < len(self.models):
            judged["completion__slots__comparison__rankings__pk__lte"] = self.ends[number + 1]
        rows = Score.objects.filter(checkpoint=checkpoint, **judged)
        return {str(pk): mean for pk, mean in rows.values_list("completion", "mean").distinct()}


def _judgments(project: Project) -> Iterator[dict[str, Any]]:
    """Every live judgment but managers' decisions, those of a comparison behind each other."""
    rows = Ranking.objects.live().filter(comparison__project=project, is_adjudication=False)
    fields = ("pk", "comparison", "comparison__rule", "comparison__prompt", "verdict", "ranks", "seconds")
    yield from rows.order_by("comparison", "pk").values(*fields).iterator(chunk_size=2000)


def _resamples(tasks: int) -> int:
    return max(100, min(RESAMPLES, DRAWS // tasks))

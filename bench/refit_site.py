"""The site that refit.py measures: a project with many rankings, a reward model, features in the cache."""

from __future__ import annotations

import itertools
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import psutil

from annotator.site.throwaway import ROOT

PEOPLE, TEXTS_OF_TASK, RANKED_TASKS = 20, 4, 250
SETTLED = 1e-5  # how little scores move in a round when the fit to compare with ends
SIGNAL = 2.0  # spread of what people see in a text, in units of their doubt


@dataclass(frozen=True)
class Filled:
    rankings: int
    judged: int
    texts: int
    waiting: int
    width: int
    heads: int
    worth: dict[int, float]
    """What each completion truly is, which people see with errors."""


def fill(*, rankings: int, waiting: int, k: int) -> Filled:
    """A project with so many rankings and open comparisons; a tenth of the tasks more are held out."""
    from annotator.models import Comparison, Completion, Membership, Project, Prompt, Role, User
    from rlhf.snapshots import task_of

    rng = np.random.default_rng(0)
    project = Project.objects.create(
        name="Refit", slug="refit", completions_per_comparison=k, gold_rate=0, repeat_rate=0
    )
    people = User.objects.bulk_create(User(username=f"person{n}") for n in range(PEOPLE))
    fresh = User.objects.create(username="fresh")
    Membership.objects.bulk_create(
        Membership(project=project, user=user, role=Role.ANNOTATOR) for user in [*people, fresh]
    )
    sets = list(itertools.combinations(range(TEXTS_OF_TASK), k))
    tasks = RANKED_TASKS + -(-waiting // len(sets))
    prompts = Prompt.objects.bulk_create(
        Prompt(project=project, text=f"Task {n}", hash=f"{n}", is_held_out=n < RANKED_TASKS // 10)
        for n in range(tasks)
    )
    texts = Completion.objects.bulk_create(
        Completion(prompt=prompt, text=f"Instruction {n} of {prompt.text}", text_hash=f"{n}", iteration=1)
        for prompt in prompts
        for n in range(TEXTS_OF_TASK)
    )
    wanted = -(-rankings // (RANKED_TASKS - RANKED_TASKS // 10) // len(sets)) + 1
    made = [(place, some) for place in range(tasks) for some in sets]
    made = made[: RANKED_TASKS * len(sets) + waiting]
    comparisons = Comparison.objects.bulk_create(
        Comparison(
            project=project,
            prompt=prompts[place],
            completions_key=",".join(str(texts[place * TEXTS_OF_TASK + n].pk) for n in some),
            judgments_wanted=min(wanted, PEOPLE),
            rule="random" if number % 5 == 0 else "thompson",
            priority=float(rng.random()),
        )
        for number, (place, some) in enumerate(made)
    )
    truth = rng.normal(size=len(texts)) * SIGNAL
    worth = {text.pk: float(value) for text, value in zip(texts, truth, strict=True)}
    ranked = [row for row in comparisons[: RANKED_TASKS * len(sets)] if not row.prompt.is_held_out]
    given = _rank(ranked, people, worth, rankings, rng)
    model = _reward_model(project)
    model.of([(task_of(text.prompt), text.text) for text in texts])
    return Filled(
        rankings=given,
        judged=len({name for row in ranked for name in row.completions_key.split(",")}),
        texts=len(texts),
        waiting=len(comparisons) - RANKED_TASKS * len(sets),
        width=model.width,
        heads=_heads(),
        worth=worth,
    )


def _rank(ranked: list[Any], people: list[Any], worth: dict[int, float], count: int, rng: Any) -> int:
    """Judgments as they would have been submitted, by people who err; how many there are."""
    from django.utils import timezone

    from annotator.models import Assignment, Comparison, Ranking

    pairs = [(row, person) for person in people for row in ranked][:count]
    assignments = Assignment.objects.bulk_create(
        (
            Assignment(
                comparison=row,
                annotator=person,
                state=Assignment.State.SUBMITTED,
                order=[int(name) for name in row.completions_key.split(",")],
                leased_until=timezone.now(),
            )
            for row, person in pairs
        ),
        batch_size=2000,
    )
    rankings = []
    taken: dict[int, int] = {}
    for number, held in enumerate(assignments):
        seen = {pk: worth[pk] + rng.logistic() for pk in held.order}
        best_first = sorted(seen, key=lambda pk: -seen[pk])
        lead = abs(seen[best_first[0]] - seen[best_first[1]])
        is_pair = len(best_first) == 2
        taken[held.comparison_id] = taken.get(held.comparison_id, 0) + 1
        rankings.append(
            Ranking(
                comparison_id=held.comparison_id,
                assignment=held,
                annotator_id=held.annotator_id,
                ranks={
                    str(pk): 1 if is_pair and lead < 0.4 else place
                    for place, pk in enumerate(best_first, start=1)
                },
                strength=min(3, 1 + int(lead // 1.5)) if is_pair and lead >= 0.4 else None,
                order=held.order,
                idempotency_key=f"{number}",
            )
        )
    Ranking.objects.bulk_create(rankings, batch_size=1000)
    for row in ranked:
        row.judgments_taken = taken.get(row.pk, 0)
        row.judgments_wanted = max(row.judgments_wanted, row.judgments_taken)
    Comparison.objects.bulk_update(ranked, ["judgments_taken", "judgments_wanted"], batch_size=200)
    return len(rankings)


def _heads() -> int:
    from rlhf.lm.configs import RewardConfig

    return RewardConfig().heads


def _reward_model(project: Any) -> Any:
    """A reward checkpoint as a run leaves one, of random features, which it gives."""
    from rlhf.lm.backbones import load_causal
    from rlhf.lm.configs import RewardConfig
    from rlhf.lm.features import Features
    from rlhf.lm.refit import Refitted, save
    from rlhf.lm.reward_model import LinearHeads, RewardModel
    from rlhf.models import Checkpoint, Run
    from rlhf.stages.loading import feature_cache, folder_of

    class Random(Features):
        def _compute(self, prompts: Any) -> Any:
            return np.random.default_rng(1).normal(size=(len(prompts), self.width)).astype(np.float32)

    config = RewardConfig()
    run = Run.objects.create(project=project, kind="reward", state="done")
    checkpoint = Checkpoint.objects.create(
        project=project,
        kind="reward",
        name="reward",
        base_model=project.base_model,
        folder=f"{run.folder}/reward",
        run=run,
        config=asdict(config),
    )
    features = Random(load_causal(project.base_model, ROOT / "var" / "models"), cache=feature_cache())
    width, heads = features.width, config.heads
    untrained = LinearHeads(np.zeros((heads, width)), np.zeros(width), np.ones(width), np.zeros(heads))
    folder_of(checkpoint).parent.mkdir(parents=True, exist_ok=True)
    model = RewardModel(features, untrained, length=config.length, temperature=1.0)
    save(folder_of(checkpoint), model, config, Refitted(untrained, None, rankings=0, rounds=0))
    return features


def submit_one(worth: dict[int, float]) -> None:
    """One person claims and submits, as over the page: the text that is worth the most is much better."""
    from annotator.models import Comparison, Project, User
    from annotator.ranking import queue
    from annotator.ranking.judgments import Judgment
    from annotator.ranking.submit import submit

    fresh = User.objects.get(username="fresh")
    assignment = queue.claim_next(annotator=fresh, project=Project.objects.get())
    while assignment is not None and assignment.comparison.prompt.is_held_out:
        Comparison.objects.filter(pk=assignment.comparison_id).update(is_closed=True)
        queue.release(assignment)
        assignment = queue.claim_next(annotator=fresh, project=Project.objects.get())
    assert assignment is not None
    better = max(assignment.order, key=worth.__getitem__)
    ranks = {pk: 1 if pk == better else 2 for pk in assignment.order}
    submit(
        assignment=assignment,
        judgment=Judgment(ranks=ranks, strength=3 if len(ranks) == 2 else None),
        idempotency_key=f"fresh-{assignment.pk}",
    )


def unsettled() -> list[float]:
    """How far the heads there are lie from a long fit from nothing to the same rankings.

    For each head the largest distance of a text's score, in standard deviations of all texts'. A head may be
    at another optimum than from nothing: the likelihood with unreliable annotators is not concave.
    """
    from django.conf import settings

    from annotator.models import Project
    from rlhf import refitting
    from rlhf.lm import refit
    from rlhf.lm.reward_model import RewardModel
    from rlhf.models import Checkpoint, live_folder
    from rlhf.stages.loading import feature_cache

    refitting.forget()
    refit.FIRST_SETTLED = SETTLED
    checkpoint = Checkpoint.objects.get()
    memory = refitting.memory_of(checkpoint)
    live = refitting.look(Project.objects.get(), memory)
    settled = memory.scores(memory.refitter.refit(live).heads)
    there = RewardModel.load(settings.VAR / live_folder(checkpoint), settings.MODELS_DIR, feature_cache())
    before, after = (np.array(list(s.values())) for s in (memory.scores(there.heads), settled))
    distances: list[float] = (np.abs(before - after).max(0) / after.std(0)).tolist()
    return distances


def memory_mb(keeper: int) -> int:
    """What the worker below its keeper holds now."""
    processes = psutil.Process(keeper).children(recursive=True)
    return max(process.memory_info().rss for process in processes) // 1_000_000

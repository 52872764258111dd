"""A reward run with its report, from submitted rankings and heads fitted to random features."""

from __future__ import annotations

from typing import Any

import numpy as np

from annotator.models import Project, User
from rlhf import runs, selection_report
from rlhf.lm.configs import RewardConfig
from rlhf.lm.data import read_snapshot
from rlhf.lm.pairs import judged_pairs
from rlhf.lm.reward_data import Indices, arrays_of, texts_of
from rlhf.lm.reward_heads import fit_heads, last_heads
from rlhf.lm.reward_report import judge
from rlhf.models import Checkpoint, Run
from rlhf.snapshots import freeze, path_of
from tests.factories import make_comparison, make_prompt, make_ranking

CONFIG = RewardConfig(heads=2, l2=10.0, steps=10, bootstrap=50)


def make_rankings(project: Project, *annotators: User, tasks: int = 22, held_out: int = 6) -> None:
    """Each annotator ranks a pair of every task, mostly for the same; the first `held_out` are kept back."""
    project.held_out_share = 0
    project.save()
    for number in range(tasks):
        language = "zh-hans" if number % 3 == 0 else "en"
        prompt = make_prompt(project, language=language, domain="code" if number % 2 else "writing")
        type(prompt).objects.filter(pk=prompt.pk).update(is_held_out=number < held_out)
        make_comparison(project, prompt, wanted=len(annotators), priority=tasks - number)
    for place, annotator in enumerate(annotators):
        for number in range(tasks):
            said = {"strength": 1 + number % 3, "seconds": 5.0 + number}
            make_ranking(project, annotator, first=int((number + place) % 5 == 0), **said)


def make_reward(project: Project, *, previous: bool = True) -> Checkpoint:
    """A reward model of the project's rankings; its scores come from random features of the texts."""
    snapshot = freeze(project)
    dataset = read_snapshot(path_of(snapshot))
    texts = texts_of(dataset)
    rng = np.random.default_rng(0)
    features = rng.normal(size=(len(texts), 6))
    indices = Indices.of(dataset, texts)
    train, test = (judged_pairs(dataset.judgments_on(held_out=held_out)) for held_out in (False, True))
    arrays = arrays_of(train, indices)
    fitted = last_heads(
        fit_heads(features, arrays, heads=2, l2=10.0, steps=10, seed=0, annotators=len(indices.people))
    )
    older = rng.normal(size=len(texts)) if previous else None
    metrics: dict[str, Any] = judge(
        CONFIG,
        standard=features,
        items=[(dataset.tasks[task], text) for task, text in texts],
        scores=features @ fitted.weights.mean(0),
        arrays=arrays,
        test=arrays_of(test, indices),
        pairs=(train, test),
        fitted=fitted,
        people=list(indices.people),
        temperature=1.0,
        previous=older,
    ).to_json()
    run = Run.objects.create(project=project, kind=Run.Kind.REWARD, state=Run.State.DONE, snapshot=snapshot)
    return Checkpoint.objects.create(
        project=project,
        kind=Checkpoint.Kind.REWARD,
        name=f"reward {run.pk}",
        base_model=runs.base_policy(project).base_model,
        run=run,
        snapshot=snapshot,
        metrics=metrics
        | {
            "previous_model": {"id": 1, "name": "reward 0"} if previous else None,
            "selection": selection_report.brought(project),
        },
    )

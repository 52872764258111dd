"""Reward training: heads on frozen features of the base model, then scores of every completion there is.

A killed run starts again; its features are in the cache, so that this takes seconds.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
from django.conf import settings
from django.db.models import QuerySet

from annotator.models import Completion, Project
from annotator.pseudonyms import pseudonym
from annotator.ranking import asking
from rlhf import runs, selection_report
from rlhf.execution import Hold
from rlhf.lm import reward_model
from rlhf.lm.backbones import load_causal
from rlhf.lm.checkpoints import BadCheckpoint
from rlhf.lm.configs import RewardConfig
from rlhf.lm.data import Dataset, Record
from rlhf.lm.features import Features
from rlhf.lm.reward_data import texts_of
from rlhf.lm.reward_model import RewardModel
from rlhf.lm.reward_report import RewardReport
from rlhf.models import Checkpoint, Score
from rlhf.snapshots import task_of
from rlhf.stage_configs import load
from rlhf.stages.freezing import frozen
from rlhf.stages.loading import feature_cache, folder_of, needed
from rlhf.versions import code_version

Floats = npt.NDArray[np.float64]

CHUNK = 64
"""Completions scored together."""


def execute(hold: Hold) -> None:
    """Train, score all completions, and keep both in one transaction."""
    run = hold.run
    config = load(RewardConfig, run.config)
    dataset = frozen(hold)
    hold.say("Loading the model", step=0, total=config.steps)
    older = runs.latest_reward(run.project)
    note = ""
    previous: Floats | None = None
    if older is not None:
        try:
            previous = look_back(hold, older, dataset)
        except BadCheckpoint as error:
            note = f"The previous reward model was not compared: {error}"
    report = train(hold, config, dataset, previous)
    scores = list(scores_of_all(hold))
    hold.say("Counting what selection brought")
    metrics = report.to_json() | {
        "previous_model": older and {"id": older.pk, "name": older.name},
        "selection": selection_report.brought(run.project),
    }
    with hold.finishing(note):
        checkpoint = Checkpoint.objects.create(
            project=run.project,
            kind=Checkpoint.Kind.REWARD,
            name=f"reward {run.pk}",
            base_model=needed(run.policy).base_model,
            folder=f"{run.folder}/reward",
            snapshot=run.snapshot,
            run=run,
            iteration=run.iteration,
            config=run.config,
            seed=config.seed,
            code_version=code_version(),
            metrics=metrics,
        )
        for score in scores:
            score.checkpoint = checkpoint
        Score.objects.bulk_create(scores, batch_size=1000)
        asking.learn(run.project, reliability(run.project, report))


def train(hold: Hold, config: RewardConfig, dataset: Dataset, previous: Floats | None) -> RewardReport:
    """Fit the heads into the run's folder; each record is stored."""
    features = Features(
        load_causal(needed(hold.run.policy).base_model, settings.MODELS_DIR), cache=feature_cache()
    )
    records = reward_model.fit(
        config, dataset=dataset, features=features, folder=hold.folder / "reward", previous=previous
    )
    return hold.record_all(records, message)


def look_back(hold: Hold, older: Checkpoint, dataset: Dataset) -> Floats:
    """What the previous model says of all judged texts, as `fit` takes it.

    It also gets to see what was written since it was made: those scores are stored, so that it can be told
    how far it foresaw the judgments that came after it.
    """
    hold.say("Scoring with the previous reward model")
    model = RewardModel.load(folder_of(older), settings.MODELS_DIR, feature_cache())
    texts = texts_of(dataset)
    parts: list[Floats] = []
    for start in range(0, len(texts), CHUNK):
        chunk = texts[start : start + CHUNK]
        parts.append(model.score([(dataset.tasks[task_id], text) for task_id, text in chunk])[0])
        hold.check()
    unseen = Completion.objects.filter(prompt__project=hold.run.project).exclude(scores__checkpoint=older)
    late = list(scores_by(hold, model, unseen))
    for score in late:
        score.checkpoint = older
    with hold.writing():
        Score.objects.bulk_create(late, batch_size=1000, ignore_conflicts=True)
    return np.concatenate(parts)


def scores_of_all(hold: Hold) -> Iterator[Score]:
    """What the new model says of each completion of the project; rows without their checkpoint yet."""
    hold.say("Scoring the instructions")
    model = RewardModel.load(hold.folder / "reward", settings.MODELS_DIR, feature_cache())
    return scores_by(hold, model, Completion.objects.filter(prompt__project=hold.run.project))


def scores_by(hold: Hold, model: RewardModel, rows: QuerySet[Completion]) -> Iterator[Score]:
    """What a model says of completions; rows without their checkpoint yet."""
    ids = list(rows.order_by("prompt_id", "pk").values_list("pk", flat=True))
    for start in range(0, len(ids), CHUNK):
        chunk = list(
            Completion.objects.select_related("prompt")
            .filter(pk__in=ids[start : start + CHUNK])
            .order_by("prompt_id", "pk")
        )
        means, stds = model.score([(task_of(completion.prompt), completion.text) for completion in chunk])
        for completion, mean, std in zip(chunk, np.asarray(means), np.asarray(stds), strict=True):
            yield Score(completion=completion, mean=float(mean), std=float(std))
        hold.check()


def reliability(project: Project, report: RewardReport) -> dict[int, tuple[float, float]]:
    """η and the standard error of its logit, by the id of the user, of all who are members still."""
    users = project.memberships.values_list("user_id", flat=True)
    known = {pseudonym(project, user): user for user in users}
    return {
        known[row.annotator]: (row.value, row.error) for row in report.annotators if row.annotator in known
    }


def message(record: Record) -> str:
    """What the page says of a step."""
    if record.step == 0:
        return f"Read {record.values['encoded']} of {record.values['to_encode']} instructions"
    return f"Round {record.step} of {record.total}: loss {record.values['loss']:.3f}"

"""How well a reward model predicts people: on unseen tasks, of unseen annotators, beside simple rules."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.feature_extraction.text import TfidfVectorizer

from rlhf.lm import metrics
from rlhf.lm.configs import RewardConfig
from rlhf.lm.features import Item
from rlhf.lm.metrics import Bin, Interval, bootstrap_mean, pair_credits
from rlhf.lm.pairs import Pair
from rlhf.lm.reward_heads import PairArrays, fit_heads, fit_temperature, last_heads
from rlhf.lm.reward_slices import Contradiction, Slice, contradicted, slices

Floats = npt.NDArray[np.float64]

ANNOTATOR_FOLDS = 5
TFIDF_L2 = 1.0


@dataclass(frozen=True)
class RewardReport:
    """Figures about pairs of completions; None where there was nothing to measure."""

    accuracy: Interval | None
    """Pairs of held-out tasks ordered as people did; interval by resampling tasks."""
    left_out_annotators: Interval | None
    """The same for annotators that the model never saw, still on held-out tasks."""
    longer: Interval | None
    """The rule "the longer one wins" on the same pairs."""
    tfidf: Interval | None
    """A Bradley-Terry model on TF-IDF of the words, on the same pairs."""
    human_ceiling: Interval | None
    """Annotators with each other, over all tasks."""
    train_accuracy: float
    ece: float | None
    """Expected calibration error; each half of the held-out tasks at the other half's temperature."""
    bins: tuple[Bin, ...]
    temperature: float
    train_pairs: int
    held_out_pairs: int
    train_tasks: int
    held_out_tasks: int
    completions: int
    simulated_share: float
    """Share of the pairs that simulated annotators judged."""
    length_correlation: float
    """Of score and log-length within tasks."""
    reliability: dict[str, float]
    """η of each annotator: how often they say what they mean, as far as the votes can tell."""
    previous: Interval | None = None
    """The previous reward model on the same pairs; None where there is none."""
    slices: tuple[Slice, ...] = ()
    """Accuracy on held-out pairs by domain, language, length and strength."""
    contradicted: tuple[Contradiction, ...] = ()
    """The held-out judgments that the scores go against most."""

    def to_json(self) -> dict[str, Any]:
        """Plain JSON; intervals as {"value", "low", "high"}."""
        return dataclasses.asdict(self)


def judge(
    config: RewardConfig,
    *,
    standard: Floats,
    items: Sequence[Item],
    scores: Floats,
    arrays: PairArrays,
    test: PairArrays,
    pairs: tuple[Sequence[Pair], Sequence[Pair]],
    reliability: dict[str, float],
    temperature: float,
    previous: Floats | None = None,
) -> RewardReport:
    """Judge scores of items. `standard` is the features (N, D); `arrays` and `test` index rows of it.

    `pairs` are those of `arrays` and of `test`, in their order; `previous` an older model's scores of items.
    """
    lengths = np.array([len(text) for _, text in items])
    margins = scores[test.first] - scores[test.second]
    every = [*pairs[0], *pairs[1]]
    agreements, agreeing_tasks = metrics.annotator_agreement(
        (p.task_id, (p.first, p.second), p.annotator, p.outcome) for p in every
    )
    ece, bins = calibration(margins, test)

    def interval(credits: Floats, groups: Sequence[Any] | npt.NDArray[np.int64]) -> Interval | None:
        if not len(credits):
            return None
        return bootstrap_mean(credits, list(groups), resamples=config.bootstrap, seed=config.seed)

    longer = pair_credits(lengths[test.first] - lengths[test.second], test.outcomes)
    words = tfidf_margins([text for _, text in items], arrays, test)
    return RewardReport(
        accuracy=interval(pair_credits(margins, test.outcomes), test.tasks),
        left_out_annotators=interval(*left_out_annotators(config, standard, arrays, test)),
        longer=interval(longer, test.tasks),
        tfidf=interval(pair_credits(words, test.outcomes), test.tasks),
        human_ceiling=interval(agreements, agreeing_tasks),
        train_accuracy=float(
            pair_credits(scores[arrays.first] - scores[arrays.second], arrays.outcomes).mean()
        ),
        ece=ece,
        bins=tuple(bins),
        temperature=temperature,
        train_pairs=len(arrays),
        held_out_pairs=len(test),
        train_tasks=len(set(arrays.tasks.tolist())),
        held_out_tasks=len(set(test.tasks.tolist())),
        completions=len(items),
        simulated_share=sum(p.simulated for p in every) / len(every),
        length_correlation=within_task_correlation(scores, np.log1p(lengths), [task.id for task, _ in items]),
        reliability=reliability,
        previous=None
        if previous is None
        else interval(pair_credits(previous[test.first] - previous[test.second], test.outcomes), test.tasks),
        slices=tuple(
            slices(
                pairs[1],
                margins,
                {task.id: task for task, _ in items},
                resamples=config.bootstrap,
                seed=config.seed,
            )
        ),
        contradicted=tuple(contradicted(pairs[1], margins)),
    )


def calibration(margins: Floats, pairs: PairArrays) -> tuple[float | None, list[Bin]]:
    """ECE and diagram of what is said about the likelier completion.

    The temperature of a half of the tasks comes from the other half: nothing judges itself.
    """
    halves = np.unique(pairs.tasks, return_inverse=True)[1] % 2 == 0
    if halves.all() or not halves.any():
        return None, []
    stated, happened = [], []
    for half in (halves, ~halves):
        temperature = fit_temperature(margins[~half], pairs.outcomes[~half])
        sign = np.where(margins[half] >= 0, 1, -1)
        stated.append(1 / (1 + np.exp(-np.abs(margins[half]) / temperature)))
        happened.append(0.5 + sign * (pairs.outcomes[half] - 0.5))
    probabilities, outcomes = np.concatenate(stated), np.concatenate(happened)
    return (
        metrics.expected_calibration_error(probabilities, outcomes),
        metrics.reliability_bins(probabilities, outcomes),
    )


def left_out_annotators(
    config: RewardConfig, standard: Floats, arrays: PairArrays, test: PairArrays
) -> tuple[Floats, npt.NDArray[np.int64]]:
    """Credits, and tasks, of held-out pairs under models fitted without those who judged them."""
    people = np.unique(test.annotators)
    credits: list[Floats] = [np.zeros(0)]
    groups: list[npt.NDArray[np.int64]] = [np.zeros(0, dtype=np.int64)]
    for fold in range(min(ANNOTATOR_FOLDS, len(people))):
        left_out = people[fold::ANNOTATOR_FOLDS]
        others = arrays.take(~np.isin(arrays.annotators, left_out))
        theirs = test.take(np.isin(test.annotators, left_out))
        if not (others.outcomes != 0.5).any():
            continue
        rounds = fit_heads(standard, others, heads=1, l2=config.l2, steps=config.steps, seed=config.seed)
        scores = standard @ last_heads(rounds).weights[0]
        credits.append(pair_credits(scores[theirs.first] - scores[theirs.second], theirs.outcomes))
        groups.append(theirs.tasks)
    return np.concatenate(credits), np.concatenate(groups)


def tfidf_margins(texts: Sequence[str], arrays: PairArrays, test: PairArrays) -> Floats:
    """What a Bradley-Terry model on TF-IDF of the training completions' words says of the test pairs."""
    if not len(test):
        return np.zeros(0)
    seen = sorted({*arrays.first.tolist(), *arrays.second.tolist()})
    vectorizer = TfidfVectorizer(tokenizer=metrics.words, token_pattern=None, lowercase=False)
    try:
        vectorizer.fit([texts[n] for n in seen])
    except ValueError:  # no words at all: the baseline says nothing
        return np.zeros(len(test))
    rows = np.asarray(vectorizer.transform(texts).todense(), dtype=np.float64)
    rounds = fit_heads(rows, arrays, heads=1, l2=TFIDF_L2, steps=30, seed=0)
    scores: Floats = rows @ last_heads(rounds).weights[0]
    return scores[test.first] - scores[test.second]


def within_task_correlation(scores: Floats, others: Floats, tasks: Sequence[str]) -> float:
    """Pearson's r of two numbers a completion, both less their task's mean; 0 where one is constant."""
    one, other = metrics.less_group_means(scores, tasks), metrics.less_group_means(others, tasks)
    norm = float(np.sqrt((one**2).sum() * (other**2).sum()))
    return float((one * other).sum()) / norm if norm > 0 else 0.0

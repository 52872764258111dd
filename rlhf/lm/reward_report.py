"""How well a reward model predicts people: on unseen tasks, of unseen annotators, beside simple rules."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.feature_extraction.text import TfidfVectorizer

from rlhf.lm import metrics
from rlhf.lm.configs import RewardConfig
from rlhf.lm.features import Item
from rlhf.lm.learning_curve import LearningCurve, learning_curve
from rlhf.lm.metrics import Bin, Interval, bootstrap_mean, pair_credits
from rlhf.lm.pairs import Pair
from rlhf.lm.reliability import Reliability, reliabilities, reliability_errors
from rlhf.lm.reward_heads import Heads, PairArrays, fit_heads, fit_temperature, last_heads
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
    annotators: tuple[Reliability, ...]
    """η of each: how often they say what they mean, as far as the votes can tell. The least first."""
    previous: Interval | None = None
    """The previous reward model on the same pairs; None where there is none."""
    gains: dict[str, Interval] = field(default_factory=dict)
    """What this one has over "longer", "tfidf" and "previous", pair by pair, so that the tasks cancel out."""
    curve: LearningCurve | None = None
    """Accuracy with fewer training tasks, and a forecast for more; None where there are too few."""
    slices: tuple[Slice, ...] = ()
    """Accuracy on held-out pairs by domain, language, length, strength, and by which text was preferred."""
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
    fitted: Heads,
    people: Sequence[str],
    temperature: float,
    previous: Floats | None = None,
) -> RewardReport:
    """Judge scores of items. `standard` is the features (N, D); `arrays` and `test` index rows of it.

    `pairs` are those of `arrays` and of `test`, in their order; `fitted` the heads that gave the scores,
    `people` their annotators' names; `previous` an older model's scores (N,).
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

    def credits_of(margins: Floats) -> Floats:
        return pair_credits(margins, test.outcomes)

    mine = credits_of(margins)
    others = {
        "longer": credits_of((lengths[test.first] - lengths[test.second]).astype(np.float64)),
        "tfidf": credits_of(tfidf_margins([text for _, text in items], arrays, test)),
    }
    if previous is not None:
        others["previous"] = credits_of(previous[test.first] - previous[test.second])
    figures = {name: interval(credits, test.tasks) for name, credits in others.items()}
    gains = {name: interval(mine - credits, test.tasks) for name, credits in others.items()}
    return RewardReport(
        accuracy=interval(mine, test.tasks),
        left_out_annotators=interval(*left_out_annotators(config, standard, arrays, test)),
        longer=figures["longer"],
        tfidf=figures["tfidf"],
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
        annotators=tuple(_reliabilities(config, fitted, standard, arrays, pairs[0], people)),
        previous=figures.get("previous"),
        gains={name: gain for name, gain in gains.items() if gain is not None},
        curve=learning_curve(
            arrays,
            test,
            [pair.judgment_id for pair in pairs[0]],
            lambda part: refitted(config, standard, part, len(people)),
            resamples=config.bootstrap,
            seed=config.seed,
        ),
        slices=tuple(
            slices(
                pairs[1],
                margins,
                {task.id: task for task, _ in items},
                resamples=config.bootstrap,
                seed=config.seed,
            )
        ),
        contradicted=tuple(contradicted(pairs[1], margins, temperature=temperature)),
    )


def calibration(margins: Floats, pairs: PairArrays) -> tuple[float | None, list[Bin]]:
    """ECE and diagram of what is said about the likelier completion.

    The temperature of a half of the tasks comes from the other half: nothing judges itself.
    """
    halves = np.unique(pairs.tasks, return_inverse=True)[1] % 2 == 0
    if halves.all() or not halves.any():
        return None, []
    stated, happened, tasks = [], [], []
    for half in (halves, ~halves):
        temperature = fit_temperature(margins[~half], pairs.outcomes[~half])
        sign = np.where(margins[half] >= 0, 1, -1)
        stated.append(1 / (1 + np.exp(-np.abs(margins[half]) / temperature)))
        happened.append(0.5 + sign * (pairs.outcomes[half] - 0.5))
        tasks.append(pairs.tasks[half])
    probabilities, outcomes = np.concatenate(stated), np.concatenate(happened)
    return (
        metrics.expected_calibration_error(probabilities, outcomes),
        metrics.reliability_bins(probabilities, outcomes, groups=np.concatenate(tasks)),
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
        scores = refitted(config, standard, others, int(max(people.max(), arrays.annotators.max())) + 1)
        credits.append(pair_credits(scores[theirs.first] - scores[theirs.second], theirs.outcomes))
        groups.append(theirs.tasks)
    return np.concatenate(credits), np.concatenate(groups)


def refitted(config: RewardConfig, standard: Floats, pairs: PairArrays, people: int) -> Floats:
    """The scores (N,) of the same ensemble fitted to other pairs, as the config reads them."""
    seen = np.unique(np.concatenate([pairs.first, pairs.second]))
    place = np.zeros(len(standard), dtype=np.int64)
    place[seen] = np.arange(len(seen))
    # What the heads learn lies in the span of these rows, and the penalty is the same in all directions:
    # with fewer rows than features they are fitted in coordinates of that span, which is the same, sooner.
    span, rows = np.linalg.qr(standard[seen].T)
    rounds = fit_heads(
        rows.T,
        dataclasses.replace(pairs, first=place[pairs.first], second=place[pairs.second]),
        heads=config.heads,
        l2=config.l2,
        steps=config.steps,
        seed=config.seed,
        annotators=people,
        ties=config.ties,
        strength=config.strength,
    )
    scores: Floats = standard @ (span @ last_heads(rounds).weights.mean(0))
    return scores


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


def _reliabilities(
    config: RewardConfig,
    fitted: Heads,
    standard: Floats,
    arrays: PairArrays,
    pairs: Sequence[Pair],
    people: Sequence[str],
) -> list[Reliability]:
    scores = standard @ fitted.weights.mean(0)
    errors = reliability_errors(fitted, scores, arrays, ties=config.ties, strength=config.strength)
    given = Counter(annotator for _, annotator in {(pair.judgment_id, pair.annotator) for pair in pairs})
    simulated = {pair.annotator for pair in pairs if pair.simulated}
    return reliabilities(fitted, errors, people, given, simulated)


def within_task_correlation(scores: Floats, others: Floats, tasks: Sequence[str]) -> float:
    """Pearson's r of two numbers a completion, both less their task's mean; 0 where one is constant."""
    one, other = metrics.less_group_means(scores, tasks), metrics.less_group_means(others, tasks)
    norm = float(np.sqrt((one**2).sum() * (other**2).sum()))
    return float((one * other).sum()) / norm if norm > 0 else 0.0

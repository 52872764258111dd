"""When a policy run must stop: it goes too far from the reference, or games the reward as such runs do."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from rlhf.lm.configs import IlqlConfig, PolicyConfig
from rlhf.lm.data import Task
from rlhf.lm.metrics import words
from rlhf.lm.prompting import words_for

Values = Mapping[str, float]
Item = tuple[Task, str]
Floats = npt.NDArray[np.floating[Any]]
Score = Callable[[list[Item]], tuple[Floats, Floats]]
"""Mean and standard deviation over the reward model's heads."""

NGRAM = 3
LEAST_DISAGREEMENT = 0.1
"""Heads that differ by less than this part of the scores' spread agree, whatever they did at the start."""


def limit_passed(config: PolicyConfig | IlqlConfig, values: Values, start: Values) -> str:
    """Why the run must stop at a step with these values, or "". `start`: at its first step, or β = 0."""
    if values["kl"] > config.kl_budget:
        return f"KL {values['kl']:.2f} is over the budget of {config.kl_budget:g}"
    longest, shortest = start["length"] * config.length_drift, start["length"] / config.length_drift
    if not shortest <= values["length"] <= longest:
        return f"completions have {values['length']:.1f} tokens, at the start {start['length']:.1f}"
    if values["entropy"] < config.entropy_floor * start["entropy"]:
        return f"entropy fell to {values['entropy']:.2f} nats a token, at the start {start['entropy']:.2f}"
    if values["score_std"] > config.disagreement * max(start["score_std"], LEAST_DISAGREEMENT):
        return f"the heads differ by {values['score_std']:.2f}, at the start by {start['score_std']:.2f}"
    if values["repetition"] > start["repetition"] + config.repetition:
        return (
            f"{values['repetition']:.0%} of what completions say they have said before, "
            f"at the start {start['repetition']:.0%}"
        )
    return ""


def copied(items: Sequence[Item]) -> npt.NDArray[np.float64]:
    """Which texts repeat the instruction that the generator's prompt shows as an example: 1 or 0 each. (N,)

    More than half of such a text's trigrams of words are that instruction's. It is well written, and fits no
    task: a reward model that has learned what good writing looks like pays for it (docs/LOG.md).
    """
    marks = []
    for task, text in items:
        shown = _trigrams(words_for(task.language)["shown_instruction"])
        grams = _trigrams(text)
        marks.append(float(2 * sum(gram in shown for gram in grams) > len(grams)))
    return np.array(marks)


def without_copies(score: Score, penalty: float) -> Score:
    """A score that is so much lower for copies: what every algorithm is to be rewarded by."""

    def lowered(items: list[Item]) -> tuple[Floats, Floats]:
        means, stds = score(items)
        return means - penalty * copied(items), stds

    return lowered


def repetition(texts: Sequence[str]) -> float:
    """Mean share of a text's trigrams of words that it has already had; 0 for what is too short to repeat."""
    shares = []
    for text in texts:
        grams = _trigrams(text)
        shares.append(1 - len(set(grams)) / len(grams) if grams else 0.0)
    return sum(shares) / len(shares) if shares else 0.0


def _trigrams(text: str) -> list[tuple[str, ...]]:
    found = words(text)
    return [tuple(found[i : i + NGRAM]) for i in range(len(found) - NGRAM + 1)]

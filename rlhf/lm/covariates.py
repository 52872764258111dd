"""What can be counted in a completion without a model, and what the generator's likelihoods say of it.

Each is a named number, so that what a reward model owes to it can be read off its heads. None of them is
length, which is a switch of the reward model's own; the sum of log-likelihoods is left out, as it is length
by another name.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from rlhf.lm import metrics

TEXT = (
    *("repeated_words", "repeated_pairs", "repeated_triples", "repeated_lines", "from_prompt"),
    *("prompt_covered", "ends_well", "has_list", "list_items", "lines", "digits", "word_length"),
    *("empty", "variety", "has_code"),
)
LIKELIHOOD = ("mean", "lowest", "sure", "beginning", "spread", "ends")
EXECUTION = ("contrast", "log_likelihood", "top", "quotes")
"""Computed in execution.py."""

LIST_ITEM = re.compile(r"^\s*(?:[-*•]|\d+[.)、])\s*\S", re.MULTILINE)
CODE = "`" * 3
ENDS = tuple(".!?:;)\"'`}]。！？”）")
SURE = math.log(0.5)  # of a token that is likelier than all others together
BEGINNING = 10  # tokens
ODDS_FLOOR = -20.0  # a token with less than e^-20 tells nothing more by it


def text_covariates(prompt: str, completion: str) -> list[float]:
    """The numbers named in TEXT: shares lie in 0 to 1, counts are logarithms of 1 + n."""
    words = metrics.words(completion)
    asked = set(metrics.words(prompt))
    lines = [line.strip() for line in completion.splitlines() if line.strip()]
    items = len(LIST_ITEM.findall(completion))
    count = max(len(words), 1)
    return [
        *(_repeated([tuple(words[i : i + n]) for i in range(len(words) - n + 1)]) for n in (1, 2, 3)),
        _repeated(lines),
        sum(word in asked for word in words) / count,
        len(asked.intersection(words)) / max(len(asked), 1),
        float(completion.rstrip().endswith(ENDS)),
        float(items > 0),
        math.log1p(items),
        math.log1p(completion.count("\n")),
        sum(c.isdigit() for c in completion) / max(len(completion), 1),
        sum(map(len, words)) / count,
        float(not completion.strip()),
        len(set(words)) / math.sqrt(count),
        float(CODE in completion),
    ]


def likelihood_covariates(logprobs: Sequence[float] | npt.NDArray[np.float32], end: float) -> list[float]:
    """The numbers named in LIKELIHOOD, from a completion's log-probabilities per token, in nats.

    `end` is how likely the generator would have ended it there. An empty completion has zeros and `end`.
    """
    found = np.maximum(np.asarray(logprobs, dtype=np.float64), ODDS_FLOOR)
    last = max(end, ODDS_FLOOR)
    if not len(found):
        return [0.0, 0.0, 0.0, 0.0, 0.0, last]
    return [
        float(found.mean()),
        float(found.min()),
        float((found > SURE).mean()),
        float(found[:BEGINNING].mean()),
        float(found.std()),
        last,
    ]


def _repeated(parts: Sequence[object]) -> float:
    return 1 - len(set(parts)) / len(parts) if parts else 0.0

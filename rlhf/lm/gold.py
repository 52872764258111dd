"""The gold metric: how well a frozen executor tells right outputs from others when it reads an instruction.

For an instruction I and a held-out pair (x, y): log p(y|x,I) - log mean over {y, others} of p(y'|x,I),
log-probabilities per token, averaged over the task's held-out examples (docs/methods.md). The others
are right outputs of other inputs, so that an instruction which only shows the format wins nothing.
"""

from __future__ import annotations

import hashlib
import math
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from rlhf.lm.backbones import CausalLM
from rlhf.lm.configs import EvaluationConfig
from rlhf.lm.data import Example, Task
from rlhf.lm.prompting import executor_text, shorten
from rlhf.lm.token_trees import TokenTree, batches, hidden_states, token_logprobs

OUTPUT_TOKENS = 48  # of each output; what comes after them adds cost and little else
BATCH_TOKENS = 2400  # of a padded batch

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class GoldScore:
    """What the executor makes of one instruction, as means over the held-out examples."""

    contrast: float
    """The metric: nats per token by which the right output stands above the mean of all candidates."""
    log_likelihood: float
    """Nats per token of the right output."""
    top: float
    """Share of the examples whose right output is the likeliest candidate."""
    leak: bool
    """The instruction quotes the task's examples."""


@dataclass(frozen=True)
class _Candidate:
    """One output of one example: where in the tree each of its tokens is predicted, and the tokens."""

    example: int
    nodes: tuple[int, ...]
    tokens: tuple[int, ...]


@dataclass(frozen=True)
class _Packed:
    tree: TokenTree
    candidates: tuple[_Candidate, ...]  # of each example the right output first


def gold_scores(
    executor: CausalLM,
    items: Sequence[tuple[Task, str]],
    config: EvaluationConfig,
    *,
    on_progress: Progress | None = None,
) -> list[GoldScore | None]:
    """Score instructions ("" for none) on their task's held-out examples; None where a task cannot judge.

    A task cannot judge without a held-out example, or if all its outputs are the same. Alike items are
    scored once. The executor's adapters, if it has any, are off.
    """
    packed = {item: _pack(executor, *item, config) for item in dict.fromkeys(items)}
    rows = [(item, row) for item, row in packed.items() if row]
    scores: dict[tuple[Task, str], GoldScore] = {}
    for batch in batches([row.tree for _, row in rows], tokens=BATCH_TOKENS):
        found = _candidate_logprobs(executor, [rows[place][1] for place in batch])
        for place, logprobs in zip(batch, found, strict=True):
            (task, instruction), row = rows[place]
            scores[task, instruction] = _judge(row.candidates, logprobs, leak=leaks(instruction, task))
        if on_progress:
            on_progress(len(scores), len(rows))
    return [scores.get(item) for item in items]


def outputs_to_compare(task: Task, example: Example, *, count: int, seed: int = 0) -> list[str]:
    """Up to `count` right outputs of the task's other inputs that differ from this example's.

    The held-out examples' outputs come before the shown ones'; which are taken follows from the texts
    alone, so that every instruction of a task faces the same candidates, today and later.
    """

    def order(output: str) -> str:
        return hashlib.sha256(f"{seed}\0{example.input}\0{output}".encode()).hexdigest()

    held_out = {e.output for e in task.held_out_examples} - {example.output, ""}
    shown = {e.output for e in task.examples} - {example.output, ""} - held_out
    return [*sorted(held_out, key=order), *sorted(shown, key=order)][:count]


def _pack(executor: CausalLM, task: Task, instruction: str, config: EvaluationConfig) -> _Packed | None:
    tree = TokenTree()
    candidates: list[_Candidate] = []
    judged = [e for e in task.held_out_examples if e.output.strip()][: config.gold_examples]
    for number, example in enumerate(judged):
        others = outputs_to_compare(task, example, count=config.gold_contrast, seed=config.seed)
        if not others:
            continue
        prompt = executor_text(executor.tokenizer, instruction, example.input, task.language)
        end = tree.add(_tokens(executor, prompt))[-1]
        for output in [example.output, *others]:
            tokens = _tokens(executor, shorten(executor.tokenizer, output, OUTPUT_TOKENS))
            nodes = [end, *tree.add(tokens[:-1], after=end)]  # nothing is predicted after the last one
            candidates.append(_Candidate(number, tuple(nodes), tuple(tokens)))
    return _Packed(tree, tuple(candidates)) if candidates else None


def _tokens(executor: CausalLM, text: str) -> list[int]:
    ids: list[int] = executor.tokenizer(text, add_special_tokens=False)["input_ids"]
    return ids


def _candidate_logprobs(executor: CausalLM, rows: Sequence[_Packed]) -> list[list[float]]:
    """Log-probability per token of each candidate of each row."""
    (hidden,) = hidden_states(executor, [row.tree for row in rows])
    wanted = [
        (i, node, token)
        for i, row in enumerate(rows)
        for candidate in row.candidates
        for node, token in zip(candidate.nodes, candidate.tokens, strict=True)
    ]
    places = {place: n for n, place in enumerate(dict.fromkeys((i, node) for i, node, _ in wanted))}
    values = iter(
        token_logprobs(
            executor,
            hidden[[i for i, _ in places], [node for _, node in places]],
            rows=[places[i, node] for i, node, _ in wanted],
            tokens=[token for _, _, token in wanted],
        ).tolist()
    )
    return [[sum(next(values) for _ in c.tokens) / len(c.tokens) for c in row.candidates] for row in rows]


def _judge(candidates: Sequence[_Candidate], logprobs: Sequence[float], *, leak: bool) -> GoldScore:
    by_example: dict[int, list[float]] = {}
    for candidate, value in zip(candidates, logprobs, strict=True):
        by_example.setdefault(candidate.example, []).append(value)
    groups = list(by_example.values())
    return GoldScore(
        contrast=float(np.mean([contrast(group) for group in groups])),
        log_likelihood=float(np.mean([group[0] for group in groups])),
        top=float(np.mean([group[0] > max(group[1:]) for group in groups])),
        leak=leak,
    )


def contrast(logprobs: Sequence[float]) -> float:
    """log p(first) - log mean of p over all: at most log n, zero if all are alike."""
    highest = max(logprobs)
    mean = sum(math.exp(value - highest) for value in logprobs) / len(logprobs)
    return logprobs[0] - highest - math.log(mean)


QUOTED = 8  # letters (or four Chinese characters) that nobody shares with an example by chance


def leaks(instruction: str, task: Task) -> bool:
    """Whether the instruction quotes the task's examples, shown or held out.

    It does if it holds, verbatim but for capitals, white space and punctuation, an input or an output
    of some length, or both sides of one example. An output that several examples share is a label,
    which an instruction may well name. (No instruction that people wrote for the demo is marked.)
    """
    text = f" {_plain(instruction)} "
    examples = [(_plain(e.input), _plain(e.output)) for e in (*task.examples, *task.held_out_examples)]
    outputs = Counter(output for _, output in examples)
    for given, output in examples:
        quotes_input = _contains(text, given)
        quotes_output = _contains(text, output) and outputs[output] == 1
        if quotes_input and _contains(text, output):
            return True
        if (quotes_input and _weight(given) >= QUOTED) or (quotes_output and _weight(output) >= QUOTED):
            return True
    return False


def _plain(text: str) -> str:
    return " ".join(re.findall(r"\w+", unicodedata.normalize("NFKC", text).casefold()))


def _weight(text: str) -> int:
    return sum(2 if ord(character) >= 0x2E80 else 1 for character in text)


def _contains(text: str, part: str) -> bool:
    """As whole words where the script has spaces between them."""
    if not part:
        return False
    return part in text if ord(part[0]) >= 0x2E80 else f" {part} " in text

"""Old policy against new on held-out tasks: gold metric, reward, wins, KL, automatic measures; with controls.

Both write for the same tasks with the same random numbers. Everything is averaged per task first, and
intervals are paired bootstraps over tasks. Left out: judgments by people, which are given in the browser.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from rlhf.lm.backbones import CausalLM, Encoder
from rlhf.lm.configs import EvaluationConfig, SamplingConfig
from rlhf.lm.data import Record, Task
from rlhf.lm.gold import GoldScore, gold_scores
from rlhf.lm.metrics import Interval, bootstrap_difference, bootstrap_mean, distinct_n
from rlhf.lm.prompting import generator_ids
from rlhf.lm.sampling import SampledCompletion, sample
from rlhf.lm.text_measures import consistencies, log_perplexities, similarities, varieties
from rlhf.lm.token_trees import TokenTree, batches, hidden_states, token_logprobs
from rlhf.lm.wins import Wins, matches_between, rate_by_task, wins

Item = tuple[Task, str]
Score = Callable[[list[Item]], tuple[npt.NDArray[np.floating[Any]], npt.NDArray[np.floating[Any]]]]
"""Mean and standard deviation over the reward model's heads."""

CHUNK = 32  # instructions judged between two records
BATCH_TOKENS = 2400
KL_COMPLETIONS = 2  # drawn for each task at temperature 1, where log-ratios estimate the KL without bias
SHOWN_EXAMPLES = 2  # pasted by a control


@dataclass(frozen=True)
class Comparison:
    """One measure, old and new, and what the new one gained, paired by task."""

    old: Interval
    new: Interval
    difference: Interval


@dataclass(frozen=True)
class TaskResult:
    """Mean gold contrast of one task before and after; None where the task cannot judge."""

    task_id: str
    old: float | None
    new: float | None
    gold_wins: float | None = None
    """Share of the task's pairs of texts, one of each, of which the new one has the higher gold score."""
    reward_wins: float | None = None


@dataclass(frozen=True)
class EvaluationResult:
    """What an evaluation found. `gold` is None if no task has held-out examples."""

    gold: Comparison | None
    reward: Comparison | None
    pessimistic: Comparison | None
    length: Comparison | None
    fluency: Comparison | None
    """Log-perplexity of the reference model, nats a token: less is more fluent."""
    consistency: Comparison | None
    """Cosine of a text's embedding with its task's."""
    variety: Comparison | None
    """Distinct-2 of a task's texts."""
    self_similarity: Comparison | None
    leaks: Comparison | None
    distinct_1: dict[str, float]
    """Of all texts together: a policy that writes the same for every task is found here."""
    distinct_2: dict[str, float]
    wins: dict[str, Wins]
    """By "gold" and by "reward", as far as these judge."""
    kl: float
    """KL(new ‖ old), nats a completion."""
    controls: dict[str, Interval]
    gap_closed: float | None
    """(new - old) / (people - old), over the tasks with an instruction by a person."""
    tasks: tuple[TaskResult, ...]
    texts: dict[str, list[SampledCompletion]]
    """What "old" and "new" wrote."""

    def to_json(self) -> dict[str, Any]:
        """Plain JSON, without the texts; what could not be measured is left out."""
        found = dataclasses.asdict(dataclasses.replace(self, texts={}))
        return {k: value for k, value in found.items() if k != "texts" and value is not None}


def evaluate(
    config: EvaluationConfig,
    *,
    old: CausalLM,
    new: CausalLM,
    executor: CausalLM,
    tasks: Sequence[Task],
    score: Score | None = None,
    encoder: Encoder | None = None,
) -> Generator[Record, None, EvaluationResult]:
    """Compare two policies; a record after each part, so that a page can show how far it is.

    The result is returned. Raises ValueError without tasks. `score` None leaves the reward out, `encoder`
    None consistency; fluency is read by the executor, which neither policy has touched.
    """
    if not tasks:
        raise ValueError("there is no held-out task to evaluate on")
    written = len(tasks) * config.completions_per_task
    controls = control_items(tasks)
    total = 4 * written + sum(len(items) for items in controls.values())
    done = 0

    # 1. Both write for the same tasks.
    texts: dict[str, list[SampledCompletion]] = {}
    for name, policy in (("old", old), ("new", new)):
        texts[name] = []
        for group in sample(policy, tasks, sampling(config)):
            texts[name] += group
            done += len(group)
        yield Record(done, total, {})
    by_id = {task.id: task for task in tasks}
    items = {name: [(by_id[c.task_id], c.text) for c in texts[name]] for name in texts}

    # 2. The executor judges both, and the controls.
    golds: dict[str, list[GoldScore | None]] = {}
    for name, wanted in (items | controls).items():
        golds[name] = []
        for start in range(0, len(wanted), CHUNK):
            golds[name] += gold_scores(executor, wanted[start : start + CHUNK], config)
            done += len(wanted[start : start + CHUNK])
            yield Record(done, total, {})
    values = {name: [None if g is None else g.contrast for g in found] for name, found in golds.items()}
    contrasts = {name: per_task(wanted, values[name]) for name, wanted in (items | controls).items()}

    # 3. The reward model's view of the same texts, mean and pessimistic.
    scores: dict[str, list[float | None]] = {}
    rewards: dict[str, dict[str, dict[str, float]]] = {"mean": {}, "pessimistic": {}}
    if score:
        for name, wanted in items.items():
            means, stds = score(wanted)
            scores[name] = list(means.tolist())
            rewards["mean"][name] = per_task(wanted, scores[name])
            rewards["pessimistic"][name] = per_task(wanted, (means - stds).tolist())

    # 4. Who wins, by gold and by reward; at equal length too.
    lengths = {name: [float(len(c.token_ids)) for c in texts[name]] for name in items}
    sides = {
        judge: [
            [(task.id, v, n) for (task, _), v, n in zip(items[side], found[side], lengths[side], strict=True)]
            for side in ("old", "new")
        ]
        for judge, found in (("gold", values), ("reward", scores))
        if found
    }
    matches = {judge: matches_between(*both) for judge, both in sides.items()}
    won = {judge: rate_by_task(found) for judge, found in matches.items()}

    # 5. What the texts are like.
    def measure(of: Callable[[list[Item]], Sequence[float | None]]) -> Comparison | None:
        return compare({name: per_task(wanted, of(wanted)) for name, wanted in items.items()}, config)

    leaked = {
        name: per_task(items[name], [None if g is None else float(g.leak) for g in golds[name]])
        for name in items
    }
    said = {name: [c.text for c in texts[name]] for name in items}
    result = EvaluationResult(
        gold=compare(contrasts, config),
        reward=compare(rewards["mean"], config),
        pessimistic=compare(rewards["pessimistic"], config),
        length=compare({name: per_task(items[name], lengths[name]) for name in items}, config),
        fluency=measure(lambda wanted: log_perplexities(executor, [text for _, text in wanted])),
        consistency=measure(lambda wanted: consistencies(encoder, wanted)) if encoder else None,
        variety=compare({name: varieties(wanted, 2) for name, wanted in items.items()}, config),
        self_similarity=compare({name: similarities(wanted) for name, wanted in items.items()}, config),
        leaks=compare(leaked, config),
        distinct_1={name: distinct_n(said[name], 1) for name in said},
        distinct_2={name: distinct_n(said[name], 2) for name in said},
        wins={
            judge: found
            for judge in matches
            if (found := wins(matches[judge], resamples=config.bootstrap, seed=config.seed))
        },
        kl=divergence(new, old, tasks, config),
        controls={
            name: bootstrap_mean(list(contrasts[name].values()), resamples=config.bootstrap)
            for name in controls
            if contrasts[name]
        },
        gap_closed=gap_closed(contrasts),
        tasks=tuple(
            TaskResult(
                task.id,
                contrasts["old"].get(task.id),
                contrasts["new"].get(task.id),
                *(won.get(judge, {}).get(task.id) for judge in ("gold", "reward")),
            )
            for task in tasks
        ),
        texts=texts,
    )
    yield Record(total, total, {"kl": result.kl})
    return result


def sampling(config: EvaluationConfig) -> SamplingConfig:
    """How both policies write: as for people."""
    return SamplingConfig(
        completions_per_task=config.completions_per_task,
        temperature=config.temperature,
        top_p=config.top_p,
        max_new_tokens=config.max_new_tokens,
        seed=config.seed,
    )


def control_items(tasks: Sequence[Task]) -> dict[str, list[Item]]:
    """What the metric must not be won by, and what people reach (docs/methods.md)."""
    shown = [task for task in tasks if task.examples]
    return {
        "none": [(task, "") for task in tasks],
        "people": [(task, task.reference) for task in tasks if task.reference],
        "output": [(task, f"To get the output, {task.examples[0].output}") for task in shown],
        "examples": [(task, _pasted(task)) for task in shown],
    }


def per_task(items: Sequence[Item], values: Sequence[float | None]) -> dict[str, float]:
    """Mean value by task id; tasks without any value are left out."""
    found: dict[str, list[float]] = {}
    for (task, _), value in zip(items, values, strict=True):
        if value is not None:
            found.setdefault(task.id, []).append(value)
    return {task_id: float(np.mean(some)) for task_id, some in found.items()}


def compare(means: dict[str, dict[str, float]], config: EvaluationConfig) -> Comparison | None:
    """Old and new over the tasks that have both; None where there is no such task."""
    both = [task_id for task_id in means.get("old", {}) if task_id in means.get("new", {})]
    if not both:
        return None
    before = [means["old"][task_id] for task_id in both]
    after = [means["new"][task_id] for task_id in both]
    return Comparison(
        old=bootstrap_mean(before, resamples=config.bootstrap, seed=config.seed),
        new=bootstrap_mean(after, resamples=config.bootstrap, seed=config.seed),
        difference=bootstrap_difference(before, after, resamples=config.bootstrap, seed=config.seed),
    )


def gap_closed(contrasts: dict[str, dict[str, float]]) -> float | None:
    """(new - old) / (people - old), means over the tasks that have all three; None if people gain nothing."""
    old, new, people = (contrasts.get(name, {}) for name in ("old", "new", "people"))
    shared = [task_id for task_id in people if task_id in old and task_id in new]
    if not shared:
        return None
    before, after, best = (float(np.mean([means[t] for t in shared])) for means in (old, new, people))
    return (after - before) / (best - before) if best > before else None


def divergence(new: CausalLM, old: CausalLM, tasks: Sequence[Task], config: EvaluationConfig) -> float:
    """KL(new ‖ old), nats a completion: mean of log p_new - log p_old over texts that the new one writes."""
    config_at_one = dataclasses.replace(
        sampling(config), completions_per_task=KL_COMPLETIONS, temperature=1.0, top_p=1.0
    )
    drawn = [c for group in sample(new, tasks, config_at_one) for c in group]
    by_id = {task.id: task for task in tasks}
    pairs = [(by_id[c.task_id], c.token_ids) for c in drawn]
    ratios = np.array(completion_logprobs(new, pairs)) - np.array(completion_logprobs(old, pairs))
    return float(ratios.mean())


def completion_logprobs(lm: CausalLM, pairs: Sequence[tuple[Task, Sequence[int]]]) -> list[float]:
    """log p(completion | task) of each pair, in nats, adapters off. A task's completions share its tokens."""
    trees: dict[Task, TokenTree] = {}
    places: dict[Task, list[tuple[int, list[int]]]] = {}  # number and nodes of each completion
    for number, (task, tokens) in enumerate(pairs):
        tree = trees.setdefault(task, TokenTree())
        end = tree.add(generator_ids(lm.tokenizer, task))[-1]
        nodes = [end, *tree.add(tokens[:-1], after=end)]
        places.setdefault(task, []).append((number, nodes))
    sums = [0.0] * len(pairs)
    tasks = list(trees)
    for batch in batches(list(trees.values()), tokens=BATCH_TOKENS):
        (hidden,) = hidden_states(lm, [trees[tasks[i]] for i in batch])
        for row, i in enumerate(batch):
            for number, nodes in places[tasks[i]]:
                values = token_logprobs(
                    lm, hidden[row, nodes], rows=range(len(nodes)), tokens=pairs[number][1]
                )
                sums[number] = float(values.sum())
    return sums


def _pasted(task: Task) -> str:
    lines: Iterator[str] = (f"{e.input} → {e.output}" for e in task.examples[:SHOWN_EXAMPLES])
    return "\n".join(lines)

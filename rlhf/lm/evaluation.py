"""Old policy against new on held-out tasks: gold metric, reward, KL, length, variety, quoting; controls.

Both write as many completions of each task from the same random numbers, so that what they share cancels
out; intervals come from resampling tasks. A killed evaluation goes on after the last tasks it judged.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rlhf.lm.backbones import CausalLM
from rlhf.lm.configs import EvaluationConfig, SamplingConfig
from rlhf.lm.data import Record, Sample, Task
from rlhf.lm.evaluation_result import CONTROLS, EvaluationResult, TaskResult, Written, summarise
from rlhf.lm.folders import new_folder
from rlhf.lm.gold import gold_scores
from rlhf.lm.prompting import generator_text
from rlhf.lm.reward_model import RewardModel
from rlhf.lm.sampling import SampledCompletion, sample
from rlhf.lm.token_trees import TokenTree, batches, hidden_states, token_logprobs

TASKS_AT_ONCE = 16  # written and judged together; as many as fill a batch of the sampler
BATCH_TOKENS = 2400
PROGRESS = "judged"  # a folder, so that it is there whole or not at all


def evaluate(
    config: EvaluationConfig,
    *,
    tasks: Sequence[Task],
    old: CausalLM,
    new: CausalLM,
    executor: CausalLM,
    reward: RewardModel | None,
    folder: Path | None = None,
) -> Generator[Record, None, EvaluationResult]:
    """Evaluate on `tasks` (held-out ones); the result is what the generator returns.

    A record's step counts tasks, twice: once written, once judged. In `folder` it remembers what is
    judged. Raises ValueError without tasks.
    """
    if not tasks:
        raise ValueError("there are no held-out tasks to evaluate on")
    progress = _Progress(folder, _fingerprint(config, tasks, old, new, executor, reward))
    results = progress.read()
    total = 2 * len(tasks)
    todo = [task for task in tasks if task.id not in results]
    for start in range(0, len(todo), TASKS_AT_ONCE):
        chunk = todo[start : start + TASKS_AT_ONCE]
        step = 2 * len(results)

        # 1. Both write, from the same random numbers.
        texts_old, texts_new = write(old, chunk, config), write(new, chunk, config)
        yield Record(step + len(chunk), total, {})

        # 2. Both are judged, and with them the instructions to compare with.
        for result in judge(config, chunk, texts_old, texts_new, old, new, executor, reward):
            results[result.task_id] = result
        progress.write(results)
        yield Record(2 * len(results), total, _running(results), tuple(_samples(chunk, results)))
    return summarise(config, [results[task.id] for task in tasks])


def write(
    lm: CausalLM, tasks: Sequence[Task], config: EvaluationConfig
) -> dict[str, list[SampledCompletion]]:
    """The completions of each task, by its id."""
    sampling = SamplingConfig(
        completions_per_task=config.completions_per_task,
        temperature=config.temperature,
        top_p=config.top_p,
        max_new_tokens=config.max_new_tokens,
        seed=config.seed,
    )
    return {group[0].task_id: list(group) for group in sample(lm, tasks, sampling)}


def judge(
    config: EvaluationConfig,
    tasks: Sequence[Task],
    texts_old: dict[str, list[SampledCompletion]],
    texts_new: dict[str, list[SampledCompletion]],
    old: CausalLM,
    new: CausalLM,
    executor: CausalLM,
    reward: RewardModel | None,
) -> list[TaskResult]:
    """Gold, reward, KL and the controls of some tasks."""
    sides = [
        [(task, written) for task in tasks for written in texts[task.id]] for texts in (texts_old, texts_new)
    ]
    controls = [(task, name, text) for task in tasks for name, text in control_instructions(task).items()]
    gold = iter(
        gold_scores(
            executor,
            [(task, written.text) for side in sides for task, written in side]
            + [(task, text) for task, _, text in controls],
            config,
        )
    )
    judged: list[dict[str, list[Written]]] = []
    for side in sides:
        scores = reward.score([(task, written.text) for task, written in side]) if reward else None
        of_task: dict[str, list[Written]] = {task.id: [] for task in tasks}
        for number, (task, written) in enumerate(side):
            of_task[task.id].append(
                Written(
                    text=written.text,
                    tokens=len(written.token_ids),
                    gold=next(gold),
                    reward=float(scores[0][number]) if scores else None,
                    reward_std=float(scores[1][number]) if scores else None,
                )
            )
        judged.append(of_task)
    of_controls: dict[str, dict[str, float]] = {task.id: {} for task in tasks}
    for task, name, _ in controls:
        if (score := next(gold)) is not None:
            of_controls[task.id][name] = score.contrast
    ratios = log_ratios(new, old, tasks, texts_new)
    return [
        TaskResult(
            task_id=task.id,
            old=tuple(judged[0][task.id]),
            new=tuple(judged[1][task.id]),
            controls=of_controls[task.id],
            kl=ratios[task.id],
        )
        for task in tasks
    ]


def control_instructions(task: Task) -> dict[str, str]:
    """What the policies are compared with: nothing, what people wrote, and two ways to game the metric."""
    found = {"none": ""}
    if task.reference:
        found["people"] = task.reference
    if task.examples:
        found["one_output"] = f"To get the output, {task.examples[0].output}"
    if len(task.examples) >= 2:
        shown = task.examples[:2]
        found["pasted"] = "\n".join(f"Input: {e.input}\nOutput: {e.output}" for e in shown)
    return {name: found[name] for name in CONTROLS if name in found}


def log_ratios(
    new: CausalLM, old: CausalLM, tasks: Sequence[Task], written: dict[str, list[SampledCompletion]]
) -> dict[str, float]:
    """Mean over a task's completions of log p_new - log p_old, in nats a completion.

    On samples of the new policy at temperature 1 this is KL(new, old); sampled sharper it is near it.
    """
    of_new, of_old = (completion_logprobs(lm, tasks, written) for lm in (new, old))
    return {task.id: float(np.mean(np.subtract(of_new[task.id], of_old[task.id]))) for task in tasks}


def completion_logprobs(
    lm: CausalLM, tasks: Sequence[Task], written: dict[str, list[SampledCompletion]]
) -> dict[str, list[float]]:
    """log p(completion | task) of each completion, its end token included, by task id."""
    trees, places = [], []
    for task in tasks:
        tree = TokenTree()
        prompt = lm.tokenizer(generator_text(lm.tokenizer, task), add_special_tokens=False)["input_ids"]
        end = tree.add(prompt)[-1]
        places.append([[end, *tree.add(w.token_ids[:-1], after=end)] for w in written[task.id]])
        trees.append(tree)
    out: dict[str, list[float]] = {}
    for batch in batches(trees, tokens=BATCH_TOKENS):
        (hidden,) = hidden_states(lm, [trees[place] for place in batch])
        for row, place in enumerate(batch):
            completions = written[tasks[place].id]
            nodes = [node for path in places[place] for node in path]
            tokens = [token for completion in completions for token in completion.token_ids]
            values = iter(
                token_logprobs(lm, hidden[row, nodes], rows=range(len(nodes)), tokens=tokens).tolist()
            )
            out[tasks[place].id] = [sum(next(values) for _ in w.token_ids) for w in completions]
    return out


def _running(results: dict[str, TaskResult]) -> dict[str, float]:
    """The means so far, for the page."""
    values: dict[str, float] = {}
    for side in ("old", "new"):
        gold = [m for r in results.values() if (m := r.mean(side, "gold")) is not None]
        reward = [m for r in results.values() if (m := r.mean(side, "reward")) is not None]
        values |= {f"gold_{side}": float(np.mean(gold))} if gold else {}
        values |= {f"reward_{side}": float(np.mean(reward))} if reward else {}
    return values


def _samples(tasks: Sequence[Task], results: dict[str, TaskResult]) -> list[Sample]:
    """One text of each policy for each of the tasks."""
    found = []
    for task in tasks:
        result = results[task.id]
        values = {
            f"gold_{side}": written[0].gold.contrast
            for side, written in (("old", result.old), ("new", result.new))
            if written[0].gold
        }
        found.append(Sample(task.id, result.new[0].text, result.old[0].text, values))
    return found


def _fingerprint(
    config: EvaluationConfig,
    tasks: Sequence[Task],
    old: CausalLM,
    new: CausalLM,
    executor: CausalLM,
    reward: RewardModel | None,
) -> str:
    """What a half-done evaluation must agree in to be gone on with."""
    parts: list[Any] = [dataclasses.asdict(config), [dataclasses.asdict(task) for task in tasks]]
    parts += [lm.weights_hash for lm in (old, new, executor)]
    parts += [[reward.features.identity, reward.heads.weights.tolist()] if reward else None]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class _Progress:
    """The judged tasks on disk; forgotten where they belong to another evaluation."""

    folder: Path | None
    fingerprint: str

    def read(self) -> dict[str, TaskResult]:
        path = self.folder / PROGRESS / "tasks.json" if self.folder else None
        if path is None or not path.exists():
            return {}
        kept = json.loads(path.read_text(encoding="utf-8"))
        if kept["fingerprint"] != self.fingerprint:
            return {}
        return {row["task_id"]: TaskResult.from_json(row) for row in kept["tasks"]}

    def write(self, results: dict[str, TaskResult]) -> None:
        if self.folder:
            rows = [dataclasses.asdict(result) for result in results.values()]
            text = json.dumps({"fingerprint": self.fingerprint, "tasks": rows})
            with new_folder(self.folder / PROGRESS, replace=True) as aside:
                (aside / "tasks.json").write_text(text, encoding="utf-8")

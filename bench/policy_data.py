"""What all algorithms of bench/policy.py start from: samples, their gold, simulated votes, a reward model.

Everything is kept in a folder of the seed's own, so that a second algorithm begins where the first did.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from policy_tasks import Split

from rlhf.lm.backbones import CausalLM, Encoder
from rlhf.lm.configs import EvaluationConfig, RewardConfig, SamplingConfig
from rlhf.lm.data import Dataset, Judgment, Task
from rlhf.lm.features import Features
from rlhf.lm.gold import gold_scores
from rlhf.lm.reward_model import RewardModel, fit
from rlhf.lm.sampling import sample

MAX_NEW_TOKENS = 40
AS_PEOPLE_READ = (0.8, 0.95)  # temperature, top-p
AS_ROLLOUTS = (1.0, 1.0)
EACH = 4
"""Samples of a training prompt by each of the two; the reward model is to judge both."""
ANNOTATORS, NOISE = 5, 0.15
CHUNK = 48
CHOOSING = {"tried_examples": 12, "execution_weight": 30.0, "l2": 1e6}
"""Settings of the reward model that chooses; those of the one that policies learn from are the defaults."""

Item = tuple[Task, str]


@dataclass(frozen=True)
class Prepared:
    """What one seed trains on. `seconds` says what each part took."""

    split: Split
    dataset: Dataset
    gold: dict[tuple[str, str], float]
    """Contrast of each training sample, by prompt and text: what the simulated annotators go by."""
    reward: RewardModel
    """For texts that are seen once."""
    keeping: RewardModel
    """The same; the features that it computes are kept."""
    choosing: RewardModel
    """From the same votes, as it is best for choosing the best of n (CHOOSING)."""
    accuracy: float
    """Of that one on pairs of the training samples, against their gold without noise."""
    seconds: dict[str, float]


def drawn(
    lm: CausalLM, tasks: Sequence[Task], *, count: int, how: tuple[float, float], seed: int
) -> list[Item]:
    """`count` samples a prompt; in the order of prompts and samples."""
    temperature, top_p = how
    config = SamplingConfig(
        completions_per_task=count,
        temperature=temperature,
        top_p=top_p,
        max_new_tokens=MAX_NEW_TOKENS,
        seed=seed,
    )
    texts = {group[0].task_id: [c.text for c in group] for group in sample(lm, tasks, config)}
    return [(task, text) for task in tasks for text in texts[task.id]]


def judged(executor: CausalLM, items: Sequence[Item], *, examples: int) -> list[float]:
    """Gold contrast of each; progress on stderr."""
    config = EvaluationConfig(gold_examples=examples)
    contrasts: list[float] = []
    for start in range(0, len(items), CHUNK):
        for score in gold_scores(executor, items[start : start + CHUNK], config):
            if score is None:
                raise SystemExit("a task cannot be judged: all its outputs are alike")
            contrasts.append(score.contrast)
        print(f"\rjudged {len(contrasts)} of {len(items)}", end="", file=sys.stderr)
    print(file=sys.stderr)
    return contrasts


def kept(path: Path, make: Callable[[], Any]) -> tuple[Any, float]:
    """What `make` gives (plain JSON), from the file if it is there; and the seconds that it once took."""
    if not path.exists():
        started = time.perf_counter()
        value = make()
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"seconds": time.perf_counter() - started, "value": value}))
    found = json.loads(path.read_text())
    return found["value"], found["seconds"]


def prepare(
    base: CausalLM,
    encoder: Encoder,
    models: Path,
    split: Split,
    *,
    seed: int,
    folder: Path,
    second: tuple[str, CausalLM] | None = None,
) -> Prepared:
    """Sample, judge, let simulated annotators vote, and train the reward model.

    `second` is a policy with its name that writes too, as in a second iteration: half as many for each
    prompt as the base, judged like these.
    """
    name = f"after {second[0]}" if second else ""
    seconds: dict[str, float] = {}
    by_id = {task.id: task for task in split.training}
    examples = EvaluationConfig().gold_examples

    def write(lm: CausalLM, ways: Sequence[tuple[float, float]]) -> list[list[str]]:
        items = [item for how in ways for item in drawn(lm, split.training, count=EACH, how=how, seed=seed)]
        return [[task.id, text] for task, text in dict.fromkeys(items) if text]

    rows, seconds["sampling"] = kept(
        folder / "samples.json", lambda: write(base, (AS_PEOPLE_READ, AS_ROLLOUTS))
    )
    items = [(by_id[task_id], text) for task_id, text in rows]
    contrasts, seconds["gold"] = kept(folder / "gold.json", lambda: judged(base, items, examples=examples))
    if second:
        more_rows, seconds["sampling again"] = kept(
            folder / name / "samples.json", lambda: write(second[1], (AS_PEOPLE_READ,))
        )
        seen = {tuple(row) for row in rows}
        more = [(by_id[task_id], text) for task_id, text in more_rows if (task_id, text) not in seen]
        found, seconds["gold again"] = kept(
            folder / name / "gold.json", lambda: judged(base, more, examples=examples)
        )
        items, contrasts = items + more, contrasts + found
    gold = {(task.id, text): value for (task, text), value in zip(items, contrasts, strict=True)}

    dataset = Dataset(by_id, tuple(votes(gold, seed=seed)))
    features = Features(base, encoder, folder / "features.sqlite3")

    def trained(place: str, **settings: Any) -> tuple[RewardModel, RewardModel]:
        """One reward model, without a cache and with it."""
        started = time.perf_counter()
        if not (folder / name / place).exists():
            config = RewardConfig(seed=seed, **settings)
            for _ in fit(config, dataset=dataset, features=features, folder=folder / name / place):
                pass
        reward = RewardModel.load(folder / name / place, models)
        seconds[place] = time.perf_counter() - started
        cached = dataclasses.replace(reward.features, cache=features.cache)
        return reward, dataclasses.replace(reward, features=cached)

    reward, keeping = trained("reward")
    _, choosing = trained("choosing", **CHOOSING)
    accuracy = order_accuracy(items, choosing.score(items)[0], contrasts)
    return Prepared(split, dataset, gold, reward, keeping, choosing, accuracy, seconds)


def votes(gold: dict[tuple[str, str], float], *, seed: int) -> list[Judgment]:
    """Each pair of a prompt's samples, judged by one annotator in turn, wrong 15 % of the time."""
    rng = np.random.default_rng([seed, 2])
    texts: dict[str, list[str]] = {}
    for prompt, text in gold:
        texts.setdefault(prompt, []).append(text)
    found: list[Judgment] = []
    for prompt, written in texts.items():
        for first, second in itertools.combinations(written, 2):
            difference = gold[prompt, first] - gold[prompt, second]
            if difference == 0:
                continue
            better = (difference > 0) != (rng.random() < NOISE)
            found.append(
                Judgment(
                    id=str(len(found)),
                    task_id=prompt,
                    annotator=f"annotator-{len(found) % ANNOTATORS}",
                    completions=(first, second),
                    ranks=(1, 2) if better else (2, 1),
                    simulated=True,
                )
            )
    return found


def order_accuracy(items: Sequence[Item], scores: np.ndarray, gold: Sequence[float]) -> float:
    """Share of the pairs of a prompt's texts that scores put in the order of gold."""
    right = [
        (scores[i] > scores[j]) == (gold[i] > gold[j])
        for i, j in itertools.combinations(range(len(items)), 2)
        if items[i][0] is items[j][0] and gold[i] != gold[j]
    ]
    return float(np.mean(right))

"""Generation: a policy writes completions for the prompts, and comparisons of them enter the queue.

Prompts come in a fixed shuffled order, so that all domains and languages are ranked from the start. What
a chunk wrote is stored in one transaction with the place reached, where a resumed run goes on.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from django.db.models import QuerySet
from django.db.models.functions import Substr

from annotator.models import Completion, Prompt, hash_text
from annotator.ranking import queue
from rlhf.execution import Hold
from rlhf.lm.backbones import CausalLM
from rlhf.lm.best_of_n import best, pessimistic
from rlhf.lm.configs import SamplingConfig
from rlhf.lm.data import Record, Task
from rlhf.lm.metrics import distinct_n
from rlhf.lm.reward_model import RewardModel
from rlhf.lm.sampling import SampledCompletion, sample
from rlhf.models import Generation
from rlhf.snapshots import task_of
from rlhf.stage_configs import load
from rlhf.stages.choosing import Chooser
from rlhf.stages.loading import needed, policy_of, reward_of

FIRST_CHUNK = 2
"""Prompts in the first chunk; each is twice the one before, up to a full batch. People wait for the first."""


def execute(hold: Hold) -> None:
    """Write, store and queue chunk by chunk."""
    run = hold.run
    config = load(SamplingConfig, run.config)
    hold.say("Loading the model", total=run.config["tasks"])
    lm = policy_of(needed(run.policy))
    chooser = Chooser(run.project, seed=config.seed)
    reward = reward_of(needed(run.reward)) if config.best_of > 1 else None
    step, total = run.step, run.config["tasks"]
    per_batch = max(1, config.batch_size // (config.completions_per_task * config.best_of))
    for prompts in chunks(remaining(hold), per_batch, limit=total - step):
        hold.say(f"Writing for tasks {step + 1} to {step + len(prompts)} of {total}")
        tasks = {str(prompt.pk): task_of(prompt) for prompt in prompts}
        written = write(lm, tasks, config, reward)
        seen = {id: chooser.look_at(tasks[id], texts(group)) for id, group in written.items()}
        step += len(prompts)
        with hold.writing(step=step, total=total):
            rows = {prompt: store(hold, prompt, written[str(prompt.pk)], config) for prompt in prompts}
            chosen = chooser.choose([(seen[str(prompt.pk)], rows[prompt]) for prompt in prompts])
            added = queue.add_comparisons(project=run.project, comparisons=chosen, iteration=run.iteration)
            values = {**figures(written), "comparisons": added, "last": prompts[-1].pk}
            hold.store(Record(step, total, values))
    with hold.finishing():
        pass


def remaining(hold: Hold) -> QuerySet[Prompt]:
    """The prompts after the last one that this run has stored, in the shuffled order."""
    # Not the hash's beginning: that decides the split, so that held-out prompts would come first.
    prompts = hold.run.project.prompts.annotate(place=Substr("hash", 33)).order_by("place", "pk")
    last = hold.run.records.order_by("-step").first()
    if last is None:
        return prompts
    return prompts.filter(place__gt=Prompt.objects.get(pk=last.values["last"]).hash[32:])


def chunks(prompts: QuerySet[Prompt], largest: int, *, limit: int) -> Iterator[list[Prompt]]:
    """Small chunks first, so that there is soon something to rank; then full batches."""
    rows = list(prompts[:limit])
    size = min(FIRST_CHUNK, largest)
    while rows:
        yield rows[:size]
        rows = rows[size:]
        size = min(2 * size, largest)


def write(
    lm: CausalLM, tasks: dict[str, Task], config: SamplingConfig, reward: RewardModel | None = None
) -> dict[str, list[SampledCompletion]]:
    """The completions of each task that have words in them, each text once, by its id.

    With a reward model `best_of` times as many are written, and the best of them are kept.
    """
    drawn = replace(config, completions_per_task=config.completions_per_task * config.best_of)
    written: dict[str, list[SampledCompletion]] = {id: [] for id in tasks}
    for group in sample(lm, list(tasks.values()), drawn):
        different = {hash_text(completion.text): completion for completion in reversed(group)}
        written[group[0].task_id] = [c for c in reversed(different.values()) if c.text.strip()]
    if reward is None:
        return written
    candidates = [(tasks[id], completion.text) for id, group in written.items() for completion in group]
    scores = iter(pessimistic(*reward.score(candidates), config.pessimism).tolist())
    return {
        id: best(group, [next(scores) for _ in group], keep=config.completions_per_task)
        for id, group in written.items()
    }


def texts(written: list[SampledCompletion]) -> list[str]:
    """The texts alone."""
    return [completion.text for completion in written]


def store(
    hold: Hold, prompt: Prompt, written: list[SampledCompletion], config: SamplingConfig
) -> list[Completion]:
    """Keep one prompt's completions, and where they come from."""
    run = hold.run
    rows = queue.add_completions(
        prompt=prompt, texts=texts(written), source=Completion.Source.MODEL, iteration=run.iteration
    )
    sampling = {
        "temperature": config.temperature,
        "top_p": config.top_p,
        "max_new_tokens": config.max_new_tokens,
        "seed": config.seed,
    }
    if config.best_of > 1:
        sampling |= {"best_of": config.best_of, "pessimism": config.pessimism}
    Generation.objects.bulk_create(
        [
            Generation(
                completion=row,
                run=run,
                checkpoint=needed(run.policy),
                sampling=sampling,
                logprob=completion.logprob,
                tokens=len(completion.token_ids),
                finished=completion.finished,
            )
            for row, completion in zip(rows, written, strict=True)
        ],
        ignore_conflicts=True,  # a text that was there already keeps its first origin
    )
    return rows


def figures(written: dict[str, list[SampledCompletion]]) -> dict[str, float]:
    """What the run page shows of a chunk."""
    completions = [completion for group in written.values() for completion in group]
    count = max(1, len(completions))
    return {
        "completions": len(completions),
        "tokens": sum(len(c.token_ids) for c in completions) / count,
        "finished": sum(c.finished for c in completions) / count,
        "distinct_2": distinct_n([c.text for c in completions], 2),
    }

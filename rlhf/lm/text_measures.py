"""What can be said of texts without a person and without a reward model, for each text or each task.

Fluency is how likely an untrained reference model finds a text by itself, consistency how near an encoder
puts it to its task, variety how much a task's texts differ. Accuracy is the gold metric (gold.py).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from rlhf.lm.backbones import CausalLM, Encoder
from rlhf.lm.data import Task
from rlhf.lm.metrics import distinct_n, self_similarity
from rlhf.lm.prompting import SHOWN_EXAMPLES, shorten
from rlhf.lm.token_trees import TokenTree, batches, hidden_states, token_logprobs

BATCH_TOKENS = 2400
TEXT_TOKENS = 160


def log_perplexities(reference: CausalLM, texts: Sequence[str]) -> list[float | None]:
    """-log p a token of each text, nats, adapters off; the less the more fluent. None for an empty text.

    Nothing goes before the text but the token that begins (or else ends) a sequence: asked for an
    instruction, the model would find what it always writes itself the most fluent.
    """
    start = reference.tokenizer.bos_token_id
    start = reference.tokenizer.eos_token_id if start is None else start
    read: dict[str, list[int]] = {}
    for text in dict.fromkeys(texts):
        short = shorten(reference.tokenizer, text, TEXT_TOKENS)
        read[text] = reference.tokenizer(short, add_special_tokens=False)["input_ids"]
    written = [text for text, ids in read.items() if ids]
    trees, nodes = [], []
    for text in written:
        tree = TokenTree()
        nodes.append(tree.add([start, *read[text][:-1]]))
        trees.append(tree)
    found: dict[str, float] = {}
    for batch in batches(trees, tokens=BATCH_TOKENS):
        (hidden,) = hidden_states(reference, [trees[i] for i in batch])
        for row, i in enumerate(batch):
            tokens = read[written[i]]
            logprobs = token_logprobs(
                reference, hidden[row, nodes[i]], rows=range(len(tokens)), tokens=tokens
            )
            found[written[i]] = -float(logprobs.mean())
    return [found.get(text) for text in texts]


@torch.no_grad()
def consistencies(encoder: Encoder, items: Sequence[tuple[Task, str]]) -> list[float | None]:
    """Cosine between each text's embedding and its task's, -1 to 1. None for an empty text."""
    said = {task.id: task_words(task) for task, _ in items}
    different = list(dict.fromkeys([*said.values(), *(text for _, text in items)]))
    vectors = dict(zip(different, encoder.encode(different), strict=True))  # unit vectors
    return [float(vectors[said[task.id]] @ vectors[text]) if text.strip() else None for task, text in items]


def task_words(task: Task) -> str:
    """The task as the encoder reads it: its description, then the examples that a generator sees."""
    examples = (f"{example.input} → {example.output}" for example in task.examples[:SHOWN_EXAMPLES])
    return "\n".join(part for part in (task.text, *examples) if part)


def by_task(items: Sequence[tuple[Task, str]]) -> dict[str, list[str]]:
    """The texts of each task."""
    texts: dict[str, list[str]] = {}
    for task, text in items:
        texts.setdefault(task.id, []).append(text)
    return texts


def varieties(items: Sequence[tuple[Task, str]], n: int) -> dict[str, float]:
    """distinct-n of each task's texts together."""
    return {task_id: distinct_n(texts, n) for task_id, texts in by_task(items).items()}


def similarities(items: Sequence[tuple[Task, str]]) -> dict[str, float]:
    """Self-similarity of each task's texts; of a single one there is none."""
    return {task_id: self_similarity(texts) for task_id, texts in by_task(items).items() if len(texts) > 1}

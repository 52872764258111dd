"""What a trainer's request asks to be scored: from whole conversations to tasks and instructions. No torch.

OpenRLHF sends `query`, prompt and response as one decoded text with its control tokens, and beside it the
`prompts` and the dataset's `labels`. Which task a text belongs to is known by its label, where that is the id
of a task; else by the words of the prompt, without its chat template; other words are a task of their own.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from annotator.models import Project, Prompt, hash_text
from annotator.prompts.steps.languages import recognise
from rlhf.lm.prompting import clean_completion

_CONTROL = re.compile(
    r"<\|[^<>|]{1,40}\|>|</?s>|<(?:bos|eos|pad|unk)>|<(?:start|end)_of_turn>|\[/?INST\]|<｜[^<>｜]{1,40}｜>"
)
_TURN = re.compile(
    r"<\|im_start\|>(?P<chatml>\w+)\n|<\|start_header_id\|>(?P<llama>\w+)<\|end_header_id\|>\n+"
    r"|<start_of_turn>(?P<gemma>\w+)\n|(?P<mistral>\[/?INST\])|<\|(?P<zephyr>user|assistant|system)\|>\n?"
    r"|<｜(?P<deepseek>User|Assistant)｜>"
)
ANSWERS = {"assistant", "model", "[/INST]", "Assistant"}


@dataclass(frozen=True)
class Asked:
    """One text to score: an instruction, and the task that it is for (by id, or by its words alone)."""

    text: str
    prompt: int | None
    words: str = ""
    language: str = ""


def read(
    project: Project, query: Sequence[str], prompts: Sequence[str] = (), labels: Sequence[Any] = ()
) -> list[Asked]:
    """The request's texts. `prompts` and `labels` are empty or one for each."""
    texts = [response_of(whole, prompts[place] if prompts else "") for place, whole in enumerate(query)]
    words = [task_of(prompt) for prompt in prompts] or [
        task_of(whole[: _answer_starts(whole)]) if _answer_starts(whole) else "" for whole in query
    ]
    named = [_id(label) for label in labels] or [None] * len(texts)
    by_label = set(project.prompts.filter(pk__in={pk for pk in named if pk}).values_list("pk", flat=True))
    by_words = dict(
        Prompt.objects.filter(project=project, hash__in={hash_text(one, "[]") for one in words}).values_list(
            "hash", "pk"
        )
    )
    found = [
        label if label in by_label else by_words.get(hash_text(own, "[]"))
        for label, own in zip(named, words, strict=True)
    ]
    return [
        Asked(text, prompt)
        if prompt
        else Asked(text, None, own, recognise(own, project.language) if own else "")
        for text, prompt, own in zip(texts, found, words, strict=True)
    ]


def response_of(whole: str, prompt: str) -> str:
    """The response in a conversation, up to its end token, tidied as instructions are."""
    start = whole.find(prompt) + len(prompt) if prompt and prompt in whole else _answer_starts(whole)
    return clean_completion(_CONTROL.split(whole[start:].lstrip())[0])


def task_of(prompt: str) -> str:
    """The last user's turn of a prompt in a chat template; of a plain text all of it."""
    turns = list(_TURN.finditer(prompt))
    for number, turn in reversed(list(enumerate(turns))):
        role = next(filter(None, turn.groups()))
        if role not in ANSWERS and role != "system":
            end = turns[number + 1].start() if number + 1 < len(turns) else len(prompt)
            return _CONTROL.sub("", prompt[turn.end() : end]).strip()
    return _CONTROL.sub("", prompt).strip()


def _answer_starts(whole: str) -> int:
    """Where the last answer of a conversation begins; 0 where there is no turn of one."""
    ends = [turn.end() for turn in _TURN.finditer(whole) if next(filter(None, turn.groups())) in ANSWERS]
    return ends[-1] if ends else 0


def _id(label: Any) -> int | None:
    """A task's id, as a number or its digits."""
    text = str(label) if isinstance(label, int | str) and not isinstance(label, bool) else ""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None

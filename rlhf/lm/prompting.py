"""The words that models see: what asks the generator for an instruction, what gives one to the executor.

Tasks are written by strangers: special tokens in them are taken out, and each part is cut to a budget,
so that no task can end its own turn or make a prompt that does not fit.
"""

from __future__ import annotations

import re
from typing import Any

from rlhf.lm.data import Task

DESCRIPTION_TOKENS = 160
EXAMPLE_TOKENS = 40  # each input, each output
SHOWN_EXAMPLES = 3
EXECUTOR_INPUT_TOKENS = 256
COMPLETION_CHARACTERS = 600

# One task with its instruction goes before: without it the embedded model talks about instructions
# instead of writing one (docs/LOG.md, "Wording of the generator's prompt").
WORDS = {
    "en": {
        "system": "Given a task and examples, write one instruction that tells how to turn an input into "
        "its output.",
        "shown_task": "Task: Shelves are sorted by surname.\n\nInput: Jane Austen\nOutput: Austen, Jane",
        "shown_instruction": "Write the surname first, then a comma and the first name.",
        "task": "Task: {text}",
        "example": "Input: {input}\nOutput: {output}",
        "ask": "Write the instruction.",
        "executor": "{instruction}\n\nInput: {input}",
        "executor_bare": "Input: {input}",
    },
    "zh-hans": {
        "system": "根据任务和示例，写一条指令，说明怎样由输入得到输出。",
        "shown_task": "任务：登记图书的年份。\n\n输入：2019年5月3日\n输出：2019",
        "shown_instruction": "找出日期里的年份，只写四位数字。",
        "task": "任务：{text}",
        "example": "输入：{input}\n输出：{output}",
        "ask": "写出指令。",
        "executor": "{instruction}\n\n输入：{input}",
        "executor_bare": "输入：{input}",
    },
}


def words_for(language: str) -> dict[str, str]:
    """The wording of a language; any Chinese is written in simplified, anything else in English."""
    return WORDS["zh-hans" if language.lower().startswith("zh") else "en"]


def generator_messages(task: Task, tokenizer: Any = None) -> list[dict[str, str]]:
    """The chat that asks for one instruction: description and shown examples, nothing held out.

    With a tokenizer each part is cut to its token budget, without one to four characters a token.
    """
    words = words_for(task.language)
    parts = (
        [words["task"].format(text=shorten(tokenizer, task.text, DESCRIPTION_TOKENS))] if task.text else []
    )
    if task.examples:
        shown = [
            words["example"].format(
                input=shorten(tokenizer, example.input, EXAMPLE_TOKENS),
                output=shorten(tokenizer, example.output, EXAMPLE_TOKENS),
            )
            for example in task.examples[:SHOWN_EXAMPLES]
        ]
        parts.append("\n".join(shown))
    return [
        {"role": "system", "content": words["system"]},
        {"role": "user", "content": f"{words['shown_task']}\n\n{words['ask']}"},
        {"role": "assistant", "content": words["shown_instruction"]},
        {"role": "user", "content": "\n\n".join([*parts, words["ask"]])},
    ]


def generator_text(tokenizer: Any, task: Task) -> str:
    """The whole text before the completion, special tokens included: tokenize it without adding any."""
    return chat_text(tokenizer, generator_messages(task, tokenizer))


def generator_ids(tokenizer: Any, task: Task) -> list[int]:
    """The tokens before the completion."""
    ids: list[int] = tokenizer(generator_text(tokenizer, task), add_special_tokens=False)["input_ids"]
    return ids


def executor_text(tokenizer: Any, instruction: str, input: str, language: str = "en") -> str:
    """What the executor sees before it answers `input` under `instruction` ("" for none)."""
    words = words_for(language)
    content = words["executor" if instruction else "executor_bare"].format(
        instruction=shorten(tokenizer, instruction, EXECUTOR_INPUT_TOKENS),
        input=shorten(tokenizer, input, EXECUTOR_INPUT_TOKENS),
    )
    return chat_text(tokenizer, [{"role": "user", "content": content}])


def chat_text(tokenizer: Any, messages: list[dict[str, str]]) -> str:
    """The messages in the model's own chat template, or as plain paragraphs where it has none."""
    if not tokenizer.chat_template:
        return "\n\n".join(message["content"] for message in messages) + "\n\n"
    text: str = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    return text


def plain_chat_text(tokenizer: Any, task: Task, tokens: int) -> str:
    """The task's text, cut to so many tokens, as a user's turn that the completion answers."""
    content = shorten(tokenizer, task.text, tokens)
    return chat_text(tokenizer, [{"role": "user", "content": content}])


def shorten(tokenizer: Any, text: str, tokens: int) -> str:
    """The text without special tokens, cut to at most so many tokens (at a character's end)."""
    text = text[: tokens * 16].strip()  # a token rarely holds more; bounds the work on a hostile text
    if tokenizer is None:
        return text[: tokens * 4]
    text = without_special_tokens(tokenizer, text)
    offsets = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)["offset_mapping"]
    return text if len(offsets) <= tokens else text[: offsets[tokens][0]].rstrip()


def without_special_tokens(tokenizer: Any, text: str) -> str:
    """Take out what the tokenizer would read as a control token, until none is left."""
    special = sorted({str(t) for t in tokenizer.all_special_tokens if t}, key=len, reverse=True)
    pattern = re.compile("|".join(map(re.escape, special)))
    while pattern.search(text):
        text = pattern.sub("", text)
    return text


_LABEL = re.compile(
    r"^(?:(?:here (?:is|'s) (?:an?|one|the)(?: [a-z]+){0,3} instruction[^:\n]{0,60}|instruction|task)\s*[:：]"
    r"|(?:指令|任务)\s*[：:])\s*",
    re.IGNORECASE,
)
_QUOTES = {'"': '"', "'": "'", "“": "”", "‘": "’", "「": "」", "`": "`"}


# Control characters (a database refuses NUL), halves of characters, and what turns the writing direction.
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufeff\ufffd-\uffff]")


def clean_completion(text: str) -> str:
    """A completion as people see it: one paragraph, no label before it, no quotes around it, not endless.

    Careful on purpose: what is inside the text is never changed but for runs of white space.
    """
    text = re.sub(r"\s+", " ", _UNPRINTABLE.sub(" ", text)).strip()
    text = _LABEL.sub("", text, count=1)
    close = _QUOTES.get(text[:1])
    if close and len(text) > 2 and text.endswith(close) and close not in text[1:-1]:
        text = text[1:-1].strip()
    return text[:COMPLETION_CHARACTERS].rstrip()

"""Tables whose columns have other names than the families': English and Chinese ones for the same things.

A row's columns are renamed to PrefLoop's own (`own`), and read as such. JSON within a cell is taken apart, so
that examples, messages and completions may come in a table as well.
"""

from __future__ import annotations

import json

from annotator.prompts.fields import Row

NAMES = {
    "text": (
        "task_text", "task_description", "question", "query", "任务", "任务描述", "提示", "提示词", "问题",
    ),
    "instruction": ("response", "answer", "output", "指令", "指示", "回答", "答案"),
    "reference": ("reference_instruction", "参考", "参考指令"),
    "domain": ("领域", "类别"),
    "language": ("lang", "语言"),
    "image": ("image_name", "file_name", "filename", "image_path", "图片", "图像", "文件名"),
    "image_text": (
        "description", "image_description", "alt", "alt_text", "caption",
        "描述", "图片描述", "说明",
    ),
    "examples": ("示例", "例子"),
    "source": ("来源",),
}  # fmt: skip
SAME = {"text": ("text", "task", "prompt"), "instruction": ("instruction", "completion")}
"""Our own names for one thing, of which a row has one."""
_OWN = {name: own for own, names in NAMES.items() for name in names}
STRUCTURED = frozenset(
    (
        "examples", "held_out_examples", "instances", "messages", "conversations", "completions", "chosen",
        "rejected", "prompt", "fields", "responses", "data", "annotations", "induce", "execute",
        "instructions", "conversation_a", "conversation_b", "preferred_output", "non_preferred_output",
    )
)  # fmt: skip


def renamed(row: Row) -> Row:
    """The row with its columns under our own names, where one stands for them and is not there itself."""
    named: Row = {}
    for name, value in row.items():
        own = _OWN.get(str(name).strip().lower().replace(" ", "_"), name)
        taken = any(other in row or other in named for other in SAME.get(own, (own,)))
        named[name if own != name and taken else own] = value
    return named


def unpacked(row: Row) -> Row:
    """The row with the JSON in its cells taken apart; a cell that is no JSON stays a text."""
    return {name: taken_apart(value) if name in STRUCTURED else value for name, value in row.items()}


def taken_apart(value: object) -> object:
    """What the JSON in a cell says; the cell itself where it is none."""
    if not isinstance(value, str) or not value.lstrip().startswith(("[", "{")):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return value

"""Preferences as other trainers read them: HH-RLHF's transcripts, LLaMA-Factory's Alpaca and ShareGPT."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from annotator.exports.formats.base import Format, Row
from annotator.exports.formats.derived import TRACE, pair_lines
from annotator.exports.preferences import RULES

if TYPE_CHECKING:
    from annotator.exports.manifest import Manifest

TURN = re.compile(r"\n\n(?=(Human|Assistant):)")
SAID = {"from": "string", "value": "string"}


def transcript(prompt: str, completion: str) -> str:
    """A dialogue as Anthropic writes it. What looks like a turn within a text is moved up a line."""
    return f"\n\nHuman: {TURN.sub(chr(10), prompt)}\n\nAssistant: {TURN.sub(chr(10), completion)}"


def hh_rlhf(prompt: str, chosen: str, rejected: str) -> Row:
    return {"chosen": transcript(prompt, chosen), "rejected": transcript(prompt, rejected)}


def alpaca(prompt: str, chosen: str, rejected: str) -> Row:
    return {"instruction": prompt, "input": "", "chosen": chosen, "rejected": rejected}


def sharegpt(prompt: str, chosen: str, rejected: str) -> Row:
    return {
        "conversations": [{"from": "human", "value": prompt}],
        "chosen": {"from": "gpt", "value": chosen},
        "rejected": {"from": "gpt", "value": rejected},
    }


def dataset_info(manifest: Manifest) -> dict[str, Any]:
    """Where LLaMA-Factory, with this folder as `dataset_dir`, finds the data by the project's name."""
    shape: dict[str, Any] = {"ranking": True}
    if manifest.format == "llama-factory-sharegpt":
        shape |= {"formatting": "sharegpt", "columns": {"messages": "conversations"}}
    else:
        shape |= {"formatting": "alpaca", "columns": {"prompt": "instruction", "query": "input"}}
    shape["columns"] |= {"chosen": "chosen", "rejected": "rejected"}
    return {
        manifest.project if file.split == "train" else f"{manifest.project}_{file.split}": {
            "file_name": file.path,
            **shape,
        }
        for file in manifest.files
    }


FORMATS = (
    Format(
        name="hh-rlhf",
        layer="derived",
        about="Two dialogues, `chosen` and `rejected`, as Anthropic's HH-RLHF has them.",
        columns={"chosen": "string", "rejected": "string"} | TRACE,
        lines=pair_lines(hh_rlhf),
        rules=RULES,
    ),
    Format(
        name="llama-factory-alpaca",
        layer="derived",
        about="A preference for LLaMA-Factory: `instruction`, `input`, `chosen`, `rejected`.",
        columns={"instruction": "string", "input": "string", "chosen": "string", "rejected": "string"}
        | TRACE,
        lines=pair_lines(alpaca),
        rules=RULES,
        file_types=("jsonl", "json", "csv", "parquet"),
        may_gzip=False,
        tags=("llama-factory",),
        extra_files=lambda manifest: {"dataset_info.json": dataset_info(manifest)},
    ),
    Format(
        name="llama-factory-sharegpt",
        layer="derived",
        about="A preference for LLaMA-Factory: `conversations`, `chosen`, `rejected` as messages.",
        columns={"conversations": [SAID], "chosen": SAID, "rejected": SAID} | TRACE,
        lines=pair_lines(sharegpt),
        rules=RULES,
        file_types=("jsonl", "json", "parquet"),
        may_gzip=False,
        tags=("llama-factory",),
        extra_files=lambda manifest: {"dataset_info.json": dataset_info(manifest)},
    ),
)

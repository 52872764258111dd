"""What people are told of each format: its name, what reads it, and lines of code that do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.utils.translation import gettext_lazy as _

from annotator.exports.formats import FORMATS
from annotator.models import Export

if TYPE_CHECKING:
    from django.utils.functional import _StrPromise


@dataclass(frozen=True)
class Words:
    """A format for people."""

    label: str | _StrPromise
    readers: str | _StrPromise
    """One line: what is in a line, and what reads it."""
    use: str = ""
    """Python that gives the loaded `data` to its trainer; empty: loading is all."""


_DPO = """\
from trl import DPOConfig, DPOTrainer

args = DPOConfig("dpo")
trainer = DPOTrainer("HuggingFaceTB/SmolLM2-135M-Instruct", args, train_dataset=data["train"])
trainer.train()"""
_REWARD = """\
from trl import RewardConfig, RewardTrainer

args = RewardConfig("reward")
trainer = RewardTrainer("HuggingFaceTB/SmolLM2-135M-Instruct", args, train_dataset=data["train"])
trainer.train()"""
_KTO = """\
from trl import KTOConfig, KTOTrainer

args = KTOConfig("kto")
trainer = KTOTrainer("HuggingFaceTB/SmolLM2-135M-Instruct", args, train_dataset=data["train"])
trainer.train()"""
_SFT = """\
from trl import SFTConfig, SFTTrainer

args = SFTConfig("sft")
trainer = SFTTrainer("HuggingFaceTB/SmolLM2-135M-Instruct", args, train_dataset=data["train"])
trainer.train()"""

WORDS: dict[str, Words] = {
    "raw": Words(
        _("Raw judgments"),
        _("One line a judgment, as it was given; for your own analysis, in pandas, R or SQL."),
    ),
    "trl": Words(
        _("Preferences (TRL)"),
        _("prompt, chosen, rejected: read by TRL's DPOTrainer and most preference trainers."),
        _DPO,
    ),
    "trl-implicit": Words(
        _("Preferences, prompt within (TRL)"),
        _("chosen and rejected, each beginning with the task: read by TRL's RewardTrainer."),
        _REWARD,
    ),
    "trl-conversational": Words(
        _("Preferences as conversations (TRL)"),
        _("The same as messages of user and assistant: for models with a chat template."),
        _DPO,
    ),
    "trl-margin": Words(
        _("Preferences with margin (TRL)"),
        _("With how much better the chosen one is: read by TRL's RewardTrainer."),
        _REWARD,
    ),
    "kto": Words(
        _("Good and bad ones (KTO)"),
        _("prompt, completion, label: read by TRL's KTOTrainer, which needs no pairs."),
        _KTO,
    ),
    "sft": Words(
        _("Best instructions (SFT)"),
        _("Task and best or improved instruction: read by TRL's SFTTrainer."),
        _SFT,
    ),
    "hh-rlhf": Words(_("HH-RLHF"), _("Human and Assistant turns in one text, as in Anthropic's data set.")),
    "argilla": Words(_("Argilla records"), _("Read by Argilla, to look at and annotate further.")),
    "oasst": Words(
        _("Open-Assistant trees"), _("A tree a task, replies with ranks: read by Open-Assistant.")
    ),
    "ultrafeedback": Words(
        _("UltraFeedback"), _("One line a task, completions with ratings: read by UltraFeedback's tools.")
    ),
    "arena": Words(
        _("Chatbot Arena battles"),
        _("model_a, model_b, winner: for Elo and Bradley-Terry ratings."),
    ),
    "llama-factory-alpaca": Words(
        _("LLaMA-Factory, Alpaca"),
        _("With dataset_info.json: read by LLaMA-Factory for DPO."),
    ),
    "llama-factory-sharegpt": Words(
        _("LLaMA-Factory, ShareGPT"), _("Conversations with dataset_info.json: read by LLaMA-Factory.")
    ),
}


def of(name: str) -> Words:
    """The words for a format; of one that has none here, what its data set's card says."""
    return WORDS.get(name) or Words(name, FORMATS[name].about if name in FORMATS else "")


def label(name: str) -> str:
    return str(of(name).label)


def loading(export: Export) -> str:
    """Python that loads the files as a browser saves them with `datasets`, and trains where a trainer can."""
    data = {file["split"]: export.saved_as(file["name"]) for file in export.files if file.get("split")}
    builder = {"jsonl": "json"}.get(export.recipe["file_type"], export.recipe["file_type"])
    listed = "\n".join(f'    "{split}": "{name}",' for split, name in data.items())
    call = f'data = load_dataset("{builder}", data_files={{\n{listed}\n}})'
    unpacked = f'# or of the archive, unpacked: data = load_dataset("{export.project.slug}-{export.pk}")'
    loaded = f"from datasets import load_dataset\n\n{call}\n{unpacked}"
    use = of(export.format).use if "train" in data else ""
    return f"{loaded}\n\n{use}" if use else loaded

"""Frozen features of completions: what a language model and a sentence encoder see in them, kept on disk.

Each completion is encoded once; the key is the rendered text and the models, so nothing stale is read.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from rlhf.lm.backbones import CausalLM, Encoder
from rlhf.lm.data import Task
from rlhf.lm.prompting import generator_text, shorten
from rlhf.lm.token_trees import TokenTree, batches, hidden_states

Item = tuple[Task, str]
Matrix = npt.NDArray[np.float32]

VERSION = 1  # of what is computed here; another one makes other keys
BATCH_TOKENS = 2400  # of a padded batch
COMPLETION_TOKENS = 160
LOCK_SECONDS = 30.0  # how long to wait for another process that writes the cache
KEYS_AT_ONCE = 500  # SQLite binds about a thousand values
PROBE = Task(id="probe", text="Name the colour of the thing.")


@dataclass(frozen=True)
class Features:
    """The features of a backbone: mean and last hidden state of a completion after its prompt.

    With an encoder, its embedding of the completion alone stands behind them. `cache` is a file that
    appears when first needed; without one everything is computed (rollouts are seen only once).
    """

    lm: CausalLM
    encoder: Encoder | None = None
    cache: Path | None = None

    @property
    def identity(self) -> dict[str, str | int | None]:
        """What the features depend on besides the text; a reward model keeps it and insists on it."""
        return {
            "version": VERSION,
            "backbone": self.lm.name,
            "weights_hash": self.lm.weights_hash,
            "template_hash": self.lm.template_hash,
            "wording_hash": _hash(generator_text(self.lm.tokenizer, PROBE)),
            "encoder": self.encoder.name if self.encoder else None,
            "encoder_hash": self.encoder.weights_hash if self.encoder else None,
        }

    @property
    def width(self) -> int:
        """Numbers a completion."""
        hidden: int = self.lm.model.config.hidden_size
        return 2 * hidden + (self.encoder.model.config.hidden_size if self.encoder else 0)

    def of(self, items: Sequence[Item]) -> Matrix:
        """The features of completions, from the cache as far as they are there. Shape: (N, width)."""
        prompts = {
            task: generator_text(self.lm.tokenizer, task) for task in dict.fromkeys(t for t, _ in items)
        }
        models = json.dumps(self.identity, sort_keys=True)
        keys = {(t, text): _hash(f"{models}\0{prompts[t]}\0{text}") for t, text in dict.fromkeys(items)}
        rows = self._read(list(keys.values()))
        missing = {item: prompts[item[0]] for item, key in keys.items() if key not in rows}
        if missing:
            new = self._compute(missing)
            fresh = {keys[item]: row for item, row in zip(missing, new, strict=True)}
            self._write(fresh)
            rows |= fresh
        return (
            np.stack([rows[keys[item]] for item in items]) if items else np.zeros((0, self.width), np.float32)
        )

    def _compute(self, prompts: Mapping[Item, str]) -> Matrix:
        """One row for each item, in their order. The completions of a prompt share its tokens."""
        of_prompt: dict[str, list[int]] = {}
        for number, prompt in enumerate(prompts.values()):
            of_prompt.setdefault(prompt, []).append(number)
        texts = [text for _, text in prompts]
        hidden = self.lm.model.config.hidden_size
        out = np.zeros((len(texts), self.width), dtype=np.float32)

        trees, nodes = [], []
        for prompt, numbers in of_prompt.items():
            tree = TokenTree()
            before = tree.add(self._tokens(prompt))[-1:]
            places = {}
            for number in numbers:
                tokens = self._tokens(shorten(self.lm.tokenizer, texts[number], COMPLETION_TOKENS))
                places[number] = (
                    tree.add(tokens, after=before[0]) or before
                )  # an empty text: its prompt's end
            trees.append(tree)
            nodes.append(places)
        for batch in batches(trees, tokens=BATCH_TOKENS):
            (states,) = hidden_states(self.lm, [trees[place] for place in batch])  # (B, T, H)
            for row, place in enumerate(batch):
                for number, found in nodes[place].items():
                    own = states[row, found].float()  # (tokens, H)
                    out[number, : 2 * hidden] = torch.cat([own.mean(0), own[-1]]).cpu().numpy()
        if self.encoder:
            words = [number for number, text in enumerate(texts) if text.strip()]  # of none it sees nothing
            if words:
                out[words, 2 * hidden :] = self.encoder.encode([texts[number] for number in words])
        return out

    def _tokens(self, text: str) -> list[int]:
        ids: list[int] = self.lm.tokenizer(text, add_special_tokens=False)["input_ids"]
        return ids

    def _read(self, keys: Sequence[str]) -> dict[str, Matrix]:
        if self.cache is None or not self.cache.exists():
            return {}
        rows: dict[str, Matrix] = {}
        with closing(_open(self.cache)) as database:
            for start in range(0, len(keys), KEYS_AT_ONCE):
                part = keys[start : start + KEYS_AT_ONCE]
                marks = ",".join("?" * len(part))
                found = database.execute(f"SELECT key, row FROM features WHERE key IN ({marks})", part)  # noqa: S608
                rows |= {key: np.frombuffer(row, dtype="<f4") for key, row in found}
        return rows

    def _write(self, rows: Mapping[str, Matrix]) -> None:
        """In one transaction: a killed process leaves all of a batch or nothing."""
        if self.cache is None:
            return
        self.cache.parent.mkdir(parents=True, exist_ok=True)
        with closing(_open(self.cache)) as database, database:
            database.executemany(
                "INSERT OR IGNORE INTO features (key, row) VALUES (?, ?)",
                [(key, row.astype("<f4").tobytes()) for key, row in rows.items()],
            )


def _open(path: Path) -> sqlite3.Connection:
    database = sqlite3.connect(path, timeout=LOCK_SECONDS)
    database.execute(
        "CREATE TABLE IF NOT EXISTS features (key TEXT PRIMARY KEY, row BLOB NOT NULL) WITHOUT ROWID"
    )
    return database


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()

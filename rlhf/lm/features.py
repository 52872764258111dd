"""Frozen features of completions: what a language model and a sentence encoder see in them, kept on disk.

Each completion is encoded once; the key is the rendered text and the models, so nothing stale is read.
Which inputs there are is said in inputs.py.
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

from rlhf.lm import inputs as named
from rlhf.lm.backbones import CausalLM, Encoder
from rlhf.lm.covariates import likelihood_covariates, text_covariates
from rlhf.lm.data import Task
from rlhf.lm.encoder_states import pooled_states
from rlhf.lm.execution import TRIED, execution_covariates
from rlhf.lm.prompting import generator_text, plain_chat_text, shorten
from rlhf.lm.style import style_covariates
from rlhf.lm.token_trees import TokenTree, batches, hidden_states, token_logprobs

Item = tuple[Task, str]
Matrix = npt.NDArray[np.float32]

VERSION = 3  # of what is computed here; another one makes other keys
BATCH_TOKENS = 2400  # of a padded batch
COMPLETION_TOKENS = 160
CHAT_TOKENS = 256  # of a prompt that is put as it is
LOCK_SECONDS = 30.0  # how long to wait for another process that writes the cache
KEYS_AT_ONCE = 500  # SQLite binds about a thousand values
PROBE = Task(id="probe", text="Name the colour of the thing.")
WORDINGS = ("generator", "chat")


@dataclass(frozen=True)
class Features:
    """The features of completions after their prompts, from a language model, an encoder, or both.

    `cache` is a file that appears when first needed; without one everything is computed (rollouts are seen
    only once). Raises ValueError where an input is unknown or its model is missing.
    """

    lm: CausalLM | None
    encoder: Encoder | None = None
    cache: Path | None = None
    inputs: tuple[str, ...] | None = None
    """Names from inputs.py; by default its DEFAULT, as far as the models at hand can give it."""
    wording: str = "generator"
    """How the prompt is put: as the generator is asked for an instruction, or "chat": as it is."""
    completion_tokens: int = COMPLETION_TOKENS
    """Where the models stop reading a completion."""
    tried: int = TRIED
    """On how many shown examples an instruction is tried."""

    def __post_init__(self) -> None:
        if self.wording not in WORDINGS:
            raise ValueError(f"unknown wording {self.wording!r}; there are {', '.join(WORDINGS)}")
        _ = self.names

    @property
    def names(self) -> tuple[str, ...]:
        """The inputs in the order of their columns."""
        return named.chosen(self.inputs, lm=self.lm is not None, encoder=self.encoder is not None)

    @property
    def groups(self) -> dict[str, slice]:
        """The columns of each input."""
        return named.groups(
            self.names,
            hidden=self.lm.model.config.hidden_size if self.lm else 0,
            encoder=self.encoder.model.config.hidden_size if self.encoder else 0,
        )

    @property
    def identity(self) -> dict[str, str | int | None]:
        """What the features depend on besides the text; a reward model keeps it and insists on it."""
        found: dict[str, str | int | None] = {
            "version": VERSION,
            "inputs": ",".join(self.names),
            "wording": self.wording,
            "completion_tokens": self.completion_tokens,
            "backbone": self.lm.name if self.lm else None,
            "weights_hash": self.lm.weights_hash if self.lm else None,
            "template_hash": self.lm.template_hash if self.lm else None,
            "wording_hash": _hash(self._prompt(PROBE)),
            "encoder": self.encoder.name if self.encoder else None,
            "encoder_hash": self.encoder.weights_hash if self.encoder else None,
        }
        # Not named where it is the default: older checkpoints and kept features stay good.
        return found if self.tried == TRIED else found | {"tried": self.tried}

    @property
    def width(self) -> int:
        """Numbers a completion."""
        width: int = max(part.stop for part in self.groups.values())
        return width

    def of(self, items: Sequence[Item]) -> Matrix:
        """The features of completions, from the cache as far as they are there. Shape: (N, width)."""
        prompts = {task: self._prompt(task) for task in dict.fromkeys(t for t, _ in items)}
        models = json.dumps(self.identity, sort_keys=True)
        read = {task: prompt + self._tried(task) for task, prompt in prompts.items()}
        keys = {(t, text): _hash(f"{models}\0{read[t]}\0{text}") for t, text in dict.fromkeys(items)}
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
        """One row for each item, in their order."""
        items, parts = list(prompts), self.groups
        out = np.zeros((len(items), self.width), dtype=np.float32)
        if self.lm and "execution" in parts:
            out[:, parts["execution"]] = execution_covariates(self.lm, items, examples=self.tried)
        if self.lm and (named.GENERATOR - {"execution"}).intersection(parts):
            self._read_by_generator(self.lm, prompts, out)
        if self.encoder:
            words = [n for n, (_, text) in enumerate(items) if text.strip()]  # of none it sees nothing
            if words and "encoder" in parts:
                out[words, parts["encoder"]] = self.encoder.encode([items[n][1] for n in words])
            if words and {"encoder_mean", "encoder_max"} & set(parts):
                pairs = [(items[n][0].text, items[n][1]) for n in words]
                pooled = pooled_states(self.encoder, pairs, completion_tokens=self.completion_tokens)
                halves = np.split(pooled, 2, axis=1)
                for name, half in zip(("encoder_mean", "encoder_max"), halves, strict=True):
                    if name in parts:
                        out[words, parts[name]] = half
        if "text" in parts:
            out[:, parts["text"]] = [text_covariates(task.text, text) for task, text in items]
        if "style" in parts:
            out[:, parts["style"]] = [style_covariates(task.text, text) for task, text in items]
        return out

    def _read_by_generator(self, lm: CausalLM, prompts: Mapping[Item, str], out: Matrix) -> None:
        """Fill in what comes from the language model. The completions of a prompt share its tokens."""
        of_prompt: dict[str, list[int]] = {}
        for number, prompt in enumerate(prompts.values()):
            of_prompt.setdefault(prompt, []).append(number)
        texts = [text for _, text in prompts]
        parts = self.groups
        layers = lm.model.config.num_hidden_layers
        depth = {name: round(named.STATES[name][0] * layers) for name in parts if name in named.STATES}
        # The last layer's state comes after the last norm, which is what -1 gives.
        wanted = sorted({-1 if d == layers else d for d in depth.values()} | {-1})
        end = lm.tokenizer.eos_token_id

        trees, nodes = [], []
        for prompt, numbers in of_prompt.items():
            tree = TokenTree()
            before = tree.add(_tokens(lm, prompt))[-1]
            places: dict[int, tuple[int, list[int], int]] = {}
            for number in numbers:
                own = tree.add(
                    _tokens(lm, shorten(lm.tokenizer, texts[number], self.completion_tokens)), after=before
                )
                last = tree.add([end], after=own[-1] if own else before)
                places[number] = (before, own, last[0])
            trees.append(tree)
            nodes.append(places)
        for batch in batches(trees, tokens=BATCH_TOKENS):
            found = hidden_states(lm, [trees[place] for place in batch], layers=wanted)
            states = dict(zip(wanted, found, strict=True))  # of (B, T, H)
            for row, place in enumerate(batch):
                for number, (before, own, ending) in nodes[place].items():
                    for name, d in depth.items():
                        at = states[-1 if d == layers else d][row]
                        out[number, parts[name]] = _pool(named.STATES[name][1], at, own or [before], ending)
                    if "likelihood" in parts:
                        heads = states[-1][row, [before, *own]]
                        tokens = [trees[place].ids[node] for node in (*own, ending)]
                        logprobs = token_logprobs(lm, heads, rows=range(len(tokens)), tokens=tokens).tolist()
                        out[number, parts["likelihood"]] = likelihood_covariates(logprobs[:-1], logprobs[-1])

    def _tried(self, task: Task) -> str:
        """The examples that instructions are tried on; of more than one the prompt shows only some."""
        return f"\0{task.examples!r}" if "execution" in self.names else ""

    def _prompt(self, task: Task) -> str:
        """The text before a completion; of an encoder alone the task's own."""
        if self.lm is None:
            return task.text
        if self.wording == "generator":
            return generator_text(self.lm.tokenizer, task)
        return plain_chat_text(self.lm.tokenizer, task, CHAT_TOKENS)

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


def _pool(how: str, states: torch.Tensor, own: Sequence[int], end: int) -> Matrix:
    """One vector of a completion's states (T, H)."""
    if how == "end":
        vector = states[end].float()
    elif how == "last":
        vector = states[own[-1]].float()
    else:
        found = states[list(own)].float()  # (tokens, H)
        vector = found.mean(0) if how == "mean" else found.amax(0)
    return np.asarray(vector.cpu().numpy(), dtype=np.float32)


def _tokens(lm: CausalLM, text: str) -> list[int]:
    ids: list[int] = lm.tokenizer(text, add_special_tokens=False)["input_ids"]
    return ids


def _open(path: Path) -> sqlite3.Connection:
    database = sqlite3.connect(path, timeout=LOCK_SECONDS)
    database.execute(
        "CREATE TABLE IF NOT EXISTS features (key TEXT PRIMARY KEY, row BLOB NOT NULL) WITHOUT ROWID"
    )
    return database


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()

"""Sets of judged pairs for benchmarks: PandaLM, Auto-J, and any JSONL with a prompt, two responses, a label.

Fields and labels are recognised by their names and values; what is not recognised can be named. What was
read, and how, is said by `PreferenceSet.reading`, so that a wrong guess is seen; so are rows that were left
out because they have no label or lack a response.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PROMPTS = ("prompt", "instruction", "question", "query", "task", "context", "conversation", "post")
EXTRA_PROMPTS = ("input",)  # of an instruction, or alone
RESPONSE_NAMES = ("response", "completion", "answer", "output", "text", "summary", "candidate", "reply")
SIDES = (("1", "2"), ("a", "b"), ("0", "1"), ("first", "second"), ("left", "right"))
CHOSEN = (("chosen", "rejected"), ("preferred", "dispreferred"), ("better", "worse"), ("winner", "loser"))
LABELS = (
    *("label", "preference", "preferred", "winner", "choice", "judgment", "judgement", "vote", "better"),
    *("human_label", "human_preference", "chosen", "gold", "target", "overall", "better_response_id"),
)
VOTES = re.compile(r"(annotator|rater|vote|labeller|labeler|judge)[ _-]?\d+", re.IGNORECASE)
TIES = frozenset({"tie", "tied", "both", "equal", "draw", "same", "neither", "c"})
FIRST = frozenset({"a", "1", "first", "left", "response_1", "response_a", "model_a", "model_1"})
SECOND = frozenset({"b", "2", "second", "right", "response_2", "response_b", "model_b", "model_2"})


class BadSet(ValueError):
    """A file is not a set of judged pairs; the message names it, the line and what was looked for."""


@dataclass(frozen=True)
class JudgedPair:
    """Two responses to one prompt. A vote is 1 where the first is better, 0 the second, 0.5 neither."""

    set_name: str
    group: str
    """Alike for all pairs of one prompt: what folds and resamples keep together."""
    prompt: str
    first: str
    second: str
    votes: tuple[float, ...]

    @property
    def outcome(self) -> float:
        """1, 0, or 0.5: the side that more than half of the votes prefer, else a tie (so for 1, 2, tie)."""
        counts = Counter(1.0 if v > 0.5 else 0.0 if v < 0.5 else 0.5 for v in self.votes)
        top, number = counts.most_common(1)[0]
        return top if 2 * number > len(self.votes) else 0.5


@dataclass(frozen=True)
class Fields:
    """Which fields of a row hold what; empty where they are to be recognised."""

    prompt: tuple[str, ...] = ()
    responses: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    values: tuple[str, ...] = ()
    """What a label says for the first, for the second and (if there is a third) for a tie."""


@dataclass(frozen=True)
class PreferenceSet:
    """The pairs of a file, and in a sentence how they were read."""

    name: str
    pairs: tuple[JudgedPair, ...]
    reading: str

    def decided(self) -> PreferenceSet:
        """The pairs with a winner."""
        return dataclasses.replace(self, pairs=tuple(p for p in self.pairs if p.outcome != 0.5))


def read_folder(path: Path, fields: Fields | None = None) -> tuple[list[PreferenceSet], list[str]]:
    """The sets of a folder (or the one of a file), and why its other JSONL files are none.

    Raises BadSet if there is no set at all, FileNotFoundError if there is no such path.
    """
    files = [path] if path.is_file() else sorted(path.glob("*.jsonl"))
    if not path.exists():
        raise FileNotFoundError(f"there is no file or folder {path}")
    sets, refused = [], []
    for file in files:
        try:
            sets.append(read_set(file, fields))
        except BadSet as error:
            refused.append(str(error))
    if not sets:
        raise BadSet("; ".join(refused) or f"{path} holds no .jsonl file")
    return sets, refused


def read_set(path: Path, fields: Fields | None = None) -> PreferenceSet:
    """Read one JSONL file. Raises BadSet."""
    rows = _rows(path)
    found = _recognise(path, rows[0][1], fields or Fields())
    names = {name for _, row in rows for name in row}
    if missing := [n for n in (*found.prompt, *found.responses, *found.labels) if n not in names]:
        raise BadSet(f"{path.name}: no row has a field {missing[0]!r}; there are {', '.join(sorted(names))}")
    raw = [
        tuple(row[name] for name in found.labels if row.get(name) is not None and row[name] != "")
        for _, row in rows
    ]
    values = _label_values(path, found, [v for votes in raw for v in votes])
    name = path.stem
    pairs, left_out = [], []
    for (number, row), votes in zip(rows, raw, strict=True):
        try:
            pairs.append(_pair(name, row, found, votes, values))
        except ValueError as error:
            left_out.append(f"line {number} {error}")
    if not pairs:
        raise BadSet(f"{path.name}: no row is a judged pair: {left_out[0]}")
    prompt, label = " + ".join(found.prompt), " + ".join(found.labels)
    reading = (
        f"prompt = {prompt or 'what both begin with'}, responses = {' | '.join(found.responses)}, "
        f"label = {label or 'the first is better'}"
    )
    if values:
        reading += ", " + ", ".join(f"{k} = {_WORDS[v]}" for k, v in sorted(values.items()))
    if left_out:
        reading += f"; {len(left_out)} of {len(rows)} rows left out: {left_out[0]}"
    return PreferenceSet(name, tuple(pairs), reading)


_WORDS = {1.0: "first", 0.0: "second", 0.5: "tie"}


def group_of(prompt: str) -> str:
    """A name for a prompt that white space and capitals do not change."""
    return hashlib.sha256(" ".join(prompt.casefold().split()).encode()).hexdigest()[:16]


def _rows(path: Path) -> list[tuple[int, dict[str, Any]]]:
    rows = []
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            try:
                text = line.decode("utf-8-sig" if number == 1 else "utf-8")
                if not text.strip():
                    continue
                row = json.loads(text)
            except UnicodeDecodeError as error:
                raise BadSet(f"{path.name}, line {number}: not UTF-8 ({error.reason})") from error
            except (ValueError, RecursionError) as error:
                raise BadSet(f"{path.name}, line {number}: not JSON ({error})") from error
            if not isinstance(row, dict):
                raise BadSet(f"{path.name}, line {number}: not a JSON object")
            rows.append((number, row))
    if not rows:
        raise BadSet(f"{path.name} is empty")
    return rows


def _recognise(path: Path, row: dict[str, Any], given: Fields) -> Fields:
    """Complete the fields by the names that the first row has."""
    plain = {re.sub(r"[^a-z0-9]", "", name.lower()): name for name in row}
    responses, chosen = given.responses, False
    if not responses:
        responses, chosen = _responses(plain, row)
    if len(responses) not in (1, 2):
        raise BadSet(f"{path.name}: no two responses among {', '.join(row)}; name them")
    prompt = given.prompt
    if not prompt:
        prompt = tuple(plain[n] for n in PROMPTS if n in plain)[:1]
        prompt += tuple(plain[n] for n in EXTRA_PROMPTS if n in plain)
    if not prompt and not chosen:
        raise BadSet(f"{path.name}: no prompt among {', '.join(row)}; name it")
    labels = given.labels
    if not labels and not chosen:
        votes = tuple(name for name in row if VOTES.fullmatch(name.strip()))
        labels = votes or tuple(name for n in LABELS for p, name in plain.items() if p == n.replace("_", ""))
        labels = votes or labels[:1]
        if not labels:
            raise BadSet(f"{path.name}: no label among {', '.join(row)}; name it")
    return Fields(prompt, responses, labels, given.values)


def _responses(plain: dict[str, str], row: dict[str, Any]) -> tuple[tuple[str, ...], bool]:
    """The fields of the responses, and whether the first of them is the better one by its name."""
    for name in RESPONSE_NAMES:
        for one, other in SIDES:
            for pair in ((name + one, name + other), (one + name, other + name)):
                if pair[0] in plain and pair[1] in plain:
                    return (plain[pair[0]], plain[pair[1]]), False
    for one, other in CHOSEN:
        if one in plain and other in plain:
            return (plain[one], plain[other]), True
    for name in RESPONSE_NAMES:
        if isinstance(row.get(plain.get(name + "s", "")), list):
            return (plain[name + "s"],), False
    return (), False


def _label_values(path: Path, fields: Fields, raw: Sequence[Any]) -> dict[str, float]:
    """What each label that occurs means; empty where labels are probabilities or there are none."""
    seen = {_plain(v) for v in raw}
    if fields.values:
        meaning = dict(zip((_plain(v) for v in fields.values), (1.0, 0.0, 0.5), strict=False))
    elif not seen:
        return {}
    elif all(_is_number(v) for v in seen):
        numbers = {float(v) for v in seen}
        if numbers <= {0.0, 1.0, 2.0}:
            # PandaLM's votes are 0 for a tie, 1 and 2; Auto-J's label is 0, 1, and 2 for a tie.
            from_one = 0.0 not in numbers or (
                2.0 in numbers and bool(fields.labels) and bool(VOTES.fullmatch(fields.labels[0].strip()))
            )
            order = ("1", "2", "0") if from_one else ("0", "1", "2")
            meaning = dict(zip(order, (1.0, 0.0, 0.5), strict=True))
        elif all(0 <= n <= 1 for n in numbers):
            return {}  # the share of people that prefer the first
        else:
            raise BadSet(f"{path.name}: labels {_some(seen)} have no known meaning; say what they mean")
    else:
        names = [_plain(n) for n in fields.responses]
        meaning = {v: 1.0 for v in seen if v in FIRST or v == names[0]}
        meaning |= {v: 0.0 for v in seen if v in SECOND or v == names[-1]}
        meaning |= {v: 0.5 for v in seen if v.split("_")[0] in TIES}
    if unknown := seen - set(meaning):
        raise BadSet(f"{path.name}: labels {_some(unknown)} have no known meaning; say what they mean")
    return {k: v for k, v in meaning.items() if k in seen}


def _pair(
    name: str, row: dict[str, Any], fields: Fields, votes: Sequence[Any], values: dict[str, float]
) -> JudgedPair:
    """One row's pair. Raises ValueError where it has none, its message to follow the line's number."""
    if missing := [field for field in fields.responses if field not in row]:
        raise ValueError(f"has no {missing[0]!r}")
    texts = row[fields.responses[0]] if len(fields.responses) == 1 else [row[n] for n in fields.responses]
    if not isinstance(texts, list) or len(texts) != 2:
        raise ValueError(f"does not hold two responses in {fields.responses[0]!r}")
    first, second = (_text(text) for text in texts)
    prompt = "\n\n".join(part for n in fields.prompt if (part := _text(row.get(n, ""))).strip())
    if not fields.prompt:  # two whole dialogues: their common beginning, up to a line's end
        prompt, first, second = _split_dialogues(first, second)
    if not fields.labels:
        # The winner always stands first in such a file; which side is shown first is to mean nothing.
        turned = hashlib.sha256(f"{prompt}\0{first}\0{second}".encode()).digest()[0] % 2 == 1
        first, second = (second, first) if turned else (first, second)
        found: tuple[float, ...] = (0.0 if turned else 1.0,)
    elif not votes:
        raise ValueError(f"has nothing in {fields.labels[0]!r}")
    else:
        found = tuple(values[_plain(v)] if values else float(v) for v in votes)
    return JudgedPair(name, group_of(prompt), prompt, first, second, found)


def _split_dialogues(first: str, second: str) -> tuple[str, str, str]:
    same = next((i for i, (a, b) in enumerate(zip(first, second, strict=False)) if a != b), 0)
    cut = first.rfind("\n", 0, same) + 1
    return first[:cut].strip(), first[cut:].strip(), second[cut:].strip()


def _text(value: Any) -> str:
    """As text: JSON booleans and numbers as they are written, chats as their turns."""
    if isinstance(value, str):
        return value.encode(errors="replace").decode()  # half of a surrogate pair is no character
    if isinstance(value, dict):
        held = next((value[name] for name in ("content", *RESPONSE_NAMES) if name in value), None)
        return json.dumps(value, ensure_ascii=False) if held is None else _text(held)
    if isinstance(value, list):
        return "\n".join(_text(part) for part in value)
    return "" if value is None else str(value)


def _plain(value: Any) -> str:
    """A label as it is compared: 1.0 and true are "1", "Model A" is "model_a"."""
    if isinstance(value, bool | float) and float(value).is_integer():
        return str(int(value))
    text = str(value).strip().lower()
    return text if _is_number(text) else re.sub(r"[\W_]+", "_", text).strip("_") or text


def _is_number(value: Any) -> bool:
    try:
        float(value)
    except (TypeError, ValueError):
        return False
    return True


def _some(values: Iterable[str]) -> str:
    return ", ".join(repr(v) for v in sorted(values)[:5])

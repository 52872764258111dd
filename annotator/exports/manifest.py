"""The manifest: what an export holds and how it was made, so that it can be checked, cited and repeated."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from django.conf import settings

from annotator.exports import provenance
from annotator.exports.formats.base import Line
from annotator.exports.reading import Reader, Task
from annotator.exports.recipe import Recipe


@dataclass(frozen=True)
class DataFile:
    """One file of the export: its path within the folder, and what is in it."""

    path: str
    split: str
    lines: int
    bytes: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """Counts, hashes, filters and origins of one export."""

    project: str
    title: str
    format: str
    recipe: dict[str, Any]
    frozen: dict[str, Any]
    software: str
    files: tuple[DataFile, ...]
    sha256: str
    """Of the one file; of several, of the lines `sha256  path` of all of them, as sha256sum prints them."""
    counts: dict[str, int] = field(default_factory=dict)
    splits: dict[str, dict[str, int]] = field(default_factory=dict)
    withdrawn: dict[str, int] = field(default_factory=dict)
    """What is not here because annotators have withdrawn: judgments, annotators, texts they wrote."""
    languages: tuple[str, ...] = ()
    most_texts: int = 0
    """So many texts the largest line has."""
    checkpoints: tuple[dict[str, Any], ...] = ()
    """The models that wrote the completions."""

    @property
    def bytes(self) -> int:
        return sum(file.bytes for file in self.files)

    def to_json(self) -> str:
        return json.dumps(dataclasses.asdict(self), ensure_ascii=False, indent=2, sort_keys=True) + "\n"


class Tally:
    """Counts the lines of an export, or of one split, while it is written.

    Memory does not grow with the judgments: they come by prompt, and only the current one's are remembered.
    """

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter(
            lines=0, rankings=0, prompts=0, held_out=0, simulated=0, superseded=0
        )
        self.annotators: set[int] = set()
        self.checkpoints: set[int] = set()
        self.languages: set[str] = set()
        self.most_texts = 0
        self._prompt = 0
        self._seen: set[int] = set()

    def add(self, task: Task, line: Line) -> None:
        counts = self.counts
        if task.pk != self._prompt:
            self._prompt = task.pk
            self._seen.clear()
            counts["prompts"] += 1
            self.languages.add(task.language)
        counts["lines"] += 1
        counts["held_out"] += task.is_held_out
        counts["simulated"] += all(vote.is_simulated for vote in line.votes)
        counts["superseded"] += not line.row.get("live", True)
        for vote in line.votes:
            if vote.pk not in self._seen:
                self._seen.add(vote.pk)
                counts["rankings"] += 1
                self.annotators.add(vote.annotator)
        if len(line.texts) > self.most_texts:
            self.most_texts = len(line.texts)
        for text in line.texts:
            if text.checkpoint is not None:
                self.checkpoints.add(text.checkpoint)

    def take(self, other: Tally) -> None:
        """Add what another has counted, of other prompts."""
        self.counts.update(other.counts)
        self.annotators |= other.annotators
        self.checkpoints |= other.checkpoints
        self.languages |= other.languages
        self.most_texts = max(self.most_texts, other.most_texts)

    def figures(self) -> dict[str, int]:
        """How many lines, judgments, tasks, annotators; lines on held-out tasks, simulated, superseded."""
        return {**self.counts, "annotators": len(self.annotators)}


def manifest_of(
    recipe: Recipe,
    reader: Reader,
    tally: Tally,
    files: tuple[DataFile, ...],
    splits: Mapping[str, dict[str, int]],
) -> Manifest:
    """The manifest of what was read and written."""
    described = provenance.known.describe(tally.checkpoints)
    frozen = reader.frozen
    if recipe.rule != "weighted" and recipe.selection.min_reliability is None:
        frozen = dataclasses.replace(frozen, reliability={})  # nothing depends on it
    return Manifest(
        project=reader.project.slug,
        title=reader.project.name,
        format=recipe.format,
        recipe=recipe.to_json(),
        frozen=frozen.to_json(),
        software=f"PrefLoop {settings.SPECTACULAR_SETTINGS['VERSION']}",
        files=files,
        sha256=_sha256(files),
        counts=tally.figures(),
        splits=dict(splits),
        withdrawn=reader.withheld(),
        languages=tuple(sorted(tally.languages)),
        most_texts=tally.most_texts,
        checkpoints=tuple({"id": pk, **described[pk]} for pk in sorted(described)),
    )


def _sha256(files: tuple[DataFile, ...]) -> str:
    if len(files) == 1:
        return files[0].sha256
    listed = "".join(f"{file.sha256}  {file.path}\n" for file in files)
    return hashlib.sha256(listed.encode()).hexdigest()

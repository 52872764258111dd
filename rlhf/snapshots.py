"""Freezes a project's tasks and rankings into a file with a hash: the only thing that training reads.

The same rankings give the same bytes, and so the same file and row. Names of people never enter.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path

from django.conf import settings
from django.db.models import Max, QuerySet

from annotator.models import Completion, Project, Prompt, Ranking, Verdict
from annotator.pseudonyms import pseudonym
from rlhf.lm.data import Example, Judgment, Task, snapshot_lines
from rlhf.models import Snapshot

CHUNK = 2000


def freeze(project: Project) -> Snapshot:
    """The snapshot of the project as it is now: a new one, or the one that says the same."""
    prompts = project.prompts.order_by("pk")
    rankings = votes_of(project)
    newest = rankings.aggregate(newest=Max("pk"))["newest"] or 0
    imported = rankings.filter(pk__lte=newest, batch__isnull=False).count()
    counts = {"prompts": 0, "held_out_prompts": 0, "rankings": 0, "simulated": 0, "imported": imported}

    def tasks() -> Iterator[Task]:
        for prompt in prompts.iterator(CHUNK):
            counts["prompts"] += 1
            counts["held_out_prompts"] += prompt.is_held_out
            yield task_of(prompt)

    def judgments() -> Iterator[Judgment]:
        for judgment in _judgments(project, rankings.filter(pk__lte=newest)):
            counts["rankings"] += 1
            counts["simulated"] += judgment.simulated
            yield judgment

    path, digest = _write(snapshot_lines(tasks(), judgments(), project=project.pk))
    snapshot, _ = Snapshot.objects.get_or_create(
        project=project,
        sha256=digest,
        defaults={
            "file": str(path.relative_to(settings.VAR)),
            "last_ranking": newest,
            "counts": counts,
        },
    )
    return snapshot


def path_of(snapshot: Snapshot) -> Path:
    """Where its file lies. Raises FileNotFoundError with a message for people."""
    path: Path = settings.VAR / snapshot.file
    if not path.is_file():
        raise FileNotFoundError(f"the file of snapshot {snapshot.pk}, {snapshot.file}, is gone")
    return path


def task_of(prompt: Prompt) -> Task:
    """A prompt as the models see it."""
    return Task(
        id=str(prompt.pk),
        text=prompt.text,
        examples=_examples(prompt.examples),
        held_out_examples=_examples(prompt.held_out_examples),
        domain=prompt.domain,
        language=prompt.language,
        held_out=prompt.is_held_out,
        reference=prompt.reference,
    )


def votes_of(project: Project) -> QuerySet[Ranking]:
    """The rankings that a reward model learns from, or is judged by."""
    live = Ranking.objects.votes().filter(
        comparison__project=project, verdict__in=[Verdict.RANKED, Verdict.ALL_BAD]
    )
    return live.select_related("comparison").order_by("pk")


def _judgments(project: Project, rankings: QuerySet[Ranking]) -> Iterator[Judgment]:
    rows = rankings.iterator(CHUNK)
    while batch := list(islice(rows, CHUNK)):
        yield from judgments_of(project, batch)


def judgments_of(project: Project, batch: Sequence[Ranking]) -> Iterator[Judgment]:
    """Rankings as the models see them."""
    ids = {int(key) for ranking in batch for key in ranking.order}
    texts = dict(Completion.objects.filter(pk__in=ids).values_list("pk", "text"))
    for ranking in batch:
        all_bad = ranking.verdict == Verdict.ALL_BAD
        said = dict.fromkeys(ranking.order, 1) if all_bad else ranking.ranks
        ranks = sorted((int(key), rank) for key, rank in said.items())
        yield Judgment(
            id=str(ranking.pk),
            task_id=str(ranking.comparison.prompt_id),
            annotator=pseudonym(project, ranking.annotator_id),
            completions=tuple(texts[key] for key, _ in ranks),
            ranks=tuple(rank for _, rank in ranks),
            strength=ranking.strength,
            simulated=ranking.is_simulated,
            all_bad=all_bad,
            improved=ranking.improved_text,
        )


def _examples(rows: list[dict[str, str]]) -> tuple[Example, ...]:
    return tuple(Example(input=str(row["input"]), output=str(row["output"])) for row in rows)


def _write(lines: Iterable[str]) -> tuple[Path, str]:
    """Write aside, then rename to a name made of the hash: a reader never sees half a file."""
    folder: Path = settings.VAR / "snapshots"
    folder.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256()
    descriptor, aside = tempfile.mkstemp(prefix=".part-", dir=folder)
    try:
        with os.fdopen(descriptor, "wb") as file:
            for line in lines:
                data = line.encode()
                digest.update(data)
                file.write(data)
            file.flush()
            os.fsync(file.fileno())
        path = folder / f"{digest.hexdigest()}.jsonl"
        os.rename(aside, path)
    except BaseException:
        Path(aside).unlink(missing_ok=True)
        raise
    return path, digest.hexdigest()

"""Refits a project's reward heads to all rankings on training tasks; scores and priorities follow.

Runs in the worker `refit`, which keeps heads, features and judgments in memory between two refits.
"""

from __future__ import annotations

import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import combinations

import numpy as np
import numpy.typing as npt
from django.conf import settings
from django.db import connection, transaction
from django.db.models.functions import Now

from annotator.models import Completion, Project
from annotator.ranking import priorities
from rlhf.live import Claim, ClaimLost
from rlhf.lm import acquisition
from rlhf.lm.checkpoints import BadCheckpoint
from rlhf.lm.configs import RewardConfig
from rlhf.lm.refit import Refitted, Refitter, save
from rlhf.lm.reward_model import LinearHeads, RewardModel
from rlhf.models import Checkpoint, LiveScore, live_folder
from rlhf.snapshots import judgments_of, task_of, votes_of
from rlhf.stage_configs import load
from rlhf.stages.loading import feature_cache, folder_of

log = logging.getLogger(__name__)

Floats = npt.NDArray[np.float64]
Key = tuple[str, str]

CHUNK = 1000
KEPT = 4
"""Projects whose features and judgments this process keeps, the last used ones."""


@dataclass(frozen=True)
class Memory:
    """What this process keeps of a reward model between two refits."""

    refitter: Refitter
    keys: dict[int, Key] = field(default_factory=dict)
    """Which text of which task each completion is."""

    def scores(self, heads: LinearHeads) -> dict[int, Floats]:
        """What each head says of every completion. Shape of each: (K,)."""
        return dict(zip(self.keys, self.refitter.head_scores(heads, list(self.keys.values())), strict=True))


_memories: OrderedDict[int, Memory] = OrderedDict()


def refit(project_id: int) -> bool:
    """Refit, if it is due and nobody else does it. Stopped anywhere it is simply done again."""
    claim = Claim.take(project_id)
    if claim is None:
        return False
    began = time.monotonic()
    try:
        checkpoint = claim.checkpoint
        memory = memory_of(checkpoint)
        live = look(claim.row.project, memory, claim.beat)
        refitted = memory.refitter.refit(live, claim.beat)
        _save(claim, memory, refitted, newest=max(map(int, live)))
        scores = memory.scores(refitted.heads)
        _store(claim, scores, refitted, time.monotonic() - began)
        moved = _rank(claim.row.project, scores, seed=claim.row.refits)
        claim.done()
    except ClaimLost:
        log.warning("the reward heads of project %s are refitted by another worker", project_id)
        return False
    except (BadCheckpoint, ValueError) as error:
        log.warning("the reward heads of project %s cannot be refitted: %s", project_id, error)
        claim.fail(str(error))
        return False
    except BaseException:
        forget()  # what was being kept may be half of it
        claim.abandon()
        raise
    log.info(
        "refitted the reward heads of project %s: %s rankings, %s rounds, %s comparisons moved, %.2f s",
        *(project_id, refitted.rankings, refitted.rounds, moved, time.monotonic() - began),
    )
    return True


def forget() -> None:
    """Keep nothing of what was loaded: the next refit begins anew."""
    _memories.clear()


def memory_of(checkpoint: Checkpoint) -> Memory:
    """What is kept of a reward model, or a new one that knows no judgments yet."""
    memory = _memories.pop(checkpoint.pk, None)
    if memory is None:
        model = RewardModel.load(folder_of(checkpoint), settings.MODELS_DIR, feature_cache())
        memory = Memory(Refitter(model, load(RewardConfig, checkpoint.config)))
    _memories[checkpoint.pk] = memory
    while len(_memories) > KEPT:
        _memories.popitem(last=False)
    return memory


def look(project: Project, memory: Memory, beat: Callable[[], None] = lambda: None) -> list[str]:
    """Take in new completions, and new rankings on tasks that are not held out. The ids that count now."""
    there = Completion.objects.filter(prompt__project=project).order_by("pk").values_list("pk", flat=True)
    for chunk in _chunks([pk for pk in there if pk not in memory.keys]):
        found = list(Completion.objects.select_related("prompt").filter(pk__in=chunk).order_by("pk"))
        memory.refitter.show([(task_of(row.prompt), row.text) for row in found], beat)
        memory.keys.update((row.pk, (str(row.prompt_id), row.text)) for row in found)
    votes = votes_of(project).filter(comparison__prompt__is_held_out=False)
    live = [str(pk) for pk in votes.values_list("pk", flat=True)]
    for chunk in _chunks([int(name) for name in live if not memory.refitter.knows(name)]):
        memory.refitter.learn(list(judgments_of(project, list(votes.filter(pk__in=chunk)))))
        beat()
    if not live:
        raise ValueError("there are no rankings on training tasks")
    return live


def _save(claim: Claim, memory: Memory, refitted: Refitted, *, newest: int) -> None:
    claim.beat()
    save(
        settings.VAR / live_folder(claim.checkpoint),
        memory.refitter.model,
        memory.refitter.config,
        refitted,
        refit=claim.row.refits + 1,
        newest_ranking=newest,
    )


def _store(claim: Claim, scores: dict[int, Floats], refitted: Refitted, seconds: float) -> None:
    """The scores and what the row says of them, in one transaction."""
    row, checkpoint = claim.row, claim.checkpoint
    rows = [
        (row.pk, checkpoint.pk, row.refits + 1, float(of_heads.mean()), float(of_heads.std()), pk)
        for pk, of_heads in scores.items()
    ]
    with transaction.atomic(), connection.cursor() as cursor:
        fields = {"checkpoint": checkpoint, "rankings": refitted.rankings, "seconds": seconds, "error": ""}
        claim.write(**fields, refits=row.refits + 1, refitted_at=Now())
        LiveScore.objects.filter(heads=row).exclude(checkpoint=checkpoint).delete()
        cursor.executemany(_UPSERT, rows)


# A thousand rows through the ORM would hold SQLite's one write lock ten times as long.
_UPSERT = """
INSERT INTO rlhf_livescore (heads_id, completion_id, checkpoint_id, refit, mean, std)
SELECT CAST(%s AS bigint), id, CAST(%s AS bigint), CAST(%s AS integer), CAST(%s AS double precision),
    CAST(%s AS double precision) FROM annotator_completion WHERE id = %s
ON CONFLICT (completion_id) DO UPDATE SET heads_id = excluded.heads_id,
    checkpoint_id = excluded.checkpoint_id, refit = excluded.refit, mean = excluded.mean, std = excluded.std
"""


def _rank(project: Project, scores: dict[int, Floats], *, seed: int) -> int:
    """Give open comparisons their new places in the queue; how many there are.

    One of more than two completions is worth what its most disputed pair is. What was chosen at random, or by
    nobody's rule, keeps a random place; where there is nothing else nothing is done.
    """
    waiting = priorities.open_and_free(project, rules=acquisition.RULES)
    known = [(pk, ids, rule) for pk, ids, rule in waiting if all(i in scores for i in ids)]
    if all(rule == acquisition.RANDOM for _, _, rule in known):
        return 0
    first, second = zip(*(_disputed(ids, scores) for _, ids, _ in known), strict=True)
    places = acquisition.priorities(
        np.array(first), np.array(second), [rule for _, _, rule in known], seed=seed
    )
    priorities.change([(pk, float(place)) for (pk, _, _), place in zip(known, places, strict=True)])
    return len(known)


def _disputed(ids: tuple[int, ...], scores: dict[int, Floats]) -> tuple[Floats, Floats]:
    """The two completions that heads differ most about, by the variance of σ(Δ)."""
    if len(ids) == 2:
        return scores[ids[0]], scores[ids[1]]
    pairs = [(scores[i], scores[j]) for i, j in combinations(ids, 2)]
    first, second = (np.array(side) for side in zip(*pairs, strict=True))
    return pairs[int(acquisition.variance(first, second).argmax())]


def _chunks(ids: list[int]) -> Iterator[list[int]]:
    for start in range(0, len(ids), CHUNK):
        yield ids[start : start + CHUNK]

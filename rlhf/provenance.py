"""Tells exports which checkpoints wrote the completions."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from rlhf.models import Checkpoint, Generation


class Checkpoints:
    """What `annotator.exports.provenance` asks."""

    def checkpoints_of(self, completion_ids: Collection[int]) -> Mapping[int, int]:
        rows = Generation.objects.filter(completion__in=completion_ids)
        return dict(rows.values_list("completion", "checkpoint"))

    def describe(self, checkpoint_ids: Collection[int]) -> Mapping[int, dict[str, Any]]:
        return {
            one.pk: {
                "name": one.name,
                "base_model": one.base_model,
                "iteration": one.iteration,
                "seed": one.seed,
                "code_version": one.code_version,
                "parent": one.parent_id,
            }
            for one in Checkpoint.objects.filter(pk__in=checkpoint_ids)
        }

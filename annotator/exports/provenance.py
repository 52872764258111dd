"""Who wrote the completions: asked of whoever knows, since this side knows nothing of models.

The model side registers itself when the site starts. Without it no checkpoint is named.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Protocol


class Provenance(Protocol):
    """What knows the checkpoints behind completions."""

    def checkpoints_of(self, completion_ids: Collection[int]) -> Mapping[int, int]:
        """The checkpoint's id by the completion's; a completion that no model here wrote is missing."""
        ...

    def describe(self, checkpoint_ids: Collection[int]) -> Mapping[int, dict[str, Any]]:
        """Of each checkpoint at least its `name`, and what a reader needs to know where it comes from."""
        ...


class _Unknown:
    def checkpoints_of(self, completion_ids: Collection[int]) -> Mapping[int, int]:
        return {}

    def describe(self, checkpoint_ids: Collection[int]) -> Mapping[int, dict[str, Any]]:
        return {}


known: Provenance = _Unknown()


def register(provenance: Provenance) -> None:
    """Let exports ask this one from now on."""
    global known
    known = provenance

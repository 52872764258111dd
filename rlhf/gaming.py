"""Which policy runs game their reward, as far as gold was measured along them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from rlhf.lm.over_optimisation import GOLD, Fall, gamed, measurements
from rlhf.models import Run, RunRecord


def falls_of(runs: Iterable[Run]) -> dict[int, Fall]:
    """The marked ones among the runs, by id; one query."""
    looked_at = [run.pk for run in runs if run.kind == Run.Kind.POLICY and run.config.get("gold_every")]
    if not looked_at:
        return {}
    rows: dict[int, list[tuple[int, Any]]] = defaultdict(list)
    found = RunRecord.objects.filter(run__in=looked_at, values__has_key=GOLD).order_by("run", "step")
    for run_id, step, values in found.values_list("run", "step", "values"):
        rows[run_id].append((step, values))
    return {run_id: fall for run_id in rows if (fall := gamed(measurements(rows[run_id])))}


def fall_of(run: Run) -> Fall | None:
    """Since when gold fell while reward rose; None where that cannot be said."""
    return falls_of([run]).get(run.pk)

"""What a policy wrote while it was trained, beside the reference's: of one step, or of one task over time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rlhf.models import Run

Context = dict[str, Any]


def shown(run: Run, query: Mapping[str, str]) -> Context:
    """For the template: `?step=8` or its place among the steps (`?at=2`), `?task=5`, else the last step."""
    steps = list(run.samples.order_by("step").values_list("step", flat=True).distinct())
    if not steps:
        return {"samples": [], "sample_steps": []}
    task = query.get("task", "")
    if task.isdecimal() and (over_time := _of_task(run, int(task))):
        return over_time | {"sample_steps": steps}
    place = _place(steps, query)
    return {
        "samples": list(run.samples.filter(step=steps[place]).select_related("prompt").order_by("prompt")),
        "sample_steps": steps,
        "sample_step": steps[place],
        "sample_place": place,
        "sample_last": len(steps) - 1,
        "sample_previous": steps[place - 1] if place else None,
        "sample_next": steps[place + 1] if place + 1 < len(steps) else None,
    }


def _of_task(run: Run, prompt_id: int) -> Context:
    """All that was written for one task, the newest first. Empty where there is nothing."""
    found = list(run.samples.filter(prompt=prompt_id).select_related("prompt").order_by("-step"))
    return {"samples": found, "sample_task": found[0].prompt} if found else {}


def _place(steps: list[int], query: Mapping[str, str]) -> int:
    """Of the step asked for; of the last one where there is no such step."""
    step, at = query.get("step", ""), query.get("at", "")
    if step.isdecimal() and int(step) in steps:
        return steps.index(int(step))
    if at.isdecimal() and int(at) < len(steps):
        return int(at)
    return len(steps) - 1

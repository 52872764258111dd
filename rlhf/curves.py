"""How the loop has come along: gold, reward and agreement, a point an iteration, with intervals."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext as _

from annotator.models import Project
from annotator.plots import Plot, Series
from rlhf.models import Evaluation

Point = dict[str, Any]


def over_iterations(project: Project) -> list[Point]:
    """Points {"x": iteration, "values": …}, the oldest first; two queries."""
    values: dict[int, dict[str, Any]] = defaultdict(dict)
    rewards = project.checkpoints.rewards().order_by("pk").values_list("iteration", "metrics")
    for iteration, metrics in rewards:  # the newest of an iteration counts
        values[iteration] |= _flat("accuracy", metrics.get("accuracy"))
        values[iteration] |= _flat("agreement", metrics.get("human_ceiling"))
    evaluations = Evaluation.objects.filter(new__project=project).order_by("pk")
    for iteration, result in evaluations.values_list("new__iteration", "result"):
        for name in ("gold", "reward"):
            for side in ("old", "new"):
                values[iteration] |= _flat(f"{name}_{side}", (result.get(name) or {}).get(side))
    return [{"x": iteration, "values": values[iteration]} for iteration in sorted(values)]


def plots_of() -> list[Plot]:
    """What is drawn from the points."""
    return [
        Plot(
            "gold",
            _("Gold metric"),
            _("contrast, nats a token"),
            (
                Series("gold_new", _("After"), "gold_new_low", "gold_new_high"),
                Series("gold_old", _("Before"), "gold_old_low", "gold_old_high"),
            ),
            hint=_("Of the generators before and after each iteration, on held-out tasks."),
        ),
        Plot(
            "reward",
            _("Reward"),
            _("score of the iteration's reward model"),
            (
                Series("reward_new", _("After"), "reward_new_low", "reward_new_high"),
                Series("reward_old", _("Before"), "reward_old_low", "reward_old_high"),
            ),
            hint=_("Reward rising while gold falls means that the reward is being gamed."),
        ),
        Plot(
            "agreement",
            _("Agreement"),
            _("pairs ordered alike"),
            (
                Series("accuracy", _("Reward model"), "accuracy_low", "accuracy_high"),
                Series("agreement", _("Annotators"), "agreement_low", "agreement_high"),
            ),
            percent=True,
            hint=_("How far annotators agree with each other is the most that a reward model can reach."),
            level={"value": 0.5, "label": _("chance")},
        ),
    ]


def _flat(name: str, found: Any) -> dict[str, Any]:
    """{"accuracy": …, "accuracy_low": …, "accuracy_high": …} of a number or an interval."""
    if isinstance(found, Mapping):
        return {name: found.get("value"), f"{name}_low": found.get("low"), f"{name}_high": found.get("high")}
    return {name: found} if found is not None else {}

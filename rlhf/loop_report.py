"""What a turn of the loop came to: `var/loop.json`, and the same as a table for people."""

from __future__ import annotations

from typing import Any

from annotator.models import Completion, Ranking
from rlhf.models import Checkpoint, Evaluation, Run, RunRecord

NOTHING: dict[str, float | None] = {"value": None, "low": None, "high": None}
NO_COMPARISON = {"old": NOTHING, "new": NOTHING, "difference": NOTHING}
"""Where nothing could be measured: no held-out task was ranked, or none can judge."""


def report(
    *, reward: Checkpoint, policy: Run, evaluation: Evaluation, seconds: dict[str, float]
) -> dict[str, Any]:
    """Counts, the reward model's figures, the policy's before and after, seconds, memory."""
    project = policy.project
    accuracy = reward.metrics["accuracy"] or NOTHING
    gold = evaluation.result.get("gold", NO_COMPARISON)
    rewards = evaluation.result.get("reward", NO_COMPARISON)
    records = RunRecord.objects.filter(run__project=project)
    return {
        "prompts": project.prompts.count(),
        "completions": Completion.objects.filter(prompt__project=project).count(),
        "rankings": Ranking.objects.votes().filter(comparison__project=project).count(),
        "reward": {
            "accuracy": accuracy["value"],
            "low": accuracy["low"],
            "high": accuracy["high"],
            "longer": _value(reward.metrics["longer"]),
            "human_ceiling": _value(reward.metrics["human_ceiling"]),
        },
        "policy": {
            "algorithm": policy.config["algorithm"],
            "steps": policy.step,
            "kl": evaluation.result["kl"],
            "reward_before": _value(rewards["old"]),
            "reward_after": _value(rewards["new"]),
            "gold_before": _value(gold["old"]),
            "gold_after": _value(gold["new"]),
            "gain": gold["difference"]["value"],
            "low": gold["difference"]["low"],
            "high": gold["difference"]["high"],
        },
        "seconds": {name: round(taken, 1) for name, taken in seconds.items()},
        "peak_mb": max(record.values["peak_mb"] for record in records),
    }


def table(report: dict[str, Any]) -> str:
    """The report for people."""
    reward, policy = report["reward"], report["policy"]

    def number(value: float | None, digits: int = 2) -> str:
        return "–" if value is None else f"{value:.{digits}f}"

    rows = [
        (
            "prompts, completions, rankings",
            f"{report['prompts']}, {report['completions']}, {report['rankings']}",
        ),
        (
            "reward model on held-out prompts",
            f"{number(reward['accuracy'])} ({number(reward['low'])} to {number(reward['high'])})",
        ),
        ("  longer wins", number(reward["longer"])),
        ("  annotators with each other", number(reward["human_ceiling"])),
        (f"{policy['algorithm']} steps, KL", f"{policy['steps']}, {number(policy['kl'])} nats"),
        ("reward before, after", f"{number(policy['reward_before'])}, {number(policy['reward_after'])}"),
        ("gold before, after", f"{number(policy['gold_before'], 3)}, {number(policy['gold_after'], 3)}"),
        (
            "gain in gold (paired, 95 %)",
            f"{number(policy['gain'], 3)} ({number(policy['low'], 3)} to {number(policy['high'], 3)})",
        ),
        *((f"seconds: {name}", number(seconds, 1)) for name, seconds in report["seconds"].items()),
        ("peak memory of the model worker", f"{report['peak_mb']} MB"),
    ]
    width = max(len(name) for name, _ in rows)
    return "\n".join(f"{name:<{width}}  {value}" for name, value in rows)


def _value(found: Any) -> float | None:
    """The number of a figure, with or without its interval."""
    value: float | None = found["value"] if isinstance(found, dict) else found
    return value

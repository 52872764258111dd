"""The tables of a reward report as rows for CSV files, from what is stored with the checkpoint."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from rlhf.models import Checkpoint

Rows = Iterator[list[Any]]
ENDS = ("value", "low", "high")
FIGURES = (
    *("accuracy", "left_out_annotators", "previous", "longer", "tfidf", "human_ceiling", "train_accuracy"),
    *("ece", "temperature", "length_correlation", "simulated_share", "train_pairs", "held_out_pairs"),
    *("train_tasks", "held_out_tasks", "completions"),
)
SELECTION = ("ties", "cannot_judge", "agreement", "seconds", "right", "surprise", "surprise_over_random")


def figures(checkpoint: Checkpoint) -> Rows:
    yield ["figure", *ENDS]
    metrics = checkpoint.metrics
    yield from ([name, *_ends(metrics.get(name))] for name in FIGURES)
    yield from ([f"gain_on_{name}", *_ends(gain)] for name, gain in (metrics.get("gains") or {}).items())


def calibration(checkpoint: Checkpoint) -> Rows:
    yield ["stated", "happened", "low", "high", "pairs"]
    for row in checkpoint.metrics.get("bins") or []:
        yield [row["confidence"], row["accuracy"], *_ends(row.get("interval"))[1:], row["count"]]


def slices(checkpoint: Checkpoint) -> Rows:
    yield ["by", "name", "pairs", "accuracy", "low", "high", "small"]
    for row in checkpoint.metrics.get("slices") or []:
        yield [row["by"], row["name"], row["pairs"], *_ends(row["accuracy"]), int(row["is_small"])]


def curve(checkpoint: Checkpoint) -> Rows:
    yield ["rankings", "tasks", "accuracy", "low", "high", "forecast"]
    found = checkpoint.metrics.get("curve")
    if found:
        for point in found["points"]:
            yield [point["rankings"], point["tasks"], *_ends(point["accuracy"]), 0]
        yield [found["forecast_rankings"], 2 * found["points"][-1]["tasks"], *_ends(found["forecast"]), 1]


def annotators(checkpoint: Checkpoint) -> Rows:
    yield ["annotator", "reliability", "low", "high", "rankings", "simulated"]
    for row in checkpoint.metrics.get("annotators") or []:
        yield [
            row["annotator"],
            *_ends(row),
            row["rankings"],
            int(row["simulated"]),
        ]


def contradicted(checkpoint: Checkpoint) -> Rows:
    names = ("margin", "probability", "preferred", "other", "strength")
    yield ["judgment", "task", "annotator", *names, "simulated"]
    for row in checkpoint.metrics.get("contradicted") or []:
        found = [row.get(name) for name in names]
        yield [
            row["judgment_id"],
            row["task_id"],
            row.get("annotator"),
            *found,
            int(row.get("simulated", False)),
        ]


def selection(checkpoint: Checkpoint) -> Rows:
    counts = ["rule", "comparisons", "judged", "judgments", "foreseen"]
    yield [*counts, *(f"{name}{end}" for name in SELECTION for end in ("", "_low", "_high"))]
    for row in checkpoint.metrics.get("selection") or []:
        ends: Iterable[Any] = (end for name in SELECTION for end in _ends(row[name]))
        yield [*(row[name] for name in counts), *ends]


TABLES = {
    "figures": figures,
    "calibration": calibration,
    "slices": slices,
    "curve": curve,
    "annotators": annotators,
    "contradicted": contradicted,
    "selection": selection,
}


def table(name: str, checkpoint: Checkpoint, names: Mapping[str, str]) -> Rows:
    """One of TABLES, with the user names that the reader may know in place of pseudonyms."""
    for row in TABLES[name](checkpoint):
        yield [names.get(cell, cell) if isinstance(cell, str) else cell for cell in row]


def _ends(found: Any) -> list[Any]:
    if isinstance(found, Mapping):
        return [found.get(end) for end in ENDS]
    return [found, None, None]

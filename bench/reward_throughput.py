"""Rankings a second in training a reward model, beside TRL's RewardTrainer on the same data and weights.

    .venv/bin/python -m pip install -r requirements-scale.txt
    .venv/bin/python bench/reward_throughput.py --json reward_throughput.json

Both sides train LoRA on all linear layers and a scalar head from the same weights, in one precision, with one
number of threads, without dropout or gradient checkpointing, on the same rankings in the same steps. TRL
reads a ranking of k completions as k(k-1)/2 pairs, already tokenised, in the order of our steps, with the
batch size that was fastest for it. Runs alternate; figures are medians. Loading is not counted. Before that,
at k = 2 and in float32, the losses of both are compared step by step.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "bench")]
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import torch  # noqa: E402
import trainers  # noqa: E402

from rlhf.lm.backbones import UnknownModel, best_dtype, resolve  # noqa: E402
from rlhf.lm.trainable import is_causal  # noqa: E402

GOALS = {2: 1.5, 4: 4.0, 9: 10.0}
RANKINGS_PER_STEP = {2: 16, 4: 4, 9: 1}
TRL_BATCHES = (4, 12, 16)  # pairs; those that divide a step's pairs are tried
CURVE_STEPS = 4
CURVE_RANKINGS = 2  # a step
# Both sum the same numbers in another order, with other padding: float32 keeps 24 bits, and Adam's first
# steps, of size learning rate whatever the gradient, spread a difference near a zero gradient.
CURVE_TOLERANCE = 2e-3


def main() -> int:
    options = arguments()
    if (missing := trainers.missing_package()) is not None:
        print(
            f"error: {missing}. Install what is compared with: {sys.executable} -m pip install -r "
            "requirements-scale.txt",
            file=sys.stderr,
        )
        return 2
    if options.threads:
        torch.set_num_threads(options.threads)
    precision = "bfloat16" if best_dtype() == torch.bfloat16 else "float32"
    print(f"{torch.get_num_threads()} threads, {precision}, LoRA on both sides", flush=True)
    rows: list[dict[str, Any]] = []
    equal = True
    try:
        for backbone in options.backbones:
            causal = is_causal(resolve(backbone, options.models))
            equal &= same_curve(backbone, causal, options)
            rows += [measure(backbone, causal, k, precision, options) for k in options.k]
    except UnknownModel as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"\n{'backbone':12} {'k':>2} {'ours/s':>9} {'TRL/s':>9} {'ratio':>7} {'goal':>6}")
    for row in rows:
        goal = GOALS.get(row["k"], 1.0)
        print(
            f"{row['backbone']:12} {row['k']:2} {row['ours_per_s']:9.3f} {row['trl_per_s']:9.3f} "
            f"{row['ratio']:7.2f} {goal:6.1f}{'' if row['ratio'] >= goal else '  missed'}"
        )
    if options.json:
        options.json.write_text(json.dumps({"rows": rows}, indent=2) + "\n")
    return 0 if equal else 1


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--backbones", type=lambda text: text.split(","), default=["minilm", "smollm2"])
    parser.add_argument("--k", type=numbers, default=[2, 4, 9], help="completions a ranking (2,4,9)")
    parser.add_argument("--steps", type=int, default=1, help="optimiser steps of a timed run (default 1)")
    parser.add_argument("--rankings", type=int, default=0, help="a step (default 16, 4, 1 for k = 2, 4, 9)")
    parser.add_argument(
        "--trl-batches", type=sizes, default=TRL_BATCHES, help="pairs a batch of TRL, to try (4,12,16)"
    )
    parser.add_argument("--repeats", type=int, default=2, help="timed runs of each side (default 2)")
    parser.add_argument("--threads", type=int, default=0, help="of torch (default: its own choice)")
    parser.add_argument("--seed", type=int, default=0, help="of the data and the weights that are new")
    parser.add_argument(
        "--models", type=Path, default=ROOT / "var/models", help="prepared models (var/models)"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the rows here")
    return parser.parse_args()


def numbers(text: str) -> list[int]:
    found = [int(word) for word in text.split(",")]
    if min(found) < 2:
        raise argparse.ArgumentTypeError("a ranking has at least two completions")
    return found


def sizes(text: str) -> list[int]:
    return [int(word) for word in text.split(",")]


def measure(
    backbone: str, causal: bool, k: int, precision: str, options: argparse.Namespace
) -> dict[str, Any]:
    """One row: medians of alternating runs, after a run of each kind that is not counted."""
    per_step = options.rankings or RANKINGS_PER_STEP.get(k, 4)
    count = per_step * options.steps
    config = trainers.config_of(backbone, causal, precision, per_step=per_step, seed=options.seed)
    data = trainers.rankings(count, k, seed=options.seed)
    pairs, tokens = trainers.ordered_pairs(config, data, options.models)
    pairs_per_step = len(pairs) // options.steps
    candidates = [n for n in options.trl_batches if pairs_per_step % n == 0] or [pairs_per_step]
    tried = {
        batch: trainers.train_trl(
            config, pairs[:pairs_per_step], options.models, batch=batch, pairs_per_step=pairs_per_step
        )[0]
        for batch in candidates
    }
    batch = min(tried, key=lambda size: tried[size])
    ours, theirs = [], []
    trainers.train_ours(config, data, options.models)
    for _ in range(options.repeats):
        ours.append(count / trainers.train_ours(config, data, options.models)[0])
        theirs.append(
            count
            / trainers.train_trl(config, pairs, options.models, batch=batch, pairs_per_step=pairs_per_step)[0]
        )
    row = {
        "backbone": backbone,
        "k": k,
        "ours_per_s": statistics.median(ours),
        "trl_per_s": statistics.median(theirs),
    }
    row["ratio"] = row["ours_per_s"] / row["trl_per_s"]
    print(
        f"{backbone} k={k}: {count} rankings, {tokens:.0f} tokens a sequence; TRL's batches "
        + ", ".join(f"{size}: {seconds:.2f} s" for size, seconds in tried.items())
        + f"; ours {shown(ours)}, TRL ({batch}) {shown(theirs)} rankings/s: {row['ratio']:.2f}",
        flush=True,
    )
    return row


def shown(values: Sequence[float]) -> str:
    return "/".join(f"{value:.3f}" for value in values)


def same_curve(backbone: str, causal: bool, options: argparse.Namespace) -> bool:
    """Whether both sides' losses are equal at k = 2, in float32, step by step."""
    config = trainers.config_of(backbone, causal, "float32", per_step=CURVE_RANKINGS, seed=options.seed)
    config = dataclasses.replace(config, learning_rate=1e-3)
    data = trainers.rankings(CURVE_RANKINGS * CURVE_STEPS, 2, seed=options.seed + 1)
    pairs, _ = trainers.ordered_pairs(config, data, options.models)
    ours = trainers.train_ours(config, data, options.models)[1]
    theirs = trainers.train_trl(
        config, pairs, options.models, batch=CURVE_RANKINGS, pairs_per_step=CURVE_RANKINGS
    )[1]
    worst = max(abs(a - b) for a, b in zip(ours, theirs, strict=True))
    for name, curve in (("ours", ours), ("TRL", theirs)):
        print(f"{backbone} losses at k = 2, {name:4}: " + " ".join(f"{loss:.6f}" for loss in curve))
    equal = worst <= CURVE_TOLERANCE
    print(
        f"  largest difference {worst:.2e}: {'equal' if equal else 'NOT EQUAL'} within {CURVE_TOLERANCE}",
        flush=True,
    )
    return equal


if __name__ == "__main__":
    sys.exit(main())

"""Rankings a second in training a reward model, beside TRL's RewardTrainer on the same data and weights.

    .venv/bin/python -m pip install -r requirements-scale.txt
    .venv/bin/python bench/reward_throughput.py --json reward_throughput.json

Both sides train LoRA on all linear layers and a scalar head from the same weights, in one precision, with one
number of threads, without dropout or gradient checkpointing, on the same rankings in the same steps. TRL
reads a ranking of k completions as k(k-1)/2 pairs, already tokenised, in the order of our steps, with the
batch size that was fastest for it. Runs alternate; figures are medians. Loading is not counted.

Before that the losses of both are compared step by step, at k = 2 and in float32. How far apart equal curves
may be is measured: ours with every sequence alone in its batch, which sums the same numbers in another order.
The comparison fails unless the losses move and a learning rate that is a tenth higher would be noticed.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "bench")]
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import numpy as np  # noqa: E402
import torch  # noqa: E402
import trainers  # noqa: E402
from timing_options import add_timing_options  # noqa: E402

from rlhf.lm.backbones import UnknownModel, best_dtype, resolve  # noqa: E402
from rlhf.lm.data import Dataset  # noqa: E402
from rlhf.lm.trainable import is_causal  # noqa: E402

GOALS = {2: 1.5, 4: 4.0, 9: 10.0}
RANKINGS_PER_STEP = {2: 16, 4: 4, 9: 2}
TRL_BATCHES = (1, 2, 4, 8, 12, 16, 24)  # pairs; those that divide a step's pairs are tried
TRIED_PAIRS = 24  # with each of them
MUCH_SLOWER = 1.1  # than the best so far: still larger batches are not tried
CURVE_RANKINGS, CURVE_PER_STEP, CURVE_EPOCHS = 6, 2, 3
CURVE_RATE = 1e-3
OTHER_RATE = 1.1  # times that: to be told from it
# Equal: within so many times what another order of summation does to ours. peft also adds W·x and B·A·x where
# ours multiplies with W + B·A, and Adam's first steps, of one size whatever the gradient, spread that.
ROUNDING = 10.0


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
    precision = options.precision or str(best_dtype()).removeprefix("torch.")
    unit = "processor seconds" if options.processor_time else "seconds"
    print(f"{torch.get_num_threads()} threads, {precision}, LoRA on both sides, times in {unit}", flush=True)
    rows: list[dict[str, Any]] = []
    equal = True
    try:
        for backbone in options.backbones:
            causal = is_causal(resolve(backbone, options.models))
            equal &= options.no_curves or same_curve(backbone, causal, options)
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
    parser.add_argument("--steps", type=int, default=2, help="optimiser steps of a timed run (default 2)")
    parser.add_argument("--rankings", type=int, default=0, help="a step (default 16, 4, 2 for k = 2, 4, 9)")
    parser.add_argument(
        "--trl-batches",
        type=sizes,
        default=TRL_BATCHES,
        help="pairs a batch of TRL, to try, upwards (1,2,4,8,12,16,24)",
    )
    parser.add_argument("--repeats", type=int, default=3, help="timed runs of each side (default 3)")
    add_timing_options(parser)
    parser.add_argument("--no-curves", action="store_true", help="do not compare losses")
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
    return sorted({1, *(int(word) for word in text.split(","))})


def measure(
    backbone: str, causal: bool, k: int, precision: str, options: argparse.Namespace
) -> dict[str, Any]:
    """One row: medians of alternating runs, after a run of each kind that is not counted."""
    clock = time.process_time if options.processor_time else time.perf_counter
    per_step = options.rankings or RANKINGS_PER_STEP.get(k, 4)
    count = per_step * options.steps
    config = trainers.config_of(backbone, causal, precision, per_step=per_step, seed=options.seed)
    data = trainers.rankings(count, k, seed=options.seed)
    pairs = trainers.ordered_pairs(config, data, options.models)
    pairs_per_step = len(pairs) // options.steps
    print(f"{backbone} k={k}: {count} rankings in {options.steps} steps, {lengths(data, pairs)}", flush=True)

    def train_trl(pairs: list[trainers.Pair], batch: int, pairs_per_step: int) -> float:
        seconds, _ = trainers.train_trl(
            config, pairs, options.models, batch=batch, pairs_per_step=pairs_per_step, clock=clock
        )
        return seconds

    some = pairs[: min(TRIED_PAIRS, pairs_per_step)]
    train_trl(some[:1], 1, 1)
    tried: dict[int, float] = {}
    for size in options.trl_batches:
        if pairs_per_step % size == 0 and len(some) % size == 0:
            tried[size] = train_trl(some, size, len(some))
            if tried[size] > MUCH_SLOWER * min(tried.values()):
                break
    batch = min(tried, key=lambda size: tried[size])
    trainers.train_ours(config, data, options.models, clock=clock)
    ours, theirs = [], []
    for _ in range(options.repeats):
        ours.append(count / trainers.train_ours(config, data, options.models, clock=clock)[0])
        theirs.append(count / train_trl(pairs, batch, pairs_per_step))
    row = {
        "backbone": backbone,
        "k": k,
        "ours_per_s": statistics.median(ours),
        "trl_per_s": statistics.median(theirs),
    }
    row["ratio"] = row["ours_per_s"] / row["trl_per_s"]
    print(
        f"  TRL's batches on {len(some)} pairs: "
        + ", ".join(f"{size}: {seconds:.2f} s" for size, seconds in tried.items())
        + f"; ours {shown(ours)}, TRL ({batch}) {shown(theirs)} rankings/s: {row['ratio']:.2f}",
        flush=True,
    )
    return row


def lengths(data: Dataset, pairs: list[trainers.Pair]) -> str:
    """10th percentile, median and 90th of what is trained on."""
    prompts = [len(task.text.split()) for task in data.tasks.values()]
    completions = [len(text.split()) for judgment in data.judgments for text in judgment.completions]
    tokens = [len(ids) for pair in pairs for ids in pair]
    return ", ".join(
        f"{'/'.join(f'{value:.0f}' for value in np.percentile(sizes, [10, 50, 90]))} {name}"
        for sizes, name in (
            (prompts, "words a prompt"),
            (completions, "words a completion"),
            (tokens, "tokens both"),
        )
    )


def shown(values: Sequence[float]) -> str:
    return "/".join(f"{value:.3f}" for value in values)


def same_curve(backbone: str, causal: bool, options: argparse.Namespace) -> bool:
    """Whether both sides' losses are equal at k = 2, in float32, step by step."""
    config = trainers.config_of(backbone, causal, "float32", per_step=CURVE_PER_STEP, seed=options.seed)
    config = dataclasses.replace(config, learning_rate=CURVE_RATE, epochs=CURVE_EPOCHS)
    data = trainers.rankings(CURVE_RANKINGS, 2, seed=options.seed + 1)
    pairs = trainers.ordered_pairs(config, data, options.models)

    def ours(**changes: Any) -> list[float]:
        changed = dataclasses.replace(config, **changes)
        return trainers.train_ours(changed, data, options.models, clock=time.perf_counter)[1]

    curve = ours()
    theirs = trainers.train_trl(
        config,
        pairs,
        options.models,
        batch=CURVE_PER_STEP,
        pairs_per_step=CURVE_PER_STEP,
        clock=time.perf_counter,
    )[1]
    for name, losses in (("ours", curve), ("TRL", theirs)):
        print(f"{backbone} losses at k = 2, {name:4}: " + " ".join(f"{loss:.6f}" for loss in losses))
    verdict = compared(
        curve, theirs, reordered=ours(batch_tokens=1), other=ours(learning_rate=OTHER_RATE * CURVE_RATE)
    )
    print(f"  {verdict.words}", flush=True)
    return verdict.equal


@dataclass(frozen=True)
class Verdict:
    """Whether two curves are equal, and the figures that say so."""

    equal: bool
    words: str


def compared(
    ours: Sequence[float], theirs: Sequence[float], *, reordered: Sequence[float], other: Sequence[float]
) -> Verdict:
    """Equal within what rounding does, where that is little beside what is to be noticed.

    `reordered` is ours with its sums in another order, `other` with another learning rate.
    """

    def apart(curve: Sequence[float]) -> float:
        return max(abs(a - b) for a, b in zip(ours, curve, strict=True))

    tolerance = ROUNDING * max(apart(reordered), float(np.finfo(np.float32).eps))
    moved = max(ours) - min(ours)
    words = (
        f"TRL differs by at most {apart(theirs):.1e}; another order of summation {apart(reordered):.1e}, "
        f"a learning rate times {OTHER_RATE} {apart(other):.1e}; the losses move by {moved:.1e}"
    )
    if min(moved, apart(other)) <= 2 * tolerance:
        return Verdict(False, f"{words}: NO COMPARISON, {tolerance:.1e} is too coarse")
    equal = apart(theirs) <= tolerance
    return Verdict(equal, f"{words}: {'equal' if equal else 'NOT EQUAL'} within {tolerance:.1e}")


if __name__ == "__main__":
    sys.exit(main())

"""How many labels a selection rule saves against random choice, with simulated annotators and real votes.

    python bench/selection.py --data ../shared/data --json selection.json

Votes are known beforehand and revealed as a rule asks for them (rlhf/lm/replay.py). The label ratio is
how many labels a rule needs over how many random choice needs for the accuracy that it has with 70 % of
its labels: below 1 the rule saves. Intervals are paired bootstraps over seeds. All rules train the same
model. "best people" puts each question to whoever's η is highest in a draw of its posterior, "best half" to
one of the better half: random with these shows what that alone brings. A second table says how well
careless annotators are found, and what it is worth.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "bench")]

import numpy as np  # noqa: E402
import torch  # noqa: E402
from preference_sets import BadSet, PreferenceSet, read_folder  # noqa: E402
from reward_model import INPUTS, TOKENS  # noqa: E402
from set_features import read_responses, standardised  # noqa: E402

from rlhf.lm import acquisition  # noqa: E402
from rlhf.lm.backbones import load_causal, load_encoder  # noqa: E402
from rlhf.lm.features import Features  # noqa: E402
from rlhf.lm.metrics import bootstrap_mean  # noqa: E402
from rlhf.lm.replay import (  # noqa: E402
    ANYBODY,
    BEST,
    BEST_HALF,
    Plan,
    Pool,
    Ratio,
    accuracy,
    label_ratio,
    replay,
    simulated_pool,
)
from rlhf.lm.reward_heads import PairArrays, fit_heads, last_heads  # noqa: E402

SIMULATED = {
    "simulated, all good": (0.95,) * 10,
    "simulated, 4 of 10 careless": (0.95,) * 6 + (0.5,) * 4,
    "simulated, 2 careless and 2 malicious": (0.95,) * 6 + (0.5,) * 2 + (0.1,) * 2,
}
WAYS = [(rule, ANYBODY) for rule in acquisition.RULES]
WAYS += [
    (rule, people)
    for people in (BEST, BEST_HALF)
    for rule in (acquisition.RANDOM, acquisition.BALD, acquisition.D_OPTIMAL, acquisition.BY_HEADS)
]
WIDTH = 48  # principal components of real features
REAL_L2 = 5.0
JUDGMENTS = 30  # of each annotator, where careless ones are to be found


@dataclass(frozen=True)
class RealSet:
    """Pairs of a set with their votes. Shapes: features (2N, D), of pair n at 2n and 2n + 1; votes (N, A)."""

    features: np.ndarray
    groups: np.ndarray
    votes: np.ndarray
    outcomes: np.ndarray

    def pool(self, seed: int) -> Pool:
        """Half of the prompts to ask about, the other half to judge by."""
        rng = np.random.default_rng(seed)
        prompts = np.unique(self.groups)
        asked = np.isin(self.groups, rng.choice(prompts, len(prompts) // 2, replace=False))
        here, there = np.flatnonzero(asked), np.flatnonzero(~asked & (self.outcomes != 0.5))
        return Pool(
            self.features,
            2 * here,
            2 * here + 1,
            self.groups[here],
            self.votes[here],
            2 * there,
            2 * there + 1,
            self.outcomes[there],
        )


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--data", type=Path, help="folder or file of judged pairs; without it only simulations"
    )
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--labels", type=int, default=400, help="labels a replay may ask for (400)")
    parser.add_argument("--jobs", type=int, default=2, help="processes (2)")
    parser.add_argument(
        "--models", type=Path, default=ROOT / "var/models", help="prepared models (var/models)"
    )
    parser.add_argument("--cache", type=Path, default=ROOT / "var/bench-features.sqlite3")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the rows here")
    options = parser.parse_args()
    if options.seeds < 2:
        parser.error("--seeds must be at least 2: the intervals are over seeds")
    try:
        sets, refused = read_folder(options.data) if options.data else ([], [])
    except (BadSet, FileNotFoundError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    for reason in refused:
        print(f"left out: {reason}", file=sys.stderr)
    plan = Plan(labels=options.labels)
    rows, seeds = [], range(options.seeds)
    with ProcessPoolExecutor(
        options.jobs, get_context("spawn"), initializer=torch.set_num_threads, initargs=(1,)
    ) as jobs:
        for name, annotators in SIMULATED.items():
            made = [simulated_pool(seed, annotators=annotators) for seed in seeds]
            rows += report(name, made, plan, jobs)
        for real in sets:
            table = real_set(real, options.models, options.cache)
            few = min(options.labels, len(table.outcomes) // 4)
            made = [table.pool(seed) for seed in seeds]
            rows += report(real.name, made, replace(plan, labels=few, l2=REAL_L2), jobs)
        found = list(jobs.map(find_careless, seeds))
    reliability = say_reliability(found)
    if options.json:
        options.json.write_text(json.dumps({"rows": rows, "reliability": reliability}, indent=2) + "\n")
    return 0


def report(name: str, pools: Sequence[Pool], plan: Plan, jobs: ProcessPoolExecutor) -> list[dict[str, Any]]:
    """Replay every rule on every pool, print a table, give its rows."""
    people = pools[0].votes.shape[1]
    ways = [way for way in WAYS if people > 1 or way[1] == ANYBODY]
    grid = np.arange(plan.batch, plan.labels + 1, plan.batch)
    size = f"{len(pools[0].first)} pairs, {people} annotators, {plan.labels} labels, {len(pools)} seeds"
    print(f"\n{name}: {size}")
    print(f"{'rule':32}{'label ratio':>12}{'95 %':>14}{'accuracy at half, all':>24}", flush=True)
    work = [(pool, plan, way, seed) for way in ways for seed, pool in enumerate(pools)]
    every = np.array(list(jobs.map(curve, work, [grid] * len(work), chunksize=5)))
    curves = every.reshape(len(ways), len(pools), len(grid))
    rows = []
    for way, found in zip(ways, curves, strict=True):
        rule = way[0] if way[1] == ANYBODY else f"{way[0]}, {way[1]}"
        ratio: Ratio = label_ratio(grid.tolist(), found, curves[0])
        half, end = found.mean(0)[len(grid) // 2 - 1], found.mean(0)[-1]
        print(
            f"{rule:32}{ratio.value:12.2f}{ratio.low:7.2f} –{ratio.high:5.2f}{half:17.1%}{end:7.1%}",
            flush=True,
        )
        rows.append(
            {"pool": name, "rule": rule, "label_ratio": ratio.value, "low": ratio.low, "high": ratio.high}
        )
    print(
        f"target accuracy {label_ratio(grid.tolist(), curves[0], curves[0], resamples=1).target:.1%}",
        flush=True,
    )
    return rows


def curve(work: tuple[Pool, Plan, tuple[str, str], int], grid: np.ndarray) -> np.ndarray:
    """Accuracy at each number of labels of the grid; before the first fit it is that of the first."""
    pool, plan, (rule, people), seed = work
    labels, found = zip(*replay(pool, plan, rule=rule, people=people, seed=seed), strict=True)
    return np.interp(grid, labels, found)


def real_set(real: PreferenceSet, models: Path, cache: Path) -> RealSet:
    """A set's features: principal components of all that bench/reward_model.py reads, and keeps, of it."""
    print(f"reading {real.name} ({real.reading})", file=sys.stderr)
    features = Features(
        load_causal("smollm2", models),
        load_encoder("minilm", models),
        cache,
        inputs=INPUTS,
        wording="chat",
        completion_tokens=TOKENS,
    )
    raw = read_responses(real, features)
    standard = standardised(raw, np.arange(len(raw)))
    _, values, directions = np.linalg.svd(standard, full_matrices=False)
    width = min(WIDTH, len(values))
    components = standard @ directions[:width].T
    votes = max(len(pair.votes) for pair in real.pairs)
    pairs = [pair for pair in real.pairs if len(pair.votes) == votes]
    kept = np.repeat([len(pair.votes) == votes for pair in real.pairs], 2)
    return RealSet(
        components[kept] / components.std(),
        np.unique([pair.group for pair in pairs], return_inverse=True)[1],
        np.array([pair.votes for pair in pairs]),
        np.array([pair.outcome for pair in pairs]),
    )


def find_careless(seed: int) -> tuple[float, float, float]:
    """AUC of η, and accuracy with and without it: 30 judgments each, 3 of 10 annotators toss a coin."""
    honest = (0.95,) * 7 + (0.5,) * 3
    pool = simulated_pool(seed, annotators=honest, tasks=60)
    rng = np.random.default_rng(seed)
    chosen = [
        (int(pair), a) for a in range(10) for pair in rng.choice(len(pool.first), JUDGMENTS, replace=False)
    ]
    pairs, people = (np.array(column, dtype=np.int64) for column in zip(*chosen, strict=True))
    votes = pool.votes[pairs, people]
    fitted = {}
    for name, who in (("aware", people), ("plain", np.zeros_like(people))):
        arrays = PairArrays(pool.first[pairs], pool.second[pairs], votes, who, pool.tasks[pairs])
        fitted[name] = last_heads(fit_heads(pool.features, arrays, heads=1, l2=1.0, steps=60, seed=seed))
    eta = fitted["aware"].reliability[0]
    auc = float((eta[:7, None] > eta[None, 7:]).mean())
    return auc, accuracy(pool, fitted["aware"]), accuracy(pool, fitted["plain"])


def say_reliability(found: Sequence[tuple[float, float, float]]) -> list[dict[str, Any]]:
    auc, aware, plain = (np.array(column) for column in zip(*found, strict=True))
    print(f"\n3 of 10 annotators toss a coin, {JUDGMENTS} judgments each, {len(found)} seeds")
    rows = []
    for name, values in (
        ("AUC of careless against careful", auc),
        ("accuracy, reliability-aware", aware),
        ("accuracy, all votes alike", plain),
        ("difference of these", aware - plain),
    ):
        mean = bootstrap_mean(values, list(range(len(values))), resamples=2000, seed=0)
        print(f"{name:34}{mean.value:8.3f}{mean.low:8.3f} –{mean.high:6.3f}")
        rows.append({"what": name, "value": mean.value, "low": mean.low, "high": mean.high})
    return rows


if __name__ == "__main__":
    sys.exit(main())

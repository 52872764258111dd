"""Fine-tuning on tasks, judged on tasks left out: gold before and after, by algorithm and seed.

    python bench/policy.py --data ../shared/data --algorithm rloo --json policy.json

The folder's tasks (bench/policy_tasks.py says in which form) are left out a third at a time, another third
for each of three seeds; training is on the rest and on the demo's tasks that ask for something else.
Generator and executor are the embedded model. The reward model learns from simulated annotators who are
wrong on 15 % of the pairs; another from the same votes, which heeds more what comes of an instruction on
twelve shown examples, chooses the best of n. Gold is the contrast (docs/methods.md). Intervals are bootstraps
over left-out tasks. What a seed starts from is kept under --work; so are finished runs, which --again trains
anew.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "bench")]

import numpy as np  # noqa: E402
import torch  # noqa: E402
from policy_data import (  # noqa: E402
    AS_PEOPLE_READ,
    Item,
    Prepared,
    drawn,
    judged,
    kept,
    order_accuracy,
    prepare,
)
from policy_tasks import LEFT_OUT_JUDGED, Split, name_of, read_folder, split  # noqa: E402
from policy_trainers import TRAINERS, Settings, train  # noqa: E402

from rlhf.lm.backbones import CausalLM, load_causal, load_encoder  # noqa: E402
from rlhf.lm.best_of_n import pessimistic  # noqa: E402
from rlhf.lm.checkpoints import load_policy  # noqa: E402
from rlhf.lm.configs import EvaluationConfig, SamplingConfig  # noqa: E402
from rlhf.lm.evaluation import control_items, divergence  # noqa: E402
from rlhf.lm.gold import leaks  # noqa: E402
from rlhf.lm.metrics import Interval, bootstrap_mean  # noqa: E402
from rlhf.lm.reward_model import RewardModel  # noqa: E402

UNTOUCHED, READ = 32, 16
"""Samples a left-out prompt, of the untouched generator and of a trained one. All gains are against the
first, and best-of-16 takes one of 16 of them."""
BEST_OF = 8
"""Samples of a trained one of which the reward takes the best."""
PESSIMISM = SamplingConfig.pessimism
"""As the site chooses the best of n."""
READING_SEED = 1000  # of the samples that are judged: another for each seed of training


@dataclass(frozen=True)
class Row:
    """One way to write, on the left-out tasks of one seed: means by task."""

    way: str
    seed: int
    before: dict[str, float]
    after: dict[str, float]
    people: dict[str, float]
    spread: dict[str, float]
    """Standard deviation of gold over the untouched generator's samples of one prompt."""
    kl: float | None = None
    minutes: float | None = None
    leaks: float | None = None

    def to_json(self) -> dict[str, Any]:
        return summary([self]) | {
            "algorithm": self.way,
            "seed": self.seed,
            "kl": self.kl,
            "minutes": self.minutes,
            "leaks": self.leaks,
            "tasks": {name: [self.before[name], self.after[name]] for name in self.before},
        }


def summary(rows: Sequence[Row]) -> dict[str, Any]:
    """Gold before and after over the left-out tasks of some seeds, the gain with its interval."""
    before, after, people, spread = (
        np.array([value for row in rows for value in getattr(row, part).values()])
        for part in ("before", "after", "people", "spread")
    )
    gain, normalised = bootstrap_mean(after - before), bootstrap_mean((after - before) / spread)
    gap = float((people - before).mean())
    return {
        "gold_before": float(before.mean()),
        "gold_after": float(after.mean()),
        "gain": gain.value,
        "low": gain.low,
        "high": gain.high,
        "normalised": vars_of(normalised),
        "gap_closed": gain.value / gap if gap > 0 else None,
    }


def vars_of(interval: Interval) -> list[float]:
    return [interval.value, interval.low, interval.high]


def by_task(items: Sequence[Item], values: Sequence[float]) -> dict[str, float]:
    """Means over a task's prompts and texts, by its name."""
    found: dict[str, list[float]] = {}
    for (task, _), value in zip(items, values, strict=True):
        found.setdefault(name_of(task), []).append(value)
    return {name: float(np.mean(some)) for name, some in sorted(found.items())}


def read(
    lm: CausalLM, executor: CausalLM, split: Split, path: Path, *, count: int, seed: int
) -> tuple[list[Item], np.ndarray]:
    """Samples of left-out prompts as people would read them, and their gold (P, count)."""
    prompts = {task.id: task for task in split.left_out}
    rows, _ = kept(
        path.with_suffix(".texts.json"),
        lambda: [
            [task.id, text]
            for task, text in drawn(lm, split.left_out, count=count, how=AS_PEOPLE_READ, seed=seed)
        ],
    )
    items = [(prompts[prompt], text) for prompt, text in rows]
    gold = golds(executor, items, path)
    return items, gold.reshape(len(prompts), count)


def golds(executor: CausalLM, items: Sequence[Item], path: Path) -> np.ndarray:
    return np.array(kept(path, lambda: judged(executor, items, examples=LEFT_OUT_JUDGED))[0])


class Seed:
    """What one seed's rows have in common: what is there before anything is trained."""

    def __init__(self, options: argparse.Namespace, seed: int) -> None:
        self.seed, self.options = seed, options
        self.folder = options.work / str(seed)
        self.base = load_causal("smollm2", options.models)
        encoder = load_encoder("minilm", options.models)
        self.split = split(read_folder(options.data), seed=seed, encoder=encoder)
        self.start, self.earlier = self.base, 0.0
        second = None
        if options.after:
            self.start = load_policy(self.folder / options.after / "policy", options.models)
            self.earlier = json.loads((self.folder / options.after / "minutes.json").read_text())["minutes"]
            second = (options.after, self.start)
        self.prepared: Prepared = prepare(
            self.base, encoder, options.models, self.split, seed=seed, folder=self.folder, second=second
        )
        if second:
            seconds = self.prepared.seconds
            self.earlier += (seconds["sampling again"] + seconds["reward"]) / 60
        self.items, self.gold = read(
            self.base,
            self.base,
            self.split,
            self.folder / "untouched.json",
            count=UNTOUCHED,
            seed=READING_SEED + seed,
        )
        written = [
            (task, text) for task in self.split.left_out for text in self.split.instructions[name_of(task)]
        ]
        self.people = by_task(written, golds(self.base, written, self.folder / "people.json").tolist())
        self.before = by_task(self.items, self.gold.ravel().tolist())
        spreads = np.repeat(self.gold.std(1), UNTOUCHED).tolist()
        self.spread = by_task(self.items, spreads)

    def row(self, way: str, after: dict[str, float], **more: Any) -> Row:
        return Row(way, self.seed, self.before, after, self.people, self.spread, **more)

    def controls(self) -> list[Row]:
        """What is known without training: people's, none, what must not win; best-of-n by the reward."""
        rows = [self.row("people", self.people)]
        for name, items in control_items(self.split.left_out).items():
            if name != "people":
                found = golds(self.base, items, self.folder / f"{name}.json")
                rows.append(self.row(f"control: {name}", by_task(items, found.tolist())))
        heads = self.prepared.choosing.head_scores(self.items)  # (N, K)
        mean, std = heads.mean(1), heads.std(1)
        accuracy = order_accuracy(self.items, mean, self.gold.ravel().tolist())
        took = ", ".join(f"{name} {value:.0f} s" for name, value in self.prepared.seconds.items())
        print(
            f"seed {self.seed}: {len(self.split.training)} training prompts, {len(self.split.left_out)} left "
            f"out ({', '.join(sorted(self.people))}), {self.split.dropped} demo tasks too much like these; "
            f"the choosing reward model right on {self.prepared.accuracy:.1%} of training pairs, "
            f"{accuracy:.1%} of left-out ones; {took}",
            file=sys.stderr,
        )
        for n in (8, 16):
            rows.append(self.best(f"best of {n}", pessimistic(mean, std, PESSIMISM), n))
        rows.append(self.best("best of 16, mean of the heads", mean, 16))
        singles = [self.best("", heads[:, k], 16).after for k in range(heads.shape[1])]
        average = {name: float(np.mean([one[name] for one in singles])) for name in singles[0]}
        rows.append(self.row("best of 16, a single head", average))
        rows.append(self.row("best of 16, by gold", self.best("", self.gold, 16).after))
        return rows

    def best(self, way: str, scores: np.ndarray, n: int) -> Row:
        """The mean over every n samples of a prompt of the gold of the one that scores highest."""
        blocks = scores.reshape(-1, n), self.gold.reshape(-1, n)
        chosen = blocks[1][np.arange(len(blocks[0])), blocks[0].argmax(1)]
        return self.row(way, by_task(self.items, np.repeat(chosen, n).tolist()), kl=np.log(n) - (n - 1) / n)

    def trained(self, algorithm: str, settings: Settings) -> list[Row]:
        """Train, or read what was trained before, and judge: one sample, and the best of some."""
        after = self.options.after
        named = "-".join([algorithm, *(f"{k}={v}" for k, v in sorted(settings.items()))])
        if after:
            named = f"{after} then {named}"
        folder = self.folder / named
        if self.options.again and folder.exists():
            shutil.rmtree(folder)
        if not (folder / "minutes.json").exists():
            started = time.perf_counter()
            records = train(algorithm, self.start, self.prepared, settings, folder)
            minutes = self.earlier + (time.perf_counter() - started) / 60
            facts = {"minutes": minutes, "note": records[-1].note, "steps": records[-1].step}
            (folder / "minutes.json").write_text(json.dumps(facts))
        facts = json.loads((folder / "minutes.json").read_text())
        policy = load_policy(folder / "policy", self.options.models)
        items, gold = read(
            policy,
            self.base,
            self.split,
            folder / "left_out.json",
            count=READ,
            seed=READING_SEED + self.seed,
        )
        kl, _ = kept(
            folder / "kl.json",
            lambda: divergence(policy, self.base, self.split.left_out, EvaluationConfig(max_new_tokens=40)),
        )
        chosen = self.pick(self.prepared.choosing, items, gold)
        cost = {"kl": kl, "minutes": facts["minutes"]}
        leaking = float(np.mean([leaks(text, task) for task, text in items]))
        return [
            self.row(named, by_task(items, gold.ravel().tolist()), **cost, leaks=leaking),
            self.row(f"{named}, best of {BEST_OF}", by_task(items, chosen), minutes=facts["minutes"]),
        ]

    def pick(self, reward: RewardModel, items: Sequence[Item], gold: np.ndarray) -> list[float]:
        """The gold of the sample that scores highest of each BEST_OF of a prompt, once for each of these."""
        means, stds = reward.score(items)
        blocks = gold.reshape(-1, BEST_OF)
        places = pessimistic(means, stds, PESSIMISM).reshape(blocks.shape).argmax(1)
        return np.repeat(blocks[np.arange(len(blocks)), places], BEST_OF).tolist()


def table(rows: Sequence[Row]) -> str:
    """Markdown, one line a way to write over all seeds, and below the gain of each task."""
    ways = list(dict.fromkeys(row.way for row in rows))
    lines = [
        "| | gold | gain (95 %) | in spreads | gap closed | KL | leaks | minutes |",
        "|---|---|---|---|---|---|---|---|",
    ]
    found = {way: summary([row for row in rows if row.way == way]) for way in ways}
    first = next(iter(found.values()))
    lines.append(f"| one sample, untouched | {first['gold_before']:.3f} | | | | | | |")
    for way, one in found.items():
        of_way = [row for row in rows if row.way == way]
        value, low, high = one["normalised"]
        cells = [
            way,
            f"{one['gold_after']:.3f}",
            f"{one['gain']:+.3f} ({one['low']:+.3f} to {one['high']:+.3f})",
            f"{value:+.2f} ({low:+.2f} to {high:+.2f})",
            f"{one['gap_closed']:.0%}" if one["gap_closed"] is not None else "–",
            *(mean_of([getattr(row, part) for row in of_way]) for part in ("kl", "leaks", "minutes")),
        ]
        lines.append("| " + " | ".join(cells) + " |")
    tasks = sorted({(row.seed, name) for row in rows for name in row.before})
    lines += ["", "| left-out task | " + " | ".join(["untouched", *ways]) + " |"]
    lines.append("|---|---|" + "---|" * len(ways))
    for seed, name in tasks:
        of_seed = {row.way: row for row in rows if row.seed == seed}
        before = next(iter(of_seed.values())).before[name]
        after = [f"{of_seed[way].after[name]:.2f}" if way in of_seed else "" for way in ways]
        lines.append(f"| {name} | {before:.2f} | " + " | ".join(after) + " |")
    return "\n".join(lines)


def mean_of(values: Sequence[float | None]) -> str:
    given = [value for value in values if value is not None]
    return f"{np.mean(given):.2f}" if given else ""


def settings_of(words: Sequence[str]) -> Settings:
    """`name=value` as given on the command line."""
    found: Settings = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals:
            raise SystemExit(f"--set takes name=value, not {word!r}")
        try:
            found[name] = json.loads(value)
        except ValueError:
            found[name] = value
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with files of tasks")
    parser.add_argument(
        "--algorithm",
        nargs="*",
        default=[name for name in TRAINERS if name != "ppo"],
        choices=["best_of_n", *TRAINERS],
        help="by default all but ppo; best_of_n is always there, as are the controls",
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--set", nargs="*", default=[], metavar="NAME=VALUE", help="settings to train by")
    parser.add_argument(
        "--after", default="", help="start from what this algorithm left, and vote on that too"
    )
    parser.add_argument("--work", type=Path, default=ROOT / "var" / "policy-bench")
    parser.add_argument("--models", type=Path, default=ROOT / "var" / "models")
    parser.add_argument("--again", action="store_true", help="train anew what is there")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", type=Path, help="also write the figures here")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    settings = settings_of(options.set)
    rows: list[Row] = []
    for number in options.seeds:
        seed = Seed(options, number)
        rows += seed.controls()
        for name in options.algorithm:
            rows += seed.trained(name, settings) if name != "best_of_n" else []
        print(table([row for row in rows if row.seed == number]), "\n", file=sys.stderr)
    print(table(rows))
    if options.json:
        ways = dict.fromkeys(row.way for row in rows)
        over_seeds = {way: summary([row for row in rows if row.way == way]) for way in ways}
        report = {"rows": [row.to_json() for row in rows], "over_seeds": over_seeds}
        options.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

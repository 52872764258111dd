"""How soon a fresh ranking is in the reward model's scores, and when the queue's priorities have followed.

Makes a throw-away site with many rankings and starts its Redis, beat and workers; submits one ranking after
the other as the ranking page does, and looks at the database until the refit that has it is stored. The
features are random numbers of the true width: what they say does not change how long a refit takes.

    .venv/bin/python bench/refit.py [--rankings 10000] [--open 2000] [--trials 9] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "bench")]

PATIENCE = 300.0
UNSETTLED = 0.05
"""The most that any score of the median head may lack of a settled one, in standard deviations of all."""


def main() -> int:
    options = arguments()
    from annotator.site.throwaway import throwaway

    with throwaway(models=ROOT / "var" / "models", REFIT_EVERY="1", LOG_LEVEL="INFO") as site:
        os.environ.update(site.env)
        import django
        import refit_site

        django.setup()
        from rlhf.models import LiveHeads

        filled = refit_site.fill(rankings=options.rankings, waiting=options.open, k=options.k)
        print(
            f"{filled.rankings:,} rankings of {options.k} by {refit_site.PEOPLE} people "
            f"on {filled.judged:,} of {filled.texts:,} instructions, {filled.waiting:,} open comparisons; "
            f"random features, {filled.width:,} wide; {filled.heads} heads",
            flush=True,
        )
        site.start_redis()
        for queue in ("light", "refit"):
            site.start_worker(queue)
        began = time.monotonic()
        site.start_beat()
        until(site, lambda: LiveHeads.objects.filter(refits__gt=0, worker="").exists())
        first = time.monotonic() - began
        print(f"first refit, with the worker's start and the model's: {first:.1f} s", flush=True)
        trials = [trial(site, refit_site, filled.worth) for _ in range(options.trials)]
        memory = refit_site.memory_mb(site.processes["refit"].pid)
        refits = [line for line in site.log("refit").splitlines() if "refitted the" in line]
        unsettled = refit_site.unsettled()
    print(refits[-1])
    figures: dict[str, Any] = {"rankings": filled.rankings, "k": options.k, "first_refit_s": round(first, 2)}
    for name in ("scores", "priorities", "refit"):
        values = [row[name] for row in trials]
        figures |= {f"{name}_median": statistics.median(values), f"{name}_max": max(values)}
    print(f"after the submit, {options.trials} times (median, longest):")
    for name, what in (
        ("scores", "in the scores"),
        ("priorities", "priorities followed, after the scores"),
        ("refit", "of that the refit itself, until the scores were stored"),
    ):
        print(f"  {figures[f'{name}_median']:6.2f} s {figures[f'{name}_max']:6.2f} s  {what}")
    print(
        "furthest score from a long fit from nothing, for each head, in standard deviations: "
        + ", ".join(f"{value:.4f}" for value in unsettled)
    )
    print(f"memory of the refit worker: {memory} MB")
    figures |= {"trials": trials, "worker_mb": memory, "unsettled": unsettled}

    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n")
    in_time = figures["scores_median"] <= 2 and figures["priorities_median"] <= 1
    return 0 if in_time and statistics.median(unsettled) <= UNSETTLED else 1


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rankings", type=int, default=10_000, help="on training tasks (default 10,000)")
    parser.add_argument("--open", type=int, default=2000, help="comparisons still open (default 2,000)")
    parser.add_argument("--k", type=int, default=2, help="instructions in a ranking, 2 to 4 (default 2)")
    parser.add_argument("--trials", type=int, default=9, help="rankings submitted (default 9)")
    parser.add_argument("--json", type=Path, help="write the figures there")
    return parser.parse_args()


def trial(site: Any, refit_site: Any, worth: dict[int, float]) -> dict[str, float]:
    """Submit one ranking; the seconds until scores and priorities have it."""
    from rlhf.models import LiveHeads

    time.sleep(random.uniform(0.2, 1.2))  # at any moment of the sweep's clock
    before = LiveHeads.objects.get()
    refit_site.submit_one(worth)
    submitted = time.monotonic()
    until(site, lambda: LiveHeads.objects.filter(rankings__gt=before.rankings).exists())
    scored = time.monotonic()
    until(site, lambda: LiveHeads.objects.filter(worker="").exists())
    followed = time.monotonic()
    row = LiveHeads.objects.get()
    return {
        "scores": round(scored - submitted, 3),
        "priorities": round(followed - scored, 3),
        "refit": round(row.seconds or 0.0, 3),
    }


def until(site: Any, condition: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > end:
            raise RuntimeError(f"it did not come: {site.log('refit')[-3000:]}")
        time.sleep(0.01)


if __name__ == "__main__":
    sys.exit(main())

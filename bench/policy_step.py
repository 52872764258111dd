"""Seconds a step of GRPO, beside TRL's GRPOTrainer on the same work.

    .venv/bin/python -m pip install -r requirements-scale.txt
    .venv/bin/python bench/policy_step.py --json policy_step.json

Both sides write 8 completions of 48 tokens for each of 4 prompts, score them with the same sentence encoder,
and make one update of LoRA adapters on all linear layers with a KL penalty to the reference, from the same
weights, in one precision, with one number of threads. No token ends a completion, so that both have the same
number of tokens. TRL runs without the gradient checkpointing that it comes with, which saves memory for time,
unless --trl-checkpointing leaves it on. Steps alternate, after a small one of each side, which is not
counted; figures are medians. Loading and saving are not counted. "update" holds the reference's pass too. The
figures at the top of the JSON are those of the prompt length whose ratio is worse.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "bench")]
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import rlhf.lm  # noqa: E402, F401, I001  (before torch: it says how long threads spin)
import torch  # noqa: E402
import trainers  # noqa: E402
from policy_steps import Scorer, Seconds, TrlSteps, our_steps  # noqa: E402
from worded import prompt_of  # noqa: E402
from timing_options import add_timing_options, numbers  # noqa: E402

from rlhf.lm.backbones import UnknownModel, best_dtype, load_causal, load_encoder  # noqa: E402
from rlhf.lm.configs import GRPO, PolicyConfig  # noqa: E402

GOAL = 0.25
WARM_UP = 4  # new tokens


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
    dtype = getattr(torch, options.precision) if options.precision else best_dtype()
    unit = "processor seconds" if options.processor_time else "seconds"
    print(
        f"{options.backbone}, {torch.get_num_threads()} threads, {str(dtype).removeprefix('torch.')}, "
        f"{options.prompts} prompts x {options.completions} completions x {options.new_tokens} tokens, "
        f"LoRA r {options.lora_r}, medians of {options.steps} steps in {unit}, "
        f"TRL's batch {options.trl_batch}, its checkpointing {'on' if options.trl_checkpointing else 'off'}",
        flush=True,
    )
    print(f"{'prompt':>6} {'side':5} {'sampling':>9} {'scoring':>8} {'update':>7} {'step':>7} {'ratio':>6}")
    try:
        rows = [measure(tokens, dtype, options) for tokens in options.prompt_tokens]
    except UnknownModel as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    worst = max(rows, key=lambda row: float(row["ratio"]))
    if options.json:
        figures = {name: worst[name] for name in ("ours_s", "trl_s", "ratio")}
        options.json.write_text(json.dumps(figures | {"rows": rows}, indent=2) + "\n")
    return 0


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--backbone", default="smollm2")
    parser.add_argument("--prompt-tokens", type=numbers, default=[50, 150], help="of a prompt (50,150)")
    parser.add_argument("--prompts", type=int, default=4, help="a step (default 4)")
    parser.add_argument("--completions", type=int, default=8, help="of a prompt (default 8)")
    parser.add_argument("--new-tokens", type=int, default=48, help="of a completion (default 48)")
    parser.add_argument("--lora-r", type=int, default=8)
    parser.add_argument("--kl-coef", type=float, default=0.03, help="TRL's beta (default 0.03)")
    parser.add_argument("--steps", type=int, default=3, help="timed steps of each side (default 3)")
    parser.add_argument(
        "--trl-batch", type=int, default=8, help="completions a batch of its update (default 8)"
    )
    parser.add_argument(
        "--trl-checkpointing", action="store_true", help="leave TRL's gradient checkpointing on"
    )
    add_timing_options(parser)
    parser.add_argument(
        "--models", type=Path, default=ROOT / "var/models", help="prepared models (var/models)"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures here")
    return parser.parse_args()


def measure(prompt_tokens: int, dtype: torch.dtype, options: argparse.Namespace) -> dict[str, Any]:
    """One row: medians of alternating steps."""
    clock = time.process_time if options.processor_time else time.perf_counter
    tokenizer = load_causal(options.backbone, options.models, dtype).tokenizer
    count = options.prompts * (options.steps + 1)
    prompts = [prompt_of(tokenizer, prompt_tokens, seed) for seed in range(count)]
    encoder = load_encoder("minilm", options.models)
    our_scorer, trl_scorer = (Scorer(encoder, clock) for _ in range(2))
    config = PolicyConfig(
        algorithm=GRPO,
        steps=options.steps,
        prompts_per_step=options.prompts,
        completions_per_prompt=options.completions,
        max_new_tokens=options.new_tokens,
        lora_r=options.lora_r,
        kl_coef=options.kl_coef,
        save_every=1000,
        sample_tasks=0,
    )
    where = {"backbone": options.backbone, "models": options.models, "dtype": dtype}
    trl = TrlSteps(
        config,
        prompts,
        trl_scorer,
        batch=options.trl_batch,
        checkpointing=options.trl_checkpointing,
        **where,
    )
    trl(WARM_UP)
    with our_steps(replace(config, max_new_tokens=WARM_UP), prompts, our_scorer, **where) as steps:
        next(steps)
    ours, theirs = [], []
    with our_steps(config, prompts, our_scorer, **where) as steps:
        for _ in range(options.steps):
            ours.append(next(steps))
            theirs.append(trl(options.new_tokens))
    ours_s, trl_s = (statistics.median(step.whole for step in side) for side in (ours, theirs))
    ratio = ours_s / trl_s
    row: dict[str, Any] = {"prompt_tokens": prompt_tokens, "ours_s": ours_s, "trl_s": trl_s, "ratio": ratio}
    for name, side in (("ours", ours), ("trl", theirs)):
        parts = {part: median(side, part) for part in ("sampling", "scoring", "update")}
        row |= {f"{name}_{part}_s": seconds for part, seconds in parts.items()}
        end = f" {ratio:6.3f}{'' if ratio <= GOAL else '  missed'}" if name == "trl" else ""
        print(
            f"{prompt_tokens:6} {name:5} {parts['sampling']:9.2f} {parts['scoring']:8.2f} "
            f"{parts['update']:7.2f} {row[f'{name}_s']:7.2f}{end}",
            flush=True,
        )
    return row


def median(steps: Sequence[Seconds], part: str) -> float:
    return statistics.median(getattr(step, part) for step in steps)


if __name__ == "__main__":
    sys.exit(main())

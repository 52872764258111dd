"""Tokens a second in writing completions, beside transformers' `generate` with the same weights.

    .venv/bin/python bench/sampling.py --json sampling.json

Both sides write 8 completions for each of 8 prompts in one precision, with one number of threads and the same
sampling parameters. No token ends a completion, so that both write the same number of tokens. Runs alternate,
after one of each side that is short and not counted; figures are medians. Loading is not counted, all else
is: prompts are read, and ours puts its texts together. The JSON has the figures of the worst row at its top.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "bench")]
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import rlhf.lm  # noqa: E402, F401, I001  (before torch: it says how long threads spin)
import torch  # noqa: E402
from worded import prompt_of  # noqa: E402
from timing_options import add_timing_options, numbers  # noqa: E402

from rlhf.lm.backbones import CausalLM, UnknownModel, best_dtype, load_causal  # noqa: E402
from rlhf.lm.configs import SamplingConfig  # noqa: E402
from rlhf.lm.data import Task  # noqa: E402
from rlhf.lm.sampling import decode  # noqa: E402
from rlhf.lm.tensors import pad_left  # noqa: E402

GOAL, MOONSHOT = 2.0, 4.0
PARAMETERS = ((1.0, 1.0), (0.8, 0.95))  # temperature, top_p
WARM_UP = 8  # new tokens


def main() -> int:
    options = arguments()
    if options.threads:
        torch.set_num_threads(options.threads)
    dtype = getattr(torch, options.precision) if options.precision else best_dtype()
    try:
        lm = load_causal(options.backbone, options.models, dtype)
    except UnknownModel as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    lm.__dict__["end_ids"] = frozenset()  # no token ends a completion
    prompts = [prompt_of(lm.tokenizer, tokens, n) for n, tokens in enumerate(options.prompt_tokens)]
    print(
        f"{options.backbone}, {torch.get_num_threads()} threads, {str(dtype).removeprefix('torch.')}, "
        f"{len(prompts)} prompts of {min(map(len, prompts))} to {max(map(len, prompts))} tokens x "
        f"{options.completions} completions, {options.repeats} runs of each",
        flush=True,
    )
    print(f"{'new':>4} {'temperature':>11} {'top-p':>6} {'ours/s':>8} {'generate/s':>10} {'ratio':>6}")
    rows = []
    for new_tokens in options.new_tokens:
        for temperature, top_p in PARAMETERS:
            config = SamplingConfig(
                completions_per_task=options.completions,
                temperature=temperature,
                top_p=top_p,
                max_new_tokens=new_tokens,
            )
            row = measure(lm, prompts, config, options)
            rows.append(row)
            print(
                f"{new_tokens:4} {temperature:11.1f} {top_p:6.2f} {row['ours_tokens_per_s']:8.0f} "
                f"{row['generate_tokens_per_s']:10.0f} {row['ratio']:6.2f}{verdict(row['ratio'])}",
                flush=True,
            )
    worst = min(rows, key=lambda row: float(row["ratio"]))
    if options.json:
        figures = {name: worst[name] for name in ("ours_tokens_per_s", "generate_tokens_per_s", "ratio")}
        options.json.write_text(json.dumps(figures | {"rows": rows}, indent=2) + "\n")
    return 0


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--backbone", default="smollm2")
    parser.add_argument(
        "--prompt-tokens",
        type=numbers,
        default=[50, 60, 70, 80, 100, 120, 140, 150],
        help="of each prompt (50,60,70,80,100,120,140,150)",
    )
    parser.add_argument("--completions", type=int, default=8, help="of a prompt (default 8)")
    parser.add_argument("--new-tokens", type=numbers, default=[48, 128], help="of a completion (48,128)")
    parser.add_argument("--repeats", type=int, default=3, help="timed runs of each side (default 3)")
    add_timing_options(parser)
    parser.add_argument(
        "--models", type=Path, default=ROOT / "var/models", help="prepared models (var/models)"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures here")
    return parser.parse_args()


def measure(
    lm: CausalLM, prompts: Sequence[Sequence[int]], config: SamplingConfig, options: argparse.Namespace
) -> dict[str, Any]:
    """One row: medians of alternating runs."""
    clock = time.process_time if options.processor_time else time.perf_counter
    tokens = len(prompts) * config.completions_per_task * config.max_new_tokens
    rates: dict[Callable[..., None], list[float]] = {ours: [], theirs: []}
    for side in rates:
        side(lm, prompts, config, WARM_UP)
    for _ in range(options.repeats):
        for side, found in rates.items():
            started = clock()
            side(lm, prompts, config, config.max_new_tokens)
            found.append(tokens / (clock() - started))
    ours_rate, their_rate = statistics.median(rates[ours]), statistics.median(rates[theirs])
    return {
        "new_tokens": config.max_new_tokens,
        "temperature": config.temperature,
        "top_p": config.top_p,
        "ours_tokens_per_s": ours_rate,
        "generate_tokens_per_s": their_rate,
        "ratio": ours_rate / their_rate,
    }


def ours(lm: CausalLM, prompts: Sequence[Sequence[int]], config: SamplingConfig, new_tokens: int) -> None:
    tasks = [Task(id=str(n), text="") for n in range(len(prompts))]
    groups = decode(
        lm,
        tasks,
        prompts,
        SamplingConfig(
            completions_per_task=config.completions_per_task,
            temperature=config.temperature,
            top_p=config.top_p,
            max_new_tokens=new_tokens,
        ),
    )
    assert all(len(completion.token_ids) == new_tokens for group in groups for completion in group)


@torch.inference_mode()
def theirs(lm: CausalLM, prompts: Sequence[Sequence[int]], config: SamplingConfig, new_tokens: int) -> None:
    ids, mask = pad_left(prompts, lm.tokenizer.pad_token_id)
    out = lm.model.generate(
        input_ids=ids,
        attention_mask=mask,
        num_return_sequences=config.completions_per_task,
        max_new_tokens=new_tokens,
        do_sample=True,
        temperature=config.temperature,
        top_p=config.top_p,
        top_k=0,
        eos_token_id=None,
        pad_token_id=lm.tokenizer.pad_token_id,
    )
    assert out.shape == (len(prompts) * config.completions_per_task, ids.shape[1] + new_tokens)


def verdict(ratio: float) -> str:
    if ratio < GOAL:
        return "  missed"
    return "  moonshot" if ratio >= MOONSHOT else ""


if __name__ == "__main__":
    sys.exit(main())

"""The options that scripts which measure time have in common."""

from __future__ import annotations

import argparse


def add_timing_options(parser: argparse.ArgumentParser) -> None:
    """Threads, the clock, and the precision."""
    parser.add_argument("--threads", type=int, default=0, help="of torch (default: its own choice)")
    parser.add_argument(
        "--processor-time",
        action="store_true",
        help="count the processor's seconds, not the clock's: where others use the machine, with --threads 1",
    )
    parser.add_argument(
        "--precision",
        choices=("bfloat16", "float32"),
        help="of both (default: bfloat16 where the processor has it)",
    )


def numbers(text: str) -> list[int]:
    """Whole numbers with commas between them."""
    return [int(word) for word in text.split(",")]

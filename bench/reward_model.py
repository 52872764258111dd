"""How often a reward model on frozen features orders pairs as people did, on prompts that it has not seen.

    python bench/reward_model.py --data ../shared/data --json reward_model.json

Five folds by prompt, pairs with a winner. Inputs are standardised by the training fold; the penalty is chosen
within it, again by prompt, so that no figure has seen its own answers. Intervals are 95 % bootstraps over
prompts, that of the gain over the best baseline too. The last column is the accuracy where the longer one
loses. Takes every JSONL file with a prompt, two responses and a label.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "2")
ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "bench")]

import numpy as np  # noqa: E402
from preference_sets import BadSet, Fields, PreferenceSet, read_folder  # noqa: E402
from set_features import read_responses, standardised  # noqa: E402

from rlhf.lm.backbones import UnknownModel, load_causal, load_encoder  # noqa: E402
from rlhf.lm.features import Features  # noqa: E402
from rlhf.lm.inputs import LengthRemoval, column_scales  # noqa: E402
from rlhf.lm.metrics import Interval, bootstrap_mean, pair_credits  # noqa: E402
from rlhf.lm.reward_heads import PairArrays, fit_heads, last_heads  # noqa: E402
from rlhf.lm.reward_report import tfidf_margins  # noqa: E402

FOLDS, INNER_FOLDS = 5, 3
PENALTIES = (30.0, 100.0, 300.0, 1000.0, 3000.0, 10000.0)
STEPS = 40
LENGTH_SCALE = 30.0  # one number among many: its penalty is to be a thousandth of theirs
TOKENS = 384  # of a response that are read

CAUSAL = ("mean", "max", "likelihood")
ENCODER = ("encoder", "encoder_mean", "encoder_max")
MODELS: dict[str, tuple[tuple[str, ...], str]] = {
    "smollm2": (CAUSAL, "as it is"),
    "smollm2 + length": (CAUSAL, "given"),
    "minilm": (ENCODER, "as it is"),
    "minilm + length": (ENCODER, "given"),
    "smollm2 + counts": ((*CAUSAL, "text"), "as it is"),
    "both + counts": ((*CAUSAL, *ENCODER, "text"), "as it is"),
    "both + counts + length": ((*CAUSAL, *ENCODER, "text"), "given"),
    "both + counts, half of length removed": ((*CAUSAL, *ENCODER, "text"), "half"),
    "both + counts, length removed": ((*CAUSAL, *ENCODER, "text"), "removed"),
}


@dataclass(frozen=True)
class Table:
    """A set as arrays; response 1 of pair n is row 2n, response 2 is row 2n + 1."""

    name: str
    texts: list[str]
    lengths: np.ndarray  # (2N,) characters
    features: np.ndarray  # (2N, D)
    columns: dict[str, slice]
    groups: np.ndarray  # (N,) number of the prompt
    outcomes: np.ndarray  # (N,) 1 or 0

    def pairs(self, chosen: np.ndarray) -> PairArrays:
        nobody = np.zeros(len(chosen), np.int64)
        return PairArrays(2 * chosen, 2 * chosen + 1, self.outcomes[chosen], nobody, self.groups[chosen])


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="folder, or one JSONL file")
    parser.add_argument("--prompt", default="", help="names of a row's prompt fields, with commas between")
    parser.add_argument("--responses", default="", help="names of its two response fields")
    parser.add_argument("--label", default="", help="name of its label field, or of several votes")
    parser.add_argument("--values", default="", help="what the label says for the first, the second, a tie")
    parser.add_argument(
        "--models", type=Path, default=ROOT / "var/models", help="prepared models (var/models)"
    )
    parser.add_argument("--cache", type=Path, default=ROOT / "var/bench-features.sqlite3")
    parser.add_argument("--seed", type=int, default=0, help="of folds and bootstraps")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the rows here")
    options = parser.parse_args()
    named = (options.prompt, options.responses, options.label, options.values)
    fields = Fields(*(tuple(part for part in text.split(",") if part) for text in named))
    try:
        sets, refused = read_folder(options.data, fields)
        features = Features(
            load_causal("smollm2", options.models),
            load_encoder("minilm", options.models),
            options.cache,
            wording="chat",
            completion_tokens=TOKENS,
        )
    except (BadSet, FileNotFoundError, UnknownModel) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    for reason in refused:
        print(f"left out: {reason}", file=sys.stderr)
    found = {}
    for one in sets:
        table = read(one.decided(), features)
        print(
            f"\n{one.name}: {len(table.outcomes)} pairs of {len(set(table.groups))} prompts ({one.reading})"
        )
        found[one.name] = report(table, options.seed)
    if options.json:
        options.json.write_text(json.dumps({"sets": found}, indent=2) + "\n")
    return 0


def read(one: PreferenceSet, features: Features) -> Table:
    """The features of all responses, each read once."""
    texts = [text for pair in one.pairs for text in (pair.first, pair.second)]
    return Table(
        one.name,
        texts,
        np.array([float(len(text)) for text in texts]),
        read_responses(one, features),
        features.groups,
        np.unique([pair.group for pair in one.pairs], return_inverse=True)[1],
        np.array([pair.outcome for pair in one.pairs]),
    )


def report(table: Table, seed: int) -> dict[str, Any]:
    """Print a set's rows, and give them."""
    longer = table.lengths[::2] - table.lengths[1::2]
    misled = pair_credits(longer, table.outcomes) == 0
    margins: dict[str, np.ndarray] = {"longer wins": longer, "TF-IDF Bradley-Terry": tfidf(table, seed)}
    credits = {name: pair_credits(found, table.outcomes) for name, found in margins.items()}
    best = max(credits, key=lambda name: credits[name].mean())
    print(f"{'':40}{'accuracy':>9}{'95 %':>15}{'over best baseline':>26}{'misled':>9}")
    rows = []
    for name in (*credits, *MODELS):
        if name in MODELS:
            inputs, length = MODELS[name]
            credits[name] = pair_credits(frozen(table, inputs, length, seed), table.outcomes)
        own = interval(credits[name], table, seed)
        gain = interval(credits[name] - credits[best], table, seed)
        where = float(credits[name][misled].mean()) if misled.any() else None
        shown = "" if where is None else f"{where:9.1%}"
        over = "" if name == best else f"{gain.value:+10.1%} ({gain.low:+.1%} to {gain.high:+.1%})"
        print(f"{name:40}{own.value:9.1%}{own.low:8.1%} –{own.high:6.1%}{over:>28}{shown}", flush=True)
        rows.append(
            {"model": name, "accuracy": own.value, "low": own.low, "high": own.high}
            | {"gain": gain.value, "gain_low": gain.low, "gain_high": gain.high, "misled": where}
        )
    return {"n": len(table.outcomes), "best_baseline": best, "rows": rows}


def interval(values: np.ndarray, table: Table, seed: int) -> Interval:
    return bootstrap_mean(values, table.groups.tolist(), resamples=2000, seed=seed)


def folds(groups: np.ndarray, count: int, seed: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """(training pairs, test pairs) as places in `groups`; those of a prompt stay together."""
    prompts = np.random.default_rng(seed).permutation(np.unique(groups))
    for part in np.array_split(prompts, count):
        test = np.isin(groups, part)
        yield np.flatnonzero(~test), np.flatnonzero(test)


def tfidf(table: Table, seed: int) -> np.ndarray:
    margins = np.zeros(len(table.outcomes))
    for train, test in folds(table.groups, FOLDS, seed):
        margins[test] = tfidf_margins(table.texts, table.pairs(train), table.pairs(test))
    return margins


def frozen(table: Table, inputs: Sequence[str], length: str, seed: int) -> np.ndarray:
    """The margins that linear heads on these inputs give each pair when it is in the test fold."""
    print(f"\r{table.name}: {', '.join(inputs)}, length {length}    ", end="", file=sys.stderr)
    margins = np.zeros(len(table.outcomes))
    for train, test in folds(table.groups, FOLDS, seed):
        prepared = prepare(table, inputs, length, train)
        differences = prepared[::2] - prepared[1::2]  # (N, D)
        # Heads lie in the span of the training differences: turned into it they are smaller, and the same.
        _, _, directions = np.linalg.svd(differences[train], full_matrices=False)
        turned = differences @ directions.T
        penalty = best_penalty(table, turned, train, seed)
        margins[test] = turned[test] @ weights(table, turned, train, penalty)
    print("\r" + " " * 100 + "\r", end="", file=sys.stderr)
    return margins


def prepare(table: Table, inputs: Sequence[str], length: str, train: np.ndarray) -> np.ndarray:
    """Standardised inputs of every response, by those of the training pairs. Shape: (2N, D)."""
    seen = np.concatenate([2 * train, 2 * train + 1])
    chosen = [table.columns[name] for name in inputs]
    raw = np.concatenate([table.features[:, columns] for columns in chosen], axis=1)
    parts, start = {}, 0
    for name, columns in zip(inputs, chosen, strict=True):
        parts[name] = slice(start, start := start + columns.stop - columns.start)
    standard = standardised(raw, seen)
    if length in ("half", "removed"):
        share = 0.5 if length == "half" else 1.0
        removal = LengthRemoval.fit(standard[seen], table.lengths[seen], share=share)
        standard = standardised(removal(standard, table.lengths), seen)
    standard = standard * column_scales(parts)
    if length == "given":
        log = standardised(np.log1p(table.lengths)[:, None], seen)
        standard = np.concatenate([standard, LENGTH_SCALE * log], axis=1)
    return standard


def best_penalty(table: Table, turned: np.ndarray, train: np.ndarray, seed: int) -> float:
    """The penalty under which the training pairs predict each other best, prompts kept together."""

    def right(penalty: float) -> float:
        total = 0.0
        for inner, held in folds(table.groups[train], INNER_FOLDS, seed + 1):
            found = turned[train[held]] @ weights(table, turned, train[inner], penalty)
            total += float(pair_credits(found, table.outcomes[train[held]]).sum())
        return total

    return max(reversed(PENALTIES), key=right)  # of equals the strongest


def weights(table: Table, differences: np.ndarray, chosen: np.ndarray, penalty: float) -> np.ndarray:
    """The head fitted to these pairs, each a difference against nothing."""
    rows = np.concatenate([differences[chosen], np.zeros((1, differences.shape[1]))])
    nothing, nobody = np.full(len(chosen), len(chosen)), np.zeros(len(chosen), np.int64)
    pairs = PairArrays(np.arange(len(chosen)), nothing, table.outcomes[chosen], nobody, table.groups[chosen])
    fitted = last_heads(fit_heads(rows, pairs, heads=1, l2=penalty, steps=STEPS, seed=0))
    found: np.ndarray = fitted.weights[0]
    return found


if __name__ == "__main__":
    sys.exit(main())

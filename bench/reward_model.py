"""How often a reward model orders pairs as people did, on prompts that it has not seen.

    python bench/reward_model.py --data ../shared/data --json reward_model.json

Five folds by prompt, pairs with a winner. What is chosen (penalties, weights of models, a model) is chosen
within the training fold, again by prompt, so that no figure has seen its own answers. Intervals are 95 %
bootstraps over prompts, that of the gain over the best baseline too. "misled" is the accuracy where the
longer one loses, r the correlation of margins with differences in log-length. "Length balanced" is blind to
length in this sense: it is given no length, and its training pairs are weighed so that the longer one wins
half of the time, in each third of them by the ratio of lengths, or "over all". With --lora the language
model's middle is trained too, which takes far longer than all else. Takes every JSONL file with a prompt,
two responses and a label.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "2")
ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "bench")]

import numpy as np  # noqa: E402
import set_models  # noqa: E402
from preference_sets import BadSet, Fields, PreferenceSet, read_folder  # noqa: E402
from set_lora import trained  # noqa: E402
from set_models import FOLDS, STRATA, Fold, Table, folds, margins  # noqa: E402

from rlhf.lm.backbones import UnknownModel, load_causal, load_encoder  # noqa: E402
from rlhf.lm.features import Features  # noqa: E402
from rlhf.lm.metrics import Interval, bootstrap_mean, pair_credits  # noqa: E402
from rlhf.lm.reward_report import tfidf_margins  # noqa: E402

TOKENS = 384  # of a response that are read

CAUSAL = ("mean", "max", "likelihood")
DEEPER = ("mean", "max", "mean_deep", "max_deep", "end", "likelihood")
ENCODER = ("encoder", "encoder_mean", "encoder_max")
COUNTS = ("text", "style")
INPUTS = (*DEEPER, *ENCODER, "text")  # kept on disk; style is counted anew each time
BASES: dict[str, tuple[str, ...]] = {
    "{lm}": CAUSAL,
    "{lm}, deeper too": DEEPER,
    "{encoder}": ENCODER,
    "counts, likelihoods": ("likelihood", *COUNTS),
    "both + counts": (*CAUSAL, *ENCODER, *COUNTS),
    "all inputs": (*DEEPER, *ENCODER, *COUNTS),
}
GIVEN = ("{lm}", "{encoder}", "both + counts", "all inputs")  # with length, too
LENGTHS = ("as it is", "given", *STRATA)


def main(arguments: Sequence[str] | None = None) -> int:
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
    parser.add_argument("--lm", default="smollm2", help="a language model: embedded, or a folder")
    parser.add_argument("--encoder", default="minilm", help="an encoder: embedded, or a folder")
    parser.add_argument("--lora", action="store_true", help="also train the language model's middle (slow)")
    parser.add_argument("--cache", type=Path, default=ROOT / "var/bench-features.sqlite3")
    parser.add_argument("--seed", type=int, default=0, help="of folds and bootstraps")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the rows here")
    options = parser.parse_args(arguments)
    named = (options.prompt, options.responses, options.label, options.values)
    fields = Fields(*(tuple(part for part in text.split(",") if part) for text in named))
    try:
        sets, refused = read_folder(options.data, fields)
        lm, encoder = load_causal(options.lm, options.models), load_encoder(options.encoder, options.models)
        whole = Features(lm, encoder, options.cache, inputs=INPUTS, wording="chat", completion_tokens=TOKENS)
        readers = [whole, Features(None, inputs=("style",))]
    except (BadSet, FileNotFoundError, UnknownModel) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    found = {}
    for one in sets:
        decided = one.decided()
        try:
            set_models.check(decided)
        except BadSet as error:
            refused.append(str(error))
            continue
        table = set_models.table_of(decided, *readers)
        prompts = len(set(table.groups))
        print(f"\n{one.name}: {len(table.outcomes)} pairs of {prompts} prompts ({one.reading})")
        found[one.name] = report(table, decided, options)
    for reason in refused:
        print(f"left out: {reason}", file=sys.stderr)
    if options.json:
        options.json.write_text(json.dumps({"sets": found}, indent=2) + "\n")
    return 0 if found else 1


def report(table: Table, one: PreferenceSet, options: argparse.Namespace) -> dict[str, Any]:
    """Print a set's rows, and give them."""
    seed = options.seed
    misled = pair_credits(table.longer, table.outcomes) == 0
    credits: dict[str, np.ndarray] = {}
    best = ""
    print(f"{'':40}{'accuracy':>9}{'95 %':>15}{'over best baseline':>26}{'misled':>9}{'r':>6}")
    rows = []

    def show(name: str, found: np.ndarray) -> None:
        credits[name] = pair_credits(found, table.outcomes)
        own = interval(credits[name], table, seed)
        gain = interval(credits[name] - credits[best], table, seed)
        where = interval(credits[name][misled], table, seed, misled) if misled.any() else None
        shown = "" if where is None else f"{where.value:8.1%} ({where.low:.0%} to {where.high:.0%})"
        r = correlation(found, table)
        over = "" if name == best else f"{gain.value:+10.1%} ({gain.low:+.1%} to {gain.high:+.1%})"
        print(
            f"{name:40}{own.value:9.1%}{own.low:8.1%} –{own.high:6.1%}{over:>28}{shown:>24}{r:6.2f}",
            flush=True,
        )
        rows.append(
            {"model": name, "accuracy": own.value, "low": own.low, "high": own.high}
            | {"gain": gain.value, "gain_low": gain.low, "gain_high": gain.high, "length_correlation": r}
            | {"misled": where and where.value}
            | {"misled_low": where and where.low, "misled_high": where and where.high}
        )

    baselines = {"longer wins": table.longer, "TF-IDF Bradley-Terry": tfidf(table, seed)}
    right = {name: pair_credits(found, table.outcomes) for name, found in baselines.items()}
    best = max(right, key=lambda name: right[name].mean())
    credits[best] = right[best]
    for name, found in baselines.items():
        show(name, found)
    for name, found in models(table, options):
        show(name, found)
    if options.lora:
        split = folds(table.groups, FOLDS, seed)
        show(f"{short(options.lm)}, LoRA", trained(one, split, options.lm, options.models))
    return {"n": len(table.outcomes), "best_baseline": best, "rows": rows}


def models(table: Table, options: argparse.Namespace) -> Iterator[tuple[str, np.ndarray]]:
    """The rows on frozen features, each when it is ready."""
    lm, encoder = short(options.lm), short(options.encoder)
    found: dict[str, list[list[Fold]]] = {length: [] for length in LENGTHS}
    heads: dict[str, dict[str, list[Fold]]] = {}
    for base, inputs in BASES.items():
        name = base.format(lm=lm, encoder=encoder)
        print(f"\r{table.name}: {name} ... ", end="", file=sys.stderr)
        lengths = [length for length in LENGTHS if length != "given" or base in GIVEN]
        heads[name] = set_models.linear(table, inputs, lengths, options.seed)
        print("\r" + " " * 100 + "\r", end="", file=sys.stderr)
        for length in lengths:
            found[length].append(heads[name][length])
        yield name, margins(heads[name]["as it is"])
        if base in GIVEN:
            yield f"{name} + length", margins(heads[name]["given"])
    every = [*found["as it is"], *found["given"]]
    mean, mixed = set_models.mean(every), set_models.mixed(table, every)
    yield "mean of these", margins(mean)
    yield "these, weighed", margins(mixed)
    for name, of in heads.items():
        yield f"{name}, length balanced", margins(of["balanced"])
    thirds, over_all = (set_models.mean(found[length]) for length in STRATA)
    yield "mean of the balanced ones", margins(thirds)
    for share in (0.5, 1.0):
        less = set_models.without_length(table, thirds, share)
        yield f"  less {share:.0%} of what length says", margins(less)
    yield "mean, balanced over all", margins(over_all)
    between = set_models.mean([over_all, thirds])
    yield "mean of the two", margins(between)
    three = set_models.least_blind(table, [over_all, between, thirds])
    yield "of these three, within the folds", margins(three)
    chosen = set_models.best(table, [mean, mixed, thirds, *every])
    yield "chosen within the folds", margins(chosen)
    removed = set_models.linear(table, BASES["all inputs"], ["removed"], options.seed)
    yield "all inputs, length removed", margins(removed["removed"])


def short(name: str) -> str:
    """A model's name without the folders before it."""
    return Path(name).name


def correlation(found: np.ndarray, table: Table) -> float:
    """Pearson's r of margins and differences in log-length; 0 where one is constant."""
    lengths = np.log1p(table.lengths)
    longer = lengths[::2] - lengths[1::2]
    if not found.std() or not longer.std():
        return 0.0
    return float(np.corrcoef(found, longer)[0, 1])


def interval(values: np.ndarray, table: Table, seed: int, chosen: np.ndarray | None = None) -> Interval:
    """The mean of the chosen pairs' values (of all), resampled by prompt."""
    groups = table.groups if chosen is None else table.groups[chosen]
    return bootstrap_mean(values, groups.tolist(), resamples=2000, seed=seed)


def tfidf(table: Table, seed: int) -> np.ndarray:
    found = np.zeros(len(table.outcomes))
    for train, test in folds(table.groups, FOLDS, seed):
        found[test] = tfidf_margins(table.texts, table.pairs(train), table.pairs(test))
    return found


if __name__ == "__main__":
    sys.exit(main())

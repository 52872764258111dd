"""Reward models of a set of judged pairs: what heads that never saw a pair's prompt say of it.

Inputs are standardised by the training fold. The penalty is chosen within it, again by prompt, and so is all
that is made of several models: for this the margins of training pairs are kept too, each from heads that did
not see that pair's prompt either.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from preference_sets import BadSet, PreferenceSet
from scipy.linalg import solve
from set_features import read_responses, standardised

from rlhf.lm.features import Features
from rlhf.lm.inputs import LengthRemoval, column_scales, length_powers
from rlhf.lm.metrics import pair_credits
from rlhf.lm.reward_heads import PairArrays
from rlhf.lm.reward_inputs import balanced

FOLDS, INNER_FOLDS = 5, 3
PENALTIES = (100.0, 300.0, 1000.0, 3000.0, 10000.0)
LENGTH_SCALE = 30.0  # one number among many: its penalty is to be a thousandth of theirs
MIX_PENALTY = 30.0  # on margins of standard deviation 1
STRATA = {"balanced": 3, "balanced over all": 1}  # of pairs by the ratio of lengths
SIGHTED = 0.55  # how often a model that is blind to length is to be right where length misleads


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

    @property
    def longer(self) -> np.ndarray:
        """By how many characters the first is longer. Shape: (N,)."""
        difference: np.ndarray = self.lengths[::2] - self.lengths[1::2]
        return difference

    def pairs(self, chosen: np.ndarray) -> PairArrays:
        nobody = np.zeros(len(chosen), np.int64)
        return PairArrays(2 * chosen, 2 * chosen + 1, self.outcomes[chosen], nobody, self.groups[chosen])


@dataclass(frozen=True)
class Fold:
    """Margins of a fold's pairs: `inner` of the training ones, `outer` of the test ones."""

    train: np.ndarray
    test: np.ndarray
    inner: np.ndarray
    outer: np.ndarray


def check(one: PreferenceSet) -> None:
    """Raises BadSet where a set is too small or too much alike to be judged on prompts left out."""
    outcomes = {pair.outcome for pair in one.pairs}
    prompts = len({pair.group for pair in one.pairs})
    if not one.pairs:
        raise BadSet(f"{one.name}: no pair has a winner")
    if prompts < 2 * FOLDS:
        raise BadSet(
            f"{one.name}: {len(one.pairs)} pairs with a winner are of {prompts} prompts; "
            f"{FOLDS} folds by prompt need at least {2 * FOLDS}"
        )
    if len(outcomes) == 1:
        side = "first" if outcomes == {1.0} else "second"
        raise BadSet(f"{one.name}: the {side} response wins every pair: is the label what was meant?")


def table_of(one: PreferenceSet, *readers: Features) -> Table:
    """The features of all responses, each read once by each reader; their columns stand side by side."""
    texts = [text for pair in one.pairs for text in (pair.first, pair.second)]
    parts: list[np.ndarray] = []
    columns: dict[str, slice] = {}
    for reader in readers:
        start = sum(part.shape[1] for part in parts)
        parts.append(read_responses(one, reader))
        groups = reader.groups.items()
        columns |= {name: slice(start + of.start, start + of.stop) for name, of in groups}
    return Table(
        one.name,
        texts,
        np.array([float(len(text)) for text in texts]),
        np.concatenate(parts, axis=1),
        columns,
        np.unique([pair.group for pair in one.pairs], return_inverse=True)[1],
        np.array([pair.outcome for pair in one.pairs]),
    )


def folds(groups: np.ndarray, count: int, seed: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """(training pairs, test pairs) as places in `groups`; those of a prompt stay together."""
    prompts = np.random.default_rng(seed).permutation(np.unique(groups))
    for part in np.array_split(prompts, count):
        test = np.isin(groups, part)
        yield np.flatnonzero(~test), np.flatnonzero(test)


def margins(found: Sequence[Fold]) -> np.ndarray:
    """The margin of each pair where it is in the test fold. Shape: (N,)."""
    out = np.zeros(sum(len(fold.test) for fold in found))
    for fold in found:
        out[fold.test] = fold.outer
    return out


def linear(table: Table, inputs: Sequence[str], lengths: Sequence[str], seed: int) -> dict[str, list[Fold]]:
    """Linear heads on these inputs for each way to treat length: "as it is", "given", "removed" from every
    input, or balanced by the weights of pairs as STRATA says."""
    found: dict[str, list[Fold]] = {length: [] for length in lengths}
    for train, test in folds(table.groups, FOLDS, seed):
        grams: dict[str, np.ndarray] = {}
        for length in lengths:
            way = length if length in ("given", "removed") else "as it is"
            if way not in grams:
                prepared = prepare(table, inputs, way, train)
                differences = prepared[::2] - prepared[1::2]  # (N, D)
                grams[way] = differences @ differences.T
            found[length].append(head(table, grams[way], train, test, seed, strata=STRATA.get(length, 0)))
    return found


def prepare(table: Table, inputs: Sequence[str], length: str, train: np.ndarray) -> np.ndarray:
    """Standardised inputs of every response, by those of the training pairs. Shape: (2N, D)."""
    seen = np.concatenate([2 * train, 2 * train + 1])
    chosen = [table.columns[name] for name in inputs]
    raw = np.concatenate([table.features[:, columns] for columns in chosen], axis=1)
    parts, start = {}, 0
    for name, columns in zip(inputs, chosen, strict=True):
        parts[name] = slice(start, start := start + columns.stop - columns.start)
    standard = standardised(raw, seen)
    if length == "removed":
        removal = LengthRemoval.fit(standard[seen], table.lengths[seen])
        standard = standardised(removal(standard, table.lengths), seen)
    standard = standard * column_scales(parts)
    if length == "given":
        log = standardised(np.log1p(table.lengths)[:, None], seen)
        standard = np.concatenate([standard, LENGTH_SCALE * log], axis=1)
    return standard


def head(
    table: Table, gram: np.ndarray, train: np.ndarray, test: np.ndarray, seed: int, *, strata: int = 0
) -> Fold:
    """A head on inputs whose differences have these products (N, N), with the penalty under which training
    pairs predict each other best."""
    best = (-1.0, 0.0, np.zeros(0))
    for penalty in reversed(PENALTIES):  # of equals the strongest
        inner = np.zeros(len(train))
        for others, held in folds(table.groups[train], INNER_FOLDS, seed + 1):
            inner[held] = predicted(table, gram, train[others], train[held], penalty, strata=strata)
        right = float(pair_credits(inner, table.outcomes[train]).mean())
        if right > best[0]:
            best = (right, penalty, inner)
    return Fold(train, test, best[2], predicted(table, gram, train, test, best[1], strata=strata))


def predicted(
    table: Table, gram: np.ndarray, seen: np.ndarray, wanted: np.ndarray, penalty: float, *, strata: int = 0
) -> np.ndarray:
    """Margins of wanted pairs by the head fitted to seen ones; length is balanced in so many strata.

    Weighted least squares with outcomes of 1 and -1, in the dual: the first Newton step of the logistic
    loss, from which under penalties as strong as these later steps do not lead far.
    """
    pairs = table.pairs(seen)
    if strata:
        pairs = balanced(pairs, table.lengths, strata=strata)
    pair_weights = pairs.weights if len(pairs.weights) else np.ones(len(seen))
    system = gram[np.ix_(seen, seen)] + np.diag(4 * penalty / pair_weights)
    found: np.ndarray = gram[np.ix_(wanted, seen)] @ solve(system, 4 * pairs.outcomes - 2, assume_a="pos")
    return found


def mean(models: Sequence[list[Fold]]) -> list[Fold]:
    """The mean of the models' margins, each divided by the spread of its own inner ones."""
    found = []
    for parts in zip(*models, strict=True):
        scales = [part.inner.std() or 1.0 for part in parts]
        inner = np.mean([part.inner / scale for part, scale in zip(parts, scales, strict=True)], axis=0)
        outer = np.mean([part.outer / scale for part, scale in zip(parts, scales, strict=True)], axis=0)
        found.append(Fold(parts[0].train, parts[0].test, inner, outer))
    return found


def best(table: Table, models: Sequence[list[Fold]]) -> list[Fold]:
    """In each fold the model whose inner margins are right most often; of equals the first."""
    return [
        max(parts, key=lambda part: float(pair_credits(part.inner, table.outcomes[part.train]).mean()))
        for parts in zip(*models, strict=True)
    ]


def least_blind(table: Table, models: Sequence[list[Fold]]) -> list[Fold]:
    """In each fold the first model whose inner margins are right often enough where length misleads.

    Often enough is SIGHTED; if none is, the last. The models stand in order, what owes least to length last.
    """
    misled = pair_credits(table.longer, table.outcomes) == 0

    def sighted(part: Fold) -> bool:
        right = pair_credits(part.inner, table.outcomes[part.train])[misled[part.train]]
        return len(right) > 0 and float(right.mean()) >= SIGHTED

    return [next((part for part in parts if sighted(part)), parts[-1]) for parts in zip(*models, strict=True)]


def mixed(table: Table, models: Sequence[list[Fold]]) -> list[Fold]:
    """The models' margins, each weighed by how the training pairs' inner margins predict their outcomes."""
    found = []
    for parts in zip(*models, strict=True):
        train, test = parts[0].train, parts[0].test
        columns = np.zeros((len(table.outcomes), len(parts)))
        for column, part in enumerate(parts):
            scale = part.inner.std() or 1.0
            columns[train, column], columns[test, column] = part.inner / scale, part.outer / scale
        gram = columns @ columns.T
        margins_of = [predicted(table, gram, train, part, MIX_PENALTY) for part in (train, test)]
        found.append(Fold(train, test, *margins_of))
    return found


def without_length(table: Table, found: Sequence[Fold], share: float) -> list[Fold]:
    """Take out of the margins what a cubic in log-length says of them, by the training pairs' inner ones.

    A score stays a function of one response: the cubic is of that response's length.
    """
    out = []
    for fold in found:
        seen = np.concatenate([2 * fold.train, 2 * fold.train + 1])
        powers = standardised(length_powers(table.lengths), seen)
        differences = powers[::2] - powers[1::2]  # (N, 3)
        by_length = np.linalg.lstsq(differences[fold.train], fold.inner, rcond=None)[0]
        inner = fold.inner - share * (differences[fold.train] @ by_length)
        outer = fold.outer - share * (differences[fold.test] @ by_length)
        out.append(replace(fold, inner=inner, outer=outer))
    return out

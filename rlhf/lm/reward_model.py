"""Reward models: an ensemble of linear heads on frozen features, trained on rankings, saved, loaded, scoring.

Left out: training the backbone itself. Heads are refitted from all judgments in seconds, so a killed
run simply starts again; its features are in the cache.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file
from scipy.special import expit

from rlhf.lm.backbones import UnknownModel, load_causal, load_encoder
from rlhf.lm.checkpoints import BadCheckpoint, read_manifest, write_manifest
from rlhf.lm.configs import RewardConfig
from rlhf.lm.data import Dataset, Judgment, Record
from rlhf.lm.execution import TRIED
from rlhf.lm.features import COMPLETION_TOKENS, Features, Item, Matrix
from rlhf.lm.folders import new_folder
from rlhf.lm.inputs import column_scales, named
from rlhf.lm.metrics import less_group_means, pair_credits
from rlhf.lm.pairs import Pair, judged_pairs
from rlhf.lm.reward_data import Indices, arrays_of, is_order, orders_of, texts_of, verdicts_of
from rlhf.lm.reward_heads import Heads, PairArrays, fit_heads, fit_temperature
from rlhf.lm.reward_inputs import Standardiser, balanced, lengths_of, raw_inputs
from rlhf.lm.reward_report import RewardReport, judge

Floats = npt.NDArray[np.float64]

WEIGHTS = "heads.safetensors"
REPORT = "report.json"


@dataclass(frozen=True)
class LinearHeads:
    """Affine functions of raw features. Their mean score has, over the training completions, mean 0, and
    within a task a standard deviation of 1. Shapes: weights (K, D), centre and scale (D,), offsets (K,)."""

    weights: Floats
    centre: Floats
    scale: Floats
    offsets: Floats

    def scores(self, inputs: Floats) -> Floats:
        """Shape: (N, D) -> (N, K)."""
        return ((inputs - self.centre) / self.scale) @ self.weights.T - self.offsets


@dataclass(frozen=True)
class RewardModel:
    """Scores completions of tasks. P(i above j) = σ((s_i - s_j) / temperature), s the heads' mean."""

    features: Features
    heads: LinearHeads
    length: str
    """What it makes of length: one of reward_inputs.LENGTHS."""
    temperature: float
    bar: float | None = None
    """The score from which on people find a completion good enough; None where they were not asked."""

    def head_scores(self, items: Sequence[Item]) -> Floats:
        """The score that each head gives. Shape: (len(items), K)."""
        return self.heads.scores(raw_inputs(self.features.of(items), items, length=self.length))

    def score(self, items: Sequence[Item]) -> tuple[Floats, Floats]:
        """Mean and standard deviation over the heads, each (len(items),)."""
        scores = self.head_scores(items)
        return scores.mean(1), scores.std(1)

    def probability(self, first: Sequence[Item], second: Sequence[Item]) -> Floats:
        """How likely people are to prefer each of `first` to the one of `second` beside it. Shape: (N,)."""
        chance: Floats = expit((self.score(first)[0] - self.score(second)[0]) / self.temperature)
        return chance

    def good_enough(self, items: Sequence[Item]) -> Floats | None:
        """How likely people are to find each good enough; None where nobody was asked. Shape: (N,)."""
        if self.bar is None:
            return None
        chance: Floats = expit((self.score(items)[0] - self.bar) / self.temperature)
        return chance

    @classmethod
    def load(cls, folder: Path, models: Path, cache: Path | None = None) -> RewardModel:
        """Read a reward checkpoint and the models it stands on. Raises BadCheckpoint, saying why."""
        manifest = read_manifest(folder, kind="reward")
        wanted = manifest["features"]
        try:
            features = Features(
                load_causal(wanted["backbone"], models),
                load_encoder(wanted["encoder"], models) if wanted["encoder"] else None,
                cache,
                inputs=named(wanted.get("inputs", "")),
                wording=wanted.get("wording", "generator"),
                completion_tokens=wanted.get("completion_tokens", COMPLETION_TOKENS),
                tried=wanted.get("tried", TRIED),
            )
            tensors = load_file(folder / WEIGHTS)
        except UnknownModel as error:
            raise BadCheckpoint(f"a model that {folder} stands on is not there: {error}") from error
        except (OSError, SafetensorError) as error:
            raise BadCheckpoint(f"{folder / WEIGHTS} cannot be read: {error}") from error
        check_identity(folder, wanted=wanted, found=features.identity)
        heads = LinearHeads(**{name: tensor.astype(np.float64) for name, tensor in tensors.items()})
        return cls(
            features,
            heads,
            _length_of(manifest["config"]),
            manifest["temperature"],
            manifest.get("bar"),
        )


def check_identity(folder: Path, *, wanted: dict[str, Any], found: dict[str, Any]) -> None:
    """Raises BadCheckpoint naming what differs: scores of other features would be noise."""
    other = [name for name in wanted if found.get(name) != wanted[name]]
    if other:
        differences = ", ".join(
            f"{name} {str(wanted[name])[:12]} → {str(found.get(name))[:12]}" for name in other
        )
        raise BadCheckpoint(
            f"the reward model {folder} was trained on other features ({differences}); train it again"
        )


def fit(
    config: RewardConfig,
    *,
    dataset: Dataset,
    features: Features,
    folder: Path,
    previous: Floats | None = None,
) -> Generator[Record, None, RewardReport]:
    """Train on the judgments of tasks that are not held out, judge on those that are, save to `folder`.

    The report is returned, and kept as report.json beside the checkpoint; `previous` are an older
    model's scores of texts_of(dataset), judged beside it. Step 0 counts the completions
    that are encoded. Raises ValueError if nothing can be learned from the judgments.
    """
    # 1. Every two completions of each ranking.
    judgments = dataset.judgments_on(held_out=False)
    train = judged_pairs(judgments)
    held_out = judged_pairs(dataset.judgments_on(held_out=True))
    _check_usable(dataset, train, features)
    if config.length == "balanced" and config.rankings != "pairs":
        raise ValueError("length is balanced between pairs: rankings must be read as pairs, not as wholes")
    features = dataclasses.replace(features, tried=config.tried_examples)
    if config.inputs:
        features = dataclasses.replace(features, inputs=named(config.inputs))

    # 2. Features, each completion once.
    texts = texts_of(dataset)
    items = [(dataset.tasks[task_id], text) for task_id, text in texts]
    parts: list[Matrix] = []
    for start in range(0, len(items), config.batch_size):
        parts.append(features.of(items[start : start + config.batch_size]))
        encoded = min(start + config.batch_size, len(items))
        yield Record(0, config.steps, {"encoded": encoded, "to_encode": len(items)})
    inputs = raw_inputs(np.concatenate(parts), items, length=config.length)

    # 3. Standardise by the training completions.
    rows_of_tasks = np.array([int(not task.held_out) for task, _ in items], dtype=bool)
    standardiser = Standardiser.fit(
        inputs[rows_of_tasks],
        [item for item, used in zip(items, rows_of_tasks, strict=True) if used],
        column_scales=column_scales(features.groups, weights={"execution": config.execution_weight}),
        length=config.length,
        l2=config.l2,
    )
    standard = standardiser.standard(inputs, items)

    # 4. Fit; what comes in between is for the page.
    indices = Indices.of(dataset, texts)
    arrays, test = arrays_of(train, indices), arrays_of(held_out, indices)
    if config.length == "balanced":
        arrays = balanced(arrays, lengths_of(items))
    for number, fitted in enumerate(
        fit_judgments(config, standard, judgments, indices, pairs=arrays), start=1
    ):
        scores = standard @ fitted.weights.mean(0)
        values = {"loss": fitted.loss, "accuracy_train": _accuracy(scores, arrays)}
        if len(test):
            values["accuracy_held_out"] = _accuracy(scores, test)
        yield Record(min(number * 5, config.steps), config.steps, values)

    # 5. One unit is the spread of a task's completions; then probabilities.
    heads, spread = _standardised(standardiser, fitted.weights, inputs, items, rows_of_tasks)
    asked = any(judgment.all_bad for judgment in judgments)
    bar = float((fitted.bar / spread - heads.offsets).mean()) if asked else None
    scores = heads.scores(inputs).mean(1)
    judged = test if len(test) else arrays
    temperature = fit_temperature(scores[judged.first] - scores[judged.second], judged.outcomes)
    report = judge(
        config,
        standard=standard,
        items=items,
        scores=scores,
        arrays=arrays,
        test=test,
        pairs=(train, held_out),
        fitted=fitted,
        people=list(indices.people),
        temperature=temperature,
        previous=previous,
    )
    _save(folder, heads, features, config, report, bar)
    return report


def read_report(folder: Path) -> dict[str, Any]:
    """The report of a reward checkpoint as plain JSON."""
    read_manifest(folder, kind="reward")
    report: dict[str, Any] = json.loads((folder / REPORT).read_text(encoding="utf-8"))
    return report


def fit_judgments(
    config: RewardConfig,
    standard: Floats,
    judgments: Sequence[Judgment],
    indices: Indices,
    *,
    pairs: PairArrays,
) -> Iterator[Heads]:
    """Fit heads to judgments as the config reads them. `pairs` are theirs, `standard` (C, D) the inputs."""
    orders = None
    if config.rankings == "plackett_luce":
        whole = [judgment for judgment in judgments if is_order(judgment)]
        orders = orders_of(whole, indices)
        others = [judgment for judgment in judgments if not is_order(judgment)]
        pairs = arrays_of(judged_pairs(others), indices)
    return fit_heads(
        standard,
        pairs,
        heads=config.heads,
        l2=config.l2,
        steps=config.steps,
        seed=config.seed,
        annotators=len(indices.people),
        ties=config.ties,
        strength=config.strength,
        orders=orders,
        verdicts=verdicts_of(judgments, indices),
    )


def _check_usable(dataset: Dataset, train: Sequence[Pair], features: Features) -> None:
    if not dataset.judgments:
        raise ValueError("there are no rankings yet: a reward model learns from rankings")
    if not train:
        raise ValueError(
            "no ranking of a training task compares two different completions: all ranked tasks are held out"
        )
    if all(pair.outcome == 0.5 for pair in train):
        raise ValueError("every ranking of a training task is a tie: nothing can be learned from ties alone")
    if features.lm is not None and features.lm.checkpoint is not None:
        raise ValueError("a reward model stands on an unchanged base model, not on a trained policy")


def _length_of(config: dict[str, Any]) -> str:
    """What a saved model makes of length; older ones only knew whether it was given."""
    given: str = config.get("length", "given" if config.get("use_length") else "as_is")
    return given


def _accuracy(scores: Floats, pairs: PairArrays) -> float:
    return float(pair_credits(scores[pairs.first] - scores[pairs.second], pairs.outcomes).mean())


def _standardised(
    standardiser: Standardiser,
    fitted: Floats,
    inputs: Floats,
    items: Sequence[Item],
    training: npt.NDArray[np.bool_],
) -> tuple[LinearHeads, float]:
    """The heads in their unit, and that unit: the spread within tasks, where all they learned comes from."""
    weights, centre, scale = standardiser.weights(fitted), standardiser.centre, standardiser.scale
    raw = LinearHeads(weights, centre, scale, np.zeros(len(weights))).scores(inputs[training])  # (N, K)
    names = [task.id for (task, _), used in zip(items, training, strict=True) if used]
    return in_their_unit(weights, centre, scale, raw=raw, tasks=names)


def in_their_unit(
    weights: Floats, centre: Floats, scale: Floats, *, raw: Floats, tasks: Sequence[str]
) -> tuple[LinearHeads, float]:
    """Heads whose raw scores (N, K) of these tasks' texts get mean 0 and spread 1, and what it was."""
    spread = float(less_group_means(raw.mean(1), tasks).std()) or 1.0
    return LinearHeads(weights / spread, centre, scale, raw.mean(0) / spread), spread


def _save(
    folder: Path,
    heads: LinearHeads,
    features: Features,
    config: RewardConfig,
    report: RewardReport,
    bar: float | None,
) -> None:
    # A run that was killed after this finds its folder when it starts again: it makes the same once more.
    with new_folder(folder, replace=True) as aside:
        text = json.dumps(report.to_json(), indent=2, ensure_ascii=False)
        (aside / REPORT).write_text(text + "\n", encoding="utf-8")
        write_heads(aside, heads, features, config, temperature=report.temperature, bar=bar)


def write_heads(
    folder: Path, heads: LinearHeads, features: Features, config: RewardConfig, **fields: Any
) -> None:
    """What `RewardModel.load` reads; `fields` (temperature and bar among them) go into the manifest."""
    tensors = {name: np.ascontiguousarray(t, dtype=np.float64) for name, t in vars(heads).items()}
    save_file(tensors, folder / WEIGHTS)
    write_manifest(
        folder, kind="reward", features=features.identity, config=dataclasses.asdict(config), **fields
    )

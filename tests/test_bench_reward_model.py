"""The reward model's benchmark on sets that it has not met: it reads them, or says why it does not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench import reward_model
from bench.preference_sets import JudgedPair, PreferenceSet
from bench.reward_model import set_models, trained
from rlhf.lm.configs import LoraRewardConfig
from tests.tiny import make_tiny_models

ODD: tuple[Any, ...] = (
    "",
    False,
    None,
    7,
    ["two", "parts"],
    {"role": "assistant", "content": "写 句子"},
    "写 回答",
)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_models(tmp_path_factory.mktemp("models"))


def run(data: Path, models: Path, folder: Path) -> int:
    options = ["--data", str(data), "--lm", str(models / "lm"), "--encoder", str(models / "encoder")]
    options += ["--models", str(models), "--cache", str(folder / "cache"), "--json", str(folder / "out.json")]
    return reward_model.main(options)


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in rows), encoding="utf-8")
    return path


def test_it_learns_from_a_set_with_odd_texts_and_ties(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A list is always better than what is odd; every fifth pair is a tie and is left out."""
    monkeypatch.setattr(set_models, "PENALTIES", (100.0,))
    rows = []
    for n in range(60):
        pair = ("list list " * (1 + n % 3), ODD[n % len(ODD)])
        label = "tie" if n % 5 == 0 else "ba"[n % 2 == 0]
        first, second = pair if label == "a" else pair[::-1]
        rows.append({"prompt": f"请 写 {n // 3}", "output_1": first, "output_2": second, "label": label})
    assert run(write(tmp_path / "odd.jsonl", rows), models, tmp_path) == 0
    (found,) = json.loads((tmp_path / "out.json").read_text())["sets"].values()
    assert found["n"] == 48
    by_name = {row["model"]: row for row in found["rows"]}
    assert found["best_baseline"] in by_name
    assert all(row["low"] <= row["accuracy"] <= row["high"] for row in found["rows"])
    assert by_name["both + counts"]["accuracy"] > 0.9
    assert by_name["chosen within the folds"]["accuracy"] > 0.9


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (
            [("p", "a b", "c", 0), ("p", "d", "e f", 1)],
            "are of 1 prompts; 5 folds by prompt need at least 10",
        ),
        ([(str(n), "a", "b", "tie") for n in range(30)], "no pair has a winner"),
        ([(str(n), "a", "b", 0) for n in range(30)], "the first response wins every pair"),
    ],
)
def test_it_says_why_a_set_cannot_be_judged(
    rows: list[tuple[Any, ...]],
    message: str,
    models: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    names = ("prompt", "response 1", "response 2", "label")
    path = write(tmp_path / "few.jsonl", [dict(zip(names, row, strict=True)) for row in rows])
    assert run(path, models, tmp_path) == 1
    assert message in capsys.readouterr().err


def test_a_model_without_length_says_nothing_that_length_says() -> None:
    """Margins that are length and a signal: what is left is the signal, and it wins where length misleads."""
    rng = np.random.default_rng(0)
    number = 400
    lengths = np.exp(rng.normal(5, 0.7, 2 * number)).round()
    longer = np.log1p(lengths[::2]) - np.log1p(lengths[1::2])
    signal = rng.normal(size=number)
    outcomes = (signal + 2 * longer > 0).astype(float)
    table = set_models.Table("s", [], lengths, np.zeros((2 * number, 0)), {}, np.arange(number), outcomes)
    split = list(set_models.folds(table.groups, 5, 0))
    told = signal + 2 * longer
    found = [set_models.Fold(train, test, told[train], told[test]) for train, test in split]
    blind = set_models.margins(set_models.without_length(table, found, share=1.0))
    assert abs(np.corrcoef(blind, longer)[0, 1]) < 0.1
    assert np.corrcoef(blind, signal)[0, 1] > 0.97


def test_the_least_blind_model_that_is_right_where_length_misleads_is_taken() -> None:
    """The longer one is the first and loses in 20 of 40 pairs; models are right in 10, 12 and 14 of these."""
    outcomes = np.tile([0.0, 1.0], 20)
    lengths = np.tile([20.0, 10.0], 40)
    table = set_models.Table("s", [], lengths, np.zeros((80, 0)), {}, np.arange(40), outcomes)
    train, test = np.arange(40), np.zeros(0, np.int64)

    def model(right: int) -> list[set_models.Fold]:
        inner = np.where(outcomes == 1, 1.0, -1.0)
        inner[np.flatnonzero(outcomes == 0)[right:]] = 1.0
        return [set_models.Fold(train, test, inner, np.zeros(0))]

    models = [model(10), model(12), model(14)]
    assert set_models.least_blind(table, models)[0] is models[1][0]
    assert set_models.least_blind(table, models[:1])[0] is models[0][0]


def test_lora_learns_on_the_other_folds(models: Path) -> None:
    """The text with "list" in it wins; each pair is scored by a backbone that did not train on it."""
    rng = np.random.default_rng(0)
    pairs = []
    for n in range(20):
        good, bad = f"list list {n}", f"polite polite {n}"
        outcome = float(rng.integers(2))
        texts = (good, bad) if outcome else (bad, good)
        pairs.append(JudgedPair("s", str(n), f"Task {n}", *texts, (outcome,)))
    one = PreferenceSet("s", tuple(pairs), "")
    split = list(set_models.folds(np.arange(20), 5, 0))
    config = LoraRewardConfig(
        top_layers=1,
        pooling="mean+max",
        wording="chat",
        epochs=2,
        learning_rate=5e-3,
        probe_l2=10.0,
        precision="float32",
        centring=0.0,
        learn_reliability=False,
        standardise=False,
    )
    margins = trained(one, split, str(models / "lm"), models, config)
    assert np.mean((margins > 0) == [pair.outcome == 1 for pair in pairs]) > 0.9

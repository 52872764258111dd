"""DPO and IPO: losses by hand, targets from votes and reliability; it learns and resumes."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import pytest
import torch

from rlhf.lm import dpo
from rlhf.lm.backbones import CausalLM, load_causal
from rlhf.lm.checkpoints import load_policy, read_manifest
from rlhf.lm.configs import DpoConfig
from rlhf.lm.data import Dataset, Judgment, Record, Task
from rlhf.lm.dpo import Preference, preference_loss, preferences
from rlhf.lm.training_state import ResumeMismatch
from tests.tiny import make_tiny_model

TASKS = {str(n): Task(id=str(n), text=f"Sort list {n}") for n in range(4)}
JUDGMENTS = tuple(
    Judgment(
        id=f"{n}", task_id=str(n), annotator="a", completions=("Sort the list.", "Do it now."), ranks=(1, 2)
    )
    for n in range(4)
)
CONFIG = DpoConfig(epochs=6, groups_per_step=2, learning_rate=1e-2, sample_tasks=1, max_new_tokens=4)
CLOCK = {"seconds", "tokens_per_s"}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_model(tmp_path_factory.mktemp("tiny") / "model")


def load(tiny: Path) -> CausalLM:
    return load_causal(str(tiny), tiny.parent, torch.float32)


def run(tiny: Path, folder: Path, config: DpoConfig = CONFIG) -> list[Record]:
    return list(
        dpo.train(config, policy=load(tiny), dataset=Dataset(TASKS, JUDGMENTS), reliability={}, folder=folder)
    )


def numbers(records: list[Record]) -> list[object]:
    return [(r.step, {k: v for k, v in r.values.items() if k not in CLOCK}, r.samples) for r in records]


def loss_of(config: DpoConfig, said: list[Preference], logprobs: list[float], ref: list[float]) -> float:
    lengths = torch.tensor([2, 4, 1])
    value, _ = preference_loss(config, said, torch.tensor(logprobs), torch.tensor(ref), lengths)
    return value.item()


def test_the_loss_of_dpo_by_hand() -> None:
    # Log-ratios 2 and -1: a margin of 0.1 * 3. -log σ(0.3) of a sure preference, as in TRL.
    config, sure = DpoConfig(beta=0.1), [Preference(0, 1, 1.0, 1.0)]
    assert loss_of(config, sure, [-3.0, -6.0, 0.0], [-5.0, -5.0, 0.0]) == pytest.approx(
        math.log1p(math.exp(-0.3))
    )
    # With smoothing 0.1: 0.9 log σ(0.3) + 0.1 log σ(-0.3).
    smooth = [Preference(0, 1, 0.9, 1.0)]
    expected = 0.9 * math.log1p(math.exp(-0.3)) + 0.1 * math.log1p(math.exp(0.3))
    assert loss_of(config, smooth, [-3.0, -6.0, 0.0], [-5.0, -5.0, 0.0]) == pytest.approx(expected)


def test_preferences_count_by_their_weights() -> None:
    said = [Preference(0, 1, 1.0, 3.0), Preference(2, 0, 0.0, 1.0)]
    # Log-ratios 2, -1, 0: margins 3β of the first; of the third over the first -2β, the other way round.
    expected = (3 * math.log1p(math.exp(-3.0)) + math.log1p(math.exp(-2.0))) / 4
    assert loss_of(DpoConfig(beta=1.0), said, [-3.0, -6.0, 0.0], [-5.0, -5.0, 0.0]) == pytest.approx(expected)


def test_the_loss_of_ipo_by_hand() -> None:
    # Per token 2/2 and -1/4: a margin of 1.25, to be 1 / (2 * 0.5) = 1.
    config = DpoConfig(loss="ipo", beta=0.5)
    assert loss_of(
        config, [Preference(0, 1, 1.0, 1.0)], [-3.0, -6.0, 0.0], [-5.0, -5.0, 0.0]
    ) == pytest.approx(0.25**2)


def test_the_likelihood_of_the_preferred_is_added() -> None:
    config = DpoConfig(beta=0.1, sft_weight=0.5)
    plain = math.log1p(math.exp(-0.3))
    found = loss_of(config, [Preference(0, 1, 1.0, 1.0)], [-3.0, -6.0, 0.0], [-5.0, -5.0, 0.0])
    assert found == pytest.approx(plain + 0.5 * 3 / 2)


def test_votes_become_targets_by_who_gave_them() -> None:
    tasks = {"t": Task("t", "x"), "h": Task("h", "y", held_out=True)}

    def judged(number: str, task: str, who: str, ranks: tuple[int, int]) -> Judgment:
        return Judgment(number, task, who, ("one", "two"), ranks)

    judgments = (
        judged("1", "t", "good", (1, 2)),
        judged("2", "t", "coin", (2, 1)),
        judged("3", "t", "good", (1, 1)),  # a tie is no preference
        judged("4", "h", "good", (1, 2)),  # held out
    )
    groups, said = preferences(Dataset(tasks, judgments), {"good": 0.95, "coin": 0.5})
    assert [group.task.id for group in groups] == ["t"]
    assert groups[0].texts == ("one", "two")
    (preference,) = said[0]
    assert (preference.first, preference.second) == (0, 1)
    assert preference.target == pytest.approx((0.95 + 0.5) / 2)
    assert preference.weight == 2


def test_it_learns_what_is_preferred(tiny: Path, tmp_path: Path) -> None:
    records = run(tiny, tmp_path)
    assert [record.step for record in records] == list(range(12))
    assert records[0].values["loss"] == pytest.approx(math.log(2))  # it starts as the reference
    # Nobody is known: the target is 0.9, whose loss is at least the entropy of 0.9.
    assert 0.3 < records[-1].values["loss"] < 0.6
    assert records[-1].values["margin"] > 0.3
    assert records[-1].values["accuracy_train"] == 1
    assert read_manifest(tmp_path / "policy", kind="policy")["steps"] == 12
    load_policy(tmp_path / "policy", tiny.parent, torch.float32)


def test_a_killed_run_ends_with_the_numbers_of_an_uninterrupted_one(tiny: Path, tmp_path: Path) -> None:
    whole = run(tiny, tmp_path / "whole")
    part = dpo.train(
        CONFIG, policy=load(tiny), dataset=Dataset(TASKS, JUDGMENTS), reliability={}, folder=tmp_path / "part"
    )
    for _ in range(7):
        next(part)
    part.close()
    assert numbers(run(tiny, tmp_path / "part")) == numbers(whole)
    hashes = {
        read_manifest(tmp_path / name / "policy", kind="policy")["adapters_hash"]
        for name in ("whole", "part")
    }
    assert len(hashes) == 1


def test_other_reliabilities_do_not_go_on(tiny: Path, tmp_path: Path) -> None:
    run(tiny, tmp_path, dataclasses.replace(CONFIG, epochs=1))
    with pytest.raises(ResumeMismatch):
        list(
            dpo.train(
                dataclasses.replace(CONFIG, epochs=1),
                policy=load(tiny),
                dataset=Dataset(TASKS, JUDGMENTS),
                reliability={"a": 0.6},
                folder=tmp_path,
            )
        )


def test_without_a_preference_there_is_nothing_to_learn(tiny: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no text to learn from"):
        next(dpo.train(CONFIG, policy=load(tiny), dataset=Dataset(TASKS), reliability={}, folder=tmp_path))

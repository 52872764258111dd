"""ILQL: it finds the oracle's Q*, and raises a reward through decoding alone; limits hold; it resumes."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from rlhf.lm import q_data, q_learning
from rlhf.lm.backbones import CausalLM, load_causal
from rlhf.lm.checkpoints import load_policy, read_manifest
from rlhf.lm.configs import IlqlConfig
from rlhf.lm.data import Dataset, Example, Judgment, Record, Task
from rlhf.lm.policy_samples import write
from rlhf.lm.q_data import RatedText, encode, ranked_texts, rewards_of
from rlhf.lm.q_heads import QHeads, standardise
from rlhf.lm.q_updates import one_epoch
from rlhf.lm.tabular import State, TokenProcess, solve
from rlhf.lm.training_state import ResumeMismatch
from tests.tiny import make_tiny_model

TASKS = {str(n): Task(id=str(n), text=f"Sort list {n}") for n in range(18)} | {
    "h": Task(id="h", text="Kept aside", held_out=True)
}
CONFIG = IlqlConfig(
    samples_per_task=6,
    max_new_tokens=6,
    epochs=5,
    texts_per_step=16,
    learning_rate=3e-3,
    width=32,
    check_tasks=4,
    beta=4.0,
    beta_trials=2,
    kl_budget=100.0,
    entropy_floor=0.0,
    repetition=1.0,
    sample_tasks=1,
)
CLOCK = {"seconds", "tokens_per_s"}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_model(tmp_path_factory.mktemp("tiny") / "model")


def load(tiny: Path) -> CausalLM:
    return load_causal(str(tiny), tiny.parent, torch.float32)


def score(items: list[tuple[Task, str]]) -> tuple[np.ndarray, np.ndarray]:
    """Texts are worth the "list" in them."""
    return np.array([float(text.count("list") + text.count("sort")) for _, text in items]), np.zeros(
        len(items)
    )


def run(tiny: Path, folder: Path, config: IlqlConfig = CONFIG) -> list[Record]:
    policy = load(tiny)
    return list(q_learning.train(config, policy=policy, dataset=Dataset(TASKS), score=score, folder=folder))


def numbers(records: list[Record]) -> list[object]:
    return [
        (r.step, {k: v for k, v in r.values.items() if k not in CLOCK}, r.samples, r.note) for r in records
    ]


def test_it_finds_the_oracles_values(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All texts of up to three tokens over two words and the end: the values are those of the table."""
    lm = load(tiny)
    # Behind a long prompt a random model's states differ too little to tell prefixes apart.
    monkeypatch.setattr(q_data, "generator_ids", lambda tokenizer, task: [tokenizer.bos_token_id])
    end = lm.tokenizer.eos_token_id
    one, two = lm.tokenizer(" one two", add_special_tokens=False)["input_ids"]
    worth = np.random.default_rng(1)
    rewards: dict[State, float] = {}
    process = TokenProcess((end, one, two), end=end, horizon=3, reward=lambda state: rewards[state])
    for state in process.states():
        for action in process.actions:
            if action == end or len(state) == 2:
                rewards[(*state, action)] = float(worth.normal())
    exact = solve(process, gamma=0.9)

    texts = [RatedText("0", state, 0.0, 0.0) for state in rewards]
    data = encode(lm, TASKS, texts, np.array(list(rewards.values())))
    config = IlqlConfig(gamma=0.9, td_lambda=0.0, tau=0.98, cql_weight=0.0, polyak=0.2, learning_rate=5e-3)
    embedding = lm.model.get_output_embeddings().weight.detach()
    heads = QHeads(embedding, width=128, seed=0)
    parameters = [p for p in heads.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=config.learning_rate, weight_decay=0.0)
    for epoch in range(400):
        one_epoch(config, heads, optimizer, embedding, data, epoch)

    found: dict[tuple[State, int], float] = {}
    with torch.no_grad():
        inputs = standardise(data.states)
        made = torch.stack([heads.of_actions(head(inputs), embedding[data.actions]) for head in heads.slow])
    values = made.amin(0).tolist()
    for text, (start, stop) in zip(texts, zip(data.starts, data.starts[1:], strict=False), strict=True):
        for place in range(start, stop):
            found[text.token_ids[: place - start], text.token_ids[place - start]] = values[place]
    assert found.keys() == exact.keys()
    assert found == pytest.approx(exact, abs=0.1)
    # Greedy choices lead to a text as good as the best, as far as the tolerance lets choices err.
    state: State = ()
    while state not in rewards:
        state = (*state, max(process.actions, key=lambda action: found[state, action]))
    assert rewards[state] > max(rewards.values()) - 2 * 0.1


def test_decoding_by_q_raises_the_reward(tiny: Path, tmp_path: Path) -> None:
    records = run(tiny, tmp_path, dataclasses.replace(CONFIG, samples_per_task=24, epochs=20))
    trials = [record for record in records if "beta" in record.values]
    assert [trial.values["beta"] for trial in trials[:-1]] == [0, 2, 4]
    assert trials[0].values["kl"] == pytest.approx(0, abs=1e-6)
    assert trials[2].values["reward"] > trials[0].values["reward"] + 0.3
    assert trials[2].values["kl"] > 0.1
    assert records[-1].step == records[-1].total
    assert read_manifest(tmp_path / "policy", kind="policy")["q_heads"]["beta"] > 0


def test_the_checkpoint_loads_and_writes_as_the_run_showed(tiny: Path, tmp_path: Path) -> None:
    records = run(tiny, tmp_path)
    (sample,) = records[-1].samples
    loaded = load_policy(tmp_path / "policy", tiny.parent, torch.float32)
    again = write(loaded, [TASKS[sample.task_id]], max_new_tokens=6, seed=0)
    assert again == [sample.text]


@pytest.mark.parametrize("stop", [1, 4, 8])  # while texts are rated, in an epoch, between two trials
def test_a_killed_run_ends_with_the_numbers_of_an_uninterrupted_one(
    tiny: Path, tmp_path: Path, stop: int
) -> None:
    whole = run(tiny, tmp_path / "whole")
    assert len(whole) == 2 + 5 + 3 + 1
    part = q_learning.train(
        CONFIG, policy=load(tiny), dataset=Dataset(TASKS), score=score, folder=tmp_path / "part"
    )
    for _ in range(stop):
        next(part)
    part.close()
    assert numbers(run(tiny, tmp_path / "part")) == numbers(whole)
    hashes = {
        read_manifest(tmp_path / name / "policy", kind="policy")["q_heads"]["hash"]
        for name in ("whole", "part")
    }
    assert len(hashes) == 1
    assert numbers(run(tiny, tmp_path / "part")) == numbers(whole)  # also when all was done


def test_beyond_a_limit_a_smaller_beta_is_kept(tiny: Path, tmp_path: Path) -> None:
    records = run(tiny, tmp_path, dataclasses.replace(CONFIG, kl_budget=1e-6))
    assert "is over the budget" in records[-1].note
    assert records[-1].values["beta"] == 0
    assert records[-1].step == records[-1].total
    assert numbers(run(tiny, tmp_path, dataclasses.replace(CONFIG, kl_budget=1e-6))) == numbers(records)


def test_gold_is_measured_on_the_tasks_left_aside(tiny: Path, tmp_path: Path) -> None:
    examples = (Example("1 2", "one"), Example("3 4", "two"))
    tasks = {key: dataclasses.replace(task, held_out_examples=examples) for key, task in TASKS.items()}
    records = list(
        q_learning.train(
            CONFIG,
            policy=load(tiny),
            dataset=Dataset(tasks),
            score=score,
            executor=load(tiny),
            folder=tmp_path,
        )
    )
    *trials, kept = [record for record in records if "beta" in record.values]
    golds = {trial.values["beta"]: trial.values["gold"] for trial in trials}
    assert set(golds) == {0.0, 2.0, 4.0} and len(set(golds.values())) == 3
    assert kept.values["beta"] == q_learning.best_of(trials).values["beta"]
    aside = [name for name in kept.values if name.startswith("gold/")]
    assert len(aside) == CONFIG.check_tasks
    manifest = read_manifest(tmp_path / "policy", kind="policy")
    assert manifest["q_heads"]["beta"] == kept.values["beta"]


def trial(beta: float, note: str = "", **values: float) -> Record:
    return Record(int(beta), 9, {"beta": beta, **values}, note=note)


def judged_trial(beta: float, *golds: float) -> Record:
    of_tasks = {f"gold/{n}": gold for n, gold in enumerate(golds)}
    return trial(beta, reward=beta, gold=float(np.mean(golds)), **of_tasks)


def test_without_gold_a_trial_is_judged_by_reward() -> None:
    over = trial(4, "KL 9.00 is over the budget of 8", reward=9, gold=9)
    rated = [trial(0, reward=0.1), trial(2, reward=0.5), over]
    assert q_learning.best_of(rated).values["beta"] == 2
    said = q_learning.verdict(rated[1], rated)
    assert said == "β = 2 is kept; at β = 4, KL 9.00 is over the budget of 8"
    assert q_learning.best_of([trial(0), trial(2)]).values["beta"] == 2


def test_gold_has_a_veto_over_the_reward() -> None:
    best = judged_trial(1, 0.5, 0.7, 0.9)
    # behind by 0.3, 0.1 and -0.1: 0.1 in the mean, the standard error is 0.2 / √3 = 0.115
    close = judged_trial(2, 0.2, 0.6, 1.0)
    # behind by 0.1 each time: no doubt about it
    behind = judged_trial(4, 0.4, 0.6, 0.8)
    assert q_learning.best_of([best, close]) is close
    assert q_learning.best_of([best, close, behind]) is close
    assert q_learning.best_of([best, behind]) is best
    assert q_learning.verdict(best, [best, behind]) == (
        "β = 1 is kept; gold was 0.60 at β = 4, 0.70 at β = 1"
    )
    assert q_learning.best_of([judged_trial(0, 0.3), judged_trial(1, 0.2)]).values["beta"] == 0  # one task


def test_the_callers_model_is_left_as_it_was(tiny: Path, tmp_path: Path) -> None:
    policy = load(tiny)
    before = policy.model.get_output_embeddings()
    generator = q_learning.train(CONFIG, policy=policy, dataset=Dataset(TASKS), score=score, folder=tmp_path)
    for _ in range(8):
        next(generator)
    generator.close()
    assert policy.model.get_output_embeddings() is before


def test_rankings_can_be_the_rewards(tiny: Path, tmp_path: Path) -> None:
    judgments = tuple(
        Judgment(
            id=str(n),
            task_id=str(n),
            annotator="a",
            completions=("Sort the list.", "Do it now.", "Do it."),
            ranks=(1, 2, 2),
        )
        for n in range(6)
    )
    assert ranked_texts(Dataset(TASKS, judgments))["0"] == {
        "Sort the list.": 1.0,
        "Do it now.": 0.25,
        "Do it.": 0.25,
    }
    records = list(
        q_learning.train(
            CONFIG, policy=load(tiny), dataset=Dataset(TASKS, judgments), score=None, folder=tmp_path
        )
    )
    assert records[0].values["texts"] == 18  # of the six tasks that have rankings
    assert "reward" not in records[-1].values
    assert records[-1].values["beta"] == 4  # the largest within the limits


def test_rewards_are_pessimistic_and_less_their_tasks_mean() -> None:
    texts = [RatedText("a", (1,), 3.0, 0.0), RatedText("a", (2,), 3.0, 4.0), RatedText("b", (1,), 9.0, 1.0)]
    # With half of the spread off: 3, 1 and 8.5; less the means 1, -1, 0; over √(2/3).
    assert rewards_of(texts, 0.5) == pytest.approx(np.array([1, -1, 0]) / np.sqrt(2 / 3))


def test_equal_rewards_teach_nothing(tiny: Path, tmp_path: Path) -> None:
    def flat(items: list[tuple[Task, str]]) -> tuple[np.ndarray, np.ndarray]:
        return np.ones(len(items)), np.zeros(len(items))

    with pytest.raises(ValueError, match="nothing to learn"):
        list(q_learning.train(CONFIG, policy=load(tiny), dataset=Dataset(TASKS), score=flat, folder=tmp_path))


def test_without_training_tasks_there_is_nothing_to_learn(tiny: Path, tmp_path: Path) -> None:
    held = Dataset({"h": TASKS["h"]})
    with pytest.raises(ValueError, match="no text to learn from"):
        next(q_learning.train(CONFIG, policy=load(tiny), dataset=held, score=score, folder=tmp_path))


def test_another_config_does_not_go_on(tiny: Path, tmp_path: Path) -> None:
    run(tiny, tmp_path)
    with pytest.raises(ResumeMismatch, match="tau"):
        run(tiny, tmp_path, dataclasses.replace(CONFIG, tau=0.9))

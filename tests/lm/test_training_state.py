"""State on disk: the newest whole one, of the same run."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from rlhf.lm import training_state
from rlhf.lm.data import Record, Sample
from rlhf.lm.training_state import ResumeMismatch, load_state, save_state, spread

IDENTITY = {"config": {"steps": 3, "seed": 0}, "weights_hash": "a"}


def save(folder: Path, step: int) -> None:
    facts = {"identity": IDENTITY, "note": f"after {step}"}
    save_state(folder, step=step, tensors={"x": torch.tensor([float(step)])}, facts=facts)


def test_the_newest_state_is_loaded_and_the_only_one_kept(tmp_path: Path) -> None:
    assert load_state(tmp_path / "run", identity=IDENTITY) is None
    for step in (9, 10, 11):
        save(tmp_path / "run", step)
    state = load_state(tmp_path / "run", identity=IDENTITY)
    assert state is not None
    assert (state.step, state.facts["note"], state.tensors["x"].item()) == (11, "after 11", 11.0)
    assert len(list((tmp_path / "run").iterdir())) == 1


def test_a_state_that_could_not_be_finished_leaves_the_one_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(tmp_path, 1)

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(training_state, "save_file", killed)
        with pytest.raises(KeyboardInterrupt):
            save(tmp_path, 2)
    state = load_state(tmp_path, identity=IDENTITY)
    assert state is not None
    assert state.step == 1


def test_the_state_of_another_run_is_refused_with_the_differences(tmp_path: Path) -> None:
    save(tmp_path, 1)
    other = {"config": {"steps": 4, "seed": 0}, "weights_hash": "b"}
    with pytest.raises(ResumeMismatch, match=r"config.steps was 3, is 4, weights_hash was 'a', is 'b'"):
        load_state(tmp_path, identity=other)


def test_records_survive_json() -> None:
    record = Record(1, 2, {"kl": 0.5}, (Sample("7", "Sort.", "Sort it.", {"gold": 1.0}),), "why")
    assert training_state.record_from_json(training_state.record_to_json(record)) == record


def test_an_optimizer_goes_on_as_if_nothing_had_happened() -> None:
    def steps(optimizer: torch.optim.Optimizer, weight: torch.Tensor, count: int) -> None:
        for _ in range(count):
            weight.grad = weight.detach() ** 2
            optimizer.step()

    whole = torch.tensor([1.0, 2.0], requires_grad=True)
    steps(torch.optim.AdamW([whole], lr=0.1), whole, 4)

    first = torch.tensor([1.0, 2.0], requires_grad=True)
    optimizer = torch.optim.AdamW([first], lr=0.1)
    steps(optimizer, first, 2)
    saved = training_state.optimizer_tensors(optimizer)
    second = first.detach().clone().requires_grad_()
    resumed = torch.optim.AdamW([second], lr=0.1)
    training_state.restore_optimizer(resumed, saved)
    steps(resumed, second, 2)
    assert second.tolist() == whole.tolist()
    assert second.tolist() != first.tolist()


def test_prefixes_come_off_again() -> None:
    tensors = {"a/b": torch.ones(1)}
    both = training_state.with_prefix("x", tensors) | training_state.with_prefix("xy", {})
    assert training_state.under_prefix("x", both).keys() == {"a/b"}


def test_items_are_spread_evenly() -> None:
    assert spread(range(10), 4) == [0, 2, 5, 7]
    assert spread(range(2), 4) == [0, 1]
    assert spread([], 4) == []

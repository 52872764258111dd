"""SFT: what is a demonstration, its loss by hand; it learns to write them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from rlhf.lm import sft
from rlhf.lm.backbones import load_causal
from rlhf.lm.configs import SftConfig
from rlhf.lm.data import Dataset, Judgment, Task
from rlhf.lm.sft import demonstrations, likelihood_loss
from tests.tiny import make_tiny_model

TASKS = {
    "t": Task("t", "Sort list", reference="Sort it."),
    "u": Task("u", "Add numbers"),
    "h": Task("h", "Hidden", reference="Secret.", held_out=True),
}


def judged(number: int, ranks: tuple[int, ...], task: str = "t", **more: object) -> Judgment:
    texts = ("one", "two", "three")[: len(ranks)]
    return Judgment(str(number), task, "a", texts, ranks, **more)  # type: ignore[arg-type]


def test_demonstrations() -> None:
    judgments = (
        judged(1, (1, 2)),
        judged(2, (2, 1, 3)),
        judged(3, (1, 2)),
        judged(4, (1, 1)),  # nobody is first alone
        judged(5, (1, 1), all_bad=True),
        judged(6, (1, 2), improved="better still"),
        judged(7, (1, 2), task="h"),
    )
    dataset = Dataset(TASKS, judgments)
    # Of "t": its own, "one" twice, "two", and the edited one.
    assert demonstrations(dataset, written=True, ranked=True) == {
        "t": {"Sort it.": 0.2, "better still": 0.2, "one": 0.4, "two": 0.2}
    }
    assert demonstrations(dataset, written=True, ranked=False) == {"t": {"Sort it.": 1.0}}
    assert demonstrations(Dataset(TASKS), written=False, ranked=True) == {}


def test_an_annotators_own_text_is_one_where_all_shown_were_bad() -> None:
    dataset = Dataset(TASKS, (judged(1, (1, 1), all_bad=True, improved="mine"),))
    assert demonstrations(dataset, written=False, ranked=True) == {"t": {"mine": 1.0}}


def test_the_loss_is_of_a_token() -> None:
    # Weights 3/4 and 1/4: (0.75 * 6 + 0.25 * 2) over (0.75 * 3 + 0.25 * 1) tokens.
    found = likelihood_loss(torch.tensor([-6.0, -2.0]), torch.tensor([3, 1]), [0.75, 0.25])
    assert found.item() == pytest.approx(5 / 2.5)


def test_it_learns_to_write_them(tmp_path: Path) -> None:
    model = make_tiny_model(tmp_path / "model")
    policy = load_causal(str(model), tmp_path, torch.float32)
    config = SftConfig(epochs=100, learning_rate=1e-2, sample_tasks=1, max_new_tokens=12)
    dataset = Dataset(TASKS, (judged(1, (1, 2), task="u"),))
    records = list(sft.train(config, policy=policy, dataset=dataset, folder=tmp_path / "run"))
    assert records[-1].values["loss"] < records[0].values["loss"] / 4
    assert records[-1].values["chosen"] > 1  # nats above the reference
    assert records[-1].samples[0].text == "Sort it."
    assert records[-1].samples[0].reference_text != "Sort it."

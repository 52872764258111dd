"""A policy run stops when it goes too far, and says why."""

from __future__ import annotations

import numpy as np
import pytest

from rlhf.lm.configs import PolicyConfig
from rlhf.lm.data import Task
from rlhf.lm.guards import copied, limit_passed, repetition, without_copies

CONFIG = PolicyConfig(kl_budget=8.0, length_drift=3.0, entropy_floor=0.2, disagreement=3.0, repetition=0.3)
START = {"kl": 0.0, "length": 12.0, "entropy": 2.0, "score_std": 0.2, "repetition": 0.1}


@pytest.mark.parametrize(
    ("value", "within", "beyond", "said"),
    [
        ("kl", 8.0, 8.1, "KL 8.10 is over the budget of 8"),
        ("length", 36.0, 36.1, "36.1 tokens, at the start 12.0"),
        ("length", 4.0, 3.9, "3.9 tokens, at the start 12.0"),
        ("entropy", 0.41, 0.39, "entropy fell to 0.39 nats a token, at the start 2.00"),
        ("score_std", 0.59, 0.61, "the heads differ by 0.61, at the start by 0.20"),
        ("repetition", 0.39, 0.41, "41% of what completions say they have said before, at the start 10%"),
    ],
)
def test_each_limit(value: str, within: float, beyond: float, said: str) -> None:
    assert limit_passed(CONFIG, START | {value: within}, START) == ""
    assert said in limit_passed(CONFIG, START | {value: beyond}, START)


def test_heads_that_agreed_at_the_start_may_differ_a_little() -> None:
    start = START | {"score_std": 0.0}
    assert limit_passed(CONFIG, start | {"score_std": 0.29}, start) == ""
    assert limit_passed(CONFIG, start | {"score_std": 0.31}, start)


def test_repetition() -> None:
    # "a b a b a b": trigrams aba bab aba bab, two of four known. Six different words: none.
    assert repetition(["a b a b a b"]) == 0.5
    assert repetition(["a b a b a b", "one two three four five six"]) == 0.25
    assert repetition(["too short", ""]) == 0
    assert repetition(["好好好好好"]) == pytest.approx(2 / 3)
    assert repetition([]) == 0


def test_copies_of_the_instruction_that_the_prompt_shows() -> None:
    english, chinese = Task(id="e", text=""), Task(id="z", text="", language="zh-hans")
    texts = [
        "Write the surname first, then a comma and the first name.",
        "Write the surname first, then a comma and the last name.",  # 8 of 9 trigrams
        "Write the surname first.",  # both
        "Write the name of the country first, then a comma and the capital.",  # 3 of 11
        "Write the plural.",
        "",
    ]
    assert copied([(english, text) for text in texts]).tolist() == [1, 1, 1, 0, 0, 0]
    assert copied([(chinese, "找出日期里的年份，只写四位数字。"), (chinese, "写出反义词。")]).tolist() == [
        1,
        0,
    ]


def test_copies_are_paid_less_by_every_score() -> None:
    task = Task(id="e", text="")
    items = [(task, "Write the surname first."), (task, "Write the plural.")]
    means, stds = without_copies(lambda some: (np.ones(len(some)), np.zeros(len(some))), 2.0)(items)
    assert (means.tolist(), stds.tolist()) == ([-1.0, 1.0], [0.0, 0.0])

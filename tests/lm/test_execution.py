"""Trying an instruction on shown examples: against the gold metric, and what it must not read."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from rlhf.lm.backbones import CausalLM, load_causal
from rlhf.lm.configs import EvaluationConfig
from rlhf.lm.data import Example, Task
from rlhf.lm.execution import execution_covariates
from rlhf.lm.features import Features
from rlhf.lm.gold import gold_scores
from tests.tiny import make_tiny_model

SHOWN = (Example("warm", "cold"), Example("up", "down"), Example("in", "out"))
TASK = Task(id="t", text="Opposites.", examples=SHOWN, held_out_examples=(Example("first", "last"),))


@pytest.fixture(scope="module")
def lm(tmp_path_factory: pytest.TempPathFactory) -> CausalLM:
    folder = tmp_path_factory.mktemp("models")
    return load_causal(str(make_tiny_model(folder / "lm")), folder, torch.float32)


def test_it_is_the_gold_metric_of_the_shown_examples_less_that_of_no_instruction(lm: CausalLM) -> None:
    judged = Task(id="t", text="Opposites.", held_out_examples=SHOWN)
    written, none = gold_scores(lm, [(judged, "Turn it round."), (judged, "")], EvaluationConfig())
    assert written is not None and none is not None
    (row,) = execution_covariates(lm, [(TASK, "Turn it round.")])
    wanted = [getattr(written, name) - getattr(none, name) for name in ("contrast", "log_likelihood", "top")]
    assert row == pytest.approx([*wanted, 0.0], abs=1e-5)
    assert row[1] != 0


@pytest.mark.parametrize("examples", [2, 4])
def test_so_many_shown_examples_are_tried_and_no_more(lm: CausalLM, examples: int) -> None:
    many = tuple(Example(f"in {n}", f"out {n}") for n in range(examples + 1))
    known = (*many[:examples], Example("in 0", "out 0"))  # nothing new to compare with
    rows = [
        execution_covariates(lm, [(dataclasses.replace(TASK, examples=shown), "Turn it round.")], examples=n)[
            0
        ]
        for shown, n in ((many[:examples], examples), (known, examples), (known, examples + 1))
    ]
    assert rows[0] == pytest.approx(rows[1]) != pytest.approx(rows[2])


def test_nothing_held_out_is_read(lm: CausalLM) -> None:
    other = dataclasses.replace(TASK, held_out_examples=(Example("hot", "chilly"),))
    texts = ["Turn it round.", "first: last"]
    assert execution_covariates(lm, [(TASK, t) for t in texts]) == pytest.approx(
        np.array(execution_covariates(lm, [(other, t) for t in texts]))
    )


def test_quoting_a_shown_example_is_told(lm: CausalLM) -> None:
    rows = execution_covariates(lm, [(TASK, "warm is cold"), (TASK, "Give the opposite.")])
    assert [row[3] for row in rows] == [1.0, 0.0]


def test_an_empty_text_is_no_instruction(lm: CausalLM) -> None:
    assert execution_covariates(lm, [(TASK, " ")]) == [[0.0, 0.0, 0.0, 0.0]]


@pytest.mark.parametrize("examples", [(), SHOWN[:1], (Example("a", "x"), Example("b", "x"))])
def test_where_nothing_can_be_tried_there_are_zeros(lm: CausalLM, examples: tuple[Example, ...]) -> None:
    task = Task(id="t", text="Do it.", examples=examples)
    assert execution_covariates(lm, [(task, "Do it."), (task, "")]) == [[0.0] * 4] * 2


def test_features_are_kept_by_the_examples_that_were_tried(lm: CausalLM, tmp_path: Path) -> None:
    features = Features(lm, None, tmp_path / "cache.sqlite3", inputs=("text", "execution"))
    (row,) = features.of([(TASK, "Turn it round.")])
    np.testing.assert_allclose(row[-4:], execution_covariates(lm, [(TASK, "Turn it round.")])[0], rtol=1e-6)
    # The prompt shows three: a fourth is tried all the same.
    more = dataclasses.replace(TASK, examples=(*SHOWN, Example("left", "right")))
    (other,) = features.of([(more, "Turn it round.")])
    assert not np.allclose(row[-4:], other[-4:])
    assert np.array_equal(features.of([(TASK, "Turn it round.")])[0], row)

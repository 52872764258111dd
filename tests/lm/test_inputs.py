"""Named inputs: their columns, one penalty for all, length taken out."""

from __future__ import annotations

import numpy as np
import pytest

from rlhf.lm.inputs import LengthRemoval, chosen, column_scales, groups


def test_columns_stand_in_one_order_whatever_is_named_first() -> None:
    names = chosen(("text", "encoder", "mean"), lm=True, encoder=True)
    assert names == ("mean", "encoder", "text")
    assert groups(names, hidden=4, encoder=3) == {
        "mean": slice(0, 4),
        "encoder": slice(4, 7),
        "text": slice(7, 22),
    }
    assert chosen(None, lm=True, encoder=False) == ("mean", "max", "likelihood", "text", "execution")
    with pytest.raises(ValueError, match="at least one"):
        chosen((), lm=True, encoder=True)
    with pytest.raises(ValueError, match="'mean' needs a language model"):
        chosen(("mean",), lm=False, encoder=True)


def test_a_small_group_weighs_as_much_as_a_large_one() -> None:
    scales = column_scales({"mean": slice(0, 8), "few": slice(8, 10)})
    assert scales.tolist() == [1.0] * 8 + [2.0] * 2
    assert (scales[:8] ** 2).sum() == (scales[8:] ** 2).sum()


def test_an_input_can_weigh_more_than_others() -> None:
    parts = {"mean": slice(0, 8), "execution": slice(8, 10)}
    scales = column_scales(parts, weights={"execution": 30.0})
    assert scales.tolist() == [1.0] * 8 + [2.0 * 30.0] * 2


def test_length_is_taken_out_wholly_or_by_half() -> None:
    rng = np.random.default_rng(0)
    lengths = rng.integers(1, 2000, 300).astype(float)
    noise = rng.normal(size=300)
    inputs = np.stack([np.log1p(lengths) ** 2, noise, np.ones(300)], axis=1)
    whole = LengthRemoval.fit(inputs, lengths)(inputs, lengths)
    np.testing.assert_allclose(whole[:, [0, 2]], 0, atol=1e-6)
    assert abs(np.corrcoef(whole[:, 1], np.log1p(lengths))[0, 1]) < 1e-6
    assert np.corrcoef(whole[:, 1], noise)[0, 1] > 0.98
    half = LengthRemoval.fit(inputs, lengths, share=0.5)(inputs, lengths)
    np.testing.assert_allclose(half, (inputs + whole) / 2, atol=1e-6)


def test_texts_of_one_length_have_nothing_to_take_out_but_their_mean() -> None:
    inputs = np.array([[1.0], [3.0]])
    removal = LengthRemoval.fit(inputs, np.array([7.0, 7.0]))
    np.testing.assert_allclose(removal(inputs, np.array([7.0, 7.0])), [[-1.0], [1.0]], atol=1e-9)

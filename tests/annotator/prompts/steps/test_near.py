"""What is nearly the same is found, and nothing else."""

import itertools

import numpy as np
import pytest

from annotator.prompts.steps.minhash import jaccard, shingles
from annotator.prompts.steps.near import NearIndex, Sketch, alike_before


def sketches(texts):
    return [Sketch.of(shingles(text)) for text in texts]


def varied(number, seed=0, words=30):
    """Texts of random words, and for each one with a few words changed."""
    random = np.random.default_rng(seed)
    for _ in range(number):
        text = random.integers(0, 2000, words)
        changed = text.copy()
        changed[random.integers(0, words, random.integers(1, 5))] = random.integers(0, 2000)
        yield from (" ".join(f"w{word}" for word in some) for some in (text, changed))


@pytest.mark.parametrize("lot", [1, 7, 400])
def test_it_finds_what_comparing_all_with_all_finds(lot):
    made = sketches(varied(200))
    index, found = NearIndex(0.7), set()
    for start in range(0, len(made), lot):
        some = made[start : start + lot]
        for place, alike in enumerate(index.nearest(some)):
            found |= {(start + place, other) for other, _ in alike}
        for place, alike in enumerate(alike_before(some, 0.7)):
            found |= {(start + place, start + other) for other, _ in alike}
        index.add(some)
    true = {
        (b, a)
        for a, b in itertools.combinations(range(len(made)), 2)
        if jaccard(made[a].shingles, made[b].shingles) >= 0.7
    }
    assert found <= true
    assert len(found) >= 0.98 * len(true) > 50


def test_how_alike_they_are_is_exact():
    index = NearIndex(0.5)
    index.add(sketches(["a b c d e f", "a b c d x y"]))
    (alike,) = index.nearest(sketches(["a b c d e g"]))
    # 3 of 5 with the first; abc and bcd of 6 with the second, a third, which is too few
    assert alike == [(0, pytest.approx(3 / 5))]


def test_the_most_alike_comes_first():
    index = NearIndex(0.3)
    index.add(sketches(["a b c d e x", "a b c d e f g"]))
    (alike,) = index.nearest(sketches(["a b c d e f"]))
    assert [number for number, _ in alike] == [1, 0]


def test_thousands_of_one_template_do_not_slow_it_down():
    """Of the texts in one band only some are looked at; the very same one is found by its other bands."""
    texts = [
        f"please translate the following sentence into french for our readers {n} {n * 7}"
        for n in range(3000)
    ]
    index = NearIndex(0.95)
    index.add(sketches(texts))
    (alike,) = index.nearest(sketches([texts[2500]]))
    assert alike[0] == (2500, 1.0)


@pytest.mark.parametrize("similarity", [0, -1, 1.1])
def test_a_similarity_that_is_none(similarity):
    with pytest.raises(ValueError, match="similarity"):
        NearIndex(similarity)


def test_an_empty_index_finds_nothing():
    assert NearIndex(0.8).nearest(sketches(["a b c"])) == [[]]
    assert NearIndex(0.8).nearest([]) == []

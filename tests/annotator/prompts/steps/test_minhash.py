"""Shingles are what they should be, and signatures estimate how alike two sets of them are."""

import numpy as np
import pytest
from datasketch import MinHash
from hypothesis import given, settings
from hypothesis import strategies as st

from annotator.prompts.steps.minhash import (
    PLACES,
    RECALL,
    band_rows,
    bands,
    chance,
    jaccard,
    shingles,
    signature,
)


def alike(first, second):
    return jaccard(shingles(first), shingles(second))


class TestShingles:
    def test_word_triples(self):
        # a b c d e f has abc bcd cde def; with g for f the last differs: 3 shared of 5.
        assert len(shingles("a b c d e f")) == 4
        assert alike("a b c d e f", "a b c d e g") == pytest.approx(3 / 5)

    def test_four_characters_of_chinese(self):
        # 请写出反义词: 请写出反 写出反义 出反义词; with 近 for 反 all three differ.
        assert len(shingles("请写出反义词")) == 3
        assert alike("请写出反义词", "请写出近义词") == 0
        # Of 6 shingles each, 写一首关 and 一首关于 are shared; 春 is in the other four: 2 of 10.
        assert alike("写一首关于春天的诗", "写一首关于秋天的诗") == pytest.approx(2 / 10)

    def test_a_repeated_shingle_counts_once(self):
        assert len(shingles("a b c a b c a b c")) == 3  # abc bca cab

    def test_case_punctuation_and_space_make_no_difference(self):
        assert alike("Write, please: a POEM!", "write please   a poem") == 1
        assert alike("请写一首诗。", "请 写一首诗") == 1

    def test_short_texts_are_one_shingle_and_empty_ones_none(self):
        assert len(shingles("antonyms")) == 1
        assert alike("antonyms", "Antonyms.") == 1
        assert alike("antonyms", "synonyms") == 0
        assert len(shingles(" … ")) == 0
        assert jaccard(shingles(""), shingles("")) == 0

    def test_a_few_chinese_words_make_no_chinese_text(self):
        text = "translate the word 春天 into english and explain what it means to people in the north"
        assert len(shingles(text)) == len(text.split()) - 2

    @given(st.text(max_size=200))
    def test_any_text(self, text):
        found = shingles(text)
        assert np.all(found[:-1] < found[1:])
        assert jaccard(found, found) == (1 if len(found) else 0)


class TestSignature:
    @settings(max_examples=30, deadline=None)
    @given(st.integers(0, 2**31), st.floats(0.05, 0.95))
    def test_it_estimates_jaccards_index(self, seed, share):
        random = np.random.default_rng(seed)
        numbers = random.choice(2**32, 600, replace=False).astype(np.uint32)
        shared = int(400 * share)
        first, second = (
            np.sort(numbers[:400]),
            np.sort(np.concatenate([numbers[:shared], numbers[400 : 800 - shared]])),
        )
        true = jaccard(first, second)
        estimate = (signature(first) == signature(second)).mean()
        assert abs(estimate - true) < 5 * np.sqrt(0.25 / PLACES)  # five deviations of the worst case

    def test_it_is_as_good_as_datasketch(self):
        """Over many pairs, the estimates are no further from the truth than those of datasketch."""
        random = np.random.default_rng(4)
        ours, theirs = [], []
        for _ in range(40):
            numbers = random.choice(2**32, 300, replace=False).astype(np.uint32)
            first, second = np.sort(numbers[:200]), np.sort(numbers[60:260])
            true = jaccard(first, second)  # 140 of 260
            assert true == pytest.approx(140 / 260)
            ours.append((signature(first) == signature(second)).mean() - true)
            hashed = []
            for part in (first, second):
                minhash = MinHash(
                    num_perm=PLACES, seed=int(random.integers(1, 1000)) if not hashed else hashed[0].seed
                )
                minhash.update_batch([int(number).to_bytes(4, "little") for number in part])
                hashed.append(minhash)
            theirs.append(hashed[0].jaccard(hashed[1]) - true)
        assert np.std(ours) < 1.5 * np.std(theirs)
        assert abs(np.mean(ours)) < 0.03

    def test_long_texts_are_taken_in_parts(self):
        numbers = np.arange(10_000, dtype=np.uint32)
        parts = np.minimum(signature(numbers[:5000]), signature(numbers[5000:]))
        assert np.array_equal(signature(numbers), parts)


class TestBands:
    def test_the_chance_to_meet(self):
        # 128 places in bands of 6 are 21: 1 − (1 − 0.8⁶)²¹ = 1 − 0.737856²¹ = 0.99831
        assert chance(0.8, 6) == pytest.approx(0.99831, abs=1e-5)
        assert band_rows(0.8) == 6
        assert chance(0.8, 7) < RECALL

    @pytest.mark.parametrize("similarity", [0.5, 0.7, 0.9, 0.99, 1.0])
    def test_the_longest_bands_that_find_enough(self, similarity):
        rows = band_rows(similarity)
        assert chance(similarity, rows) >= RECALL
        assert rows == PLACES or chance(similarity, rows + 1) < RECALL

    def test_keys_are_equal_where_bands_are(self):
        one, other = np.arange(PLACES, dtype=np.uint32), np.arange(PLACES, dtype=np.uint32)
        other[7] += 1  # in the second band of 6
        first, second = bands(np.stack([one, other]), 6)
        assert np.flatnonzero(first != second).tolist() == [1]

    def test_the_same_band_elsewhere_has_another_key(self):
        repeated = np.tile(np.arange(4, dtype=np.uint32), PLACES // 4)
        (keys,) = bands(repeated[None], 4)
        assert len(set(keys.tolist())) == PLACES // 4

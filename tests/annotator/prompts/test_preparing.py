"""A preparation takes the steps it is told to, counts them, and says what became of every line."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from annotator.prompts.preparing import STEPS, KnownPrompt, Preparation, PreparationOptions
from annotator.prompts.records import GivenCompletion, GivenRanking, Record, Rejected

NOTHING = PreparationOptions(repair=False, duplicates=False, contamination=False, personal="")


def prepare(records, options=NOTHING, **values):
    preparation = Preparation(options, **values)
    return list(preparation.prepare(records)), preparation.report()


def texts(*given, **values):
    return [Record(line, text, **values) for line, text in enumerate(given, start=1)]


def step(report, name):
    (found,) = (step for step in report["steps"] if step["name"] == name)
    return found


def test_without_steps_only_what_must_go_goes():
    (record,), report = prepare(texts(" cafÃ©\x00 <b>x</b> "))
    assert record.text == "cafÃ© <b>x</b>"
    assert [s["name"] for s in report["steps"] if s["on"]] == ["characters", "language"]
    assert step(report, "characters")["examples"] == [
        {"line": 1, "before": " cafÃ©\x00 <b>x</b> ", "after": "cafÃ© <b>x</b>"}
    ]


def test_every_step_has_its_place_in_the_report():
    _, report = prepare([])
    assert [s["name"] for s in report["steps"]] == list(STEPS)
    json.dumps(report)


def test_texts_are_repaired_in_every_field():
    options = PreparationOptions(strip_html=True, nfkc=True)
    record = Record(
        1,
        "cafÃ©",
        "<b>Write</b> it",
        ({"input": "ＡＢＣ", "output": "itâ€™s"},),
        completions=(GivenCompletion("a &amp; b"),),
        reference="ﬁne",
    )
    (prepared,), report = prepare([record], options)
    assert (prepared.text, prepared.instruction, prepared.reference) == ("café", "Write it", "fine")
    assert prepared.examples == ({"input": "ABC", "output": "it’s"},)
    assert prepared.completions == (GivenCompletion("a & b"),)
    assert [step(report, name)["changed"] for name in ("repair", "html", "nfkc")] == [1, 1, 1]
    assert step(report, "repair")["examples"] == [{"line": 1, "before": "cafÃ©", "after": "café"}]


def test_what_is_empty_once_cleaned_is_named():
    (rejected,), report = prepare(texts("\x00\u202e"))
    assert (rejected.line, rejected.why, rejected.step) == (1, "is empty once it is cleaned.", "characters")
    assert (report["read"], report["kept"], report["left_out"], report["rejected"]) == (1, 0, 1, 0)


def test_completions_that_become_one_are_one():
    """Two that differ by a control character alone: what was said of them says nothing any more."""
    record = Record(
        1,
        "Antonyms",
        completions=(GivenCompletion("a\x00"), GivenCompletion("a"), GivenCompletion("b")),
        preferences=(GivenRanking((1, 2, 0)), GivenRanking((1, 1, 2))),
    )
    (prepared,), _ = prepare([record])
    assert [given.text for given in prepared.completions] == ["a", "b"]
    assert [ranking.ranks for ranking in prepared.preferences] == [(1, 2)]
    assert prepared.ignored == ("completions[2] (repeated)", "preference (of fewer than two texts)")


def test_what_could_not_be_read_passes_through_in_its_place():
    bad = Rejected(2, "text", "is empty.", "{}")
    first, second, third = prepare([Record(1, "a"), bad, Record(3, "b")])[0]
    assert (first.text, second, third.text) == ("a", bad, "b")


class TestLanguage:
    def test_it_is_filled_in_and_counted(self):
        given = texts("请写出反义词", "Please write a short poem about the rain in autumn", "Tschüss")
        records, report = prepare([*given, Record(4, "Write", language="fr")])
        assert [record.language for record in records] == ["zh-hans", "en", "en", "fr"]
        assert report["languages"] == {"en": 2, "zh-hans": 1, "fr": 1}
        assert step(report, "language")["counts"] == {"zh-hans": 1, "en": 2}

    def test_only_those_wanted(self):
        options = PreparationOptions(languages=("zh-hans",))
        (kept, left_out), report = prepare(texts("请写出反义词", "Write antonyms"), options)
        assert kept.text == "请写出反义词"
        assert str(left_out) == "Line 2, language: is en, not zh-hans."
        assert step(report, "language")["left_out"] == 1

    def test_examples_alone_tell_it_too(self):
        record = Record(1, "", "请写出反义词", ({"input": "hot", "output": "cold"},))
        assert prepare([record])[0][0].language == "zh-hans"


class TestLength:
    def test_in_tokens(self):
        options = PreparationOptions(min_tokens=2, max_tokens=3)
        records, report = prepare(
            texts("a b", "a", "a b c", "a b c d"), options, count_tokens=lambda t: len(t.split())
        )
        assert [getattr(record, "why", "") for record in records] == [
            "",
            "has 1 tokens; 2 are the fewest.",
            "",
            "has 4 tokens; 3 are the most.",
        ]
        assert step(report, "length")["left_out"] == 2

    def test_the_histogram_is_of_those_that_are_kept(self):
        _, report = prepare(texts("a" * 7, "b" * 8, "c" * 15, "d" * 9000))
        lengths = report["lengths"]
        assert lengths["unit"] == "characters"
        counted = dict(zip(lengths["edges"], lengths["counts"], strict=True))
        assert {edge: count for edge, count in counted.items() if count} == {0: 1, 8: 2, 8192: 1}
        assert (lengths["mean"], lengths["median"], lengths["most"]) == ((7 + 8 + 15 + 9000) / 4, 15, 9000)

    def test_no_limits_without_a_tokenizer(self):
        with pytest.raises(ValueError, match="tokenizer"):
            Preparation(PreparationOptions(max_tokens=5))


class TestDuplicates:
    options = PreparationOptions()

    def test_the_very_same_line(self):
        records, report = prepare(texts("Antonyms", "Synonyms", " Antonyms "), self.options)
        assert str(records[2]) == "Line 3: is the same as line 1."
        assert records[2].step == "duplicates"
        assert step(report, "duplicates")["left_out"] == 1

    def test_another_instruction_for_the_same_task_is_none(self):
        given = [Record(1, "Antonyms", "Say the opposite."), Record(2, "Antonyms", "Give the opposite.")]
        assert [record.line for record in prepare(given, self.options)[0] if isinstance(record, Record)] == [
            1,
            2,
        ]

    def test_another_preference_is_none(self):
        both = (GivenCompletion("a"), GivenCompletion("b"))
        given = [
            Record(n, "Antonyms", completions=both, preferences=(GivenRanking(ranks),))
            for n, ranks in enumerate([(1, 2), (2, 1), (1, 2)], start=1)
        ]
        assert [isinstance(record, Record) for record in prepare(given, self.options)[0]] == [
            True,
            True,
            False,
        ]


WORDS = "the quick brown fox jumps over the lazy dog while seven wizards watch from a hill in the rain"
NEAR = WORDS.replace("rain", "snow")


class TestNearDuplicates:
    options = PreparationOptions(near_duplicates=True, contamination=False)

    def test_how_alike_they_are_is_said(self):
        # 19 words have 17 triples; with another last word the last differs: 16 of 18, 89 %.
        records, report = prepare(texts(WORDS, "Antonyms", NEAR), self.options)
        assert str(records[2]) == "Line 3, text: is 89% the same as line 1."
        assert (records[2].step, step(report, "near_duplicates")["left_out"]) == ("near_duplicates", 1)
        assert step(report, "near_duplicates")["examples"][0]["line"] == 3

    def test_far_apart_in_the_file(self):
        given = texts(WORDS, *(f"task number {n} of many others {n * 31}" for n in range(1000)), NEAR)
        records, _ = prepare(given, self.options)
        assert [record.line for record in records if isinstance(record, Rejected)] == [1002]

    def test_against_the_project(self):
        known = [KnownPrompt(WORDS)]
        records, _ = prepare(texts(NEAR), self.options, known=known)
        assert str(records[0]) == "Line 1, text: is 89% the same as the project."

    def test_a_task_of_the_project_itself_is_none(self):
        """It joins the task that is there: the file may bring instructions for it."""
        records, _ = prepare(texts(f" {WORDS}\n"), self.options, known=[KnownPrompt(WORDS)])
        assert isinstance(records[0], Record)

    def test_all_lines_of_a_task_share_its_fate(self):
        given = [
            Record(1, WORDS),
            Record(2, NEAR, "Do it."),
            Record(3, NEAR, "Do it now."),
            Record(4, WORDS, "x"),
        ]
        records, _ = prepare(given, self.options)
        assert [isinstance(record, Record) for record in records] == [True, False, False, True]

    def test_what_was_left_out_is_not_compared_with(self):
        """b is like a, and c like b but not like a: c stays."""
        words = WORDS.split()
        b = [*words[:-1], "b"]
        c = ["c", "c", *words[2:-1], "b"]
        records, _ = prepare(texts(WORDS, " ".join(b), " ".join(c)), self.options)
        assert [isinstance(record, Record) for record in records] == [True, False, True]

    def test_in_chinese(self):
        # 43 characters have 40 shingles; another 好 changes four: 36 of 44, 82 %.
        text = (
            "请根据下面客户的来信写一条指令，让助手用两句话概括客户的要求，并且语气友好，不要承诺任何东西。"
        )
        records, _ = prepare(texts(text, text.replace("友好", "友善"), "请写出反义词"), self.options)
        assert [isinstance(record, Record) for record in records] == [True, False, True]

    def test_it_may_be_left_out(self):
        records, report = prepare(texts(WORDS, NEAR), NOTHING)
        assert all(isinstance(record, Record) for record in records)
        assert not step(report, "near_duplicates")["on"]


class TestContamination:
    options = PreparationOptions(contamination=True)

    def test_nearly_a_held_out_task(self):
        known = [KnownPrompt(WORDS, is_held_out=True)]
        records, report = prepare(texts(NEAR, "Antonyms"), self.options, known=known)
        assert str(records[0]) == "Line 1, text: is 89% the same as the held-out task in the project."
        assert (records[0].step, step(report, "contamination")["left_out"]) == ("contamination", 1)
        assert isinstance(records[1], Record)

    def test_a_held_out_task_within_a_longer_one(self):
        known = [KnownPrompt(WORDS, is_held_out=True)]
        longer = "Here is something quite different to begin with, and it goes on for a while. " * 3 + WORDS
        records, _ = prepare(texts(longer), self.options, known=known)
        assert str(records[0]) == "Line 1, text: has 100% of the held-out task in the project in it."

    def test_half_of_one_is_not_enough(self):
        known = [KnownPrompt(WORDS, is_held_out=True)]
        half = " ".join(WORDS.split()[:10])  # 3 of 12 8-grams
        records, _ = prepare(texts(f"Something else, and then {half}"), self.options, known=known)
        assert isinstance(records[0], Record)

    def test_short_held_out_tasks_are_in_anything(self):
        records, _ = prepare(
            texts("Write antonyms"), self.options, known=[KnownPrompt("Write", is_held_out=True)]
        )
        assert isinstance(records[0], Record)

    def test_across_the_split_within_a_file(self):
        """Whichever comes first: the second of two that are nearly the same may not be on the other side."""
        for side in (1, 2):
            records, _ = prepare(
                texts(WORDS, NEAR), self.options, is_held_out=lambda r, side=side: r.line == side
            )
            assert isinstance(records[0], Record)
            assert records[1].step == "contamination"

    def test_near_duplicates_on_one_side_are_no_contamination(self):
        for held_out in (True, False):
            records, _ = prepare(texts(WORDS, NEAR), self.options, is_held_out=lambda r, side=held_out: side)
            assert all(isinstance(record, Record) for record in records)

    def test_training_tasks_are_compared_with_nothing_of_their_own_side(self):
        records, _ = prepare(texts(NEAR), self.options, known=[KnownPrompt(WORDS)])
        assert isinstance(records[0], Record)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.text(max_size=40), max_size=30), st.sampled_from(["", "flag", "mask"]), st.booleans())
def test_every_line_is_accounted_for(given_texts, personal, everything):
    options = PreparationOptions(
        nfkc=everything, strip_html=everything, near_duplicates=everything, personal=personal
    )
    records, report = prepare(texts(*given_texts), options)
    assert [record.line for record in records] == list(range(1, len(given_texts) + 1))
    assert report["read"] == len(given_texts) == report["kept"] + report["left_out"] + report["rejected"]
    assert report["left_out"] == sum(s["left_out"] for s in report["steps"])
    assert sum(report["languages"].values()) == report["kept"] == sum(report["lengths"]["counts"])


@given(st.lists(st.text(st.sampled_from("ab \n"), max_size=4), min_size=1, max_size=12))
@settings(max_examples=50, deadline=None)
def test_preparing_what_was_prepared_changes_nothing(given_texts):
    options = PreparationOptions(near_duplicates=True)
    kept = [record for record in prepare(texts(*given_texts), options)[0] if isinstance(record, Record)]
    assert prepare(kept, options)[0] == kept

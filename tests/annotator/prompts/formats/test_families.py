"""Every family of rows is recognised among the others, and becomes task, completions and preferences."""

import pytest

from annotator.prompts import formats
from annotator.prompts.fields import FieldProblem
from annotator.prompts.records import GivenCompletion, GivenRanking


def read(row, *, answers=False):
    family = formats.recognise([row], answers=answers)
    return family.name, family.read(7, row)


def given(*pairs):
    return tuple(GivenCompletion(*(pair if isinstance(pair, tuple) else (pair,))) for pair in pairs)


class TestAlpaca:
    row = {"instruction": "Write the opposite.", "input": "hot", "output": "cold"}

    def test_the_instruction_is_the_completion(self):
        name, record = read(self.row)
        assert (name, record.line, record.text) == ("alpaca", 7, "")
        assert record.instruction == record.reference == "Write the opposite."
        assert record.examples == ({"input": "hot", "output": "cold"},)

    def test_or_the_answer_is(self):
        _, record = read(self.row, answers=True)
        assert (record.text, record.examples, record.instruction) == ("Write the opposite.\n\nhot", (), "")
        assert record.completions == given("cold")

    def test_without_an_input(self):
        _, record = read({"instruction": "Name a colour.", "input": "", "output": "Red"}, answers=True)
        assert record.text == "Name a colour."

    def test_dolly(self):
        row = {"instruction": "Who?", "context": "Ann was here.", "response": "Ann", "category": "closed_qa"}
        name, record = read(row)
        assert (name, record.ignored) == ("alpaca", ("category",))
        assert record.examples == ({"input": "Ann was here.", "output": "Ann"},)

    def test_preferences_of_llama_factory(self):
        name, record = read(
            {"instruction": "Name a colour.", "input": "", "chosen": "Red", "rejected": "Dog"}
        )
        assert (name, record.text, record.completions) == ("alpaca", "Name a colour.", given("Red", "Dog"))
        assert record.preferences == (GivenRanking((1, 2), source="alpaca"),)

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"instruction": " "}, "instruction: is empty"),
            ({"output": ""}, "output: is empty"),
            ({"output": ["x"]}, "output: must be a text, not a list"),
            ({"context": "x"}, "context: is given beside “input”"),
        ],
    )
    def test_bad_rows(self, change, message):
        with pytest.raises(FieldProblem, match=message):
            read({**self.row, **change})


class TestSeeds:
    row = {
        "id": "seed_task_1",
        "name": "antonym_relation",
        "instruction": "Write the opposite.",
        "instances": [{"input": "hot", "output": "cold"}, {"input": "", "output": "down"}],
        "is_classification": False,
    }

    def test_instances_are_examples(self):
        name, record = read(self.row)
        assert (name, record.text, record.instruction) == ("seeds", "", "Write the opposite.")
        assert record.examples == ({"input": "hot", "output": "cold"}, {"input": "", "output": "down"})
        assert record.ignored == ("id", "name", "is_classification")

    def test_the_answers(self):
        _, record = read(self.row, answers=True)
        assert record.text == "Write the opposite.\n\nhot"
        assert record.completions == given("cold")
        assert record.examples == ({"input": "", "output": "down"},)

    @pytest.mark.parametrize("instances", [[], [{"input": "x"}], ["x"], [{"input": "x", "output": ""}]])
    def test_bad_instances(self, instances):
        with pytest.raises(FieldProblem, match="instances"):
            read({**self.row, "instances": instances})


def test_instruction_induction():
    row = {
        "task": "antonyms",
        "instructions": ["Say the opposite.", "Give an antonym.", "Say the  opposite."],
        "induce": [{"input": "hot", "output": "cold"}],
        "execute": [{"input": "up", "output": "down"}],
    }
    name, record = read(row)
    assert (name, record.text, record.reference) == ("induction", "", "Say the opposite.")
    assert record.completions == given(("Say the opposite.", "people"), ("Give an antonym.", "people"))
    assert record.examples == ({"input": "hot", "output": "cold"},)
    assert record.held_out_examples == ({"input": "up", "output": "down"},)
    assert record.ignored == ("task", "instructions[3] (repeated)")


class TestVotes:
    def test_pandalm(self):
        row = {
            "idx": 3, "cmp_key": "bloom-7b_llama-7b", "instruction": "Answer.", "input": "Is it?",
            "response1": True, "response2": "No", "annotator1": 1, "annotator2": 0, "annotator3": 2,
        }  # fmt: skip
        name, record = read(row)
        assert (name, record.text) == ("votes", "Answer.\n\nIs it?")
        assert record.completions == given(("True", "bloom-7b"), ("No", "llama-7b"))
        assert [(vote.ranks, vote.annotator) for vote in record.preferences] == [
            ((1, 2), "annotator1"),
            ((1, 1), "annotator2"),
            ((2, 1), "annotator3"),
        ]
        assert record.ignored == ("idx",)

    def test_an_empty_answer_cannot_be_compared(self):
        row = {"instruction": "Answer.", "input": "", "response1": "", "response2": "No", "annotator1": 2}
        _, record = read(row)
        assert record.completions == given("No")
        assert record.preferences == ()
        assert record.ignored == ("response1 (empty)", "preference (of fewer than two texts)")

    @pytest.mark.parametrize(("label", "ranks"), [(0, (1, 2)), (1, (2, 1)), (2, (1, 1)), ("1", (2, 1))])
    def test_auto_j(self, label, ranks):
        row = {"scenario": "chat", "prompt": "Hi", "response 1": "a", "response 2": "b", "label": label}
        name, record = read(row)
        assert (name, record.text, record.completions) == ("votes", "Hi", given("a", "b"))
        assert [vote.ranks for vote in record.preferences] == [ranks]

    @pytest.mark.parametrize(
        ("winner", "ranks"), [("model_b", (2, 1)), ("tie", (1, 1)), ("tie (bothbad)", (1, 1))]
    )
    def test_arena(self, winner, ranks):
        asked = {"role": "user", "content": "Hi"}
        row = {
            "model_a": "gpt", "model_b": "llama", "winner": winner, "judge": "judge_7", "language": "English",
            "conversation_a": [asked, {"role": "assistant", "content": "Hello"}],
            "conversation_b": [asked, {"role": "assistant", "content": "Yo"}],
        }  # fmt: skip
        name, record = read(row)
        assert (name, record.text, record.language) == ("votes", "Hi", "en")
        assert record.completions == given(("Hello", "gpt"), ("Yo", "llama"))
        assert record.preferences == (GivenRanking(ranks, annotator="judge_7", source="arena"),)

    @pytest.mark.parametrize("label", [3, -1, None, "yes", True, 1.5])
    def test_a_label_that_is_none(self, label):
        with pytest.raises(FieldProblem, match="label: “"):
            read({"prompt": "Hi", "response 1": "a", "response 2": "b", "label": label})


class TestChat:
    def test_openai_messages(self):
        row = {
            "messages": [
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": [{"type": "text", "text": "Hi"}]},
                {"role": "assistant", "content": "Hello"},
            ]
        }
        name, record = read(row)
        assert (name, record.text) == ("chat", "System: Be brief.\n\nUser: Hi")
        assert record.completions == given("Hello")

    def test_a_single_question_stands_alone(self):
        _, record = read({"messages": [{"role": "user", "content": "Hi"}]})
        assert (record.text, record.completions) == ("Hi", ())

    def test_sharegpt_takes_the_last_answer(self):
        said = [("human", "Hi"), ("gpt", "Hello"), ("human", "More"), ("gpt", "And more")]
        name, record = read({"id": 1, "conversations": [{"from": who, "value": text} for who, text in said]})
        assert (name, record.text) == ("chat", "User: Hi\n\nAssistant: Hello\n\nUser: More")
        assert (record.completions, record.ignored) == (given("And more"), ("id",))

    def test_preferences_of_llama_factory(self):
        row = {
            "conversations": [{"from": "human", "value": "Hi"}],
            "chosen": {"from": "gpt", "value": "Hello"},
            "rejected": {"from": "gpt", "value": "Go away"},
        }
        _, record = read(row)
        assert (record.text, record.completions) == ("Hi", given("Hello", "Go away"))
        assert [ranking.ranks for ranking in record.preferences] == [(1, 2)]

    def test_preferences_of_openai(self):
        row = {
            "input": {"messages": [{"role": "user", "content": "Hi"}], "tools": []},
            "preferred_output": [{"role": "assistant", "content": "Hello"}],
            "non_preferred_output": [{"role": "assistant", "content": "Go away"}],
        }
        name, record = read(row)
        assert (name, record.text, record.completions) == ("chat", "Hi", given("Hello", "Go away"))

    @pytest.mark.parametrize(
        ("messages", "message"),
        [
            ([{"role": "pope", "content": "x"}], r"messages\[1\]\.role: “pope” is no role"),
            ([{"role": "user", "content": 3}], r"messages\[1\]\.content: must be a text"),
            ([{"role": "user", "content": [{"type": "image_url"}]}], r"content\[1\]: is no text"),
            (["x"], r"messages\[1\]: must be a message, not str"),
            ([], "messages: ask nothing"),
            ([{"role": "assistant", "content": "x"}], "messages: ask nothing"),
            ([{"role": "user", "content": "x"}] * 201, "messages: has 201 messages"),
        ],
    )
    def test_bad_rows(self, messages, message):
        with pytest.raises(FieldProblem, match=message):
            read({"messages": messages})


class TestPreference:
    def test_explicit(self):
        row = {
            "prompt": "The sky is",
            "chosen": "blue",
            "rejected": "green",
            "strength": 2,
            "annotator": "a-1",
        }
        name, record = read(row)
        assert (name, record.text, record.completions) == ("preference", "The sky is", given("blue", "green"))
        assert record.preferences == (GivenRanking((1, 2), 2, "a-1", "preference"),)

    def test_implicit(self):
        _, record = read({"chosen": "The sky is blue.", "rejected": "The sky is brown."})
        assert (record.text, record.completions) == ("The sky is", given("blue.", "brown."))

    def test_implicit_in_chinese(self):
        _, record = read({"chosen": "天空是什么颜色？蓝色", "rejected": "天空是什么颜色？蓝绿色"})
        assert (record.text, record.completions) == ("天空是什么颜色？", given("蓝色", "蓝绿色"))

    def test_conversational(self):
        row = {
            "prompt": [{"role": "user", "content": "Hi"}],
            "chosen": [{"role": "assistant", "content": "Hello"}],
            "rejected": [{"role": "assistant", "content": "Go"}],
        }
        _, record = read(row)
        assert (record.text, record.completions) == ("Hi", given("Hello", "Go"))

    def test_conversational_and_implicit(self):
        asked = {"role": "user", "content": "Hi"}
        row = {
            "prompt": "Hi",  # as ultrafeedback_binarized has it, beside the whole conversations
            "chosen": [asked, {"role": "assistant", "content": "Hello"}],
            "rejected": [asked, {"role": "assistant", "content": "Go"}],
            "score_chosen": 8.0,
            "score_rejected": 8.0,
        }
        _, record = read(row)
        assert (record.text, record.completions) == ("Hi", given("Hello", "Go"))
        assert [ranking.ranks for ranking in record.preferences] == [(1, 1)]

    def test_hh_rlhf(self):
        row = {
            "chosen": "\n\nHuman: Hi\n\nAssistant: Hello\n\nHuman: Joke?\n\nAssistant: Knock knock.\nWho?",
            "rejected": "\n\nHuman: Hi\n\nAssistant: Hello\n\nHuman: Joke?\n\nAssistant: No.",
        }
        name, record = read(row)
        assert (name, record.text) == ("preference", "User: Hi\n\nAssistant: Hello\n\nUser: Joke?")
        assert record.completions == given("Knock knock.\nWho?", "No.")

    def test_hh_rlhf_that_parts_earlier(self):
        row = {
            "chosen": "\n\nHuman: Hi\n\nAssistant: A\n\nHuman: B\n\nAssistant: C",
            "rejected": "\n\nHuman: Hi\n\nAssistant: D",
        }
        _, record = read(row)
        assert (record.text, record.completions) == (
            "Hi",
            given("Assistant: A\n\nUser: B\n\nAssistant: C", "D"),
        )

    def test_a_prompt_of_messages_with_its_completion(self):
        row = {
            "prompt": [{"role": "user", "content": "Hi"}],
            "completion": [{"role": "assistant", "content": "Hello"}],
        }
        name, record = read(row)
        assert (name, record.text, record.completions) == ("preference", "Hi", given("Hello"))

    def test_the_same_answer_twice_is_no_preference(self):
        _, record = read({"prompt": "Hi", "chosen": "Hello", "rejected": "Hello "})
        assert (record.completions, record.preferences) == (given("Hello"), ())

    def test_nothing_in_common(self):
        with pytest.raises(
            FieldProblem, match="prompt: is missing, and chosen and rejected have no beginning"
        ):
            read({"chosen": "Blue", "rejected": "Green"})


class TestUltraFeedback:
    def test_scores_become_ranks(self):
        row = {
            "source": "evol_instruct",
            "instruction": "Hi",
            "models": ["a", "b", "c", "d"],
            "completions": [
                {"model": "a", "response": "A", "overall_score": 7.5},
                {"model": "b", "response": "B", "overall_score": 8},
                {"model": "c", "response": "C", "overall_score": 7.5},
                {"model": "d", "response": "D"},
            ],
        }
        name, record = read(row)
        assert (name, record.text, record.source) == ("ultrafeedback", "Hi", "evol_instruct")
        assert record.completions == given(("A", "a"), ("B", "b"), ("C", "c"), ("D", "d"))
        assert record.preferences == (GivenRanking((2, 1, 2, 0), source="overall_score"),)
        assert record.ignored == ("models",)

    def test_ratings_of_aspects(self):
        def rated(text, *ratings):
            return {"response": text, "annotations": {str(n): {"Rating": r} for n, r in enumerate(ratings)}}

        row = {"instruction": "Hi", "completions": [rated("A", "4", "N/A"), rated("B", "5", "2")]}
        _, record = read(row)  # 4 against 3.5
        assert record.preferences == (GivenRanking((1, 2), source="mean of ratings"),)

    @pytest.mark.parametrize("score", [float("nan"), None, "N/A", True])
    def test_scores_that_are_none(self, score):
        row = {"instruction": "Hi", "completions": [{"response": t, "overall_score": score} for t in "AB"]}
        assert read(row)[1].preferences == ()


def test_a_tree_of_open_assistant():
    reply = {"role": "assistant", "lang": "de"}
    row = {
        "message_tree_id": "x",
        "prompt": {
            "text": "Hallo",
            "role": "prompter",
            "lang": "de",
            "replies": [
                {**reply, "text": "A", "rank": 1, "replies": [{"text": "more"}]},
                {**reply, "text": "B", "rank": 0},
                {**reply, "text": "C"},
            ],
        },
    }
    name, record = read(row)
    assert (name, record.text, record.language) == ("trees", "Hallo", "de")
    assert record.completions == given("A", "B", "C")
    assert record.preferences == (GivenRanking((2, 1, 0), source="rank"),)
    assert record.ignored == ("further replies",)


class TestWinogender:
    row = {
        "occupation(0)": "technician",
        "other-participant(1)": "customer",
        "answer": "1",
        "sentence": "$OCCUPATION told the $PARTICIPANT that $NOM_PRONOUN was late with $POSS_PRONOUN pay.",
    }

    def test_whom_it_means(self):
        name, record = read(self.row)
        assert (name, record.language) == ("winogender", "en")
        assert record.text == "Whom does the pronoun mean: the technician or the customer?"
        sentence = "technician told the customer that they were late with their pay."
        assert record.examples == ({"input": sentence, "output": "customer"},)

    def test_an_answer_that_is_none(self):
        with pytest.raises(FieldProblem, match="answer: “2” is not 0"):
            read({**self.row, "answer": "2"})


class TestOwn:
    def test_other_names_in_two_languages(self):
        name, record = read({"任务": "请写出反义词", "指令": "写出反义词。", "语言": "中文", "编号": "3"})
        assert (name, record.text, record.instruction) == ("tasks", "请写出反义词", "写出反义词。")
        assert (record.language, record.ignored) == ("zh-hans", ("编号",))

    def test_a_name_of_ours_stands_first(self):
        _, record = read(
            {"prompt": "Antonyms", "question": "What?", "response": "Say it.", "completion": "Do."}
        )
        assert (record.text, record.instruction) == ("Antonyms", "Do.")
        assert record.ignored == ("question", "response")

    def test_an_image_is_described(self):
        _, record = read({"image": "a.png", "description": "A red barn.", "instruction": "Say what you see."})
        assert (record.image, record.image_text, record.text) == ("a.png", "A red barn.", "A red barn.")

    def test_a_description_without_an_image_is_the_task(self):
        _, record = read({"description": "Antonyms", "instruction": "Say it."})
        assert (record.image, record.image_text, record.text) == ("", "", "Antonyms")

    def test_everything(self):
        _, record = read(
            {
                "text": "Antonyms",
                "domain": "Customer Service",
                "language": "zh_CN",
                "examples": [{"input": "hot", "output": "cold"}],
                "held_out_examples": [{"input": "up", "output": "down"}],
                "reference": "Write the opposite.",
                "source": "me",
            }
        )
        assert (record.domain, record.language, record.source) == ("customer-service", "zh-hans", "me")
        assert record.examples == ({"input": "hot", "output": "cold"},)
        assert record.held_out_examples == ({"input": "up", "output": "down"},)
        assert (record.reference, record.instruction, record.ignored) == ("Write the opposite.", "", ())

    @pytest.mark.parametrize("task", ["text", "task", "prompt"])
    @pytest.mark.parametrize("instruction", ["instruction", "completion"])
    def test_pairs_under_all_their_names(self, task, instruction):
        _, record = read({task: "A task", instruction: "Write it."})
        assert (record.text, record.instruction) == ("A task", "Write it.")

    def test_a_task_may_consist_of_examples(self):
        _, record = read({"text": "", "examples": [{"input": "", "output": "x"}]})
        assert (record.text, len(record.examples)) == ("", 1)

    @pytest.mark.parametrize(
        ("examples", "message"),
        [
            ({}, "examples: must be a list, not an object"),
            (["x"], r"examples\[1\]: must be an object"),
            ([{"input": "x"}], r"examples\[1\]: must be an object"),
            ([{"input": "x", "output": 3}], r"examples\[1\]\.output: must be a text"),
            ([{"input": "x", "output": " "}], r"examples\[1\]\.output: is empty"),
            ([{"input": "a", "output": "b"}] * 201, "examples: has 201 examples; 200 are the most"),
        ],
    )
    @pytest.mark.parametrize("name", ["examples", "held_out_examples"])
    def test_bad_examples(self, name, examples, message):
        with pytest.raises(FieldProblem, match=message):
            read({"text": "a", name: examples})

    @pytest.mark.parametrize(
        "row", [{"text": "a", "domain": "cooking"}, {"text": "a", "language": "Elvish!"}]
    )
    def test_what_we_do_not_know_of_is_refused_in_our_own(self, row):
        with pytest.raises(FieldProblem):
            read(row)

    def test_and_left_out_elsewhere(self):
        row = {"prompt": "a", "chosen": "b", "rejected": "c", "domain": "cooking", "language": "Elvish!"}
        _, record = read(row)
        assert (record.domain, record.language) == ("", "")
        assert set(record.ignored) == {"domain", "language"}


@pytest.mark.parametrize("row", [{}, {"a": 1}, {"completion": "x"}, {"data": [], "fields": 3}])
def test_rows_of_no_family(row):
    assert formats.recognise([row], answers=False) is None


def test_most_rows_decide():
    chat = {"messages": [{"role": "user", "content": "Hi"}]}
    assert formats.recognise([{"text": "a"}, chat, chat], answers=False).name == "chat"


class TestAgainstTrl:
    """Where TRL takes a prompt out of chosen and rejected itself, we find the same one."""

    @pytest.mark.parametrize(
        "row",
        [
            {"chosen": "The sky is blue.", "rejected": "The sky is green."},
            {
                "chosen": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}],
                "rejected": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Go"}],
            },
        ],
    )
    def test_the_prompt(self, row):
        data_utils = pytest.importorskip("trl.data_utils")
        theirs = data_utils.extract_prompt(row)
        prompt, chosen = theirs["prompt"], theirs["chosen"]
        if isinstance(prompt, list):
            prompt, chosen = prompt[0]["content"], chosen[0]["content"]
        _, record = read(row)
        assert (record.text, record.completions[0].text) == (prompt.strip(), chosen.strip())

"""From a trainer's texts to tasks and instructions."""

import pytest

from rlhf.scoring.reading import Asked, read, response_of, task_of
from tests.factories import make_prompt

CHATML = (
    "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nSort names.<|im_end|>\n"
    "<|im_start|>assistant\n"
)
LLAMA = (
    "<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\nSort names.<|eot_id|>"
    "<|start_header_id|>assistant<|end_header_id|>\n\n"
)
GEMMA = "<bos><start_of_turn>user\nSort names.<end_of_turn>\n<start_of_turn>model\n"
MISTRAL = "<s>[INST] Sort names. [/INST]"
DEEPSEEK = "<｜begin▁of▁sentence｜><｜User｜>Sort names.<｜Assistant｜>"
TEMPLATES = [(CHATML, "<|im_end|>"), (LLAMA, "<|eot_id|>"), (GEMMA, "<end_of_turn>"), (MISTRAL, "</s>")]
TEMPLATES += [(DEEPSEEK, "<｜end▁of▁sentence｜>"), ("Sort names.", ""), ("Sort names.\n", "<|endoftext|>")]


@pytest.mark.parametrize(("prompt", "end"), TEMPLATES)
def test_templates_are_taken_off(prompt, end):
    assert task_of(prompt) == "Sort names."
    assert response_of(f"{prompt} Surname first.{end}", prompt) == "Surname first."
    # As a tokenizer may give it back: with its own beginning, and padding after the end.
    assert response_of(f"<s>{prompt}Surname first.{end}{end}\n", prompt) == "Surname first."


@pytest.mark.parametrize(("prompt", "end"), TEMPLATES[:5])
def test_without_the_prompt_the_last_turn_is_the_response(prompt, end):
    assert response_of(f"{prompt}Surname first.{end}", "") == "Surname first."
    cut = prompt[8:]  # OpenRLHF cuts a prompt that is too long at its beginning
    assert response_of(f"{cut}Surname first.{end}", prompt) == "Surname first."


def test_of_several_turns_the_last_counts():
    first = CHATML + "Which?<|im_end|>\n"
    again = first + "<|im_start|>user\nThose of Austen.<|im_end|>\n<|im_start|>assistant\n"
    assert task_of(again) == "Those of Austen."
    assert response_of(again + "These.<|im_end|>", "") == "These."


@pytest.mark.parametrize("text", ["", "   ", "<|im_end|>", "</s></s>"])
def test_an_empty_response_is_empty(text):
    assert response_of(CHATML + text, CHATML) == ""


@pytest.mark.django_db
class TestTasks:
    def test_by_label_by_words_and_unknown(self, project):
        known, other = make_prompt(project, "Sort names."), make_prompt(project, "Count words.")
        query = [f"{CHATML}One.", f"{CHATML}Two.", "Name a colour. Red."]
        prompts = [CHATML, CHATML, "Name a colour. "]
        found = read(project, query, prompts, [str(other.pk), None, "the answer"])
        assert found[0] == Asked("One.", other.pk)
        assert found[1] == Asked("Two.", known.pk)
        assert found[2] == Asked("Red.", None, "Name a colour.", "en")

    def test_a_task_of_another_project_is_unknown(self, project):
        from tests.factories import make_project

        stranger = make_prompt(make_project("elsewhere"), "Sort names.")
        for label in (stranger.pk, True, -1, 10**30, {"id": 1}, "１２"):
            assert read(project, ["Sort names. A"], ["Sort names."], [label])[0].prompt is None

    def test_query_alone(self, project):
        known = make_prompt(project, "Sort names.")
        assert read(project, [CHATML + "Yes.", "Just a text."]) == [
            Asked("Yes.", known.pk),
            Asked("Just a text.", None),
        ]

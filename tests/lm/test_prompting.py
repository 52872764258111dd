"""What models are shown, and what is kept of what they write."""

import pytest

from rlhf.lm.data import Example, Task
from rlhf.lm.prompting import clean_completion, generator_messages

TASK = Task(
    id="1",
    text="A shop sorts messages.",
    examples=(Example("Where is my parcel?", "delivery"),),
    held_out_examples=(Example("I was charged twice.", "billing"),),
    reference="Name the department.",
)


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("Name the city.", "Name the city."),
        ('"Name the city."', "Name the city."),
        ("Instruction: Name the city.", "Name the city."),
        ("指令：写出城市名。", "写出城市名。"),
        ("Name \n\n the\tcity.", "Name the city."),
        ("Name\x00the\x1b city.\x07", "Name the city."),
        ("Name\u202ethe city.\ufffd", "Name the city."),
        ('Answer "yes" or "no"', 'Answer "yes" or "no"'),
        ("x" * 10_000, "x" * 600),
        ("\x00\ufffd", ""),
    ],
)
def test_it_keeps_the_words_and_drops_the_rest(written, kept):
    assert clean_completion(written) == kept


def test_the_generator_never_sees_what_judges_it():
    seen = str(generator_messages(TASK))
    assert "A shop sorts messages." in seen
    assert "Where is my parcel?" in seen
    for hidden in ("I was charged twice.", "billing", "Name the department."):
        assert hidden not in seen

"""Personal data is told from numbers that only look like it, and masked without a trace."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotator.prompts.records import Record
from annotator.prompts.steps.personal import PersonalStep, found, is_card, is_id, mask

ID = "11010519491231002X"
"""The example of the standard GB 11643: weights times digits is 167, 167 mod 11 is 2, whose sign is X."""


class TestId:
    def test_the_standards_example(self):
        digits = [1, 1, 0, 1, 0, 5, 1, 9, 4, 9, 1, 2, 3, 1, 0, 0, 2]
        weights = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2]
        assert sum(map(int.__mul__, digits, weights)) == 167
        assert is_id(ID)

    @pytest.mark.parametrize(
        "number",
        [
            "110105194912310021",  # another check digit
            "11010519491331002X",  # thirteenth month
            "11010518991231002X",  # born in 1899
            "110105299912310029",  # not born yet
        ],
    )
    def test_others_are_none(self, number):
        assert not is_id(number)
        assert found(f"编号{number}。") == set()


class TestCard:
    @pytest.mark.parametrize(
        "number", ["4111111111111111", "4111 1111 1111 1111", "3782-822463-10005", "6222020200112230"]
    )
    def test_luhn(self, number):
        digits = [int(c) for c in number if c.isdigit()]
        doubled = [d * 2 - 9 * (d > 4) if n % 2 else d for n, d in enumerate(reversed(digits))]
        assert is_card(number) == (sum(doubled) % 10 == 0)

    def test_by_hand(self):
        # 4111111111111111: sixteen digits, every second doubled from the right: 8 + 7 × 2 + 8 × 1 = 30
        assert is_card("4111111111111111")
        assert not is_card("4111111111111112")
        assert not is_card("0000000000000000")


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("Write to ann.smith+x@mail.example.co.uk.", "Write to [email]."),
        ("请联系wang@例子.com或 li@qq.com", "请联系wang@例子.com或 [email]"),
        ("打13812345678给我", "打[phone]给我"),
        ("电话：+86 138-1234-5678", "电话：[phone]"),
        ("座机 010-62785001", "座机 [phone]"),
        ("Call (123) 456-7891 or 555-123-4567", "Call [phone] or [phone]"),
        ("Call +49 30 901820", "Call [phone]"),
        ("Call +1 (212) 555-0123 now", "Call [phone] now"),
        (f"身份证{ID}号", "身份证[ID]号"),
        ("Card 4111 1111 1111 1111, please", "Card [card], please"),
    ],
)
def test_what_is_masked(text, masked):
    assert mask(text) == masked
    assert bool(found(text)) == (text != masked)


@pytest.mark.parametrize(
    "text",
    [
        "pi is 3.14159265358979323846",
        "In 2024-05-12 we sold 1234567 units",
        "x = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13]",
        "order 12345678",
        "@decorator def f(): pass",
        "a@b",
        "12000000000",
        "4111111111111112",
        "version 10.0.22631.3447",
        "isbn 978-3-16-148410-0",
    ],
)
def test_what_is_none(text):
    assert mask(text) == text
    assert not found(text)


near_numbers = st.text(st.sampled_from("0123456789 -+().@abX中[]"), max_size=60)


@given(near_numbers | st.text(max_size=80))
def test_masking_twice_is_masking_once(text):
    assert mask(mask(text)) == mask(text)


@given(near_numbers)
def test_nothing_is_left_after_masking(text):
    assert not found(mask(text))


@given(near_numbers)
def test_masks_are_about_as_long_as_what_they_hide(text):
    # The shortest e-mail address has 6 characters, the mask 7; all others are shorter than what they hide.
    assert len(mask(text)) <= len(text) + text.count("@")


def test_every_text_of_a_record_is_looked_at():
    record = Record(
        3, "Ask li@qq.com", "Call 13812345678", ({"input": "4111111111111111", "output": "x"},), reference=ID
    )
    flagged = PersonalStep(masks=False).apply(record)
    assert flagged.flags == ("card", "email", "id", "phone")
    assert flagged.text == record.text
    step = PersonalStep(masks=True)
    masked = step.apply(record)
    assert (masked.text, masked.instruction, masked.reference) == ("Ask [email]", "Call [phone]", "[ID]")
    assert masked.examples == ({"input": "[card]", "output": "x"},)
    assert step.counts == {"email": 1, "phone": 1, "card": 1, "id": 1}
    assert (step.changed, step.left_out) == (1, 0)


def test_a_report_does_not_pass_personal_data_on():
    step = PersonalStep(masks=False)
    step.apply(Record(1, "Ask li@qq.com or 13812345678"))
    assert "li@qq.com" not in str(step.report())
    assert "13812345678" not in str(step.report())
